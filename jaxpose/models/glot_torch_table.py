"""Where every tensor of the authors' PyTorch GLoT lives in our variables."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from jaxpose.models import glot
from jaxpose.models.glot_regressors import ANCESTORS
from jaxpose.models.glot_regressors import CAMERA_DIM
from jaxpose.models.glot_regressors import PAIRS
from jaxpose.models.glot_regressors import POSE_DIM

GLOBAL, LOCAL = "global_modeling.trans", "local_trans_en"
_TREE = "regressor.local_reg"


class Entry(NamedTuple):
  """A tensor of the state dict, or some columns of it, and where it lives here.

  Attributes:
    name: in the state dict, without `module.`.
    shape: of the whole torch tensor.
    path: of the array in the variables, starting with its collection.
    index: of the slice in that array.
    columns: of the tensor that the slice holds.
    transposed: whether the slice is the columns transposed: weights of linear layers.
  """

  name: str
  shape: tuple[int, ...]
  path: tuple[str, ...]
  index: tuple = (...,)
  columns: slice | None = None
  transposed: bool = False


def _linear(
  name: str, c_in: int, c_out: int, path: tuple, bias=True
) -> Iterator[Entry]:
  path = ("params", *path)
  yield Entry(f"{name}.weight", (c_out, c_in), (*path, "kernel"), transposed=True)
  if bias:
    yield Entry(f"{name}.bias", (c_out,), (*path, "bias"))


def _norm(name: str, width: int, path: tuple) -> Iterator[Entry]:
  yield Entry(f"{name}.weight", (width,), ("params", *path, "scale"))
  yield Entry(f"{name}.bias", (width,), ("params", *path, "bias"))


def _blocks(blocks, norm, path, width, depth, ratio) -> Iterator[Entry]:
  hidden = ratio * width
  for i in range(depth):
    name, at = f"{blocks}.{i}", (*path, f"block_{i}")
    yield from _norm(f"{name}.norm1", width, (*at, "norm1"))
    yield from _linear(f"{name}.attn.qkv", width, 3 * width, (*at, "attention", "qkv"))
    yield from _linear(f"{name}.attn.proj", width, width, (*at, "attention", "proj"))
    yield from _norm(f"{name}.norm2", width, (*at, "norm2"))
    yield from _linear(f"{name}.mlp.fc1", width, hidden, (*at, "mlp", "fc1"))
    yield from _linear(f"{name}.mlp.fc2", hidden, width, (*at, "mlp", "fc2"))
  yield from _norm(norm, width, (*path, "norm"))


def _tree(hidden: int) -> Iterator[Entry]:
  path = ("params", "hscr", "tree")
  pair = {key: i for i, key in enumerate(PAIRS)}
  for j, ancestors in enumerate(ANCESTORS):
    name, own = f"{_TREE}.joint_regs.{j}", slice(6 * j, 6 * j + 6)
    end = hidden + 6 * len(ancestors)
    kernel = (f"{name}.weight", (6, end + 6))
    at = (*path, "hidden_kernel"), (slice(None), own)
    yield Entry(*kernel, *at, slice(0, hidden), True)
    for i, ancestor in enumerate(ancestors):
      at = (*path, "ancestor_kernel"), (pair[j, ancestor],)
      yield Entry(*kernel, *at, slice(hidden + 6 * i, hidden + 6 * i + 6), True)
    yield Entry(*kernel, (*path, "pose_kernel"), (j,), slice(end, end + 6), True)
    yield Entry(f"{name}.bias", (6,), (*path, "bias"), (own,))


def entries(module: glot.Glot) -> list[Entry]:
  """Every tensor of the original's state dict that the network uses."""
  m, mean = module, POSE_DIM + module.num_betas + CAMERA_DIM
  table: list[Entry] = []
  table += _linear("global_modeling.proj", m.feat_dim, m.width, ("global", "proj"))
  for name, ours, width in (
    ("pos_embed", "position", m.width),
    ("decoder_pos_embed", "decoder_position", m.decoder_width),
  ):
    path = ("params", "global", ours)
    table.append(Entry(f"{GLOBAL}.{name}", (1, m.window, width), path))
  encoder, decoder = ("global", "encoder"), ("global", "decoder")
  table += _blocks(
    f"{GLOBAL}.blocks", f"{GLOBAL}.norm", encoder, m.width, m.depth, m.mlp_ratio
  )
  table += _linear(
    f"{GLOBAL}.decoder_embed", m.width, m.decoder_width, ("global", "decoder_embed")
  )
  table += _blocks(
    f"{GLOBAL}.decoder_blocks",
    f"{GLOBAL}.decoder_norm",
    decoder,
    m.decoder_width,
    m.decoder_depth,
    m.mlp_ratio,
  )
  widths = (mean, *m.mask_hidden, m.decoder_width)
  for i, (c_in, c_out) in enumerate(itertools.pairwise(widths)):
    name, path = f"{GLOBAL}.mask_token_mlp.{2 * i}", ("global", "mask_token", f"fc{i}")
    table += _linear(name, c_in, c_out, path)
  table += _linear(
    "global_modeling.out_proj", m.decoder_width, m.feat_dim, ("global", "out_proj")
  )

  name, path = "global_modeling.regressor", "global_regressor"
  hidden = m.regressor_hidden
  table += _linear(f"{name}.fc1", m.feat_dim + mean, hidden, (path, "hidden"))
  for theirs, start, ours, size in (
    ("decpose", "init_pose", "pose_6d", POSE_DIM),
    ("decshape", "init_shape", "betas", m.num_betas),
    ("deccam", "init_cam", "camera", CAMERA_DIM),
  ):
    table += _linear(f"{name}.{theirs}", hidden, size, (path, ours))
    table.append(Entry(f"{name}.{start}", (1, size), ("constants", ours)))

  c = m.local_width
  table += _linear("proj_short", m.feat_dim, c, ("local", "proj"))
  shape, path = (1, 2 * m.nearby + 1, c), ("params", "local", "position")
  table.append(Entry(f"{LOCAL}.pos_embed", shape, path))
  path = ("local", "encoder")
  table += _blocks(
    f"{LOCAL}.blocks", f"{LOCAL}.norm", path, c, m.local_depth, m.mlp_ratio
  )
  table += _linear("proj_mem", m.width, c, ("local", "memory_proj"))
  name, path = "local_trans_de", ("local", "cross")
  table += _linear(f"{name}.q_l", c, c, (*path, "q"), bias=False)
  table += _linear(f"{name}.kv_l", c, 2 * c, (*path, "kv"), bias=False)
  table += _linear(f"{name}.proj", c, c, (*path, "proj"))

  h = m.hscr_hidden
  table += _linear("regressor.fc1", c + m.num_betas, h, ("hscr", "shape_hidden"))
  table += _linear("regressor.fc2", c + POSE_DIM, h, ("hscr", "pose_hidden"))
  table += _tree(h)
  table += _linear("regressor.decshape", h, m.num_betas, ("hscr", "betas"))
  table += _linear("regressor.deccam", 2 * h + 3, CAMERA_DIM, ("hscr", "camera"))
  return table


def unused(module: glot.Glot) -> dict[str, tuple[int, ...]]:
  """Names and shapes of the original's parameters that have no effect."""
  hidden, h, s = module.regressor_hidden, module.hscr_hidden, module.num_betas
  return {
    "global_modeling.regressor.fc2.weight": (hidden, hidden),
    "global_modeling.regressor.fc2.bias": (hidden,),
    f"{_TREE}.decshape.weight": (s, h),
    f"{_TREE}.decshape.bias": (s,),
    f"{_TREE}.deccam.weight": (CAMERA_DIM, h),
    f"{_TREE}.deccam.bias": (CAMERA_DIM,),
  }
