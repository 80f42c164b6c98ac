"""Motion filmed by new random cameras: every window of a batch has a rig of its own.

Unlike the rings of four cameras that datasets of motion are stored with, rigs differ in
everything that a calibration tells: where cameras stand, how far and how high, where
they look, how they are rolled, and their focal lengths.
"""

import jax
import jax.numpy as jnp

from jaxpose import cameras
from jaxpose import detector_places
from jaxpose import multiview_crops
from jaxpose import multiview_motion
from jaxpose import rigs
from jaxpose.geometry import Array
from jaxpose.skeletons import Skeleton

LEAVES = 0.1  # share of views in which the person is missed for some frames
_NEAR = 0.3  # metres; joints are never nearer to a camera


def film(
  key: Array, windows: dict[str, Array], skeleton: Skeleton, places: float = 0.0
) -> dict[str, Array]:
  """The windows of `multiview_motion` with other cameras, and what these see.

  Args:
    key: JAX random key.
    windows: of `multiview_windows.gather`.
    skeleton: of the joints.
    places: factor on `detector_places.moved_3d`, which only 2D points show.
  """
  joints = windows["joints_3d"]
  b, t, v, j, _ = windows["keypoints_2d"].shape
  size = windows["images"].shape[-2]
  keys = jax.random.split(key, 4)
  rotation, position, focal = rigs.draw(keys[0], joints[:, :, skeleton.root].mean(1), v)
  if places:
    moved = detector_places.moved_3d(keys[1], joints, skeleton)
    joints = joints + places * (moved - joints)
  points = jnp.broadcast_to(joints.reshape(b, 1, t * j, 3), (b, v, t * j, 3))
  seen = cameras.world_to_camera(points, rotation, position)
  rays = seen[..., :2] / jnp.maximum(seen[..., 2:], _NEAR)
  pixels = 1000 * focal[..., None, None] * rays
  pixels = jnp.swapaxes(pixels.reshape(b, v, t, j, 2), 1, 2)
  mask = jnp.ones((b, t, v), bool)
  box = multiview_motion.boxes(pixels, mask)
  length = jnp.broadcast_to(1000 * focal[:, None, :, None], (b, t, v, 2))
  lens = jnp.concatenate([length, jnp.zeros((b, t, v, 7))], -1)
  every = jnp.ones((b, t, v, j), bool)
  return windows | dict(
    view_mask=mask & ~_leave(keys[2], b, t, v),
    intrinsics=multiview_crops.crop_intrinsics(lens, box, size=size),
    camera_rotation=rotation,
    camera_position=position,
    boxes=box,
    keypoints_2d=multiview_crops.crop_points(pixels, box, size=size),
    keypoints_valid=every,
    visible=every,
  )


def _leave(key: Array, b: int, t: int, v: int):
  """(b, t, v) frames in which a view misses the person."""
  keys = jax.random.split(key)
  chosen = jax.random.bernoulli(keys[0], LEAVES, (b, 1, v))
  ends = jax.random.uniform(keys[1], (b, 2, v), minval=-0.5, maxval=1.5) * t
  frame = jnp.broadcast_to(jnp.arange(t, dtype=ends.dtype)[None, :, None], (b, t, v))
  low, high = (
    jnp.broadcast_to(e[:, None], frame.shape) for e in (ends.min(1), ends.max(1))
  )
  return (frame >= low) & (frame < high) & jnp.broadcast_to(chosen, frame.shape)
