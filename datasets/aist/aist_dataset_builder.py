"""TFDS builder of AIST++: nine views of dances, as keypoints or as SMPL motions."""

import dataclasses
import pathlib
import re
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.data import build_jobs
from jaxpose.data import sequences
from jaxpose.data import view_records
from jaxpose.skeletons import proportions

from . import annotations
from . import videos

SKELETON = skeletons.get("coco17")


@dataclasses.dataclass
class Frames(tfds.core.BuilderConfig):
  """Pictures of the videos, and how they are stored.

  Attributes:
    step: of frames of the 60 Hz videos.
    clip_frames: of a record; windows do not cross the ends of a dance.
    max_side: longest side of the pictures, pixels.
  """

  step: int = 6
  clip_frames: int = 32
  max_side: int = 960

  def __post_init__(self):
    if self.step < 1 or self.clip_frames < 1 or self.max_side < 16:
      raise ValueError(
        f"got step={self.step}, clip_frames={self.clip_frames} and max_side="
        f"{self.max_side}, expected at least 1, 1 and 16."
      )


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one camera's view of one dance, or a clip of all nine cameras."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put the annotations of AIST++ (cameras, keypoints2d, keypoints3d, motions, "
    "splits, ignore_list.txt) in manual_dir; README.md says where to get them."
  )
  BUILDER_CONFIGS: ClassVar = [
    tfds.core.BuilderConfig(
      name="keypoints", description="Detected 2D and triangulated 3D joints of COCO."
    ),
    tfds.core.BuilderConfig(
      name="mesh", description="SMPL motions, joints projected by the cameras."
    ),
    Frames(name="frames", description="Pictures of all cameras, 17 joints, 10 Hz."),
  ]

  @classmethod
  def config_named(cls, name: str) -> Frames:
    """Pictures with a step of their own, a size of their own, or both."""
    found = re.fullmatch(r"frames(?:_step(\d+))?(?:_side(\d+))?", name)
    if not found:
      raise ValueError(
        f"dataset 'aist' has no config {name!r}; known: "
        f"{', '.join(cls.builder_configs)}, and frames_stepN_sideM."
      )
    numbers = dict(zip(("step", "max_side"), found.groups(), strict=True))
    chosen = {key: int(text) for key, text in numbers.items() if text}
    return Frames(name=name, description="Pictures of all cameras.", **chosen)

  @property
  def _mesh(self) -> bool:
    return self.builder_config.name == "mesh"

  def _info(self) -> tfds.core.DatasetInfo:
    features = mesh_features() if self._mesh else keypoint_features()
    if isinstance(self.builder_config, Frames):
      features = view_records.features(videos.SKELETON)
      features |= dict(box_source=tfds.features.Text())
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features),
      homepage="https://google.github.io/aistplusplus_dataset",
      license="CC BY 4.0",
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    lists = annotations.read_lists(raw)
    body = None
    if self._mesh:  # the owners fitted the male body
      found = body_files.load_folder(body_files.smpl_folders(raw), ("male",))
      body = found and bodies.for_joints(found["male"])
    if isinstance(self.builder_config, Frames):
      every = [name for names in lists.splits.values() for name in names]
      paths = videos.find(raw, every)
      return {
        split: self._generate_clips(raw, names, lists.settings, paths)
        for split, names in lists.splits.items()
      }
    return {
      split: self._generate_examples(raw, names, lists.settings, body)
      for split, names in lists.splits.items()
    }

  def _generate_clips(self, raw, names, settings, paths):
    chosen = self.builder_config
    numbers = (chosen.step, chosen.clip_frames, chosen.max_side)
    return build_jobs.examples(
      clips,
      [
        (str(raw), name, settings.get(name), _files(raw, name), paths[name], *numbers)
        for name in names
      ],
    )

  def _generate_examples(self, raw, names, settings, body):
    for name in names:
      cameras, points = _annotated(raw, name, settings)
      if self._mesh:
        made = mesh_records(raw, name, cameras, points, body)
      else:
        made = keypoint_records(raw, name, cameras, points)
      for record in made:
        yield f"{name}_{record['camera']}", record


def _files(raw: pathlib.Path, name: str) -> list[pathlib.Path]:
  """What the clips of a sequence are made of, besides its videos."""
  return [raw / "keypoints3d" / f"{name}.pkl", *sorted(raw.glob("cameras/*"))]


def clips(
  raw: str,
  name: str,
  setting: str | None,
  files: list[pathlib.Path],
  paths: dict[str, pathlib.Path],
  step: int,
  clip_frames: int,
  max_side: int,
) -> Iterator[tuple[str, dict]]:
  """The examples of a sequence."""
  del files  # they say when the job is to be done again
  settings = {} if setting is None else {name: setting}
  cameras, points = _annotated(pathlib.Path(raw), name, settings)
  options = dict(step=step, clip_frames=clip_frames, max_side=max_side)
  for record in videos.records(name, cameras, points, paths, **options):
    yield record["sequence"], record


def _annotated(raw: pathlib.Path, name: str, settings: dict[str, str]):
  """The cameras of a sequence, and its (t, 17, 3) joints in the world."""
  if name not in settings:
    raise ValueError(
      f"{raw}: got no setting for {name} in cameras/mapping.txt, expected one; get "
      "the file again."
    )
  cameras = annotations.read_cameras(raw, settings[name])
  points = annotations.read_keypoints_3d(raw, name)
  where = f"{raw / 'keypoints3d' / name}.pkl"
  proportions.require_metres(points, SKELETON.name, where)
  proportions.warn(points, SKELETON.name, where)
  return cameras, points


def keypoint_features() -> dict:
  """Those of `sequences.features`, with the `confidence` of the detected keypoints."""
  tensor = tfds.features.Tensor(shape=(None, 17), dtype=np.float32, encoding="bytes")
  return sequences.features(SKELETON) | dict(confidence=tensor)


def mesh_features() -> dict:
  """Those of `sequences.mesh_features`, of spin49 or coco17, with scale and place."""

  def tensor(*shape):
    return tfds.features.Tensor(shape=shape, dtype=np.float32, encoding="bytes")

  return sequences.mesh_features(SKELETON) | dict(
    keypoints_2d=tensor(None, None, 2),
    joints_3d=tensor(None, None, 3),
    smpl_scale=np.float32,
    smpl_translation=tensor(None, 3),
  )


def _views(name: str, cameras: dict):
  """(number, camera) of each view that is right."""
  for i, view in enumerate(annotations.VIEWS):
    if (name, view) not in annotations.LEFT_OUT:
      yield i, cameras[view]


def _filmed(name: str, joints: np.ndarray, camera, skeleton) -> dict:
  """The record of joints of the world; frames with NaN are not valid."""
  known = np.isfinite(joints).all((1, 2))
  tags = name.split("_")
  record = sequences.record(
    np.where(known[:, None, None], joints, 0),
    camera,
    skeleton=skeleton,
    fps=annotations.FPS,
    sequence=name,
    subject=next((tag for tag in tags if tag[:1] == "d"), ""),
    action=tags[0],
  )
  return record | dict(frame_valid=record["frame_valid"] & known)


def keypoint_records(raw, name, cameras, points):
  """A record for each view: what was detected in it, and the joints that it saw.

  Raises:
    ValueError: the two files do not have as many frames.
  """
  detected = annotations.read_keypoints_2d(raw, name)
  _require_length(raw, name, "keypoints2d", detected.shape[1], points)
  for i, camera in _views(name, cameras):
    record = _filmed(name, points, camera, SKELETON)
    found = np.isfinite(detected[i]).all(-1)
    seen = np.where(found[..., None], detected[i], 0).astype(np.float32)
    yield record | dict(
      keypoints_2d=seen[..., :2],
      confidence=seen[..., 2],
      frame_valid=np.isfinite(points).all((1, 2)) & found.all(-1),
    )


def mesh_records(raw, name, cameras, points, body):
  """A record for each view: the SMPL motion, and joints projected by the camera.

  Raises:
    ValueError: the files do not have as many frames.
  """
  motion = annotations.read_motion(raw, name)
  frames = len(motion.rotations)
  _require_length(raw, name, "motions", frames, points)
  joints, skeleton = points, SKELETON
  betas = np.zeros((frames, 10), np.float32)
  turn, metres = annotations.TURN, annotations.METRES
  if body is not None:
    posed = bodies.pose(body, motion.rotations.astype(np.float32), betas)
    placed = motion.scaling * bodies.joints_49(body, posed).astype(np.float64)
    joints = metres * (placed + motion.translation[:, None]) @ turn.T
    skeleton = skeletons.get("spin49")
  for _, camera in _views(name, cameras):
    seen = motion.rotations.copy()
    seen[:, 0] = camera.rotation.astype(np.float64) @ turn @ motion.rotations[:, 0]
    yield _filmed(name, joints, camera, skeleton) | dict(
      smpl_pose=geometry.matrix_to_axis_angle(seen).astype(np.float32),
      betas=betas,
      smpl_scale=np.float32(metres * motion.scaling),
      smpl_translation=(metres * motion.translation @ turn.T).astype(np.float32),
    )


def _require_length(raw, name, folder: str, frames: int, points: np.ndarray) -> None:
  if frames != len(points):
    raise ValueError(
      f"{raw / folder / name}.pkl: got {frames} frames, and {len(points)} in "
      "keypoints3d, expected as many; get both files again."
    )
