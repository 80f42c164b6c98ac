"""What `predict.multiview` looks at: a folder, records or arrays, made the same thing.

Pictures are read when they are needed, a frame at a time.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import boxes as box_files
from jaxpose import frame_rates
from jaxpose import multiview_calibration
from jaxpose import multiview_recordings
from jaxpose import multiview_records
from jaxpose.cameras import Camera
from jaxpose.multiview_data import text
from jaxpose.multiview_views import Views
from jaxpose.multiview_views import check_rig
from jaxpose.multiview_views import check_size
from jaxpose.multiview_views import checked_boxes


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
  """A recording.

  Attributes:
    views: its cameras.
    boxes: of the person in the undistorted pictures, (cx, cy, w, h), pixels.
    present: whether the view shows the person.
    fps: frames per second; 0 if unknown.
    read: frames to give, (t,) bool, to their recorded RGB pictures of all views.
  """

  views: Views
  boxes: Float[np.ndarray, "t v 4"]
  present: Bool[np.ndarray, "t v"]
  fps: float
  read: Callable[[np.ndarray], Iterator[list[np.ndarray]]]

  def __len__(self) -> int:
    return len(self.boxes)


def clip(source: Any, *, cameras=None, boxes=None, fps=None, views=None) -> Clip:
  """The recording that a source holds; arguments as of `predict.multiview`.

  Raises:
    ValueError: something is missing or does not fit.
    FileNotFoundError: no such folder.
    ImportError: a video is given and the package that decodes them is not installed.
  """
  folder = isinstance(source, (str, os.PathLike))
  records = isinstance(source, dict) or (
    isinstance(source, (list, tuple)) and source and isinstance(source[0], dict)
  )
  given = dict(cameras=cameras, boxes=boxes, fps=fps)
  if folder or records:
    extra = [name for name, value in given.items() if value is not None]
    if extra:
      raise ValueError(
        f"got {extra[0]}= with {'a folder' if folder else 'records'}, expected it with "
        "arrays; a folder or record says that itself, see docs/multiview.md."
      )
  if not folder and views is not None:
    raise ValueError(
      "got views= without a folder, expected it with one; choose before."
    )
  if folder:
    return _folder(pathlib.Path(source).expanduser(), views)
  if records:
    return _records([source] if isinstance(source, dict) else list(source))
  return _arrays(source, **given)


def _folder(folder: pathlib.Path, names) -> Clip:
  if not folder.is_dir():
    raise FileNotFoundError(
      f"{folder}: no such folder; expected one with a calibration and a video or a "
      "folder of pictures for each camera, see docs/multiview.md."
    )
  calibrated = bool(multiview_calibration.candidates(folder))
  views, count = multiview_recordings.open_views(
    folder, None, names, calibrated=calibrated
  )
  found = [multiview_recordings.boxes(view, count) for view in views]
  boxes, present = (np.stack(x, 1) for x in zip(*found, strict=True))
  lenses = tuple(view.lens for view in views)
  rig = tuple(lens.camera for lens in lenses)
  known = Views(
    tuple(camera.name for camera in rig),
    tuple(view.source.image_size for view in views),
    rig if calibrated else None,
    lenses if calibrated else None,
  )

  def read(wanted):
    return multiview_recordings.pictures(views, count, wanted)

  return Clip(known, np.float32(boxes), present, float(views[0].source.fps), read)


def _records(records: list[dict]) -> Clip:
  """Clips of one recording, one after the other; see `multiview_records`."""
  first = records[0]
  names = tuple(text(name) for name in first["cameras"])
  sizes = tuple((int(w), int(h)) for w, h in first["image_size"])
  fixed = ("intrinsics", "camera_rotation", "camera_position")
  for record in records[1:]:
    same = [np.array_equal(record[key], first[key]) for key in fixed]
    if not all(same):
      raise ValueError(
        f"got the record {text(record['sequence'])!r} of other cameras than "
        f"{text(first['sequence'])!r}, expected clips of one recording; call once for "
        "each."
      )
  rig = tuple(
    Camera(*(np.asarray(part, np.float64) for part in parts), size, name)
    for *parts, size, name in zip(
      first["camera_rotation"],
      first["camera_position"],
      first["intrinsics"],
      sizes,
      names,
      strict=True,
    )
  )
  check_rig(rig, names)
  encoded = [image for record in records for image in record["images"]]
  boxes = np.concatenate([np.asarray(r["boxes"], np.float32) for r in records])
  present = np.concatenate([np.asarray(r["view_valid"], bool) for r in records])
  whole = [box_files.whole_frame(len(boxes), size).boxes for size in sizes]
  boxes = np.where(present[..., None], boxes, np.stack(whole, 1))

  def read(wanted):
    for frame in np.flatnonzero(wanted):
      part = encoded[frame * len(rig) : (frame + 1) * len(rig)]
      yield [np.asarray(multiview_records.decode(image)) for image in part]

  return Clip(Views(names, sizes, rig), boxes, present, float(first["fps"]), read)


def _arrays(images, *, cameras, boxes, fps) -> Clip:
  want = "expected (frames, views, height, width, 3) uint8, or one array for each view"
  if isinstance(images, np.ndarray):
    if images.ndim != 5:
      raise ValueError(f"got images of shape {images.shape}, {want}.")
    images = list(np.moveaxis(images, 1, 0))
  if not isinstance(images, (list, tuple)) or not len(images):
    raise ValueError(f"got images of type {type(images).__name__}, {want}.")
  arrays = [np.asarray(part) for part in images]
  shapes = [part.shape for part in arrays]
  for part in arrays:
    if part.dtype != np.uint8 or part.ndim != 4 or part.shape[-1] != 3:
      raise ValueError(
        f"got a view of shape {part.shape} and type {part.dtype}, {want}."
      )
  if len({shape[0] for shape in shapes}) > 1 or not shapes[0][0]:
    counts = ", ".join(str(shape[0]) for shape in shapes)
    raise ValueError(f"got views of {counts} frames, expected the same, at least one.")
  t, v = shapes[0][0], len(arrays)
  sizes = tuple((shape[2], shape[1]) for shape in shapes)
  names = tuple(str(i) for i in range(v))
  if cameras is not None:
    cameras = tuple(cameras)
    names = tuple(camera.name for camera in cameras)
    if len(cameras) != v:
      raise ValueError(
        f"got {len(cameras)} cameras for {v} views, expected one for each; None for "
        "all where there is no calibration."
      )
    check_rig(cameras, names)
    for camera, size in zip(cameras, sizes, strict=True):
      check_size(camera, size)
  found = [box_files.whole_frame(t, size).boxes for size in sizes]
  whole = np.stack(found, 1)
  boxes, present = checked_boxes(boxes, whole)

  def read(wanted):
    for frame in np.flatnonzero(wanted):
      yield [part[frame] for part in arrays]

  return Clip(
    Views(names, sizes, cameras), boxes, present, frame_rates.checked(fps) or 0.0, read
  )
