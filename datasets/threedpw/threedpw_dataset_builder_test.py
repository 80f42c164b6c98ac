import numpy as np
import pytest

from tests import builder_testing
from tests import vibe_writer
from threedpw import threedpw_dataset_builder as builder

VIDEOS = {
  "train": {"courtyard_arguing_00_0": 17, "courtyard_arguing_00_1": 6},
  "val": {"downtown_cafe_01_0": 5},
  "test": {"downtown_straße_00_0": 7, "a_video": 2},
}


def databases(**changes):
  rng = np.random.default_rng(1)
  found = {}
  for number, (split, videos) in enumerate(VIDEOS.items()):
    found[split] = vibe_writer.database(
      videos,
      joints_2d=14,
      joints_3d=49 if split == "train" else 14,
      smpl=True,
      seed=number,
      valid=rng.integers(0, 2, sum(videos.values())),
      **changes,
    )
  return found


def write(folder, dbs, occ=False):
  folder.mkdir(exist_ok=True)
  for split, db in dbs.items():
    name = "train_occ" if occ and split == "train" else split
    vibe_writer.write(folder / f"3dpw_{name}_db.pt", db)
  return folder


def build(tmp_path, **kwargs):
  return builder_testing.build_and_read(
    "threedpw", tmp_path / "out", tmp_path / "raw", **kwargs
  )


def test_records_hold_the_databases(tmp_path):
  dbs = databases()
  write(tmp_path / "raw", dbs)
  splits = build(tmp_path)
  assert set(splits) == {"train", "validation", "test"}
  for split, records in splits.items():
    key = {"validation": "val"}.get(split, split)
    vibe_writer.check_records(records, dbs[key], VIDEOS[key])
    valid = np.concatenate([record["frame_valid"] for record in records])
    expected = np.ones(len(valid), bool) if split == "train" else dbs[key]["valid"]
    np.testing.assert_array_equal(valid, expected)
    assert all(record["fps"] == 30 for record in records)
  first = splits["train"][1]
  labels = [builder_testing.text(first, k) for k in ("subject", "action", "camera")]
  assert labels == ["1", "courtyard_arguing", "0"]
  joints = splits["test"][0]["joints_3d"]
  assert joints[:, 25:39].any()
  assert not np.delete(joints, np.arange(25, 39), 1).any()


def test_glot_occ_reads_the_occluded_training_file(tmp_path):
  plain = databases()
  occluded = {"train": plain["train"] | {"features": plain["train"]["features"] + 1}}
  write(tmp_path / "raw", plain)
  write(tmp_path / "raw", occluded, occ=True)
  records = build(tmp_path, config="glot_occ")["train"]
  vibe_writer.check_records(records, occluded["train"], VIDEOS["train"])


def test_folders_without_the_file_are_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  message = r"(?s)raw does not exist or is empty.*Put 3dpw_train_db\.pt"
  with pytest.raises(FileNotFoundError, match=message):
    build(tmp_path)
  (tmp_path / "raw" / "notes.txt").touch()
  message = r"got notes\.txt, expected 3dpw_train_db.* too"
  with pytest.raises(ValueError, match=message):
    build(tmp_path)


def test_a_folder_without_the_occluded_file_is_refused(tmp_path):
  write(tmp_path / "raw", databases())
  message = "got 3dpw_test_db.pt, .*, expected 3dpw_train_occ_db too"
  with pytest.raises(ValueError, match=message):
    build(tmp_path, config="glot_occ")


def test_a_damaged_file_stops_the_build_with_its_name(tmp_path):
  path = write(tmp_path / "raw", databases()) / "3dpw_val_db.pt"
  path.write_bytes(path.read_bytes()[:-9000])
  with pytest.raises(ValueError, match=r"3dpw_val_db\.pt: truncated"):
    build(tmp_path)
  assert not list((tmp_path / "out").glob("threedpw/*/1.0.0/*.json"))


def test_poses_are_needed(tmp_path):
  write(tmp_path / "raw", databases(pose=None))
  with pytest.raises(ValueError, match=r"3dpw_train_db\.pt: got .*, expected pose too"):
    build(tmp_path)


def test_a_build_imports_no_tensorflow(tmp_path):
  write(tmp_path / "raw", databases())
  modules = builder_testing.modules_after_build(
    "threedpw", tmp_path / "out", tmp_path / "raw"
  )
  assert modules.isdisjoint({"tensorflow", "joblib", "torch"})


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    ("downtown_walking_00_1", ("1", "downtown_walking", "0")),
    ("courtyard_backpack_0", ("0", "courtyard_backpack", "0")),
    ("video", ("", "", "0")),
  ],
)
def test_labels(name, expected):
  assert builder.labels(name) == expected
