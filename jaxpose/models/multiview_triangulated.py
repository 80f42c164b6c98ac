"""Poses where the viewing lines of several calibrated cameras meet."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.models.multiview_embeddings import Cameras
from jaxpose.triangulation import crop_rays
from jaxpose.triangulation import nearest_points
from jaxpose.triangulation import project_to_crop
from jaxpose.triangulation import triangulate

_REACH = 1.5  # metres from the root: lines that are near parallel meet anywhere


def lift_by_dlt(
  keypoints_2d: Float[Array, "b v t j 2"],
  scores: Float[Array, "b v t j"],
  view_mask: Bool[Array, "b v t"],
  cameras: Cameras,
  root: int = 0,
) -> dict[str, Array]:
  """Triangulated poses, each view weighted by its scores; needs two views.

  Returns:
    joints_3d_world: (b, t, j, 3) metres in the world; joints_3d: the same relative to
      the root; joints_3d_valid: (b, t, j) bool, two views and, for joints_3d, also a
      root. Joints that are not are 0 in the world.
  """
  rays = crop_rays(keypoints_2d, cameras.intrinsics)
  weight = scores * view_mask[..., None]
  world, valid = triangulate(
    rays.swapaxes(1, 2),
    cameras.rotation[:, None],
    cameras.position[:, None],
    weight.swapaxes(1, 2),
  )
  valid = valid & valid[..., root : root + 1]
  return dict(
    joints_3d_world=world, joints_3d=relative(world, root), joints_3d_valid=valid
  )


class Met(NamedTuple):
  """Where viewing lines nearly meet; 0 where they do not.

  Attributes:
    pose: metres, relative to the root; 0 also where that is unknown.
    valid: joints with a pose.
    world: metres in the world.
    world_valid: joints that are known there.
  """

  pose: Float[Array, "b t j 3"]
  valid: Bool[Array, "b t j"]
  world: Float[Array, "b t j 3"]
  world_valid: Bool[Array, "b t j"]


def nearest(
  keypoints_2d: Float[Array, "b v t j 2"],
  scores: Float[Array, "b v t j"],
  present: Bool[Array, "b v t"],
  cameras: Cameras,
  root: int = 0,
) -> Met:
  """Where the lines of views nearly meet, weighted by their scores."""
  weight = scores * present[..., None]
  rays = crop_rays(keypoints_2d, cameras.intrinsics)
  world, known = nearest_points(
    rays.swapaxes(1, 2),
    cameras.rotation[:, None],
    cameras.position[:, None],
    weight.swapaxes(1, 2),
  )
  valid = known & known[..., root : root + 1]
  pose = jnp.clip(relative(world, root), -_REACH, _REACH)
  return Met(jnp.where(valid[..., None], pose, 0), valid, world, known)


def misfit(
  met: Met,
  keypoints_2d: Float[Array, "b v t j 2"],
  present: Bool[Array, "b v t"],
  cameras: Cameras,
) -> Float[Array, "b v t j 2"]:
  """How far beside the keypoints of each view the points are, in crop units.

  From -1 to 1, 0 where there is no point or no view.
  """
  offset = met.world[:, None] - cameras.position[:, :, None, None]
  seen = jnp.einsum("bvcd,bvtjd->bvtjc", cameras.rotation, offset)
  apart = project_to_crop(seen, cameras.intrinsics) - keypoints_2d
  known = met.world_valid[:, None] & present[..., None]
  return jnp.where(known[..., None], jnp.clip(apart, -1, 1), 0)


def relative(pose: Float[Array, "*b j 3"], root: int) -> Float[Array, "*b j 3"]:
  """The pose as seen from its root."""
  return pose - pose[..., root : root + 1, :]
