"""Reads `.npz` files whose arrays hold dicts and lists; nothing in them is run.

`numpy.savez` pickles a dict as an array of one object, and `numpy.load` would have to
unpickle it.
"""

import math
import os
import zipfile
import zlib

import numpy as np

from jaxpose.files import pickles

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


def load(path: str | os.PathLike, *names: str) -> list[object]:
  """The named arrays of a file, in order; an array of one object is that object.

  Raises:
    ValueError: the file is no npz, lacks an array, is truncated, or asks for something
      that data do not hold.
  """
  try:
    with zipfile.ZipFile(path) as packed:
      held = [name.removesuffix(".npy") for name in packed.namelist()]
      missing = [name for name in names if name not in held]
      if missing:
        raise ValueError(
          f"{path}: got the arrays {', '.join(held)[:200] or 'none'}, expected "
          f"{', '.join(missing)} too; is it the file of another dataset?"
        )
      return [_array(packed, name, path) for name in names]
  except _DAMAGED as error:
    raise ValueError(
      f"{path}: truncated or damaged npz ({type(error).__name__}: {str(error)[:80]}); "
      f"{pickles.AGAIN}."
    ) from error


def _array(packed: zipfile.ZipFile, name: str, path: str | os.PathLike) -> object:
  size = packed.getinfo(f"{name}.npy").file_size
  with pickles.in_words("numpy arrays", f"{path}: {name}: "):
    with packed.open(f"{name}.npy") as member:
      version = np.lib.format.read_magic(member)
      read = {1: np.lib.format.read_array_header_1_0}
      header = read.get(version[0], np.lib.format.read_array_header_2_0)(member)
      shape, _, dtype = header
      if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"an array of shape {str(shape)[:80]} in {size} bytes")
      if not dtype.hasobject:
        member.seek(0)
        return np.lib.format.read_array(member, allow_pickle=False)
      array = pickles.Interpreter(size).run(member)
      member.read()  # to the end, where the sum is checked
      if not isinstance(array, np.ndarray) or array.shape != shape:
        raise ValueError("an array of another shape than declared")
  return array[()] if array.shape == () else array
