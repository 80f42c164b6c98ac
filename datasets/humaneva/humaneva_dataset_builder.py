"""TFDS builder of HumanEva-I, from VideoPose3D's files."""

import functools
import pathlib

import numpy as np
import tensorflow_datasets as tfds

from jaxpose import skeletons
from jaxpose.data import benchmark_record
from jaxpose.formats import videopose3d_npz
from jaxpose.geometry import cameras
from jaxpose.skeletons import skeleton_maps

SKELETON = skeletons.get("humaneva15")
FPS = 60.0
RIG = videopose3d_npz.Rig(("C1", "C2", "C3"), ((640, 480),) * 3)
PARTS = {"train": "Train", "test": "Validate"}
PEOPLE = ("S1", "S2", "S3")
ACTIONS = ("Walking", "Jog", "Box")  # what publications train on and score
POSES, EXACT = "data_3d_humaneva15.npz", "data_2d_humaneva15_gt.npz"
DETECTED = "data_2d_humaneva15_detectron_pt_coco.npz"


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one camera's view of one unbroken chunk of a motion."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    f"Put {POSES}, {EXACT} and, for the config detectron, {DETECTED} in manual_dir; "
    "README.md says where to get them."
  )
  BUILDER_CONFIGS = [  # noqa: RUF012
    tfds.core.BuilderConfig(name="gt", description="Exact 2D."),
    tfds.core.BuilderConfig(name="detectron", description="2D from Mask R-CNN."),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(benchmark_record.features(SKELETON)),
      disable_shuffling=True,  # the order of the chunks is the file's
    )

  def _split_generators(self, dl_manager):
    folder = pathlib.Path(dl_manager.manual_dir)
    return splits(
      folder, DETECTED if self.builder_config.name == "detectron" else EXACT
    )

  def _generate_examples(self, records):
    return records


def splits(folder: pathlib.Path, name: str):
  """(key, record) of each split.

  Args:
    folder: with the files.
    name: of the file with the 2D keypoints.

  Raises:
    ValueError: a file is missing, damaged, or belongs to another.
  """
  videopose3d_npz.require(folder, *dict.fromkeys((POSES, EXACT, name)))
  motions = videopose3d_npz.poses(folder / POSES, SKELETON.num_joints)
  motions = {part: _scored(actions) for part, actions in motions.items()}
  missing = [
    f"{part}/{person} {action}"
    for part in PARTS.values()
    for person in PEOPLE
    for action in ACTIONS
    if not any(a.startswith(action) for a in motions.get(f"{part}/{person}", {}))
  ]
  if missing:
    raise ValueError(
      f"{folder / POSES}: got no {', '.join(missing)[:200]}, expected "
      f"{', '.join(ACTIONS)} of {', '.join(PEOPLE)} in Train and Validate; prepare the "
      "file again."
    )
  seen = exact = videopose3d_npz.views(folder / EXACT, SKELETON.num_joints, RIG)
  if name != EXACT:
    seen = videopose3d_npz.views(folder / name, 17, RIG)
  rigs = {person: _calibrated(folder, person, motions, exact) for person in PEOPLE}
  return {
    split: benchmark_record.numbered(
      [
        functools.partial(
          _records, folder / name, seen, part, person, action, joints, rigs[person]
        )
        for person in PEOPLE
        for action, joints in motions[f"{part}/{person}"].items()
      ]
    )
    for split, part in PARTS.items()
  }


def _scored(actions):
  """The actions of the protocol, chunk by chunk."""
  return {a: joints for a, joints in actions.items() if a.split(" ")[0] in ACTIONS}


def _calibrated(folder, person, motions, exact):
  """The cameras, which stay where they are while one person is filmed."""
  joints, seen = {}, {}
  for part in PARTS.values():
    key = f"{part}/{person}"
    for action in motions[key]:
      joints[f"{key} {action}"] = motions[key][action]
      seen[f"{key} {action}"] = [
        videopose3d_npz.view(folder / EXACT, exact, key, action, i) for i in range(3)
      ]
  label = f"{folder / POSES} and {EXACT}: {person}"
  return videopose3d_npz.calibrate(joints, seen, RIG, label)


def _records(path, seen, part, person, action, world, rig):
  for i, camera in enumerate(rig):
    points = videopose3d_npz.view(path, seen, f"{part}/{person}", action, i)
    if points.shape[1] != SKELETON.num_joints:
      points = skeleton_maps.convert(points, "coco17", SKELETON.name)
    yield benchmark_record.record(
      np.asarray(points),
      cameras.world_to_camera(world, camera.rotation, camera.position),
      benchmark_record.Labels(
        f"{path.parent / POSES} and {path.name}",
        f"{part}/{person} {action}",
        person,
        action,
        camera.name,
        FPS,
      ),
      skeleton=SKELETON,
      image_size=camera.image_size,
      camera=camera,
    )
