"""Smooths poses over time: a causal filter, also for streams, and an offline one.

Points are (frames, joints, 2 or 3). A point with a NaN is missing: it stays missing,
and what is seen after it does not suffer from it. Both filters treat all coordinates of
a joint alike, so that the result does not depend on the axes.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import scipy.signal
from jaxtyping import Float

Number = int | float | np.number


@dataclasses.dataclass(frozen=True)
class OneEuro:
  """The filter of Casiez et al. 2012: causal, smooth at rest, quick in fast motion.

  The detector's own, `jaxpose.motion.one_euro`, is MediaPipe's form of it: each
  coordinate by itself, without gaps of single joints, speeds in sizes of the person.

  Attributes:
    min_cutoff: Hz, of a joint at rest. Less is smoother, and slower to follow.
    beta: Hz for each m/s of speed. More follows fast motion with less lag. Smooth
      poses relative to the root, and the root by itself: else a walker's speed counts
      as motion of every joint.
    derivative_cutoff: Hz, of the speed that this is decided by.
    max_gap: seconds unseen after which a joint starts anew where it is seen.
  """

  min_cutoff: Number = 1.0
  beta: Number = 8.0
  derivative_cutoff: Number = 2.0
  max_gap: Number = 0.25


@dataclasses.dataclass(frozen=True)
class SavitzkyGolay:
  """A polynomial fitted to the frames around each: no lag, but it needs the future.

  Stretches between missing frames are smoothed by themselves, with shorter windows
  where they are short; those too short for a polynomial of this order to leave anything
  out stay as they are.

  Attributes:
    seconds: length of the window; in frames it is the nearest odd number below, but no
      shorter than what smooths at all (5 frames for order 2).
    order: of the polynomial.
  """

  seconds: Number = 0.2
  order: int = 2


METHODS: dict[str, OneEuro | SavitzkyGolay] = {
  "one_euro": OneEuro(),
  "one_euro_strong": OneEuro(beta=3.0),
  "savgol": SavitzkyGolay(),
  "savgol_strong": SavitzkyGolay(seconds=0.4),
}


class Smoothed(NamedTuple):
  """What `smooth` returns.

  Attributes:
    points: as they were given, smoothed.
    before: mean acceleration of the input, units per second squared.
    after: that of the result.
    moved: mean distance of the result from the input, units.
    report: these three in words.
  """

  points: np.ndarray
  before: float
  after: float
  moved: float
  report: str


class State(NamedTuple):
  """What the one-euro filter knows of the past.

  Attributes:
    points: (j, c) where each joint was last put; NaN before it is first seen.
    velocity: (j, c) smoothed, units per second.
    unseen: (j,) frames since it was last seen.
  """

  points: np.ndarray
  velocity: np.ndarray
  unseen: np.ndarray


def smooth(
  points: Float[np.ndarray, "t j c"],
  fps: Number,
  method: str | OneEuro | SavitzkyGolay = "one_euro",
  *,
  unit: str = "m",
  metres: Number = 1.0,
) -> Smoothed:
  """A clip made smooth, and by how much.

  Args:
    points: NaN where missing.
    fps: frames per second.
    method: a key of `METHODS`, or a filter with options of its own.
    unit: name of the points' unit, for the report; "m" is reported in mm.
    metres: in one unit, as the one-euro filter's `beta` counts speed in m/s. For pixels
      about 1.7 / the height of the person in pixels.

  Raises:
    ValueError: an option, a shape or the frame rate is not what it should be.
  """
  options = _options(method)
  points = _checked(points)
  _positive(fps, "fps", "frames per second")
  _positive(metres, "metres", "metres in one unit of the points")
  if isinstance(options, OneEuro):
    state, result = start(points.shape[1:]), np.empty_like(points)
    for i, frame in enumerate(points):
      state, result[i] = step(state, frame, fps, options, metres=metres)
  else:
    result = _savitzky_golay(points, fps, options)
  before, after = acceleration(points, fps), acceleration(result, fps)
  distance = np.linalg.norm(result - points, axis=-1)
  moved = float(np.nanmean(distance)) if np.isfinite(distance).any() else 0.0
  scale, name = (1000, "mm") if unit == "m" else (1, unit)
  report = (
    f"Mean acceleration {scale * before:,.0f} {name}/s² before smoothing, "
    f"{scale * after:,.0f} {name}/s² after; points moved by {scale * moved:.3g} {name} "
    "on average."
  )
  return Smoothed(result, before, after, moved, report)


def acceleration(points: Float[np.ndarray, "t j c"], fps: Number) -> float:
  """Mean size of the second difference, units/s²; 0 where no three frames are seen."""
  size = np.linalg.norm(np.diff(points, 2, axis=0), axis=-1) * float(fps) ** 2
  return float(np.nanmean(size)) if np.isfinite(size).any() else 0.0


def start(shape: tuple[int, int]) -> State:
  """The filter's state before the first frame of (joints, coordinates)."""
  return State(np.full(shape, np.nan), np.zeros(shape), np.zeros(shape[0]))


def step(
  state: State,
  points: Float[np.ndarray, "j c"],
  fps: Number,
  options: OneEuro = METHODS["one_euro"],
  *,
  metres: Number = 1.0,
) -> tuple[State, Float[np.ndarray, "j c"]]:
  """One frame through the one-euro filter: `smooth` is this, frame by frame.

  Args:
    state: of the frame before, or `start((joints, coordinates))`.
    points: of this frame, NaN where missing.
    fps: frames per second.
    options: of the filter.
    metres: in one unit of the points, see `smooth`.

  Raises:
    ValueError: another number of joints or coordinates than the state has.
  """
  if points.shape != state.points.shape:
    raise ValueError(
      f"got points of shape {points.shape} for a state of {state.points.shape}, "
      "expected equal shapes; call start(points.shape) for another clip."
    )
  seen = np.isfinite(points).all(-1)
  elapsed = ((state.unseen + 1) / float(fps))[:, None]
  known = np.isfinite(state.points).all(-1) & (elapsed[:, 0] <= options.max_gap)
  last = np.where(known[:, None], state.points, points)
  velocity = (points - last) / elapsed
  share = _share(options.derivative_cutoff, elapsed)
  velocity = state.velocity + share * (velocity - state.velocity)
  velocity = np.where(known[:, None], velocity, 0)
  speed = np.linalg.norm(velocity, axis=-1, keepdims=True) * float(metres)
  moved = last + _share(options.min_cutoff + options.beta * speed, elapsed) * (
    points - last
  )
  shown = seen[:, None]
  return State(
    np.where(shown, moved, state.points),
    np.where(shown, velocity, state.velocity),
    np.where(seen, 0, state.unseen + 1),
  ), np.where(shown, moved, np.nan)


def _share(cutoff, elapsed):
  """Weight of the new value in a low-pass of first order."""
  return 1 / (1 + 1 / (2 * np.pi * cutoff * elapsed))


def _savitzky_golay(points, fps, options: SavitzkyGolay) -> np.ndarray:
  window = max(round(options.seconds * float(fps)), options.order + 3)
  result = points.copy()
  result[~np.isfinite(points).all(-1)] = np.nan
  for j in range(points.shape[1]):
    seen = np.isfinite(points[:, j]).all(-1)
    edges = np.flatnonzero(np.diff(np.r_[0, seen, 0]))
    for first, last in edges.reshape(-1, 2):
      length = min(window, last - first)
      length -= 1 - length % 2  # odd
      if length > options.order + 1:
        result[first:last, j] = scipy.signal.savgol_filter(
          points[first:last, j], length, options.order, axis=0
        )
  return result


def _options(method) -> OneEuro | SavitzkyGolay:
  if isinstance(method, str):
    if method not in METHODS:
      raise ValueError(
        f"got the smoothing {method!r}, expected {', '.join(map(repr, METHODS))}, or a "
        "OneEuro or SavitzkyGolay with options of its own."
      )
    return METHODS[method]
  if isinstance(method, SavitzkyGolay):
    _positive(method.seconds, "seconds", "the window in seconds")
    if method.order < 0:
      raise ValueError(f"got order={method.order}, expected 0 or more.")
  else:
    _positive(method.min_cutoff, "min_cutoff", "hertz")
    _positive(method.derivative_cutoff, "derivative_cutoff", "hertz")
    if not method.beta >= 0:
      raise ValueError(f"got beta={method.beta}, expected 0 or more.")
  return method


def _checked(points) -> np.ndarray:
  points = np.array(points, np.float64)
  if points.shape[-1] not in (2, 3) or not points.size:
    raise ValueError(
      f"got points of shape {points.shape}, expected (frames, joints, 2) or (frames, "
      "joints, 3) with at least one frame."
    )
  return points


def _positive(value, name: str, what: str) -> None:
  if not 0 < value < np.inf:
    raise ValueError(f"got {name}={value}, expected {what}, above 0.")
