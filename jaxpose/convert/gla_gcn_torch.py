"""State-dict names and layouts of the authors' PyTorch GLA-GCN, both directions.

The released code fuses nothing: one 1x1 convolution for each of three subsets and each
of three roles. Here they are stacked (see `AdaptiveGraphConv`); `entries` says, name by
name, which slice of which array a tensor is, so that the same table reads and writes.
"""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxpose.models import gla_gcn

INPUTS = ("keypoints_2d",)
_COUNTER = "num_batches_tracked"
_NEUTRAL = {"scale": 1.0, "bias": 0.0, "mean": 0.0, "var": 1.0}


class Entry(NamedTuple):
  """One tensor of the state dict and where it lives here.

  Attributes:
    name: in the state dict, without `module.`.
    shape: of the torch tensor.
    path: of the array in the variables, starting with its collection.
    index: leading indices into that array, for stacked kernels.
    kind: "linear" (out, in, 1[, 1]), "temporal" (out, in, k, 1) or "same".
  """

  name: str
  shape: tuple[int, ...]
  path: tuple[str, ...]
  index: tuple[int, ...] = ()
  kind: str = "same"


def _norm(torch_name: str, path: tuple[str, ...], width: int) -> Iterator[Entry]:
  yield Entry(f"{torch_name}.weight", (width,), ("params", *path, "scale"))
  yield Entry(f"{torch_name}.bias", (width,), ("params", *path, "bias"))
  yield Entry(f"{torch_name}.running_mean", (width,), ("batch_stats", *path, "mean"))
  yield Entry(f"{torch_name}.running_var", (width,), ("batch_stats", *path, "var"))


def _conv(name, shape, path, kind, kernel="kernel", bias="bias") -> Iterator[Entry]:
  yield Entry(f"{name}.weight", shape, ("params", *path, kernel), kind=kind)
  yield Entry(f"{name}.bias", shape[:1], ("params", *path, bias))


def _block(
  torch_name: str, name: str, c_in: int, c_out: int, joints: int
) -> Iterator[Entry]:
  gcn, graph = f"{torch_name}.gcn1", (name, "graph")
  params = ("params", *graph)
  e = c_out // 4 or 3
  yield Entry(f"{gcn}.PA", (3, joints, joints), (*params, "adjacency"))
  for k in range(3):
    for side, letter in enumerate("ab"):
      conv, at = f"{gcn}.conv_{letter}.{k}", (side, k)
      shape = (e, c_in, 1, 1)
      yield Entry(f"{conv}.weight", shape, (*params, "embed_kernel"), at, "linear")
      yield Entry(f"{conv}.bias", (e,), (*params, "embed_bias"), at)
    conv, shape = f"{gcn}.conv_d.{k}", (c_out, c_in, 1, 1)
    yield Entry(f"{conv}.weight", shape, (*params, "mix_kernel"), (k,), "linear")
    yield Entry(f"{conv}.bias", (c_out,), (*params, "mix_bias"), (k,))
  yield from _norm(f"{gcn}.bn", (*graph, "bn"), c_out)
  tcn, shape = f"{torch_name}.tcn1", (c_out, c_out, gla_gcn.TEMPORAL_KERNEL, 1)
  yield from _conv(
    f"{tcn}.conv", shape, (name,), "temporal", "temporal_kernel", "temporal_bias"
  )
  yield from _norm(f"{tcn}.bn", (name, "temporal_bn"), c_out)
  if c_in != c_out:
    shape = (c_out, c_in, 1, 1)
    down, skip = f"{gcn}.down", f"{torch_name}.residual"
    yield from _conv(f"{down}.0", shape, graph, "temporal", "down_kernel", "down_bias")
    yield from _norm(f"{down}.1", (*graph, "down_bn"), c_out)
    yield from _conv(
      f"{skip}.conv", shape, (name,), "temporal", "residual_kernel", "residual_bias"
    )
    yield from _norm(f"{skip}.bn", (name, "residual_bn"), c_out)


def entries(module: gla_gcn.GlaGcn) -> list[Entry]:
  """Every tensor of the released network's state dict but the batch counters."""
  j, c = module.num_joints, module.width
  table = [*_norm("data_bn", ("input_bn",), 2 * j)]
  table += _block("expand_gcn", "expand", 2, c, j)
  for i in range(len(module.filter_widths)):
    table += _block(f"layers_tcngcn.{2 * i}", f"flat_{i}", c, c, j)
    table += _block(f"layers_tcngcn.{2 * i + 1}", f"strided_{i}", c, c, j)
  table += _conv("fc", (3, c, 1), ("head",), "linear")
  return table


def infer(state_dict: Mapping[str, np.ndarray]) -> dict:
  """Width, joints and number of modules, read off the tensors.

  Raises:
    ValueError: the tensors are not those of the released GLA-GCN.
  """
  pattern = re.compile(r"layers_tcngcn\.(\d+)\.")
  blocks = {m[1] for m in map(pattern.match, state_dict) if m}
  try:
    width = int(state_dict["fc.weight"].shape[1])
    joints = int(state_dict["expand_gcn.gcn1.PA"].shape[-1])
  except (KeyError, IndexError):
    width = joints = 0
  if not (width and joints and blocks):
    some = ", ".join(repr(n[:60]) for n in sorted(state_dict)[:3]) or "no tensors"
    raise ValueError(
      f"not a GLA-GCN state dict: got {some}, ...; expected names such as "
      "'expand_gcn.gcn1.PA', 'layers_tcngcn.0.gcn1.PA' and 'fc.weight'; check the "
      "model's name and the file."
    )
  return dict(width=width, joints=joints, modules=(len(blocks) + 1) // 2)


def fields(
  state_dict: Mapping[str, np.ndarray], variant: str | None = None, **options
) -> dict:
  """Fields for `gla_gcn.build` that give the module which holds these tensors.

  Args:
    state_dict: names without `module.` to arrays.
    variant: key of `gla_gcn.VARIANTS`; by default the released network for the number
      of joints. The two HumanEva networks have the same tensors: choose
      "s_agcn_humaneva_mrcnn" for detected keypoints.
    **options: fields of `GlaGcn`; the graph and the filter widths are not in the file.
      `filter_widths` defaults to threes, as many as the file has modules.

  Raises:
    ValueError: the tensors are not those of a GLA-GCN, or an option contradicts them.
  """
  found = infer(state_dict)
  if variant is None:
    variant = "s_agcn_humaneva" if found["joints"] == 15 else "s_agcn"
  widths = (3,) * found["modules"]
  result = {"width": found["width"], "filter_widths": widths, **options}
  module = gla_gcn.build(variant, **result)
  _require_released(module)
  if module.width != found["width"]:
    raise ValueError(
      f"got width {module.width}, expected {found['width']}, the channels of the "
      "file's tensors; leave it out."
    )
  if len(module.filter_widths) != found["modules"]:
    raise ValueError(
      f"got filter_widths {module.filter_widths}, expected {found['modules']} of them: "
      "the file has that many strided modules."
    )
  if module.num_joints != found["joints"]:
    raise ValueError(
      f"got the graph {module.graph!r} with {module.num_joints} joints, expected one "
      f"with the {found['joints']} joints of the file; set graph or variant."
    )
  return {"variant": variant, "graph": module.graph, **result}


def _require_released(module: gla_gcn.GlaGcn):
  if module.global_blocks or module.sequence_head or module.head != "shared":
    raise ValueError(
      "the full GLA-GCN (global blocks, sequence head, unshared head) was never "
      "released as PyTorch code, so there is no state dict of it; expected a variant "
      "s_agcn, s_agcn_humaneva or s_agcn_humaneva_mrcnn."
    )


def skeleton_name(module: gla_gcn.GlaGcn) -> str:
  """Skeleton of the output joints."""
  if module.graph in gla_gcn.LINKS:
    return "h36m17" if module.graph.startswith("h36m") else "humaneva15"
  return gla_gcn.SKELETON_GRAPHS.get(module.graph, module.graph)


def _to_torch(array: np.ndarray, entry: Entry) -> np.ndarray:
  if entry.kind == "linear":
    array = array.T
  elif entry.kind == "temporal":
    array = array.transpose(2, 1, 0)
  return np.array(array.reshape(entry.shape), order="C")


def _from_torch(tensor: np.ndarray, entry: Entry) -> np.ndarray:
  if entry.kind == "same":
    return tensor
  out, c_in = entry.shape[:2]
  if entry.kind == "linear":
    return tensor.reshape(out, c_in).T
  return tensor.reshape(out, c_in, -1).transpose(2, 1, 0)


def read(module: gla_gcn.GlaGcn, state_dict: Mapping[str, np.ndarray]) -> dict:
  """Variables of `module` from a state dict.

  The input norm of the HumanEva model for detected keypoints is kept although the
  network never applies it, so that writing gives the file back.

  Raises:
    ValueError: a tensor is missing, unexpected, of another shape, or not finite.
  """
  table = entries(module)
  names = {entry.name for entry in table}
  missing = sorted(n for n in names if n not in state_dict)
  counters = {n for n in state_dict if n.endswith(_COUNTER)}
  extra = sorted(n for n in state_dict if n not in names and n not in counters)
  if missing or extra:
    raise ValueError(
      f"the state dict does not fit GLA-GCN with {len(module.filter_widths)} modules: "
      f"{len(missing)} tensors missing{_such_as(missing)}, {len(extra)} "
      f"unexpected{_such_as(extra)}; expected the names of the released network."
    )
  variables: dict = {}
  for entry in table:
    tensor = _checked(np.asarray(state_dict[entry.name]), entry, module)
    node = variables
    for key in entry.path[:-1]:
      node = node.setdefault(key, {})
    value = _from_torch(tensor, entry)
    if entry.index:
      stacked = {"embed": (2, 3), "mix": (3,)}[entry.path[-1].split("_")[0]]
      node.setdefault(entry.path[-1], np.zeros((*stacked, *value.shape), np.float32))
      node[entry.path[-1]][entry.index] = value
    else:
      node[entry.path[-1]] = np.array(value, order="C")
  return variables


def _such_as(names: list[str]) -> str:
  return f" (such as {names[0][:80]!r})" if names else ""


def _checked(tensor: np.ndarray, entry: Entry, module: gla_gcn.GlaGcn) -> np.ndarray:
  if tensor.shape != entry.shape:
    raise ValueError(
      f"tensor {entry.name!r}: got shape {tensor.shape}, expected {entry.shape} for "
      f"width {module.width} and {module.num_joints} joints."
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


def write(module: gla_gcn.GlaGcn, variables: Mapping) -> dict[str, np.ndarray]:
  """The un-fused state dict of the original from our variables; inverse of `read`.

  Its batch counters, which only PyTorch's cumulative averages would use, are 0.

  Raises:
    ValueError: the module is not a released network, or the variables are not its own.
  """
  _require_released(module)
  state_dict = {}
  for entry in entries(module):
    node: object = variables
    for key in entry.path:
      node = node.get(key) if isinstance(node, Mapping) else None
    if node is None and entry.path[1] == "input_bn" and not module.input_norm:
      node = np.full(entry.shape, _NEUTRAL[entry.path[-1]], np.float32)
    array = np.asarray(node)[entry.index] if node is not None else np.empty(0)
    if array.size != np.prod(entry.shape):
      raise ValueError(
        f"got variables without a fitting {'/'.join(entry.path)}, expected those of "
        f"the module, with width {module.width} and {module.num_joints} joints."
      )
    state_dict[entry.name] = _to_torch(array, entry)
    if entry.path[-1] == "var":
      counter = entry.name.removesuffix("running_var") + _COUNTER
      state_dict[counter] = np.zeros((), np.int64)
  return state_dict
