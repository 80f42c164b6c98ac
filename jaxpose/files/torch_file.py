"""Reads PyTorch checkpoint files into numpy, without torch and without running them.

A checkpoint is a pickle, and a pickle is a small program that may call any function it
can name. Here the program runs on an interpreter of our own, `torch_file`, that knows
the names in `torch_file` and no others, so a hostile file can only be refused.

Everything that the pickle of a PyTorch file may name, and what it becomes here.

Tensors become numpy arrays, containers plain dicts and lists, and what weights do not
need becomes `Unread`. Any other name is refused.

An interpreter for the pickles in PyTorch files.

It knows the opcodes that `torch.save` and numpy write, and runs them one by one; what a
pickle names or calls is looked up in `torch_file` and nowhere else.
"""

import dataclasses
import functools
import math
import mmap
import os
import pathlib
import pickletools
import re
import struct
import types
import zipfile
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import BinaryIO

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


_PUSHES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUSHES_OPERAND = frozenset(
  "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINSTRING SHORT_BINSTRING BINUNICODE "
  "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_CLOSES_MARK = frozenset("TUPLE FROZENSET APPENDS ADDITEMS SETITEMS".split())


class Interpreter:
  """Runs pickles: makes plain containers and numbers, calls only what is looked up.

  A few lines of pickle can ask for any amount of memory or time (huge declared sizes,
  huge integers, tuples of tuples as keys, one text encoded a million times). So sizes
  must fit 63 bits, keys must be short and plain, and what is made beside the operands
  in the file is charged against a few times the size of the file.
  """

  def __init__(self, size: int, fill: Callable):
    self.budget = 4 * size  # honest arrays are charged twice, tensors once
    self.fill = fill  # (key, data): puts a storage's bytes into data, now or later
    self.storages = {}

  def run(self, stream: object) -> object:
    """The value that one pickle (bytes, or a file at its start) leaves behind."""
    stack, outer, memo = [], [], {}
    for code, arg, _ in pickletools.genops(stream):
      items = None
      if code.name in _CLOSES_MARK:
        items, stack = stack, outer.pop()
      match code.name:
        case name if name in _PUSHES_OPERAND:
          stack.append(arg)
        case name if name in _PUSHES:
          stack.append(_PUSHES[name])
        case "BINGET" | "LONG_BINGET":
          value = memo[arg]
          stack.append(value.value if isinstance(value, Unbuilt) else value)
        case "BINPUT" | "LONG_BINPUT":
          memo[arg] = stack[-1]
        case "MEMOIZE":
          memo[len(memo)] = stack[-1]
        case "MARK":
          outer.append(stack)
          stack = []
        case "TUPLE" | "FROZENSET":
          stack.append(tuple(items))
        case "TUPLE1":
          stack[-1] = (stack[-1],)
        case "TUPLE2":
          stack[-2:] = [(stack[-2], stack[-1])]
        case "TUPLE3":
          stack[-3:] = [(stack[-3], stack[-2], stack[-1])]
        case "EMPTY_LIST" | "EMPTY_SET":
          stack.append([])
        case "APPEND" | "APPENDS" | "ADDITEMS":
          items = [stack.pop()] if items is None else items
          expect(stack[-1], list).extend(items)
        case "EMPTY_DICT":
          stack.append({})
        case "SETITEM" | "SETITEMS":
          items = [stack.pop(-2), stack.pop()] if items is None else items
          put(expect(stack[-1], dict), items)
        case "GLOBAL":
          stack.append(lookup(arg))
        case "STACK_GLOBAL":
          name, module = expect(stack.pop(), str), expect(stack.pop(), str)
          stack.append(lookup(f"{module[:200]} {name[:200]}"))
        case "REDUCE" | "NEWOBJ":
          args, function = stack.pop(), stack.pop()
          stack.append(self._call(function, expect(args, tuple)))
        case "BUILD":  # attributes of anything but `Unbuilt` are dropped
          state, target = stack.pop(), stack[-1]
          if isinstance(target, Unbuilt):
            self._charge(expect(state, tuple))
            target.value = stack[-1] = target.build(state)
        case "BINPERSID":
          stack.append(self._storage(expect(stack.pop(), tuple)))
        case "PROTO" | "FRAME":
          pass
        case "STOP":
          return stack.pop()
        case name:
          raise InvalidWeightsFile(
            f"refused: its pickle uses the operation {name}, which torch.save does not "
            "write; nothing was executed, save the weights again with torch.save."
          )
    raise AssertionError("genops ends with STOP or an error")

  def _spend(self, amount: int):
    self.budget -= amount
    if self.budget < 0:
      raise InvalidWeightsFile(
        f"truncated or damaged: it declares more data than the file holds; {AGAIN}."
      )

  def _charge(self, args: tuple):
    self._spend(len(args))
    sized = str | bytes | bytearray | tuple | list | dict
    self._spend(sum(len(a) for a in args if isinstance(a, sized)))

  def _call(self, function: object, args: tuple) -> object:
    self._charge(args)
    if isinstance(function, Unread):
      return function
    return expect(function, Call).function(*args)

  def _storage(self, identity: tuple) -> Storage:
    kind, dtype, key, _, count = identity[:5]
    if kind != "storage" or len(identity) > 6:
      raise TypeError("an unknown persistent id")
    itemsize = expect(dtype, np.dtype).itemsize
    length = checked_size(count) * itemsize
    if expect(key, str) not in self.storages:
      self._spend(length)
      self.storages[key] = Storage(np.empty(length, np.uint8), dtype)
      self.fill(key, self.storages[key].data)
    data = self.storages[key].data
    if len(data) != length:
      raise TypeError("one storage with two sizes")
    if len(identity) == 6 and identity[5] is not None:  # files of early PyTorch
      _, start, count = expect(identity[5], tuple)
      if checked_size(start) + checked_size(count) > len(data) // itemsize:
        raise TypeError("a view beyond its storage")
      data = data[start * itemsize : (start + count) * itemsize]
    return Storage(data, dtype)


WRAPPER_KEYS = (
  "model_pos",
  "gen_state_dict",
  "state_dict",
  "model_state_dict",
  "model_state",
  "model",
  "network",
  "net",
)
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def load(path: str | os.PathLike) -> object:
  """The object that `torch.save` wrote, tensors as numpy arrays, mappings as dicts.

  Reads the zip container (PyTorch 1.6 and later) and the legacy one. Tensors that share
  a storage share memory here too; sets come back as lists. Nothing in the file is
  executed: objects that weights do not need come back as `Unread`, names that are not
  known here are refused.

  Raises:
    InvalidWeightsFile: with the path, what is wrong with the file, and what to do.
  """
  try:
    return _load(pathlib.Path(path))
  except InvalidWeightsFile as error:
    raise InvalidWeightsFile(f"{path}: {error}") from error.__cause__
  except Exception as error:  # damaged bytes can break any step of the decoding
    reason = " ".join(f"{type(error).__name__}: {error}"[:160].split())
    raise InvalidWeightsFile(
      f"{path}: truncated or damaged ({reason}); {AGAIN}."
    ) from error


def find_state_dict(
  checkpoint: object, keys: Sequence[str] = WRAPPER_KEYS
) -> dict[str, np.ndarray]:
  """The weights by name, without `module.`: a bare state dict or one under `keys`.

  Wrappers may be nested three deep; the first of `keys` that leads to weights wins.
  """
  weights = _search(checkpoint, keys, depth=3)
  if weights is None:
    found = f"a {type(checkpoint).__name__}"
    if isinstance(checkpoint, Mapping):
      shown = [repr(k)[:60] if is_key(k) else "..." for k in list(checkpoint)[:20]]
      found = f"the top-level keys {', '.join(shown) or '(none)'}"
    raise InvalidWeightsFile(
      f"no weights in the checkpoint: got {found}, expected arrays by name, bare or "
      f"under one of {', '.join(keys)}; name the right key with `keys`."
    )
  stripped = {name.removeprefix("module."): value for name, value in weights.items()}
  if len(stripped) < len(weights):
    raise InvalidWeightsFile(
      "got some weights twice, with and without the prefix 'module.', expected one of "
      "the two; delete the other."
    )
  return stripped


def _search(node: object, keys: Sequence[str], depth: int) -> dict | None:
  if not isinstance(node, Mapping) or not node:
    return None
  if all(isinstance(k, str) and isinstance(v, np.ndarray) for k, v in node.items()):
    return dict(node)
  found = (_search(node[k], keys, depth - 1) for k in keys if depth and k in node)
  return next((weights for weights in found if weights is not None), None)


def _load(path: pathlib.Path) -> object:
  try:
    with path.open("rb") as file:
      head = file.read(512)
      size = os.fstat(file.fileno()).st_size
      if not head:
        raise InvalidWeightsFile(f"the file is empty; {AGAIN}.")
      if head.startswith(b"PK\x03\x04"):
        return _load_zip(file, size)
      if head[257:262] == b"ustar":
        raise InvalidWeightsFile(
          "a tar archive, the format of the first PyTorch releases, expected a zip or "
          "legacy checkpoint; load it with PyTorch and save it again."
        )
      if not head.startswith(b"\x80"):
        raise InvalidWeightsFile(
          f"not a PyTorch checkpoint: it begins with {head[:12]!r}, expected a zip "
          "archive or a pickle; check what was downloaded."
        )
      with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        return _load_legacy(stream, size)
  except FileNotFoundError:
    raise InvalidWeightsFile("no such file; check the path.") from None
  except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
    raise InvalidWeightsFile(
      f"cannot be opened ({error.strerror}), expected a file that you may read."
    ) from error


def _load_zip(file: BinaryIO, size: int) -> object:
  with zipfile.ZipFile(file) as archive:
    names = set(archive.namelist())
    roots = [n.split("/")[0] for n in names if n.split("/")[1:] == ["data.pkl"]]
    if len(roots) != 1:
      raise InvalidWeightsFile(
        "a zip archive but not a PyTorch checkpoint: expected one NAME/data.pkl in it, "
        f"got {len(roots)}; check what was downloaded."
      )
    root = roots[0]
    if any(n.startswith((f"{root}/constants.pkl", f"{root}/code/")) for n in names):
      raise InvalidWeightsFile(
        "a TorchScript program, expected plain weights; load it with PyTorch and save "
        "its state dict: torch.save(torch.jit.load(OLD).state_dict(), NEW)."
      )

    def read(name: str, length: int | None = None) -> bytes:
      record = archive.getinfo(f"{root}/{name}")
      if record.compress_type != zipfile.ZIP_STORED or record.file_size > size:
        raise InvalidWeightsFile(
          f"the record {name[:60]!r} is compressed or larger than the file, which "
          "torch.save never does; unpack it and save it again with PyTorch."
        )
      if length is not None and record.file_size != length:
        raise InvalidWeightsFile(
          f"truncated or damaged: got {record.file_size} bytes in {name[:60]!r}, "
          f"expected {length}; {AGAIN}."
        )
      return archive.read(record)

    def fill(key: str, data: np.ndarray):
      data[:] = np.frombuffer(read(f"data/{key}", len(data)), np.uint8)

    if f"{root}/byteorder" in names:
      _refuse_big_endian(read("byteorder") == b"little")
    return Interpreter(size, fill).run(read("data.pkl"))


def _load_legacy(stream: mmap.mmap, size: int) -> object:
  pending = {}
  interpreter = Interpreter(size, pending.__setitem__)
  magic = interpreter.run(stream)
  if not isinstance(magic, int) or magic != _LEGACY_MAGIC:
    raise InvalidWeightsFile(
      "a pickle, but torch.save did not write it: its magic number is absent; save the "
      "weights with torch.save."
    )
  protocol, system = interpreter.run(stream), interpreter.run(stream)
  if protocol != _LEGACY_PROTOCOL:
    raise InvalidWeightsFile(
      f"a legacy checkpoint of another version, expected {_LEGACY_PROTOCOL}; load it "
      "with PyTorch and save it again."
    )
  _refuse_big_endian(expect(system, dict)["little_endian"])
  checkpoint = interpreter.run(stream)
  for key in expect(interpreter.run(stream), list):  # then the numbers in this order
    data = pending.pop(expect(key, str))
    (count,) = struct.unpack("<q", stream.read(8))
    raw = stream.read(len(data))
    itemsize = interpreter.storages[key].dtype.itemsize
    if len(raw) != len(data) or count * itemsize != len(data):
      raise InvalidWeightsFile(
        f"truncated or damaged: got {len(raw)} bytes in storage {key[:60]!r}, expected "
        f"{len(data)}; {AGAIN}."
      )
    data[:] = np.frombuffer(raw, np.uint8)
  if pending:
    raise InvalidWeightsFile(
      f"truncated or damaged: the numbers of {len(pending)} storages are absent; "
      f"{AGAIN}."
    )
  return checkpoint


def _refuse_big_endian(little: object):
  if little is not True:
    raise InvalidWeightsFile(
      "written on a big-endian machine, expected little-endian numbers; load it with "
      "PyTorch and save it again on a little-endian one."
    )
