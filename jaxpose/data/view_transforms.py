"""Random changes of multi-view batches after which every camera is still calibrated.

Batches are those of `view_windows.gather`: (b, t, v, ...), crops uint8, intrinsics
and keypoints in pixels of the crops. A change of one view's geometry on its own (a
flip, a rotation) would break the relation between views, so the scene is mirrored and
turned as a whole, and crops move only together with their intrinsics.

Motion without pictures can be filmed anew: each window of a batch gets its own rig. The
rings of four cameras of the datasets are all alike; these rigs differ in everything
that a calibration contains: position, distance, height, direction, roll, focal length.

The random functions take a JAX key first and run inside the jitted step.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import geometry
from jaxpose.data import detector_errors
from jaxpose.data import view_motion
from jaxpose.geometry import Array
from jaxpose.geometry import camera_crops
from jaxpose.geometry import cameras
from jaxpose.geometry import namespace
from jaxpose.geometry import rigs
from jaxpose.skeletons import Skeleton


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """What a training batch undergoes.

  Attributes:
    mirror: mirror the scene of half of the windows.
    turn: turn the world about its vertical axis by any angle.
    zoom: largest change of a crop's size, as a share; one per view, and a third of it
      per frame.
    shift: largest move of a crop, as a share of its side; likewise.
    color: strength of changes of brightness, contrast and tint, per view.
    erase: chance that a rectangle of a picture is covered.
    drop_views: chance that a view is missing from a window; one always stays.
  """

  mirror: bool = False
  turn: bool = False
  zoom: float = 0.0
  shift: float = 0.0
  color: float = 0.0
  erase: float = 0.0
  drop_views: float = 0.0


def augment(
  key: Array,
  batch: dict[str, Array],
  skeleton: Skeleton,
  augmentation: Augmentation,
) -> dict[str, Array]:
  """The batch, changed at random; without `boxes`, which no longer fit the crops."""
  a, keys = augmentation, jax.random.split(key, 8)
  batch = {name: array for name, array in batch.items() if name != "boxes"}
  b, t, v = batch["view_mask"].shape
  if a.mirror:
    batch = mirror_scene(batch, skeleton, jax.random.bernoulli(keys[0], 0.5, (b,)))
  if a.turn:
    batch = turn_scene(batch, jax.random.uniform(keys[1], (b,), maxval=2 * np.pi))
  if a.zoom or a.shift:
    amount = jnp.asarray([a.zoom, a.shift, a.shift])
    amount = jnp.broadcast_to(amount, (b, t, v, 3))
    slow = jax.random.uniform(keys[2], (b, 1, v, 3), minval=-1)
    quick = jax.random.uniform(keys[3], (b, t, v, 3), minval=-1) / 3
    change = amount * (jnp.broadcast_to(slow, quick.shape) + quick)
    size = batch["images"].shape[-2]
    batch = move_crops(batch, jnp.exp(change[..., 0]), size * change[..., 1:])
  if a.color:
    batch = batch | dict(images=change_colors(keys[4], batch["images"], a.color))
  if a.erase:
    batch = erase(keys[5], batch, a.erase)
  if a.drop_views:
    mask = drop_views(keys[6], batch["view_mask"], a.drop_views)
    batch = batch | dict(view_mask=mask)
  return batch


def mirror_scene(
  batch: dict[str, Array], skeleton: Skeleton, chosen: Bool[Array, " b"]
) -> dict[str, Array]:
  """Mirrors world, cameras and pictures of the chosen windows at the plane x = 0.

  Left and right joints change places.
  """
  xp = namespace(*batch.values(), chosen)
  size, order = batch["images"].shape[-2], skeleton.mirror
  minus = xp.asarray([-1.0, 1.0, 1.0], xp.float32)
  points, lens = batch["keypoints_2d"][..., order, :], batch["intrinsics"]
  rotation, position = batch["camera_rotation"], batch["camera_position"]
  joints = batch["joints_3d"][..., order, :]
  sides = xp.broadcast_to(minus[:, None] * minus[None], rotation.shape)
  mirrored = dict(
    images=batch["images"][..., ::-1, :],
    keypoints_2d=xp.concatenate([size - 1 - points[..., :1], points[..., 1:]], -1),
    intrinsics=xp.concatenate(
      [
        lens[..., :2],
        size - 1 - lens[..., 2:3],
        lens[..., 3:7],
        -lens[..., 7:8],
        lens[..., 8:],
      ],
      -1,
    ),
    joints_3d=joints * xp.broadcast_to(minus, joints.shape),
    camera_rotation=rotation * sides,
    camera_position=position * xp.broadcast_to(minus, position.shape),
  )
  for key in ("keypoints_valid", "visible", "joints_valid"):
    mirrored[key] = batch[key][..., order]
  return batch | {
    key: xp.where(chosen.reshape(-1, *[1] * (array.ndim - 1)), array, batch[key])
    for key, array in mirrored.items()
  }


def turn_scene(batch: dict[str, Array], angle: Float[Array, " b"]) -> dict[str, Array]:
  """Turns world and cameras about the vertical axis; no picture changes."""
  xp = namespace(*batch.values(), angle)
  turn = geometry.euler_to_matrix(angle[:, None], "z").astype(xp.float32)
  return batch | dict(
    joints_3d=xp.einsum("bcd,btjd->btjc", turn, batch["joints_3d"]),
    camera_position=xp.einsum("bcd,bvd->bvc", turn, batch["camera_position"]),
    camera_rotation=xp.einsum("bvce,bde->bvcd", batch["camera_rotation"], turn),
  )


def move_crops(
  batch: dict[str, Array],
  zoom: Float[Array, "b t v"],
  shift: Float[Array, "b t v 2"],
) -> dict[str, Array]:
  """Zooms and moves crops with their intrinsics and keypoints; black comes in.

  Args:
    batch: as of `view_windows.gather`.
    zoom: above 1 things become larger.
    shift: x, y in pixels of the crop.
  """
  xp = namespace(*batch.values(), zoom, shift)
  images = batch["images"]
  size = images.shape[-2]
  moved = camera_crops.resample(
    images.reshape(zoom.size, *images.shape[-3:]).astype(xp.float32),
    zoom.reshape(-1),
    shift.reshape(-1, 2),
  )
  points = camera_crops.move_points(batch["keypoints_2d"], size, zoom, shift)
  inside = ((points >= -0.5) & (points < size - 0.5)).all(-1)
  return batch | dict(
    images=_to_uint8(xp, moved).reshape(images.shape),
    intrinsics=camera_crops.move_intrinsics(batch["intrinsics"], size, zoom, shift),
    keypoints_2d=points,
    visible=batch["visible"] & inside,
  )


def _to_uint8(xp, images):
  return xp.clip(xp.round(images), 0, 255).astype(xp.uint8)


def change_colors(key: Array, images: Array, strength: float) -> Array:
  """Another exposure, contrast and tint for each view of a window; not each frame."""
  b, _, v, *_ = images.shape
  draws = jax.random.uniform(key, (b, 1, v, 1, 1, 5), minval=-1.0) * strength
  draws = jnp.broadcast_to(draws, (*images.shape[:3], 1, 1, 5))
  x = images.astype(jnp.float32)
  mean = x.mean((-3, -2, -1), keepdims=True)
  gain = jnp.exp(draws[..., :1] + 0.3 * draws[..., 2:])
  contrast = jnp.exp(draws[..., 1:2])
  mean, contrast = (jnp.broadcast_to(y, x.shape) for y in (mean, contrast))
  return _to_uint8(
    jnp, (mean + (x - mean) * contrast) * jnp.broadcast_to(gain, x.shape)
  )


def erase(key: Array, batch: dict[str, Array], rate: float) -> dict[str, Array]:
  """Covers a rectangle of some pictures with one colour; joints under it are hidden.

  Its sides are 15 to 45 % of the picture's.
  """
  images = batch["images"]
  lead, size = images.shape[:3], images.shape[-2]
  keys = jax.random.split(key, 4)
  chosen = jax.random.bernoulli(keys[0], rate, lead)
  side = jax.random.uniform(keys[1], (*lead, 2), minval=0.15, maxval=0.45) * size
  low = jax.random.uniform(keys[2], (*lead, 2), minval=-0.1, maxval=0.9) * size
  color = jax.random.randint(keys[3], (*lead, 1, 1, 3), 0, 256).astype(jnp.uint8)

  def covered(points):  # (*lead, n, 2)
    low_, high_ = (
      jnp.broadcast_to(x[..., None, :], points.shape) for x in (low, low + side)
    )
    return ((points >= low_) & (points < high_)).all(-1) & chosen[..., None]

  at = jnp.arange(size, dtype=jnp.float32)
  line = jnp.broadcast_to(jnp.stack([at, at], -1), (*lead, size, 2))
  low_, high_ = (
    jnp.broadcast_to(x[..., None, :], line.shape) for x in (low, low + side)
  )
  across = (line >= low_) & (line < high_)
  under = across[..., 1][..., :, None] & across[..., 0][..., None, :]
  under = under & chosen[..., None, None]
  return batch | dict(
    images=jnp.where(under[..., None], color, images),
    visible=batch["visible"] & ~covered(batch["keypoints_2d"]),
  )


def drop_views(
  key: Array, view_mask: Bool[Array, "b t v"], rate: float
) -> Bool[Array, "b t v"]:
  """The mask without some views of a window; of those present at least one stays."""
  b, _, v = view_mask.shape
  luck = jax.random.uniform(key, (b, v))
  present = view_mask.any(1)
  luck = jnp.where(present, luck, -1.0)
  best = luck == luck.max(1, keepdims=True)
  kept = (luck >= rate) | best
  return view_mask & kept[:, None, :]


LEAVES = 0.1  # share of views in which the person is missed for some frames
_NEAR = 0.3  # metres; joints are never nearer to a camera


def film(
  key: Array, windows: dict[str, Array], skeleton: Skeleton, places: float = 0.0
) -> dict[str, Array]:
  """The windows of `view_motion` with other cameras, and what these see.

  Args:
    key: JAX random key.
    windows: of `view_windows.gather`.
    skeleton: of the joints.
    places: factor on `detector_errors.move_joints_3d`, which only 2D points show.
  """
  joints = windows["joints_3d"]
  b, t, v, j, _ = windows["keypoints_2d"].shape
  size = windows["images"].shape[-2]
  keys = jax.random.split(key, 4)
  rotation, position, focal = rigs.draw(keys[0], joints[:, :, skeleton.root].mean(1), v)
  if places:
    moved = detector_errors.move_joints_3d(keys[1], joints, skeleton)
    joints = joints + places * (moved - joints)
  points = jnp.broadcast_to(joints.reshape(b, 1, t * j, 3), (b, v, t * j, 3))
  seen = cameras.world_to_camera(points, rotation, position)
  rays = seen[..., :2] / jnp.maximum(seen[..., 2:], _NEAR)
  pixels = 1000 * focal[..., None, None] * rays
  pixels = jnp.swapaxes(pixels.reshape(b, v, t, j, 2), 1, 2)
  mask = jnp.ones((b, t, v), bool)
  box = view_motion.boxes(pixels, mask)
  length = jnp.broadcast_to(1000 * focal[:, None, :, None], (b, t, v, 2))
  lens = jnp.concatenate([length, jnp.zeros((b, t, v, 7))], -1)
  every = jnp.ones((b, t, v, j), bool)
  return windows | dict(
    view_mask=mask & ~_leave(keys[2], b, t, v),
    intrinsics=camera_crops.crop_intrinsics(lens, box, size=size),
    camera_rotation=rotation,
    camera_position=position,
    boxes=box,
    keypoints_2d=camera_crops.crop_points(pixels, box, size=size),
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
