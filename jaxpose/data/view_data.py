"""Multi-view clips on disk to crops in memory, with cameras calibrated for the crops.

A split is decoded and cropped once and held as uint8; `jaxpose.data.view_windows` cuts
batches from it.
"""

import dataclasses
import os
from collections.abc import Sequence
from concurrent import futures
from typing import NamedTuple

import numpy as np

from jaxpose import skeletons
from jaxpose.data import view_records
from jaxpose.geometry import camera_crops


class Source(NamedTuple):
  """What a clip is called, and where it comes from.

  Attributes:
    sequence: name of the clip.
    subject: name.
    action: name.
    cameras: names.
    fps: frames per second.
    frame_ids: numbers of its frames in the recording; none if they are not known.
    box_source: what the boxes were made from, if the data says it.
  """

  sequence: str
  subject: str
  action: str
  cameras: tuple[str, ...]
  fps: float
  frame_ids: tuple[int, ...] = ()
  box_source: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class MultiviewData:
  """The clips of a split, cropped; shorter clips and smaller rigs are filled up.

  Attributes:
    clips: arrays with a leading axis over clips (n):
      images (n, t, v, s, s, 3) uint8 crops, RGB, black where there is none;
      view_mask (n, t, v) bool, where there is a picture;
      intrinsics (n, t, v, 9) of the crops, pixels, `fx fy cx cy k1 k2 k3 p1 p2`;
      camera_rotation (n, v, 3, 3) world to camera; camera_position (n, v, 3) metres;
      boxes (n, t, v, 4) that were cropped, image pixels;
      keypoints_2d (n, t, v, j, 2) pixels of the crops; keypoints_valid, visible
      (n, t, v, j) bool: known; seen by the camera and inside the crop;
      joints_3d (n, t, j, 3) world, metres; joints_valid (n, t, j) bool;
      frame_mask (n, t) bool, False for what fills up.
    sources: of each clip.
    skeleton: of the joint axis.
    scale: side of a crop over the longer side of its box.
  """

  clips: dict[str, np.ndarray]
  sources: tuple[Source, ...]
  skeleton: skeletons.Skeleton
  scale: float

  @property
  def frames(self) -> dict[str, np.ndarray]:
    """The clips: what windows are gathered from."""
    return self.clips

  @property
  def runs(self) -> dict[str, np.ndarray]:
    """Nothing: clips carry all that is theirs."""
    return {}

  @property
  def num_frames(self) -> int:
    """Frames of all clips."""
    return int(self.clips["frame_mask"].sum())

  @property
  def size(self) -> int:
    """Pixels along each side of a crop."""
    return self.clips["images"].shape[-2]

  @property
  def num_views(self) -> int:
    """Views of the largest rig."""
    return self.clips["images"].shape[2]

  @property
  def lengths(self) -> np.ndarray:
    """(n,) frames of each clip."""
    return self.clips["frame_mask"].sum(1)


def crop_record(record: dict, size: int, scale: float) -> dict[str, np.ndarray]:
  """The arrays of `MultiviewData.clips` of one record (see `view_records`)."""
  boxes = np.asarray(record["boxes"], np.float32)
  t, v, _ = boxes.shape
  mask = np.asarray(record["view_valid"], bool)
  encoded = list(record["images"])
  images = np.zeros((t, v, size, size, 3), np.uint8)
  for i, j in zip(*np.nonzero(mask), strict=True):
    picture = view_records.decode(encoded[i * v + j])
    images[i, j] = camera_crops.crop_picture(
      picture, boxes[i, j], size=size, scale=scale
    )
  intrinsics = np.asarray(record["intrinsics"], np.float32)
  points = camera_crops.crop_points(
    np.asarray(record["keypoints_2d"], np.float32), boxes, size=size, scale=scale
  )
  inside = ((points >= -0.5) & (points < size - 0.5)).all(-1)
  return dict(
    images=images,
    view_mask=mask,
    intrinsics=camera_crops.crop_intrinsics(
      np.broadcast_to(intrinsics, (t, v, 9)), boxes, size=size, scale=scale
    ),
    camera_rotation=np.asarray(record["camera_rotation"], np.float32),
    camera_position=np.asarray(record["camera_position"], np.float32),
    boxes=boxes,
    keypoints_2d=points,
    keypoints_valid=np.asarray(record["keypoints_valid"], bool) & mask[..., None],
    visible=np.asarray(record["visible"], bool) & inside & mask[..., None],
    joints_3d=np.asarray(record["joints_3d"], np.float32),
    joints_valid=np.asarray(record["joints_valid"], bool),
    frame_mask=np.ones(t, bool),
  )


def from_records(
  records: Sequence[dict], size: int, scale: float = camera_crops.SCALE
) -> MultiviewData:
  """`MultiviewData` of records as described in `view_records.features`.

  Raises:
    ValueError: no record, or records of several skeletons.
  """

  def read(i):  # once, for a record of a data set on disk is read anew each time
    r = records[i]
    source = Source(
      *(text(r[key]) for key in ("sequence", "subject", "action")),
      tuple(text(name) for name in r["cameras"]),
      float(r["fps"]),
      tuple(int(number) for number in r["frame_ids"]),
      text(r.get("box_source", "")),
    )
    return crop_record(r, size, scale), source, text(r["skeleton"])

  # Pillow lets go of the interpreter while it decodes.
  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    found = list(pool.map(read, range(len(records))))
  names = {name for _, _, name in found}
  if len(names) != 1:
    raise ValueError(
      f"got {len(records)} records of the skeletons {sorted(names)}, expected at least "
      "one and one skeleton; check the split's name and the dataset."
    )
  cropped, sources = [c for c, _, _ in found], tuple(s for _, s, _ in found)
  t = max(len(c["frame_mask"]) for c in cropped)
  v = max(c["view_mask"].shape[1] for c in cropped)
  clips = {}
  for key in list(cropped[0]):
    parts = [filled(key, c.pop(key), t, v) for c in cropped]
    clips[key] = np.stack(parts)
  return MultiviewData(clips, sources, skeletons.get(names.pop()), scale)


def filled(key: str, array: np.ndarray, t: int, v: int) -> np.ndarray:
  """An array of one clip, filled up to `t` frames and `v` views."""
  if key.startswith("camera_"):
    more = v - len(array)
    rest = np.eye(3) if key == "camera_rotation" else np.zeros(3)
    return np.concatenate([array, np.tile(rest, (more, *[1] * rest.ndim))]).astype(
      array.dtype
    )
  widths = [(0, t - len(array))]
  if key not in ("joints_3d", "joints_valid", "frame_mask"):
    widths.append((0, v - array.shape[1]))
  widths += [(0, 0)] * (array.ndim - len(widths))
  fill = 1.0 if key in ("intrinsics", "boxes") else 0
  return np.pad(array, widths, constant_values=fill)


def text(value) -> str:
  """A name as a string, stored as such or as bytes."""
  return value.decode() if isinstance(value, bytes) else str(value)


def load(
  folder: str | os.PathLike,
  split: str = "train",
  *,
  size: int,
  scale: float = camera_crops.SCALE,
) -> MultiviewData:
  """A split of a built dataset, in memory.

  Args:
    folder: of the built version, as `pose_data.prepare` returns it.
    split: TFDS split; slices such as "train[:10%]" too.
    size: pixels along each side of a crop.
    scale: side of a crop over the longer side of the box.

  Raises:
    ValueError: no such split, or nothing in it.
  """
  import tensorflow_datasets as tfds

  builder = tfds.builder_from_directory(folder)
  if split.split("[")[0] not in builder.info.splits:
    raise ValueError(
      f"dataset {builder.name!r} has no split {split!r}; it has "
      f"{', '.join(builder.info.splits)}."
    )
  return from_records(builder.as_data_source(split=split), size, scale)
