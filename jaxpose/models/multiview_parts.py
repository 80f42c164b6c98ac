"""The parts of the multi-view network, made from its fields; see `MultiView`."""

import flax.linen as nn

from jaxpose.models.blocks import drop_path_rates
from jaxpose.models.multiview_embeddings import Embedding
from jaxpose.models.multiview_fields import INITS
from jaxpose.models.multiview_lifters import FusedLifter
from jaxpose.models.multiview_lifters import SequenceLifter
from jaxpose.models.multiview_relations import Relations
from jaxpose.models.multiview_spatial import KeypointHead
from jaxpose.models.multiview_spatial import Spatial
from jaxpose.models.multiview_windows import Trunk


def patch_stride(m) -> int:
  """Pixels between the patches of the global attention."""
  steps = 2 ** (len(m.depths) - 1)
  for _, _, stride in m.stem:
    steps *= stride
  return steps


def grid(m, height: int, width: int) -> tuple[int, int]:
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


def trunk(m) -> Trunk:
  """Stem and windowed attention."""
  merged = 2 ** (len(m.depths) - 1)
  rows, columns = grid(m, m.image_size, m.image_size)
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


def spatial(m) -> Spatial:
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


def embedding(m) -> Embedding:
  """Of the frame tokens; with "ray" the patches tell the view already."""
  view = "none" if m.view_embedding == "ray" else m.view_embedding
  return Embedding(
    m.width, m.time_embedding, view, m.max_frames, m.max_views, m.causal, m.dtype
  )


def relations(m) -> Relations:
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


def head(m) -> KeypointHead:
  """The 2D head."""
  return KeypointHead(m.num_joints, m.image_size, m.dtype, INITS[m.spatial_init])


def lifter(m, **overrides) -> nn.Module | None:
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
