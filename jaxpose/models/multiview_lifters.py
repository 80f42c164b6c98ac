"""The 3D stage: 2D sequences of several views to one 3D pose a frame.

The paper lifts with PoseFormer: `SequenceLifter`, view by view, here without its
weighted mean over time. `FusedLifter`, in which the views attend to each other, is our
default. `lift_by_dlt` is the baseline without training. All take 2D poses alone.

Where calibrated cameras are known, `nearest` finds the points where the viewing lines
of several cameras nearly meet, and `misfit` how far they lie beside each view's
keypoints.
"""

from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int

from jaxpose.geometry.triangulation import crop_rays
from jaxpose.geometry.triangulation import nearest_points
from jaxpose.geometry.triangulation import project_to_crop
from jaxpose.geometry.triangulation import triangulate
from jaxpose.models.attention import POSITION
from jaxpose.models.attention import Blocks
from jaxpose.models.attention import dense
from jaxpose.models.attention import drop_path_rates
from jaxpose.models.attention import gelu
from jaxpose.models.attention import layer_norm
from jaxpose.models.multiview_relations import Cameras
from jaxpose.models.multiview_relations import Embedding
from jaxpose.models.multiview_relations import Relations
from jaxpose.models.multiview_relations import as_cameras
from jaxpose.models.multiview_relations import drop_views
from jaxpose.models.multiview_relations import key_mask
from jaxpose.models.multiview_relations import reference_view
from jaxpose.models.multiview_relations import require_cameras

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


_ZEROS = nn.initializers.zeros


class FusedLifter(nn.Module):
  """Tokens of (view, frame), related, averaged over the views, and read as poses.

  Attributes:
    num_joints: of the pose.
    root: joint that poses are relative to.
    width: channels.
    depth: blocks.
    heads: of the attention.
    mlp_ratio: hidden channels of the MLPs over the width.
    drop_path: stochastic depth of the last block, from 0 in even steps.
    view_dropout: in training, rate at which whole views are hidden.
    layout: see `multiview_relations.Relations`.
    causal: poses do not depend on later frames.
    time_embedding: see `multiview_relations.Embedding`.
    view_embedding: see there; "camera" makes the axes those of the world.
    world_offsets: with view embedding "camera", also take each joint's offset from the
      root in the image, turned into the axes of the world, which is hard to learn.
    triangulated: with view embedding "camera", also take where the viewing lines of
      each joint nearly meet, and learn how far to trust that.
    reweighted: with `triangulated`, also take how far that is beside each view's 2D
      joints, let the lines meet again with weights that the network gives them, as in
      learnable triangulation (Iskakov et al., ICCV 2019, 1905.05754), and correct the
      result.
    max_frames: rows of a learned time table.
    max_views: rows of a learned view table.
    dtype: compute type; parameters, softmax and outputs stay float32.
    remat: recompute each block in the backward pass.
  """

  num_joints: int = 17
  root: int = 0
  width: int = 256
  depth: int = 4
  heads: int = 8
  mlp_ratio: int = 2
  drop_path: float = 0.0
  view_dropout: float = 0.2
  layout: str = "joint"
  causal: bool = False
  time_embedding: str = "learned"
  view_embedding: str = "camera"
  world_offsets: bool = True
  triangulated: bool = True
  reweighted: bool = False
  max_frames: int = 128
  max_views: int = 8
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(
    self,
    keypoints_2d: Float[Array, "b v t j 2"],
    scores: Float[Array, "b v t j"],
    view_mask: Bool[Array, "b v t"] | None = None,
    camera_rotation: Float[Array, "b v 3 3"] | None = None,
    camera_position: Float[Array, "b v 3"] | None = None,
    crop_intrinsics: Float[Array, "b v t 4"] | None = None,
    *,
    reference: Int[Array, " b"] | None = None,
    train: bool = False,
  ) -> dict[str, Array]:
    """Poses of every frame; arguments as in `MultiView`.

    Returns:
      joints_3d: (b, t, j, 3) metres relative to the root. Axes: the world's with view
        embedding "camera", else the reference view's (the first view's).
      view_weights: (b, v, t) how much each view counted.
      joints_3d_direct: (b, t, j, 3) with `triangulated`, before these are mixed in.
    """
    b, v, t, j, _ = keypoints_2d.shape
    cameras = as_cameras(camera_rotation, camera_position, crop_intrinsics)
    keep = None
    if self.view_embedding == "reference":
      keep = reference_view(reference, b, v)
    present = _present(self, view_mask, (b, v, t), keep, train)
    x = jnp.concatenate([keypoints_2d, scores[..., None]], -1).reshape(b, v, t, 3 * j)
    if self.view_embedding == "camera" and self.world_offsets:
      require_cameras(cameras, "the view embedding 'camera'")
      offset = keypoints_2d - keypoints_2d[..., self.root : self.root + 1, :]
      offset = jnp.einsum("bvtjd,bvdc->bvtjc", offset, cameras.rotation[:, :, :2])
      x = jnp.concatenate([x, offset.reshape(b, v, t, 3 * j)], -1)
    x = jnp.where(present[..., None], x, 0).astype(self.dtype)
    x = dense(self.width, "embed", self.dtype)(x) + Embedding(
      self.width,
      self.time_embedding,
      self.view_embedding,
      self.max_frames,
      self.max_views,
      self.causal,
      self.dtype,
      name="embedding",
    )(present, cameras, reference, keypoints_2d)
    met = None
    if self.view_embedding == "camera" and self.triangulated:
      met = nearest(keypoints_2d, scores, present, cameras, self.root)
      met = jax.lax.stop_gradient(met)  # an input
      known = [met.pose.reshape(b, t, -1), met.valid.astype(x.dtype)]
      known = jnp.concatenate(known, -1)
      x = x + dense(self.width, "triangulated", self.dtype)(known)[:, None]
      if self.reweighted:
        apart = misfit(met, keypoints_2d, present, cameras).reshape(b, v, t, -1)
        x = x + dense(self.width, "misfit", self.dtype, init=_ZEROS)(apart)
    x = Relations(
      self.layout,
      drop_path_rates(self.drop_path, self.depth),
      self.heads,
      self.mlp_ratio,
      self.causal,
      self.time_embedding == "rotary",
      self.dtype,
      self.remat,
      name="relations",
    )(x, present, train=train)
    if met is not None and self.reweighted:
      lines = nn.sigmoid(dense(j, "line_weight", jnp.float32, init=_ZEROS)(x))
      met = nearest(keypoints_2d, lines * scores, present, cameras, self.root)
    logits = dense(1, "view_weight", jnp.float32)(x)[..., 0]
    # Where no view is present, all count alike.
    weights = jax.nn.softmax(jnp.where(present, logits, -1e9), axis=1)
    x = (weights.astype(x.dtype)[..., None] * x).sum(1)
    x = gelu(dense(2 * self.width, "pose_hidden", self.dtype)(x))
    pose = dense(3 * j, "pose", jnp.float32)(x).reshape(b, t, j, 3)
    out = dict(joints_3d=relative(pose, self.root), view_weights=weights)
    if met is None:
      return out
    trust = jax.nn.sigmoid(dense(j, "trust", jnp.float32)(x)) * met.valid
    mixed = pose + trust[..., None] * (met.pose - pose)
    if self.reweighted:
      change = dense(3 * j, "correction", jnp.float32, init=_ZEROS)(x)
      mixed = mixed + change.reshape(b, t, j, 3)
    mixed = relative(mixed, self.root)
    return out | dict(joints_3d=mixed, joints_3d_direct=out["joints_3d"])


class SequenceLifter(nn.Module):
  """PoseFormer for every frame: joints look at each other, then frames, in each view.

  Attributes:
    num_joints: of the pose.
    root: joint that poses are relative to.
    joint_width: channels of a joint; a frame has `num_joints` times as many.
    depth: blocks over joints, and as many over frames.
    heads: of the attention.
    mlp_ratio: hidden channels of the MLPs over the width.
    drop_path: stochastic depth of the last block of each kind.
    view_dropout: in training, rate at which whole views are hidden.
    causal: poses do not depend on later frames.
    max_frames: rows of the time table.
    dtype: compute type; parameters, softmax and outputs stay float32.
    remat: recompute each block in the backward pass.
  """

  num_joints: int = 17
  root: int = 0
  joint_width: int = 32
  depth: int = 4
  heads: int = 8
  mlp_ratio: int = 2
  drop_path: float = 0.2
  view_dropout: float = 0.0
  causal: bool = False
  max_frames: int = 128
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(
    self,
    keypoints_2d: Float[Array, "b v t j 2"],
    scores: Float[Array, "b v t j"],
    view_mask: Bool[Array, "b v t"] | None = None,
    camera_rotation: Float[Array, "b v 3 3"] | None = None,
    camera_position: Float[Array, "b v 3"] | None = None,
    crop_intrinsics: Float[Array, "b v t 4"] | None = None,
    *,
    reference: Int[Array, " b"] | None = None,
    train: bool = False,
  ) -> dict[str, Array]:
    """Poses of every image; of the cameras only the rotation is used, `scores` not.

    Returns:
      joints_3d_camera: (b, v, t, j, 3) metres, relative to the root, camera axes.
      joints_3d: (b, t, j, 3) with cameras their mean over the views present, world
        axes; else that of the reference view.
    """
    del scores
    b, v, t, j, _ = keypoints_2d.shape
    if t > self.max_frames:
      raise ValueError(
        f"got {t} frames, expected at most {self.max_frames}; raise max_frames."
      )
    cameras = as_cameras(camera_rotation, camera_position, crop_intrinsics)
    chosen = reference_view(reference, b, v)
    keep = chosen if cameras is None else None
    present = _present(self, view_mask, (b, v, t), keep, train)
    blocks = dict(
      rates=drop_path_rates(self.drop_path, self.depth),
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
      dtype=self.dtype,
      remat=self.remat,
    )
    x = jnp.where(present[..., None, None], keypoints_2d, 0).reshape(-1, j, 2)
    x = dense(self.joint_width, "embed", self.dtype)(x.astype(self.dtype))
    table = self.param("joint_position", POSITION, (j, self.joint_width))
    x = x + table.astype(self.dtype)[None]
    x = Blocks(**blocks, name="joints")(x, train=train).reshape(b * v, t, -1)
    table = self.param("time_position", POSITION, (self.max_frames, x.shape[-1]))
    x = x + table[:t].astype(self.dtype)[None]
    mask = key_mask(present.reshape(b * v, t), np.arange(t), self.causal)
    x = Blocks(**blocks, name="frames")(x, train=train, mask=mask)
    x = layer_norm("pose_norm", self.dtype)(x)
    pose = dense(3 * j, "pose", jnp.float32)(x).reshape(b, v, t, j, 3)
    pose = relative(pose, self.root)
    if cameras is None:
      weight, turned = jnp.broadcast_to(chosen[..., None], (b, v, t)), pose
    else:
      weight = present
      turned = jnp.einsum("bvtjc,bvcd->bvtjd", pose, cameras.rotation)
    weight = weight.astype(pose.dtype)
    weight = weight / jnp.maximum(weight.sum(1, keepdims=True), 1)
    mean = (weight[..., None, None] * turned).sum(1)
    return dict(joints_3d_camera=pose, joints_3d=mean)


def _present(module, view_mask, shape, keep, train):
  """The images to use; in training without some views, but those to `keep`."""
  present = jnp.ones(shape, bool) if view_mask is None else view_mask
  if not train or module.view_dropout == 0:
    return present
  noise = jax.random.uniform(module.make_rng("dropout"), shape[:2])
  return drop_views(present, noise, module.view_dropout, keep)
