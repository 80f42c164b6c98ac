"""Ways in which a user's files can be wrong, each with its sentence."""

import shutil

import numpy as np
import pytest

from cmu_mocap import cmu_mocap_dataset_builder_test as good
from cmu_mocap import dummy
from jaxpose.formats import bvh

DUMMY, DEFAULT = good.DUMMY, good.DEFAULT
refused = good.refused


@pytest.fixture
def raw(tmp_path):
  """A copy of dummy_data."""
  return shutil.copytree(DUMMY, tmp_path / "raw")


def test_bodies_need_all_joints_of_a_dialect(tmp_path):
  message = "skeleton without LeftShoulder, .* only the config 'mesh' needs them"
  refused(DUMMY / "bvh", tmp_path, message, config="mesh")


def test_a_folder_without_motion_is_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  (tmp_path / "raw" / "notes.txt").write_text("no motion")
  message = (
    "raw: got none of the takes, expected CMU's allasfamc.zip, or ASF/AMC files such "
    "as .*; add some, or take others' takes with the config 'all'"
  )
  refused(tmp_path / "raw", tmp_path, message)


def test_takes_of_subjects_that_are_left_out_are_no_takes(tmp_path):
  good.add_take(tmp_path / "raw", "131_01", like="bvh/08_01.bvh")
  message = (
    "got none of the takes, .*; subjects 10, 94, 127, 131, 135 are left out, add"
  )
  refused(tmp_path / "raw", tmp_path, message, config="all")


def test_the_npz_files_of_earlier_versions_are_refused_with_the_reason(tmp_path, raw):
  np.savez(raw / "cmu_train.npz", joints3d=np.zeros((2, 17, 3)))
  np.savez(raw / "cmu_test.npz", joints3d=np.zeros((2, 17, 3)))
  message = (
    r"raw: got cmu_train\.npz, cmu_test\.npz, expected CMU's ASF/AMC files: .* a "
    r"conversion that lost the upper end of the torso .*; put allasfamc\.zip of"
  )
  refused(raw, tmp_path, message)


def test_a_take_that_is_there_twice_is_refused(tmp_path, raw):
  shutil.copy(raw / "bvh" / "14_02.bvh", raw / "daz")
  message = (
    r"daz/14_02\.bvh: got the take 14_02 a second time, first in .*; .* keep one"
  )
  refused(raw, tmp_path, message)


def test_a_take_as_amc_and_as_bvh_is_refused(tmp_path, raw):
  shutil.copy(raw / "bvh" / "14_02.bvh", raw / "05_02.bvh")
  refused(raw, tmp_path, "got the take 05_02 a second time, first in .*keep one")


def test_a_take_without_its_skeleton_is_refused(tmp_path, raw):
  (raw / "subjects" / "05" / "05.asf").unlink()
  message = (
    r"05_02\.amc: got a take without the skeleton of its subject, expected 05\.as"
  )
  refused(raw, tmp_path, message)


def test_a_skeleton_may_lie_elsewhere_but_not_in_two_places(tmp_path, raw):
  (raw / "asf").mkdir()
  path = raw / "subjects" / "05" / "05.asf"
  path.rename(raw / "asf" / "05.ASF")
  assert good.names(good.build(tmp_path, raw)) == DEFAULT
  shutil.copy(raw / "asf" / "05.ASF", raw / "bvh")
  message = r"05_02\.amc: got .*05\.ASF and .*05\.ASF, expected one skeleton of its sub"
  refused(raw, tmp_path / "again", message)
  # The one beside the take counts.
  shutil.copy(raw / "asf" / "05.ASF", path)
  assert good.names(good.build(tmp_path / "beside", raw)) == DEFAULT


def test_a_name_without_a_number_is_refused(tmp_path, raw):
  (raw / "subjects" / "05" / "05_02.amc").rename(raw / "dance.amc")
  refused(
    raw, tmp_path, r"dance\.amc: got a name without a CMU number, expected SUBJEC"
  )


@pytest.mark.parametrize(
  ("name", "message"),
  [
    ("bvh/14_02.bvh", r"14_02\.bvh: got \d+ motion values, expected"),
    ("subjects/49/49_18.amc", r"49_18\.amc: got .* in .*frame"),
    ("subjects/49/49.asf", r"49\.asf: got .*; .*get it again"),
  ],
)
def test_one_damaged_file_stops_the_build_with_its_name(tmp_path, raw, name, message):
  content = (raw / name).read_bytes()
  (raw / name).write_bytes(content[: -len(content) // 5])
  refused(raw, tmp_path, message)


def test_a_split_of_nothing_but_jumps_is_refused(tmp_path, raw):
  good.jumps(raw / "subjects" / "02" / "02_01.amc")
  message = r"02_01\.amc: got jumps faster than a person all through, here and in every"
  refused(raw, tmp_path, message)


def test_a_bvh_take_of_nothing_but_jumps_is_refused(tmp_path):
  take = dummy.march("3dsmax", t_pose=False)
  take.motion[::2, 0] += 100
  (tmp_path / "raw").mkdir()
  bvh.write(tmp_path / "raw" / "16_01.bvh", take)
  refused(tmp_path / "raw", tmp_path, r"16_01\.bvh: got jumps faster than a person all")


def test_people_whom_bones_lack_are_refused_with_their_file(tmp_path, raw):
  path = raw / "subjects" / "05" / "05.asf"
  text = path.read_text()
  for bone in ("lradius", "rradius"):
    at = text.index("length", text.index(f"name {bone}"))
    text = f"{text[:at]}length 0.2{text[text.index(chr(10), at) :]}"
  path.write_text(text)
  message = r"05\.asf: got a forearm of 0\.1.* of the leg .*, expected .*; bones are lo"
  refused(raw, tmp_path, message)


def test_two_archives_are_refused(tmp_path):
  for name in ("a.zip", "b.zip"):
    good.zipped(tmp_path / "raw" / name)
  message = "raw: got 2 zip archives, expected one; take the others away"
  refused(tmp_path / "raw", tmp_path, message)


@pytest.mark.parametrize("damage", ["cut", "html", "inside"])
def test_a_damaged_archive_is_refused(tmp_path, damage):
  path = good.zipped(tmp_path / "raw" / "allasfamc.zip")
  content = bytearray(path.read_bytes())
  if damage == "inside":
    at = content.index(b"02_01.amc") + 200
    content[at : at + 100] = bytes(100)
  path.write_bytes({"cut": content[:-300], "html": b"<html>"}.get(damage, content))
  message = (
    r"allasfamc\.zip: got a damaged archive \(.*\), expected a zip of ASF/AMC fil"
  )
  if damage == "inside":
    message = r"allasfamc\.zip/.*02_01\.amc: got a file that cannot be unpacked .*again"
  refused(tmp_path / "raw", tmp_path, message)
