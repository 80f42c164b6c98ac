"""Windows of a body to the inputs and targets of a mesh network.

Runs inside the jitted step. Windows come from `sequences.mesh_features` (2D keypoints
are the input, and the body can be filmed anew) or from `sequences.crop_features` (image
features are the input, and what was filmed stays as it is). Targets of all frames, for
`mesh_losses`:

keypoints_2d: (b, t, 49, 2) crop units, with confidence_2d (b, t, 49).
joints_3d: (b, t, 49, 3) metres in the camera's frame, with has_joints_3d (b, t).
rotations: (b, t, 24, 3, 3) and betas: (b, t, 10), with has_smpl (b, t).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Float

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.data import detector_errors
from jaxpose.data import transforms
from jaxpose.geometry import keypoint_crops
from jaxpose.skeletons import skeleton_maps
from jaxpose.tasks.batches import Augmentation
from jaxpose.tasks.batches import camera_of

SKELETON = skeletons.get("spin49")
INPUT = skeletons.get("coco17")
_MIRROR = skeletons.get("smpl24").mirror


def training_batch(
  windows: dict[str, Array], key: jax.Array, augmentation: Augmentation
) -> dict[str, Array]:
  """A gathered batch with the network's input (see `inputs`) and the targets above.

  Image features know no augmentation but label_rounding, which is for them alone.
  """
  a = augmentation
  batch = dict(windows)
  if "features" in batch:
    if a.label_rounding:
      for key in ("keypoints_2d", "confidence", "joints_3d", "smpl_pose", "betas"):
        batch[key] = batch[key].astype(jnp.float16).astype(jnp.float32)
    batch["rotations"] = geometry.axis_angle_to_matrix(batch["smpl_pose"])
    return _with_weights(batch, batch["confidence"])
  keys = jax.random.split(key, 3)
  batch["rotations"] = geometry.axis_angle_to_matrix(batch["smpl_pose"])
  if a.random_shape:
    batch |= _reshaped(batch, keys[0], a.body)
  if a.virtual_camera:
    batch |= _filmed(batch, keys[1], a.wide_cameras)
  if a.flip:
    batch |= _mirrored(batch)
  seen = (
    skeleton_maps.convert(batch[key], SKELETON.name, INPUT.name)
    for key in ("keypoints_2d", "joints_3d")
  )
  points, confidence = detector_errors.as_detected(keys[2], *seen, INPUT, a.errors)
  crop = keypoint_crops.window_crop(points, confidence)
  batch["keypoints_crop"] = keypoint_crops.network_input(points, confidence, crop)
  batch["keypoints_2d"] = keypoint_crops.to_crop(batch["keypoints_2d"], crop)
  everywhere = jnp.ones(batch["keypoints_2d"].shape[:-1], points.dtype)
  return _with_weights(batch, everywhere)


def inputs(windows: dict[str, Array]) -> dict[str, Array]:
  """The windows with what the network takes, for evaluation.

  features: (b, t, c), as they are; or keypoints_crop: (b, t, 17, 5), COCO's joints, see
  `keypoint_crops.network_input`, all of them seen; or those of a detector, if
  `detector_errors.with_errors` gave them.
  """
  if "features" in windows:
    return windows
  if "detected_2d" in windows:
    points, confidence = windows["detected_2d"], windows["detected_confidence"]
  else:
    points = windows["keypoints_2d"]
    points = skeleton_maps.convert(points, SKELETON.name, INPUT.name)
    confidence = jnp.ones(points.shape[:-1], points.dtype)
  crop = keypoint_crops.window_crop(points, confidence)
  made = keypoint_crops.network_input(points, confidence, crop)
  return windows | dict(keypoints_crop=made)


def mirror_rotations(
  rotations: Float[Array, "*b 24 3 3"],
) -> Float[Array, "*b 24 3 3"]:
  """Rotations of the mirrored body: left and right swapped, x negated twice."""
  sign = np.asarray([[1, -1, -1], [-1, 1, 1], [-1, 1, 1]], np.float32)
  return rotations[..., _MIRROR, :, :] * jnp.broadcast_to(sign, rotations.shape)


def _reshaped(batch, key, name) -> dict[str, Array]:
  """The same motion of a person of another shape, at the same place."""
  body = bodies.for_joints(body_files.load(name))
  b, t = batch["betas"].shape[:2]
  betas = jax.random.normal(key, (b, 1, body.num_betas), batch["betas"].dtype)
  betas = jnp.broadcast_to(betas, (b, t, body.num_betas))
  joints = bodies.joints_49(body, bodies.pose(body, batch["rotations"], betas))
  root = slice(SKELETON.root, SKELETON.root + 1)
  joints = joints + (batch["joints_3d"] - joints)[:, :, root]
  return dict(betas=betas, joints_3d=joints)


def _filmed(batch, key, wide: bool) -> dict[str, Array]:
  points, joints, turn = transforms.virtual_camera(
    key, batch["joints_3d"], *camera_of(batch), root=SKELETON.root, wide=wide
  )
  rotations = batch["rotations"]
  rotations = rotations.at[:, :, 0].set(turn[:, None] @ rotations[:, :, 0])
  return dict(keypoints_2d=points, joints_3d=joints, rotations=rotations)


def _mirrored(batch) -> dict[str, Array]:
  chosen = batch["flip"][:, None, None, None]
  flipped = {
    key: jnp.where(chosen, transforms.flip(batch[key], SKELETON), batch[key])
    for key in ("keypoints_2d", "joints_3d")
  }
  rotations = batch["rotations"]
  mirrored = jnp.where(chosen[..., None], mirror_rotations(rotations), rotations)
  return flipped | dict(rotations=mirrored)


def _with_weights(batch, confidence) -> dict[str, Array]:
  b, t = confidence.shape[:2]
  for key in ("has_joints_3d", "has_smpl"):
    given = jnp.asarray(batch.get(key, jnp.ones(b)), jnp.float32)
    batch[key] = jnp.broadcast_to(given[:, None], (b, t))
  return batch | dict(confidence_2d=confidence)
