import os

import numpy as np
import pytest

from mpi_inf_3dhp import official_test
from mpi_inf_3dhp import protocol
from mpi_inf_3dhp import pstmo
from tests import builder_testing

FIELD = list(official_test.FIELD)


def content():
  train = {}
  for subject, sequence in protocol.SEQUENCES:
    views = {}
    for camera in protocol.CAMERAS:
      joints, points = official_test.motion(subject, sequence, camera)
      views[str(camera)] = dict(
        data_2d=points[:, FIELD], data_3d=joints[:, FIELD].astype(np.float32)
      )
    train[f"{subject} {sequence}"] = [views, 50 if sequence == "Seq2" else 25]
  test = {}
  for name in protocol.TESTS:
    joints, points, valid = official_test.scored_motion(name)
    test[name] = dict(data_2d=points, data_3d=joints, valid=valid.astype(np.float64))
  return dict(train=train, test=test)


def write(folder, train=None, test=None):
  folder.mkdir(parents=True, exist_ok=True)
  for name, held in dict(train=train, test=test).items():
    if held is not None:
      np.savez_compressed(folder / f"data_{name}_3dhp.npz", data=held)


def test_records_are_the_files(tmp_path):
  write(tmp_path / "raw", **content())
  splits = builder_testing.build_and_read(
    "mpi_inf_3dhp", tmp_path / "out", tmp_path / "raw", config="pstmo"
  )
  assert {k: len(v) for k, v in splits.items()} == dict(train=16 * 8, test=6)
  for i, record in enumerate(splits["train"]):
    subject, sequence = protocol.SEQUENCES[i // 8]
    camera = protocol.CAMERAS[i % 8]
    found = [builder_testing.text(record, k) for k in ("subject", "action", "camera")]
    assert found == [subject, sequence, str(camera)]
    joints, points = official_test.motion(subject, sequence, camera)
    np.testing.assert_allclose(record["joints_3d"], joints[:, FIELD] / 1000, atol=1e-5)
    np.testing.assert_allclose(record["keypoints_2d"], points[:, FIELD], atol=1e-3)
    assert record["fps"] == (50 if sequence == "Seq2" else 25)
  for record, name in zip(splits["test"], protocol.TESTS, strict=True):
    joints, points, valid = official_test.scored_motion(name)
    np.testing.assert_allclose(record["joints_3d"], joints / 1000, atol=1e-5)
    np.testing.assert_allclose(record["keypoints_2d"], points, atol=1e-3)
    np.testing.assert_array_equal(record["frame_scored"], valid)
    outdoors = name in ("TS5", "TS6")
    size = (1920, 1080) if outdoors else (2048, 2048)
    assert tuple(record["image_size"]) == size


def refused(folder, message):
  def read():
    for records in pstmo.splits(folder).values():
      list(records)

  with pytest.raises(ValueError, match=message):
    read()


def test_an_empty_folder_is_refused(tmp_path):
  refused(tmp_path, "got nothing, expected data_train_3dhp.npz, data_test_3dhp.npz too")


def test_a_missing_file_is_named(tmp_path):
  write(tmp_path, content()["train"])
  refused(tmp_path, "got data_train_3dhp.npz, expected data_test_3dhp.npz too")


def with_nan(array):
  array = array.copy()
  array[1, 2] = np.nan
  return array


@pytest.mark.parametrize(
  ("key", "change", "message"),
  [
    ("data_2d", with_nan, "'S2 Seq1', camera '4': 1 of 3 frames hold NaN or infinite"),
    ("data_3d", with_nan, "'S2 Seq1', camera '4': 1 of 3 frames hold NaN or infinite"),
    ("data_3d", lambda p: p[:, :16], r"got 3D joints of shape \(3, 16, 3\), expected"),
    ("data_2d", lambda p: p[:, :, 0], r"camera 4: got the shape \(3, 17\) as data_2d"),
    ("data_2d", lambda p: "x", "camera 4: got a str as data_2d, expected numbers of"),
    ("data_2d", lambda p: p[:2], "got 3 frames of 3D and 2 of 2D, expected at least"),
    (
      "data_3d",
      lambda p: p / 1000,
      "got legs of 0.00086 m, expected about 0.8 m",
    ),
  ],
)
def test_what_is_wrong_in_a_sequence_is_said(tmp_path, key, change, message):
  held = content()
  view = held["train"]["S2 Seq1"][0]["4"]
  view[key] = change(view[key])
  write(tmp_path, **held)
  refused(tmp_path, rf"data_train_3dhp\.npz: .*{message}")


def test_a_test_sequence_without_valid_frames_is_refused(tmp_path):
  held = content()
  del held["test"]["TS3"]["valid"]
  write(tmp_path, **held)
  refused(tmp_path, "TS3: got 5 frames of 3D, 5 of 2D and 0 marks of valid frames")


@pytest.mark.parametrize(
  ("entry", "message"),
  [
    (None, "expected S7 Seq2 too; is it the file of another dataset"),
    ([{}, 25], r"S7 Seq2: got a list, expected \[cameras, frames per second\]"),
    ({}, r"S7 Seq2: got a dict, expected \[cameras, frames per second\]"),
  ],
)
def test_another_structure_is_refused(tmp_path, entry, message):
  held = content()
  held["train"]["S7 Seq2"] = entry
  if entry is None:
    del held["train"]["S7 Seq2"]
  write(tmp_path, **held)
  refused(tmp_path, message)


class Malicious:
  def __init__(self, mark):
    self.mark = str(mark)

  def __reduce__(self):
    return os.system, (f"touch {self.mark}",)


def test_a_malicious_pickle_is_not_run(tmp_path):
  write(tmp_path, {"S1 Seq1": Malicious(tmp_path / "ran")}, content()["test"])
  refused(tmp_path, "data_train_3dhp.npz: data: refused: .* nothing was executed")
  assert not (tmp_path / "ran").exists()


def test_a_truncated_file_is_named(tmp_path):
  write(tmp_path, **content())
  path = tmp_path / "data_train_3dhp.npz"
  path.write_bytes(path.read_bytes()[:-100])
  refused(tmp_path, "data_train_3dhp.npz: truncated or damaged npz")
