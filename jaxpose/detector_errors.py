"""What 2D detectors do wrong, put into exact keypoints: noise, and joints not seen.

Keypoints are (b, t, j, 2) in the network's coordinates (`normalize_screen`). Everything
is drawn for each window on its own and runs inside the jitted training step.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.geometry import Array
from jaxpose.skeletons import Skeleton


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
