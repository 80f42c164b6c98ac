"""Files that are there whole or not at all, and never overwritten unasked.

Files of arrays, read whole.
"""

import contextlib
import os
import pathlib
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np


def check(
  path: str | os.PathLike,
  endings: tuple[str, ...] | None = None,
  overwrite: bool = False,
) -> pathlib.Path:
  """The path of a file that may be written.

  Raises:
    ValueError: it has none of the endings.
    FileExistsError: it is there, and may not be overwritten.
  """
  path = pathlib.Path(path).expanduser()
  if endings is not None and path.suffix.lower() not in endings:
    raise ValueError(
      f"got the file {path}, expected the ending {' or '.join(endings)}."
    )
  if path.is_dir():
    raise FileExistsError(f"{path} is a folder, expected the name of a file in it.")
  if path.exists() and not overwrite:
    raise FileExistsError(
      f"{path} exists and is not overwritten; choose another name, or pass "
      "overwrite=True."
    )
  return path


@contextlib.contextmanager
def unfinished(path: pathlib.Path, overwrite: bool = False):
  """The name of a file that takes the place of `path` when the block ends well.

  If the block raises, or the process ends within it, `path` stays what it was.

  Raises:
    FileExistsError: `path` has come to be meanwhile, and may not be overwritten.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  # The ending stays: programs tell the kind of a file by it.
  handle, name = tempfile.mkstemp(path.suffix, f".{path.stem}.unfinished_", path.parent)
  os.close(handle)
  temporary = pathlib.Path(name)
  try:
    yield temporary
    with temporary.open("rb+") as file:
      os.fsync(file.fileno())
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    check(path, overwrite=overwrite)
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)


def write(
  path: str | os.PathLike,
  content: Callable[[BinaryIO], object],
  *,
  endings: tuple[str, ...] | None = None,
  overwrite: bool = False,
) -> pathlib.Path:
  """Writes a file by `content(file)`.

  Args:
    path: of the file; its folders are made.
    content: writes into the open file.
    endings: that the name may have; None: any.
    overwrite: replace a file that is there.

  Raises:
    ValueError: the path has none of the endings.
    FileExistsError: the file is there, and may not be overwritten.
  """
  path = check(path, endings, overwrite)
  with unfinished(path, overwrite) as temporary, temporary.open("wb") as file:
    content(file)
  return path


def load_npz(path: str | os.PathLike, writer: str) -> dict[str, np.ndarray]:
  """All arrays of an .npz file; nothing in it is executed.

  Args:
    path: of the file.
    writer: what writes such files, to name in messages.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, or of another kind.
  """
  path = pathlib.Path(path).expanduser()
  if not path.is_file():
    raise FileNotFoundError(f"no file {path}, expected one that {writer} wrote.")
  try:
    with np.load(path, allow_pickle=False) as file:  # a TypeError for an .npy file
      return {key: file[key] for key in file.files}
  except (
    *(OSError, EOFError, TypeError, ValueError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
  ) as error:
    raise ValueError(
      f"{path} cannot be read ({' '.join(str(error).split())}); it is truncated or not "
      "an .npz file; get it again."
    ) from error
