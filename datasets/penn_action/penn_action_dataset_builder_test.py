import pytest

from tests import builder_testing
from tests import vibe_writer

VIDEOS = {"0001": 16, "0002": 4}


def build(tmp_path):
  return builder_testing.build_and_read(
    "penn_action", tmp_path / "out", tmp_path / "raw"
  )


def write(tmp_path, stem, joints):
  db = vibe_writer.database(VIDEOS, joints_2d=joints, joints_3d=None, frame_id=False)
  vibe_writer.write(tmp_path / "raw" / f"{stem}.pt", db)
  return db


@pytest.mark.parametrize("joints", [13, 14, 49])
def test_records_hold_the_database(tmp_path, joints):
  db = write(tmp_path, "pennaction_train_db", joints)
  splits = build(tmp_path)
  assert set(splits) == {"train"}
  vibe_writer.check_records(splits["train"], db, VIDEOS)


def test_the_name_that_tells_the_scale_is_read_too(tmp_path):
  db = write(tmp_path, "pennaction_train_scale12_db", 13)
  vibe_writer.check_records(build(tmp_path)["train"], db, VIDEOS)


def test_folders_without_the_file_are_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  message = r"(?s)raw does not exist or is empty.*Put pennaction_train_db\.pt"
  with pytest.raises(FileNotFoundError, match=message):
    build(tmp_path)
  (tmp_path / "raw" / "notes.txt").touch()
  message = r"got notes\.txt, expected pennaction_train_db.* too"
  with pytest.raises(ValueError, match=message):
    build(tmp_path)


def test_other_joints_are_refused(tmp_path):
  write(tmp_path, "pennaction_train_db", 17)
  with pytest.raises(ValueError, match=r"got joints2D of shape \(20, 17, 3\)"):
    build(tmp_path)
