"""Windows of video, resampled to the frame rate of a network's training.

A network knows motion by its own rate: video of another one looks faster or slower to
it. So the window of the input frame at the time t holds the input at t + k / rate, on
the straight line between the frames before and after. Poses are those of the input's
own frames, and nothing is resampled back. Places are counted in input frames, from the
first one of the clip.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Shaped

Number = int | float | np.number

_DECIMALS = 6  # of a frame: what is nearer to one than rounding errors is that frame


def checked(fps: Any) -> float | None:
  """Frames per second as given; None if they are not known.

  Raises:
    ValueError: they are not a number above 0.
  """
  if fps is None:
    return None
  if not isinstance(fps, (int, float, np.number)) or not 0 < fps < np.inf:
    raise ValueError(
      f"got fps={fps!r}, expected frames per second, a number above 0; leave it out if "
      "it is not known."
    )
  return float(fps)


def ratio(fps: Number | None, rate: Number | None) -> float:
  """Input frames from one frame of a window to the next; 1 if a rate is not known.

  Args:
    fps: frames per second of the input.
    rate: that the network was trained at.
  """
  return float(fps) / float(rate) if fps and rate else 1.0


def offsets(window: int, after: int, ratio: float) -> Float[np.ndarray, " w"]:
  """Places of a window's frames, from the frame that it is about.

  Args:
    window: frames of the window.
    after: how many of them come after the one that it is about.
    ratio: of the rates.
  """
  return np.round((np.arange(window) - (window - 1 - after)) * ratio, _DECIMALS)


def reach(offsets: Float[np.ndarray, " w"]) -> tuple[int, int]:
  """Input frames before and after a frame that its window needs."""
  return int(np.ceil(-offsets[0])), int(np.ceil(offsets[-1]))


def sample(
  array: Shaped[np.ndarray, "t ..."], at: Float[np.ndarray, "n w"]
) -> Shaped[np.ndarray, "n w ..."]:
  """A clip at places between its frames; before and after it its ends are held.

  At whole frames, those of the clip bit by bit.
  """
  before, after, share = _neighbours(at, len(array))
  if not share.any():
    return array[before]
  share = share.astype(array.dtype).reshape(*share.shape, *[1] * (array.ndim - 1))
  return array[before] + share * (array[after] - array[before])


def least(
  confidence: Float[np.ndarray, "t ..."], at: Float[np.ndarray, "n w"]
) -> Float[np.ndarray, "n w ..."]:
  """Confidence of what `sample` gives: the lesser of the two neighbours'."""
  before, after, _ = _neighbours(at, len(confidence))
  return np.minimum(confidence[before], confidence[after])


def nearest(at: Float[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
  """The nearest frames, for what cannot be interpolated; outside of the clip too."""
  return np.floor(np.round(at, _DECIMALS) + 0.5).astype(int)


def _neighbours(at, count: int):
  at = np.round(np.clip(at, 0, count - 1), _DECIMALS)
  before = np.floor(at).astype(int)
  return before, np.ceil(at).astype(int), at - before
