"""Meshes, tubes and discs to pictures, in NumPy.

Meshes: a z-buffer rasteriser for many images at once. Points are in camera coordinates
(x right, y down, z forward, metres); pixel centres lie at whole numbers. Faces are
counter-clockwise seen from outside. Each pixel is sampled in `samples` by `samples`
places: `rasterize` gives the samples, `resolve` their mean.

Strokes: smooth tubes and discs drawn on a picture, fast where they are few.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import UInt8

from jaxpose.geometry import cameras

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


SAMPLES = 2
NEAR = 0.05  # metres; a face with a corner nearer than this is left out
_FACES_AT_ONCE = 2**14  # what stays in a CPU's caches
_SLACK = 1e-7  # pixels; rounding may not open a gap between neighbouring faces


class Layer(NamedTuple):
  """What a camera sees of a mesh, at the samples; `y`, `x` count samples.

  Attributes:
    color: (b, y, x, 3) float32, 0 where there is nothing.
    depth: (b, y, x) metres along the optical axis, infinite where there is nothing.
  """

  color: np.ndarray
  depth: np.ndarray


def rasterize(
  points: Float[np.ndarray, "b m 3"],
  faces: Int[np.ndarray, "f 3"],
  colors: Float[np.ndarray, "b m 3"],
  intrinsics: Float[np.ndarray, "b 9"],
  image_size: tuple[int, int],
  *,
  samples: int = SAMPLES,
  cull: bool = True,
) -> Layer:
  """Draws `b` images of one mesh, each with its own corners, colours and camera.

  Colours are interpolated over a face, in perspective. Lens distortion is not drawn.

  Args:
    points: corners in each camera's frame.
    faces: corners of the triangles.
    colors: of the corners, already lit; any range.
    intrinsics: pixels, see `jaxpose.geometry.cameras`; without distortion.
    image_size: (width, height) in pixels.
    samples: along each side of a pixel.
    cull: leave out faces seen from behind; right for closed meshes, and faster.

  Raises:
    ValueError: a lens with distortion, or faces that name no corner.
  """
  b, m, _ = points.shape
  if np.any(intrinsics[:, 4:]):
    raise ValueError(
      "got intrinsics with lens distortion, expected zeros in entries 4 to 8; "
      "undistort the picture and draw on that."
    )
  if len(faces) and not (0 <= faces.min() and faces.max() < m):
    raise ValueError(
      f"got faces with corners {faces.min()} to {faces.max()}, expected 0 to {m - 1}."
    )
  width, height = (n * samples for n in image_size)
  color = np.zeros((b, height, width, 3), np.float32)
  depth = np.full((b, height, width), np.inf, np.float32)
  xy, inverse = _project(points, intrinsics, samples)
  step = max(_FACES_AT_ONCE // max(len(faces), 1), 1)
  for i in range(0, b, step):
    part = slice(i, i + step)
    _draw(xy[part], inverse[part], faces, colors[part], cull, color[part], depth[part])
  return Layer(color, depth)


def _project(points, intrinsics, samples):
  """(b, m, 2) in samples, and (b, m) 1 / depth; 0 for corners that are too near."""
  z = points[..., 2].astype(np.float64)
  inverse = np.where(z > NEAR, 1 / np.maximum(z, NEAR), 0.0)
  xy = points[..., :2] * inverse[..., None]
  pixels = intrinsics[:, None, :2] * xy + intrinsics[:, None, 2:4]
  return (pixels + 0.5) * samples - 0.5, inverse


def _draw(xy, inverse, faces, colors, cull, color, depth):
  """Fills the images of a slice in place."""
  b, height, width, _ = color.shape
  m = xy.shape[1]
  # A row per corner, a column per face of any image.
  corners = (faces.T[:, None] + m * np.arange(b)[:, None]).reshape(3, -1)
  x, y = (np.take(np.ascontiguousarray(xy[..., k]).ravel(), corners) for k in (0, 1))
  z = np.take(inverse.ravel(), corners)
  area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
  low_y, high_y = y.min(0), y.max(0)
  seen = (area < -1e-5) if cull else (np.abs(area) > 1e-5)
  seen &= (z.min(0) > 0) & (x.max(0) >= 0) & (x.min(0) <= width - 1)
  seen &= (high_y >= 0) & (low_y <= height - 1) & (np.ceil(low_y) <= high_y)
  kept = np.flatnonzero(seen)
  if not len(kept):
    return
  x, y, z, area = x[:, kept], y[:, kept], z[:, kept], area[kept]
  # Barycentric weight k of a sample is a_k x + b_k y + c_k, 0 on the opposite side.
  following, last = [1, 2, 0], [2, 0, 1]
  a = (y[following] - y[last]) / area
  b_ = (x[last] - x[following]) / area
  c = 1 - a * x - b_ * y  # weight k is 1 at corner k
  image = kept // len(faces)
  plane = [(weight * z).sum(0) for weight in (a, b_, c)]  # of 1 / depth

  # Rows that a face crosses, then the samples of each row that lie in it.
  top = np.maximum(np.ceil(low_y[kept]), 0).astype(np.int64)
  count = np.minimum(np.floor(high_y[kept]), height - 1).astype(np.int64) - top + 1
  count = np.maximum(count, 0)
  face = np.repeat(np.arange(len(kept)), count)
  row = np.repeat(top, count) + _within(count)
  left, right = np.full(len(row), -np.inf), np.full(len(row), np.inf)
  for k in range(3):
    slope = a[k]  # 0 on a level side, which the choice of rows minds
    safe = np.where(slope == 0, 1, slope)
    edge = np.take(-b_[k] / safe, face) * row + np.take(-c[k] / safe, face)
    np.maximum(left, np.where(np.take(slope > 0, face), edge, -np.inf), out=left)
    np.minimum(right, np.where(np.take(slope < 0, face), edge, np.inf), out=right)
  start = np.maximum(np.ceil(left - _SLACK), 0)
  stop = np.minimum(np.floor(right + _SLACK), width - 1)
  count = np.maximum(stop - start + 1, 0).astype(np.int64)
  first = np.take(plane[0], face) * start + np.take(plane[1], face) * row
  first += np.take(plane[2], face)
  place = (np.take(image, face) * height + row) * width + start.astype(np.int64)
  ahead = _within(count)
  place = np.repeat(place, count) + ahead
  near = np.repeat(first, count) + np.repeat(np.take(plane[0], face), count) * ahead
  # One number that orders by nearness and carries the face: the bits of a positive
  # float32 rise with it.
  near = np.maximum(near, 1e-9).astype(np.float32).view(np.uint32).astype(np.uint64)
  key = near << np.uint64(32) | np.repeat(face, count).astype(np.uint64)
  nearest = np.zeros(b * height * width, np.uint64)
  np.maximum.at(nearest, place, key)

  hit = np.flatnonzero(nearest)
  face = (nearest[hit] & np.uint64(0xFFFFFFFF)).astype(np.int64)
  row, column = np.divmod(hit % (height * width), width)
  flat, which = colors.reshape(-1, 3).astype(np.float32), kept[face]
  total, mixed = 0.0, 0.0
  for k in range(3):
    weight = np.take(a[k], face) * column + np.take(b_[k], face) * row
    weight = (weight + np.take(c[k], face)) * np.take(z[k], face)
    total = total + weight
    part = np.take(flat, np.take(corners[k], which), axis=0)
    mixed = mixed + weight.astype(np.float32)[:, None] * part
  color.reshape(-1, 3)[hit] = mixed / total.astype(np.float32)[:, None]
  depth.reshape(-1)[hit] = 1 / total


def _within(count):
  """0, 1, ... of each group, one group after the other."""
  ends = np.cumsum(count)
  return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - count, count)


def over(front: Layer, behind: Layer) -> Layer:
  """Both layers, the nearer one at each sample."""
  nearer = front.depth <= behind.depth
  return Layer(
    np.where(nearer[..., None], front.color, behind.color),
    np.where(nearer, front.depth, behind.depth),
  )


def resolve(
  samples_color: Float[np.ndarray, "b y x 3"], samples: int = SAMPLES
) -> Float[np.ndarray, "b h w 3"]:
  """Pixels as the mean of their samples."""
  b, height, width, _ = samples_color.shape
  blocks = samples_color.reshape(
    b, height // samples, samples, width // samples, samples, 3
  )
  total = sum(blocks[:, :, i, :, j] for i in range(samples) for j in range(samples))
  return total / np.float32(samples**2)


def vertex_normals(
  vertices: Float[np.ndarray, "m 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "m 3"]:
  """Unit normals that point outward: the mean of the faces round a corner by area."""
  a, b, c = (vertices[faces[:, k]] for k in range(3))
  normal = np.cross(b - a, c - a)
  total = np.stack(
    [
      sum(np.bincount(faces[:, k], normal[:, d], len(vertices)) for k in range(3))
      for d in range(3)
    ],
    -1,
  )
  length = np.linalg.norm(total, axis=-1, keepdims=True)
  return (total / np.maximum(length, 1e-12)).astype(vertices.dtype)


def shade(
  normals: Float[np.ndarray, "*b 3"],
  colors: Float[np.ndarray, "*#b 3"],
  light: Float[np.ndarray, "3"],
  *,
  up: Float[np.ndarray, "3"],
  ambient: float = 0.55,
  direct: float = 0.55,
) -> Float[np.ndarray, "*b 3"]:
  """Matt surfaces under a lamp far away and light from above.

  Args:
    normals: unit.
    colors: of the surfaces, in [0, 1].
    light: unit vector to the lamp.
    up: unit vector to the sky; surfaces that face down get half of the sky's light.
    ambient: strength of the sky.
    direct: strength of the lamp.
  """
  sky = ambient * (0.75 + 0.25 * (normals @ up))
  lamp = direct * np.maximum(normals @ light, 0)
  return (sky + lamp)[..., None] * colors


def draw_mesh(
  image: UInt8[np.ndarray, "h w 3"],
  points: Float[np.ndarray, "m 3"],
  faces: Int[np.ndarray, "f 3"],
  intrinsics: Float[np.ndarray, "9"],
  *,
  color: tuple[float, float, float] = (0.55, 0.68, 0.87),
  samples: int = SAMPLES,
) -> UInt8[np.ndarray, "h w 3"]:
  """A picture with a shaded mesh over it, such as a predicted body.

  Args:
    image: RGB.
    points: corners in the camera's frame, metres.
    faces: corners of the triangles.
    intrinsics: pixels, see `jaxpose.geometry.cameras`; where there is lens distortion
      the corners are moved by it and sides stay straight.
    color: of the mesh, in [0, 1].
    samples: along each side of a pixel.
  """
  height, width, _ = image.shape
  light = np.asarray([0.4, -0.6, -0.7]) / np.linalg.norm([0.4, -0.6, -0.7])
  normals = vertex_normals(points.astype(np.float64), faces)
  lit = shade(normals, np.asarray([color]), light, up=np.asarray([0.0, -1.0, 0.0]))
  bent = points.astype(np.float64)
  if intrinsics[4:].any():
    rays = bent[:, :2] / np.maximum(bent[:, 2:], NEAR)
    bent[:, :2] = cameras.distort(rays, intrinsics) * bent[:, 2:]
  plain = np.concatenate([intrinsics[:4], np.zeros(5, intrinsics.dtype)])
  layer = rasterize(
    bent[None], faces, lit[None], plain[None], (width, height), samples=samples
  )
  covered = np.isfinite(layer.depth).astype(np.float32)[..., None]
  share = resolve(np.broadcast_to(covered, layer.color.shape), samples)[0]
  mesh = resolve(np.clip(layer.color, 0, 1), samples)[0]
  mixed = 255 * mesh + (1 - share) * image
  return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
