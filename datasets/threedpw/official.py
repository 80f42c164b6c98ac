"""3DPW as its owners distribute it: sequenceFiles/SPLIT/*.pkl, one person at a time."""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import Body
from jaxpose.body import body_files
from jaxpose.data import sequences
from jaxpose.files import pickles
from jaxpose.geometry import cameras
from jaxpose.skeletons import proportions

FPS = 30.0
_OBJECT = np.dtype(object)
SPLITS = ("train", "validation", "test")
GENDERS = {"m": "male", "f": "female"}
Bodies = dict[str, Body] | None
_KEYS = (
  *("sequence", "genders", "betas", "poses", "trans", "poses2d", "jointPositions"),
  *("cam_poses", "campose_valid", "cam_intrinsics"),
)
_PEOPLE = ("betas", "poses", "trans", "poses2d", "jointPositions", "campose_valid")


def features() -> dict:
  """Those of `sequences.mesh_features`, with a camera for each frame, and more.

  The joints are spin49's where SMPL's files are at hand, else smpl24's; see README.md
  for each key.
  """
  known = sequences.mesh_features(skeletons.get("smpl24"))
  del known["camera_rotation"], known["camera_position"]

  def tensor(*shape, dtype=np.float32):
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")

  return known | dict(
    keypoints_2d=tensor(None, None, 2),
    joints_3d=tensor(None, None, 3),
    joints_14=tensor(None, 14, 3),
    has_joints_14=np.bool_,
    detections_2d=tensor(None, 18, 3),
    smpl_translation=tensor(None, 3),
    camera_rotations=tensor(None, 3, 3),
    camera_positions=tensor(None, 3),
    frame_id=tensor(None, dtype=np.int32),
    gender=tfds.features.Text(),
  )


def find(raw: pathlib.Path) -> dict[str, list[pathlib.Path]]:
  """The files of each split.

  Raises:
    ValueError: a split has none.
  """
  found = {s: sorted((raw / "sequenceFiles" / s).glob("*.pkl")) for s in SPLITS}
  empty = [split for split, paths in found.items() if not paths]
  if empty:
    there = ", ".join(sorted(path.name for path in raw.iterdir())[:8]) or "nothing"
    raise ValueError(
      f"{raw}: got {there}, expected sequenceFiles/{empty[0]}/*.pkl too; unpack "
      "sequenceFiles.zip of 3DPW there."
    )
  return found


def find_bodies(raw: pathlib.Path) -> Bodies:
  """SMPL's male and female body, or None where there are no files."""
  return body_files.load_folder(body_files.smpl_folders(raw), tuple(GENDERS.values()))


def examples(
  raw: pathlib.Path, paths: list[pathlib.Path], found: Bodies
) -> Iterator[tuple[str, dict]]:
  """(key, record) of each person of each sequence.

  Raises:
    ValueError: a file is damaged, is not 3DPW's, or its images are not all there.
  """
  for path in paths:
    sequence = read(path)
    name, frames = sequence["sequence"], len(sequence["cam_poses"])
    images = raw / "imageFiles"
    last = images / name / f"image_{frames - 1:05d}.jpg"
    if images.is_dir() and not last.is_file():
      raise ValueError(
        f"{path}: got {frames} frames, but no image {last}; expected one per frame, "
        "unpack imageFiles.zip again, or take the folder imageFiles away."
      )
    for person in range(len(sequence["genders"])):
      record = person_record(sequence, person, found, path)
      yield record["sequence"], record


def read(path: pathlib.Path) -> dict:
  """The content of a file, its arrays checked and with one row per frame.

  Raises:
    ValueError: it is damaged, or is not what 3DPW's files are.
  """
  try:
    content = pickles.read(path.read_bytes(), of="a sequence of 3DPW")
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error
  if not isinstance(content, dict) or not set(_KEYS) <= set(content):
    there = ", ".join(map(str, content)) if isinstance(content, dict) else "no dict"
    raise ValueError(
      f"{path}: got {there[:200]}, expected {', '.join(_KEYS)}; is it of 3DPW's "
      "sequenceFiles?"
    )
  people = len(content["genders"])
  for key in _PEOPLE:
    held = content[key]
    if not isinstance(held, list | tuple | np.ndarray) or len(held) != people:
      raise ValueError(
        f"{path}: got {key} that is no list of {people}, expected one entry for "
        "each of the genders; get the file again."
      )
  frames = len(content["cam_poses"])
  checked = dict(content, sequence=str(content["sequence"]))
  checked["cam_poses"] = _array(path, content, "cam_poses", (frames, 4, 4))
  checked["cam_intrinsics"] = _array(path, content, "cam_intrinsics", (3, 3))
  shapes = dict(
    poses=(frames, 72),
    trans=(frames, 3),
    poses2d=(frames, 3, 18),
    jointPositions=(frames, 72),
    campose_valid=(frames,),
  )
  for key, shape in shapes.items():
    checked[key] = [
      _array(path, content, key, shape, person) for person in range(people)
    ]
  return checked


def _array(path, content, key, shape, person=None) -> np.ndarray:
  value = content[key] if person is None else content[key][person]
  if isinstance(value, list) or getattr(value, "dtype", None) is _OBJECT:
    value = np.asarray(list(value))
  if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
    raise ValueError(f"{path}: got {key} that is no array of numbers; get it again.")
  if value.shape != shape:
    of = "" if person is None else f" of person {person}"
    raise ValueError(
      f"{path}: got {key}{of} of shape {value.shape}, expected {shape}; the frames of "
      "all arrays must agree, get the file again."
    )
  return value


def person_record(
  sequence: dict, person: int, found: Bodies, path: pathlib.Path
) -> dict:
  """The record of one person; see README.md for its keys."""
  valid = sequence["campose_valid"][person].astype(bool)
  where = f"{path}: person {person}"
  gender = str(sequence["genders"][person])
  if gender not in GENDERS:
    raise ValueError(f"{where}: got the gender {gender!r}, expected 'm' or 'f'.")
  betas = np.asarray(sequence["betas"][person], np.float32).reshape(-1)[:10]
  if len(betas) < 10 or not np.isfinite(betas).all():
    raise ValueError(
      f"{where}: got {len(betas)} betas, expected 10 finite numbers at least."
    )
  frames = len(valid)
  pose = _finite(where, "poses", sequence["poses"][person], valid)
  translation = _finite(where, "trans", sequence["trans"][person], valid)
  extrinsics = _finite(where, "cam_poses", sequence["cam_poses"], valid)
  rotations = extrinsics[:, :3, :3].astype(np.float64)
  rotations[~valid & ~_is_rotation(rotations)] = np.eye(3)
  bad = int((~_is_rotation(rotations)).sum())
  if bad:
    raise ValueError(
      f"{where}: got cam_poses that are no rotations in {bad} of {frames} frames, "
      "expected world-to-camera motions; get the file again."
    )
  shifts = extrinsics[:, :3, 3].astype(np.float64)
  betas = np.broadcast_to(betas, (frames, 10))
  pose = pose.reshape(frames, 24, 3)
  world, world_14, skeleton = _joints(
    sequence, person, found and found[GENDERS[gender]], pose, betas, translation, valid
  )
  proportions.require_metres(world[valid], skeleton, where)
  proportions.warn(world[valid], skeleton, where)
  camera = world @ rotations.swapaxes(1, 2) + shifts[:, None]
  k = sequence["cam_intrinsics"].astype(np.float64)
  intrinsics = np.asarray([k[0, 0], k[1, 1], k[0, 2], k[1, 2], 0, 0, 0, 0, 0])
  seen = pose.copy()
  turned = rotations @ geometry.axis_angle_to_matrix(pose[:, 0].astype(np.float64))
  seen[:, 0] = geometry.matrix_to_axis_angle(turned)
  joints_14 = np.zeros((frames, 14, 3))
  if world_14 is not None:
    joints_14 = world_14 @ rotations.swapaxes(1, 2) + shifts[:, None]
  return dict(
    keypoints_2d=cameras.project(camera, intrinsics).astype(np.float32),
    joints_3d=camera.astype(np.float32),
    joints_14=joints_14.astype(np.float32),
    has_joints_14=world_14 is not None,
    detections_2d=_detections(sequence["poses2d"][person]),
    smpl_pose=seen,
    betas=np.array(betas),
    smpl_translation=translation,
    frame_valid=valid,
    camera_rotations=rotations.astype(np.float32),
    camera_positions=-np.einsum("tcw,tc->tw", rotations, shifts).astype(np.float32),
    intrinsics=intrinsics.astype(np.float32),
    # The files do not say; the principal point is the middle of the image.
    image_size=np.round(2 * intrinsics[2:4]).astype(np.int32),
    frame_id=np.arange(frames, dtype=np.int32),
    fps=np.float32(FPS),
    skeleton=skeleton,
    sequence=f"{sequence['sequence']}_{person}",
    subject=str(person),
    action=sequence["sequence"].rstrip("0123456789").rstrip("_"),
    camera="0",
    gender=GENDERS[gender],
  )


def _joints(sequence, person, body, pose, betas, translation, valid):
  """(t, j, 3) joints of the world, the 14 that are scored or None, and the skeleton."""
  if body is None:
    joints = sequence["jointPositions"][person].reshape(-1, 24, 3)
    name = f"{sequence['sequence']}: person {person}"
    return _finite(name, "jointPositions", joints, valid), None, "smpl24"
  small = bodies.for_joints(body)
  posed = bodies.pose(small, geometry.axis_angle_to_matrix(pose), np.array(betas))
  scored = None
  if body.h36m_regressor is not None:
    scored = bodies.joints_14(small, posed) + translation[:, None]
  return bodies.joints_49(small, posed) + translation[:, None], scored, "spin49"


def _finite(where: str, key: str, array: np.ndarray, valid: np.ndarray) -> np.ndarray:
  """As float32; zeros in frames that are not valid and hold NaN."""
  bad = ~np.isfinite(array.reshape(len(array), -1)).all(1)
  if (bad & valid).any():
    raise ValueError(
      f"{where}: {(bad & valid).sum()} of {len(valid)} frames hold NaN or infinite "
      f"{key}, expected them only where campose_valid is 0; get the file again."
    )
  return np.where(bad.reshape(-1, *[1] * (array.ndim - 1)), 0, array).astype(np.float32)


def _is_rotation(matrices: np.ndarray) -> np.ndarray:
  square = matrices @ matrices.swapaxes(1, 2)
  near = np.abs(square - np.eye(3)).max((1, 2)) < 1e-3
  return near & (np.linalg.det(matrices) > 0)


def _detections(poses: np.ndarray) -> np.ndarray:
  """(t, 18, 3) x, y, confidence; zeros where there is none."""
  points = poses.swapaxes(1, 2).astype(np.float32)
  points[~np.isfinite(points).all(-1)] = 0
  return points
