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

`MultiView` makes its parts from its fields with the `make_*` functions;
`require_fields` checks which fields go together.
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

from jaxpose.geometry import crops
from jaxpose.models.attention import GLOROT
from jaxpose.models.attention import drop_path_rates
from jaxpose.models.multiview_image import SCORES
from jaxpose.models.multiview_image import KeypointHead
from jaxpose.models.multiview_image import Spatial
from jaxpose.models.multiview_image import Trunk
from jaxpose.models.multiview_lifters import FusedLifter
from jaxpose.models.multiview_lifters import SequenceLifter
from jaxpose.models.multiview_lifters import lift_by_dlt
from jaxpose.models.multiview_relations import LAYOUTS
from jaxpose.models.multiview_relations import TIMES
from jaxpose.models.multiview_relations import VIEWS
from jaxpose.models.multiview_relations import Cameras
from jaxpose.models.multiview_relations import Embedding
from jaxpose.models.multiview_relations import Relations
from jaxpose.models.multiview_relations import as_cameras
from jaxpose.models.multiview_relations import drop_views
from jaxpose.models.multiview_relations import reference_view
from jaxpose.models.multiview_relations import require_cameras

INITS = dict(
  glorot=GLOROT,
  normal=nn.initializers.truncated_normal(0.02),  # as the released trunk
  uniform=nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),  # PyTorch's
)
LIFTERS = ("fused", "poseformer", "dlt", "none")
DROPS = ("gather", "mask")


def require_fields(module) -> None:
  """Refuses a `MultiView` whose fields do not fit.

  Raises:
    ValueError: names the field, what it may be, and what to do.
  """
  m = module
  words = dict(
    layout=(m.layout, LAYOUTS),
    time_embedding=(m.time_embedding, TIMES),
    view_embedding=(m.view_embedding, (*VIEWS, "ray")),
    lifter=(m.lifter, LIFTERS),
    drop=(m.drop, DROPS),
    spatial_init=(m.spatial_init, tuple(INITS)),
    relation_init=(m.relation_init, tuple(INITS)),
  )
  words |= {f"score[{i}]": (score, SCORES) for i, score in enumerate(m.score)}
  for field, (got, known) in words.items():
    if got not in known:
      raise ValueError(f"got {field} {got!r}, expected one of {', '.join(known)}.")
  if not len(m.keep) == len(m.keep_at) == len(m.score):
    raise ValueError(
      f"got {len(m.keep)} keep, {len(m.keep_at)} keep_at and {len(m.score)} score, "
      "expected one of each for every time that patches are dropped."
    )
  places = tuple(sorted(set(m.keep_at)))
  if places != tuple(m.keep_at) or not set(places) <= set(range(m.global_depth)):
    raise ValueError(
      f"got keep_at {tuple(m.keep_at)}, expected ascending numbers of the "
      f"{m.global_depth} global blocks, from 0; without blocks set keep, keep_at and "
      "score to ()."
    )
  if not all(0 < share <= 1 for share in m.keep):
    raise ValueError(f"got keep {tuple(m.keep)}, expected shares in (0, 1].")
  if len(m.depths) != len(m.window_heads) or not m.depths:
    raise ValueError(
      f"got depths {tuple(m.depths)} and window_heads {tuple(m.window_heads)}, "
      "expected one number each for every stage."
    )
  if m.view_embedding == "relative" and not m.joint_tokens:
    raise ValueError(
      "got view_embedding 'relative' without joint tokens, expected joint_tokens: it "
      "compares the 2D poses that they find; set joint_tokens=True."
    )


def patch_stride(m) -> int:
  """Pixels between the patches of the global attention."""
  steps = 2 ** (len(m.depths) - 1)
  for _, _, stride in m.stem:
    steps *= stride
  return steps


def token_grid(m, height: int, width: int) -> tuple[int, int]:
  """Rows and columns of patches of an image.

  Raises:
    ValueError: the patches do not fill the image.
  """
  stride = patch_stride(m)
  if height % stride or width % stride:
    raise ValueError(
      f"got images of {height} x {width} pixels, expected multiples of the stride "
      f"{stride}; crop them to {m.image_size} x {m.image_size}."
    )
  return height // stride, width // stride


def make_trunk(m) -> Trunk:
  """Stem and windowed attention."""
  merged = 2 ** (len(m.depths) - 1)
  rows, columns = token_grid(m, m.image_size, m.image_size)
  return Trunk(
    m.stem,
    (rows * merged, columns * merged) if m.positions else None,
    m.depths,
    m.window_heads,
    m.window,
    _spatial_rates(m)[: sum(m.depths)],
    epsilon=m.epsilon,
    **_spatial(m),
  )


def make_spatial(m) -> Spatial:
  """Global attention, selection, soft-argmax and frame token."""
  return Spatial(
    m.num_joints,
    m.width,
    m.joint_tokens,
    m.global_depth,
    m.global_heads,
    _spatial_rates(m)[sum(m.depths) :],
    m.keep,
    m.keep_at,
    m.score,
    patch_stride(m),
    m.drop,
    m.fuse_token,
    m.view_embedding == "ray",
    **_spatial(m),
  )


def make_embedding(m) -> Embedding:
  """Of the frame tokens; with "ray" the patches tell the view already."""
  view = "none" if m.view_embedding == "ray" else m.view_embedding
  return Embedding(
    m.width, m.time_embedding, view, m.max_frames, m.max_views, m.causal, m.dtype
  )


def make_relations(m) -> Relations:
  """The image-relations module."""
  return Relations(
    m.layout,
    drop_path_rates(m.relation_drop_path, m.depth),
    m.heads,
    m.relation_mlp_ratio,
    m.causal,
    m.time_embedding == "rotary",
    m.dtype,
    m.remat,
    INITS[m.relation_init],
  )


def make_head(m) -> KeypointHead:
  """The 2D head."""
  return KeypointHead(m.num_joints, m.image_size, m.dtype, INITS[m.spatial_init])


def make_lifter(m, **overrides) -> nn.Module | None:
  """The 3D stage; None if it has no parameters."""
  fields = dict(
    num_joints=m.num_joints,
    root=m.root,
    depth=m.lifter_depth,
    heads=m.lifter_heads,
    drop_path=m.lifter_drop_path,
    view_dropout=m.view_dropout,
    causal=m.causal,
    max_frames=m.max_frames,
    dtype=m.dtype,
    remat=m.remat,
  )
  if m.lifter == "poseformer":
    return SequenceLifter(**fields | dict(joint_width=m.lifter_width) | overrides)
  if m.lifter == "fused":
    fields |= dict(
      width=m.lifter_width,
      layout=m.layout,
      time_embedding=m.time_embedding,
      view_embedding="camera" if m.view_embedding == "ray" else m.view_embedding,
      world_offsets=m.lifter_world_offsets,
      triangulated=m.lifter_triangulated,
      reweighted=m.lifter_reweighted,
      max_views=m.max_views,
    )
    return FusedLifter(**fields | overrides)
  return None


def _spatial_rates(m):
  return drop_path_rates(m.drop_path, sum(m.depths) + m.global_depth)


def _spatial(m):
  return dict(
    mlp_ratio=m.mlp_ratio,
    dtype=m.dtype,
    remat=m.remat,
    kernel_init=INITS[m.spatial_init],
  )


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
      `multiview_image.GlobalBlock`. None of these fields makes parameters but for
      "head" and "mix", so that a schedule may `clone` the module with another `keep`.
    drop: "gather", or "mask", the same by hiding patches from attention.
    fuse_token: a token for the patches that go, as an option of EViT.
    mlp_ratio: hidden channels of the spatial module's MLPs over the width.
    drop_path: stochastic depth of the spatial module's last block.
    epsilon: of the trunk's norms.
    spatial_init: of the spatial module's linear layers; a key of
      `multiview_network.INITS`.
    width: channels of a frame token.
    depth: blocks of the image relations.
    heads: of these.
    relation_mlp_ratio: hidden channels of their MLPs over the width.
    relation_drop_path: stochastic depth of the last of them.
    relation_init: of their linear layers, likewise.
    layout: who is related; see `multiview_relations.Relations`.
    causal: nothing depends on later frames.
    time_embedding: see `multiview_relations.Embedding`.
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
    return token_grid(self, self.image_size, self.image_size)

  def setup(self):
    """Images, their relations, the 2D head, and the 3D stage."""
    self.trunk = make_trunk(self)
    self.spatial = make_spatial(self)
    self.embedding = make_embedding(self)
    self.relations = make_relations(self)
    self.head = make_head(self)
    self.lifting = make_lifter(self, view_dropout=0.0)

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
    token_grid(self, h, w)
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
