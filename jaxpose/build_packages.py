"""Packages that a dataset's builder needs and that are not installed."""

import contextlib
from collections.abc import Iterator

_EXTRAS = {  # package -> the extra of jaxpose that brings it
  "apache_beam": "beam",
  "cdflib": "h36m",
  "h5py": "hdf5",
  "imageio_ffmpeg": "video",
}


@contextlib.contextmanager
def named(dataset: str) -> Iterator[None]:
  """Turns the error of a package that is not installed into a sentence.

  Raises:
    ValueError: one is not; it says how to get it.
  """
  try:
    yield
  except ImportError as error:
    if "pip install" in str(error):
      raise ValueError(f"dataset {dataset!r}: {error}") from error
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package in ("", "jaxpose"):
      raise  # nothing that installing would mend
    wanted = f"'jaxpose[{_EXTRAS[package]}]'" if package in _EXTRAS else package
    raise ValueError(
      f"dataset {dataset!r}: needs the package {package}, which is not installed; pip "
      f"install {wanted}."
    ) from error
