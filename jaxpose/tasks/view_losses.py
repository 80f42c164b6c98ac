"""Training losses of the multi-view network that are not in `jaxpose.metrics`.

The released code has one, the mean squared error in crop pixels
(`keypoints_2d_pixels`); all others are our choices. Each term is one number for a
batch: the mean over what its weights count, 0 where they count nothing. Configs name
them as in `TERMS`. Points are in crop units (see `jaxpose.geometry.crops`), lengths
in metres.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int

from jaxpose import skeletons
from jaxpose.geometry import safe_norm
from jaxpose.geometry.camera_crops import SCALE
from jaxpose.geometry.triangulation import project_to_crop

Points = Float[Array, "b v t j 2"]
Weight = Float[Array, "b v t j"] | Bool[Array, "b v t j"]
Images = Float[Array, "b v t"] | Bool[Array, "b v t"]
Scalar = Float[Array, ""]

BONES = skeletons.get("h36m17").bones
MIRROR = np.asarray(skeletons.get("h36m17").mirror)


def keypoints_2d(pred: Points, target: Points, weight: Weight) -> Scalar:
  """Absolute error of each coordinate in crop units.

  Args:
    pred: of the network.
    target: true points.
    weight: of each joint: in the image, and the image there.
  """
  return _mean(jnp.abs(pred - target).mean(-1), weight)


def keypoints_2d_either(pred: Points, target: Points, weight: Weight) -> Scalar:
  """As `keypoints_2d`, against the target or, where that is nearer, its other sides.

  Whether a small person shows the face or the back is learned late. Until then the
  least absolute error puts both arms and both legs into the middle; with this beside
  it, limbs are learned first, and which is left after that.

  Args:
    pred: of the network.
    target: true points of h36m17; left and right change places, in whole images.
    weight: of each joint: in the image, and the image there.

  Raises:
    ValueError: as many joints as h36m17 has not.
  """
  if pred.shape[-2] != len(MIRROR):
    raise ValueError(
      f"got {pred.shape[-2]} joints, expected the {len(MIRROR)} of 'h36m17'; take the "
      "term views_2d alone."
    )
  weight = weight.astype(pred.dtype)
  errors = jnp.stack(
    [
      (jnp.abs(pred - points).mean(-1) * counted).sum(-1)
      for points, counted in (
        (target, weight),
        (jnp.take(target, MIRROR, axis=-2), jnp.take(weight, MIRROR, axis=-1)),
      )
    ]
  )
  return errors.min(0).sum() / jnp.maximum(weight.sum(), 1e-6)


def keypoints_2d_pixels(
  pred: Points, target: Points, weight: Weight, *, image_size: int = 224
) -> Scalar:
  """Squared error of each coordinate in pixels of the crop: the released code's."""
  return _mean((((pred - target) * (image_size / 2)) ** 2).mean(-1), weight)


def relevance_target(
  points: Points,
  weight: Weight,
  bones: Sequence[tuple[int, int]],
  grid: tuple[int, int],
  *,
  samples: int = 5,
) -> Float[Array, "b v t n"]:
  """1 for each patch of the grid that a bone passes through, else 0.

  Args:
    points: true points, crop units.
    weight: a bone counts if both of its joints have one.
    bones: pairs of joints, such as `Skeleton.bones`.
    grid: rows and columns of patches, such as `MultiView.grid`.
    samples: points along a bone, its ends included, that mark their patches.
  """
  rows, columns = grid
  ends = np.asarray(bones)
  one, other = (jnp.take(points, ends[:, i], axis=-2) for i in range(2))
  share = jnp.linspace(0, 1, samples).reshape(1, 1, 1, 1, samples, 1)
  at = one[..., None, :] * (1 - share) + other[..., None, :] * share
  # Pixel u of a crop of n covers [u - 1/2, u + 1/2] at 2 u / n - 1: half a pixel of
  # the crop is neglected against the patch.
  x = jnp.floor((at[..., 0] + 1) / 2 * columns).astype(jnp.int32)
  y = jnp.floor((at[..., 1] + 1) / 2 * rows).astype(jnp.int32)
  known = (jnp.take(weight, ends, axis=-1) > 0).all(-1)[..., None]
  inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows) & known
  patch = jnp.where(inside, y * columns + x, rows * columns)  # one too many: nowhere
  patch = patch.reshape(-1, patch.shape[-2] * samples)
  marks = jnp.zeros((patch.shape[0], rows * columns + 1))
  marks = marks.at[jnp.arange(len(patch))[:, None], patch].set(1)
  return marks[:, :-1].reshape(*points.shape[:3], rows * columns)


def relevance(
  logits: Float[Array, "b v t k"],
  patches: Int[Array, "b v t k"],
  target: Float[Array, "b v t n"],
  weight: Images,
) -> Scalar:
  """Cross-entropy of patch logits; `patches` says which of the grid they are about."""
  wanted = jnp.take_along_axis(target, patches, axis=-1)
  return _mean(_cross_entropy(logits, wanted).mean(-1), weight)


def confidence(
  score_logits: Float[Array, "b v t j"],
  pred: Points,
  target: Points,
  weight: Weight,
  *,
  share: float = 0.05,
  scale: float = SCALE,
) -> Scalar:
  """Cross-entropy of the confidence against whether the 2D error is small.

  Args:
    score_logits: of the network.
    pred: of the network; it gets no gradient.
    target: true points.
    weight: of each joint.
    share: of the longer side of the box, below which an error is small.
    scale: of the box, the one that the crops were made with.
  """
  square = ((jax.lax.stop_gradient(pred) - target) ** 2).sum(-1)
  right = square < (share * 2 / scale) ** 2
  return _mean(_cross_entropy(score_logits, right.astype(square.dtype)), weight)


def velocity_3d(
  pred: Float[Array, "b t j 3"],
  target: Float[Array, "b t j 3"],
  valid: Float[Array, "b t j"] | Bool[Array, "b t j"] | None = None,
) -> Scalar:
  """Absolute error of frame-to-frame differences, metres; of one frame, 0.

  A difference counts where both of its frames are valid.
  """
  error = jnp.abs(jnp.diff(pred - target, axis=1)).mean(-1)
  if valid is None:
    weight = jnp.ones_like(error)
  else:
    weight = valid[:, 1:] * valid[:, :-1]
  return _mean(error, weight)


def reprojection(
  joints_3d: Float[Array, "b t j 3"],
  root: Float[Array, "b t 3"],
  keypoints: Points,
  camera_rotation: Float[Array, "b v 3 3"],
  camera_position: Float[Array, "b v 3"],
  crop_intrinsics: Float[Array, "b v t 4"],
  weight: Weight,
) -> Scalar:
  """Absolute error, crop units, of poses seen by the cameras.

  Args:
    joints_3d: relative to the root, world axes.
    root: its place in the world, true or triangulated.
    keypoints: to be met, in each view.
    camera_rotation: see `MultiView`.
    camera_position: see there.
    crop_intrinsics: see there.
    weight: of each joint in each view.
  """
  world = (joints_3d + root[:, :, None])[:, None]
  offset = world - camera_position[:, :, None, None]
  seen = jnp.einsum("bvtjc,bvdc->bvtjd", offset, camera_rotation)
  return keypoints_2d(project_to_crop(seen, crop_intrinsics), keypoints, weight)


def _cross_entropy(logits, target):
  """Of a probability given by its logit; exact also where it is 0 or 1."""
  return jax.nn.softplus(logits) - target * logits


def _mean(values, weight) -> Scalar:
  weight = weight.astype(values.dtype)
  return (weight * values).sum() / jnp.maximum(weight.sum(), 1e-6)


# Terms by name in configs: what their predictions and targets are called, and how the
# joints are chosen that count.
TERMS = (
  "views_2d",
  "views_2d_either",
  "views_2d_pixels",
  "relevance",
  "confidence",
  "views_3d",
  "views_velocity_3d",
  "reprojection",
)


def term(
  out: dict, batch: dict, fn: str, key: str, *, joints: str = "known", **options
) -> Scalar:
  """A term by name, of a network's output and a batch's targets.

  2D terms count images that are there, also those that the network did not see
  (`present`), which it then finds from the others; `relevance` those that it saw.

  Args:
    out: of `models.multiview` or its lifter.
    batch: of `view_batches`.
    fn: name in `TERMS`; views_2d is `keypoints_2d` and so on, views_3d the distance of
      joints_3d, the others are the functions of their names.
    key: of the prediction. Of 2D terms one with the shape of keypoints_2d, such as
      keypoints_2d_spatial; of `relevance` relevance_0 and so on; of 3D terms joints_3d,
      joints_3d_direct, or joints_3d_reference for a network without cameras.
    joints: whether 2D terms count all "known" joints inside the crop or only
      "visible" ones.
    **options: of the term's function; of `relevance` the `bones`, pairs of joints, and
      the `grid`, by default the square that relevance_0 is about.

  Raises:
    ValueError: no such output or choice of joints, or the grid is not known.
  """
  pred_key = "joints_3d" if key == "joints_3d_reference" else key
  if pred_key not in out:
    raise ValueError(
      f"loss term {fn!r}: got the key {key!r}, expected one of the model's outputs: "
      f"{', '.join(sorted(out))}."
    )
  if joints not in ("known", "visible"):
    raise ValueError(f"got joints={joints!r}, expected 'known' or 'visible'.")
  pred, points = out[pred_key], batch["keypoints_2d"]
  weight = batch[f"keypoints_{joints}"]
  if fn == "relevance":
    return _relevance_term(out, batch, key, weight, **options)
  if fn in ("views_3d", "views_velocity_3d"):
    target = batch[key.removesuffix("_direct")]
    valid = batch["joints_3d_valid"]
    if fn == "views_velocity_3d":
      return velocity_3d(pred, target, valid, **options)
    return _mean(safe_norm(pred - target), valid)
  if fn == "confidence":
    return confidence(pred, out["keypoints_2d"], points, weight, **options)
  if fn == "reprojection":
    cameras = ("camera_rotation", "camera_position", "crop_intrinsics")
    rig = (batch[name] for name in cameras)
    return reprojection(pred, batch["root_3d"], points, *rig, weight, **options)
  function = dict(
    views_2d=keypoints_2d,
    views_2d_either=keypoints_2d_either,
    views_2d_pixels=keypoints_2d_pixels,
  )[fn]
  return function(pred, points, weight, **options)


def _relevance_term(out, batch, key, weight, *, bones=None, grid=None) -> Scalar:
  """`relevance` against the bones of the true 2D poses."""
  if grid is None:
    side = math.isqrt(out["relevance_0"].shape[-1]) if "relevance_0" in out else 0
    grid = (side, side)
  if "relevance_0" in out and math.prod(grid) != out["relevance_0"].shape[-1]:
    raise ValueError(
      f"got the grid {tuple(grid)} for {out['relevance_0'].shape[-1]} patches, "
      "expected its rows times columns to be as many; set grid in the loss term."
    )
  if not math.prod(grid):
    raise ValueError("got no grid, expected its rows and columns in the loss term.")
  target = relevance_target(batch["keypoints_2d"], weight, bones or BONES, tuple(grid))
  patches = out[key.replace("relevance_", "relevance_patches_")]
  present = out["present"] & batch["view_mask"]
  return relevance(out[key], patches, target, present)
