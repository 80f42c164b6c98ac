"""Errors of 2D detectors, simulated on exact keypoints.

Noise, hidden joints, left and right exchanged, and joints in other places of the body
than motion capture has them. Keypoints are (b, t, j, 2) in the network's coordinates
(`normalize_screen`). Everything is drawn for each window on its own and runs inside the
jitted training step.

Places: annotators mark what they see, the nose or the outside of a hip; motion capture
has the centres that limbs turn about. A lifter for detectors is trained on keypoints
that are moved alike (`move_joints`); its targets stay those of motion capture. The
sizes are reasoned, not fitted to a detector.

Scores: each run of frames of a split draws its errors once, so that overlapping windows
see the same ones, and so does every model that is scored.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.data.pose_data import PoseData
from jaxpose.geometry import Array
from jaxpose.geometry import cameras
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons import head_points
from jaxpose.skeletons import skeleton_maps

_BOTH = 0.02  # metres: standard deviation of what both sides of the body share
_EACH = 0.01  # metres: of each joint on its own
_FACE = 0.015  # metres: of the nose and the crown besides
# Ears from the nose, in the head's sagittal plane: along the line to the crown, and at
# right angles to it (`head_points`).
_EARS = head_points.ears_from_nose_and_crown()


def move_joints(
  key: Array,
  keypoints_2d: Float[Array, "b t j 2"],
  joints_3d: Float[Array, "b t j 3"],
  skeleton: Skeleton,
) -> Float[Array, "b t j 2"]:
  """The keypoints of a detector that has other places in mind than the skeleton.

  Each window draws an offset for every joint, which then moves with the trunk. Those of
  left and right joints are mirror images of each other but for a small part. Of h36m17,
  furthermore, the spine lies half way between hips and shoulders, and the head where
  `skeleton_maps.joint_map` puts it over the ears of COCO and BlazePose.

  Args:
    key: JAX random key.
    keypoints_2d: normalised; of a pinhole camera.
    joints_3d: of the same frames, metres, the camera's frame.
    skeleton: of the joint axis, with hips and shoulders.

  Raises:
    ValueError: the skeleton lacks hips or shoulders.
  """
  lacking = [
    name
    for name in ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
    if name not in skeleton.joints
  ]
  if lacking:
    raise ValueError(
      f"got the skeleton {skeleton.name!r} without {', '.join(lacking)}, expected one "
      "with hips and shoulders to move joints with; use augment.joint_places=0."
    )
  before = _rays(joints_3d)
  after = _rays(move_joints_3d(key, joints_3d, skeleton))
  focal = cameras.fit_focal(keypoints_2d, joints_3d)[:, None, None, None]
  return keypoints_2d + focal * (after - before)


def move_joints_3d(
  key: Array, joints_3d: Float[Array, "b t j 3"], skeleton: Skeleton
) -> Float[Array, "b t j 3"]:
  """The joints that `moved` projects; any frame with its axes right-handed."""
  keys = jax.random.split(key)
  trunk = _trunk(joints_3d, skeleton)
  joints = joints_3d
  if skeleton.name == "h36m17":
    joints = _as_marked(keys[0], joints, skeleton)
  offset = _offsets(keys[1], joints.shape[0], skeleton)
  return joints + jnp.einsum("bjk,btkc->btjc", offset, trunk)


def _trunk(joints: Array, skeleton: Skeleton) -> Float[Array, "b t 3 3"]:
  """Unit vectors of each frame's trunk: to its left, up, and forward."""

  def at(name):
    return joints[:, :, skeleton.index(name)]

  across = at("left_shoulder") - at("right_shoulder") + at("left_hip") - at("right_hip")
  up = at("left_shoulder") + at("right_shoulder") - at("left_hip") - at("right_hip")
  up = _unit(up)
  forward = _unit(jnp.cross(across, up))
  return jnp.stack([jnp.cross(up, forward), up, forward], -2)


def _as_marked(key, joints, skeleton):
  """h36m17's middle line from the points that annotators mark."""

  def at(name):
    return joints[:, :, skeleton.index(name)]

  def middle(part):
    return (at(f"left_{part}") + at(f"right_{part}")) / 2

  shoulders, hips, nose = middle("shoulder"), middle("hip"), at("neck")
  left = _unit(jnp.cross(at("head") - shoulders, nose - shoulders))
  line = at("head") - nose
  ears = nose + _EARS[0] * line + _EARS[1] * jnp.cross(left, line)
  wrong = _FACE * jax.random.normal(key, (2, joints.shape[0], 1, 3), joints.dtype)
  over_ears, over_shoulders = skeleton_maps.CROWN
  marked = dict(
    hip=hips,
    spine=(hips + shoulders) / 2,
    thorax=shoulders,
    neck=nose + wrong[0],
    head=over_ears * ears + over_shoulders * shoulders + wrong[1],
  )
  for name, points in marked.items():
    joints = joints.at[:, :, skeleton.index(name)].set(points)
  return joints


def _offsets(key, b: int, skeleton: Skeleton) -> Float[Array, "b j 3"]:
  """Metres to the left, up and forward; alike on both sides of the body."""
  shape = (b, skeleton.num_joints, 3)
  mirror = skeleton.mirror
  alone = mirror == np.arange(len(mirror))
  both, each = jax.random.normal(key, (2, *shape))
  mirrored = both[:, mirror] * jnp.asarray([[[-1.0, 1.0, 1.0]]])
  scale = _BOTH / np.where(alone, 2, np.sqrt(2)).astype(np.float32)
  return jnp.asarray(scale)[None, :, None] * (both + mirrored) + _EACH * each


def _rays(joints: Float[Array, "b t j 3"]) -> Float[Array, "b t j 2"]:
  return joints[..., :2] / jnp.maximum(joints[..., 2:], 0.1)


def _unit(x: Array) -> Array:
  return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-6)


@dataclasses.dataclass(frozen=True)
class Errors:
  """How wrong a detector is; by default not at all.

  Attributes:
    noise: factor on `detector_noise`.
    dropout: share of joints that are hidden, see `joint_dropout`.
    swaps: share of frames with exchanged sides, see `side_swaps`.
    places: factor on `detector_errors.move_joints`.
    exact: share of the windows that stay as they are.
  """

  noise: float = 0.0
  dropout: float = 0.0
  swaps: float = 0.0
  places: float = 0.0
  exact: float = 0.0


# What "a detector's errors" means in scores.
TYPICAL = Errors(noise=1.0, dropout=0.05, swaps=0.02, places=1.0)


def as_detected(
  key: Array,
  keypoints_2d: Float[Array, "b t j 2"],
  joints_3d: Float[Array, "b t j 3"],
  skeleton: Skeleton,
  errors: Errors,
) -> tuple[Float[Array, "b t j 2"], Float[Array, "b t j"]]:
  """Keypoints as a detector with these errors would give them, and confidences.

  Args:
    key: JAX random key.
    keypoints_2d: normalised.
    joints_3d: of the same frames, metres, the camera's frame.
    skeleton: of the joint axis.
    errors: which, and how large.

  Returns:
    Keypoints; confidences, 0 where a joint was hidden and else 1.
  """
  keys = jax.random.split(key, 5)
  points, confidence = keypoints_2d, jnp.ones(keypoints_2d.shape[:-1], jnp.float32)
  if errors.places:
    moved = move_joints(keys[0], points, joints_3d, skeleton)
    points = points + errors.places * (moved - points)
  if errors.noise:
    noisy = detector_noise(keys[1], points, skeleton)
    points = points + errors.noise * (noisy - points)
  if errors.swaps:
    swapped = side_swaps(keys[2], points, skeleton, errors.swaps)
    points = exchange_sides(points, swapped, skeleton)
  if errors.dropout:
    points, confidence = joint_dropout(keys[3], points, errors.dropout)
  if errors.exact:
    exact = jax.random.bernoulli(keys[4], errors.exact, (len(points), 1, 1))
    points = jnp.where(exact[..., None], keypoints_2d, points)
    confidence = jnp.where(exact, 1.0, confidence)
  return points, confidence


def joint_noise_scale(skeleton: Skeleton) -> Float[np.ndarray, " j"]:
  """Relative 2D noise per joint: 1 at the root, 2 at the ends of the longest limb.

  Grows with the number of bones to the root, as detectors are surest of the hips and
  least sure of wrists and ankles.
  """
  depth = np.zeros(skeleton.num_joints)
  for j in range(skeleton.num_joints):
    parent = skeleton.parents[j]
    while parent >= 0:
      depth[j] += 1
      parent = skeleton.parents[parent]
  return (1 + depth / max(depth.max(), 1)).astype(np.float32)


def detector_noise(
  key: Array,
  keypoints_2d: Float[Array, "b t j 2"],
  skeleton: Skeleton,
  *,
  white: float = 0.004,
  drift: float = 0.008,
  memory: float = 0.9,
  outlier_rate: float = 0.05,
  outlier_factor: float = 4.0,
) -> Float[Array, "b t j 2"]:
  """Adds the errors of a 2D detector: frame-to-frame jitter and slow drift.

  Standard deviations are in units of the person's size in the window (diagonal of the
  mean frame's box), because detectors err in proportion to the person, and are scaled
  by `joint_noise_scale`. Both parts have heavy tails (a contaminated normal): a share
  of the frames (jitter) and of the joints of a window (drift) is `outlier_factor`
  times as wrong.

  Args:
    key: JAX random key.
    keypoints_2d: normalised.
    skeleton: of the joint axis.
    white: jitter, independent from frame to frame.
    drift: stationary first-order autoregressive error.
    memory: correlation of the drift between neighbouring frames.
    outlier_rate: share of outliers.
    outlier_factor: their standard deviation over the others'.
  """
  b, t, j, _ = keypoints_2d.shape
  keys = jax.random.split(key, 4)
  shape = keypoints_2d.shape

  def spread(key, *shape):
    wrong = jax.random.bernoulli(key, outlier_rate, shape)
    return jnp.where(wrong, outlier_factor, 1.0)

  jitter = white * jax.random.normal(keys[0], shape) * spread(keys[1], b, t, j, 1)
  # The autoregression as one product with its Cholesky factor; a scan over frames
  # would serialise them.
  factor = jnp.asarray(_autoregression(t, memory))
  slow = jnp.einsum("st,btjc->bsjc", factor, jax.random.normal(keys[2], shape))
  slow = drift * slow * spread(keys[3], b, 1, j, 1)
  box = keypoints_2d.max(2) - keypoints_2d.min(2)
  size = jnp.sqrt((box * box).sum(-1)).mean(1)[:, None, None, None]
  per_joint = jnp.asarray(joint_noise_scale(skeleton))[None, None, :, None]
  return keypoints_2d + (size * per_joint * (jitter + slow)).astype(keypoints_2d.dtype)


def side_swaps(
  key: Array,
  keypoints_2d: Float[Array, "b t j 2"],
  skeleton: Skeleton,
  rate: float,
  max_span: int = 9,
) -> Bool[Array, "b t j"]:
  """Where a detector takes left for right, for spans of 1 to `max_span` frames.

  It does so with the whole body, the joints from the hips down or those from the
  shoulders on, with equal chance. Detectors take sides for each other where they see no
  face: in windows whose person turns the back to the camera the share is 1.6 times
  `rate`, in others 0.4 times.

  Args:
    key: JAX random key.
    keypoints_2d: normalised.
    skeleton: of the joint axis, with hips and shoulders.
    rate: share of the frames with exchanged sides, where half of the people turn the
      back to the camera.
    max_span: longest span in frames.
  """
  if not 0 <= rate < 0.6:
    raise ValueError(f"got a rate of swaps of {rate}, expected 0 <= rate < 0.6.")
  b, t, _, _ = keypoints_2d.shape
  keys = jax.random.split(key, 4)
  sides = [skeleton.index(f"{side}_shoulder") for side in ("left", "right")]
  across = keypoints_2d[:, :, sides[0], 0] - keypoints_2d[:, :, sides[1], 0]
  behind = (across.mean(1) < 0)[:, None, None]  # a face shows the left at the right
  often = _spans(keys[0], (b, t, 1), 1.6 * rate, max_span)
  seldom = _spans(keys[1], (b, t, 1), 0.4 * rate, max_span)
  groups = jnp.asarray(_limbs(skeleton))
  group = jax.random.randint(keys[2], (b,), 0, len(groups))
  return jnp.where(behind, often, seldom) & groups[group][:, None]


def exchange_sides(
  values: Float[Array, "b t j c"], swapped: Bool[Array, "b t j"], skeleton: Skeleton
) -> Float[Array, "b t j c"]:
  """Values of joints, with those of the other side where `side_swaps` says so."""
  return jnp.where(swapped[..., None], values[:, :, skeleton.mirror], values)


def joint_dropout(
  key: Array,
  keypoints_2d: Float[Array, "b t j 2"],
  rate: float,
  max_span: int = 9,
) -> tuple[Float[Array, "b t j 2"], Float[Array, "b t j"]]:
  """Hides joints for spans of 1 to `max_span` frames.

  A hidden joint gets confidence 0 (the others 1) and the straight line between the
  frames where it was last and next seen, held before the first and after the last, as
  `np.interp` fills gaps. A joint hidden in the whole window gets the mean of the joints
  seen in each frame.

  Args:
    key: JAX random key.
    keypoints_2d: normalised.
    rate: expected share of hidden joints.
    max_span: longest span in frames.

  Returns:
    Keypoints and confidences.
  """
  if not 0 <= rate < 1:
    raise ValueError(f"got a dropout rate of {rate}, expected 0 <= rate < 1.")
  seen = ~_spans(key, keypoints_2d.shape[:3], rate, max_span)
  confidence = seen.astype(keypoints_2d.dtype)
  return _fill(keypoints_2d, seen), confidence


def coarse(
  key: Array, keypoints_2d: Float[Array, "b t j 2"], factor: float
) -> Float[Array, "b t j 2"]:
  """Keypoints of a video with fewer frames per second, interpolated to the given ones.

  Half of the windows stay as they are; the others keep every q-th frame, q from 1 to
  `factor` and not a whole number, and straight lines between.

  Args:
    key: JAX random key.
    keypoints_2d: normalised.
    factor: frames for one of the slowest video.
  """
  b, t = keypoints_2d.shape[:2]
  keys = jax.random.split(key, 3)
  step = jnp.exp(jax.random.uniform(keys[0], (b, 1), maxval=np.log(factor)))
  phase = step * jax.random.uniform(keys[1], (b, 1))
  frame = jnp.arange(t, dtype=jnp.float32)[None]
  below = jnp.floor((frame - phase) / step) * step + phase
  share = (frame - below) / step

  def hat(at):  # weights of the frames around fractional ones
    at = jnp.clip(at, 0, t - 1)[..., None]
    return jnp.maximum(1 - jnp.abs(at - frame[None]), 0)

  weights = (1 - share)[..., None] * hat(below) + share[..., None] * hat(below + step)
  kept = jax.random.bernoulli(keys[2], 0.5, (b, 1, 1))
  weights = jnp.where(kept, jnp.eye(t)[None], weights).astype(keypoints_2d.dtype)
  return jnp.einsum("bst,btjc->bsjc", weights, keypoints_2d, precision="highest")


def guesses(
  key: Array, points: Float[Array, "b t j 2"], rate: float, max_span: int = 9
) -> Float[Array, "b t j 2"]:
  """Errors of deviation 1, steady over spans that are a share `rate`; 0 elsewhere."""
  b, t, j, _ = points.shape
  keys = jax.random.split(key)
  factor = jnp.asarray(_autoregression(t, 0.95))
  slow = jax.random.normal(keys[0], points.shape)
  slow = jnp.einsum("st,btjc->bsjc", factor, slow)
  return jnp.where(_spans(keys[1], (b, t, j), rate, max_span)[..., None], slow, 0)


def _limbs(skeleton: Skeleton) -> Bool[np.ndarray, "3 j"]:
  """Joints of the whole body, of the legs, and of the arms."""

  def below(part):
    tops = {skeleton.index(f"{side}_{part}") for side in ("left", "right")}
    chosen = []
    for j in range(skeleton.num_joints):
      up = j
      while up >= 0 and up not in tops:
        up = skeleton.parents[up]
      chosen.append(up >= 0)
    return chosen

  return np.asarray([[True] * skeleton.num_joints, below("hip"), below("shoulder")])


def _autoregression(t: int, memory: float) -> Float[np.ndarray, "t t"]:
  """Cholesky factor of the covariance memory^|s - t|."""
  lag = np.subtract.outer(np.arange(t), np.arange(t))
  factor = np.where(lag >= 0, memory ** np.maximum(lag, 0.0), 0.0)
  factor[:, 1:] *= np.sqrt(1 - memory**2)
  return factor.astype(np.float32)


def _spans(
  key: Array, shape: tuple, rate: float, max_span: int
) -> Bool[Array, "b t j"]:
  """True in spans that start anywhere, also before the window, with equal chance."""
  b, t, j = shape
  key_start, key_length = jax.random.split(key)
  padded = (b, t + max_span - 1, j)
  start_rate = -np.log1p(-rate) / ((max_span + 1) / 2)
  starts = jax.random.bernoulli(key_start, -np.expm1(-start_rate), padded)
  length = jax.random.randint(key_length, padded, 1, max_span + 1)
  frame = jnp.arange(padded[1])[None, :, None]
  end = jax.lax.cummax(jnp.where(starts, frame + length, 0), axis=1)
  return (end > frame)[:, max_span - 1 :]


def _fill(points: Float[Array, "b t j 2"], seen: Bool[Array, "b t j"]) -> Array:
  """Unseen joints on the line between their neighbours in time that are seen."""
  t = points.shape[1]
  frame = jnp.broadcast_to(jnp.arange(t)[None, :, None], seen.shape)
  last = jax.lax.cummax(jnp.where(seen, frame, -1), axis=1)
  following = jax.lax.cummin(jnp.where(seen, frame, t), axis=1, reverse=True)
  never = (last < 0) & (following == t)
  before = jnp.where(last < 0, following, last)
  after = jnp.where(following == t, last, following)
  share = (frame - before) / jnp.maximum(after - before, 1)

  def at(index):
    index = jnp.clip(index, 0, t - 1)[..., None]
    return jnp.take_along_axis(points, jnp.broadcast_to(index, points.shape), 1)

  share = share[..., None].astype(points.dtype)
  line = at(before) + share * (at(after) - at(before))
  count = jnp.maximum(seen.sum(2, keepdims=True), 1)[..., None].astype(points.dtype)
  middle = jnp.where(seen[..., None], points, 0).sum(2, keepdims=True) / count
  filled = jnp.where(never[..., None], middle, line)
  return jnp.where(seen[..., None], points, filled)


_LONGEST = 2048  # frames that are drawn at once
_BATCH = 16


def with_errors(data: PoseData, errors: Errors = TYPICAL, seed: int = 0) -> PoseData:
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
  detected = jax.jit(as_detected, static_argnums=(3, 4))
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
