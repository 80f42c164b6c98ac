"""Several data sets in one: joined in memory, or each with its share of every batch."""

from collections.abc import Sequence

import numpy as np

from jaxpose.data import Index
from jaxpose.data import PoseData
from jaxpose.data import TrainingOrder

_KNOWN = ("has_joints_3d", "has_smpl")


def join(parts: Sequence[PoseData]) -> PoseData:
  """The runs of all parts, one part after the other.

  Raises:
    ValueError: the parts have other arrays or another skeleton than the first.
  """
  first = parts[0]
  for part in parts[1:]:
    if part.skeleton != first.skeleton or set(part.frames) != set(first.frames):
      raise ValueError(
        f"got data of {part.skeleton.name!r} with {', '.join(sorted(part.frames))}, "
        f"expected {first.skeleton.name!r} with {', '.join(sorted(first.frames))} as "
        "in the part before; mix only data of one kind."
      )
  starts = np.cumsum([0] + [part.num_frames for part in parts[:-1]])
  frames = {
    key: np.concatenate([np.asarray(part.frames[key]) for part in parts])
    for key in first.frames
  }
  runs = {}
  for key in ("first", "last"):
    shifted = [part.runs[key] + s for part, s in zip(parts, starts, strict=True)]
    runs[key] = np.concatenate(shifted).astype(np.int32)
  # What a part does not say of itself, it has.
  said = [key for key in _KNOWN if any(key in part.runs for part in parts)]
  for key in said:
    known = [part.runs.get(key, np.ones(len(part.views), np.float32)) for part in parts]
    runs[key] = np.concatenate(known)
  for key in ("camera_rotation", "camera_position"):
    if all(key in part.runs for part in parts):
      runs[key] = np.concatenate([part.runs[key] for part in parts])
  views = tuple(view for part in parts for view in part.views)
  return PoseData(frames, runs, views, first.skeleton)


class MixedOrder:
  """Batches of a fixed number of windows of each part; a function of the step.

  The windows of the first part come first, and each part has epochs of its own.
  """

  def __init__(self, parts: Sequence[PoseData], orders: Sequence[TrainingOrder]):
    """Takes the parts as `join` does, and the order within each."""
    frames = np.cumsum([0] + [part.num_frames for part in parts[:-1]])
    runs = np.cumsum([0] + [len(part.views) for part in parts[:-1]])
    self._orders = list(zip(orders, frames, runs, strict=True))

  @property
  def steps_per_epoch(self) -> int:
    """Steps in which the part that takes longest is seen about once."""
    return max(order.steps_per_epoch for order, _, _ in self._orders)

  def __call__(self, step: int) -> Index:
    """The index of the batch of a step (from 0), into the joined data."""
    found = []
    for order, frame, run in self._orders:
      index = order(step)
      found.append((index.centre + frame, index.run + run, index.flip))
    centre, run, flip = (np.concatenate(x) for x in zip(*found, strict=True))
    return Index(centre.astype(np.int32), run.astype(np.int32), flip)
