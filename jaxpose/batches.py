"""From gathered windows to what a model takes and is compared with.

Runs inside the jitted step: augmentation first, then root-relative targets.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxpose import detector_errors
from jaxpose import transforms
from jaxpose.skeletons import Skeleton


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Which random changes a training batch undergoes; see `jaxpose.config`."""

  flip: bool = False
  virtual_camera: bool = False
  detector_noise: float = 0.0
  joint_dropout: float = 0.0
  label_jitter: bool = False
  label_rounding: bool = False
  random_shape: bool = False
  body: str = "free"


PLAIN = Augmentation()


def with_targets(batch: dict[str, Array], skeleton: Skeleton) -> dict[str, Array]:
  """Replaces camera-frame joints by the targets that predictions are named after.

  joints_3d: (b, 1, j, 3) the centre frame, relative to the root, metres.
  joints_3d_sequence: (b, t, j, 3) all frames, likewise.
  """
  joints = batch["joints_3d"]
  root = skeleton.root
  return batch | _targets(joints - joints[:, :, root : root + 1])


def _targets(relative: Array) -> dict[str, Array]:
  centre = relative.shape[1] // 2
  return dict(joints_3d=relative[:, centre : centre + 1], joints_3d_sequence=relative)


def mirrored(batch: dict[str, Array], skeleton: Skeleton) -> dict[str, Array]:
  """Mirrors the windows whose `flip` is set."""
  chosen = batch["flip"][:, None, None, None]
  flipped = {
    key: jnp.where(chosen, transforms.flip(batch[key], skeleton), batch[key])
    for key in ("keypoints_2d", "joints_3d")
  }
  return batch | flipped


def camera_of(batch: dict[str, Array]) -> tuple[Array, Array]:
  """Rotation and position of each window's camera.

  Raises:
    ValueError: the data does not know them.
  """
  if "camera_rotation" not in batch or "camera_position" not in batch:
    raise ValueError(
      "got augment.virtual_camera=True with data that does not know its cameras, "
      "expected records with camera_rotation and camera_position, in all parts of a "
      "mixture: new cameras stand in the world; train with "
      "--config.augment.virtual_camera=False, or build the data with its cameras."
    )
  return batch["camera_rotation"], batch["camera_position"]


def training_batch(
  batch: dict[str, Array],
  key: jax.Array,
  skeleton: Skeleton,
  augmentation: Augmentation,
) -> dict[str, Array]:
  """A gathered batch (see `data.gather`), augmented and with targets.

  Adds `confidence` (b, t, j) of the keypoints, 0 where a joint was hidden.
  """
  keys = jax.random.split(key, 4)
  a = augmentation
  if a.virtual_camera:
    points, joints, _ = transforms.virtual_camera(
      keys[0], batch["joints_3d"], *camera_of(batch), root=skeleton.root
    )
    batch = batch | dict(keypoints_2d=points, joints_3d=joints)
  if a.flip:
    batch = mirrored(batch, skeleton)
  points = batch["keypoints_2d"]
  confidence = jnp.ones(points.shape[:-1], points.dtype)
  if a.detector_noise:
    noisy = detector_errors.detector_noise(keys[1], points, skeleton)
    points = points + a.detector_noise * (noisy - points)
  if a.joint_dropout:
    points, confidence = detector_errors.joint_dropout(keys[2], points, a.joint_dropout)
  batch = batch | dict(keypoints_2d=points, confidence=confidence)
  batch = with_targets(batch, skeleton)
  if a.label_jitter:
    jittered = transforms.label_jitter(keys[3], batch["joints_3d_sequence"])
    batch = batch | _targets(jittered)
  return batch
