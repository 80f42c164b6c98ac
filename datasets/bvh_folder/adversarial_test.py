"""Further ways in which a user's files can be wrong, each with its sentence."""

import pytest

from bvh_folder import bvh_folder_dataset_builder_test as folders
from tests import builder_testing


def refused(tmp_path, message):
  builder_testing.refused("bvh_folder", tmp_path, message, config="mine")


@pytest.mark.parametrize(
  ("keep", "message"),
  [
    (0, "got no HIERARCHY at the start, expected a BVH motion file"),
    (200, "got no MOTION block, expected a complete BVH file"),
    (0.3, r"got \d+ motion values, expected 61 frames x 51 channels = 3111"),
    (0.8, r"got \d+ motion values, expected 61 frames x 51 channels = 3111"),
  ],
)
def test_a_file_cut_anywhere_is_named(tmp_path, keep, message):
  raw = folders.write(tmp_path / "raw", {"anna/walk/走る.bvh": folders.take()})
  path = raw / "anna" / "walk" / "走る.bvh"
  content = path.read_bytes()
  path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
  refused(tmp_path, rf"走る\.bvh: {message}")


def test_a_file_that_is_no_text_is_named(tmp_path):
  path = tmp_path / "raw" / "a" / "1.bvh"
  path.parent.mkdir(parents=True)
  path.write_bytes(b"\x80\x04\xff\x00" * 50)
  refused(tmp_path, r"1\.bvh: got no HIERARCHY at the start, expected a BVH motion fi")


def test_a_skeleton_with_joints_missing_is_named(tmp_path):
  folders.write(tmp_path / "raw", {"a/1.bvh": folders.renamed({"LeftKnee": "knie"})})
  refused(tmp_path, r"1\.bvh: got a skeleton that is none .*, needs LeftKnee as well")
