"""The user's photographs as backdrops: parts of them, mirrored, in other colours."""

import functools
import pathlib

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

SUFFIXES = (".jpg", ".jpeg", ".png")
_SIDE = 512  # pixels of the longer side that are kept


def find(folder: pathlib.Path) -> list[pathlib.Path]:
  """The photographs below a folder, sorted.

  Raises:
    ValueError: there is none.
  """
  files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
  files = [path for path in files if path.is_file() and path.name[0] != "."]
  if not files:
    raise ValueError(
      f"{folder}: got no photograph, expected files that end in "
      f"{', '.join(SUFFIXES)}; add some, or leave --manual_dir out."
    )
  return files


@functools.lru_cache(maxsize=64)
def read(path: pathlib.Path) -> np.ndarray:
  """(h, w, 3) float32 in [0, 1], the longer side at most 512 pixels.

  Raises:
    ValueError: it is not a picture.
  """
  try:
    with Image.open(path) as file:
      picture = file.convert("RGB")
      picture.thumbnail((_SIDE, _SIDE))
  except (UnidentifiedImageError, OSError) as error:
    raise ValueError(
      f"{path}: got a file that cannot be read as a picture ({error}), expected a JPEG "
      "or PNG file; take it away."
    ) from error
  return np.asarray(picture, np.float32) / 255


def sample(rng: np.random.Generator, files: list[pathlib.Path]) -> np.ndarray:
  """A random part of a random photograph, (h, w, 3), half of them mirrored."""
  picture = read(files[rng.integers(len(files))])
  share = rng.uniform(0.45, 1.0, 2)
  high, wide = (np.maximum(share * picture.shape[:2], 8)).astype(int)
  high, wide = min(high, picture.shape[0]), min(wide, picture.shape[1])
  top = rng.integers(picture.shape[0] - high + 1)
  left = rng.integers(picture.shape[1] - wide + 1)
  part = picture[top : top + high, left : left + wide]
  if rng.random() < 0.5:
    part = part[:, ::-1]
  gain = rng.uniform(0.6, 1.15) * rng.normal(1, 0.06, 3)
  return np.clip(part * gain.astype(np.float32), 0, 1)


def look_up(picture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
  """(n, 3) colours at places, 0 to 1 across and down; beyond these it is mirrored."""
  row, column = (
    np.minimum(n * (1 - np.abs(x % 2 - 1)), n - 1).astype(np.int32)
    for n, x in zip(picture.shape[:2], (v, u), strict=True)
  )
  return picture[row, column]
