"""Reads the annotation files of AIST++; metres, world with z up.

The files count in centimetres, and their world has y up.
"""

import dataclasses
import json
import pathlib

import numpy as np

from jaxpose import geometry
from jaxpose.files import pickles
from jaxpose.geometry.cameras import Camera

FPS = 60.0
METRES = 0.01  # of the files' unit
TURN = np.asarray([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # y up to z up
VIEWS = tuple(f"c{i:02d}" for i in range(1, 10))
SPLITS = {
  "train": "pose_train.txt",
  "validation": "pose_val.txt",
  "test": "pose_test.txt",
}
# Views that the owners' camera estimation leaves out: one is out of step with the
# others, one was filmed in another size than its camera file says.
LEFT_OUT = {
  ("gBR_sBM_cAll_d04_mBR0_ch01", "c05"),
  ("gJB_sBM_cAll_d07_mJB3_ch05", "c07"),
}
_CAMERA_KEYS = ("name", "size", "matrix", "rotation", "translation", "distortions")


@dataclasses.dataclass(frozen=True)
class Lists:
  """What the text files say.

  Attributes:
    splits: names of the sequences of each split, those to ignore left out.
    settings: sequence -> name of its camera setting.
  """

  splits: dict[str, list[str]]
  settings: dict[str, str]


def read_lists(raw: pathlib.Path) -> Lists:
  """The splits and camera settings.

  Raises:
    ValueError: a file is missing, empty or of another form.
  """
  ignored = set(_lines(raw, "ignore_list.txt", may_be_empty=True))
  splits = {}
  for split, file in SPLITS.items():
    names = [_all_views(name) for name in _lines(raw, f"splits/{file}")]
    kept = [name for name in dict.fromkeys(names) if name not in ignored]
    if not kept:
      raise ValueError(
        f"{raw}: got splits/{file} whose sequences are all in ignore_list.txt, "
        "expected some to be left; get both files again."
      )
    splits[split] = kept
  settings = {}
  for line in _lines(raw, "cameras/mapping.txt"):
    name, _, setting = line.partition(" ")
    if not setting.strip() or "/" in setting:
      raise ValueError(
        f"{raw}: got the line {line[:80]!r} in cameras/mapping.txt, expected a "
        "sequence and its setting; get the file again."
      )
    settings[name] = setting.strip()
  return Lists(splits, settings)


def _lines(raw: pathlib.Path, name: str, may_be_empty: bool = False) -> list[str]:
  path = raw / name
  if not path.is_file():
    there = ", ".join(sorted(p.name for p in raw.iterdir())[:8]) or "nothing"
    raise ValueError(
      f"{raw}: got {there}, expected {name} too; unpack the annotations of AIST++ "
      "there."
    )
  text = path.read_text(encoding="utf-8", errors="replace")
  lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
  if not lines and not may_be_empty:
    raise ValueError(f"{path}: got an empty file, expected names; get it again.")
  return lines


def _all_views(name: str) -> str:
  """The sequence of a video: gBR_sBM_c01_d04_... is one view of gBR_sBM_cAll_d04_..."""
  return "_".join("cAll" if tag in VIEWS else tag for tag in name.split("_"))


def read_cameras(raw: pathlib.Path, setting: str) -> dict[str, Camera]:
  """The nine cameras of a setting, by name.

  Raises:
    ValueError: the file is missing, damaged, or holds other cameras.
  """
  path = raw / "cameras" / f"{setting}.json"
  if not path.is_file():
    raise ValueError(
      f"{path}: no such file, expected the cameras that mapping.txt names; unpack the "
      "annotations again."
    )
  try:
    found = {c["name"]: _camera(*(c[key] for key in _CAMERA_KEYS)) for c in _json(path)}
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f"{path}: cannot be read as cameras ({type(error).__name__}: "
      f"{str(error)[:120]}); get it again."
    ) from error
  if set(found) != set(VIEWS):
    raise ValueError(
      f"{path}: got the cameras {', '.join(map(str, found)) or 'none'}, expected "
      f"{', '.join(VIEWS)}; get it again."
    )
  return found


def _json(path: pathlib.Path) -> list:
  content = json.loads(path.read_text(encoding="utf-8"))
  if not isinstance(content, list):
    raise ValueError(f"a {type(content).__name__}, expected a list")
  return content


def _camera(name, size, matrix, rotation, translation, distortions) -> Camera:
  numbers = [
    np.asarray(x, np.float64) for x in (matrix, rotation, translation, distortions)
  ]
  k, rotation, translation, lens = numbers
  if k.shape != (3, 3) or rotation.shape != (3,) or translation.shape != (3,):
    raise ValueError("a matrix, rotation or translation of another shape")
  if not all(np.isfinite(x).all() for x in numbers) or len(lens) not in (4, 5):
    raise ValueError("numbers that are not finite, or not 4 or 5 distortions")
  k1, k2, p1, p2, *k3 = lens  # OpenCV's order
  if max(abs(p1), abs(p2)) > 1e-9:
    raise ValueError("tangential distortion, which AIST++ does not estimate")
  turn = geometry.axis_angle_to_matrix(rotation)
  intrinsics = [k[0, 0], k[1, 1], k[0, 2], k[1, 2], k1, k2, *(k3 or [0.0]), 0, 0]
  return Camera(
    rotation=(turn @ TURN.T).astype(np.float32),
    position=(METRES * TURN @ -turn.T @ translation).astype(np.float32),
    intrinsics=np.asarray(intrinsics, np.float32),
    image_size=(int(size[0]), int(size[1])),
    name=str(name),
  )


def read_keypoints_2d(raw: pathlib.Path, name: str) -> np.ndarray:
  """(9, t, 17, 3) pixels and score of each view; NaN where nobody was found."""
  shapes = dict(keypoints2d=(len(VIEWS), None, 17, 3))
  (points,) = _read(raw, "keypoints2d", name, shapes)
  return points


def read_keypoints_3d(raw: pathlib.Path, name: str) -> np.ndarray:
  """(t, 17, 3) metres, z up: the keypoints that the owners smoothed over time."""
  (points,) = _read(raw, "keypoints3d", name, dict(keypoints3d_optim=(None, 17, 3)))
  return METRES * points @ TURN.T


@dataclasses.dataclass(frozen=True)
class Motion:
  """An SMPL motion as the file has it: vertex = scaling * SMPL(poses, 0) + translation.

  Attributes:
    rotations: (t, 24, 3, 3) relative to the parent, the root's to the file's world.
    scaling: centimetres per metre of SMPL.
    translation: (t, 3) centimetres.
  """

  rotations: np.ndarray
  scaling: float
  translation: np.ndarray


def read_motion(raw: pathlib.Path, name: str) -> Motion:
  """The SMPL motion of a sequence."""
  shapes = dict(smpl_poses=(None, 72), smpl_scaling=(1,), smpl_trans=(None, 3))
  poses, scaling, translation = _read(raw, "motions", name, shapes)
  path = raw / "motions" / f"{name}.pkl"
  if len(poses) != len(translation):
    raise ValueError(
      f"{path}: got {len(poses)} smpl_poses and {len(translation)} smpl_trans, "
      "expected as many; get it again."
    )
  if not (np.isfinite(poses).all() and np.isfinite(translation).all()):
    raise ValueError(
      f"{path}: got NaN or infinite numbers, expected finite ones; get it again."
    )
  if not 50 < scaling[0] < 150:
    raise ValueError(
      f"{path}: got smpl_scaling {scaling[0]:g}, expected about 95: the files of "
      "AIST++ count in centimetres."
    )
  turns = geometry.axis_angle_to_matrix(poses.reshape(-1, 24, 3))
  return Motion(turns, float(scaling[0]), translation)


def _read(raw: pathlib.Path, folder: str, name: str, shapes: dict) -> list[np.ndarray]:
  path = raw / folder / f"{name}.pkl"
  if not path.is_file():
    raise ValueError(
      f"{path}: no such file, but the sequence is in splits and not in "
      "ignore_list.txt; unpack the annotations again."
    )
  try:
    content = pickles.read(path.read_bytes(), of="annotations of AIST++")
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from error
  return [_array(path, content, key, shape) for key, shape in shapes.items()]


def _array(path: pathlib.Path, content: object, key: str, shape: tuple) -> np.ndarray:
  value = content.get(key) if isinstance(content, dict) else None
  if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
    there = ", ".join(map(str, content)) if isinstance(content, dict) else "no dict"
    raise ValueError(
      f"{path}: got {there[:200]}, expected the array {key}; is it of AIST++?"
    )
  if key == "smpl_poses" and value.ndim == 3:
    value = value.reshape(len(value), -1)
  fits = value.ndim == len(shape) and all(
    e in (None, n) for n, e in zip(value.shape, shape, strict=True)
  )
  if not fits:
    expected = str(shape).replace("None", "frames")
    raise ValueError(
      f"{path}: got {key} of shape {value.shape}, expected {expected}; get it again."
    )
  return value.astype(np.float64)
