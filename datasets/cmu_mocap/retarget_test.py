import dataclasses
import pathlib

import numpy as np
import pytest

from cmu_mocap import dummy
from cmu_mocap import retarget
from jaxpose import bvh


def test_pieces_are_named_by_letters(tmp_path):
  take = dummy.march("3dsmax", t_pose=False)
  motion = np.tile(take.motion, (2, 1))
  motion[len(take.motion) :, 0] += 100  # CMU units
  path = tmp_path / "07_02.bvh"
  bvh.write(path, dataclasses.replace(take, motion=motion))
  found = list(retarget.read_take(path, "march"))
  assert [clip.name for clip in found] == ["07_02_a", "07_02_b"]
  assert {clip.subject for clip in found} == {"07"}
  assert {clip.action for clip in found} == {"march"}


def test_unknown_skeleton_is_refused_with_the_missing_joints(tmp_path):
  take = dummy.march("motionbuilder")
  names = ["Knee" if name == "LeftLeg" else name for name in take.names]
  path = tmp_path / "07_02.bvh"
  bvh.write(path, dataclasses.replace(take, names=tuple(names)))
  message = "07_02.bvh: got a skeleton that is none of .* motionbuilder, needs LeftLeg"
  with pytest.raises(ValueError, match=message):
    list(retarget.read_take(path))


def test_a_file_in_another_unit_is_refused(tmp_path):
  take = dummy.march("motionbuilder")
  path = tmp_path / "07_02.bvh"
  bvh.write(path, dataclasses.replace(take, offsets=100 * take.offsets))
  with pytest.raises(ValueError, match=r"07_02.bvh: got legs of 82 m, expected about"):
    list(retarget.read_take(path))


def test_names_give_subject_and_trial():
  cases = {
    "02_03": (2, 3),
    "131_01": (131, 1),
    "60_10_daz": (60, 10),
    "111_02b": (111, 2),
  }
  for stem, expected in cases.items():
    assert retarget.take_name(pathlib.Path(f"{stem}.bvh")) == expected
  with pytest.raises(ValueError, match=r"dance.bvh: got a name without a CMU number"):
    retarget.take_name(pathlib.Path("dance.bvh"))
