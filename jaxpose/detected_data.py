"""Exact 2D keypoints of a split, and those of a detector that errs in their place.

For scores: each run of frames draws its errors once, so that windows that overlap see
the same ones, and every model that is scored sees them too.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import detector_errors
from jaxpose import skeleton_maps
from jaxpose import skeletons
from jaxpose.data import PoseData
from jaxpose.detector_errors import Errors

_LONGEST = 2048  # frames that are drawn at once
_BATCH = 16


def with_errors(
  data: PoseData, errors: Errors = detector_errors.TYPICAL, seed: int = 0
) -> PoseData:
  """The same split, with the keypoints of a detector.

  Offsets of joints and slow drifts last for a run, or for 2048 frames of a longer one.
  Bodies keep their exact `keypoints_2d`, which are compared with; they get
  `detected_2d` (n, 17, 2), COCO's joints, and `detected_confidence` (n, 17), which
  `mesh_batches.inputs` takes.

  Args:
    data: with exact keypoints and joints of the same skeleton.
    errors: which, and how large.
    seed: of the errors.
  """
  points, joints, skeleton = _exact(data)
  spans: dict[int, list[tuple[int, int]]] = {}  # padded length -> first frame, frames
  for first, last in zip(data.runs["first"], data.runs["last"], strict=True):
    for start in range(int(first), int(last) + 1, _LONGEST):
      count = min(_LONGEST, int(last) + 1 - start)
      padded = max(32, 1 << (count - 1).bit_length())
      spans.setdefault(padded, []).append((start, count))
  confidence = np.ones(points.shape[:-1], np.float32)
  key = jax.random.key(seed)
  detected = jax.jit(detector_errors.detected, static_argnums=(3, 4))
  for padded, members in sorted(spans.items()):
    for i in range(0, len(members), _BATCH):
      batch = members[i : i + _BATCH]
      rows = [start + np.minimum(np.arange(padded), n - 1) for start, n in batch]
      rows = np.stack(rows + rows[-1:] * (_BATCH - len(batch)))
      exact = (jnp.asarray(array[rows]) for array in (points, joints))
      key, own = jax.random.split(key)
      made = map(np.asarray, detected(own, *exact, skeleton, errors))
      for (start, n), one, sure in zip(batch, *made, strict=False):
        points[start : start + n] = one[:n]
        confidence[start : start + n] = sure[:n]
  if skeleton is data.skeleton:
    new = dict(keypoints_2d=points)
  else:
    new = dict(detected_2d=points, detected_confidence=confidence)
  return dataclasses.replace(data, frames=data.frames | new)


def _exact(data: PoseData):
  """Keypoints (a copy) and joints in the skeleton that is detected."""
  points, joints = (np.array(data.frames[key]) for key in ("keypoints_2d", "joints_3d"))
  if "smpl_pose" not in data.frames:
    return points, joints, data.skeleton
  points, joints = (
    skeleton_maps.convert(x, data.skeleton.name, "coco17") for x in (points, joints)
  )
  return points, joints, skeletons.get("coco17")
