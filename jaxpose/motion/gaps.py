"""Gaps in the keypoints of a clip: how they are filled, and reported."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int


def fill_gaps(
  points: Float[np.ndarray, "t j c"], missing: Bool[np.ndarray, "t j"]
) -> Float[np.ndarray, "t j c"]:
  """Missing points interpolated linearly over time, held at the ends.

  A joint that is never seen stays as it is.
  """
  points, frame = points.copy(), np.arange(len(points))
  for j in np.flatnonzero(missing.any(0) & ~missing.all(0)):
    gone, seen = missing[:, j], ~missing[:, j]
    for c in range(points.shape[-1]):
      points[gone, j, c] = np.interp(frame[gone], frame[seen], points[seen, j, c])
  return points


def gap_lengths(missing: Bool[np.ndarray, "t j"]) -> Int[np.ndarray, "t j"]:
  """Frames of the gap that each missing keypoint lies in; 0 where it is seen."""
  lengths = np.zeros(missing.shape, int)
  for j in np.flatnonzero(missing.any(0)):
    for start, stop in _spans(missing[:, j]):
      lengths[start:stop, j] = stop - start
  return lengths


def _spans(chosen: Bool[np.ndarray, " t"]) -> np.ndarray:
  """(n, 2) start and stop of each stretch of True."""
  edges = np.diff(np.r_[False, chosen, False].astype(np.int8))
  return np.flatnonzero(edges).reshape(-1, 2)


def gap_report(
  gaps: Int[np.ndarray, "t j"], joints: Sequence[str], max_gap: int | None = None
) -> str:
  """What was missing, and which frames are not valid for it, in one or two lines.

  Args:
    gaps: from `gap_lengths`.
    joints: names of the joint axis.
    max_gap: longest gap that leaves its frames valid; None: nothing is said of that.
  """
  missing = gaps > 0
  if not missing.any():
    return "No keypoint was missing."
  counts = missing.sum(0)
  worst = [j for j in np.argsort(-counts, kind="stable") if counts[j]]
  parts = [f"{joints[j]} {counts[j]} (longest gap {gaps[:, j].max()})" for j in worst]
  text = (
    f"{counts.sum()} of {missing.size} keypoints ({missing.mean():.1%}) were missing "
    f"and interpolated over time: {_shortened(parts, 'joints')}."
  )
  if max_gap is not None and (gaps > max_gap).any():
    invalid = (gaps > max_gap).any(-1)
    text += (
      f"\n{invalid.sum()} frames lie in gaps of more than {max_gap} frames and are not "
      f"valid: {stretches(invalid)}."
    )
  return text


def stretches(chosen: Bool[np.ndarray, " t"]) -> str:
  """Frame numbers of each stretch of True, such as 3-6, 10-14."""
  parts = [f"{start}-{stop - 1}" for start, stop in _spans(chosen)]
  return _shortened(parts, "stretches")


def _shortened(parts: list[str], unit: str, most: int = 5) -> str:
  more = f" and {len(parts) - most} more {unit}" if len(parts) > most else ""
  return ", ".join(parts[:most]) + more


def fill_windows(
  values: Float[np.ndarray, "b t j c"], seen: Bool[np.ndarray, "b t j"]
) -> Float[np.ndarray, "b t j c"]:
  """`fill_gaps` for each window by itself, as networks of windows are trained.

  A joint that is not seen in the whole window is put to the mean of the joints that are
  seen in each frame; where the window shows nothing, everything is 0.
  """
  if seen.all():
    return values
  count = seen.sum(2, keepdims=True)
  shown = np.where(seen[..., None], values, 0)
  centre = shown.sum(2, keepdims=True) / np.maximum(count, 1)[..., None]
  shown = _interpolated(shown, seen)
  centre = _interpolated(centre.astype(values.dtype), count > 0)
  return np.where(seen.any(1)[:, None, :, None], shown, centre)


def _interpolated(values, seen):
  """Along axis 1; what is never seen is taken from any frame."""
  last = values.shape[1] - 1
  frame = np.arange(last + 1)[None, :, None]
  before = np.maximum.accumulate(np.where(seen, frame, -1), 1)
  after = np.where(seen, frame, last + 1)
  after = np.minimum.accumulate(after[:, ::-1], 1)[:, ::-1]
  before, after = (
    np.where(before < 0, after, before),
    np.where(after > last, before, after),
  )
  before, after = np.clip(before, 0, last), np.clip(after, 0, last)
  share = (frame - before) / np.maximum(after - before, 1)
  share = share[..., None].astype(values.dtype)
  start = np.take_along_axis(values, before[..., None], 1)
  stop = np.take_along_axis(values, after[..., None], 1)
  return start + share * (stop - start)
