import numpy as np
import pytest

from mpi_inf_3dhp import mpi_inf_3dhp_dataset_builder as builder
from tests import builder_testing
from tests import vibe_writer

TRAIN = {"subj1_seq2_vid4_seg0": 16, "subj1_seq2_vid4_seg1": 3}
TEST = {"TS1": 9, "TS5": 4}


def build(tmp_path, **kwargs):
  return builder_testing.build_and_read(
    "mpi_inf_3dhp", tmp_path / "out", tmp_path / "raw", **kwargs
  )


@pytest.mark.parametrize("config", ["glot", "glot_occ"])
def test_records_hold_the_databases(tmp_path, config):
  train = vibe_writer.database(TRAIN)
  test = vibe_writer.database(TEST, valid_i=np.arange(13)[:, None] % 2)
  occ = "_occ" if config == "glot_occ" else ""
  vibe_writer.write(tmp_path / "raw" / f"mpii3d_train_scale12{occ}_db.pt", train)
  vibe_writer.write(tmp_path / "raw" / "mpii3d_val_scale12_db.pt", test)
  splits = build(tmp_path, config=config)
  assert set(splits) == {"train", "test"}
  vibe_writer.check_records(splits["train"], train, TRAIN)
  vibe_writer.check_records(splits["test"], test, TEST)
  valid = np.concatenate([record["frame_valid"] for record in splits["test"]])
  np.testing.assert_array_equal(valid, test["valid_i"][:, 0])
  assert not any(record["has_smpl"] for record in splits["train"])


def test_missing_file_is_named(tmp_path):
  path = tmp_path / "raw" / "mpii3d_train_scale12_db.pt"
  vibe_writer.write(path, vibe_writer.database(TRAIN))
  message = "got mpii3d_train_scale12_db.pt, expected mpii3d_val_scale12_db too"
  with pytest.raises(ValueError, match=message):
    build(tmp_path)


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    ("subj3_seq1_vid8_seg2", ("S3", "Seq1", "8")),
    ("mpii3d_TS4", ("TS4", "", "0")),
    ("video", ("", "", "")),
  ],
)
def test_labels(name, expected):
  assert builder.labels(name) == expected
