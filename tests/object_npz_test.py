import io
import pickle
import zipfile

import numpy as np
import pytest

from jaxpose.files import object_npz


def content():
  rng = np.random.default_rng(0)
  return {
    "S1": {
      "Walking 1": rng.normal(size=(5, 3, 2)).astype(np.float32),
      "Größe": [rng.normal(size=(2, 2)), np.asfortranarray(rng.normal(size=(3, 2)))],
    },
    "S2": {"empty": np.zeros((0, 3), np.float32), "fps": 25, "name": np.str_("x")},
  }


def assert_same(a, b):
  if isinstance(a, dict):
    assert list(a) == list(b)
    for key in a:
      assert_same(a[key], b[key])
  elif isinstance(a, list):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
      assert_same(x, y)
  else:
    np.testing.assert_array_equal(a, b)
    assert np.asarray(a).dtype == np.asarray(b).dtype


def member(path, name, raw):
  with zipfile.ZipFile(path, "w") as packed:
    packed.writestr(f"{name}.npy", raw)
  return path


def object_header(descr="|O", shape=()) -> bytes:
  file = io.BytesIO()
  header = dict(descr=descr, fortran_order=False, shape=shape)
  np.lib.format.write_array_header_1_0(file, header)
  return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saved_is_read(tmp_path, save):
  save(tmp_path / "a.npz", positions=content(), plain=np.arange(6).reshape(2, 3))
  positions, plain = object_npz.load(tmp_path / "a.npz", "positions", "plain")
  assert_same(positions, content())
  np.testing.assert_array_equal(plain, np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("protocol", [3, 4])
def test_pickles_of_every_numpy_are_read(tmp_path, protocol):
  array = np.empty((), object)
  array[()] = content()
  raw = object_header() + pickle.dumps(array, protocol=protocol)
  (found,) = object_npz.load(member(tmp_path / "a.npz", "data", raw), "data")
  assert_same(found, content())


def test_lists_of_objects_are_arrays(tmp_path):
  np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}, {"b": [2]}], object))
  (found,) = object_npz.load(tmp_path / "a.npz", "x")
  assert found.tolist() == [{"a": 1}, {"b": [2]}]


def test_a_missing_array_is_named(tmp_path):
  np.savez(tmp_path / "a.npz", positions_2d=1)
  with pytest.raises(
    ValueError, match="got the arrays positions_2d, expected data too"
  ):
    object_npz.load(tmp_path / "a.npz", "data")


@pytest.mark.parametrize("keep", [0, 30, 200, -30])
def test_a_truncated_file_is_named(tmp_path, keep):
  np.savez(tmp_path / "a.npz", data=content())
  raw = (tmp_path / "a.npz").read_bytes()
  (tmp_path / "a.npz").write_bytes(raw[:keep])
  with pytest.raises(ValueError, match=r"a.npz: truncated or damaged npz"):
    object_npz.load(tmp_path / "a.npz", "data")


def test_a_truncated_pickle_is_named(tmp_path):
  array = np.empty((), object)
  array[()] = content()
  raw = object_header() + pickle.dumps(array)[:-40]
  path = member(tmp_path / "a.npz", "data", raw)
  with pytest.raises(ValueError, match=r"a\.npz: data: truncated or damaged"):
    object_npz.load(path, "data")


def test_a_changed_byte_is_noticed(tmp_path):
  path = tmp_path / "a.npz"
  np.savez(path, data=content())
  raw = bytearray(path.read_bytes())
  raw[raw.index(content()["S1"]["Walking 1"].tobytes()) + 9] ^= 1
  path.write_bytes(raw)
  with pytest.raises(
    ValueError, match=r"a\.npz: data: truncated or damaged: .* \(BadZip"
  ):
    object_npz.load(path, "data")


def test_another_shape_than_declared_is_refused(tmp_path):
  raw = object_header() + pickle.dumps(np.array([{}, {}], object), protocol=4)
  path = member(tmp_path / "a.npz", "data", raw)
  with pytest.raises(ValueError, match="an array of another shape than declared"):
    object_npz.load(path, "data")


def test_an_array_larger_than_the_file_is_refused(tmp_path):
  raw = object_header("<f8", (2**32,)) + bytes(80)
  with pytest.raises(ValueError, match=r"an array of shape \(4294967296,\) in 208 by"):
    object_npz.load(member(tmp_path / "a.npz", "data", raw), "data")


def test_no_file_is_said_so(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"none\.npz"):
    object_npz.load(tmp_path / "none.npz", "data")
