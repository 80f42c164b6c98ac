"""Further ways in which a user's files can be wrong, each with its sentence."""

import numpy as np
import pytest

from keypoints_folder import keypoints_folder_dataset_builder_test as folders
from tests import builder_testing
from tests import keypoint_writer


def refused(tmp_path, message):
  builder_testing.refused("keypoints_folder", tmp_path, message, config="mine")


@pytest.mark.parametrize(
  ("form", "message"),
  [
    ("csv", r"got row 4 of 4 with fewer or more cells than the 5\d of the header"),
    ("npz", "truncated or damaged npz, or not of plain arrays"),
  ],
)
def test_a_truncated_table_is_named(tmp_path, form, message):
  raw = folders.folder(tmp_path, files={"anna/走る": (form, folders.people())})
  path = raw / "anna" / f"走る.{form}"
  content = path.read_bytes()
  path.write_bytes(content[: int(0.6 * len(content))])
  refused(tmp_path, rf"走る\.{form}: {message}")


def test_a_truncated_pair_is_named(tmp_path):
  raw = folders.folder(tmp_path)
  folders.pair(raw, folders.standing())
  path = raw / "anna" / "walk_3d.npz"
  path.write_bytes(path.read_bytes()[:-100])
  refused(tmp_path, r"walk\.json: walk_3d\.npz cannot be read \(File is not a zip file")


def test_a_malicious_pair_executes_nothing(tmp_path):
  raw = folders.folder(tmp_path)
  made = np.asarray([builder_testing.Malicious(tmp_path / "made")], object)
  folders.pair(raw, made)
  refused(tmp_path, r"walk_3d\.npz cannot be read \(Object arrays cannot be loaded")
  assert not (tmp_path / "made").exists()


def test_kilometres_are_caught_by_the_legs(tmp_path):
  folders.pair(folders.folder(tmp_path), folders.standing() / 1000)
  refused(tmp_path, r"walk\.json: got legs of 0\.0008 m, expected about 0\.8 m")


def test_frames_that_are_all_nan_are_said(tmp_path):
  points = np.full_like(folders.people(), np.nan)
  raw = folders.folder(tmp_path)
  (raw / "anna" / "walk.json").unlink()
  keypoint_writer.write(raw / "anna" / "walk", "npz", points)
  refused(tmp_path, r"walk\.npz: got no keypoint in any frame, expected at least one")
