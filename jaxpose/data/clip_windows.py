"""Windows of whole clips, for scores and predictions: which frames each window sees.

For GLoT: `pose_data.gather` repeats the first and last frame where a video ends, which
is right for our own training and scores. The published numbers depend on the windows of
the authors' scripts, which treat the ends of a video in three ways. They are here as
matrices of frame numbers, for scores that compare with the paper.

For the multi-view networks, `plan`: the windows of a recording and the frame that each
of them answers for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Int


def training(
  names: Sequence[str] | np.ndarray, window: int = 16
) -> Int[np.ndarray, "n w"]:
  """Windows without overlap; the rest of a video, and short ones, are left out.

  Args:
    names: video of each frame. Its frames are taken in order, wherever they stand.
    window: frames of a window.
  """
  found = [np.empty((0, window), int)]
  for frames in _videos(names):
    count = len(frames) // window
    found.append(frames[: count * window].reshape(count, window))
  return np.concatenate(found)


def validation(
  names: Sequence[str] | np.ndarray, window: int = 16
) -> Int[np.ndarray, "n w"]:
  """One window for each frame that the authors score after an epoch.

  Of each video as many frames as whole windows fit; those too near its ends see
  themselves only, `window` times. Videos shorter than a window are left out.
  """
  found = [np.empty((0, window), int)]
  for frames in _videos(names):
    scored = len(frames) // window * window
    found.append(frames[alone_at_ends(scored, window)])
  return np.concatenate(found)


def alone_at_ends(num_frames: int, window: int = 16) -> Int[np.ndarray, "n w"]:
  """A window per frame; frames too near the ends see themselves only (their demo)."""
  centre = np.arange(num_frames)[:, None]
  frames = centre + _offsets(window)
  inside = (frames[:, :1] >= 0) & (frames[:, -1:] < num_frames)
  return np.where(inside, frames, centre)


def held_at_ends(
  num_frames: int, window: int = 16, *, compat_tail: bool = False
) -> Int[np.ndarray, "n w"]:
  """A window per frame; beyond the ends the first or the last frame is repeated.

  Args:
    num_frames: of the video; the authors skip videos shorter than a window.
    window: frames of a window; its frame `window // 2` is the one predicted.
    compat_tail: give the last windows in reverse order, as the authors' test script
      does: their last `window // 2 - 1` predictions of each video are compared with the
      wrong frames. For published numbers only.
  """
  centre = np.arange(num_frames)
  if compat_tail:
    tail = window - window // 2 - 1
    last = max(num_frames - tail, 0)
    centre = np.concatenate([centre[:last], centre[last:][::-1]])
  return np.clip(centre[:, None] + _offsets(window), 0, num_frames - 1)


def _offsets(window: int):
  return (np.arange(window) - window // 2)[None]


def _videos(names: Sequence[str] | np.ndarray):
  """Frame numbers of each video, in order of first appearance."""
  values, first, which = np.unique(
    np.asarray(names), return_index=True, return_inverse=True
  )
  del values
  return [np.flatnonzero(which == video) for video in np.argsort(first)]


class Plan(NamedTuple):
  """Windows, and which of them answers for each frame.

  Attributes:
    at: places in the recording, in frames, that the windows show; those beyond its end
      are missing.
    window: the one that is asked about each frame.
    row: of that window.
  """

  at: Float[np.ndarray, "n w"]
  window: Int[np.ndarray, " t"]
  row: Int[np.ndarray, " t"]


def plan(count: int, window: int, causal: bool, ratio: float = 1.0) -> Plan:
  """The windows of a clip, those that begin first first; no window begins before it.

  Frames that lie a multiple of `ratio` apart share windows. Of a causal network, each
  frame is asked about in the window that ends with it; the first ones in a window that
  begins with the clip. Else windows overlap by half, and a frame is asked about in the
  one in whose middle it is nearest; the last window ends with the clip.

  Args:
    count: frames of the clip.
    window: frames of a window.
    causal: whether the network does not look ahead.
    ratio: frames of the clip from one frame of a window to the next.
  """
  frames = np.arange(count)
  index = _floor(frames / ratio)  # among the frames of the clip a multiple away
  if causal:
    start = np.maximum(index - window + 1, 0)
  else:
    start = np.empty(count, int)
    lengths = index + 1 + _floor((count - 1 - frames) / ratio)
    for length in set(lengths.tolist()):
      same = lengths == length
      start[same] = _starts(length, window)[index[same]]
  row = index - start
  first, which = frames - row * ratio, frames
  if not causal:
    first, which = np.unique(np.round(first, 6), return_inverse=True)
  at = np.round(first[:, None] + np.arange(window)[None] * ratio, 6)
  return Plan(at, which, row)


def _starts(length: int, window: int) -> np.ndarray:
  """First frame of the window that is asked about each of so many frames."""
  step, end = max(window // 2, 1), max(length - window, 0)
  starts = np.append(np.arange(0, end, step), end)
  edges = (starts[1:] + starts[:-1] + window) // 2
  return starts[np.searchsorted(edges, np.arange(length), side="right")]


def _floor(places: np.ndarray) -> np.ndarray:
  """Whole numbers; what is nearer to the next one than rounding errors is that one."""
  return np.floor(np.round(places, 6)).astype(int)
