"""Multi-view windows to the inputs and targets of a network.

Runs inside the jitted step. Windows come from `view_windows.gather`, frames before
views; networks take views before frames. Their inputs:

images: (b, v, t, s, s, 3) uint8 crops; view_mask: (b, v, t) bool.
camera_rotation: (b, v, 3, 3), camera_position: (b, v, 3), crop_intrinsics: (b, v, t, 4)
  of the crops, in crop units.
keypoints_input: (b, v, t, j, 2) crop units, the true 2D poses with the errors of a 2D
  detector, and scores_input: (b, v, t, j) its confidence: for a lifter alone.

Targets, for `view_losses`:

keypoints_2d: (b, v, t, j, 2) crop units, with keypoints_known (b, v, t, j), inside the
  crop, and keypoints_visible, not hidden either.
joints_3d: (b, t, j, 3) metres relative to the root, axes of the world, with
  joints_3d_valid (b, t, j); joints_3d_reference the same in the axes of the first view,
  which is what a network without cameras gives; root_3d: (b, t, 3) in the world.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.data import detector_errors
from jaxpose.data import view_transforms
from jaxpose.geometry import Array
from jaxpose.geometry import namespace
from jaxpose.geometry import triangulation
from jaxpose.geometry.camera_crops import SCALE
from jaxpose.skeletons import Skeleton

# Of the box's longer side: a detector is right where its error is below.
RIGHT = 0.05
_GUESS = 0.08  # of the box's longer side, the deviation of a joint that is not seen


class Augmentation(NamedTuple):
  """What a training batch undergoes.

  Attributes:
    scene: random changes of scene, cameras and pictures.
    keypoint_noise: factor on the errors of `keypoints_input`.
    rigs: film the motion by new random cameras, see `view_transforms`.
    keypoint_places: with `rigs`, factor on how else a detector sets its joints.
    keypoint_hidden: share of joints that a detector only guesses.
    keypoint_swaps: share of frames in which left and right change places.
  """

  scene: view_transforms.Augmentation = view_transforms.Augmentation()
  keypoint_noise: float = 0.0
  rigs: bool = False
  keypoint_places: float = 0.0
  keypoint_hidden: float = 0.0
  keypoint_swaps: float = 0.0


PLAIN = Augmentation()
# What "a detector's errors" means in scores of lifters: cameras anywhere, all errors.
TYPICAL = Augmentation(
  keypoint_noise=1.0,
  rigs=True,
  keypoint_places=1.0,
  keypoint_hidden=0.1,
  keypoint_swaps=0.03,
)


def training_batch(
  windows: dict[str, Array],
  key: jax.Array,
  skeleton: Skeleton,
  augmentation: Augmentation,
) -> dict[str, Array]:
  """The augmented batch, with inputs and targets as above."""
  a, keys = augmentation, jax.random.split(key)
  if a.rigs:
    film = jax.random.fold_in(key, 2)
    windows = view_transforms.film(film, windows, skeleton, a.keypoint_places)
  windows = view_transforms.augment(keys[0], windows, skeleton, a.scene)
  batch = with_targets(windows, skeleton)
  points, scores = detected(
    keys[1],
    batch["keypoints_2d"],
    skeleton,
    a.keypoint_noise,
    hidden=a.keypoint_hidden,
    swaps=a.keypoint_swaps,
  )
  return batch | dict(keypoints_input=points, scores_input=scores)


def with_targets(windows: dict[str, Array], skeleton: Skeleton) -> dict[str, Array]:
  """Inputs and targets but for `keypoints_input`; nothing is changed."""
  xp = namespace(*windows.values())
  size = windows["images"].shape[-2]  # the width: `view_motion` has no rows
  swapped = {
    key: xp.swapaxes(windows[key], 1, 2)
    for key in ("images", "view_mask", "intrinsics", "keypoints_2d")
  }
  points = swapped["keypoints_2d"] * (2 / size) - 1
  there = swapped["view_mask"][..., None]
  known = xp.swapaxes(windows["keypoints_valid"], 1, 2) & there
  visible = xp.swapaxes(windows["visible"], 1, 2) & there
  inside = (xp.abs(points) <= 1).all(-1)
  joints, root = windows["joints_3d"], skeleton.root
  relative = joints - joints[:, :, root : root + 1]
  valid = windows["joints_valid"]
  rotation = windows["camera_rotation"]
  return dict(
    images=swapped["images"],
    view_mask=swapped["view_mask"],
    camera_rotation=rotation,
    camera_position=windows["camera_position"],
    crop_intrinsics=triangulation.unit_intrinsics(swapped["intrinsics"], size),
    keypoints_2d=points,
    keypoints_known=known & inside,
    keypoints_visible=visible & inside,
    joints_3d=relative,
    joints_3d_reference=xp.einsum("bdc,btjc->btjd", rotation[:, 0], relative),
    joints_3d_valid=valid & valid[..., root : root + 1],
    root_3d=joints[:, :, root],
  )


def detected(
  key: jax.Array,
  points: Float[Array, "b v t j 2"],
  skeleton: Skeleton,
  strength: float = 1.0,
  *,
  hidden: float = 0.0,
  swaps: float = 0.0,
) -> tuple[Float[Array, "b v t j 2"], Float[Array, "b v t j"]]:
  """2D poses as a detector might give them, and how sure it might be.

  Errors are `detector_errors.detector_noise` times `strength`, and where a joint is
  hidden, of which spans make up that share, a slow error of `_GUESS` of the box. The
  confidence is near 1 where the error is below 5 % of the box and near 0 where it is
  above, and as uncertain as a network's: its logit has a deviation of 1. Of swapped
  sides a detector knows nothing; see `detector_errors.side_swaps`.
  """
  if not strength:
    return points, jnp.ones(points.shape[:-1], points.dtype)
  b, v, *rest = points.shape
  keys = jax.random.split(key)
  flat = points.reshape(b * v, *rest)
  noise = detector_errors.detector_noise(keys[0], flat, skeleton) - flat
  noise = strength * noise.reshape(points.shape)
  if hidden:
    more = detector_errors.guesses(jax.random.fold_in(key, 2), flat, hidden)
    noise = noise + (2 / SCALE) * _GUESS * more.reshape(points.shape)
  error = jnp.sqrt((noise * noise).sum(-1)) * (SCALE / 2)  # of the box
  logit = 4 * (1 - error / RIGHT) + jax.random.normal(keys[1], error.shape)
  found, scores = points + noise, jax.nn.sigmoid(logit)
  if not swaps:
    return found, scores
  found, scores = (x.reshape(b * v, *rest[:2], -1) for x in (found, scores))
  swapped = detector_errors.side_swaps(
    jax.random.fold_in(key, 3), found, skeleton, swaps
  )
  found, scores = (
    detector_errors.exchange_sides(x, swapped, skeleton) for x in (found, scores)
  )
  return found.reshape(points.shape), scores.reshape(points.shape[:-1])


def box_share(
  pred: Float[np.ndarray, "*b j 2"],
  target: Float[np.ndarray, "*b j 2"],
  scale: float = SCALE,
) -> Float[np.ndarray, "*b j"]:
  """Errors of crop units as shares of the longer side of the box.

  Args:
    pred: crop units.
    target: crop units.
    scale: side of the crop over the longer side of the box.
  """
  return np.linalg.norm(pred - target, axis=-1) * (scale / 2)


def only_views(
  view_mask: Bool[Array, "b v t"], chosen: Bool[Array, " v"]
) -> Bool[Array, "b v t"]:
  """The mask without the views that are not chosen."""
  return view_mask & chosen[None, :, None]
