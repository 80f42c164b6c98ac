"""State-dict names and layouts of the authors' PyTorch GLoT, both directions.

One table says where every tensor lives in our variables, so that it reads and writes.
Left out are the tensors that the original never uses, and the SMPL body that its files
carry, see `body_arrays`.
"""

import itertools
import re
from collections.abc import Iterator
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxpose.models import glot
from jaxpose.models.glot_parts import ANCESTORS
from jaxpose.models.glot_parts import CAMERA_DIM
from jaxpose.models.glot_parts import PAIRS
from jaxpose.models.glot_parts import POSE_DIM

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


INPUTS = ("features",)
_BODY = ("regressor.smpl.", "global_modeling.regressor.smpl.")


def infer(state_dict: Mapping[str, np.ndarray]) -> dict:
  """The fields of `Glot` that the tensors' shapes tell.

  Raises:
    ValueError: the tensors are not those of GLoT.
  """

  def size(name, axis):
    return int(state_dict[name].shape[axis])

  def count(prefix):
    pattern = re.compile(re.escape(prefix) + r"\.(\d+)\.")
    return len({m[1] for m in map(pattern.match, state_dict) if m})

  try:
    found = dict(
      feat_dim=size("proj_short.weight", 1),
      window=size(f"{GLOBAL}.pos_embed", 1),
      width=size(f"{GLOBAL}.pos_embed", 2),
      depth=count(f"{GLOBAL}.blocks"),
      decoder_width=size(f"{GLOBAL}.decoder_pos_embed", 2),
      decoder_depth=count(f"{GLOBAL}.decoder_blocks"),
      mlp_ratio=size(f"{LOCAL}.blocks.0.mlp.fc1.weight", 0)
      // size(f"{LOCAL}.pos_embed", 2),
      mask_hidden=tuple(
        size(f"{GLOBAL}.mask_token_mlp.{2 * i}.weight", 0)
        for i in range(count(f"{GLOBAL}.mask_token_mlp") - 1)
      ),
      local_width=size(f"{LOCAL}.pos_embed", 2),
      local_depth=count(f"{LOCAL}.blocks"),
      nearby=size(f"{LOCAL}.pos_embed", 1) // 2,
      num_betas=size("global_modeling.regressor.decshape.weight", 0),
      regressor_hidden=size("global_modeling.regressor.fc1.weight", 0),
      hscr_hidden=size("regressor.fc1.weight", 0),
    )
  except (KeyError, IndexError, ZeroDivisionError):
    some = ", ".join(repr(n[:60]) for n in sorted(state_dict)[:3]) or "no tensors"
    raise ValueError(
      f"not a GLoT state dict: got {some}, ...; expected names such as "
      "'global_modeling.trans.pos_embed', 'local_trans_en.pos_embed' and "
      "'regressor.fc1.weight'; check the model's name and the file."
    ) from None
  return found


def fields(
  state_dict: Mapping[str, np.ndarray], variant: str = "glot", **options
) -> dict:
  """Fields for `glot.build` that give the module which holds these tensors.

  Args:
    state_dict: names without `module.` to arrays.
    variant: key of `glot.VARIANTS`.
    **options: fields of `Glot`. The numbers of attention heads are not in the tensors;
      the default is 8, as published. `joint_offset_quirk` is on unless given.

  Raises:
    ValueError: the tensors are not those of GLoT, or an option contradicts them.
  """
  found = infer(state_dict)
  for key, value in found.items():
    given = options.get(key, value)
    if (tuple(given) if isinstance(given, list) else given) != value:
      raise ValueError(
        f"got {key} {given}, expected {value}, as in the file's tensors; leave it out."
      )
  result = {**found, "joint_offset_quirk": True, **options}
  _require_original(glot.build(variant, **result))
  return {"variant": variant, **result}


def _require_original(module: glot.Glot):
  if module.encoder != "features":
    raise ValueError(
      f"got encoder {module.encoder!r}, expected 'features': the original has no other "
      "input, so there is no PyTorch file of it."
    )


def skeleton_name(module: glot.Glot) -> str:
  """Skeleton of the output joints."""
  del module
  return "spin49"


def _shapes(module: glot.Glot) -> dict[tuple[str, ...], tuple[int, ...]]:
  """Of every array of the variables."""
  x = jax.ShapeDtypeStruct((1, *module.input_shape), jnp.float32)
  tree = jax.eval_shape(module.clone(body=None).init, jax.random.key(0), x)
  return {path: a.shape for path, a in traverse_util.flatten_dict(tree).items()}


def read(module: glot.Glot, state_dict: Mapping[str, np.ndarray]) -> dict:
  """Variables of `module` from a state dict; what the network never uses is dropped.

  Raises:
    ValueError: a tensor is missing, unexpected, of another shape, or not finite.
  """
  table = entries(module)
  names = {entry.name for entry in table}
  missing = sorted(n for n in names if n not in state_dict)
  known = names | unused(module).keys()
  extra = sorted(n for n in state_dict if n not in known and not n.startswith(_BODY))
  if missing or extra:
    raise ValueError(
      f"the state dict does not fit GLoT of width {module.width}: {len(missing)} "
      f"tensors missing{_such_as(missing)}, {len(extra)} unexpected{_such_as(extra)}; "
      "expected the names of the released network."
    )
  arrays = {path: np.zeros(s, np.float32) for path, s in _shapes(module).items()}
  for entry in table:
    tensor = _checked(np.asarray(state_dict[entry.name]), entry)
    if entry.columns is not None:
      tensor = tensor[:, entry.columns]
    place = arrays[entry.path][entry.index]
    place[...] = (tensor.T if entry.transposed else tensor).reshape(place.shape)
  return traverse_util.unflatten_dict(arrays)


def _such_as(names: list[str]) -> str:
  return f" (such as {names[0][:80]!r})" if names else ""


def _checked(tensor: np.ndarray, entry: Entry) -> np.ndarray:
  if tensor.shape != entry.shape:
    raise ValueError(
      f"tensor {entry.name!r}: got shape {tensor.shape}, expected {entry.shape}, which "
      "follows from the sizes of the other tensors."
    )
  if not jnp.issubdtype(tensor.dtype, np.floating):
    raise ValueError(
      f"tensor {entry.name!r}: got the type {tensor.dtype}, expected a floating one."
    )
  with np.errstate(over="ignore"):
    tensor = tensor.astype(np.float32)
  if not np.isfinite(tensor).all():
    raise ValueError(
      f"tensor {entry.name!r}: got NaN or numbers beyond float32, expected finite "
      "ones; the training that wrote it had diverged."
    )
  return tensor


def write(module: glot.Glot, variables: Mapping) -> dict[str, np.ndarray]:
  """The original's state dict from our variables; inverse of `read`.

  What the original never uses is 0, and there is no SMPL body in it.

  Raises:
    ValueError: the original has no such network, or the variables are not its own.
  """
  _require_original(module)
  arrays = {}
  for path, shape in _shapes(module).items():
    node: object = variables
    for key in path:
      node = node.get(key) if isinstance(node, Mapping) else None
    if node is None or np.shape(node) != shape:
      raise ValueError(
        f"got variables without a fitting {'/'.join(path)}, expected those of the "
        f"module, with width {module.width} and shape {shape}."
      )
    arrays[path] = np.asarray(node)
  state_dict = {n: np.zeros(s, np.float32) for n, s in unused(module).items()}
  for entry in entries(module):
    tensor = state_dict.setdefault(entry.name, np.zeros(entry.shape, np.float32))
    place = tensor if entry.columns is None else tensor[:, entry.columns]
    value = arrays[entry.path][entry.index]
    place[...] = (value.T if entry.transposed else value).reshape(place.shape)
  return state_dict


def body_arrays(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Arrays of the SMPL body that a checkpoint carries, by smplx's names.

  Raises:
    ValueError: there is none in the file.
  """
  for prefix in _BODY:
    found = {
      n.removeprefix(prefix): a for n, a in state_dict.items() if n.startswith(prefix)
    }
    if "v_template" in found:
      return found
  raise ValueError(
    f"got a file without an SMPL body, expected tensors such as {_BODY[0]}v_template; "
    "get SMPL from its authors, or use another checkpoint."
  )
