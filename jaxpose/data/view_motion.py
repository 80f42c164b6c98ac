"""Captured motion as multi-view clips without pictures, to train a lifter on.

Records of `jaxpose.data.sequences` that share a `sequence` are one motion seen by
several cameras. They become `MultiviewData` whose images have no rows, so they take no
memory and everything else (windows, augmentations, scores) works as with pictures.
"""

import os

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.data.view_data import MultiviewData
from jaxpose.data.view_data import Source
from jaxpose.data.view_data import filled
from jaxpose.data.view_data import text
from jaxpose.geometry import Array
from jaxpose.geometry import camera_crops
from jaxpose.geometry import cameras
from jaxpose.geometry import namespace

# Longer side of a box round the body's surface over that of one round its joints: the
# median of synthetic_multiview/tiny.
SURFACE = 1.15


def from_records(
  records,
  *,
  frames: int,
  stride: int = 1,
  size: int = 64,
  scale: float = camera_crops.SCALE,
) -> MultiviewData:
  """Clips of every motion, in every phase of the stride.

  Args:
    records: see `sequences.features`.
    frames: of a window. Clips have up to four times as many; what is shorter than a
      window is left out.
    stride: frames of the motion from one frame of a clip to the next.
    size: pixels along each side of a crop.
    scale: side of a crop over the longer side of the box.

  Raises:
    ValueError: no motion is long enough, cameras of one motion do not see the same
      frames, or skeletons are mixed.
  """
  motions: dict[str, list[dict]] = {}
  for record in records:
    motions.setdefault(text(record["sequence"]), []).append(record)
  names = {text(r["skeleton"]) for rig in motions.values() for r in rig}
  if len(names) > 1:
    raise ValueError(
      f"got sequences of the skeletons {sorted(names)}, expected one skeleton."
    )
  views = max((len(rig) for rig in motions.values()), default=0)
  length, clips, sources = 4 * frames, [], []
  for name, rig in motions.items():
    arrays, source = _motion(name, rig, size, scale)
    total = len(arrays["frame_mask"])
    for phase in range(stride):
      for first in range(phase, total, length * stride):
        chosen = slice(first, first + length * stride, stride)
        if len(range(total)[chosen]) < frames:
          continue
        clips.append(
          {
            key: filled(key, a if "camera" in key else a[chosen], length, views)
            for key, a in arrays.items()
          }
        )
        frame_ids = tuple(range(total)[chosen])
        sources.append(source._replace(fps=source.fps / stride, frame_ids=frame_ids))
  if not clips:
    raise ValueError(
      f"got no motion of {frames} frames with a stride of {stride}, expected at least "
      "one; choose a smaller data.window or data.stride."
    )
  stacked = {key: np.stack([clip[key] for clip in clips]) for key in clips[0]}
  return MultiviewData(stacked, tuple(sources), skeletons.get(names.pop()), scale)


def load(folder: str | os.PathLike, split: str = "train", **options) -> MultiviewData:
  """A split of a built dataset of motion; `options` are those of `from_records`.

  Raises:
    ValueError: no such split, or what `from_records` refuses.
  """
  import tensorflow_datasets as tfds

  builder = tfds.builder_from_directory(folder)
  if split.split("[")[0] not in builder.info.splits:
    raise ValueError(
      f"dataset {builder.name!r} has no split {split!r}; it has "
      f"{', '.join(builder.info.splits)}."
    )
  return from_records(builder.as_data_source(split=split), **options)


def boxes(
  points: Float[Array, "*b j 2"], present: Bool[Array, "*b"]
) -> Float[Array, "*b 4"]:
  """Boxes (cx, cy, w, h) as wide as the body's surface; 1 by 1 where it is absent."""
  xp = namespace(points, present)
  low, high = points.min(-2), points.max(-2)
  made = xp.concatenate([(low + high) / 2, xp.maximum(SURFACE * (high - low), 1)], -1)
  empty = xp.broadcast_to(xp.asarray([0, 0, 1, 1], made.dtype), made.shape)
  return xp.where(present[..., None], made, empty).astype(xp.float32)


def _motion(name: str, rig: list[dict], size: int, scale: float):
  """The arrays of `MultiviewData.clips` of one motion, all frames, and its source."""
  if not all("camera_rotation" in r and r.get("has_camera", True) for r in rig):
    raise ValueError(
      f"sequence {name!r}: got records without their cameras, expected "
      "camera_rotation, camera_position and intrinsics; take data.views=None, or build "
      "the data with its cameras."
    )
  rotation, position, lens = (
    np.stack([np.asarray(r[key], np.float32) for r in rig])
    for key in ("camera_rotation", "camera_position", "intrinsics")
  )
  lengths = sorted({len(r["joints_3d"]) for r in rig})
  if len(lengths) > 1:
    raise ValueError(
      f"sequence {name!r}: got cameras with {' and '.join(map(str, lengths))} frames, "
      "expected the same frames in all of them; build the dataset again."
    )
  mask = np.stack([np.asarray(r["frame_valid"], bool) for r in rig], 1)
  pixels = np.stack([np.asarray(r["keypoints_2d"], np.float32) for r in rig], 1)
  joints = np.asarray(rig[0]["joints_3d"], np.float64)
  world = cameras.camera_to_world(
    joints, rotation[0].astype(np.float64), position[0].astype(np.float64)
  )
  t, v, j, _ = pixels.shape
  box = boxes(pixels, mask)
  points = camera_crops.crop_points(pixels, box, size=size, scale=scale)
  known = np.broadcast_to(mask[..., None], (t, v, j))
  arrays = dict(
    images=np.zeros((t, v, 0, size, 3), np.uint8),
    view_mask=mask,
    intrinsics=camera_crops.crop_intrinsics(
      np.broadcast_to(lens, (t, v, 9)), box, size=size, scale=scale
    ),
    camera_rotation=rotation,
    camera_position=position,
    boxes=box,
    keypoints_2d=np.where(known[..., None], points, 0).astype(np.float32),
    keypoints_valid=known,
    visible=known,
    joints_3d=world.astype(np.float32),
    joints_valid=np.ones((t, j), bool),
    frame_mask=np.ones(t, bool),
  )
  labels = (text(rig[0][key]) for key in ("subject", "action"))
  names = tuple(text(r["camera"]) for r in rig)
  boxes_from = "the 2D joints of the data"
  fps = float(rig[0]["fps"])
  return arrays, Source(name, *labels, names, fps, box_source=boxes_from)
