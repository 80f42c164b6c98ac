import dataclasses

import numpy as np
import pytest
from cmu_mocap import dummy

from jaxpose import skeletons
from jaxpose.formats import bvh_maps

H36M = skeletons.get("h36m17")
DIALECTS = list(bvh_maps.DIALECTS)


def test_every_dialect_of_one_motion_gives_the_same_joints():
  first, *others = (bvh_maps.to_h36m17(dummy.march(name)) for name in DIALECTS)
  assert first.shape == (dummy.FRAMES, 17, 3)
  for other in others:
    np.testing.assert_allclose(other, first, atol=1e-9)


@pytest.mark.parametrize("name", DIALECTS)
def test_joints_stand_in_the_order_of_h36m17(name):
  rest = dummy.march(name, t_pose=False)
  still = np.zeros_like(rest.motion[:1])
  still[:, 1] = 1.0 / bvh_maps.DIALECTS[name].unit  # hips 1 m up
  joints = bvh_maps.to_h36m17(dataclasses.replace(rest, motion=still))[0]
  # It looks along +z of the file, which is -y of the world; its left is +x.
  at = {joint: joints[i] for i, joint in enumerate(H36M.joints)}
  np.testing.assert_allclose(at["hip"], [0, 0, 0.9], atol=1e-9)
  np.testing.assert_allclose(at["left_foot"], [0.09, 0, 0.08], atol=1e-9)
  np.testing.assert_allclose(at["right_wrist"], [-0.71, 0, 1.4], atol=1e-9)
  np.testing.assert_allclose(at["spine"], [0, 0, 1.12], atol=1e-9)
  np.testing.assert_allclose(at["head"], [0, -0.0196, 1.54 + 0.1862], atol=1e-9)
  np.testing.assert_allclose(joints[H36M.mirror] * [-1, 1, 1], joints, atol=1e-9)


def test_an_inserted_t_pose_is_dropped_and_a_captured_frame_is_not():
  with_pose, without = (dummy.march("daz", t_pose=flag) for flag in (True, False))
  assert len(with_pose.motion) == len(without.motion) + 1
  np.testing.assert_array_equal(
    bvh_maps.to_h36m17(with_pose), bvh_maps.to_h36m17(without)
  )


def test_a_map_whose_joints_are_missing_is_refused_with_those_that_are_there():
  take = dummy.march("3dsmax")
  message = r"got a skeleton without abdomen, chest, .* it has Hips, RightHip"
  with pytest.raises(ValueError, match=message):
    bvh_maps.to_h36m17(take, bvh_maps.DIALECTS["daz"])


def test_a_map_without_rotations_moves_no_body():
  dialect = dataclasses.replace(bvh_maps.DIALECTS["3dsmax"], rotations=())
  take = dummy.march("3dsmax", t_pose=False)
  assert bvh_maps.pieces(take, dialect)[0].rotations is None
  with pytest.raises(ValueError, match="got a skeleton map without rotations"):
    bvh_maps.pieces(take, dialect, with_rotations=True)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_thorax_is_the_middle_of_the_shoulders(name):
  joints = bvh_maps.to_h36m17(dummy.march(name))
  sides = [H36M.index(f"{side}_shoulder") for side in ("left", "right")]
  np.testing.assert_allclose(
    joints[:, H36M.index("thorax")], joints[:, sides].mean(1), atol=1e-12
  )
