"""The formula weights of the golden ResNet-50, and ResNet state dicts for tests."""

import json

import numpy as np

from jaxpose.convert import resnet_torch


def formula(n: int, shape) -> np.ndarray:
  """Numbers in [-1, 1) that the golden files make instead of storing them."""
  x = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B1)
  x += np.uint32(n * 0x85EBCA77 % 2**32)
  x ^= x >> np.uint32(15)
  x *= np.uint32(0x2C1B3C6D)
  x ^= x >> np.uint32(12)
  x *= np.uint32(0x297A2D39)
  x ^= x >> np.uint32(15)
  return (x / 2.0**31 - 1).reshape(shape)


def golden_state_dict(data) -> dict[str, np.ndarray]:
  """The golden network's tensors."""
  tensors = {}
  for n, (key, shape) in enumerate(zip(data["keys"], data["shapes"], strict=True)):
    u = formula(n, json.loads(str(shape)))
    value = data["f64/base"][n] + data["f64/amp"][n] * u
    tensors[str(key)] = value.astype(np.float32)
  return tensors


def random_state_dict(module, seed: int = 0, *, regressor: bool = False) -> dict:
  """Tensors of a network of this size that keep activations near 1."""
  rng = np.random.default_rng(seed)
  tensors = {}
  for name, shape, path in resnet_torch.entries(module):
    value = rng.normal(size=shape)
    if path[-1] == "kernel":
      value *= np.sqrt(2 / np.prod(shape[1:]))
    elif path[-1] in ("scale", "var"):
      value = 1 + 0.3 * np.abs(value)
    else:
      value *= 0.1
    tensors[name] = value.astype(np.float32)
    if path[-1] == "var":
      counter = name.replace("running_var", "num_batches_tracked")
      tensors[counter] = np.zeros((), np.int64)
  if regressor:
    sizes = dict(
      fc1=(8, 165), fc2=(8, 8), decpose=(144, 8), decshape=(10, 8), deccam=(3, 8)
    )
    for layer, shape in sizes.items():
      tensors[f"{layer}.weight"] = rng.normal(size=shape).astype(np.float32)
      tensors[f"{layer}.bias"] = rng.normal(size=shape[:1]).astype(np.float32)
    for name, width in (("init_pose", 144), ("init_shape", 10), ("init_cam", 3)):
      tensors[name] = rng.normal(size=(1, width)).astype(np.float32)
  return tensors
