"""Reads PyTorch checkpoint files into numpy, without torch and without running them.

A checkpoint is a pickle, and a pickle is a small program that may call any function it
can name. Here the program runs on an interpreter of our own, `torch_pickle`, that knows
the names in `torch_globals` and no others, so a hostile file can only be refused.
"""

import mmap
import os
import pathlib
import struct
import zipfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from jaxpose.torch_globals import AGAIN
from jaxpose.torch_globals import InvalidWeightsFile
from jaxpose.torch_globals import expect
from jaxpose.torch_globals import is_key
from jaxpose.torch_pickle import Interpreter

WRAPPER_KEYS = (
  "model_pos",
  "gen_state_dict",
  "state_dict",
  "model_state_dict",
  "model_state",
  "model",
  "network",
  "net",
)
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def load(path: str | os.PathLike) -> object:
  """The object that `torch.save` wrote, tensors as numpy arrays, mappings as dicts.

  Reads the zip container (PyTorch 1.6 and later) and the legacy one. Tensors that share
  a storage share memory here too; sets come back as lists. Nothing in the file is
  executed: objects that weights do not need come back as `Unread`, names that are not
  known here are refused.

  Raises:
    InvalidWeightsFile: with the path, what is wrong with the file, and what to do.
  """
  try:
    return _load(pathlib.Path(path))
  except InvalidWeightsFile as error:
    raise InvalidWeightsFile(f"{path}: {error}") from error.__cause__
  except Exception as error:  # damaged bytes can break any step of the decoding
    reason = " ".join(f"{type(error).__name__}: {error}"[:160].split())
    raise InvalidWeightsFile(
      f"{path}: truncated or damaged ({reason}); {AGAIN}."
    ) from error


def find_state_dict(
  checkpoint: object, keys: Sequence[str] = WRAPPER_KEYS
) -> dict[str, np.ndarray]:
  """The weights by name, without `module.`: a bare state dict or one under `keys`.

  Wrappers may be nested three deep; the first of `keys` that leads to weights wins.
  """
  weights = _search(checkpoint, keys, depth=3)
  if weights is None:
    found = f"a {type(checkpoint).__name__}"
    if isinstance(checkpoint, Mapping):
      shown = [repr(k)[:60] if is_key(k) else "..." for k in list(checkpoint)[:20]]
      found = f"the top-level keys {', '.join(shown) or '(none)'}"
    raise InvalidWeightsFile(
      f"no weights in the checkpoint: got {found}, expected arrays by name, bare or "
      f"under one of {', '.join(keys)}; name the right key with `keys`."
    )
  stripped = {name.removeprefix("module."): value for name, value in weights.items()}
  if len(stripped) < len(weights):
    raise InvalidWeightsFile(
      "got some weights twice, with and without the prefix 'module.', expected one of "
      "the two; delete the other."
    )
  return stripped


def _search(node: object, keys: Sequence[str], depth: int) -> dict | None:
  if not isinstance(node, Mapping) or not node:
    return None
  if all(isinstance(k, str) and isinstance(v, np.ndarray) for k, v in node.items()):
    return dict(node)
  found = (_search(node[k], keys, depth - 1) for k in keys if depth and k in node)
  return next((weights for weights in found if weights is not None), None)


def _load(path: pathlib.Path) -> object:
  try:
    with path.open("rb") as file:
      head = file.read(512)
      size = os.fstat(file.fileno()).st_size
      if not head:
        raise InvalidWeightsFile(f"the file is empty; {AGAIN}.")
      if head.startswith(b"PK\x03\x04"):
        return _load_zip(file, size)
      if head[257:262] == b"ustar":
        raise InvalidWeightsFile(
          "a tar archive, the format of the first PyTorch releases, expected a zip or "
          "legacy checkpoint; load it with PyTorch and save it again."
        )
      if not head.startswith(b"\x80"):
        raise InvalidWeightsFile(
          f"not a PyTorch checkpoint: it begins with {head[:12]!r}, expected a zip "
          "archive or a pickle; check what was downloaded."
        )
      with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        return _load_legacy(stream, size)
  except FileNotFoundError:
    raise InvalidWeightsFile("no such file; check the path.") from None
  except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
    raise InvalidWeightsFile(
      f"cannot be opened ({error.strerror}), expected a file that you may read."
    ) from error


def _load_zip(file: BinaryIO, size: int) -> object:
  with zipfile.ZipFile(file) as archive:
    names = set(archive.namelist())
    roots = [n.split("/")[0] for n in names if n.split("/")[1:] == ["data.pkl"]]
    if len(roots) != 1:
      raise InvalidWeightsFile(
        "a zip archive but not a PyTorch checkpoint: expected one NAME/data.pkl in it, "
        f"got {len(roots)}; check what was downloaded."
      )
    root = roots[0]
    if any(n.startswith((f"{root}/constants.pkl", f"{root}/code/")) for n in names):
      raise InvalidWeightsFile(
        "a TorchScript program, expected plain weights; load it with PyTorch and save "
        "its state dict: torch.save(torch.jit.load(OLD).state_dict(), NEW)."
      )

    def read(name: str, length: int | None = None) -> bytes:
      record = archive.getinfo(f"{root}/{name}")
      if record.compress_type != zipfile.ZIP_STORED or record.file_size > size:
        raise InvalidWeightsFile(
          f"the record {name[:60]!r} is compressed or larger than the file, which "
          "torch.save never does; unpack it and save it again with PyTorch."
        )
      if length is not None and record.file_size != length:
        raise InvalidWeightsFile(
          f"truncated or damaged: got {record.file_size} bytes in {name[:60]!r}, "
          f"expected {length}; {AGAIN}."
        )
      return archive.read(record)

    def fill(key: str, data: np.ndarray):
      data[:] = np.frombuffer(read(f"data/{key}", len(data)), np.uint8)

    if f"{root}/byteorder" in names:
      _refuse_big_endian(read("byteorder") == b"little")
    return Interpreter(size, fill).run(read("data.pkl"))


def _load_legacy(stream: mmap.mmap, size: int) -> object:
  pending = {}
  interpreter = Interpreter(size, pending.__setitem__)
  magic = interpreter.run(stream)
  if not isinstance(magic, int) or magic != _LEGACY_MAGIC:
    raise InvalidWeightsFile(
      "a pickle, but torch.save did not write it: its magic number is absent; save the "
      "weights with torch.save."
    )
  protocol, system = interpreter.run(stream), interpreter.run(stream)
  if protocol != _LEGACY_PROTOCOL:
    raise InvalidWeightsFile(
      f"a legacy checkpoint of another version, expected {_LEGACY_PROTOCOL}; load it "
      "with PyTorch and save it again."
    )
  _refuse_big_endian(expect(system, dict)["little_endian"])
  checkpoint = interpreter.run(stream)
  for key in expect(interpreter.run(stream), list):  # then the numbers in this order
    data = pending.pop(expect(key, str))
    (count,) = struct.unpack("<q", stream.read(8))
    raw = stream.read(len(data))
    itemsize = interpreter.storages[key].dtype.itemsize
    if len(raw) != len(data) or count * itemsize != len(data):
      raise InvalidWeightsFile(
        f"truncated or damaged: got {len(raw)} bytes in storage {key[:60]!r}, expected "
        f"{len(data)}; {AGAIN}."
      )
    data[:] = np.frombuffer(raw, np.uint8)
  if pending:
    raise InvalidWeightsFile(
      f"truncated or damaged: the numbers of {len(pending)} storages are absent; "
      f"{AGAIN}."
    )
  return checkpoint


def _refuse_big_endian(little: object):
  if little is not True:
    raise InvalidWeightsFile(
      "written on a big-endian machine, expected little-endian numbers; load it with "
      "PyTorch and save it again on a little-endian one."
    )
