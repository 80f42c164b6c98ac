"""The npz files that P-STMO's converters make, which GLA-GCN trains on."""

import functools
import pathlib
from collections.abc import Iterator

import numpy as np

from jaxpose.data import benchmark_record
from jaxpose.files import object_npz
from jaxpose.formats import videopose3d_npz

from . import poses
from . import protocol

_TRAIN, _TEST = "data_train_3dhp.npz", "data_test_3dhp.npz"


def splits(folder: pathlib.Path) -> dict[str, Iterator]:
  """(key, record) of each split.

  Raises:
    ValueError: a file is missing, damaged, or of another kind.
  """
  train, test = videopose3d_npz.require(folder, _TRAIN, _TEST)
  return {
    "train": benchmark_record.numbered([functools.partial(_training, train)]),
    "test": benchmark_record.numbered([functools.partial(_tests, test)]),
  }


def _training(path: pathlib.Path) -> Iterator[dict]:
  """One record for each sequence and camera: data[sequence][0][camera], [1] is fps."""
  held = _held(path, [" ".join(sequence) for sequence in protocol.SEQUENCES])
  for subject, sequence in protocol.SEQUENCES:
    name = f"{subject} {sequence}"
    entry = held[name]
    listed = isinstance(entry, list | tuple | np.ndarray) and len(entry) == 2
    if not listed or not isinstance(entry[0], dict) or not entry[0]:
      raise ValueError(
        f"{path}: {name}: got a {type(entry).__name__}, expected [cameras, frames per "
        "second]; is it the file of another dataset?"
      )
    for camera, arrays in entry[0].items():
      yield poses.training(
        path,
        subject,
        sequence,
        camera,
        _array(path, f"{name}, camera {camera}", arrays, "data_2d", 2),
        _array(path, f"{name}, camera {camera}", arrays, "data_3d", 3),
        float(entry[1]),
      )


def _tests(path: pathlib.Path) -> Iterator[dict]:
  held = _held(path, protocol.TESTS)
  for name in protocol.TESTS:
    points = _array(path, name, held[name], "data_2d", 2)
    joints = _array(path, name, held[name], "data_3d", 3)
    yield poses.test(path, name, points, joints, held[name].get("valid", ()))


def _held(path: pathlib.Path, names) -> dict:
  (held,) = object_npz.load(path, "data")
  missing = [name for name in names if not isinstance(held, dict) or name not in held]
  if missing:
    got = ", ".join(map(str, held)) if isinstance(held, dict) else str(held)
    raise ValueError(
      f"{path}: got {got[:120]}, expected {', '.join(missing)} too; is it the file of "
      "another dataset?"
    )
  return held


def _array(path, name: str, arrays: object, key: str, channels: int) -> np.ndarray:
  """(t, 17, channels); a detector's confidence is left out."""
  array = arrays.get(key) if isinstance(arrays, dict) else None
  numbers = isinstance(array, np.ndarray) and array.dtype.kind in "iuf"
  if not numbers or array.ndim != 3:
    got = f"the shape {array.shape}" if numbers else f"a {type(array).__name__}"
    raise ValueError(
      f"{path}: {name}: got {got} as {key}, expected numbers of shape "
      f"(frames, 17, {channels}); is it the file of another dataset?"
    )
  return array[..., :channels]
