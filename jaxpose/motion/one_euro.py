"""The one-euro filter (Casiez et al., 2012) in MediaPipe's form, for the detector.

Each coordinate has a cutoff of its own, and speeds are those of the points as they
came, in sizes of the person per second: keypoints would not be MediaPipe's otherwise.
For poses take `jaxpose.motion.smoothing`, whose result does not depend on the axes and
which outlasts gaps of single joints.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

CUTOFF, BETA = 0.05, 80.0  # for keypoints, as MediaPipe has it


class Smoothed(NamedTuple):
  """What the filter remembers; its result is `values`.

  Attributes:
    raw: the last values as they came.
    values: smoothed.
    speed: smoothed, in units of `scale` per second.
  """

  raw: Float[np.ndarray, "j c"]
  values: Float[np.ndarray, "j c"]
  speed: Float[np.ndarray, "j c"]


def start(values: Float[np.ndarray, "j c"]) -> Smoothed:
  """The first values, as they are."""
  return Smoothed(values, values, np.zeros_like(values))


def step(
  before: Smoothed,
  values: Float[np.ndarray, "j c"],
  *,
  rate: float,
  scale: float,
  cutoff: float = CUTOFF,
  beta: float = BETA,
) -> Smoothed:
  """The next values, smoothed.

  Args:
    before: what the last step gave.
    values: the next ones.
    rate: per second.
    scale: size of the object, so that speeds do not depend on it.
    cutoff: in Hz, at rest.
    beta: growth of the cutoff with the speed.
  """
  speed = (values - before.raw) / scale * rate
  share = _share(1.0, rate)
  speed = share * speed + (1 - share) * before.speed
  share = _share(cutoff + beta * np.abs(speed), rate)
  return Smoothed(values, share * values + (1 - share) * before.values, speed)


def _share(cutoff, rate: float):
  """Of the new value, in a low pass."""
  return 1 / (1 + rate / (2 * np.pi * cutoff))


def track(
  points: Float[np.ndarray, "t j c"],
  seen: Bool[np.ndarray, " t"],
  scales: Float[np.ndarray, " t"],
  rate: float,
  *,
  gap: int = 0,
) -> Float[np.ndarray, "t j c"]:
  """Points over time, smoothed; it starts anew after frames in which nothing is seen.

  Args:
    points: of one person.
    seen: frames that count.
    scales: size of the person in each frame.
    rate: frames per second.
    gap: most frames without anything that it outlasts.
  """
  smoothed, before, last = points.copy(), None, 0
  for t in np.flatnonzero(seen):
    if before is None or t - last > gap + 1:
      before = start(points[t])
    else:
      now = rate / (t - last)
      before = step(before, points[t], rate=float(now), scale=float(scales[t]))
    smoothed[t], last = before.values, t
  return smoothed
