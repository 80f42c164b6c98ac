"""Files of arrays, read whole."""

import numpy as np
import pytest

from jaxpose.files import whole_files


@pytest.fixture
def path(tmp_path):
  rng = np.random.default_rng(0)
  path = tmp_path / "a.npz"
  np.savez_compressed(path, x=rng.normal(size=(40, 3)), name="walk")
  return path


def refused(path, reason=""):
  sentence = rf"{path.name} cannot be read \(.*{reason}.* is truncated or not an .npz"
  with pytest.raises(ValueError, match=sentence):
    whole_files.load_npz(path, "save")


def test_all_arrays_are_read(path):
  found = whole_files.load_npz(path, "save")
  assert sorted(found) == ["name", "x"]
  assert found["x"].shape == (40, 3)


def test_a_file_cut_anywhere_or_changed_is_refused(path):
  whole = path.read_bytes()
  for length in np.linspace(0, len(whole) - 1, 9).astype(int):
    path.write_bytes(whole[:length])
    refused(path)
  for place in (60, 300, len(whole) // 2):
    path.write_bytes(whole[:place] + b"\0" * 40 + whole[place + 40 :])
    refused(path)


def test_files_of_other_kinds_are_refused(tmp_path):
  path = tmp_path / "b.npz"
  with path.open("wb") as file:
    np.save(file, np.zeros(3))
  refused(path)
  np.savez(path, x=np.asarray([{}], object))
  refused(path, "pickle")
  with pytest.raises(FileNotFoundError, match=r"no file .*c\.npz, expected one that s"):
    whole_files.load_npz(tmp_path / "c.npz", "save")
