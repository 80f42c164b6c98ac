"""Calibrations of Pose2Sim, Anipose, EasyMocap, Qualisys, and as plain JSON.

All of them say OpenCV's pinhole camera: `x_camera = R x_world + t`, distortion
`k1 k2 p1 p2 [k3]`, x right, y down, z forward. They differ in the file, in the unit of
length and in which axis of the world points up; the latter two are not in the files.
"""

import dataclasses
import json
import pathlib
import re
import tomllib
from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
# Rotations of worlds in which another axis points up into one with z up.
UPS = {
  "z": np.eye(3),
  "-z": np.diag([1.0, -1.0, -1.0]),
  "y": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
  "-y": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}
FILES = "calibration.toml, calibration.json, *.qca.txt, or intri.yml with extri.yml"
QUALISYS = ".qca.txt"
_NAMES = r"(?i).*calib.*\.(toml|json)|.*\.qca\.txt"
_FAR = 100.0  # metres between two cameras of a rig that films a person


@dataclasses.dataclass(frozen=True, eq=False)
class Calibrated:
  """One camera of a calibration file; world z up, metres.

  Attributes:
    name: of the camera.
    matrix: (3, 3) intrinsics, pixels.
    distortion: (5,) `k1 k2 p1 p2 k3`, OpenCV's.
    rotation: (3, 3) world to camera.
    position: (3,) of the camera in the world.
    size: (width, height) of its pictures, or None where the file does not say.
  """

  name: str
  matrix: np.ndarray
  distortion: np.ndarray
  rotation: np.ndarray
  position: np.ndarray
  size: tuple[int, int] | None


def candidates(folder: pathlib.Path) -> list[str]:
  """Names of the files that are calibrations by their names."""
  names = [p.name for p in folder.iterdir() if p.is_file()]
  found = [n for n in names if n == "intri.yml"]
  return found + [n for n in names if re.fullmatch(_NAMES, n)]


def find(folder: pathlib.Path) -> pathlib.Path:
  """The calibration of a recording; ValueError if there is none, or several."""
  found = candidates(folder)
  if len(found) != 1:
    which = f" ({', '.join(sorted(found))})" if found else ""
    raise ValueError(
      f"{folder}: got {len(found)} calibration files{which}, expected one: {FILES}."
    )
  return folder / found[0]


def read(path: pathlib.Path, *, unit: str = "m", up: str = "z") -> list[Calibrated]:
  """The cameras of a file, checked.

  Args:
    path: as of `find`.
    unit: of length in the file, a key of `UNITS`.
    up: axis of the file's world that points up, a key of `UPS`.

  Raises:
    ValueError: it cannot be read, or no camera can be as it says.
  """
  for key, value, known in (("unit", unit, UNITS), ("up", up, UPS)):
    if value not in known:
      raise ValueError(
        f"{path}: got {key} {value!r}, expected one of {', '.join(known)}."
      )
  try:
    if path.suffix == ".toml":
      raw = _from_toml(tomllib.loads(path.read_text()))
    elif path.suffix == ".json":
      raw = _from_json(json.loads(path.read_text()))
    elif path.name.lower().endswith(QUALISYS):
      raw = _from_qualisys(path.read_text(), UNITS[unit])
    else:
      raw = _from_opencv(path.read_text(), path.with_name("extri.yml").read_text())
  except (
    *(OSError, KeyError, TypeError, IndexError, ValueError, AttributeError),
    ElementTree.ParseError,
  ) as error:
    reason = f"no {error}" if isinstance(error, KeyError) else str(error)
    raise ValueError(
      f"{path}: cannot be read as a calibration ({' '.join(reason.split())}), expected "
      "the layout of Pose2Sim, Anipose, EasyMocap, Qualisys or docs/multiview.md."
    ) from error
  if not raw:
    raise ValueError(f"{path}: got no camera, expected at least one.")
  rig = [camera(path, name, found, UNITS[unit], UPS[up]) for name, found in raw]
  names = [found.name for found in rig]
  if len(set(names)) < len(names):
    raise ValueError(f"{path}: got cameras of one name in {names}; rename them.")
  positions = np.stack([found.position for found in rig])
  apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1).max()
  if apart > _FAR:
    raise ValueError(
      f"{path}: got cameras {apart:.0f} m apart, expected less than {_FAR:.0f} m; if "
      'the file is in millimetres, write "unit": "mm" in recording.json.'
    )
  return rig


def _from_toml(content: Mapping) -> list:
  """Pose2Sim and Anipose: a table for each camera."""
  tables = {k: v for k, v in content.items() if isinstance(v, dict) and "matrix" in v}
  for name, table in tables.items():
    if table.get("fisheye"):
      raise ValueError(f"{name} is a fisheye camera; undistort its video first")
  return [
    (
      str(table.get("name", key)),
      dict(
        K=table["matrix"],
        dist=table.get("distortions", ()),
        R=table["rotation"],
        t=table["translation"],
        size=table.get("size"),
      ),
    )
    for key, table in tables.items()
  ]


def _from_json(content) -> list:
  """A list `cameras` of objects with a name, or an object of objects by name."""
  cameras = content.get("cameras", content)
  if isinstance(cameras, Mapping):
    items = list(cameras.items())
  else:
    items = [(camera["name"], camera) for camera in cameras]
  return [
    (
      str(name),
      dict(
        K=camera["K"],
        dist=camera.get("dist", ()),
        R=camera["R"],
        t=camera["t"] if "t" in camera else camera["T"],
        size=camera.get("image_size"),
      ),
    )
    for name, camera in items
  ]


def _from_qualisys(text: str, unit: float) -> list:
  """Qualisys: XML with 64ths of pixels and millimetres, whatever `unit` is.

  Its rotations go from the world to cameras with y up and z backward; its lenses are
  OpenCV's.
  """
  found = []
  for node in ElementTree.fromstring(text).iter("camera"):
    turn, lens, field = (
      node.find(key).attrib for key in ("transform", "intrinsic", "fov_video")
    )
    rows = [[float(turn[f"r{i}{j}"]) for j in (1, 2, 3)] for i in (1, 2, 3)]
    rotation = np.diag([1.0, -1, -1]) @ np.array(rows)
    place = np.array([float(turn[axis]) for axis in "xyz"]) / 1000 / unit
    left, top, right, bottom = (
      float(field[side]) for side in ("left", "top", "right", "bottom")
    )
    fx, fy, cx, cy = (
      float(lens[key]) / 64
      for key in ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
    )
    bent = [float(lens[f"radialDistortion{i}"]) for i in (1, 2)]
    bent += [float(lens[f"tangentalDistortion{i}"]) for i in (1, 2)]
    camera = dict(
      K=[[fx, 0, cx - left], [0, fy, cy - top], [0, 0, 1]],
      dist=[*bent, float(lens["radialDistortion3"])],
      R=rotation,
      t=-rotation @ place,
      size=(right - left + 1, bottom - top + 1),
    )
    found.append((node.attrib["serial"], camera))
  return found


def _from_opencv(intrinsic: str, extrinsic: str) -> list:
  """EasyMocap: two files as OpenCV's FileStorage writes them."""
  inner, outer = _storage(intrinsic), _storage(extrinsic)
  names = [key.removeprefix("K_") for key in inner if key.startswith("K_")]
  found = []
  for name in names:
    rotation = outer[f"Rot_{name}"] if f"Rot_{name}" in outer else outer[f"R_{name}"]
    size = None
    if f"H_{name}" in inner and f"W_{name}" in inner:
      size = inner[f"W_{name}"], inner[f"H_{name}"]
    camera = dict(K=inner[f"K_{name}"], R=rotation, t=outer[f"T_{name}"], size=size)
    found.append((name, camera | dict(dist=inner.get(f"dist_{name}", ()))))
  return found


def _storage(text: str) -> dict:
  """Matrices and numbers of an OpenCV YAML file by key."""
  matrix = r"^\"?(\w+)\"?:\s*!!opencv-matrix\s+rows:\s*(\d+)\s+cols:\s*(\d+)\s+"
  matrix += r"dt:\s*\w+\s+data:\s*\[([^\]]*)\]"
  found = {
    key: np.array([float(x) for x in data.split(",")]).reshape(int(rows), int(columns))
    for key, rows, columns, data in re.findall(matrix, text, re.MULTILINE)
  }
  scalars = re.findall(r"^(\w+):\s*([-+.\deE]+)\s*$", text, re.MULTILINE)
  return found | {key: float(value) for key, value in scalars}


def camera(path, name: str, raw: Mapping, unit: float, up: np.ndarray) -> Calibrated:
  """A camera in metres with z up; ValueError if it cannot be.

  Args:
    path: to name in messages.
    name: of the camera.
    raw: `K` (3, 3), `dist` of up to 5, `R` (3, 3) or vector, `t` (3,), `size` or None.
    unit: metres per unit of length.
    up: of `UPS`.
  """

  def refuse(got: str, want: str):
    raise ValueError(f"{path}, camera {name!r}: got {got}, expected {want}.")

  arrays = {k: np.asarray(raw[k], float) for k in ("K", "dist", "R", "t")}
  for key, array in arrays.items():
    if not np.isfinite(array).all():
      refuse(f"{key} = {array.tolist()}", "finite numbers")
  matrix, translation = arrays["K"], arrays["t"].reshape(-1)
  if matrix.shape != (3, 3) or translation.shape != (3,):
    shapes = f"matrices of shape {matrix.shape} and translations of {translation.shape}"
    refuse(shapes, "(3, 3) and (3,)")
  if not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
    refuse(
      f"the focal lengths {matrix[0, 0]:g} and {matrix[1, 1]:g}", "positive pixels"
    )
  if abs(matrix[0, 1]) > 1e-3 * matrix[0, 0]:
    refuse(f"a skew of {matrix[0, 1]:g} pixels", "none")
  rotation = arrays["R"]
  if rotation.size == 3:
    rotation = rotation_of_vector(rotation.reshape(3))
  if rotation.shape != (3, 3):
    refuse(f"a rotation of shape {rotation.shape}", "(3, 3), or a rotation vector (3,)")
  if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3:
    refuse("a rotation matrix that is not orthonormal", "R R^T = 1; calibrate again")
  if np.linalg.det(rotation) < 0:
    refuse(
      f"a mirroring rotation matrix, det(R) = {np.linalg.det(rotation):.2f}",
      "1: x right, y down, z forward; change the sign of an axis",
    )
  distortion = arrays["dist"].reshape(-1)
  if len(distortion) > 5 and distortion[5:].any():
    refuse(f"{len(distortion)} distortion coefficients", "at most 5: k1 k2 p1 p2 k3")
  distortion = np.concatenate([distortion[:5], np.zeros(max(5 - len(distortion), 0))])
  size = raw["size"]
  if size is not None:
    size = tuple(int(n) for n in size)
    middle = matrix[:2, 2]
    if not ((middle > 0) & (middle < size)).all():
      refuse(
        f"the principal point {middle.tolist()}",
        f"one inside the image of {size[0]} x {size[1]} pixels",
      )
  return Calibrated(
    name,
    matrix,
    distortion,
    rotation @ up.T,
    up @ (-rotation.T @ translation) * unit,
    size,
  )


def rotation_of_vector(vector: np.ndarray) -> np.ndarray:
  """(3, 3) of OpenCV's rotation vector, axis times angle."""
  angle = np.linalg.norm(vector)
  x, y, z = vector / max(angle, 1e-12)
  k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
  return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)
