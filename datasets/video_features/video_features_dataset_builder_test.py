import json

import numpy as np
import pytest

from tests import builder_testing
from video_features import video_features_dataset_builder as builder


def extracted(folder, rows=(4, 2), done=True):
  """What the extraction of one video leaves: chunks of one track."""
  (folder / "track_0000").mkdir(parents=True)
  first = 0
  for i, count in enumerate(rows):
    np.savez(
      folder / "track_0000" / f"{i:06d}.npz",
      features=np.full((count, 2048), i, np.float32),
      frame_ids=np.arange(first, first + count, dtype=np.int32),
      boxes=np.ones((count, 4), np.float32),
      keypoints=np.zeros((count, 0, 3), np.float32),
    )
    first += count
  about = dict(
    image_size=[64, 48],
    fps=25.0,
    scale=1.2,
    video="walk.mp4",
    tracks=[dict(name="ann", skeleton="")],
  )
  (folder / "video.json").write_text(json.dumps(about))
  if done:
    (folder / "done.json").write_text("{}")
  return folder


def build(tmp_path):
  return builder_testing.build_and_read(
    "video_features", tmp_path / "out", tmp_path / "raw", config="mine"
  )


def test_every_folder_becomes_a_split(tmp_path):
  extracted(tmp_path / "raw" / "train" / "walk")
  extracted(tmp_path / "raw" / "test" / "run", rows=(3,))
  found = build(tmp_path)
  assert sorted(found) == ["test", "train"]
  (record,) = found["train"]
  np.testing.assert_array_equal(record["frame_ids"], np.arange(6))
  np.testing.assert_array_equal(record["features"][:, 0], [0, 0, 0, 0, 1, 1])
  assert builder_testing.text(record, "sequence") == "walk_ann"
  assert record["keypoints"].shape == (0, 3)
  assert (record["part"], record["num_parts"]) == (0, 1)


def test_interrupted_extraction_is_not_built(tmp_path):
  extracted(tmp_path / "raw" / "train" / "walk", done=False)
  with pytest.raises(ValueError, match="got features of a part of the video, expected"):
    build(tmp_path)


def test_damaged_chunk_is_told(tmp_path):
  folder = extracted(tmp_path / "raw" / "train" / "walk")
  (folder / "track_0000" / "000001.npz").write_bytes(b"PK\x03\x04")
  with pytest.raises(ValueError, match=r"000001.npz: got a damaged file of features"):
    build(tmp_path)


def test_folder_without_splits_is_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  (tmp_path / "raw" / "walk.mp4").write_bytes(b"")
  with pytest.raises(ValueError, match="got no folder of extracted features, expected"):
    build(tmp_path)


def test_name_that_is_no_folder_is_refused():
  with pytest.raises(ValueError, match=r"got the name '../x' for a dataset, expected"):
    builder.Builder.config_named("../x")
