"""Files of arrays, read whole."""

import os
import pathlib
import zipfile
import zlib

import numpy as np


def load(path: str | os.PathLike, writer: str) -> dict[str, np.ndarray]:
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
