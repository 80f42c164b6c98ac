"""Reads pickles of numpy arrays, Python 2's too, and executes nothing that they name.

A pickle may name what it likes; here a handful of names stand for inert makers of
arrays, numbers and text, and every other name is refused.
"""

import codecs
import io
import math
import pickle
from collections.abc import Callable

import numpy as np

_KINDS = frozenset("biufSU")
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")  # numpy 1 and 2
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")


class Inert:
  """An object of another package: its attributes as `state`, and nothing else."""

  def __init__(self, *_):
    self.state = {}

  def __setstate__(self, state):
    self.state = state if isinstance(state, dict) else {}


class _Maker:
  """What a name stands for: it can be called, and cannot be changed by a pickle."""

  __slots__ = ("_make",)

  def __init__(self, make: Callable):
    self._make = make

  def __call__(self, *args):
    return self._make(*args)

  def __setstate__(self, state):
    raise pickle.UnpicklingError("a state for something that has none")


class _Array:
  """A numpy array between its creation and its state."""

  __slots__ = ("value",)

  def __setstate__(self, state):
    _, shape, dtype, fortran, raw = state
    if isinstance(raw, list) and isinstance(dtype, _DType) and dtype.value is None:
      self.value = raw  # an array of objects
    else:
      raw = raw.encode("latin1") if isinstance(raw, str) else raw
      self.value = _array(raw, dtype, shape, "F" if fortran else "C")


class _DType:
  """A numpy type; its state says which byte order."""

  __slots__ = ("value",)

  def __init__(self, code):
    self.value = None
    if str(code)[:1] != "O":
      self.value = np.dtype(str(code)[:8])
      if self.value.kind not in _KINDS:
        raise pickle.UnpicklingError("a type that is neither number nor text")

  def __setstate__(self, state):
    if state[1] == ">" and self.value is not None:
      self.value = self.value.newbyteorder(">")


def _array(raw, dtype, shape, order="C") -> np.ndarray:
  if not isinstance(dtype, _DType) or dtype.value is None:
    raise pickle.UnpicklingError("an array of objects")
  if not isinstance(raw, bytes | bytearray):
    raise pickle.UnpicklingError("an array without bytes")
  shape = tuple(shape)
  if min(shape, default=0) < 0 or math.prod(shape) * dtype.value.itemsize != len(raw):
    raise pickle.UnpicklingError("an array with more or fewer bytes than its shape")
  return np.ndarray(shape, dtype.value, raw, order="F" if order == "F" else "C")


def _scalar(dtype, raw):
  raw = raw.encode("latin1") if isinstance(raw, str) else raw
  return _array(raw, dtype, ())[()]


class _Unpickler(pickle.Unpickler):
  def __init__(self, raw: bytes, more: Callable, holds: str, objects: bool):
    super().__init__(io.BytesIO(raw), encoding="latin1")
    self.more, self.holds, self.objects = more, holds, objects
    self.budget = 4 * len(raw)  # one text could be encoded a million times
    known = {
      "_codecs encode": self.encode,
      "numpy ndarray": None,
      "numpy dtype": self.dtype,
      "__builtin__ object": None,
      "builtins object": None,
      "collections OrderedDict": dict,
      "__builtin__ bytes": lambda: b"",  # how protocols 0 to 2 write no bytes
    }
    known |= {f"{module} _reconstruct": self.array for module in _MULTIARRAY}
    known |= {f"{module} scalar": _scalar for module in _MULTIARRAY}
    known |= {f"{module} _frombuffer": _array for module in _NUMERIC}
    self.known = {name: make and _Maker(make) for name, make in known.items()}

  def array(self, *_):
    return _Array()

  def dtype(self, code, *_):
    if str(code)[:1] == "O" and not self.objects:
      raise pickle.UnpicklingError("an array of objects")
    return _DType(code)

  def encode(self, text, encoding="latin1"):
    if encoding != "latin1":
      raise pickle.UnpicklingError("bytes in an unknown encoding")
    self.budget -= len(text)
    if self.budget < 0:
      raise pickle.UnpicklingError("more data than the file holds")
    return codecs.encode(text, "latin1")

  def find_class(self, module, name):
    known = f"{module} {name}"
    if known in self.known:
      return self.known[known]
    found = self.more(module, name)
    if found is not None:
      return found
    raise ValueError(
      f"refused: it asks for {known[:80]!r}, expected only {self.holds}; nothing was "
      "executed, get the file from its owner."
    )


def read(
  raw: bytes,
  *,
  more: Callable[[str, str], object] = lambda module, name: None,
  holds: str = "numpy arrays",
  of: str = "numpy arrays",
  objects: bool = True,
) -> object:
  """What a pickle holds: containers, numbers, text and numpy arrays.

  Text of Python 2 is decoded as Latin-1; arrays of objects become lists.

  Args:
    raw: the pickle.
    more: (module, name) -> what else may be named, None for a refusal. It must make
      new objects, `Inert` ones best: pickles set attributes of what they are given.
    holds: what may be named, for messages.
    of: what the pickle should hold, for messages.
    objects: arrays of objects are read.

  Raises:
    ValueError: it asks for something that data do not hold, or is damaged.
  """
  try:
    return _plain(_Unpickler(raw, more, holds, objects).load(), {})
  except Exception as error:  # a damaged pickle can raise anything
    if str(error).startswith("refused"):
      raise
    raise ValueError(
      f"truncated or damaged: it is no pickle of {of} ({type(error).__name__}: "
      f"{str(error)[:80]}); copy or download it again."
    ) from error


def _plain(value: object, seen: dict) -> object:
  """The value with arrays in the place of their stand-ins.

  Lists and dicts are changed in place, and each only once: a few bytes can name one a
  million times, or put it into itself.
  """
  if isinstance(value, _Array):
    value = value.value
  if isinstance(value, _DType | _Maker):
    return None
  if not isinstance(value, list | tuple | dict | Inert):
    return value
  if id(value) in seen:
    return seen[id(value)][0]
  seen[id(value)] = value, value  # held, so that no other value takes its id
  if isinstance(value, list):
    value[:] = [_plain(item, seen) for item in value]
  elif isinstance(value, dict):
    value.update([(key, _plain(item, seen)) for key, item in value.items()])
  elif isinstance(value, Inert):
    value.state = _plain(value.state, seen)
  else:
    seen[id(value)] = tuple(_plain(item, seen) for item in value), value
  return seen[id(value)][0]
