"""Reads files of `joblib.dump` without joblib and without running what is in them.

Such a file is a pickle in which the bytes of each array stand, bare, behind the pickled
description of that array; the whole may be compressed. Arrays are read-only views of
the file, so gigabytes are read as they are used.
"""

import bz2
import functools
import gzip
import lzma
import math
import mmap
import os
import tempfile
import zlib

import numpy as np

from jaxpose.files import pickles
from jaxpose.files.pickles import InvalidFile

_WRAPPER = "joblib.numpy_pickle NumpyArrayWrapper"


def _bare_array(interpreter, content: mmap.mmap, state: dict) -> np.ndarray:
  """The array whose bytes follow in the file."""
  shape = pickles.checked_sizes(state["shape"])
  dtype = pickles.expect(state["dtype"], np.dtype)
  if dtype.hasobject:
    value = interpreter.run(content)
    if pickles.expect(value, np.ndarray).shape != shape:
      raise ValueError("an array of another shape than declared")
    return value
  if state.get("numpy_array_alignment_bytes") is not None:  # joblib >= 1.2
    content.seek(content.read(1)[0], os.SEEK_CUR)
  start = content.tell()
  size = math.prod(shape) * dtype.itemsize
  if size > len(content) - start:
    raise InvalidFile(
      f"truncated: an array of shape {str(shape)[:80]} and type {dtype} needs {size} "
      f"bytes, but {len(content) - start} are left; {pickles.AGAIN}."
    )
  content.seek(size, os.SEEK_CUR)
  if not size:
    return np.empty(shape, dtype)
  order = "F" if state["order"] == "F" else "C"
  return np.ndarray(shape, dtype, content, start, order=order)


_CHUNK = 2**20


def load(path: str | os.PathLike) -> object:
  """The value in a file: dicts, lists, tuples, numbers, text and numpy arrays.

  Arrays are read-only views of the file, or of an unnamed temporary file where it is
  compressed (zlib, gzip, bz2, xz).

  Raises:
    InvalidFile: it is something else, truncated, or asks for something that data
      do not hold.
  """
  path = os.fspath(path)
  with open(path, "rb") as file:
    head = file.read(6)
    if head.startswith((b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00")):
      file = _unpacked(file, head, path)
    elif not head.startswith(b"\x80"):
      raise InvalidFile(
        f"{path}: got a file that starts with {head!r}, expected one of joblib.dump, "
        "bare or in zlib, gzip, bz2 or xz; get the right file, or write it again with "
        "joblib.dump(data, path)."
      )
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
  wrapper = pickles.Call(
    lambda *_: pickles.Unbuilt(functools.partial(_bare_array, interpreter, content))
  )
  names = {_WRAPPER: wrapper, f"sklearn.externals.{_WRAPPER}": wrapper}
  interpreter = pickles.Interpreter(len(content), pickles.NAMES | names)
  with pickles.in_words("joblib.dump", f"{path}: "):
    return interpreter.run(content)


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
    raise InvalidFile(
      f"{path}: truncated or damaged: its container ends early or is inconsistent "
      f"({str(error)[:80]}); {pickles.AGAIN}."
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
