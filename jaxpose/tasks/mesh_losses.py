"""GLoT's training losses on windows of body parameters, joints and keypoints.

Shen et al., "Global-to-Local Modeling for Video-based 3D Human Pose and Shape
Estimation", CVPR 2023, arXiv 2303.14747, with the normalisation of the authors' code.
Each term is one number for a batch of windows. What a window lacks (3D joints, body
parameters) has weight 0 in `present`, so that 2D-only and 3D data share a batch of one
shape; a term that nothing in the batch has is 0.

`removed` marks the frames that the masked encoder did not see. The authors supervise
their global branch on these alone, yet divide by the number of all frames: half of the
frames removed halves the term. None counts every frame (the local branch).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

# Of spin49: the 14 joints that 3D terms compare, and the two hips among these.
COMMON = slice(25, 39)
_HIPS = (2, 3)

Removed = Bool[Array, "b t"] | None
Present = Float[Array, "b t"]
Scalar = Float[Array, ""]


def keypoints_2d(
  pred: Float[Array, "b t j 2"],
  target: Float[Array, "b t j 2"],
  confidence: Float[Array, "b t j"],
  removed: Removed = None,
) -> Scalar:
  """Squared error in crop units, weighted by confidence; the mean is over all."""
  weight = confidence * _mask(removed, pred)[..., None]
  return (weight[..., None] * (pred - target) ** 2).mean()


def joints_3d(
  pred: Float[Array, "b t 49 3"],
  target: Float[Array, "b t 49 3"],
  present: Present,
  removed: Removed = None,
) -> Scalar:
  """Squared error of the 14 common joints, metres, relative to the hips' middle."""
  error = _hip_centred(pred) - _hip_centred(target)
  return _mean(error**2, present, removed)


def velocity_2d(
  pred: Float[Array, "b t j 2"],
  target: Float[Array, "b t j 2"],
  confidence: Float[Array, "b t j"],
  removed: Removed = None,
  *,
  order: int = 1,
) -> Scalar:
  """Squared error of frame-to-frame (`order` 1) or second differences (2).

  The frames that have none, the last or the first and the last, count as 0 in the mean.
  A difference has the confidence of its first frame or, of order 2, of its middle one.
  """
  inner = _inner(pred.shape[1], order)
  weight = (confidence * _mask(removed, pred)[..., None])[:, inner]
  square = weight[..., None] * _difference(pred - target, order) ** 2
  return square.sum() / pred.size


def velocity_3d(
  pred: Float[Array, "b t 49 3"],
  target: Float[Array, "b t 49 3"],
  present: Present,
  removed: Removed = None,
  *,
  order: int = 1,
  masking: str = "mean",
  centred: bool = False,
) -> Scalar:
  """Squared error of the differences of the 14 common joints over time.

  Args:
    pred: metres.
    target: metres.
    present: whether a frame has true 3D joints.
    removed: see above.
    order: 1 velocities, 2 accelerations; frames that have none count as 0.
    masking: "mean" as in the authors' code, where a slip of an argument multiplies the
      error of all frames by the share of removed ones; "elementwise" lets the removed
      frames alone count, as in the other terms.
    centred: take differences relative to the hips' middle. The authors do not, so that
      a target with a world translation is asked of a body that has none.

  Raises:
    ValueError: unknown masking.
  """
  if masking not in ("mean", "elementwise"):
    raise ValueError(f"got masking {masking!r}, expected 'mean' or 'elementwise'.")
  choose = _hip_centred if centred else lambda x: x[:, :, COMMON]
  t = pred.shape[1]
  inner = _inner(t, order)
  change = _difference(choose(pred) - choose(target), order) ** 2
  padding = [(0, 0)] * change.ndim
  padding[1] = (inner.start, t - inner.stop)
  change = jnp.pad(change, padding)
  if masking == "elementwise":
    return _mean(change, present, removed)
  share = _mean(_mask(removed, pred), present, None)
  return _mean(change, present, None) * share


def rotations(
  pred: Float[Array, "b t j 3 3"],
  target: Float[Array, "b t j 3 3"],
  present: Present,
  removed: Removed = None,
) -> Scalar:
  """Squared error of the rotation matrices' entries, the root's orientation too."""
  return _mean((pred - target) ** 2, present, removed)


def betas(
  pred: Float[Array, "b t s"],
  target: Float[Array, "b t s"],
  present: Present,
  removed: Removed = None,
) -> Scalar:
  """Squared error of the shape components."""
  return _mean((pred - target) ** 2, present, removed)


# Term -> its function, the key of its predictions and targets, and that of the weights.
TERMS = dict(
  keypoints_2d=(keypoints_2d, "keypoints_2d", "confidence_2d"),
  joints_3d=(joints_3d, "joints_3d", "has_joints_3d"),
  velocity_2d=(velocity_2d, "keypoints_2d", "confidence_2d"),
  velocity_3d=(velocity_3d, "joints_3d", "has_joints_3d"),
  rotations=(rotations, "rotations", "has_smpl"),
  betas=(betas, "betas", "has_smpl"),
)


def term(
  out: dict, batch: dict, fn: str, key: str, *, supervise: str = "removed", **options
) -> Scalar:
  """A term by name, of a network's output and a batch's targets.

  Args:
    out: of `models.glot.Glot` in training.
    batch: targets of all frames of the windows, see `mesh_batches`. Of a prediction
      of fewer frames the target is the same number of frames in the middle.
    fn: name in `TERMS`.
    key: of the prediction: `global_...` for the global branch.
    supervise: frames that count in the global branch, "removed" by the mask, as the
      authors have it, or "all".
    **options: of the term's function.

  Raises:
    ValueError: the key is not what the term compares, or supervise is unknown.
  """
  if supervise not in ("removed", "all"):
    raise ValueError(f"got supervise={supervise!r}, expected 'removed' or 'all'.")
  function, target, weight = TERMS[fn]
  if key not in (target, f"global_{target}"):
    raise ValueError(
      f"loss term {fn!r}: got the key {key!r}, expected {target!r} or "
      f"'global_{target}'."
    )
  if key not in out:
    raise ValueError(
      f"loss term {fn!r}: the model gives no {key!r}; set its field body, which joints "
      "and keypoints are made with."
    )
  removed = out["mask"] if key != target and supervise == "removed" else None
  pred = out[key]
  first = (batch[target].shape[1] - pred.shape[1] + 1) // 2
  frames = slice(first, first + pred.shape[1])
  known = batch[weight][:, frames]
  return function(pred, batch[target][:, frames], known, removed, **options)


def _hip_centred(joints):
  common = joints[:, :, COMMON]
  return common - common[:, :, np.asarray(_HIPS)].mean(2, keepdims=True)


def _mask(removed, like):
  if removed is None:
    return jnp.ones(like.shape[:2], like.dtype)
  return removed.astype(like.dtype)


def _mean(values, present, removed):
  """Mean over the present frames, where frames that are not removed count as 0."""
  weight = present.astype(values.dtype) * _mask(removed, values)
  weight = weight.reshape(*weight.shape, *[1] * (values.ndim - 2))
  count = jnp.maximum(present.sum(), 1) * (values.size / present.size)
  return (weight * values).sum() / count


def _difference(x, order: int):
  for _ in range(order):
    x = x[:, 1:] - x[:, :-1]
  return x


def _inner(t: int, order: int) -> slice:
  """Frames that the differences are booked under."""
  if order not in (1, 2):
    raise ValueError(f"got differences of order {order}, expected 1 or 2.")
  return slice(order - 1, t - 1)
