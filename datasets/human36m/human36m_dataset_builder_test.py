import pytest

from human36m import human36m_dataset_builder as builder
from tests import builder_testing
from tests import vibe_writer

TRAIN = {"s_01_act_02_subact_01_ca_01": 16, "s_08_act_15_subact_02_ca_04": 3}
TEST = {"s_09_act_16_subact_01_ca_02": 5}


def build(tmp_path, **kwargs):
  return builder_testing.build_and_read(
    "human36m", tmp_path / "out", tmp_path / "raw", **kwargs
  )


@pytest.mark.parametrize(
  ("config", "train_stem", "test_stem"),
  [
    ("glot", "h36m_train_25fps_db", "h36m_test_25fps_db"),
    ("glot", "h36m_train_25fps_tight_db", "h36m_test_front_25fps_tight_db"),
    ("glot_occ", "h36m_train_25fps_occ_db", "h36m_test_25fps_db"),
  ],
)
def test_records_hold_the_databases(tmp_path, config, train_stem, test_stem):
  train = vibe_writer.database(TRAIN, smpl=True)
  test = vibe_writer.database(TEST, smpl=False, joints_3d=14)
  vibe_writer.write(tmp_path / "raw" / f"{train_stem}.pt", train)
  vibe_writer.write(tmp_path / "raw" / f"{test_stem}.pt", test)
  splits = build(tmp_path, config=config)
  vibe_writer.check_records(splits["train"], train, TRAIN)
  vibe_writer.check_records(splits["test"], test, TEST)  # a file without SMPL fits
  assert all(record["fps"] == 25 for record in splits["train"])
  second = splits["train"][1]
  labels = [builder_testing.text(second, k) for k in ("subject", "action", "camera")]
  assert labels == ["S8", "WalkDog", "4"]


def test_missing_file_is_named(tmp_path):
  path = tmp_path / "raw" / "h36m_train_25fps_db.pt"
  vibe_writer.write(path, vibe_writer.database(TRAIN))
  message = "got h36m_train_25fps_db.pt, expected h36m_test_25fps_db too"
  with pytest.raises(ValueError, match=message):
    build(tmp_path)


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    ("s_11_act_02_subact_02_ca_03", ("S11", "Directions", "3")),
    ("s_11_act_12_subact_01_ca_03", ("S11", "Photo", "3")),
    ("s_11_act_17_subact_01_ca_03", ("S11", "", "3")),
    ("S9_Directions_1.54138969", ("S9", "Directions", "54138969")),
    ("S9_WalkDog.58860488", ("S9", "WalkDog", "58860488")),
    ("video", ("", "", "")),
  ],
)
def test_labels(name, expected):
  assert builder.labels(name) == expected
