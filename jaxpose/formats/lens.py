"""Undistorts pictures, points and boxes of a lens, and scales pictures down."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from jaxpose.formats.calibration import Calibrated
from jaxpose.geometry import cameras


def distort(rays: np.ndarray, k: np.ndarray) -> np.ndarray:
  """OpenCV's lens model on x/z, y/z (..., 2); `k` is `k1 k2 p1 p2 k3`."""
  x, y = rays[..., 0], rays[..., 1]
  r2 = x * x + y * y
  radial = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))
  return np.stack(
    [
      x * radial + 2 * k[2] * x * y + k[3] * (r2 + 2 * x * x),
      y * radial + k[2] * (r2 + 2 * y * y) + 2 * k[3] * x * y,
    ],
    -1,
  )


class Lens:
  """How pictures of a camera become undistorted ones of another size.

  Attributes:
    camera: of the new pictures, a `jaxpose.geometry.cameras.Camera` without distortion.
  """

  def __init__(
    self,
    calibrated: Calibrated,
    size: tuple[int, int],
    max_side: int,
    distort: Callable = distort,
  ):
    """Prepares the map of the pixels.

    Args:
      calibrated: the camera; its matrix is for pictures of `size`.
      size: (width, height) of the pictures.
      max_side: longest side of the new pictures; smaller ones keep their size.
      distort: lens model, (rays (n, 2), coefficients (5,)) to rays.
    """
    self._distort = distort
    m = calibrated.matrix
    self._focal, self._middle = np.array([m[0, 0], m[1, 1]]), m[:2, 2]
    self._bent, self._size = calibrated.distortion, size
    shrink = min(1.0, max_side / max(size))
    self._new = tuple(max(round(n * shrink), 1) for n in size)
    self._scale = np.array(self._new) / np.array(size)
    # Pixel centres lie at whole numbers, so a picture starts at -0.5.
    middle = (self._middle + 0.5) * self._scale - 0.5
    intrinsics = np.concatenate([self._focal * self._scale, middle, np.zeros(5)])
    self.camera = cameras.Camera(
      calibrated.rotation, calibrated.position, intrinsics, self._new, calibrated.name
    )
    self._taps = _taps(self._bend, size) if self._bent.any() else None

  def _bend(self, pixels: np.ndarray) -> np.ndarray:
    """Where an undistorted pixel is in the picture."""
    rays = (pixels - self._middle) / self._focal
    return self._distort(rays, self._bent) * self._focal + self._middle

  def picture(self, image: np.ndarray) -> np.ndarray:
    """The new picture of an RGB image; black where the lens did not look."""
    if self._taps is not None:
      flat = image.reshape(-1, 3)
      image = sum(np.take(flat, at, axis=0) * weight for at, weight in self._taps)
      image = np.rint(image).astype(np.uint8).reshape(*self._size[::-1], 3)
    if self._new != self._size:
      small = Image.fromarray(image).resize(self._new, Image.Resampling.BILINEAR)
      image = np.asarray(small)
    return image

  def points(self, pixels: np.ndarray) -> np.ndarray:
    """Pixels of the new picture (..., 2) of pixels of the old one."""
    bent = (pixels - self._middle) / self._focal
    rays = bent
    for _ in range(30):
      rays = rays + bent - self._distort(rays, self._bent)
    pixels = rays * self._focal + self._middle
    return (pixels + 0.5) * self._scale - 0.5

  def original(self, points: np.ndarray) -> np.ndarray:
    """Pixels of the old picture (..., 2) of pixels of the new one."""
    pixels = (points + 0.5) / self._scale - 0.5
    return self._bend(pixels) if self._bent.any() else pixels

  def box(self, box: np.ndarray) -> np.ndarray:
    """The box round the new places of a box's corners and middles of sides."""
    if not self._bent.any():
      middle = (box[:2] + 0.5) * self._scale - 0.5
      return np.concatenate([middle, box[2:] * self._scale])
    steps = np.array([-0.5, 0, 0.5])
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    points = self.points(box[:2] + grid * box[2:])
    low, high = points.min(0), points.max(0)
    return np.concatenate([(low + high) / 2, high - low])


def _taps(bend, size):
  """Four neighbours of each undistorted pixel in the picture, and their weights."""
  width, height = size
  x, y = np.meshgrid(np.arange(width), np.arange(height))
  at = bend(np.stack([x, y], -1).reshape(-1, 2).astype(float))
  # Fold-over far outside the picture is cut off there.
  first = np.floor(np.clip(at, -2, [width + 1, height + 1])).astype(np.int64)
  part = np.clip(at, -2, [width + 1, height + 1]) - first
  taps = []
  for i in (0, 1):
    for j in (0, 1):
      column, row = first[:, 0] + i, first[:, 1] + j
      inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
      weight = np.abs(1 - i - part[:, 0]) * np.abs(1 - j - part[:, 1])
      place = np.clip(row, 0, height - 1) * width + np.clip(column, 0, width - 1)
      taps.append((place, np.where(inside, weight, 0).astype(np.float32)[:, None]))
  return taps
