"""Reads the pickles that SMPL is distributed as, without chumpy, scipy or Python 2."""

import math

import numpy as np

from jaxpose.files import pickles
from jaxpose.files.pickles import Call
from jaxpose.files.pickles import Unread

_NAMES = pickles.WITHOUT_OBJECTS | {
  f"{module} _reconstructor": Call(
    lambda kind, *_: Unread(pickles.expect(kind, Unread).name)
  )
  for module in ("copy_reg", "copyreg")
}


def read(raw: bytes) -> dict[str, object]:
  """The dict in a pickle, its arrays as numpy's; other values as they are.

  Raises:
    ValueError: the pickle asks for something that SMPL's files do not hold, or is
      damaged.
  """
  content = pickles.read(
    raw,
    of="SMPL's arrays",
    holds="numpy, chumpy and scipy arrays",
    names=_NAMES,
    inert=r"(chumpy|scipy\.sparse)[\w.]* \w+",
  )
  with pickles.in_words("SMPL's arrays"):
    left = [8 * len(raw)]  # bytes that may be made
    items = pickles.expect(content, dict).items()
    return {str(key): _plain(value, left) for key, value in items}


def _plain(value: object, left: list):
  """The array behind a stand-in, or the value itself."""
  if not isinstance(value, Unread):
    return value
  attributes = pickles.expect(value.state or {}, dict)
  state = {key: _plain(v, left) for key, v in attributes.items()}
  if "indptr" in state:
    return _dense(value.name.split(".")[-1], state, left)
  if "idxs" in state:  # chumpy's selection of entries of another array
    _spend(left, np.size(state["idxs"]) * state["a"].itemsize)
    return np.ravel(state["a"])[state["idxs"]].reshape(state["preferred_shape"])
  return state.get("x")


def _dense(kind: str, state: dict, left: list) -> np.ndarray:
  """Scipy's compressed columns or rows as a matrix."""
  shape = pickles.checked_sizes(state.get("_shape", state.get("shape")))
  columns, data = kind.startswith("csc"), state["data"]
  counts = np.diff(state["indptr"])
  if len(shape) != 2 or len(counts) != shape[columns] or (counts < 0).any():
    raise ValueError(f"a sparse matrix of shape {shape}")
  if data.ndim != 1 or not counts.sum() == len(state["indices"]) == len(data):
    raise ValueError(f"a sparse matrix of shape {shape} with other entries")
  _spend(left, math.prod(shape) * data.itemsize)
  major = np.repeat(np.arange(shape[columns]), counts)
  matrix = np.zeros(shape[::-1] if columns else shape, data.dtype)
  np.add.at(matrix, (major, state["indices"]), data)
  return matrix.T if columns else matrix


def _spend(left: list, amount: int):
  left[0] -= amount
  if left[0] < 0:
    raise ValueError("it declares more data than the file holds")
