"""Named configurations of the multi-view network and of its 3D stage alone.

See `multiview_network` for what is the paper's, what the released code's and what ours.
"""

import dataclasses
import difflib

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models import multiview_network as parts
from jaxpose.models.multiview_lifters import FusedLifter
from jaxpose.models.multiview_lifters import SequenceLifter
from jaxpose.models.multiview_network import MultiView

# "faithful" is the released 2D network with PoseFormer behind it; the released code
# feeds its batch as one sequence: give it clips of one row, (1, 1, n, ...), for that.
# "base" is what we recommend; "small" and "tiny" are for less data and time.
VARIANTS: dict[str, dict] = {
  "faithful": dict(
    stem=((96, 4, 4),),
    positions=False,
    depths=(2, 2, 6, 2),
    window_heads=(3, 6, 12, 24),
    joint_tokens=False,
    global_depth=0,
    keep=(),
    keep_at=(),
    score=(),
    epsilon=1e-5,
    width=768,
    relation_init="uniform",
    time_embedding="none",
    view_embedding="none",
    view_dropout=0.0,
    lifter="poseformer",
    lifter_width=32,
    lifter_drop_path=0.2,
  ),
  "base": dict(dtype=jnp.bfloat16, remat=True),
  "small": dict(
    image_size=128,
    stem=((32, 3, 2), (64, 3, 2), (128, 3, 2)),
    depths=(4,),
    window_heads=(4,),
    window=4,
    global_depth=3,
    global_heads=4,
    keep=(0.5,),
    keep_at=(0,),
    score=("head",),
    drop_path=0.05,
    width=256,
    depth=3,
    relation_drop_path=0.1,
    lifter_width=192,
    lifter_depth=3,
    lifter_drop_path=0.05,
  ),
  "tiny": dict(
    image_size=48,
    stem=((16, 3, 2), (32, 3, 2), (48, 3, 2)),
    depths=(2,),
    window_heads=(4,),
    window=3,
    global_depth=1,
    global_heads=4,
    keep=(0.5,),
    keep_at=(0,),
    score=("head",),
    drop_path=0.0,
    width=96,
    depth=1,
    heads=4,
    relation_drop_path=0.0,
    max_frames=32,
    lifter_width=96,
    lifter_depth=2,
    lifter_heads=4,
    lifter_drop_path=0.0,
  ),
}


def build(variant: str = "base", **overrides) -> MultiView:
  """The named configuration, with any field of `MultiView` overridden.

  Raises:
    ValueError: unknown variant or field, with the nearest names.
  """
  if variant not in VARIANTS:
    near = ", ".join(difflib.get_close_matches(variant, VARIANTS, 3, 0.0))
    raise ValueError(f"unknown multi-view variant {variant!r}; nearest: {near}.")
  fields = [f.name for f in dataclasses.fields(MultiView)]
  fields = [name for name in fields if name not in _FLAX_FIELDS]
  for key in overrides:
    if key not in fields:
      near = ", ".join(difflib.get_close_matches(key, fields, 3, 0.0))
      raise ValueError(f"multi-view network has no field {key!r}; nearest: {near}.")
  fields = {key: _tuples(a) for key, a in (VARIANTS[variant] | overrides).items()}
  if "dtype" in fields:
    fields["dtype"] = jnp.dtype(fields["dtype"])
  return MultiView(**fields)


def build_lifter(variant: str = "base", **overrides) -> nn.Module:
  """The 3D stage of `build`, alone, for 2D poses without images.

  Its parameters are those under "lifting" in the whole network's.

  Raises:
    ValueError: as `build`; or a lifter that has no parameters.
  """
  module = build(variant, **overrides)
  lifter = parts.make_lifter(module)
  if lifter is None:
    raise ValueError(
      f"got lifter {module.lifter!r}, expected 'fused' or 'poseformer', which have "
      "parameters."
    )
  return lifter


MODULES = (MultiView, FusedLifter, SequenceLifter)


def example(module: nn.Module, frames: int) -> dict[str, jax.ShapeDtypeStruct]:
  """Inputs of one clip of one view, in shape and type, for a module of this family."""
  shapes = dict(
    view_mask=((1, 1, frames), bool),
    camera_rotation=((1, 1, 3, 3), jnp.float32),
    camera_position=((1, 1, 3), jnp.float32),
    crop_intrinsics=((1, 1, frames, 4), jnp.float32),
  )
  if isinstance(module, MultiView):
    size = module.image_size
    shapes["images"] = ((1, 1, frames, size, size, 3), jnp.uint8)
  else:
    joints = module.num_joints
    shapes["keypoints_2d"] = ((1, 1, frames, joints, 2), jnp.float32)
    shapes["scores"] = ((1, 1, frames, joints), jnp.float32)
  return {key: jax.ShapeDtypeStruct(*shape) for key, shape in shapes.items()}


def _tuples(value):
  if isinstance(value, (list, tuple)):
    return tuple(_tuples(part) for part in value)
  return value


_FLAX_FIELDS = ("parent", "name")
