import itertools
import sys

import numpy as np
import pytest

from jaxpose.formats import vibe
from tests import joblib_writer
from tests import vibe_writer

SOURCE = vibe.Source((49,), (49,))
STEMS = {"train": ("x_train_db", "x_train_scale12_db"), "test": ("x_test_db",)}


def refused(path, message):
  with pytest.raises(ValueError, match=message) as caught:
    vibe.read(path)
  assert str(caught.value).startswith(str(path))
  assert "\n" not in str(caught.value)


def test_videos_are_in_order_of_first_appearance_wherever_their_frames_stand():
  names = np.array(["b", "b", "a", "b", "c"])
  expected = {"b": [slice(0, 2), slice(3, 4)], "a": [slice(2, 3)], "c": [slice(4, 5)]}
  for kind in ("U", "S", object):
    found = vibe.videos(names.astype(kind))
    assert found == expected
    assert list(found) == ["b", "a", "c"]
  assert list(vibe.videos(np.array(["straße".encode()] * 2))) == ["straße"]


def test_interleaved_videos_are_put_together(tmp_path):
  db = vibe_writer.database({"a": 4, "b": 4})
  order = np.array([0, 4, 1, 5, 2, 6, 3, 7])
  mixed = {key: value[order] for key, value in db.items()}
  for name, content in (("one", db), ("two", mixed)):
    vibe_writer.write(tmp_path / f"{name}.pt", content)
  one, two = (
    [r for _, r in vibe.examples(tmp_path / f"{name}.pt", SOURCE, "train")]
    for name in ("one", "two")
  )
  for a, b in zip(one, two, strict=True):
    for key in a:
      np.testing.assert_array_equal(a[key], b[key])


def test_keys_ascend_and_use_all_of_tfds_buckets(tmp_path):
  from tensorflow_datasets.core import shuffle

  videos = {f"v{i}": 1 for i in range(300)}
  vibe_writer.write(tmp_path / "a.pt", vibe_writer.database(videos))
  keys = [k for k, _ in vibe.examples(tmp_path / "a.pt", SOURCE, "train")]
  assert all(a < b for a, b in itertools.pairwise(keys))
  buckets = [shuffle.get_bucket_number(key, 1000) for key in keys]
  assert len(set(buckets)) == 300
  assert buckets == sorted(buckets)


def test_the_first_name_that_is_there_is_read(tmp_path):
  for name in ("x_train_scale12_db.pkl", "x_test_db.h5"):
    (tmp_path / name).write_bytes(b"")
  found = vibe.find_files(tmp_path, STEMS)
  assert found["train"].name == "x_train_scale12_db.pkl"
  assert found["test"].name == "x_test_db.h5"
  (tmp_path / "x_train_db.pt").write_bytes(b"")
  assert vibe.find_files(tmp_path, STEMS)["train"].name == "x_train_db.pt"


def test_only_the_training_split_ignores_valid(tmp_path):
  path = tmp_path / "a.pt"
  vibe_writer.write(path, vibe_writer.database({"a": 2}, valid=np.array([0, 1])))
  for split, valid in (("train", [True, True]), ("test", [False, True])):
    ((_, record),) = vibe.examples(path, SOURCE, split)
    assert record["frame_valid"].tolist() == valid


def test_a_missing_file_is_named_with_what_is_there(tmp_path):
  message = (
    r"got nothing, expected x_train_db, x_test_db too, ending in \.pt, .*; the README"
  )
  with pytest.raises(ValueError, match=message):
    vibe.find_files(tmp_path, STEMS)
  vibe_writer.write(tmp_path / "x_test_db.pt", vibe_writer.database())
  message = (
    r"got x_test_db\.pt, expected x_train_db too, ending in \.pt, .*; the README"
  )
  with pytest.raises(ValueError, match=message):
    vibe.find_files(tmp_path, STEMS)


def test_what_is_no_database_is_refused(tmp_path):
  path = tmp_path / "a.pt"
  joblib_writer.dump(path, {"x": np.zeros(3), "vid_name": "a"})
  refused(path, "got the arrays x, expected vid_name, features, joints2D and others")
  joblib_writer.dump(path, [1, 2])
  refused(path, "got a <class 'list'>, expected vid_name")
  path.write_bytes(b"PK\x03\x04aaaa")
  refused(path, r"got a file that starts with b'PK.*', expected one of joblib\.dump")


def test_arrays_of_unequal_length_are_refused(tmp_path):
  db = vibe_writer.database(features=np.zeros((46, 2048), np.float32))
  vibe_writer.write(tmp_path / "a.pt", db)
  message = r"unequal length \(vid_name 47, .*features 46.*\), expected one row per"
  refused(tmp_path / "a.pt", message)


def test_a_database_without_frames_is_refused(tmp_path):
  db = {key: value[:0] for key, value in vibe_writer.database().items()}
  vibe_writer.write(tmp_path / "a.pt", db)
  refused(tmp_path / "a.pt", "got no frames, expected some")


def test_hdf5_and_joblib_hold_the_same(tmp_path):
  pytest.importorskip("h5py", reason="needs h5py: pip install 'jaxpose[hdf5]'")
  db = vibe_writer.database(joints_2d=25, joints_3d=None, boxes=False)
  source = vibe.Source((25,), in_crop=True)
  found = []
  for suffix in (".h5", ".pt"):
    vibe_writer.write(tmp_path / f"a{suffix}", db)
    examples = vibe.examples(tmp_path / f"a{suffix}", source, "train")
    found.append([record for _, record in examples])
  for a, b in zip(*found, strict=True):
    assert a["sequence"] == b["sequence"]
    for key in a:
      np.testing.assert_array_equal(a[key], b[key])


def test_truncated_hdf5_is_refused(tmp_path):
  pytest.importorskip("h5py", reason="needs h5py: pip install 'jaxpose[hdf5]'")
  path = tmp_path / "a.h5"
  db = vibe_writer.database(joints_2d=25, joints_3d=None, boxes=False)
  vibe_writer.write(path, db)
  path.write_bytes(path.read_bytes()[:5000])
  refused(path, r"truncated or damaged HDF5 \(.*\); copy or download it again")


def test_without_h5py_its_pip_line_is_told(tmp_path, monkeypatch):
  (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
  monkeypatch.setitem(sys.modules, "h5py", None)
  refused(tmp_path / "a.h5", r"which needs h5py; pip install 'jaxpose\[hdf5\]'")
