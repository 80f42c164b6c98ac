import pytest

from tests import builder_testing
from tests import vibe_writer

VIDEOS = {"cook_a/clip_1": 16, "tanz_ü": 4}


def build(tmp_path):
  return builder_testing.build_and_read(
    "insta_variety", tmp_path / "out", tmp_path / "raw"
  )


def test_records_hold_the_database(tmp_path):
  pytest.importorskip("h5py", reason="needs h5py: pip install 'jaxpose[hdf5]'")
  videos = {"cook_a/clip_1": 16, "dance": 4}
  db = vibe_writer.database(videos, joints_2d=25, joints_3d=None, boxes=False)
  vibe_writer.write(tmp_path / "raw" / "insta_train_db.h5", db)
  splits = build(tmp_path)
  assert set(splits) == {"train"}
  vibe_writer.check_records(splits["train"], db, videos)


def test_the_same_arrays_in_a_joblib_file_do_too(tmp_path):
  db = vibe_writer.database(VIDEOS, joints_2d=25, joints_3d=None, boxes=False)
  vibe_writer.write(tmp_path / "raw" / "insta_train_db.pt", db)
  vibe_writer.check_records(build(tmp_path)["train"], db, VIDEOS)


def test_folders_without_the_file_are_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  message = r"(?s)raw does not exist or is empty.*Put insta_train_db\.h5"
  with pytest.raises(FileNotFoundError, match=message):
    build(tmp_path)
  (tmp_path / "raw" / "notes.txt").touch()
  message = r"got notes\.txt, expected insta_train_db.* too"
  with pytest.raises(ValueError, match=message):
    build(tmp_path)


def test_other_joints_are_refused(tmp_path):
  db = vibe_writer.database(VIDEOS, joints_2d=17, joints_3d=None, boxes=False)
  vibe_writer.write(tmp_path / "raw" / "insta_train_db.pt", db)
  message = r"got joints2D of shape \(20, 17, 3\) .* expected .* \(frames, 25, 3\)"
  with pytest.raises(ValueError, match=message):
    build(tmp_path)
