"""Crops whose cameras stay calibrated: pictures, points and intrinsics change alike.

The geometry is that of `jaxpose.geometry.crops`: pixel u of a crop is the pixel
`cx + (u - size / 2) * side / size` of the image, where the crop's side is `scale` times
the longer side of the box (cx, cy, w, h). Rotations and positions of cameras stay.
"""

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8
from PIL import Image

from jaxpose.geometry import Array
from jaxpose.geometry import namespace

SCALE = 1.25  # of the box's longer side


def crop_intrinsics(
  intrinsics: Float[Array, "*b 9"],
  box: Float[Array, "*b 4"],
  *,
  size: int,
  scale: float = SCALE,
) -> Float[Array, "*b 9"]:
  """Intrinsics of the crop: focal lengths and principal point in its pixels.

  Lens distortion acts before pixels, so its numbers stay.
  """
  xp = namespace(intrinsics, box)
  zoom = size / _side(xp, box, scale)
  middle = (intrinsics[..., 2:4] - box[..., :2]) * zoom + size / 2
  return xp.concatenate([intrinsics[..., :2] * zoom, middle, intrinsics[..., 4:]], -1)


def crop_points(
  pixels: Float[Array, "*b j 2"],
  box: Float[Array, "*b 4"],
  *,
  size: int,
  scale: float = SCALE,
) -> Float[Array, "*b j 2"]:
  """Pixels of the crop of image pixels; nothing is clipped."""
  xp = namespace(pixels, box)
  zoom = size / _side(xp, box, scale)[..., None]
  return (pixels - box[..., None, :2]) * zoom + size / 2


def uncrop_points(
  points: Float[Array, "*b j 2"],
  box: Float[Array, "*b 4"],
  *,
  size: int,
  scale: float = SCALE,
) -> Float[Array, "*b j 2"]:
  """Image pixels of pixels of the crop; inverse of `crop_points`."""
  xp = namespace(points, box)
  step = _side(xp, box, scale)[..., None] / size
  return (points - size / 2) * step + box[..., None, :2]


def _side(xp, box, scale: float):
  return scale * xp.maximum(box[..., 2:3], box[..., 3:4])


def crop_picture(
  picture: Image.Image,
  box: Float[np.ndarray, "4"],
  *,
  size: int,
  scale: float = SCALE,
) -> UInt8[np.ndarray, "{size} {size} 3"]:
  """The square round a box; black beyond the image.

  Where the crop has fewer pixels than the image, each is a weighted mean of those that
  it covers, so fine patterns do not flicker; else it is bilinear.

  Raises:
    ValueError: the box has no area or is not finite.
  """
  if not (np.isfinite(box).all() and min(box[2], box[3]) > 0 and scale > 0):
    raise ValueError(
      f"got the box {tuple(map(float, box))} at scale {scale}, expected (cx, cy, w, h) "
      "in pixels with a positive width and height."
    )
  side = scale * float(max(box[2], box[3]))
  step = side / size
  # Pillow counts from the corner of the first pixel, half a pixel before its centre.
  left, top = (float(c) - side / 2 + 0.5 - 0.5 * step for c in box[:2])
  margin = int(np.ceil(step)) + 1
  x, y = int(np.floor(left)) - margin, int(np.floor(top)) - margin
  extent = int(np.ceil(side)) + 2 * margin + 1
  width, height = picture.size
  if x >= width or y >= height or x + extent <= 0 or y + extent <= 0:
    return np.zeros((size, size, 3), np.uint8)
  canvas = picture.crop((x, y, x + extent, y + extent))
  inner = (left - x, top - y, left - x + side, top - y + side)
  return np.asarray(canvas.resize((size, size), Image.Resampling.BILINEAR, inner))


def resample(
  images: Float[Array, "n h w c"],
  zoom: Float[Array, " n"],
  shift: Float[Array, "n 2"],
) -> Float[Array, "n h w c"]:
  """Images zoomed round their middle and moved, bilinear; black beyond.

  Pixel u of the result is the pixel `(u - size / 2 - shift) / zoom + size / 2` of the
  image; `move_intrinsics` and `move_points` say the same of cameras and points.

  Args:
    images: any range.
    zoom: above 1 things become larger.
    shift: x, y in pixels.
  """
  xp = namespace(images, zoom, shift)
  _, height, width, _ = images.shape
  rows = _linear(xp, height, zoom, shift[:, 1]).astype(images.dtype)
  columns = _linear(xp, width, zoom, shift[:, 0]).astype(images.dtype)
  mixed = xp.einsum("nyh,nhwc->nywc", rows, images)
  return xp.einsum("nxw,nywc->nyxc", columns, mixed)


def _linear(xp, length: int, zoom, shift):
  """(n, length, length) weights of the image's pixels for each pixel of the result."""
  at = xp.arange(length, dtype=zoom.dtype)
  place = (at[None] - length / 2 - shift[:, None]) / zoom[:, None] + length / 2
  return xp.maximum(1 - xp.abs(place[..., None] - at[None, None]), 0)


def move_intrinsics(
  intrinsics: Float[Array, "*b 9"],
  size: int,
  zoom: Float[Array, "*b"],
  shift: Float[Array, "*b 2"],
) -> Float[Array, "*b 9"]:
  """Intrinsics of square images that `resample` has changed."""
  xp = namespace(intrinsics, zoom, shift)
  zoom = zoom[..., None]
  middle = (intrinsics[..., 2:4] - size / 2) * zoom + shift + size / 2
  return xp.concatenate([intrinsics[..., :2] * zoom, middle, intrinsics[..., 4:]], -1)


def move_points(
  points: Float[Array, "*b j 2"],
  size: int,
  zoom: Float[Array, "*b"],
  shift: Float[Array, "*b 2"],
) -> Float[Array, "*b j 2"]:
  """Pixels of points in square images that `resample` has changed."""
  moved = (points - size / 2) * zoom[..., None, None]
  return moved + shift[..., None, :] + size / 2
