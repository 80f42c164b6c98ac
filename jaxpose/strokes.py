"""Smooth tubes and discs on pictures, drawn with NumPy: fast where they are few."""

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8

Colour = tuple[int, int, int]
Number = int | float | np.number

_LIGHT = np.asarray([-0.42, -0.56, 0.72], np.float32)  # from the upper left, in front
_AMBIENT, _DIFFUSE, _GLOSS = 0.62, 0.5, 0.22


def tube(
  image: UInt8[np.ndarray, "h w 3"],
  start: Float[np.ndarray, "2"],
  end: Float[np.ndarray, "2"],
  radii: tuple[Number, Number],
  colour: Colour,
  *,
  opacity: Number = 1.0,
  lit: bool = True,
) -> None:
  """Draws a tube with round ends into the picture, edges blended over a pixel.

  Args:
    image: changed in place; what lies beyond its edges is left out.
    start: x right, y down, pixels; (0, 0) is the middle of the first pixel.
    end: likewise.
    radii: pixels, at both.
    colour: red, green, blue, to 255.
    opacity: 1 hides what is below.
    lit: shaded as round, else flat.
  """
  big = max(radii) + 1
  points = np.stack([start, end])
  if not np.isfinite(points).all() or not np.isfinite(big):
    return
  height, width, _ = image.shape
  low = np.maximum(np.floor(points.min(0) - big), 0)
  high = np.minimum(np.ceil(points.max(0) + big) + 1, [width, height])
  if (high <= low).any():
    return
  (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
  x = np.arange(x0, x1, dtype=np.float32)[None] - np.float32(start[0])
  y = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(start[1])
  along = np.float32(end) - np.float32(start)
  share = (x * along[0] + y * along[1]) / max(float(along @ along), 1e-6)
  np.clip(share, 0, 1, out=share)
  across_x, across_y = x - share * along[0], y - share * along[1]
  radius = np.float32(radii[0]) + share * np.float32(radii[1] - radii[0])
  off = np.sqrt(across_x**2 + across_y**2)
  cover = np.clip(radius + 0.5 - off, 0, 1) * np.float32(opacity)
  part = image[y0:y1, x0:x1]
  paint = np.asarray(colour, np.float32)
  if lit:
    radius = np.maximum(radius, 1e-3)
    nx, ny = across_x / radius, across_y / radius
    nz = np.sqrt(np.maximum(1 - nx**2 - ny**2, 0))
    facing = np.maximum(nx * _LIGHT[0] + ny * _LIGHT[1] + nz * _LIGHT[2], 0)
    paint = paint * (_AMBIENT + _DIFFUSE * facing)[..., None]
    paint = np.minimum(paint + (255 * _GLOSS * facing**16)[..., None], 255)
  cover = cover[..., None]
  part[:] = (part + cover * (paint - part) + 0.5).astype(np.uint8)


def disc(
  image: UInt8[np.ndarray, "h w 3"],
  centre: Float[np.ndarray, "2"],
  radius: Number,
  colour: Colour,
  *,
  opacity: Number = 1.0,
  lit: bool = True,
) -> None:
  """Draws a ball, or a flat disc; see `tube`."""
  tube(image, centre, centre, (radius, radius), colour, opacity=opacity, lit=lit)
