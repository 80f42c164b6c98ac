"""Errors between predicted and true poses, used as training losses and as scores.

Every function takes `pred` and `target` in metres with the joint axis second to last
and answers one number per example (leading axes `*b`), in metres (`pck` and `auc`: a
fraction). Nothing is re-centred: whether the root is subtracted first is the caller's
or the protocol's business. `valid` weights joints (0 or False: the joint does not
count); an example without a valid joint scores 0. All but `pck` and `auc` are
differentiable, also where prediction and target coincide.
"""

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.geometry import Array
from jaxpose.geometry import namespace
from jaxpose.geometry import procrustes_align
from jaxpose.geometry import safe_norm

# The 14 joints of mpi3dhp17 that MPI-INF-3DHP scores by PCK and AUC; the pelvis, the
# spine and the middle of the head are left out.
MPI3DHP_GROUPS: dict[str, tuple[int, ...]] = dict(
  head=(0,),
  neck=(1,),
  shoulders=(2, 5),
  elbows=(3, 6),
  wrists=(4, 7),
  hips=(8, 11),
  knees=(9, 12),
  ankles=(10, 13),
)

# 0, 5, ..., 150 mm.
AUC_THRESHOLDS: tuple[float, ...] = tuple(0.005 * i for i in range(31))

Joints = Float[Array, "*b j 3"]
Sequence = Float[Array, "*b t j 3"]
Valid = Float[Array, "*b j"] | Bool[Array, "*b j"] | None
SequenceValid = Float[Array, "*b t j"] | Bool[Array, "*b t j"] | None


def mpjpe(pred: Joints, target: Joints, valid: Valid = None) -> Float[Array, "*b"]:
  """Mean distance over the joints (Protocol 1)."""
  return _mean(safe_norm(pred - target), valid)


def pa_mpjpe(pred: Joints, target: Joints, valid: Valid = None) -> Float[Array, "*b"]:
  """`mpjpe` after the best similarity, never a reflection (Protocol 2, P-MPJPE).

  The gradient goes through the alignment; it does not exist where all joints of the
  prediction are on one line.
  """
  xp = namespace(pred, target)
  fits_exactly = xp.zeros(pred.shape[:-2], bool)
  if valid is not None:
    pred, target = _at_centre(pred, valid), _at_centre(target, valid)
    # Any two joints can be laid on any other two.
    fits_exactly = (xp.asarray(valid) > 0).sum(-1) < 3
  centred = pred - pred.mean(-2, keepdims=True)
  collapsed = (centred * centred).sum((-2, -1)) == 0
  # The SVD has no gradient at these, so it is given another pose.
  stand_in = _stand_in(pred)
  odd = (fits_exactly | collapsed)[..., None, None]
  aligned = procrustes_align(
    xp.where(odd, stand_in, pred), xp.where(odd, stand_in, target)
  )
  middle = xp.broadcast_to(target.mean(-2, keepdims=True), target.shape)
  aligned = xp.where(collapsed[..., None, None], middle, aligned)
  aligned = xp.where(fits_exactly[..., None, None], target, aligned)
  return mpjpe(aligned, target, valid)


def n_mpjpe(pred: Joints, target: Joints, valid: Valid = None) -> Float[Array, "*b"]:
  """`mpjpe` after the best scale about the origin, no translation (Protocol 3)."""
  xp = namespace(pred, target)
  weight = _weights(pred[..., 0], valid)
  dot = (weight[..., None] * pred * target).sum((-2, -1))
  square = (weight[..., None] * pred * pred).sum((-2, -1))
  positive = square > 0
  scale = xp.where(positive, dot / xp.where(positive, square, 1), 1)
  return mpjpe(scale[..., None, None] * pred, target, valid)


def velocity_error(
  pred: Sequence, target: Sequence, valid: SequenceValid = None
) -> Float[Array, "*b"]:
  """Mean distance of frame-to-frame differences along one sequence (MPJVE).

  Metres per frame. A difference counts where both of its frames are valid; a sequence
  shorter than two frames has none and scores 0.
  """
  return _difference_error(pred, target, valid, 1)


def acceleration_error(
  pred: Sequence, target: Sequence, valid: SequenceValid = None
) -> Float[Array, "*b"]:
  """Mean distance of second differences along time, metres per frame squared."""
  return _difference_error(pred, target, valid, 2)


def pck(
  pred: Joints, target: Joints, valid: Valid = None, *, threshold: float = 0.15
) -> Float[Array, "*b"]:
  """Fraction of joints closer than `threshold` metres (strictly).

  MPI-INF-3DHP's PCK is this over the joints of `MPI3DHP_GROUPS`: its total weights each
  group by its number of joints.
  """
  distance = safe_norm(pred - target)
  return _mean((distance < threshold).astype(distance.dtype), valid)


def auc(pred: Joints, target: Joints, valid: Valid = None) -> Float[Array, "*b"]:
  """Mean of `pck` over the 31 thresholds 0, 5, ..., 150 mm (P-STMO's evaluation)."""
  xp = namespace(pred, target)
  distance = safe_norm(pred - target)
  passed = xp.stack([distance < t for t in AUC_THRESHOLDS]).astype(distance.dtype)
  return _mean(passed.mean(0), valid)


METRICS = {
  metric.__name__: metric
  for metric in (
    mpjpe,
    pa_mpjpe,
    n_mpjpe,
    velocity_error,
    acceleration_error,
    pck,
    auc,
  )
}


def _weights(like: Array, valid) -> Array:
  xp = namespace(like)
  return xp.ones_like(like) if valid is None else xp.asarray(valid).astype(like.dtype)


def _mean(values: Array, valid, axis=-1) -> Array:
  """Weighted mean; 0 where nothing is valid."""
  xp = namespace(values)
  if valid is None:
    return xp.asarray(values.mean(axis))
  weight = _weights(values, valid)
  total, count = (values * weight).sum(axis), weight.sum(axis)
  return xp.where(count > 0, total / xp.where(count > 0, count, 1), 0)


def _at_centre(points: Array, valid) -> Array:
  """Moves invalid joints to the mean of the valid ones: no weight in the alignment."""
  xp = namespace(points)
  weight = _weights(points[..., 0], valid)[..., None]
  count = weight.sum(-2, keepdims=True)
  mean = (weight * points).sum(-2, keepdims=True) / xp.where(count > 0, count, 1)
  return xp.where(weight > 0, points, mean)


def _stand_in(like: Array) -> Array:
  """Some pose without symmetries, of that shape."""
  xp = namespace(like)
  phase = np.arange(like.shape[-2])
  pose = np.stack([3 * np.cos(phase), 2 * np.sin(2 * phase), np.cos(3 * phase)], -1)
  return xp.broadcast_to(xp.asarray(pose, dtype=like.dtype), like.shape)


def _difference_error(pred, target, valid, order: int) -> Array:
  xp = namespace(pred, target)
  error = pred - target
  if error.shape[-3] <= order:
    return xp.asarray(error[..., :0, :, 0].sum((-2, -1)))
  for _ in range(order):
    error = error[..., 1:, :, :] - error[..., :-1, :, :]
    if valid is not None:
      valid = xp.minimum(valid[..., 1:, :], valid[..., :-1, :])
  return _mean(safe_norm(error), valid, (-2, -1))
