"""Multi-perspective spatial-temporal relational transformer: video of several views.

Jiao et al., "Towards Precise 3D Human Pose Estimation with Multi-Perspective
Spatial-Temporal Relational Transformers", arXiv 2401.16700. The method section was not
open to us. Facts, from the abstract and the authors' code of April 2024 (which has no
3D stage): windowed and global attention inside each image, patches that do not matter
are cropped away, each image becomes a token, the tokens of all images of a sequence are
related, every frame gets a 2D pose, and PoseFormer lifts it. Variant "faithful" is that
code, with PoseFormer behind it. All else is our choice and named so where it is made:
clips with axes for view and frame (the code takes its batch for the sequence), missing
views, cameras, joint tokens, the supervised choice of patches, the fused lifter.
One person in each crop.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import UInt8

from jaxpose import crops
from jaxpose.models import multiview_parts as parts
from jaxpose.models.multiview_embeddings import Cameras
from jaxpose.models.multiview_embeddings import as_cameras
from jaxpose.models.multiview_embeddings import reference_view
from jaxpose.models.multiview_embeddings import require_cameras
from jaxpose.models.multiview_fields import require_fields
from jaxpose.models.multiview_relations import drop_views
from jaxpose.models.multiview_triangulated import lift_by_dlt


class MultiView(nn.Module):
  """The network; see `VARIANTS` for the named configurations.

  It takes any number of views and frames: parameters do not depend on them but for
  tables with `max_views` and `max_frames` rows. Shapes: b clips, v views, t frames, j
  joints, k patches.

  Attributes:
    num_joints: of the pose.
    root: joint that 3D poses are relative to.
    image_size: pixels of the side of a crop; other sizes resize the positions.
    stem: (channels, kernel, stride) of each convolution.
    positions: add a table of positions to the patches (the released trunk does not).
    depths: window blocks of each stage; between stages 2 x 2 patches merge.
    window_heads: of each stage.
    window: side of a window in patches.
    joint_tokens: find each joint by attention soft-argmax. Off, as released: one
      linear layer reads all joints, in pixels, off the frame token.
    global_depth: blocks of global attention; 0 as released.
    global_heads: of these.
    keep: share of the patches that stay, for each time some are dropped.
    keep_at: the global block of each time.
    score: what decides each time: "head", "attn", "mix", "rand" or "none"; see
      `multiview_selection.GlobalBlock`. None of these fields makes parameters but for
      "head" and "mix", so that a schedule may `clone` the module with another `keep`.
    drop: "gather", or "mask", the same by hiding patches from attention.
    fuse_token: a token for the patches that go, as an option of EViT.
    mlp_ratio: hidden channels of the spatial module's MLPs over the width.
    drop_path: stochastic depth of the spatial module's last block.
    epsilon: of the trunk's norms.
    spatial_init: of the spatial module's linear layers; a key of
      `multiview_fields.INITS`.
    width: channels of a frame token.
    depth: blocks of the image relations.
    heads: of these.
    relation_mlp_ratio: hidden channels of their MLPs over the width.
    relation_drop_path: stochastic depth of the last of them.
    relation_init: of their linear layers, likewise.
    layout: who is related; see `multiview_relations.Relations`.
    causal: nothing depends on later frames.
    time_embedding: see `multiview_embeddings.Embedding`.
    view_embedding: see there; also "ray", the viewing ray of each patch.
    max_frames: rows of a learned time table.
    max_views: rows of a learned view table.
    view_dropout: in training, rate at which whole views count as missing.
    lifter: "fused", "poseformer", "dlt" (calibrated, no parameters) or "none".
    lifter_width: channels of the lifter ("poseformer": of a joint).
    lifter_depth: its blocks.
    lifter_heads: of its attention.
    lifter_drop_path: stochastic depth of its last block.
    lifter_world_offsets: of "fused"; see `FusedLifter`.
    lifter_triangulated: of "fused"; see there.
    lifter_reweighted: of "fused"; see there.
    lifter_gradient: let 3D losses change the 2D network.
    dtype: compute type; parameters, softmax, the statistics of norms, coordinates and
      outputs stay float32.
    remat: recompute each block in the backward pass to save memory.
  """

  num_joints: int = 17
  root: int = 0
  image_size: int = 224
  stem: tuple[tuple[int, int, int], ...] = ((48, 3, 2), (96, 3, 2), (192, 3, 2))
  positions: bool = True
  depths: tuple[int, ...] = (4, 4)
  window_heads: tuple[int, ...] = (6, 12)
  window: int = 7
  joint_tokens: bool = True
  global_depth: int = 4
  global_heads: int = 6
  keep: tuple[float, ...] = (0.7, 0.7)
  keep_at: tuple[int, ...] = (0, 1)
  score: tuple[str, ...] = ("head", "mix")
  drop: str = "gather"
  fuse_token: bool = False
  mlp_ratio: int = 4
  drop_path: float = 0.1
  epsilon: float = 1e-6
  spatial_init: str = "normal"
  width: int = 384
  depth: int = 4
  heads: int = 8
  relation_mlp_ratio: int = 2
  relation_drop_path: float = 0.2
  relation_init: str = "normal"
  layout: str = "joint"
  causal: bool = False
  time_embedding: str = "learned"
  view_embedding: str = "camera"
  max_frames: int = 128
  max_views: int = 8
  view_dropout: float = 0.2
  lifter: str = "fused"
  lifter_width: int = 256
  lifter_depth: int = 4
  lifter_heads: int = 8
  lifter_drop_path: float = 0.1
  lifter_world_offsets: bool = True
  lifter_triangulated: bool = True
  lifter_reweighted: bool = False
  lifter_gradient: bool = False
  dtype: Any = jnp.float32
  remat: bool = False

  def __post_init__(self):
    require_fields(self)
    super().__post_init__()

  @property
  def grid(self) -> tuple[int, int]:
    """Rows and columns of patches of an image of the usual size."""
    return parts.grid(self, self.image_size, self.image_size)

  def setup(self):
    """Images, their relations, the 2D head, and the 3D stage."""
    self.trunk = parts.trunk(self)
    self.spatial = parts.spatial(self)
    self.embedding = parts.embedding(self)
    self.relations = parts.relations(self)
    self.head = parts.head(self)
    self.lifting = parts.lifter(self, view_dropout=0.0)

  def __call__(
    self,
    images: UInt8[Array, "b v t h w 3"] | Float[Array, "b v t h w 3"],
    view_mask: Bool[Array, "b v t"] | None = None,
    camera_rotation: Float[Array, "b v 3 3"] | None = None,
    camera_position: Float[Array, "b v 3"] | None = None,
    crop_intrinsics: Float[Array, "b v t 4"] | None = None,
    *,
    reference: Int[Array, " b"] | None = None,
    train: bool = False,
  ) -> dict[str, Array]:
    """2D poses of every image and 3D poses of every frame.

    Args:
      images: RGB square crops of the person; bytes, or floats that
        `crops.normalize` made of them.
      view_mask: which images are there; None: all. The others may hold any pixels, and
        change nothing but that they are missing. Cameras are finite in any case.
      camera_rotation: world to camera.
      camera_position: camera centres in the world, metres.
      crop_intrinsics: fx, fy, cx, cy of each crop in crop units; see
        `triangulation.unit_intrinsics`. The three are given together or not at all.
      reference: index of the view whose axes 3D poses have where the network has no
        cameras; None: the first.
      train: drops views and branches with the rng "dropout".

    Returns:
      keypoints_2d: (b, v, t, j, 2) crop units, x right, y down, [-1, 1] over the crop;
        of missing images too, from the others; scores: (b, v, t, j) confidence in
        (0, 1), 1 without joint tokens; present: (b, v, t) bool, view_mask after view
        dropout; kept: (b, v, t, k) int32, the patches left, in raster order.
      With joint tokens score_logits: (b, v, t, j), and keypoints_2d_spatial, the first
        guess of each image alone. With scores "head" and "mix", for place i of `keep`,
        relevance_i: (b, v, t, k_i) logits, about the patches relevance_patches_i.
      joints_3d: (b, t, j, 3) metres relative to the root; axes of the world, or of the
        reference view where the lifter gets no cameras; and what the lifter adds:
        view_weights, joints_3d_camera, joints_3d_world, joints_3d_valid.
    """
    cameras = as_cameras(camera_rotation, camera_position, crop_intrinsics)
    if view_mask is None:
      view_mask = jnp.ones(images.shape[:3], bool)
    encoded = self.encode_images(images, view_mask, cameras, train=train)
    present = view_mask
    if train and self.view_dropout:
      noise = jax.random.uniform(self.make_rng("dropout"), view_mask.shape[:2])
      keep = None
      if self.view_embedding == "reference" or cameras is None:
        keep = reference_view(reference, *view_mask.shape[:2])
      present = drop_views(view_mask, noise, self.view_dropout, keep)
    out = self.relate(encoded, present, cameras, reference=reference, train=train)
    pose = self.lift(
      out["keypoints_2d"],
      out["scores"],
      present,
      cameras,
      reference=reference,
      train=train,
    )
    return out | pose | {"present": present}

  def encode_images(
    self,
    images: UInt8[Array, "b v t h w 3"] | Float[Array, "b v t h w 3"],
    view_mask: Bool[Array, "b v t"],
    cameras: Cameras | None = None,
    *,
    train: bool = False,
  ) -> dict[str, Array]:
    """Each image alone, (b, v, t, ...): what `relate` takes, and a stream may keep."""
    b, v, t, h, w, _ = images.shape
    parts.grid(self, h, w)
    images = jnp.where(
      view_mask[..., None, None, None], images, jnp.zeros((), images.dtype)
    ).reshape(-1, h, w, 3)
    if images.dtype == jnp.uint8:
      images = crops.normalize(images)
    rays = None
    if self.view_embedding == "ray":
      require_cameras(cameras, "the view embedding 'ray'")
      rotation = jnp.broadcast_to(cameras.rotation[:, :, None], (b, v, t, 3, 3))
      rays = rotation.reshape(-1, 3, 3), cameras.intrinsics.reshape(-1, 4)
    out = self.spatial(self.trunk(images, train=train), rays, train=train)
    return {key: a.reshape(b, v, t, *a.shape[1:]) for key, a in out.items()}

  def relate(
    self,
    encoded: dict[str, Array],
    present: Bool[Array, "b v t"],
    cameras: Cameras | None = None,
    *,
    reference: Int[Array, " b"] | None = None,
    train: bool = False,
  ) -> dict[str, Array]:
    """2D poses from encoded images; hides those that are not present."""
    b, v, t = present.shape
    used = {
      key: jnp.where(
        present.reshape(b, v, t, *[1] * (encoded[key].ndim - 3)), encoded[key], 0
      )
      for key in ("frame", "queries", "local", "places")
      if key in encoded
    }
    frame = used.pop("frame")
    frame = frame + self.embedding(present, cameras, reference, used.get("places"))
    frame = self.relations(frame, present, train=train)
    points, logits = self.head(
      frame.reshape(b * v * t, -1),
      **{key: a.reshape(b * v * t, *a.shape[3:]) for key, a in used.items()},
    )
    points = points.reshape(b, v, t, *points.shape[1:])
    kept = ("kept", "relevance")
    out = {key: a for key, a in encoded.items() if key.startswith(kept)}
    out |= dict(keypoints_2d=points, scores=jnp.ones(points.shape[:-1]))
    if logits is not None:
      logits = logits.reshape(points.shape[:-1])
      out |= dict(scores=nn.sigmoid(logits), score_logits=logits)
      out["keypoints_2d_spatial"] = encoded["places"]
    return out

  def lift(
    self,
    keypoints_2d: Float[Array, "b v t j 2"],
    scores: Float[Array, "b v t j"],
    present: Bool[Array, "b v t"],
    cameras: Cameras | None = None,
    *,
    reference: Int[Array, " b"] | None = None,
    train: bool = False,
  ) -> dict[str, Array]:
    """3D poses from 2D poses; nothing with lifter "none"."""
    if self.lifter == "none":
      return {}
    if not self.lifter_gradient:
      keypoints_2d, scores = jax.lax.stop_gradient((keypoints_2d, scores))
    if self.lifter == "dlt":
      require_cameras(cameras, "the lifter 'dlt'")
      return lift_by_dlt(keypoints_2d, scores, present, cameras, self.root)
    return self.lifting(
      keypoints_2d, scores, present, *(cameras or ()), reference=reference, train=train
    )
