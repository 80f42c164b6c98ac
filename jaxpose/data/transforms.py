"""Augmentations as pure functions on batches of windows.

Shapes: `keypoints_2d` (b, t, j, 2) in the network's coordinates (`normalize_screen`),
`joints_3d` (b, t, j, 3) metres in the camera's frame. The random ones take a JAX key
first, draw for each window on its own and run inside the jitted training step; the
others answer in the kind of array they were given.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.geometry import Array
from jaxpose.geometry import cameras
from jaxpose.geometry import namespace
from jaxpose.geometry import rigs
from jaxpose.skeletons import Skeleton


def flip(x: Float[Array, "*b j c"], skeleton: Skeleton) -> Float[Array, "*b j c"]:
  """The mirrored body: x negated, left and right joints swapped.

  For points with x = 0 in the middle: normalised keypoints or camera-frame joints.
  """
  xp = namespace(x)
  x = x[..., skeleton.mirror, :]
  return xp.concatenate([-x[..., :1], x[..., 1:]], -1)


def flip_camera_intrinsics(intrinsics: Float[Array, "*b 9"]) -> Float[Array, "*b 9"]:
  """Intrinsics, in normalised units, of the camera that sees the mirrored scene.

  The x of the principal point and of the tangential distortion change sign (entries 2
  and 7).
  """
  xp = namespace(intrinsics)
  negated = np.isin(np.arange(9), (2, 7))
  return xp.where(np.broadcast_to(negated, intrinsics.shape), -intrinsics, intrinsics)


def rotate_scale_xy(
  joints: Float[Array, "*b j 3"],
  angle_deg: Float[Array, "*b"],
  scale: Float[Array, "*b"],
) -> Float[Array, "*b j 3"]:
  """Turns x, y about the optical axis through the origin and scales them; z stays."""
  xp = namespace(joints, angle_deg, scale)
  angle = xp.deg2rad(angle_deg)[..., None]
  c, s = scale[..., None] * xp.cos(angle), scale[..., None] * xp.sin(angle)
  x, y = joints[..., 0], joints[..., 1]
  turned = xp.stack([c * x - s * y, s * x + c * y, joints[..., 2]], -1)
  return turned.astype(joints.dtype)


def label_jitter(
  key: Array,
  joints_3d: Float[Array, "b t j 3"],
  angles_deg: tuple[float, ...] = (-5.0, 0.0, 5.0),
  scales: tuple[float, ...] = (0.95, 1.0, 1.05),
) -> Float[Array, "b t j 3"]:
  """GLA-GCN's undocumented jitter of the root-relative 3D targets.

  One angle and one scale per window, each combination equally likely. The 2D input
  stays as it is, so this is symmetric label noise.
  """
  b, t = joints_3d.shape[:2]
  key_angle, key_scale = jax.random.split(key)
  angle = jax.random.choice(key_angle, jnp.asarray(angles_deg), (b, 1))
  scale = jax.random.choice(key_scale, jnp.asarray(scales), (b, 1))
  return rotate_scale_xy(
    joints_3d, jnp.broadcast_to(angle, (b, t)), jnp.broadcast_to(scale, (b, t))
  )


def virtual_camera(
  key: Array,
  joints: Float[Array, "b t j 3"],
  rotation: Float[Array, "b 3 3"] | None = None,
  position: Float[Array, "b 3"] | None = None,
  *,
  root: int = 0,
  max_offset: float = 2.0,
  near: float = 1.0,
  wide: bool = False,
) -> tuple[Float[Array, "b t j 2"], Float[Array, "b t j 3"], Float[Array, "b 3 3"]]:
  """Films each window anew by a random camera drawn like those of `camera_ring`.

  Uniform azimuth, distance 4.5 to 6.5 m, height 1.2 to 1.8 m, focal length 1100 to
  1200 px for a square image of 1000 px, level, without distortion. It looks at the
  window's mean root plus a horizontal offset drawn uniformly from a disc, because a
  camera that is fixed for a clip rarely has the person in its middle; the offset is
  halved, then dropped where it would put a joint outside the picture. A camera whom
  someone comes closer than `near` in the window steps back along its view.

  With `wide` the cameras are those of `rigs.draw`: near and far, high and low, rolled.
  Of a person who is near, part may lie outside the picture; networks that see windows
  framed (`jaxpose.skeletons.framing`) do not know its borders.

  Args:
    key: JAX random key.
    joints: metres; in the world (z up, floor at 0), or in the frame of the camera that
      `rotation` and `position` describe.
    rotation: world to camera, of each window.
    position: of the camera in the world, metres.
    root: index of the root joint.
    max_offset: radius of the disc of look-at offsets, metres.
    near: smallest depth of any joint in the window, metres.
    wide: draw from a wide range of cameras.

  Returns:
    Normalised keypoints, joints in the new camera's frame, and the rotation to it from
    the frame that the joints were given in.
  """
  b, t, j, _ = joints.shape
  world = joints.reshape(b, t * j, 3)
  if (rotation is None) != (position is None):
    raise ValueError(
      "got one of rotation and position, expected both (joints in a camera's frame) or "
      "neither (joints in the world)."
    )
  if rotation is not None:
    world = cameras.camera_to_world(world, rotation, position)
  target = world.reshape(b, t, j, 3)[:, :, root].mean(1)

  if wide:
    view, centre, focal = (x[:, 0] for x in rigs.draw(key, target, 1))
    pixels, points = _film(world, view, centre, 2 * focal, near)
  else:
    pixels, points, view = _level(key, world, target, max_offset, near)
  if rotation is not None:
    view = view @ jnp.swapaxes(rotation, -1, -2)
  return pixels.reshape(b, t, j, 2), points.reshape(b, t, j, 3), view


def _film(world, view, centre, focal, near: float):
  """Normalised keypoints and camera-frame joints; the camera may step back."""
  points = cameras.world_to_camera(world, view, centre)
  back = jnp.maximum(near - points[..., 2].min(-1), 0)
  zero = jnp.zeros_like(back)
  points = points + jnp.stack([zero, zero, back], -1)[:, None]
  return focal[:, None, None] * points[..., :2] / points[..., 2:], points


def _level(key, world, target, max_offset: float, near: float):
  """Keypoints, joints and rotations of cameras like those of `camera_ring`."""
  keys = jax.random.split(key, 6)

  def uniform(i, low, high):
    return jax.random.uniform(keys[i], target.shape[:1], world.dtype, low, high)

  azimuth, distance = uniform(0, 0, 2 * np.pi), uniform(1, 4.5, 6.5)
  centre = jnp.stack(
    [
      target[:, 0] + distance * jnp.cos(azimuth),
      target[:, 1] + distance * jnp.sin(azimuth),
      uniform(2, 1.2, 1.8),
    ],
    -1,
  )
  focal = uniform(3, 1100, 1200) * (2 / 1000)
  radius, angle = max_offset * jnp.sqrt(uniform(4, 0, 1)), uniform(5, 0, 2 * np.pi)
  offset = jnp.stack([jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle)], -1)
  offset = radius[:, None] * offset

  def film(share):
    view = cameras.look_at(centre, target + share * offset)
    return *_film(world, view, centre, focal, near), view

  pixels, points, view = film(0.0)
  for share in (0.5, 1.0):
    tried, *others = film(share)
    inside = (jnp.abs(tried) < 1).all((1, 2))
    pixels = _choose(inside, tried, pixels)
    points, view = (
      _choose(inside, new, old) for new, old in zip(others, (points, view), strict=True)
    )
  return pixels, points, view


def _choose(chosen: Bool[Array, " b"], yes: Array, no: Array) -> Array:
  """Per example of the batch."""
  return jnp.where(chosen.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)
