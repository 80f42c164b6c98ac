import dataclasses
import pathlib
import zipfile

import numpy as np
import pytest

from cmu_mocap import clips
from cmu_mocap import dummy
from jaxpose.formats import asf_amc
from jaxpose.formats import asf_maps
from jaxpose.formats import bvh
from jaxpose.motion import motion_pieces

DUMMY = pathlib.Path(__file__).parent / "dummy_data"
SKELETON = DUMMY / "subjects" / "05" / "05.asf"
TAKE = SKELETON.with_name("05_02.amc")


def test_a_take_gives_the_joints_and_rotations_of_its_files():
  (clip,) = clips.read(TAKE, SKELETON, "ballet", with_rotations=True)
  assert (clip.name, clip.subject, clip.action) == ("05_02", "05", "ballet")
  assert clip.fps == 50
  skeleton = asf_amc.read_asf(SKELETON)
  moved = asf_amc.pose(skeleton, asf_amc.read_amc(TAKE, skeleton))
  expected = motion_pieces.resample(asf_maps.to_h36m17(skeleton, moved), 120.0)
  assert len(expected) == 26  # 61 frames are half a second
  np.testing.assert_allclose(clip.joints, expected, atol=1e-6)
  assert clip.rotations.shape == (26, 22, 3, 3)
  (plain,) = clips.read(TAKE, SKELETON)
  assert plain.action == "unknown"
  assert plain.rotations is None


def test_files_in_an_archive_give_the_same_clips(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as out:
    out.write(SKELETON, "all/05.asf")
    out.write(TAKE, "all/05_02.amc")
    out.write(DUMMY / "bvh" / "14_02.bvh", "14_02.bvh")
  folder = zipfile.Path(tmp_path / "a.zip")
  pairs = (
    ((TAKE, SKELETON), (folder / "all" / "05_02.amc", folder / "all" / "05.asf")),
    ((DUMMY / "bvh" / "14_02.bvh", None), (folder / "14_02.bvh", None)),
  )
  for outside, inside in pairs:
    (one,), (other,) = clips.read(*outside), clips.read(*inside)
    assert one.name == other.name
    np.testing.assert_array_equal(one.joints, other.joints)


def jumping(tmp_path) -> pathlib.Path:
  """A take that goes on elsewhere."""
  text = dummy.amc_text()
  frames = text[text.index("1\nroot") :].replace("\nroot 1.", "\nroot 99.")
  lines = []
  for i in range(4):
    for line in (text[text.index("1\nroot") :], frames)[i % 2].splitlines():
      number = f"{1 + len([x for x in lines if x.isdigit()])}"
      lines.append(number if line.isdigit() else line)
  (tmp_path / "07_02.amc").write_text("\n".join(lines))
  return tmp_path / "07_02.amc"


def test_pieces_between_jumps_are_named_by_letters(tmp_path, monkeypatch):
  monkeypatch.setattr(motion_pieces, "MIN_PIECE", 0.4)
  found = list(clips.read(jumping(tmp_path), SKELETON, "march", with_rotations=True))
  assert [clip.name for clip in found] == ["07_02_a", "07_02_b", "07_02_c", "07_02_d"]
  assert {clip.subject for clip in found} == {"07"}
  assert {clip.action for clip in found} == {"march"}
  assert {len(clip.joints) for clip in found} == {26}
  assert {len(clip.rotations) for clip in found} == {26}


def test_pieces_too_short_for_a_window_are_dropped(tmp_path):
  assert list(clips.read(jumping(tmp_path), SKELETON)) == []  # half a second each


def test_pieces_of_a_bvh_take_are_named_by_letters(tmp_path):
  take = dummy.march("3dsmax", t_pose=False)
  motion = np.tile(take.motion, (2, 1))
  motion[len(take.motion) :, 0] += 100  # CMU units
  path = tmp_path / "07_02.bvh"
  bvh.write(path, dataclasses.replace(take, motion=motion))
  found = list(clips.read(path, None, "march"))
  assert [clip.name for clip in found] == ["07_02_a", "07_02_b"]
  assert {(clip.subject, clip.action, clip.fps) for clip in found} == {
    ("07", "march", 50.0)
  }


def refused(path, skeleton, message, **options):
  with pytest.raises(ValueError, match=message) as error:
    list(clips.read(path, skeleton, **options))
  assert "\n" not in str(error.value)
  return str(error.value)


def test_a_skeleton_that_is_not_cmus_is_named(tmp_path):
  path = tmp_path / "07.asf"
  path.write_text(dummy.asf_text().replace("lwrist", "lcarpus"))
  told = refused(TAKE, path, r"07\.asf: got a skeleton without the bone 'lwrist', exp")
  assert told.startswith(str(path))


def test_a_skeleton_in_another_unit_is_named(tmp_path):
  path = tmp_path / "07.asf"
  path.write_text(dummy.asf_text().replace("length 0.45", "length 45"))
  refused(TAKE, path, r"07\.asf: got legs of 0\.0084 m, expected about 0\.8 m; correct")


def test_motion_of_another_skeleton_is_named(tmp_path):
  path = tmp_path / "07_01.amc"
  path.write_text(dummy.amc_text().replace("rradius 35", "rradius 35 1"))
  refused(path, SKELETON, r"07_01\.amc: got '35 1' for rradius in frame 1, expected")


def test_an_unknown_bvh_skeleton_is_refused_with_the_missing_joints(tmp_path):
  take = dummy.march("motionbuilder")
  names = ["Shin" if name == "LeftLeg" else name for name in take.names]
  path = tmp_path / "07_02.bvh"
  bvh.write(path, dataclasses.replace(take, names=tuple(names)))
  refused(path, None, r"07_02.bvh: got a skeleton that is none of .*, needs LeftLeg as")


def test_a_bvh_file_in_another_unit_is_refused(tmp_path):
  take = dummy.march("motionbuilder")
  path = tmp_path / "07_02.bvh"
  bvh.write(path, dataclasses.replace(take, offsets=100 * take.offsets))
  refused(path, None, r"07_02.bvh: got legs of 82 m, expected about")


def test_a_damaged_bvh_file_is_named(tmp_path):
  path = tmp_path / "07_02.bvh"
  path.write_bytes((DUMMY / "bvh" / "14_02.bvh").read_bytes()[:-200])
  refused(path, None, r"07_02\.bvh: got \d+ motion values, expected")


def test_names_give_subject_and_trial():
  cases = {
    "02_03.amc": (2, 3),
    "131_01.bvh": (131, 1),
    "60_10_daz.bvh": (60, 10),
    "111_02b.bvh": (111, 2),
  }
  for name, expected in cases.items():
    assert clips.take_name(pathlib.Path("folder.d", name)) == expected
  with pytest.raises(ValueError, match=r"dance.bvh: got a name without a CMU number"):
    clips.take_name(pathlib.Path("dance.bvh"))
