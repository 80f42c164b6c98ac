"""Writes the bytes of `joblib.dump`, so that tests need no joblib."""

import struct

import numpy as np


def dump(path, value, alignment: int | None = None) -> None:
  """Writes a file of `joblib.dump(value, path)`.

  Args:
    path: of the file.
    value: dicts with text as keys, lists, text, numbers, None and numpy arrays.
    alignment: bytes that arrays are padded to, as joblib does from 1.2 on; None: as
      before, without the byte that says how far.
  """
  out = bytearray(b"\x80\x03")
  _write(out, value, alignment)
  path.write_bytes(bytes(out) + b".")


def _write(out: bytearray, value, alignment) -> None:
  if isinstance(value, np.ndarray):
    return _write_array(out, value, alignment)
  if isinstance(value, dict):
    out += b"}("
    for key, item in value.items():
      out += _text(key)
      _write(out, item, alignment)
    out += b"u"
  elif isinstance(value, list):
    out += b"]("
    for item in value:
      _write(out, item, alignment)
    out += b"e"
  elif isinstance(value, str):
    out += _text(value)
  elif value is None or isinstance(value, bool):
    out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
  elif isinstance(value, int):
    out += b"J" + struct.pack("<i", value)
  else:
    out += b"G" + struct.pack(">d", value)
  return None


def _write_array(out: bytearray, array: np.ndarray, alignment) -> None:
  fortran = array.flags.f_contiguous and not array.flags.c_contiguous
  out += b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}("
  out += _text("subclass") + b"cnumpy\nndarray\n" + _text("shape") + b"("
  for n in array.shape:
    out += b"J" + struct.pack("<i", n)
  out += b"t" + _text("order") + _text("F" if fortran else "C")
  out += _text("dtype") + _dtype(array.dtype) + _text("allow_mmap") + b"\x88"
  if alignment is not None:
    out += _text("numpy_array_alignment_bytes") + b"K" + bytes([alignment])
  out += b"ub"
  if array.dtype.hasobject:
    out += b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
    out += _text("b") + b"\x87R(K\x01("
    for n in array.shape:
      out += b"J" + struct.pack("<i", n)
    out += b"t" + _dtype(array.dtype) + b"\x89"
    _write(out, array.ravel().tolist(), None)
    out += b"tb."
    return
  if alignment is not None:
    padding = alignment - (len(out) + 1) % alignment
    out += bytes([padding]) + b"\xff" * padding
  out += array.tobytes("F" if fortran else "C")


def _dtype(dtype: np.dtype) -> bytes:
  order = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
  code, sign = _text("O8" if dtype.hasobject else dtype.str[1:]), _text(dtype.str[0])
  return b"cnumpy\ndtype\n" + code + b"\x89\x88\x87R(K\x03" + sign + order


def _text(text: str) -> bytes:
  raw = text.encode()
  return b"X" + struct.pack("<I", len(raw)) + raw
