"""Writes PyTorch checkpoint files opcode by opcode, without torch."""

import io
import struct
import zipfile
from typing import NamedTuple

import numpy as np

STORAGE = {
  "float64": "torch DoubleStorage",
  "float32": "torch FloatStorage",
  "float16": "torch HalfStorage",
  "bfloat16": "torch BFloat16Storage",
  "int64": "torch LongStorage",
  "int32": "torch IntStorage",
  "int16": "torch ShortStorage",
  "int8": "torch CharStorage",
  "uint8": "torch ByteStorage",
  "bool": "torch BoolStorage",
  "complex64": "torch ComplexFloatStorage",
  "complex128": "torch ComplexDoubleStorage",
}
CONTAINERS = ("zip", "legacy")


class Name(NamedTuple):
  full: str


class Raw(NamedTuple):
  """Opcodes written as they are."""

  code: bytes


class Reduce(NamedTuple):
  function: object
  args: object


class Build(NamedTuple):
  target: object
  state: object


class Pid(NamedTuple):
  identity: object


def emit(value) -> bytes:
  """The opcodes, as in pickle protocol 2, that make a value."""
  match value:
    case Raw(code):
      return code
    case Name(full):
      return b"c" + full.replace(" ", "\n").encode() + b"\n"
    case Reduce(function, args):
      return emit(function) + emit(args) + b"R"
    case Build(target, state):
      return emit(target) + emit(state) + b"b"
    case Pid(identity):
      return emit(identity) + b"Q"
    case None | True | False:
      return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    case int():
      raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
      return b"\x8b" + struct.pack("<i", len(raw)) + raw
    case float():
      return b"G" + struct.pack(">d", value)
    case str():
      return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    case tuple():
      return b"(" + b"".join(map(emit, value)) + b"t"
    case list():
      return b"](" + b"".join(map(emit, value)) + b"e"
    case dict():
      return b"}(" + b"".join(emit(k) + emit(v) for k, v in value.items()) + b"u"
  raise TypeError(value)


def stream(value) -> bytes:
  return b"\x80\x02" + emit(value) + b"."


def zip_bytes(pickled: bytes, storages=None, **records) -> bytes:
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, "w") as archive:
    archive.writestr("archive/data.pkl", pickled)
    for key, array in (storages or {}).items():
      archive.writestr(f"archive/data/{key}", array.tobytes())
    for name, content in records.items():
      archive.writestr(f"archive/{name}", content)
  return buffer.getvalue()


def legacy_bytes(pickled: bytes, storages=None, little=True) -> bytes:
  storages = storages or {}
  system = {"protocol_version": 1001, "little_endian": little, "type_sizes": {"int": 4}}
  head = [0x1950A86A20F9469CFC6C, 1001, system]
  raw = b"".join(struct.pack("<q", a.size) + a.tobytes() for a in storages.values())
  return b"".join(map(stream, head)) + pickled + stream(list(storages)) + raw


def container_bytes(container: str, value, storages=None) -> bytes:
  make = zip_bytes if container == "zip" else legacy_bytes
  return make(stream(value), storages)


def storage(key: str, array: np.ndarray, **changes) -> Pid:
  identity = dict(
    kind="storage",
    dtype=Name(STORAGE[array.dtype.name]),
    key=key,
    location="cuda:0",
    count=array.size,
  )
  return Pid(tuple((identity | changes).values()))


def tensor(source, size: tuple, stride: tuple, offset: int = 0, *more) -> Reduce:
  hooks = Reduce(Name("collections OrderedDict"), ())
  args = (source, offset, size, stride, False, hooks, *more)
  return Reduce(Name("torch._utils _rebuild_tensor_v2"), args)


def whole(key: str, array: np.ndarray) -> Reduce:
  stride = tuple(s // array.itemsize for s in array.strides)
  return tensor(storage(key, array), array.shape, stride)


def small_checkpoint(container: str) -> bytes:
  weight = np.arange(6, dtype=np.float32).reshape(2, 3)
  steps = np.asarray(7, np.int64)
  state = {"module.fc.weight": whole("0", weight), "module.bn.steps": whole("1", steps)}
  value = {"epoch": 3, "lr": 0.5, "model_pos": state}
  return container_bytes(container, value, {"0": weight, "1": steps})
