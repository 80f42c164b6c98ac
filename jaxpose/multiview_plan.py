"""Which windows of a recording the multi-view network sees, and what it is asked."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int


class Plan(NamedTuple):
  """Windows, and which frames each of them is asked about; all (n,).

  Attributes:
    start: first frame of the window.
    first: frame that is asked about.
    last: the one after the last that is.
    ready: frames that must be known before.
  """

  start: Int[np.ndarray, " n"]
  first: Int[np.ndarray, " n"]
  last: Int[np.ndarray, " n"]
  ready: Int[np.ndarray, " n"]


def plan(count: int, window: int, causal: bool) -> Plan:
  """The windows of a clip: every frame is asked about once.

  Of a causal network, each frame in the window that ends with it; the first ones in a
  window that begins with the clip. Else windows overlap by half, and a frame is asked
  about in the one in whose middle it is nearest; the last window ends with the clip.
  """
  if causal:
    first = np.arange(count)
    start = np.maximum(first - window + 1, 0)
    return Plan(start, first, first + 1, first + 1)
  step = max(window // 2, 1)
  end = max(count - window, 0)
  start = np.append(np.arange(0, end, step), end)
  edges = (start[1:] + start[:-1] + window) // 2
  last = np.append(edges, count)
  return Plan(start, np.append(0, edges), last, np.minimum(start + window, count))
