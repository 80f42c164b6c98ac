"""Cameras that the user's skeleton.toml describes, and joints seen by them."""

import fnmatch

import numpy as np

from jaxpose.formats import calibration
from jaxpose.geometry import cameras
from jaxpose.geometry.cameras import Camera

KEYS = ("K", "R", "t", "dist")
UPS = tuple(calibration.UPS)
# Of the picture's longer side, the median over joints: what detectors are off by is
# about 1 %, and a camera that is not the one that filmed gives more than 10 %.
_APART = 0.08


def camera(described, sequence: str, size, *, unit: float, up: str) -> Camera:
  """The camera of a sequence; world with z up, metres.

  Args:
    described: pattern of sequences -> a table of `KEYS`.
    sequence: its name.
    size: (width, height) of its pictures.
    unit: metres per unit of `t`.
    up: axis of the cameras' world that points up.

  Raises:
    ValueError: no pattern matches, or no camera can be as the table says.
  """
  matching = [p for p in described if fnmatch.fnmatchcase(sequence, p)]
  if not matching:
    raise ValueError(
      f"got no camera for {sequence!r}, expected one of the patterns "
      f'{", ".join(described)} to match; add one, such as [cameras."*"]'
    )
  name, table = matching[0], described[matching[0]]
  raw = {"dist": (), **table, "size": tuple(size)}
  try:
    found = calibration.camera("[cameras]", name, raw, unit, calibration.UPS[up])
  except (TypeError, ValueError) as error:
    told = str(error).rstrip(".")
    if not told.startswith("[cameras]"):
      told = f"[cameras], camera {name!r}: got no matrices of numbers ({told})"
    raise ValueError(told) from error
  k1, k2, p1, p2, k3 = found.distortion
  if max(abs(p1), abs(p2)) > 1e-9:
    raise ValueError(
      f"[cameras], camera {name!r}: got the tangential distortion {p1:g}, {p2:g}, "
      "expected none: undistort the keypoints and leave dist out"
    )
  m = found.matrix
  lens = [m[0, 0], m[1, 1], m[0, 2], m[1, 2], k1, k2, k3, 0, 0]
  return Camera(
    found.rotation.astype(np.float32),
    found.position.astype(np.float32),
    np.asarray(lens, np.float32),
    (int(size[0]), int(size[1])),
    name,
  )


def upright(up: str) -> np.ndarray:
  """(3, 3) float32 that turns the files' world into one with z up."""
  return calibration.UPS[up].astype(np.float32)


def in_camera(joints: np.ndarray, filmed: Camera) -> np.ndarray:
  """(t, j, 3) joints of the world in the frame of the camera."""
  return cameras.world_to_camera(joints, filmed.rotation, filmed.position)


def check(record: dict, filmed: Camera) -> None:
  """ValueError if the camera does not see the 3D joints where the keypoints are."""
  valid = record["frame_valid"]
  if not record["has_joints_3d"] or not valid.any():
    return
  seen = cameras.project(record["joints_3d"][valid], filmed.intrinsics)
  apart = np.linalg.norm(seen - record["keypoints_2d"][valid], axis=-1)
  share = float(np.median(apart)) / max(filmed.image_size)
  if share > _APART:
    raise ValueError(
      f"got 3D joints that the camera {filmed.name!r} sees {np.median(apart):.0f} "
      "pixels from the keypoints (median), expected less than "
      f"{100 * _APART:.0f} % of the picture; check [cameras], unit, up and space in "
      "skeleton.toml"
    )
