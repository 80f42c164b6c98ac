"""Writes pickles as Python 2 does with protocol 2: text and arrays as its strings."""

import struct

import numpy as np


def dumps(value) -> bytes:
  """Dicts, lists, tuples, text, numbers, None and numpy arrays of numbers."""
  out = bytearray(b"\x80\x02")
  _write(out, value)
  return bytes(out) + b"."


def _write(out: bytearray, value) -> None:
  if isinstance(value, np.ndarray):
    out += b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
    out += _text(b"b") + b"\x87R(K\x01("
    for n in value.shape:
      out += b"J" + struct.pack("<i", n)
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    out += b"t" + _dtype(value.dtype) + (b"\x88" if fortran else b"\x89")
    out += _text(value.tobytes("F" if fortran else "C")) + b"tb"
  elif isinstance(value, np.generic):
    out += b"cnumpy.core.multiarray\nscalar\n" + _dtype(value.dtype)
    out += _text(value.tobytes()) + b"\x86R"
  elif isinstance(value, dict):
    out += b"}("
    for key, item in value.items():
      _write(out, key)
      _write(out, item)
    out += b"u"
  elif isinstance(value, list | tuple):
    out += b"](" if isinstance(value, list) else b"("
    for item in value:
      _write(out, item)
    out += b"e" if isinstance(value, list) else b"t"
  elif isinstance(value, str):
    out += _text(value.encode("latin1"))
  elif value is None or isinstance(value, bool):
    out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
  elif isinstance(value, int):
    out += b"J" + struct.pack("<i", value)
  else:
    out += b"G" + struct.pack(">d", value)


def _dtype(dtype: np.dtype) -> bytes:
  code, sign = _text(dtype.str[1:].encode()), _text(dtype.str[:1].encode())
  tail = b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
  return b"cnumpy\ndtype\n" + code + b"K\x00K\x01\x87R(K\x03" + sign + tail


def _text(raw: bytes) -> bytes:
  if len(raw) < 256:
    return b"U" + bytes([len(raw)]) + raw
  return b"T" + struct.pack("<i", len(raw)) + raw
