"""The lifter of several views at work on the keypoints of one person."""

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jaxpose import frame_rates
from jaxpose import multiview_crops
from jaxpose import multiview_motion
from jaxpose import multiview_placing
from jaxpose import multiview_plan
from jaxpose import predict_inputs
from jaxpose import pretrained
from jaxpose import skeleton_maps
from jaxpose import triangulation
from jaxpose.models.multiview_lifters import FusedLifter
from jaxpose.models.multiview_lifters import SequenceLifter
from jaxpose.skeletons import Skeleton
from jaxpose.views_people import MIN_CONFIDENCE
from jaxpose.views_people import Seen
from jaxpose.views_source import Rig

RELEASED = "multiview_lifter_cmu_8"
RATE = 12.5  # frames per second that it was trained on, if the weights do not say
_SIZE = 64  # pixels of a crop that is never cut out
_FEW = 5  # joints that make a view
_BATCH = 64  # windows
_INPUTS = (
  *("keypoints_input", "scores_input", "view_mask"),
  *("camera_rotation", "camera_position", "crop_intrinsics"),
)


def loaded(weights: Any) -> pretrained.Pretrained:
  """The lifter of these weights.

  Raises:
    FileNotFoundError: no such weights.
    ValueError: they are of another kind of model.
  """
  model = predict_inputs.loaded(weights)
  if not isinstance(model.module, (FusedLifter, SequenceLifter)):
    raise ValueError(
      f"got weights of the model {model.model['name']!r}, expected those of "
      "'multiview_lifter' for several views; train them with "
      "configs/multiview_lifter_cmu.py, or choose --method=ransac."
    )
  if tuple(model.inputs) != _INPUTS:
    raise ValueError(
      f"got a lifter with the inputs {', '.join(model.inputs)}, expected "
      f"{', '.join(_INPUTS)}; take one that reads the calibration."
    )
  return model


def lift(
  person: Seen, rig: Rig, model: pretrained.Pretrained
) -> tuple[Float[np.ndarray, "t j 3"], Skeleton]:
  """Joints in the world, NaN where nobody is seen, and their skeleton.

  The network is shown as many frames a second as in training, on the line between the
  recording's where these are others; each frame is taken from the window in whose
  middle it is nearest.
  """
  target = model.skeleton
  pixels = skeleton_maps.convert(person.pixels, person.skeleton, target.name)
  scores = skeleton_maps.convert_confidence(
    person.confidence, person.skeleton, target.name
  )
  present = _present(scores)
  joints = _relative(pixels, scores, rig, model)
  joints = joints - joints[:, target.root, None]
  scores = np.float32(np.where(present[..., None], scores, 0))
  place = multiview_placing.root(
    joints, rig.rays(pixels), scores, rig.rotation, rig.position
  )
  joints = joints + place[:, None]
  return np.where(present.any(1)[:, None, None], joints, np.nan), target


def _present(scores) -> np.ndarray:
  """Which views show somebody."""
  return (scores >= MIN_CONFIDENCE).sum(-1) >= _FEW


def _inputs(pixels, scores, rig: Rig) -> dict[str, np.ndarray]:
  """Keypoints (t, v, j, 2) in crop units, scores, view_mask, intrinsics."""
  t, v, *_ = pixels.shape
  seen, present = scores >= MIN_CONFIDENCE, _present(scores)
  count = np.maximum(seen.sum(-1), 1)[..., None]
  middle = np.where(seen[..., None], pixels, 0).sum(-2) / count
  points = np.where(seen[..., None], pixels, middle[..., None, :])
  box = np.float64(multiview_motion.boxes(points, present))
  lens = np.stack([camera.intrinsics for camera in rig.cameras]).astype(np.float64)
  lens = multiview_crops.crop_intrinsics(
    np.broadcast_to(lens, (t, v, 9)), box, size=_SIZE
  )
  inside = multiview_crops.crop_points(pixels, box, size=_SIZE) * (2 / _SIZE) - 1
  inside = np.where(present[..., None, None], np.clip(inside, -2, 2), 0)
  return dict(
    keypoints=np.float32(inside),
    scores=np.float32(np.where(present[..., None], scores, 0)),
    view_mask=present,
    intrinsics=np.float32(triangulation.unit_intrinsics(lens, _SIZE)),
  )


def _relative(pixels, scores, rig: Rig, model) -> np.ndarray:
  """(t, j, 3) relative to the root."""
  count, window = len(pixels), model.window
  ratio = frame_rates.ratio(rig.fps, model.fps or RATE)
  causal = getattr(model.module, "causal", False)
  plan = multiview_plan.plan(count, window, causal, ratio)
  run = _program(model.module)
  found = np.zeros((count, model.skeleton.num_joints, 3))
  size = min(len(plan.at), _BATCH)
  for first in range(0, len(plan.at), size):
    # The last batch is filled up.
    at = plan.at[np.minimum(np.arange(first, first + size), len(plan.at) - 1)]
    points, sure = frame_rates.sample(pixels, at), frame_rates.least(scores, at)
    flat = (array.reshape(-1, *array.shape[2:]) for array in (points, sure))
    windows = {
      key: np.swapaxes(array.reshape(size, window, *array.shape[1:]), 1, 2)
      for key, array in _inputs(*flat, rig).items()
    }
    mask = windows["view_mask"] & (at <= count - 1)[:, None]
    turn, place = (
      np.float32(np.broadcast_to(a[None], (size, *a.shape)))
      for a in (rig.rotation, rig.position)
    )
    out = run(
      model.variables,
      *(windows["keypoints"], windows["scores"], mask),
      *(turn, place, windows["intrinsics"]),
    )
    asked = np.flatnonzero((plan.window >= first) & (plan.window < first + size))
    found[asked] = np.asarray(out)[plan.window[asked] - first, plan.row[asked]]
  return found


@functools.lru_cache(maxsize=8)
def _program(module):
  @jax.jit
  def run(variables, *arrays):
    return module.apply(variables, *arrays)["joints_3d"]

  return run
