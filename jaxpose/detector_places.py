"""Where keypoint detectors see joints that motion capture has elsewhere in the body.

Annotators mark what they see: the nose, the outside of a hip. Motion capture has the
centres that its limbs turn about. A lifter that shall read detectors is trained on
keypoints that are moved alike (`moved`); its targets stay those of motion capture. The
sizes below are reasoned, not fitted to a detector.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxpose import cameras
from jaxpose import head_points
from jaxpose import skeleton_maps
from jaxpose.geometry import Array
from jaxpose.skeletons import Skeleton

_BOTH = 0.02  # metres: standard deviation of what both sides of the body share
_EACH = 0.01  # metres: of each joint on its own
_FACE = 0.015  # metres: of the nose and the crown besides
# Ears from the nose, in the head's sagittal plane: along the line to the crown, and at
# right angles to it (`head_points`).
_EARS = head_points.ears_from_nose_and_crown()


def moved(
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
  after = _rays(moved_3d(key, joints_3d, skeleton))
  focal = cameras.fit_focal(keypoints_2d, joints_3d)[:, None, None, None]
  return keypoints_2d + focal * (after - before)


def moved_3d(
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
