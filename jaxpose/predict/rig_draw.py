"""Videos and pictures of several views with the body drawn in, beside it in 3D."""

import os
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from jaxpose.draw import render
from jaxpose.draw import stage
from jaxpose.draw import video_draw
from jaxpose.files import whole_files
from jaxpose.files.video_files import Encoder
from jaxpose.predict.rig_source import Rig
from jaxpose.skeletons import Skeleton

SIZE = (1280, 720)
_SHARE = 0.62  # of the width, that the views take
_GAP = 4  # pixels between views
_MARGIN = 0.16  # of the person's box, kept around it
_ASIDE = 28.0  # degrees that the eye stands beside the first camera
_LOW = 2.0  # percentile of the joints' heights that counts as the floor
_WORDS, _PLATE = (255, 255, 255), (18, 22, 30)


class Tile(NamedTuple):
  """Where a part of a view's picture goes.

  Attributes:
    left, top: of the part, in pixels of the recorded picture.
    scale: of it.
    at: (x, y) in the drawing.
    size: (width, height) there.
  """

  left: float
  top: float
  scale: float
  at: tuple[int, int]
  size: tuple[int, int]


def tiles(
  points: Float[np.ndarray, "t v j 2"],
  sizes: Sequence[tuple[int, int]],
  area: tuple[int, int],
) -> list[Tile]:
  """A grid of the views, each cut to what the person needs over the whole clip.

  Args:
    points: of the person in recorded pixels; NaN where unknown.
    sizes: (width, height) of the views.
    area: (width, height) of the grid.
  """
  count = len(sizes)
  boxes = [_box(points[:, v], size) for v, size in enumerate(sizes)]
  plans = []
  for columns in range(1, count + 1):
    rows = -(-count // columns)
    inner = (
      (area[0] - (columns - 1) * _GAP) // columns,
      (area[1] - (rows - 1) * _GAP) // rows,
    )
    scale = min(min(inner[0] / w, inner[1] / h) for _, _, w, h in boxes)
    plans.append((scale * np.sqrt(inner[0] * inner[1]), columns, inner))
  _, columns, inner = max(plans)
  return [
    _tile(box, size, inner, divmod(v, columns))
    for v, (box, size) in enumerate(zip(boxes, sizes, strict=True))
  ]


def _box(points, size) -> tuple[float, float, float, float]:
  """Middle, width and height of what to show."""
  known = points[np.isfinite(points).all(-1)]
  if not len(known):
    return size[0] / 2, size[1] / 2, float(size[0]), float(size[1])
  low, high = known.min(0), known.max(0)
  side = (1 + 2 * _MARGIN) * np.maximum(high - low, 0.15 * max(size))
  side = np.minimum(side, size)
  return (*((low + high) / 2), *side)


def _tile(box, size, inner, place) -> Tile:
  x, y, w, h = box
  scale = min(inner[0] / w, inner[1] / h)
  # Larger, at the cost of the margin, where the picture would not fill its place.
  fill = max(inner[0] / size[0], inner[1] / size[1])
  scale = max(scale, min(fill, (1 + _MARGIN) * scale))
  width, height = inner[0] / scale, inner[1] / scale
  left, top = (
    np.clip(middle - wanted / 2, 0, max(full - wanted, 0))
    if full > wanted
    else (full - wanted) / 2
    for middle, wanted, full in ((x, width, size[0]), (y, height, size[1]))
  )
  row, column = place
  at = column * (inner[0] + _GAP), row * (inner[1] + _GAP)
  return Tile(float(left), float(top), scale, at, inner)


def reprojected(
  joints: Float[np.ndarray, "t j 3"], rig: Rig
) -> Float[np.ndarray, "t v j 2"]:
  """Recorded pixels of joints in the world, NaN where they are not before a camera."""
  pixels = rig.pixels(np.float64(joints))
  return np.stack([lens.original(pixels[:, v]) for v, lens in enumerate(rig.lenses)], 1)


def compose(
  pictures: Iterable,
  rig: Rig,
  joints: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  size: tuple[int, int] = SIZE,
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
  """The frames of the drawing, one by one.

  Args:
    pictures: a list with one RGB picture of each view, frame by frame.
    rig: the cameras.
    joints: world, metres.
    skeleton: of the joints.
    size: of the drawing.
  """
  points = reprojected(joints, rig)
  area = (round(_SHARE * size[0]), size[1])
  sizes = [tuple(source.image_size) for source in rig.sources]
  grid = tiles(points, sizes, area)
  stages = _stages(joints, skeleton, rig, (size[0] - area[0], size[1]))
  tall = [_tall(points[:, v]) * tile.scale for v, tile in enumerate(grid)]
  radii = [float(np.clip(0.009 * pixels, 1.2, 5)) for pixels in tall]
  for i, (views, scene) in enumerate(zip(pictures, stages, strict=False)):
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = np.asarray(stage.BACKGROUND, np.uint8)
    picture[:, area[0] :] = scene
    for v, tile in enumerate(grid):
      x, y = tile.at
      inner = picture[y : y + tile.size[1], x : x + tile.size[0]]
      inner[:] = _cut(views[v], tile)
      at = points[i, v] - np.asarray([tile.left, tile.top])
      video_draw.overlay(inner, (at + 0.5) * tile.scale - 0.5, skeleton, radii[v])
      _name(inner, rig.names[v])
    yield picture


def write(
  path: str | os.PathLike,
  pictures: Iterable,
  rig: Rig,
  joints: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  size: tuple[int, int] = SIZE,
) -> None:
  """An mp4 of `compose`; what is at its place is replaced, whole or not at all."""
  path = whole_files.check(path, (".mp4",), True)
  with whole_files.unfinished(path, True) as temporary:
    with Encoder(temporary, size, rig.fps) as encoder:
      for picture in compose(pictures, rig, joints, skeleton, size):
        encoder.add(picture)


def _tall(points) -> float:
  y = points[np.isfinite(points).all((1, 2)), :, 1]
  return float(np.median(np.ptp(y, axis=1))) if len(y) else 0.0


def _cut(picture, tile: Tile) -> np.ndarray:
  box = (
    tile.left,
    tile.top,
    tile.left + tile.size[0] / tile.scale,
    tile.top + tile.size[1] / tile.scale,
  )
  height, width = picture.shape[:2]
  image = Image.fromarray(picture)
  if min(box[:2]) < 0 or box[2] > width or box[3] > height:
    x, y = (int(np.ceil(max(-low, 0))) for low in box[:2])
    extent = max(width + x, int(box[2] + x) + 1), max(height + y, int(box[3] + y) + 1)
    canvas = Image.new("RGB", extent, _PLATE)
    canvas.paste(image, (x, y))
    image, box = canvas, (box[0] + x, box[1] + y, box[2] + x, box[3] + y)
  resized = image.resize(
    tile.size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0
  )
  return np.asarray(resized)


def _name(inner, text: str) -> None:
  """The camera's name on a plate in the lower left corner."""
  font = ImageFont.load_default(max(round(min(inner.shape[:2]) / 24), 11))
  left, top, right, bottom = font.getbbox(text)
  pad = round(0.4 * (bottom - top)) + 2
  plate = Image.new("RGB", (right - left + 2 * pad, bottom - top + 2 * pad), _PLATE)
  ImageDraw.Draw(plate).text((pad - left, pad - top), text, _WORDS, font)
  label = np.asarray(plate)[: inner.shape[0], : inner.shape[1]]
  corner = inner[inner.shape[0] - label.shape[0] :, : label.shape[1]]
  corner[:] = (0.75 * label + 0.25 * corner).astype(np.uint8)


def _stages(joints, skeleton, rig: Rig, size) -> Iterator[np.ndarray]:
  """The body on a floor at its feet, seen from beside the first camera."""
  joints = np.float64(joints)
  known = np.isfinite(joints).all(-1)
  floor = np.percentile(joints[known][:, 2], _LOW) if known.any() else 0.0
  joints = joints - np.asarray([0, 0, floor - 0.03])
  middle = joints[known].mean(0) if known.any() else np.zeros(3)
  x, y, _ = rig.position[0] - middle
  azimuth = float(np.degrees(np.arctan2(x, -y))) + _ASIDE
  cameras = [(c.rotation, c.position - [0, 0, floor - 0.03]) for c in rig.cameras]
  last, empty = None, None
  for i, view in enumerate(stage.views(joints, size, rig.fps, azimuth=azimuth)):
    if last is None or (view.position != last.position).any():
      last, empty = view, stage.floor(view)
      for rotation, position in cameras:
        _camera(empty, rotation, position, view)
    picture = empty.copy()
    stage.body(picture, joints[i], skeleton, view)
    yield picture


def _camera(image, rotation, position, view, reach: float = 0.28) -> None:
  """A camera as the edges of a pyramid."""
  corners = np.asarray([[x, y, 1.6] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
  ends = position + reach * corners @ np.float64(rotation)
  pixels, depth = stage.project(np.concatenate([position[None], ends]), view)
  inside = (pixels > 0) & (pixels < np.asarray(view.size))
  if depth.min() < 0.5 or not inside.all():
    return
  lines = [(0, k) for k in range(1, 5)] + [(k, k % 4 + 1) for k in range(1, 5)]
  for a, b in lines:
    render.tube(image, pixels[a], pixels[b], (1.1, 1.1), stage.MIDDLE, lit=False)
