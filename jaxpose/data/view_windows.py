"""Batches of windows of multi-view clips: random for training, exact for scores.

A window is a clip, its first frame and some of its views. Axes are (b, t, v, ...):
windows, frames, views. What a training step sees is a function of seed and step, so
resuming needs no state.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from jaxtyping import Int

from jaxpose.data.view_data import MultiviewData
from jaxpose.geometry import Array


class Index(NamedTuple):
  """Which windows make a batch: clips, their first frames, their views in order."""

  clip: Int[Array, " b"]
  start: Int[Array, " b"]
  views: Int[Array, "b v"]


def gather(clips: dict[str, Array], index: Index, frames: int) -> dict[str, Array]:
  """The windows of a batch: every array of `clips` as (b, t, v, ...).

  Cameras are (b, v, ...), joints (b, t, j, ...). Works on NumPy and on JAX arrays.
  """
  clip = index.clip[:, None]
  frame = index.start[:, None] + np.arange(frames, dtype=np.int32)[None]
  batch = {}
  for key, array in clips.items():
    if key.startswith("camera_"):
      batch[key] = array[clip, index.views]
    elif key in ("joints_3d", "joints_valid", "frame_mask"):
      batch[key] = array[clip, frame]
    else:
      batch[key] = array[clip[..., None], frame[..., None], index.views[:, None]]
  return batch


class TrainingOrder:
  """Which windows each training step sees; a function of seed and step.

  An epoch visits every clip once, at a random first frame, with a random choice of
  views in random order. Views that a clip does not have are masked and come last.
  By action there are no epochs: see `pose_data.TrainingOrder`.
  """

  def __init__(
    self,
    data: MultiviewData,
    batch_size: int,
    *,
    frames: int,
    views: int | None = None,
    seed: int = 0,
    by_action: bool = False,
  ):
    """Prepares the order; nothing is drawn yet.

    Args:
      data: the clips; those with fewer frames than a window are left out.
      batch_size: windows of a step.
      frames: of a window.
      views: of a window; all if None.
      seed: of the order.
      by_action: draw first an action, with a chance that goes with the square root of
        its frames, then one of its clips, with one that goes with its frames.

    Raises:
      ValueError: no clip is long enough, or there are not as many views.
    """
    views = data.num_views if views is None else views
    _check(data, frames, views)
    self._long = np.flatnonzero(data.lengths >= frames)
    self._room = data.lengths - frames + 1
    self._absent = ~data.clips["view_mask"].any(1)
    self._size, self._views, self._seed = batch_size, views, seed
    self._share = None
    if by_action:
      names = np.asarray([data.sources[clip].action for clip in self._long])
      _, action = np.unique(names, return_inverse=True)
      share = data.lengths[self._long] / data.lengths[self._long].sum()
      share = share / np.sqrt(np.bincount(action, share))[action]
      self._share = share / share.sum()

  @property
  def steps_per_epoch(self) -> int:
    """Steps in which about every clip is seen once."""
    return max(len(self._long) // self._size, 1)

  def __call__(self, step: int) -> Index:
    """The index of the batch of a step (from 0)."""
    n, chosen = len(self._long), []
    at = step * self._size
    if self._share is not None:
      drawn = np.random.default_rng([self._seed, 0, step])
      chosen = drawn.choice(n, self._size, p=self._share)
    while len(chosen) < self._size:
      epoch, first = divmod(at + len(chosen), n)
      order = np.random.default_rng([self._seed, 0, epoch]).permutation(n)
      chosen.extend(order[first : first + self._size - len(chosen)])
    clip = self._long[chosen]
    rng = np.random.default_rng([self._seed, 1, step])
    start = (rng.random(self._size) * self._room[clip]).astype(np.int32)
    rank = rng.random((self._size, self._absent.shape[1])) + self._absent[clip]
    views = np.argsort(rank, 1)[:, : self._views].astype(np.int32)
    return Index(clip.astype(np.int32), start, views)


def evaluation_order(
  data: MultiviewData,
  batch_size: int,
  *,
  frames: int,
  views: Sequence[int] | None = None,
) -> Iterator[tuple[Index, Bool[np.ndarray, "b t"]]]:
  """Every frame of every clip that is long enough once; the last batch is padded.

  Args:
    data: the clips.
    batch_size: windows.
    frames: of a window. If a clip's length is no multiple, its last window goes back
      over frames that were in the one before.
    views: which, in this order; all if None.

  Yields:
    The index, and which frames count: not padding, and not seen in a window before.
  """
  views = np.arange(data.num_views) if views is None else np.asarray(views)
  _check(data, frames, int(views.max()) + 1)
  rows = []
  for clip in np.flatnonzero(data.lengths >= frames):
    length = int(data.lengths[clip])
    for start in range(0, length, frames):
      shift = max(start + frames - length, 0)
      rows.append((clip, start - shift, shift))
  rows = np.asarray(rows, np.int32)
  for first in range(0, len(rows), batch_size):
    at = first + np.arange(batch_size)
    clip, start, shift = rows[np.minimum(at, len(rows) - 1)].T
    counted = np.arange(frames)[None] >= shift[:, None]
    counted &= (at < len(rows))[:, None]
    chosen = np.tile(views.astype(np.int32), (batch_size, 1))
    yield Index(clip, start, chosen), counted


def _check(data: MultiviewData, frames: int, views: int) -> None:
  if not 1 <= frames <= data.lengths.max():
    raise ValueError(
      f"got windows of {frames} frames, expected 1 to {data.lengths.max()}, the length "
      "of the longest clip."
    )
  if not 1 <= views <= data.num_views:
    raise ValueError(f"got {views} views, expected 1 to {data.num_views}.")
