"""The multi-view network instant by instant, for cameras as they film."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpose import boxes as box_files
from jaxpose import frame_rates
from jaxpose import multiview_calibration
from jaxpose import multiview_placing
from jaxpose import multiview_recordings
from jaxpose import predict_views
from jaxpose.cameras import Camera
from jaxpose.multiview_calibration import Calibrated
from jaxpose.multiview_lens import Lens
from jaxpose.multiview_poses import MultiviewPoses
from jaxpose.multiview_views import Views
from jaxpose.multiview_views import check_rig
from jaxpose.multiview_views import check_size
from jaxpose.multiview_views import checked_boxes


class MultiviewStream:
  """`predict.multiview` for one instant at a time, without delay.

  stream = MultiviewStream("weights.npz", cameras="calibration.toml")
  for pictures in capture:  # one for each camera, None where there is none
    pose = stream.push(pictures)  # MultiviewPoses of one frame

  For networks with `causal=True`. The result of a frame is that of the window of T
  frames which ends with it, T the window of the weights: the network's last row for
  frames i - T + 1 to i, and row i of a window that begins with the stream while i < T.
  `predict.multiview` gives the same for causal networks, but for rounding. Each image
  is encoded once; of the last T frames their tokens are kept, so memory does not grow.
  """

  def __init__(
    self,
    weights: Any,
    *,
    cameras: Sequence[Camera] | str | os.PathLike | None = None,
    views: Sequence[str] | None = None,
    unit: str = "m",
    up: str = "z",
    reference: str | None = None,
    fps: Any = None,
  ):
    """Compiles the network for one instant.

    Args:
      weights: of a causal multi-view network: a released name or a path, or what
        `pretrained.load` returned.
      cameras: calibrated ones without distortion, or a calibration file (see
        docs/multiview.md), whose distortion is undone; None: not calibrated.
      views: names of the cameras, in the order of the pictures: those of the file to
        take; needed without a calibration.
      unit: of length in a file: "m", "cm" or "mm".
      up: axis of the file's world that points up: "z", "-z", "y" or "-y".
      reference: see `predict.multiview`.
      fps: frames per second, see `predict.multiview`.

    Raises:
      ValueError: the network is of another kind, or the cameras do not fit.
      FileNotFoundError: no such weights or no such file.
    """
    self._setup = predict_views.setup(weights)
    if not self._setup.model.module.causal:
      raise ValueError(
        "got weights of a network that looks ahead, expected one with causal=True; "
        "predict.multiview takes this one, or train with --config.model.causal=True."
      )
    self._fps = frame_rates.checked(fps) or 0.0
    self._ratio = self._setup.ratio(self._fps)
    self._calibrated, self._views = _views(cameras, views, unit, up)
    predict_views.require_rig(self._setup, self._views)
    self._reference = predict_views.reference_index(self._views, reference)
    self._rig = predict_views.rig_of(self._setup, self._views)
    count = len(self._views.names)
    self._sizes: list[tuple[int, int] | None] = [None] * count
    self.reset()
    self._step([None] * count, np.ones((count, 4), np.float32), np.zeros(count, bool))
    self.reset()

  @property
  def window(self) -> int:
    """Frames that the network remembers, the one just pushed included."""
    return self._setup.span(self._ratio)

  def reset(self) -> None:
    """Forgets what was pushed; the next push begins another recording."""
    views = len(self._views.names)
    self._memory = predict_views.empty(self._setup, views, self.window)
    self._pushed = 0

  def push(
    self, pictures: Sequence[np.ndarray | None], *, boxes: Any = None
  ) -> MultiviewPoses:
    """Takes an instant; gives its poses, arrays with one frame.

    Args:
      pictures: (height, width, 3) uint8 RGB of each view; None where there is none.
      boxes: (views, 4) of the person, (cx, cy, w, h) pixels, NaN where not seen; None:
        the whole pictures.

    Raises:
      ValueError: a picture or box is not what it should be.
    """
    names = self._views.names
    if len(pictures) != len(names):
      raise ValueError(
        f"got {len(pictures)} pictures, expected {len(names)}, one for each of the "
        f"views {', '.join(names)}; None for a view that is missing."
      )
    for v, picture in enumerate(pictures):
      if picture is not None:
        self._fit(v, np.asarray(picture))
    sizes = [size or (2, 2) for size in self._sizes]
    whole = np.stack([box_files.whole_frame(1, size).boxes for size in sizes], 1)
    if boxes is not None:
      boxes = np.asarray(boxes, np.float32)[None]
    found, seen = checked_boxes(boxes, whole)
    found, seen = found[0], seen[0]
    seen = seen & np.asarray([picture is not None for picture in pictures])
    found = np.where(seen[:, None], found, whole[0])
    if self._views.lenses is not None:
      found = np.stack(
        [lens.box(box) for lens, box in zip(self._views.lenses, found, strict=True)]
      )
    return self._step(list(pictures), np.float32(found), seen)

  def _fit(self, v: int, picture: np.ndarray) -> None:
    """Sees that a picture is one of this view, whose size the first one decides."""
    name = self._views.names[v]
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
      raise ValueError(
        f"view {name!r}: got a picture of shape {picture.shape} and type "
        f"{picture.dtype}, expected (height, width, 3) uint8, RGB."
      )
    size = picture.shape[1], picture.shape[0]
    if self._sizes[v] == size:
      return
    if self._sizes[v] is not None:
      raise ValueError(
        f"view {name!r}: got a picture of {size[0]} x {size[1]} pixels, expected "
        f"{self._sizes[v][0]} x {self._sizes[v][1]} as before; make a new stream."
      )
    if self._calibrated is not None:
      camera = multiview_recordings.resized("stream", self._calibrated[v], size)
      lenses = list(self._views.lenses)
      lenses[v] = Lens(camera, size, max(size))
      rig = tuple(lens.camera for lens in lenses)
      self._views = dataclasses.replace(self._views, rig=rig, lenses=tuple(lenses))
    elif self._views.rig is not None:
      check_size(self._views.rig[v], size)
    self._sizes[v] = size

  def _step(self, pictures, boxes, seen) -> MultiviewPoses:
    setup, views = self._setup, self._views
    images = views.crop(pictures, boxes, seen, setup.size)[:, None]
    intrinsics = views.crop_intrinsics(boxes[None], setup.size)[0][:, None]
    self._memory = predict_views.remember(
      setup, self._memory, images, seen[:, None], intrinsics, self._rig
    )
    self._pushed = min(self._pushed + 1, self.window)
    # The memory ends with this frame; before it is full, the stream begins within it.
    before = np.round((self._pushed - 1) / self._ratio, 6)
    row = min(setup.window - 1, int(before))
    at = self.window - 1 + (np.arange(setup.window) - row) * self._ratio
    at = frame_rates.nearest(at)[None]
    out = predict_views.relate(setup, self._memory, at, self._rig, self._reference)
    return multiview_placing.put_together(
      views,
      boxes[None],
      seen[None],
      {key: array[:, row] for key, array in out.items()},
      size=setup.size,
      skeleton=setup.model.skeleton,
      turned=setup.turned,
      reference=self._reference,
      fps=self._fps,
    )


def _views(cameras, names, unit, up) -> tuple[list[Calibrated] | None, Views]:
  """What a file says of its cameras, and the views."""
  if isinstance(cameras, (str, os.PathLike)):
    path = pathlib.Path(cameras).expanduser()
    found = {c.name: c for c in multiview_calibration.read(path, unit=unit, up=up)}
    names = tuple(found if names is None else names)
    strangers = [name for name in names if name not in found]
    if strangers or not names:
      raise ValueError(
        f"{path}: got the views {', '.join(names) or 'none'}, expected some of its "
        f"cameras, {', '.join(found)}."
      )
    rig = [found[name] for name in names]
    # Until the first pictures come; their sizes may be others.
    sizes = [camera.size or tuple(_guess(camera)) for camera in rig]
    lenses = tuple(Lens(c, size, max(size)) for c, size in zip(rig, sizes, strict=True))
    cameras = tuple(lens.camera for lens in lenses)
    return rig, Views(names, tuple(sizes), cameras, lenses)
  if cameras is not None:
    rig = tuple(cameras)
    own = tuple(camera.name for camera in rig)
    if not rig or names is not None:
      raise ValueError(
        f"got {len(rig)} cameras and views={names}, expected at least one camera, and "
        "views with a calibration file or without cameras."
      )
    check_rig(rig, own)
    return None, Views(own, tuple(camera.image_size for camera in rig), rig)
  if not names:
    raise ValueError(
      "got neither cameras nor views, expected a calibration, or the names of the "
      "views where there is none."
    )
  return None, Views(tuple(names), ((2, 2),) * len(names))


def _guess(camera: Calibrated) -> list[int]:
  return [max(int(2 * c), 2) for c in camera.matrix[:2, 2]]
