"""Which windows of a recording the multi-view networks see, and what they are asked."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Int


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
