"""Reads files of `joblib.dump` without joblib and without running what is in them.

Such a file is a pickle in which the bytes of each array stand, bare, behind the pickled
description of that array; the whole may be compressed. Arrays are read-only views of
the file, so gigabytes are read as they are used.
"""

import bz2
import gzip
import lzma
import mmap
import os
import tempfile
import zlib

import numpy as np

from jaxpose.joblib_pickle import InvalidJoblibFile
from jaxpose.joblib_pickle import Reader

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
