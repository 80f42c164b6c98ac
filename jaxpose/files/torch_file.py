"""Reads PyTorch checkpoint files into numpy, without torch and without running them.

Tensors become numpy arrays, containers plain dicts and lists, and what weights do not
need becomes `Unread`; `pickles` runs the pickle in the file and refuses other names.
"""

import dataclasses
import io
import math
import mmap
import os
import pathlib
import struct
import zipfile
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import BinaryIO

import ml_dtypes
import numpy as np

from jaxpose.files import pickles
from jaxpose.files.pickles import AGAIN
from jaxpose.files.pickles import Call
from jaxpose.files.pickles import InvalidFile
from jaxpose.files.pickles import checked_size
from jaxpose.files.pickles import checked_sizes
from jaxpose.files.pickles import expect


@dataclasses.dataclass(frozen=True, eq=False)
class Storage:
  """The raw bytes behind one or several tensors, and the type of their numbers."""

  data: np.ndarray
  dtype: np.dtype


# What pickles may call. Arguments come from the file: nothing about them is known.


def _tensor(storage, offset, size, stride, grad=None, hooks=None, metadata=None):
  if metadata:
    raise InvalidFile(
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
    raise InvalidFile(
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
}
NAMES = {
  **pickles.WITHOUT_OBJECTS,
  **{f"torch {name}": dtype for name, dtype in _DTYPES.items()},
  **{name: _DTYPES[dtype] for name, dtype in _STORAGES.items()},
  **{name: Call(function) for name, function in _FUNCTIONS.items()},
}
_INERT = (
  r"torch Tensor|torch\.nn\.parameter Parameter|argparse Namespace"
  r"|numpy\.random[ .].*|numpy ndarray|(__builtin__|builtins) (dict|list|int|float)"
)


class _Storages:
  """The storages of a file by key.

  Args:
    size: of the file.
    fill: (key, data): puts a storage's bytes into data, now or later.
  """

  def __init__(self, size: int, fill: Callable):
    self.fill, self.found = fill, {}
    self.interpreter = pickles.Interpreter(
      size, NAMES, inert=_INERT, holds="weights", persistent=self.storage
    )

  def storage(self, identity: tuple) -> Storage:
    """What a persistent identity stands for."""
    kind, dtype, key, _, count = identity[:5]
    if kind != "storage" or len(identity) > 6:
      raise TypeError("an unknown persistent id")
    itemsize = expect(dtype, np.dtype).itemsize
    length = checked_size(count) * itemsize
    if expect(key, str) not in self.found:
      self.interpreter.spend(length)
      self.found[key] = Storage(np.empty(length, np.uint8), dtype)
      self.fill(key, self.found[key].data)
    data = self.found[key].data
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
    InvalidFile: with the path, what is wrong with the file, and what to do.
  """
  with pickles.in_words("torch.save", f"{path}: "):
    return _load(pathlib.Path(path))


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
      shown = [
        repr(k)[:60] if pickles.is_key(k) else "..." for k in list(checkpoint)[:20]
      ]
      found = f"the top-level keys {', '.join(shown) or '(none)'}"
    raise InvalidFile(
      f"no weights in the checkpoint: got {found}, expected arrays by name, bare or "
      f"under one of {', '.join(keys)}; name the right key with `keys`."
    )
  stripped = {name.removeprefix("module."): value for name, value in weights.items()}
  if len(stripped) < len(weights):
    raise InvalidFile(
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
        raise InvalidFile(f"the file is empty; {AGAIN}.")
      if head.startswith(b"PK\x03\x04"):
        return _load_zip(file, size)
      if head[257:262] == b"ustar":
        raise InvalidFile(
          "a tar archive, the format of the first PyTorch releases, expected a zip or "
          "legacy checkpoint; load it with PyTorch and save it again."
        )
      if not head.startswith(b"\x80"):
        raise InvalidFile(
          f"not a PyTorch checkpoint: it begins with {head[:12]!r}, expected a zip "
          "archive or a pickle; check what was downloaded."
        )
      with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        return _load_legacy(stream, size)
  except FileNotFoundError:
    raise InvalidFile("no such file; check the path.") from None
  except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
    raise InvalidFile(
      f"cannot be opened ({error.strerror}), expected a file that you may read."
    ) from error


def _load_zip(file: BinaryIO, size: int) -> object:
  with zipfile.ZipFile(file) as archive:
    names = set(archive.namelist())
    roots = [n.split("/")[0] for n in names if n.split("/")[1:] == ["data.pkl"]]
    if len(roots) != 1:
      raise InvalidFile(
        "a zip archive but not a PyTorch checkpoint: expected one NAME/data.pkl in it, "
        f"got {len(roots)}; check what was downloaded."
      )
    root = roots[0]
    if any(n.startswith((f"{root}/constants.pkl", f"{root}/code/")) for n in names):
      raise InvalidFile(
        "a TorchScript program, expected plain weights; load it with PyTorch and save "
        "its state dict: torch.save(torch.jit.load(OLD).state_dict(), NEW)."
      )

    def read(name: str, length: int | None = None) -> bytes:
      record = archive.getinfo(f"{root}/{name}")
      if record.compress_type != zipfile.ZIP_STORED or record.file_size > size:
        raise InvalidFile(
          f"the record {name[:60]!r} is compressed or larger than the file, which "
          "torch.save never does; unpack it and save it again with PyTorch."
        )
      if length is not None and record.file_size != length:
        raise InvalidFile(
          f"truncated or damaged: got {record.file_size} bytes in {name[:60]!r}, "
          f"expected {length}; {AGAIN}."
        )
      return archive.read(record)

    def fill(key: str, data: np.ndarray):
      data[:] = np.frombuffer(read(f"data/{key}", len(data)), np.uint8)

    if f"{root}/byteorder" in names:
      _refuse_big_endian(read("byteorder") == b"little")
    return _Storages(size, fill).interpreter.run(io.BytesIO(read("data.pkl")))


def _load_legacy(stream: mmap.mmap, size: int) -> object:
  pending = {}
  storages = _Storages(size, pending.__setitem__)
  interpreter = storages.interpreter
  magic = interpreter.run(stream)
  if not isinstance(magic, int) or magic != _LEGACY_MAGIC:
    raise InvalidFile(
      "a pickle, but torch.save did not write it: its magic number is absent; save the "
      "weights with torch.save."
    )
  protocol, system = interpreter.run(stream), interpreter.run(stream)
  if protocol != _LEGACY_PROTOCOL:
    raise InvalidFile(
      f"a legacy checkpoint of another version, expected {_LEGACY_PROTOCOL}; load it "
      "with PyTorch and save it again."
    )
  _refuse_big_endian(expect(system, dict)["little_endian"])
  checkpoint = interpreter.run(stream)
  for key in expect(interpreter.run(stream), list):  # then the numbers in this order
    data = pending.pop(expect(key, str))
    (count,) = struct.unpack("<q", stream.read(8))
    raw = stream.read(len(data))
    itemsize = storages.found[key].dtype.itemsize
    if len(raw) != len(data) or count * itemsize != len(data):
      raise InvalidFile(
        f"truncated or damaged: got {len(raw)} bytes in storage {key[:60]!r}, expected "
        f"{len(data)}; {AGAIN}."
      )
    data[:] = np.frombuffer(raw, np.uint8)
  if pending:
    raise InvalidFile(
      f"truncated or damaged: the numbers of {len(pending)} storages are absent; "
      f"{AGAIN}."
    )
  return checkpoint


def _refuse_big_endian(little: object):
  if little is not True:
    raise InvalidFile(
      "written on a big-endian machine, expected little-endian numbers; load it with "
      "PyTorch and save it again on a little-endian one."
    )
