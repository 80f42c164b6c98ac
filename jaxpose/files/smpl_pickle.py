"""Reads the pickles that SMPL is distributed as, without chumpy, scipy or Python 2."""

import math

import numpy as np

from jaxpose.files import array_pickle
from jaxpose.files.array_pickle import Inert


def _packages(module: str, name: str):
  """Stand-ins for the objects of chumpy and scipy."""
  if f"{module} {name}" in ("copy_reg _reconstructor", "copyreg _reconstructor"):
    return _Reconstructor()
  if module.split(".")[0] == "chumpy" or module.startswith("scipy.sparse"):
    return type(name, (Inert,), {})  # one of its own: pickles can set attributes
  return None


class _Reconstructor:
  __slots__ = ()

  def __call__(self, kind, *_):
    if not (isinstance(kind, type) and issubclass(kind, Inert)):
      raise TypeError("an object of an unknown kind")
    return kind()


def read(raw: bytes) -> dict[str, object]:
  """The dict in a pickle, its arrays as numpy's; other values as they are.

  Raises:
    ValueError: the pickle asks for something that SMPL's files do not hold, or is
      damaged.
  """
  content = array_pickle.read(
    raw,
    more=_packages,
    holds="numpy, chumpy and scipy arrays",
    of="SMPL's arrays",
    objects=False,
  )
  try:
    if not isinstance(content, dict):
      raise TypeError(f"a {type(content).__name__}, expected a dict")
    return {str(key): _plain(value) for key, value in content.items()}
  except Exception as error:  # attributes can be anything
    raise ValueError(
      "truncated or damaged: it is no pickle of SMPL's arrays "
      f"({type(error).__name__}: {str(error)[:80]}); copy or download it again."
    ) from error


def _plain(value):
  """The array behind a stand-in, or the value itself."""
  if not isinstance(value, Inert):
    return value
  state = {key: _plain(v) for key, v in value.state.items()}
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
