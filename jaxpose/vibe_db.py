"""The databases that VIBE and TCMR distribute: from their files to TFDS examples.

A database is a dict of arrays with one row per frame, in a file of joblib or HDF5; the
rows with one `vid_name` are a video of one person. One video at a time is in memory.
"""

import itertools
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping

import numpy as np

from jaxpose import joblib_file
from jaxpose.vibe_record import Source
from jaxpose.vibe_record import Video
from jaxpose.vibe_record import record

_SUFFIXES = (".pt", ".h5", ".pkl", ".joblib")
_KEYS = 2**128  # TFDS sorts by keys of so many values


def find(
  folder: str | os.PathLike, stems: Mapping[str, tuple[str, ...]]
) -> dict[str, pathlib.Path]:
  """The file of each split.

  Args:
    folder: with the files.
    stems: split -> names that its file may have, without the suffix; the first wins.

  Raises:
    ValueError: a file is missing.
  """
  folder = pathlib.Path(folder)
  paths = {split: _first(folder, names) for split, names in stems.items()}
  missing = [stems[split][0] for split, path in paths.items() if path is None]
  if missing:
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise ValueError(
      f"{folder}: got {found}, expected {', '.join(missing)} too, ending in "
      f"{', '.join(_SUFFIXES)}; the README of the dataset says where to get the files."
    )
  return paths


def examples(
  path: pathlib.Path, source: Source, split: str
) -> Iterator[tuple[int, dict]]:
  """(key, record) of each video, in the order of the file.

  Frames that are marked as not valid are so in all splits but "train", whose frames
  are all trained on.

  The keys are spread over all that TFDS has: it sorts them by the thousandth part, and
  would hold a whole split in memory if all were in the first.
  """
  db = read(path)
  runs = videos(np.asarray(db["vid_name"]))
  step = _KEYS // len(runs)
  for number, (name, rows) in enumerate(runs.items()):
    yield (
      number * step,
      record(Video(db, name, rows, path), source, scored=split != "train"),
    )
    joblib_file.release(db["features"])


def read(path: pathlib.Path) -> Mapping:
  """The arrays of a database, which are read as they are used.

  Raises:
    ValueError: it is no database, or its arrays differ in length.
  """
  with open(path, "rb") as file:
    hdf5 = file.read(4) == b"\x89HDF"
  db = _hdf5(path) if hdf5 else joblib_file.load(path)
  if isinstance(db, Mapping):
    db = {str(key): value for key, value in db.items() if getattr(value, "shape", ())}
  if not isinstance(db, Mapping) or not {"vid_name", "features"} <= set(db):
    held = f"the arrays {', '.join(db)}" if isinstance(db, Mapping) else f"a {type(db)}"
    raise ValueError(
      f"{path}: got {held[:200]}, expected vid_name, features, joints2D and others "
      "with one row per frame; give a database of VIBE or TCMR."
    )
  lengths = {key: value.shape[0] for key, value in db.items()}
  if len(set(lengths.values())) != 1:
    told = ", ".join(f"{key} {length}" for key, length in lengths.items())
    raise ValueError(
      f"{path}: got arrays of unequal length ({told}), expected one row per frame in "
      "all of them; get the file again."
    )
  if not lengths["vid_name"]:
    raise ValueError(f"{path}: got no frames, expected some; get the file again.")
  return db


def videos(names: np.ndarray) -> dict[str, list[slice]]:
  """Rows of each video, in order of first appearance."""
  names = names.reshape(-1)
  edges = np.flatnonzero(names[1:] != names[:-1]) + 1
  found: dict[str, list[slice]] = {}
  for start, stop in itertools.pairwise([0, *edges.tolist(), len(names)]):
    name = names[start]
    name = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    found.setdefault(name, []).append(slice(start, stop))
  return found


def _first(folder: pathlib.Path, stems: tuple[str, ...]) -> pathlib.Path | None:
  for stem, suffix in itertools.product(stems, _SUFFIXES):
    if (folder / f"{stem}{suffix}").is_file():
      return folder / f"{stem}{suffix}"
  return None


def _hdf5(path: pathlib.Path) -> dict:
  try:
    import h5py
  except ModuleNotFoundError as error:
    raise ValueError(
      f"{path}: got an HDF5 file, which needs h5py; pip install 'jaxpose[hdf5]'."
    ) from error
  try:
    return dict(h5py.File(path, "r"))  # its arrays keep the file open
  except (OSError, RuntimeError) as error:
    raise ValueError(
      f"{path}: truncated or damaged HDF5 ({str(error)[:80]}); copy or download it "
      "again."
    ) from error
