"""Rotated square crops of a picture, and points in them.

A region is (cx, cy, side, angle): centre and side in pixels of the image, x right, y
down, pixel centres at whole numbers; the angle, in radians, turns its right side from
the image's right towards the image's bottom. Crop units span [0, 1] from its left top.
"""

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8

_MARGIN = 1.25  # of the circle through the tip: how the network was trained


def around(
  middle: Float[np.ndarray, "2"], tip: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "4"]:
  """Round a body with the middle of its hips there and its tip above.

  The tip lies on the circle round the body, in the direction of the head.
  """
  way = np.asarray(tip, np.float64) - middle
  side = 2 * _MARGIN * np.hypot(*way)
  angle = np.pi / 2 - np.arctan2(-way[1], way[0])
  angle = (angle + np.pi) % (2 * np.pi) - np.pi
  return np.asarray([*middle, side, angle])


def crop(
  image: UInt8[np.ndarray, "h w 3"], region: Float[np.ndarray, "4"], size: int
) -> UInt8[np.ndarray, "{size} {size} 3"]:
  """The region, bilinear, rounded to whole colours; the image's edge goes on beyond it.

  Raises:
    ValueError: the region has no area or is not finite.
  """
  if not (np.isfinite(region).all() and region[2] > 0):
    raise ValueError(
      f"got the region {tuple(map(float, region))}, expected a finite centre, side and "
      "angle with a positive side."
    )
  height, width, _ = image.shape
  steps = (np.arange(size) / size - 0.5) * region[2]
  cos, sin = np.cos(region[3]), np.sin(region[3])
  x = region[0] + cos * steps[None, :] - sin * steps[:, None]
  y = region[1] + sin * steps[None, :] + cos * steps[:, None]
  columns, rows = _clipped(x, width), _clipped(y, height)
  first_column, first_row = columns.astype(np.int32), rows.astype(np.int32)
  right = (columns - first_column).astype(np.float32)[..., None]
  below = (rows - first_row).astype(np.float32)[..., None]
  flat = image.reshape(-1, 3)
  at = first_row * width + first_column
  # The neighbours have the weight 0 where they are not there.
  more = np.minimum(first_column + 1, width - 1) - first_column
  further = (np.minimum(first_row + 1, height - 1) - first_row) * width
  upper = _between(flat.take(at, 0), flat.take(at + more, 0), right)
  at += further
  lower = _between(flat.take(at, 0), flat.take(at + more, 0), right)
  lower -= upper
  lower *= below
  lower += upper
  return np.rint(lower, out=lower).astype(np.uint8)


def _clipped(places: np.ndarray, length: int) -> np.ndarray:
  return np.clip(places, 0, length - 1)


def _between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
  first = first.astype(np.float32)
  second = second.astype(np.float32)
  second -= first
  second *= share
  second += first
  return second


def to_image(
  points: Float[np.ndarray, "*b 2"], region: Float[np.ndarray, "4"]
) -> Float[np.ndarray, "*b 2"]:
  """Pixels of the image of points in crop units."""
  return (points - 0.5) * region[2] @ _turn(region).T + region[:2]


def to_crop(
  pixels: Float[np.ndarray, "*b 2"], region: Float[np.ndarray, "4"]
) -> Float[np.ndarray, "*b 2"]:
  """Crop units of pixels of the image; inverse of `to_image`."""
  return (pixels - region[:2]) @ _turn(region) / region[2] + 0.5


def _turn(region: np.ndarray) -> np.ndarray:
  cos, sin = np.cos(region[3]), np.sin(region[3])
  return np.asarray([[cos, -sin], [sin, cos]])
