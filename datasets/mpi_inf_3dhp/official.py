"""The official release: annot.mat of the training tree, annot_data.mat of the tests."""

import functools
import pathlib
from collections.abc import Iterator

import numpy as np

from jaxpose.data import benchmark_record

from . import poses
from . import protocol


def splits(folder: pathlib.Path) -> dict[str, Iterator]:
  """(key, record) of each split; files are read as they are used.

  Raises:
    ValueError: a file is missing, damaged, or of another kind.
  """
  found = {path.parts[-3:-1]: path for path in sorted(folder.rglob("annot.mat"))}
  tests = {path.parent.name: path for path in sorted(folder.rglob("annot_data.mat"))}
  missing = [
    *("/".join((*s, "annot.mat")) for s in protocol.SEQUENCES if s not in found),
    *(f"{name}/annot_data.mat" for name in protocol.TESTS if name not in tests),
  ]
  if missing:
    have = ["/".join(s) for s in found] + list(tests)
    raise ValueError(
      f"{folder}: got {', '.join(have)[:120] or 'no annotations'}, expected "
      f"{', '.join(missing)[:200]} too; unpack the downloads there."
    )
  return {
    "train": benchmark_record.numbered(
      [
        functools.partial(_training, found[sequence], *sequence)
        for sequence in protocol.SEQUENCES
      ]
    ),
    "test": benchmark_record.numbered(
      [functools.partial(_test, tests[name], name) for name in protocol.TESTS]
    ),
  }


def _training(path: pathlib.Path, subject: str, sequence: str) -> Iterator[dict]:
  """One record for each of the protocol's cameras."""
  held = read(path, "annot2", "univ_annot3")
  for camera in protocol.CAMERAS:
    points, joints = (
      _joints(path, key, camera, held[key], channels)
      for key, channels in (("annot2", 2), ("univ_annot3", 3))
    )
    yield poses.training(
      path,
      subject,
      sequence,
      camera,
      points,
      joints,
      protocol.fps(subject, sequence),
    )


def _joints(path, key: str, camera: int, cells: list, channels: int) -> np.ndarray:
  """(t, 17, channels) of one camera."""
  cell = cells[camera] if camera < len(cells) else None
  if cell is None or cell.ndim != 2 or cell.shape[1] != 28 * channels:
    got = f"{len(cells)} cameras" if cell is None else f"the shape {cell.shape}"
    raise ValueError(
      f"{path}: {key}: got {got}, expected 14 cameras with frames of 28 joints, "
      f"{channels} numbers each; is it the file of another dataset?"
    )
  return cell.reshape(-1, 28, channels)[:, list(protocol.JOINTS)]


def _test(path: pathlib.Path, name: str) -> Iterator[dict]:
  held = read(path, "annot2", "univ_annot3", "valid_frame")
  points, joints = (
    _frames(path, key, held[key], channels)
    for key, channels in (("annot2", 2), ("univ_annot3", 3))
  )
  yield poses.test(path, name, points, joints, held["valid_frame"])


def _frames(path, key: str, array: object, channels: int) -> np.ndarray:
  """(t, 17, channels) of a test sequence's (t, 1, 17, channels)."""
  shape = getattr(array, "shape", ())
  if shape[1:] not in ((1, 17, channels), (17, channels)):
    raise ValueError(
      f"{path}: {key}: got the shape {shape}, expected (frames, 1, 17, {channels}); is "
      "it the file of another dataset?"
    )
  return array.reshape(-1, 17, channels)


def read(path: pathlib.Path, *names: str) -> dict[str, np.ndarray | list]:
  """Variables of a MATLAB file, v7.3 or before; a cell array is a list of matrices.

  Arrays of more than two axes are as h5py gives them, with MATLAB's axes reversed.

  Raises:
    ValueError: it is no MATLAB file, is damaged, or lacks a variable.
  """
  with open(path, "rb") as file:
    head = file.read(520)
  hdf5 = head.startswith(b"\x89HDF") or head[512:516] == b"\x89HDF"
  try:
    held = _hdf5(path, names) if hdf5 else _mat5(path, names)
  except ModuleNotFoundError as error:
    raise ValueError(
      f"{path}: got a MATLAB file of version 7.3, which needs h5py; pip install "
      "'jaxpose[hdf5]'."
    ) from error
  except Exception as error:  # damaged files raise anything
    raise ValueError(
      f"{path}: truncated or damaged, or no MATLAB file ({type(error).__name__}: "
      f"{str(error)[:80]}); copy or download it again."
    ) from error
  missing = [name for name in names if name not in held]
  if missing:
    raise ValueError(
      f"{path}: got {', '.join(held) or 'none'} of the variables, expected "
      f"{', '.join(missing)} too; is it the file of another dataset?"
    )
  return held


def _mat5(path: pathlib.Path, names) -> dict:
  from scipy import io  # comes with jax

  held = io.loadmat(path, variable_names=names)
  found = {}
  for name in names:
    if name in held:
      array = held[name]
      cells = array.dtype == object
      found[name] = list(array.reshape(-1)) if cells else np.transpose(array)
  return found


def _hdf5(path: pathlib.Path, names) -> dict:
  import h5py

  found = {}
  with h5py.File(path, "r") as file:
    for name in names:
      if name in file and file[name].dtype == h5py.ref_dtype:
        found[name] = [file[ref][()].T for ref in file[name][()].reshape(-1)]
      elif name in file:
        found[name] = file[name][()]
  return found
