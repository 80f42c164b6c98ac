"""Where the top-level folders `configs`, `datasets` and `weights` are.

In a checkout they lie beside the package; a wheel carries them inside it.
"""

import pathlib

_PACKAGE = pathlib.Path(__file__).resolve().parent.parent


def folder(name: str) -> pathlib.Path:
  """Path of one of the folders; FileNotFoundError if the installation lost it."""
  for path in (_PACKAGE / "_bundled" / name, _PACKAGE.parent / name):
    if path.is_dir():
      return path
  raise FileNotFoundError(
    f"this installation of jaxpose has no folder {name!r}; install it again."
  )
