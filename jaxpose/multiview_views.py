"""The cameras that see one person, from their pictures to crops and back."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import UInt8
from PIL import Image

from jaxpose import multiview_crops
from jaxpose import triangulation
from jaxpose.cameras import Camera
from jaxpose.multiview_lens import Lens


@dataclasses.dataclass(frozen=True, eq=False)
class Views:
  """The cameras of a recording.

  Attributes:
    names: of the cameras.
    image_size: (width, height) of the pictures of each.
    rig: the cameras without distortion, with pictures of that size; None if unknown.
    lenses: from recorded pictures to undistorted ones; None where nothing changes.
  """

  names: tuple[str, ...]
  image_size: tuple[tuple[int, int], ...]
  rig: tuple[Camera, ...] | None = None
  lenses: tuple[Lens, ...] | None = None

  @property
  def rotation(self) -> Float[np.ndarray, "v 3 3"]:
    """World to camera."""
    return np.stack([camera.rotation for camera in self.rig])

  @property
  def position(self) -> Float[np.ndarray, "v 3"]:
    """Of the cameras in the world, metres."""
    return np.stack([camera.position for camera in self.rig])

  def crop_intrinsics(
    self, boxes: Float[np.ndarray, "t v 4"], size: int
  ) -> Float[np.ndarray, "t v 4"]:
    """Of the crops round these boxes, in crop units; a dummy without a rig."""
    if self.rig is None:
      return np.ones_like(boxes)
    own = np.stack([camera.intrinsics for camera in self.rig])
    own = np.broadcast_to(np.float64(own), (*boxes.shape[:2], 9))
    crops = multiview_crops.crop_intrinsics(own, np.float64(boxes), size=size)
    return triangulation.unit_intrinsics(crops, size)

  def crop(
    self,
    pictures: Sequence[np.ndarray | None],
    boxes: Float[np.ndarray, "v 4"],
    present: Bool[np.ndarray, " v"],
    size: int,
  ) -> UInt8[np.ndarray, "v {size} {size} 3"]:
    """What the network sees of one frame; black where a view is missing."""
    crops = np.zeros((len(boxes), size, size, 3), np.uint8)
    for v in np.flatnonzero(present):
      picture = pictures[v]
      if self.lenses is not None:
        picture = self.lenses[v].picture(picture)
      picture = Image.fromarray(picture)
      crops[v] = multiview_crops.crop_picture(picture, boxes[v], size=size)
    return crops

  def recorded(
    self, points: Float[np.ndarray, "t v j 2"]
  ) -> Float[np.ndarray, "t v j 2"]:
    """Pixels of the recorded pictures of pixels of the undistorted ones."""
    if self.lenses is None:
      return points
    return np.stack(
      [lens.original(points[:, v]) for v, lens in enumerate(self.lenses)], 1
    )


def check_rig(rig: Sequence[Camera], names: Sequence[str]) -> None:
  """ValueError for cameras that cannot be, or whose pictures are distorted."""
  if len(set(names)) < len(names):
    raise ValueError(
      f"got cameras of one name in {', '.join(names)}, expected different ones; give "
      "each Camera its name=."
    )
  for camera in rig:
    parts = dict(
      rotation=((3, 3), camera.rotation),
      position=((3,), camera.position),
      intrinsics=((9,), camera.intrinsics),
    )
    for part, (shape, values) in parts.items():
      if np.shape(values) != shape or not np.isfinite(values).all():
        raise ValueError(
          f"camera {camera.name!r}: got {part} = {np.asarray(values).tolist()}, "
          f"expected finite numbers of shape {shape}; calibrate it again."
        )
    if np.any(camera.intrinsics[4:]):
      raise ValueError(
        f"camera {camera.name!r}: got a lens with distortion, expected undistorted "
        "pictures and zeros in entries 4 to 8 of the intrinsics; a folder or a "
        "calibration file may say a distortion."
      )


def check_size(camera: Camera, size: tuple[int, int]) -> None:
  """ValueError unless pictures of that size are the camera's."""
  if tuple(camera.image_size) != tuple(size):
    raise ValueError(
      f"camera {camera.name!r}: got pictures of {size[0]} x {size[1]} pixels, expected "
      f"the calibrated {camera.image_size[0]} x {camera.image_size[1]}."
    )


def checked_boxes(
  boxes: Any, whole: Float[np.ndarray, "t v 4"]
) -> tuple[Float[np.ndarray, "t v 4"], Bool[np.ndarray, "t v"]]:
  """Boxes and where there are any; NaN is none, and None the whole picture."""
  if boxes is None:
    return whole, np.ones(whole.shape[:2], bool)
  boxes = np.asarray(boxes, np.float32)
  if boxes.shape != whole.shape:
    raise ValueError(
      f"got boxes of shape {boxes.shape}, expected {whole.shape}: (cx, cy, w, h) in "
      "pixels for each frame and view, NaN where the person is not seen."
    )
  present = ~np.isnan(boxes).any(-1)
  if not (np.isfinite(boxes) & (boxes[..., 2:] > 0).all(-1, keepdims=True))[
    present
  ].all():
    raise ValueError(
      "got a box without area, expected finite cx, cy and positive w, h, and NaN where "
      "the person is not seen."
    )
  return np.where(present[..., None], boxes, whole), present
