"""Reads files of `joblib.dump` without joblib and without running what is in them.

Such a file is a pickle in which the bytes of each array stand, bare, behind the pickled
description of that array; the whole may be compressed. Arrays are read-only views of
the file, so gigabytes are read as they are used.

Interprets the pickles of `joblib.dump` and `numpy.save`, operation by operation.

Only a handful of things may be named in it, and they become arrays, dicts and text
here; nothing else is called.
"""

import bz2
import dataclasses
import functools
import gzip
import lzma
import math
import mmap
import os
import pickletools
import re
import tempfile
import types
import zlib
from collections.abc import Sized

import numpy as np

_WRAPPER = re.compile(r"(sklearn\.externals\.)?joblib\.numpy_pickle NumpyArrayWrapper")
_NAMES = frozenset(
  f"{module} {name}"
  for module, names in (
    ("numpy", "ndarray memmap dtype"),
    ("numpy.core.multiarray", "_reconstruct scalar"),  # numpy 1
    ("numpy._core.multiarray", "_reconstruct scalar"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict defaultdict"),
    ("builtins", "list"),
  )
  for name in names.split()
)
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9]\d{0,5}|O8?")
_PLAIN = str | bytes | int | float | None | np.generic
_HELD = _PLAIN | dict | list | np.ndarray  # what arrays of objects may hold
_PUSHES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_OPERANDS = frozenset(
  "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE "
  "BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)


class InvalidJoblibFile(ValueError):
  """The file cannot be read; the message is for the user."""


@dataclasses.dataclass(frozen=True)
class _Named:
  """Stands for something that the pickle names; calling it is up to the reader."""

  name: str


class _Unbuilt:
  """An array or dtype between its creation and its state."""

  def __init__(self, build):
    self.build = build
    self.value = None


def _expect(value: object, kind: type | types.UnionType) -> object:
  if not isinstance(value, kind):
    raise TypeError(f"got a {type(value).__name__}, expected {kind}")
  return value


class Reader:
  """Interprets the pickle in a file that knows its size; joblib's are mapped.

  A few operations can ask for any amount of memory (large declared sizes, one text
  encoded a million times), so arrays must fit the file and copies are charged.
  """

  def __init__(self, content: Sized):
    self.content = content
    self.budget = 8 * len(content)

  def value(self) -> object:
    """What the pickle from the current position on leaves behind."""
    stack, outer, memo = [], [], {}
    for code, arg, _ in pickletools.genops(self.content):
      items = None
      if code.name in ("TUPLE", "APPENDS", "SETITEMS"):
        items, stack = stack, outer.pop()
      match code.name:
        case name if name in _OPERANDS:
          stack.append(arg)
        case name if name in _PUSHES:
          stack.append(_PUSHES[name])
        case "BINGET" | "LONG_BINGET":
          value = memo[arg]
          stack.append(value.value if isinstance(value, _Unbuilt) else value)
        case "BINPUT" | "LONG_BINPUT":
          memo[arg] = stack[-1]
        case "MEMOIZE":
          memo[len(memo)] = stack[-1]
        case "MARK":
          outer.append(stack)
          stack = []
        case "TUPLE":
          stack.append(tuple(items))
        case "TUPLE1" | "TUPLE2" | "TUPLE3":
          count = int(code.name[-1])
          stack[-count:] = [tuple(stack[-count:])]
        case "EMPTY_LIST":
          stack.append([])
        case "APPEND" | "APPENDS":
          items = [stack.pop()] if items is None else items
          _expect(stack[-1], list).extend(items)
        case "EMPTY_DICT":
          stack.append({})
        case "SETITEM" | "SETITEMS":
          items = [stack.pop(-2), stack.pop()] if items is None else items
          for key, value in zip(items[::2], items[1::2], strict=True):
            _expect(stack[-1], dict)[_expect(key, _PLAIN)] = value
        case "GLOBAL":
          stack.append(_named(arg))
        case "STACK_GLOBAL":
          name, module = _expect(stack.pop(), str), _expect(stack.pop(), str)
          stack.append(_named(f"{module[:200]} {name[:200]}"))
        case "REDUCE" | "NEWOBJ":
          args, function = _expect(stack.pop(), tuple), stack.pop()
          stack.append(self._call(_expect(function, _Named).name, args))
        case "BUILD":
          state, target = stack.pop(), _expect(stack[-1], _Unbuilt)
          target.value = stack[-1] = target.build(state)
        case "PROTO" | "FRAME":
          pass
        case "STOP":
          return stack.pop()
        case name:
          raise InvalidJoblibFile(
            f"refused: its pickle uses the operation {name}, which joblib and numpy do "
            "not write; nothing was executed, get the file from its owner."
          )
    raise AssertionError("genops ends with STOP or an error")

  def _spend(self, amount: int):
    self.budget -= amount
    if self.budget < 0:
      raise ValueError("it declares more data than the file holds")

  def _call(self, name: str, args: tuple) -> object:
    """What a name makes of its arguments, none of which can be trusted."""
    match name.split(" ")[1]:
      case "NumpyArrayWrapper":
        return _Unbuilt(self._bare_array)
      case "dtype":
        return _Unbuilt(functools.partial(_dtype_state, _dtype(args[0])))
      case "_reconstruct":
        return _Unbuilt(self._pickled_array)
      case "scalar":
        dtype, raw = args
        return self._array((), _expect(dtype, np.dtype), _expect(raw, bytes))[()]
      case "encode":
        text, encoding = args
        self._spend(len(_expect(text, str)))
        if encoding not in ("latin1", "latin-1"):
          raise ValueError("bytes in an unknown encoding")
        return text.encode("latin1")
      case "OrderedDict" | "defaultdict":
        return {}
    raise TypeError("a call of something that makes no data")

  def _bare_array(self, state: object) -> np.ndarray:
    """The array whose bytes follow in the file."""
    shape, dtype = _shape(state["shape"]), _expect(state["dtype"], np.dtype)
    if dtype.hasobject:
      value = _expect(Reader(self.content).value(), np.ndarray)
      if value.shape != shape:
        raise ValueError("an array of another shape than declared")
      return value
    if state.get("numpy_array_alignment_bytes") is not None:  # joblib >= 1.2
      self.content.seek(self.content.read(1)[0], os.SEEK_CUR)
    start = self.content.tell()
    size = math.prod(shape) * dtype.itemsize
    if size > len(self.content) - start:
      raise InvalidJoblibFile(
        f"truncated: an array of shape {str(shape)[:80]} and type {dtype} needs {size} "
        f"bytes, but {len(self.content) - start} are left; copy or download it again."
      )
    self.content.seek(size, os.SEEK_CUR)
    if not size:
      return np.empty(shape, dtype)
    order = "F" if state["order"] == "F" else "C"
    return np.ndarray(shape, dtype, self.content, start, order=order)

  def _pickled_array(self, state: object) -> np.ndarray:
    """An array of objects, or one that is wholly inside the pickle."""
    _, shape, dtype, fortran, raw = _expect(state, tuple)
    order = "F" if fortran is True else "C"
    if not _expect(dtype, np.dtype).hasobject:
      return self._array(_shape(shape), dtype, _expect(raw, bytes), order)
    self._spend(8 * len(_expect(raw, list)))
    values = np.empty(len(raw), object)
    for i, value in enumerate(raw):
      values[i] = _expect(value, _HELD)
    return values.reshape(_shape(shape), order=order)

  def _array(self, shape: tuple, dtype: np.dtype, raw: bytes, order="C") -> np.ndarray:
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(raw):
      raise ValueError("an array with more or fewer bytes than its shape")
    return np.ndarray(shape, dtype, raw, order=order)


def _named(name: str) -> _Named:
  """An inert stand-in for "MODULE NAME"; a refusal if data do not need it."""
  if name not in _NAMES and not _WRAPPER.fullmatch(name):
    raise InvalidJoblibFile(
      f"refused: it asks for {name.replace(' ', '.', 1)[:120]!r}, expected numpy "
      "arrays and plain containers; nothing was executed, get the file from its owner."
    )
  return _Named(name)


def _shape(value: object) -> tuple[int, ...]:
  shape = _expect(value, tuple)
  if len(shape) > 32 or not all(0 <= _expect(n, int) < 2**48 for n in shape):
    raise ValueError("an impossible shape")
  return tuple(int(n) for n in shape)


def _dtype(code: object) -> np.dtype:
  if not _DTYPE.fullmatch(_expect(code, str)):
    raise InvalidJoblibFile(
      f"refused: an array of type {code[:20]!r}, expected numbers or text; write it "
      "again without that array."
    )
  return np.dtype(code)


def _dtype_state(dtype: np.dtype, state: object) -> np.dtype:
  return dtype.newbyteorder(">") if _expect(state, tuple)[1] == ">" else dtype


_CHUNK = 2**20


def load(path: str | os.PathLike) -> object:
  """The value in a file: dicts, lists, tuples, numbers, text and numpy arrays.

  Arrays are read-only views of the file, or of an unnamed temporary file where it is
  compressed (zlib, gzip, bz2, xz).

  Raises:
    InvalidJoblibFile: it is something else, truncated, or asks for something that data
      do not hold.
  """
  path = os.fspath(path)
  with open(path, "rb") as file:
    head = file.read(6)
    if head.startswith((b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00")):
      file = _unpacked(file, head, path)
    elif not head.startswith(b"\x80"):
      raise InvalidJoblibFile(
        f"{path}: got a file that starts with {head!r}, expected one of joblib.dump, "
        "bare or in zlib, gzip, bz2 or xz; get the right file, or write it again with "
        "joblib.dump(data, path)."
      )
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
  try:
    return Reader(content).value()
  except InvalidJoblibFile as error:
    raise InvalidJoblibFile(f"{path}: {error}") from None
  except Exception as error:  # a damaged pickle can raise anything
    raise InvalidJoblibFile(
      f"{path}: truncated or damaged at byte {content.tell()} "
      f"({type(error).__name__}: {str(error)[:80]}); copy or download it again."
    ) from error


def release(array: object) -> None:
  """Gives back the memory of the parts of its file that were read so far."""
  while isinstance(array, np.ndarray):
    array = array.base
  if isinstance(array, mmap.mmap) and hasattr(array, "madvise"):
    array.madvise(mmap.MADV_DONTNEED)


def _unpacked(file, head: bytes, path: str):
  """An unnamed temporary file with what the container holds."""
  file.seek(0)
  out = tempfile.TemporaryFile()
  try:
    for chunk in _chunks(file, head):
      out.write(chunk)
    out.flush()
    if not out.tell():
      raise EOFError("it holds nothing")
  except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
    if getattr(error, "errno", None):  # of the disk, not of the content
      raise
    raise InvalidJoblibFile(
      f"{path}: truncated or damaged: its container ends early or is inconsistent "
      f"({str(error)[:80]}); copy or download it again."
    ) from error
  return out


def _chunks(file, head: bytes):
  if head.startswith(b"\x78"):
    unpack = zlib.decompressobj()
    while not unpack.eof:
      packed = unpack.unconsumed_tail or file.read(_CHUNK)
      chunk = unpack.decompress(packed, _CHUNK)
      if not packed and not chunk:
        raise EOFError("the end of its data is missing")
      yield chunk
    return
  kind = gzip if head.startswith(b"\x1f\x8b") else bz2 if head[:1] == b"B" else lzma
  with kind.open(file) as unpacked:
    while chunk := unpacked.read(_CHUNK):
      yield chunk
