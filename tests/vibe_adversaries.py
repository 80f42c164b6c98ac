"""Databases of VIBE and TCMR that are wrong, for the tests of their builders."""

import pickle

import numpy as np

from tests import builder_testing
from tests import vibe_writer


def _changed(**changes):
  def write(path, db):
    made = {key: change(db[key].copy()) for key, change in changes.items()}
    vibe_writer.write(path, db | made)

  return write


def _cut(path, db):
  vibe_writer.write(path, db)
  path.write_bytes(path.read_bytes()[: -len(db["features"]) * 4 * 2048])


def _malicious(path, db):
  made = builder_testing.Malicious(path.parent.parent / "made")
  path.write_bytes(pickle.dumps({"vid_name": made}, 2))


def _with_nan(array):
  array[1] = np.nan
  return array


# What is wrong -> what writes such a file instead of the database, and the sentence.
CASES = {
  "truncated": (_cut, "truncated"),
  "NaN": (_changed(features=_with_nan), r"1 of \d+ frames hold NaN or infinite feat"),
  "joints": (
    _changed(joints2D=lambda a: a[:, :-3]),
    r"got joints2D of shape \(\d+, \d+, 3\) and type float32, expected numbers of",
  ),
  "lengths": (
    _changed(features=lambda a: a[:-1]),
    r"got arrays of unequal length \(vid_name \d+,",
  ),
  "malicious": (
    _malicious,
    r"refused: it asks for 'posix\.mkdir', .* nothing was executed",
  ),
}
# For those that have 3D joints.
UNITS = {
  "millimetres": (
    _changed(joints3D=lambda a: 1000 * a),
    r"got a body that spans \d+ m, expected metres; rescale joints3D",
  ),
  "kilometres": (
    _changed(joints3D=lambda a: a / 1000),
    r"got a body that spans 0\.00\d+ m, expected metres; rescale joints3D",
  ),
}


def refused(tmp_path, builder: str, config: str, files: dict, case: str) -> None:
  """Asserts that a build says what is wrong with the first of its files.

  Args:
    tmp_path: an empty folder.
    builder: folder under `datasets/`.
    config: of the builder.
    files: name -> database.
    case: of `CASES` or `UNITS`.
  """
  write, message = (CASES | UNITS)[case]
  first, *_ = files
  for name, db in files.items():
    path = tmp_path / "raw" / name
    path.parent.mkdir(exist_ok=True)
    (write if name == first else vibe_writer.write)(path, db)
  told = rf"{first}: (video '.*': )?{message}"
  builder_testing.refused(builder, tmp_path, told, config=config)
  assert not (tmp_path / "made").exists()
