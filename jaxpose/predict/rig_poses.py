"""One person in several calibrated views to poses in the world, by three methods.

"dlt" triangulates every keypoint from all views, "ransac" from those that agree, where
these are more than half (see `triangulation`), and "lifter" runs a network that has
learned how bodies move (configs/multiview_lifter_cmu.py), placed where its joints lie
nearest to the rays.
"""

import functools
from typing import Any
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.data import clip_windows
from jaxpose.data import view_motion
from jaxpose.geometry import camera_crops
from jaxpose.geometry import triangulation
from jaxpose.models.multiview_lifters import FusedLifter
from jaxpose.models.multiview_lifters import SequenceLifter
from jaxpose.motion import frame_rates
from jaxpose.motion import gaps
from jaxpose.motion import smoothing
from jaxpose.predict import lifting
from jaxpose.predict import views_network
from jaxpose.predict.rig_people import MIN_CONFIDENCE
from jaxpose.predict.rig_people import Seen
from jaxpose.predict.rig_source import Rig
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons import skeleton_maps
from jaxpose.weights import pretrained

METHODS = ("lifter", "ransac", "dlt")
SKELETON = "h36m17"
MAX_GAP = 10  # frames; longer ones are not valid


class Poses(NamedTuple):
  """A person in the world.

  Attributes:
    joints_3d: metres, z up; NaN where nothing is known.
    skeleton: of the joints.
    valid: frames to trust: no joint is in a long gap.
    used: keypoints that the joints are made of: seen, and of "ransac" in agreement.
    raw: joints before smoothing, NaN in all gaps.
    report: in words.
  """

  joints_3d: Float[np.ndarray, "t j 3"]
  skeleton: Skeleton
  valid: Bool[np.ndarray, " t"]
  used: Bool[np.ndarray, "t v k"]
  raw: Float[np.ndarray, "t j 3"]
  report: str


def view_poses(
  person: Seen, rig: Rig, method: str, *, weights=None, smooth: str = "savgol"
) -> Poses:
  """The person's poses.

  Args:
    person: seen by the views.
    rig: the cameras.
    method: of `METHODS`.
    weights: of the lifter, what `rig_poses.loaded_lifter` returned.
    smooth: method of `smoothing`, or "none".

  Raises:
    ValueError: there is nothing from which 3D could be told.
  """
  seen = person.confidence >= MIN_CONFIDENCE
  used, told = seen, []
  if method == "lifter":
    raw, skeleton = lift_views(person, rig, weights)
  else:
    points, used = triangulated(person, rig, robust=method == "ransac")
    raw = skeleton_maps.convert(points, person.skeleton, SKELETON)
    skeleton = skeletons.get(SKELETON)
    if method == "ransac":
      told.append(_outvoted(seen, used, rig))
  missing = ~np.isfinite(raw).all(-1)
  if missing.all(0).any():
    never = ", ".join(np.asarray(skeleton.joints)[missing.all(0)])
    raise ValueError(
      f"person {person.name}: got no frame in which two views agree on {never}, "
      "expected one; look at keypoints and calibration."
    )
  lengths = gaps.gap_lengths(missing)
  told.insert(0, gaps.gap_report(lengths, skeleton.joints, MAX_GAP))
  joints = gaps.fill_gaps(raw, missing)
  if smooth != "none" and len(joints) >= 3:
    done = smoothing.smooth(joints, rig.fps, smooth)
    joints = done.points
    told.append(f"The poses: {done.report[0].lower()}{done.report[1:]}")
  told.append(agreement(joints, person, rig).report)
  return Poses(
    np.float32(joints),
    skeleton,
    (lengths <= MAX_GAP).all(-1),
    used,
    raw,
    "\n".join(told),
  )


def triangulated(
  person: Seen, rig: Rig, *, robust: bool
) -> tuple[Float[np.ndarray, "t k 3"], Bool[np.ndarray, "t v k"]]:
  """Keypoints in the world, NaN where two views do not give them, and what was used."""
  seen = person.confidence >= MIN_CONFIDENCE
  weight = np.where(seen, person.confidence, 0).astype(np.float64)
  rays, cameras = rig.rays(person.pixels), (rig.rotation[None], rig.position[None])
  if robust:
    limit = np.maximum(triangulation.AGREES * person.size, 1.0) / rig.focal
    points, used = triangulation.ransac(rays, *cameras, weight, limit)
    most = 2 * used.sum(1) > seen.sum(1)  # of four views two may agree by chance
    return np.where(most[..., None], points, np.nan), used & most[:, None]
  points, known = triangulation.triangulate(rays, *cameras, weight)
  known = known & ((weight > 0).sum(1) >= 2)
  return np.where(known[..., None], points, np.nan), seen & known[:, None]


class Agreement(NamedTuple):
  """How far joints, projected, are from the keypoints.

  Attributes:
    error: (t, v, j) pixels; NaN where the keypoint is not seen.
    report: medians by view.
  """

  error: np.ndarray
  report: str


def agreement(joints: Float[np.ndarray, "t j 3"], person: Seen, rig: Rig) -> Agreement:
  """Of joints of `SKELETON` with what its 2D map makes of the keypoints."""
  pixels = skeleton_maps.convert(person.pixels, person.skeleton, SKELETON)
  sure = skeleton_maps.convert_confidence(person.confidence, person.skeleton, SKELETON)
  away = np.linalg.norm(rig.pixels(np.float64(joints)) - pixels, axis=-1)
  error = np.where(sure >= MIN_CONFIDENCE, away, np.nan)
  each = []
  for v, name in enumerate(rig.names):
    known = error[:, v][np.isfinite(error[:, v])]
    each.append(f"{name} {np.median(known):.1f}" if len(known) else f"{name} none")
  return Agreement(
    error,
    "Joints projected lie beside the 2D joints by, median pixels by camera: "
    f"{', '.join(each)}.",
  )


def _outvoted(seen, used, rig: Rig) -> str:
  """Which keypoints the others outvoted."""
  lost = seen & ~used
  if not lost.any():
    return "All views agree on all keypoints."
  each = ", ".join(
    f"{name} {lost[:, v].sum() / max(seen[:, v].sum(), 1):.1%}"
    for v, name in enumerate(rig.names)
  )
  return f"Keypoints left out, as other views do not agree with them: {each}."


RELEASED = "multiview_lifter_cmu_8"
RATE = 12.5  # frames per second that it was trained on, if the weights do not say
_SIZE = 64  # pixels of a crop that is never cut out
_FEW = 5  # joints that make a view
_BATCH = 64  # windows
_INPUTS = (
  *("keypoints_input", "scores_input", "view_mask"),
  *("camera_rotation", "camera_position", "crop_intrinsics"),
)


def loaded_lifter(weights: Any) -> pretrained.Pretrained:
  """The lifter of these weights.

  Raises:
    FileNotFoundError: no such weights.
    ValueError: they are of another kind of model.
  """
  model = lifting.loaded(weights)
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


def lift_views(
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
  place = views_network.root(
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
  box = np.float64(view_motion.boxes(points, present))
  lens = np.stack([camera.intrinsics for camera in rig.cameras]).astype(np.float64)
  lens = camera_crops.crop_intrinsics(np.broadcast_to(lens, (t, v, 9)), box, size=_SIZE)
  inside = camera_crops.crop_points(pixels, box, size=_SIZE) * (2 / _SIZE) - 1
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
  plan = clip_windows.plan(count, window, causal, ratio)
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
