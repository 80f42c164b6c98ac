import dataclasses

import numpy as np
import pytest
from cmu_mocap import dummy

from jaxpose import skeletons
from jaxpose.formats import bvh
from jaxpose.formats import bvh_maps
from jaxpose.skeletons import proportions

H36M = skeletons.get("h36m17")
ABOVE = [H36M.index("thorax"), *range(H36M.index("neck"), H36M.num_joints)]

# joint < parent, offset in units of CMU: of subject 02, whole; no motion.
_WHOLE = """
  Hips < - 0 0 0
  LHipJoint < Hips 0 0 0
  LeftUpLeg < LHipJoint 1.4 -1.8 0.8
  LeftLeg < LeftUpLeg 2.5 -6.8 0
  LeftFoot < LeftLeg 2.5 -6.9 0
  LeftToeBase < LeftFoot 0.2 -0.5 2.1
  RHipJoint < Hips 0 0 0
  RightUpLeg < RHipJoint -1.4 -1.8 0.8
  RightLeg < RightUpLeg -2.5 -6.8 0
  RightFoot < RightLeg -2.5 -6.9 0
  RightToeBase < RightFoot -0.2 -0.5 2.1
  LowerBack < Hips 0 0 0
  Spine < LowerBack 0 2.1 0
  Spine1 < Spine 0.05 2.08 -0.1
  Neck < Spine1 0.05 2.08 -0.1
  Neck1 < Neck 0 1.7 0.3
  Head < Neck1 0 1.7 -0.3
  Head_end < Head 0 1.7 0
  LeftShoulder < Spine1 0.05 2.08 -0.1
  LeftArm < LeftShoulder 3.4 0.9 0
  LeftForeArm < LeftArm 5.1 0 0
  LeftHand < LeftForeArm 4.8 0 0
  LeftFingerBase < LeftHand 0 0 0
  LThumb < LeftHand 0 0 0
  RightShoulder < Spine1 0.05 2.08 -0.1
  RightArm < RightShoulder -3.4 0.9 0
  RightForeArm < RightArm -5.1 0 0
  RightHand < RightForeArm -4.8 0 0
  RightFingerBase < RightHand 0 0 0
  RThumb < RightHand 0 0 0
"""
_IN_3DSMAX = dict(
  LeftUpLeg="LeftHip", LeftLeg="LeftKnee", LeftFoot="LeftAnkle",
  LeftToeBase="LeftToe", LowerBack="lowerback", Spine="Chest", Spine1="Chest2",
  Neck="lowerneck", Neck1="Neck",
  LeftShoulder="LeftCollar", LeftArm="LeftShoulder", LeftForeArm="LeftElbow",
  LeftHand="LeftWrist", LeftFingerBase="lhand",
)  # fmt: skip
_IN_3DSMAX |= {
  k.replace("Left", "Right"): v.replace("Left", "Right") for k, v in _IN_3DSMAX.items()
} | dict(RightFingerBase="rhand")
CONVERSIONS = ("motionbuilder", "3dsmax")


def whole(conversion="motionbuilder", seed=0):
  """A take of a person with all bones, under the names of a conversion."""
  rows = [line.replace(" <", "").split() for line in _WHOLE.strip().splitlines()]
  names = [row[0] for row in rows]
  ends = [name.endswith("_end") for name in names]
  order = ("Zrotation", "Yrotation", "Xrotation")
  channels = [() if end else order for end in ends]
  channels[0] = (*bvh.POSITION, *order)
  rng = np.random.default_rng(seed)
  motion = rng.uniform(-25, 25, (8, sum(map(len, channels))))
  motion[:, :3] = [0, 17, 0]
  renamed = _IN_3DSMAX if conversion == "3dsmax" else {}
  return bvh.Bvh(
    tuple(renamed.get(name, name) for name in names),
    tuple(names.index(row[1]) if row[1] in names else -1 for row in rows),
    np.asarray([row[2:] for row in rows], float),
    tuple(channels),
    motion,
    1 / 30,
  )


def still():
  """Two seconds of the whole person in one pose, which no T-pose is."""
  take = whole()
  return dataclasses.replace(take, motion=np.repeat(take.motion[:1], 60, 0))


def lost(take):
  """What the conversion makes of it."""
  offsets = take.offsets.copy()
  for joint, parent in enumerate(take.parents):
    if take.names[max(parent, 0)] in ("Spine1", "Chest2"):
      offsets[joint] = 0
    if take.names[joint] in ("LeftHand", "RightHand", "LeftWrist", "RightWrist"):
      offsets[joint] /= 1.5
  return dataclasses.replace(take, offsets=offsets)


@pytest.mark.parametrize("conversion", CONVERSIONS)
def test_what_was_lost_is_put_back(conversion):
  take = whole(conversion)
  assert bvh.are_lost(lost(take))
  again = bvh.put_back(lost(take))
  np.testing.assert_allclose(again.offsets, take.offsets, atol=1e-12)
  assert not bvh.are_lost(again)
  assert bvh.put_back(again) is again


@pytest.mark.parametrize("conversion", CONVERSIONS)
def test_the_map_reads_whole_people(conversion):
  take = whole(conversion)
  dialect = bvh_maps.DIALECTS[conversion]
  expected = bvh_maps.to_h36m17(take)
  np.testing.assert_allclose(bvh_maps.to_h36m17(lost(take)), expected, atol=1e-12)
  left = dataclasses.replace(dialect, lost_bones=False)
  np.testing.assert_array_equal(bvh_maps.to_h36m17(take, left), expected)
  found = bvh_maps.to_h36m17(lost(take), left)
  moved = np.linalg.norm(found - expected, axis=-1).mean(0)
  assert (np.flatnonzero(moved > 0.05) == ABOVE).all()  # metres
  np.testing.assert_array_equal(
    bvh_maps.to_smpl(take, dialect), bvh_maps.to_smpl(lost(take), dialect)
  )


def test_the_unit_does_not_matter():
  take = lost(whole())
  scaled = dataclasses.replace(take, offsets=5.6444 * take.offsets)
  np.testing.assert_allclose(
    bvh.put_back(scaled).offsets, 5.6444 * bvh.put_back(take).offsets
  )


@pytest.mark.parametrize("joint", ["Neck", "LeftShoulder", "RHipJoint", "LThumb"])
def test_a_file_with_one_mark_less_stays(joint):
  take = lost(whole())
  offsets = take.offsets.copy()
  offsets[take.index(joint), 1] = 0.01
  other = dataclasses.replace(take, offsets=offsets)
  assert bvh.put_back(other) is other


def test_a_file_with_another_joint_at_the_spine_stays():
  take = lost(whole())
  parents = list(take.parents)
  parents[take.index("Neck1")] = take.index("Spine1")
  other = dataclasses.replace(take, parents=tuple(parents))
  assert bvh.put_back(other) is other


def test_other_files_with_these_names_stay():
  for name in bvh_maps.DIALECTS:
    take = dummy.march(name)
    assert bvh.put_back(take) is take
  names = "Hips Spine Spine1 Neck LeftShoulder RightShoulder LeftHand".split()
  flat = bvh.Bvh(
    tuple(names),
    (-1, 0, 1, 2, 2, 2, 4),
    np.zeros((7, 3)),
    (bvh.ROTATION,) * 7,
    np.zeros((1, 21)),
    1 / 30,
  )
  assert bvh.put_back(flat) is flat  # Mixamo's names, without the rest


@pytest.mark.parametrize("file", ["131_01.bvh", "jumping_jacks.bvh"])
def test_real_files_become_people(shared, file):
  take = bvh.read(shared / "data/cmu_mocap/raw" / file)
  assert bvh.are_lost(take)
  before = dataclasses.replace(bvh_maps.DIALECTS["3dsmax"], lost_bones=False)
  with pytest.raises(
    ValueError, match=r"got a torso of 0\.4\d+ and a forearm of 0\.237"
  ):
    proportions.check(bvh_maps.to_h36m17(take, before), "h36m17", file)
  ratios = proportions.measure(bvh_maps.to_h36m17(take), "h36m17")
  assert 0.59 < ratios["torso"] < 0.64
  assert 0.30 < ratios["forearm"] < 0.36
  assert proportions.check(bvh_maps.to_h36m17(take), "h36m17", file) == ""


def test_the_real_daz_file_stays(shared):
  take = bvh.read(shared / "data/cmu_mocap/raw/60_10_daz.bvh")
  assert bvh.put_back(take) is take
