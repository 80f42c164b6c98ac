"""State-dict names and layouts of torchvision's and SPIN's ResNet-50, both directions.

SPIN's checkpoint keeps the network at the top level of the key `model`, beside the
layers of its regressor; those are skipped here and read by `spin_regressor`.
"""

import re
from collections.abc import Iterator
from collections.abc import Mapping

import numpy as np

from jaxpose.models import resnet

# Layers of SPIN's regressor, which starts from the means `init_*`.
REGRESSOR = ("fc1", "fc2", "decpose", "decshape", "deccam")
MEANS = ("init_pose", "init_shape", "init_cam")
_COUNTER = "num_batches_tracked"
# Ours to torch's: (collection, name) of a norm.
_NORM = {
  ("params", "scale"): "weight",
  ("params", "bias"): "bias",
  ("batch_stats", "mean"): "running_mean",
  ("batch_stats", "var"): "running_var",
}


def _convolutions(module: resnet.ResNet) -> Iterator[tuple]:
  """(torch's convolution, torch's norm, path here, torch shape) of each."""
  width = module.width
  yield "conv1", "bn1", ("stem",), (width, 3, 7, 7)
  c_in = width
  for stage, count in enumerate(module.blocks):
    c = width * 2**stage
    for i in range(count):
      block, path = f"layer{stage + 1}.{i}", f"stage{stage + 1}_{i}"
      yield f"{block}.conv1", f"{block}.bn1", (path, "reduce"), (c, c_in, 1, 1)
      yield f"{block}.conv2", f"{block}.bn2", (path, "spatial"), (c, c, 3, 3)
      yield f"{block}.conv3", f"{block}.bn3", (path, "expand"), (4 * c, c, 1, 1)
      if not i:
        skip = f"{block}.downsample"
        yield f"{skip}.0", f"{skip}.1", (path, "skip"), (4 * c, c_in, 1, 1)
      c_in = 4 * c


def entries(module: resnet.ResNet) -> Iterator[tuple]:
  """(name, torch shape, path here) of every tensor but the batch counters."""
  for conv, norm, path, shape in _convolutions(module):
    yield f"{conv}.weight", shape, ("params", *path, "kernel")
    for (collection, ours), theirs in _NORM.items():
      yield f"{norm}.{theirs}", shape[:1], (collection, *path, ours)


def fields(
  state_dict: Mapping[str, np.ndarray], variant: str = "resnet50", **options
) -> dict:
  """Fields for `resnet.build` that give the module which holds these tensors.

  Raises:
    ValueError: the tensors are not those of a bottleneck ResNet.
  """
  found = [re.match(r"layer(\d)\.(\d+)\.conv3\.weight$", name) for name in state_dict]
  places = {(int(m[1]), int(m[2])) for m in found if m}
  blocks = [sum(stage == s for stage, _ in places) for s in (1, 2, 3, 4)]
  stem = np.shape(state_dict.get("conv1.weight"))
  if len(stem) != 4 or not all(blocks):
    some = ", ".join(repr(n[:60]) for n in sorted(state_dict)[:3]) or "no tensors"
    raise ValueError(
      f"not a ResNet-50 state dict: got {some}, ...; expected names such as "
      "'conv1.weight' and 'layer4.2.conv3.weight'; check the model's name and the file."
    )
  return dict(
    {"variant": variant, "blocks": tuple(blocks), "width": int(stem[0])}, **options
  )


def read(module: resnet.ResNet, state_dict: Mapping[str, np.ndarray]) -> dict:
  """Variables of `module` from a state dict; a SPIN regressor in it is skipped.

  Raises:
    ValueError: a tensor is missing, unexpected, of another shape, or not finite.
  """
  table = list(entries(module))
  names = {name for name, _, _ in table}
  missing = sorted(names - set(state_dict))
  extra = sorted(
    name
    for name in set(state_dict) - names
    if not name.endswith(_COUNTER) and name.split(".")[0] not in REGRESSOR + MEANS
  )
  if missing or extra:
    one = (missing + extra)[0]
    raise ValueError(
      f"the state dict does not fit a ResNet with blocks {module.blocks}: "
      f"{len(missing)} tensors missing, {len(extra)} unexpected (such as "
      f"{one[:80]!r}); expected SPIN's checkpoint or torchvision's layout without "
      "its classifier `fc`."
    )
  variables: dict = {}
  for name, shape, path in table:
    tensor = _checked(name, state_dict[name], shape)
    node = variables
    for key in path[:-1]:
      node = node.setdefault(key, {})
    if len(shape) == 4:
      tensor = tensor.transpose(2, 3, 1, 0)
    node[path[-1]] = np.array(tensor, order="C")
  return variables


def write(module: resnet.ResNet, variables: Mapping) -> dict[str, np.ndarray]:
  """The state dict from our variables; inverse of `read`, batch counters 0.

  Raises:
    ValueError: the variables are not those of the module.
  """
  state_dict = {}
  for name, shape, path in entries(module):
    node: object = variables
    for key in path:
      node = node.get(key) if isinstance(node, Mapping) else None
    array = np.asarray(node) if node is not None else np.empty(0)
    if len(shape) == 4 and array.ndim == 4:
      array = array.transpose(3, 2, 0, 1)
    if array.shape != shape:
      raise ValueError(
        f"got variables without a fitting {'/'.join(path)}, expected those of a ResNet "
        f"with blocks {module.blocks} and width {module.width}."
      )
    state_dict[name] = np.array(array, order="C")
    if path[-1] == "var":
      state_dict[name.removesuffix("running_var") + _COUNTER] = np.zeros((), np.int64)
  return state_dict


def spin_regressor(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """SPIN's iterative regressor in torch's names and layout, to start GLoT's from.

  Names are `fc1.weight` (1024, 2205), `decpose.bias` (144,), `init_pose` (1, 144) and
  so on, float32.

  Raises:
    ValueError: a tensor is missing, or not finite.
  """
  names = [f"{layer}.{kind}" for layer in REGRESSOR for kind in ("weight", "bias")]
  names += MEANS
  missing = [name for name in names if name not in state_dict]
  if missing:
    raise ValueError(
      f"got a state dict without SPIN's regressor ({missing[0]!r} is missing), "
      f"expected {', '.join((*REGRESSOR, *MEANS))}; take the key `model` of SPIN's "
      "checkpoint."
    )
  return {
    name: _checked(name, state_dict[name], np.shape(state_dict[name])) for name in names
  }


def _checked(name: str, tensor, shape: tuple[int, ...]) -> np.ndarray:
  tensor = np.asarray(tensor)
  if tensor.shape != shape:
    raise ValueError(f"tensor {name!r}: got shape {tensor.shape}, expected {shape}.")
  if tensor.dtype.kind not in "fV":  # V: bfloat16
    raise ValueError(
      f"tensor {name!r}: got the type {tensor.dtype}, expected a floating one."
    )
  tensor = tensor.astype(np.float32)
  if not np.isfinite(tensor).all():
    raise ValueError(
      f"tensor {name!r}: got NaN or infinite numbers, expected finite ones."
    )
  return tensor
