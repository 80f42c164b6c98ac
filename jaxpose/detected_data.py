"""Exact 2D keypoints of a split, replaced by those of a detector that errs.

For scores: each run of frames draws its errors once, so that windows that overlap see
the same ones, and every model that is scored sees them too.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import detector_errors
from jaxpose.data import PoseData
from jaxpose.detector_errors import Errors

_LONGEST = 2048  # frames that are drawn at once
_BATCH = 16


def with_errors(
  data: PoseData, errors: Errors = detector_errors.TYPICAL, seed: int = 0
) -> PoseData:
  """The same split, with the keypoints of a detector.

  Offsets of joints and slow drifts last for a run, or for 2048 frames of a longer one.

  Args:
    data: with exact keypoints and joints of the same skeleton.
    errors: which, and how large.
    seed: of the errors.
  """
  spans: dict[int, list[tuple[int, int]]] = {}  # padded length -> first frame, frames
  for first, last in zip(data.runs["first"], data.runs["last"], strict=True):
    for start in range(int(first), int(last) + 1, _LONGEST):
      count = min(_LONGEST, int(last) + 1 - start)
      padded = max(32, 1 << (count - 1).bit_length())
      spans.setdefault(padded, []).append((start, count))
  points = np.array(data.frames["keypoints_2d"])
  key = jax.random.key(seed)
  detected = jax.jit(detector_errors.detected, static_argnums=(3, 4))
  for padded, members in sorted(spans.items()):
    for i in range(0, len(members), _BATCH):
      batch = members[i : i + _BATCH]
      rows = [start + np.minimum(np.arange(padded), n - 1) for start, n in batch]
      rows = np.stack(rows + rows[-1:] * (_BATCH - len(batch)))
      exact = (data.frames[k][rows] for k in ("keypoints_2d", "joints_3d"))
      key, own = jax.random.split(key)
      made, _ = detected(own, *map(jnp.asarray, exact), data.skeleton, errors)
      for (start, n), one in zip(batch, np.asarray(made), strict=False):
        points[start : start + n] = one[:n]
  return dataclasses.replace(data, frames=data.frames | dict(keypoints_2d=points))
