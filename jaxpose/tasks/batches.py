"""Windows of joints to the inputs and targets of a lifter.

Runs inside the jitted step: augmentation first, then root-relative targets.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxpose.data import detector_errors
from jaxpose.data import people
from jaxpose.data import transforms
from jaxpose.geometry import cameras
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons import framing


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """Which random changes a training batch undergoes; see `jaxpose.config`.

  With `framed` it is then seen as `jaxpose.skeletons.framing` has it
  (`config.data.framed`).
  """

  flip: bool = False
  virtual_camera: bool = False
  wide_cameras: bool = False
  stature: float = 0.0
  limbs: float = 0.0
  children: float = 0.0
  turns: float = 0.0
  tilts: float = 0.0
  exchange: float = 0.0
  rising: float = 0.0
  low_rates: float = 1.0
  detector_noise: float = 0.0
  joint_dropout: float = 0.0
  side_swaps: float = 0.0
  joint_places: float = 0.0
  exact_share: float = 0.0
  label_jitter: bool = False
  label_rounding: bool = False
  random_shape: bool = False
  body: str = "free"
  framed: bool = False

  @property
  def errors(self) -> detector_errors.Errors:
    """Of the detector that finds the keypoints."""
    return detector_errors.Errors(
      self.detector_noise,
      self.joint_dropout,
      self.side_swaps,
      self.joint_places,
      self.exact_share,
    )

  @property
  def variety(self) -> people.Variety:
    """Of the people."""
    return people.Variety(
      self.stature,
      self.limbs,
      self.children,
      self.turns,
      self.tilts,
      self.exchange,
      self.rising,
    )


PLAIN = Augmentation()


def with_targets(batch: dict[str, Array], skeleton: Skeleton) -> dict[str, Array]:
  """Replaces camera-frame joints by the targets that predictions are named after.

  joints_3d: (b, 1, j, 3) the predicted frame, relative to the root, metres: the centre
    of the window, or frame `predicted` (b,) of it.
  joints_3d_sequence: (b, t, j, 3) all frames, likewise.
  """
  joints = batch["joints_3d"]
  root = skeleton.root
  return batch | _targets(joints - joints[:, :, root : root + 1], batch)


def _targets(relative: Array, batch: dict[str, Array]) -> dict[str, Array]:
  if "predicted" in batch:
    frame = batch["predicted"][:, None, None, None]
    one = jnp.take_along_axis(relative, frame, axis=1)
  else:
    centre = relative.shape[1] // 2
    one = relative[:, centre : centre + 1]
  return dict(joints_3d=one, joints_3d_sequence=relative)


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
  """A gathered batch (see `pose_data.gather`), augmented and with targets.

  Adds `confidence` (b, t, j) of the keypoints, 0 where a joint was hidden.
  """
  keys = jax.random.split(key, 3)
  a = augmentation
  if a.variety != people.Variety() and not a.virtual_camera:
    raise ValueError(
      "got people of other limbs or poses (augment.stature, limbs, ...) without "
      "augment.virtual_camera, expected it: their keypoints have to be filmed anew."
    )
  if a.virtual_camera:
    joints = batch["joints_3d"]
    world = joints.reshape(joints.shape[0], -1, 3)
    world = cameras.camera_to_world(world, *camera_of(batch)).reshape(joints.shape)
    if a.variety != people.Variety():
      people.require(skeleton)
      world = people.varied(jax.random.fold_in(key, 1), world, a.variety)
    points, joints, _ = transforms.virtual_camera(
      keys[0], world, root=skeleton.root, wide=a.wide_cameras
    )
    batch = batch | dict(keypoints_2d=points, joints_3d=joints)
  if a.flip:
    batch = mirrored(batch, skeleton)
  exact, joints = batch["keypoints_2d"], batch["joints_3d"]
  points, confidence = detector_errors.as_detected(
    keys[1], exact, joints, skeleton, a.errors
  )
  if a.low_rates > 1:
    points = detector_errors.coarse(jax.random.fold_in(key, 2), points, a.low_rates)
  if a.framed:
    seen = framing.windows(points, skeleton, cameras.fit_focal(exact, joints))
    points, joints = seen.points, seen.turn(joints)
  batch = batch | dict(keypoints_2d=points, joints_3d=joints, confidence=confidence)
  batch = with_targets(batch, skeleton)
  if a.label_jitter:
    jittered = transforms.label_jitter(keys[2], batch["joints_3d_sequence"])
    batch = batch | _targets(jittered, batch)
  return batch
