"""Square crops of a person, and coordinates and cameras in them.

A box is (cx, cy, w, h) in pixels of the image, x right, y down; pixel centres lie at
whole numbers, as OpenCV has it. Its crop shows the square of side `scale * max(w, h)`
round its centre, `size` pixels wide: crop pixel u is image pixel
`cx + (u - size / 2) * scale * max(w, h) / size`. Beyond the image there is black. Crop
units are those of the networks: [-1, 1] over the crop, `2 u / size - 1`.
"""

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8

from jaxpose.geometry import Array
from jaxpose.geometry import namespace

SIZE = 224  # pixels
SCALE = 1.2  # of the box; the original's demo and its labels
MEAN = (0.485, 0.456, 0.406)  # RGB of ImageNet, for colours in [0, 1]
STD = (0.229, 0.224, 0.225)


def crop(
  image: UInt8[np.ndarray, "h w 3"],
  box: Float[np.ndarray, "4"],
  *,
  scale: float = SCALE,
  size: int = SIZE,
) -> UInt8[np.ndarray, "{size} {size} 3"]:
  """The square round a box, bilinear, rounded to whole colours.

  A box far beyond the image gives a black crop.

  Raises:
    ValueError: the box has no area or is not finite.
  """
  side = scale * max(float(box[2]), float(box[3]))
  if not (np.isfinite(box).all() and min(box[2], box[3]) > 0 and scale > 0):
    raise ValueError(
      f"got the box {tuple(map(float, box))} at scale {scale}, expected (cx, cy, w, h) "
      "in pixels with a positive width and height."
    )
  height, width, _ = image.shape
  steps = (np.arange(size) - size / 2) * (side / size)
  rows, row_weights = _taps(float(box[1]) + steps, height)
  columns, column_weights = _taps(float(box[0]) + steps, width)
  # First the rows, of only the columns that are needed.
  start = columns[0][0]
  strip = image[:, start : columns[1][-1] + 1]
  mixed = _mix(strip, rows, row_weights, axis=0)
  mixed = _mix(mixed, [c - start for c in columns], column_weights, axis=1)
  return np.rint(mixed).astype(np.uint8)


def _taps(at: np.ndarray, length: int) -> tuple[list, list]:
  """Two neighbours of each place along an axis, and their float32 weights."""
  first = np.floor(np.clip(at, -2, length + 1)).astype(np.int64)
  part = np.clip(at, -2, length + 1) - first
  indices, weights = [], []
  for index, weight in ((first, 1 - part), (first + 1, part)):
    inside = (index >= 0) & (index < length)
    indices.append(np.clip(index, 0, length - 1))
    weights.append(np.where(inside, weight, 0).astype(np.float32))
  return indices, weights


def _mix(image: np.ndarray, indices: list, weights: list, axis: int) -> np.ndarray:
  shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
  first, second = (
    np.take(image, index, axis) * weight.reshape(shape)
    for index, weight in zip(indices, weights, strict=True)
  )
  return np.add(first, second, out=first)


def normalize(images: UInt8[Array, "*b h w 3"]) -> Float[Array, "*b h w 3"]:
  """Colours for the network: [0, 1], less ImageNet's mean, over its deviation."""
  xp = namespace(images)
  gain = xp.asarray([1 / (255 * s) for s in STD], xp.float32)
  shift = xp.asarray([m / s for m, s in zip(MEAN, STD, strict=True)], xp.float32)
  shape = (*images.shape[:-1], 3)
  x = images.astype(xp.float32) * xp.broadcast_to(gain, shape)
  return x - xp.broadcast_to(shift, shape)


def to_crop(
  pixels: Float[Array, "*b j 2"],
  box: Float[Array, "*b 4"],
  *,
  scale: float = SCALE,
) -> Float[Array, "*b j 2"]:
  """Crop units of image pixels, such as keypoints; nothing is clipped."""
  xp = namespace(pixels, box)
  return (pixels - box[..., None, :2]) * (2 / _side(xp, box, scale))


def from_crop(
  points: Float[Array, "*b j 2"],
  box: Float[Array, "*b 4"],
  *,
  scale: float = SCALE,
) -> Float[Array, "*b j 2"]:
  """Image pixels of crop units; inverse of `to_crop`."""
  xp = namespace(points, box)
  return points * (_side(xp, box, scale) / 2) + box[..., None, :2]


def _side(xp, box, scale: float):
  return scale * xp.maximum(box[..., 2], box[..., 3])[..., None, None]


def camera_in_image(
  camera: Float[Array, "*b 3"],
  box: Float[Array, "*b 4"],
  image_size: tuple[int, int],
) -> Float[Array, "*b 4"]:
  """The crop's weak-perspective camera for the whole image.

  Args:
    camera: (scale, x, y) of the crop, as GLoT gives it.
    box: (cx, cy, w, h) in pixels, square and already scaled: w is the crop's side.
    image_size: (width, height) in pixels.

  Returns:
    (scale x, scale y, x, y): a point at (px, py) metres lies at `scale * (p + t)` in
    coordinates that span [-1, 1] over the image's width and height.
  """
  xp = namespace(camera, box)
  half = xp.asarray([size / 2 for size in image_size], camera.dtype)
  half = xp.broadcast_to(half, (*camera.shape[:-1], 2))
  scale = camera[..., :1] * box[..., 3:] / (2 * half)
  shift = (box[..., :2] - half) / half / scale + camera[..., 1:]
  return xp.concatenate([scale, shift], -1)
