"""Everything that the pickle of a PyTorch file may name, and what it becomes here.

Tensors become numpy arrays, containers plain dicts and lists, and what weights do not
need becomes `Unread`. Any other name is refused.
"""

import dataclasses
import functools
import math
import re
import types
from collections.abc import Callable

import ml_dtypes
import numpy as np

AGAIN = "copy or download it again"


class InvalidWeightsFile(ValueError):
  """The file is not a checkpoint that can be read; the message is for the user."""


@dataclasses.dataclass(frozen=True)
class Unread:
  """Stands for an object that weights do not need, such as a random generator."""

  name: str


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
  """The only kind of value that a pickle may call."""

  function: Callable


@dataclasses.dataclass(eq=False)
class Unbuilt:
  """A numpy array or dtype between its creation and its state in the pickle."""

  build: Callable
  value: object = None


@dataclasses.dataclass(frozen=True, eq=False)
class Storage:
  """The raw bytes behind one or several tensors, and the type of their numbers."""

  data: np.ndarray
  dtype: np.dtype


def expect(value: object, kind: type | types.UnionType) -> object:
  """The value, if it is of that kind."""
  if not isinstance(value, kind):
    raise TypeError(f"got a {type(value).__name__}, expected {kind}")
  return value


def checked_size(value: object) -> int:
  """The value, if it can be a number of bytes or elements."""
  if not 0 <= expect(value, int) < 2**63:
    raise TypeError("a size beyond 63 bits")
  return int(value)


def checked_sizes(values: object = ()) -> tuple[int, ...]:
  """The values, if they can be a shape."""
  if len(expect(values, tuple)) > 64:
    raise TypeError("more than 64 axes")
  return tuple(checked_size(v) for v in values)


def is_key(value: object) -> bool:
  """Whether a dict may have this key: hashing it is cheap and calls nothing."""
  if isinstance(value, tuple):
    return len(value) <= 16 and all(
      not isinstance(v, tuple) and is_key(v) for v in value
    )
  if isinstance(value, int):
    return -(2**63) <= value < 2**64
  return value is None or isinstance(value, str | bytes | float)


def put(target: dict, items: list) -> dict:
  """Adds keys and values, which alternate in `items`."""
  for key, value in zip(items[::2], items[1::2], strict=True):
    if not is_key(key):
      raise TypeError(f"a key of type {type(key).__name__}")
    target[key] = value
  return target


# What pickles may call. Arguments come from the file: nothing about them is known.


def _tensor(storage, offset, size, stride, grad=None, hooks=None, metadata=None):
  if metadata:
    raise InvalidWeightsFile(
      "a tensor is stored unconjugated or with the other sign, expected plain numbers; "
      "call resolve_conj().resolve_neg() on it in PyTorch and save it again."
    )
  data, dtype = expect(storage, Storage).data, storage.dtype
  offset, shape = checked_size(offset), checked_sizes(size)
  strides = checked_sizes(stride)
  held, count = len(data) // dtype.itemsize, math.prod(shape)
  steps = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
  # A stretched tensor may have more elements than its storage, within reason.
  if (count and offset + sum(steps) >= held) or count > max(held, 2**24):
    raise InvalidWeightsFile(
      f"truncated or damaged: a tensor of shape {str(shape)[:80]} does not fit its "
      f"storage of {held} numbers; {AGAIN}."
    )
  if not count:
    return np.empty(shape, dtype)
  strides = [
    s * dtype.itemsize if n > 1 else 0 for n, s in zip(shape, strides, strict=True)
  ]
  return np.ndarray(shape, dtype, data, offset * dtype.itemsize, strides)


def _tensor_v3(storage, offset, size, stride, grad, hooks, dtype, *_):
  storage = Storage(expect(storage, Storage).data, expect(dtype, np.dtype))
  return _tensor(storage, offset, size, stride)


def _parameter(data: object, *_):
  return expect(data, np.ndarray)


def _subclass(rebuild: object, kind: object, args: object, *_):
  if expect(rebuild, Call).function not in (_tensor, _tensor_v3):
    raise TypeError("a tensor made by something else")
  return rebuild.function(*expect(args, tuple))


def _array(raw: object, dtype: object, shape: object, order: object = "C"):
  raw = raw.encode("latin1") if isinstance(raw, str) else raw  # pickled by Python 2
  shape = checked_sizes(shape)
  if math.prod(shape) * expect(dtype, np.dtype).itemsize != len(
    expect(raw, bytes | bytearray)
  ):
    raise TypeError("an array with more or fewer bytes than its shape")
  return np.ndarray(shape, dtype, raw, order="F" if order == "F" else "C")


def _scalar(dtype: object, raw: object):
  return _array(raw, dtype, ())[()]


def _array_state(state: tuple):
  _, shape, dtype, fortran, raw = state
  return _array(raw, dtype, shape, "F" if fortran is True else "C")


def _dtype(spec: object, *_):
  if not re.fullmatch(
    r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,5}", expect(spec, str)
  ):
    raise InvalidWeightsFile(
      f"refused: a numpy array of type {spec[:20]!r}, expected numbers or text; "
      "nothing was executed, save the weights without it."
    )
  return Unbuilt(functools.partial(_dtype_state, np.dtype(spec)))


def _dtype_state(dtype: np.dtype, state: tuple):
  return dtype.newbyteorder(">") if state[1] == ">" else dtype


def _encode(text: object, encoding: object):
  if encoding not in ("latin1", "latin-1"):
    raise TypeError("bytes in an unknown encoding")
  return expect(text, str).encode("latin1")


def _dict(items: object = ()):
  pairs = items.items() if isinstance(items, dict) else expect(items, list | tuple)
  return put({}, [part for key, value in pairs for part in (key, value)])


def _list(items: object = ()):
  return list(expect(items, list | tuple))


def _device(kind: object, index: object = None):
  return (
    expect(kind, str) if index is None else f"{expect(kind, str)}:{checked_size(index)}"
  )


_DTYPES = {
  name: np.dtype(getattr(ml_dtypes, name, name))
  for name in (
    "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 complex64 complex128 "
    "int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool".split()
  )
}
_STORAGES = {  # name in the file -> type of its numbers
  "torch DoubleStorage": "float64",
  "torch FloatStorage": "float32",
  "torch HalfStorage": "float16",
  "torch BFloat16Storage": "bfloat16",
  "torch ComplexFloatStorage": "complex64",
  "torch ComplexDoubleStorage": "complex128",
  "torch LongStorage": "int64",
  "torch IntStorage": "int32",
  "torch ShortStorage": "int16",
  "torch CharStorage": "int8",
  "torch ByteStorage": "uint8",
  "torch BoolStorage": "bool",
  "torch.storage UntypedStorage": "uint8",
}
_FUNCTIONS = {
  "torch._utils _rebuild_tensor": _tensor,
  "torch._utils _rebuild_tensor_v2": _tensor,
  "torch._utils _rebuild_tensor_v3": _tensor_v3,
  "torch._utils _rebuild_parameter": _parameter,
  "torch._utils _rebuild_parameter_with_state": _parameter,
  "torch._tensor _rebuild_from_type_v2": _subclass,
  "torch Size": checked_sizes,
  "torch device": _device,
  "numpy dtype": _dtype,
  "_codecs encode": _encode,
  "collections OrderedDict": _dict,
  "collections Counter": _dict,
  "collections defaultdict": lambda *_: {},
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
  _FUNCTIONS[f"{_core}.multiarray _reconstruct"] = lambda *_: Unbuilt(_array_state)
  _FUNCTIONS[f"{_core}.multiarray scalar"] = _scalar
  _FUNCTIONS[f"{_core}.numeric _frombuffer"] = _array
_NAMES = ["torch Tensor", "torch.nn.parameter Parameter", "numpy ndarray"]
_NAMES += ["argparse Namespace"]
for _builtins in ("__builtin__", "builtins"):  # pickle protocols up to 2, and later
  _FUNCTIONS[f"{_builtins} set"] = _list
  _FUNCTIONS[f"{_builtins} bytes"] = lambda: b""  # others go through _codecs
  _NAMES += [f"{_builtins} {name}" for name in ("dict", "list", "int", "float")]

GLOBALS = {
  **{f"torch {name}": dtype for name, dtype in _DTYPES.items()},
  **{name: _DTYPES[dtype] for name, dtype in _STORAGES.items()},
  **{name: Call(function) for name, function in _FUNCTIONS.items()},
  **{name: Unread(name.replace(" ", ".")) for name in _NAMES},
}


def lookup(name: str) -> object:
  """What "MODULE NAME" becomes here; a refusal if it is not known."""
  if name in GLOBALS:
    return GLOBALS[name]
  if name.startswith(("numpy.random ", "numpy.random.")):
    return Unread(name.replace(" ", ".")[:80])
  raise InvalidWeightsFile(
    f"refused: it asks for {name.replace(' ', '.', 1)[:120]!r}, which is no part of "
    "weights; nothing was executed, and if you trust its author, load it with PyTorch "
    "and save the state dict alone."
  )
