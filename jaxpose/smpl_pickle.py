"""Reads the pickles that SMPL is distributed as, without chumpy, scipy or Python 2.

A pickle may name what it likes; here a name stands for an inert stand-in or is refused,
so that reading a file executes nothing.
"""

import codecs
import io
import math
import pickle

import numpy as np

_NUMBERS = frozenset("biuf")


class _Array:
  """A numpy array between its creation and its state."""

  def __setstate__(self, state):
    _, shape, dtype, _, raw = state
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
      raise pickle.UnpicklingError("an array of objects")
    if math.prod(shape) * dtype.value.itemsize != len(raw) or min(shape, default=0) < 0:
      raise pickle.UnpicklingError("an array with more or fewer bytes than its shape")
    order = "F" if state[3] else "C"
    self.value = np.ndarray(shape, dtype.value, raw, order=order)


class _DType:
  """A numpy type; its state says which byte order."""

  def __init__(self, code, *_):
    self.value = np.dtype(str(code)[:8])
    if self.value.kind not in _NUMBERS:
      raise pickle.UnpicklingError("a type that is no number")

  def __setstate__(self, state):
    if state[1] == ">":
      self.value = self.value.newbyteorder(">")


class _Object:
  """A chumpy or scipy object: its attributes and nothing else."""

  def __init__(self, *_):
    pass

  def __setstate__(self, state):
    self.state = state if isinstance(state, dict) else {}


def _reconstruct(*_):
  return _Array()


def _reconstructor(kind, *_):
  if not (isinstance(kind, type) and issubclass(kind, _Object)):
    raise pickle.UnpicklingError("an object of an unknown kind")
  return kind()


def _encode(text, encoding="latin1"):
  if encoding != "latin1":
    raise pickle.UnpicklingError("bytes in an unknown encoding")
  return codecs.encode(text, "latin1")


_KNOWN = {
  "copy_reg _reconstructor": _reconstructor,
  "copyreg _reconstructor": _reconstructor,
  "_codecs encode": _encode,
  "numpy ndarray": None,
  "numpy dtype": _DType,
  "__builtin__ object": None,
  "builtins object": None,
  "numpy.core.multiarray _reconstruct": _reconstruct,
  "numpy._core.multiarray _reconstruct": _reconstruct,
}


class _Unpickler(pickle.Unpickler):
  def find_class(self, module, name):
    known = f"{module} {name}"
    if known in _KNOWN:
      return _KNOWN[known]
    if module.split(".")[0] == "chumpy" or module.startswith("scipy.sparse"):
      return type(name, (_Object,), {})  # one of its own: pickles can set attributes
    raise ValueError(
      f"refused: it asks for {known[:80]!r}, expected only numpy, chumpy and scipy "
      "arrays; nothing was executed, get the file from its owner."
    )


def read(raw: bytes) -> dict[str, object]:
  """The dict in a pickle, its arrays as numpy's; other values as they are.

  Raises:
    ValueError: the pickle asks for something that SMPL's files do not hold, or is
      damaged.
  """
  try:
    content = _Unpickler(io.BytesIO(raw), encoding="latin1").load()
    if not isinstance(content, dict):
      raise pickle.UnpicklingError(f"a {type(content).__name__}, expected a dict")
    return {str(key): _plain(value) for key, value in content.items()}
  except Exception as error:  # a damaged pickle can raise anything
    if str(error).startswith("refused"):
      raise
    raise ValueError(
      "truncated or damaged: it is no pickle of SMPL's arrays "
      f"({type(error).__name__}: {str(error)[:80]}); copy or download it again."
    ) from error


def _plain(value):
  """The array behind a stand-in, or the value itself."""
  if isinstance(value, _Array):
    return value.value
  if not isinstance(value, _Object):
    return value
  state = {key: _plain(v) for key, v in getattr(value, "state", {}).items()}
  if "indptr" in state:
    return _dense(type(value).__name__, state)
  if "idxs" in state:  # chumpy's selection of entries of another array
    return np.ravel(state["a"])[state["idxs"]].reshape(state["preferred_shape"])
  return state.get("x")


def _dense(kind: str, state: dict) -> np.ndarray:
  """Scipy's compressed columns or rows as a matrix."""
  shape = tuple(int(n) for n in state.get("_shape", state.get("shape")))
  if len(shape) != 2 or math.prod(shape) > 2**24 or min(shape) < 0:
    raise ValueError(f"a sparse matrix of shape {shape}")
  columns = kind.startswith("csc")
  major = np.repeat(np.arange(shape[columns]), np.diff(state["indptr"]))
  matrix = np.zeros(shape[::-1] if columns else shape, state["data"].dtype)
  np.add.at(matrix, (major, state["indices"]), state["data"])
  return matrix.T if columns else matrix
