import numpy as np
import pytest

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.motion import bone_rotations

H36M = skeletons.get("h36m17")
FRAMES = 60


def rest_offsets(skeleton):
  """Bones of different lengths, alike on both sides."""
  lengths = 0.1 + 0.02 * np.arange(skeleton.num_joints)
  lengths = np.minimum(lengths, lengths[skeleton.mirror])
  return bone_rotations.t_pose(skeleton) * lengths[:, None]


def posed(skeleton, vectors):
  """(joints, world rotations) of axis-angle vectors by joint name, (t, 3) each."""
  local = np.tile(np.eye(3), (FRAMES, skeleton.num_joints, 1, 1))
  for name, vector in vectors.items():
    turned = geometry.axis_angle_to_matrix(np.broadcast_to(vector, (FRAMES, 3)))
    local[:, skeleton.index(name)] = turned
  root = np.cumsum(np.full((FRAMES, 3), 0.01), 0)
  offsets = rest_offsets(skeleton)
  return geometry.forward_kinematics(local, offsets, skeleton.parents, root)


def swing(axis, size=1.0):
  return size * np.sin(np.linspace(0, 6, FRAMES))[:, None] * np.asarray(axis, float)


def world_of(fitted, skeleton):
  return geometry.forward_kinematics(
    fitted.local, fitted.offsets, skeleton.parents, fitted.joints_3d[:, skeleton.root]
  )


ROOTS = dict(h36m17="hip", smpl24="pelvis", humaneva15="pelvis")


@pytest.mark.parametrize("name", bone_rotations.SKELETONS)
def test_a_skeleton_that_moves_as_bones_do_is_found_again(name):
  skeleton = skeletons.get(name)
  joints, _ = posed(
    skeleton,
    {
      ROOTS[name]: swing([0.2, 1, 0.1], 3.0),
      "left_hip": swing([1, 0, 0.3]),
      "left_knee": swing([1, 0, 0]) + 1.2 * np.asarray([1.0, 0, 0]),
      "right_shoulder": swing([0.2, 1, 1]),
      "right_elbow": swing([0, 1, 0]) + 1.2 * np.asarray([0, 1.0, 0]),
      "left_wrist": swing([0, 1, 0]),
    },
  )
  fitted = bone_rotations.fit(joints, skeleton, 50.0)
  np.testing.assert_allclose(fitted.joints_3d, joints, atol=1e-9)
  np.testing.assert_allclose(fitted.offsets, rest_offsets(skeleton), atol=1e-9)
  assert (np.linalg.det(fitted.local) > 0.999).all()


@pytest.mark.parametrize("name", bone_rotations.SKELETONS)
def test_the_joints_are_those_of_the_rotations(name):
  skeleton = skeletons.get(name)
  rng = np.random.default_rng(0)
  vectors = {j: swing(0.3 * rng.normal(size=3)) for j in skeleton.joints}
  joints, _ = posed(skeleton, vectors)
  joints = joints + 0.02 * rng.normal(size=joints.shape)
  fitted = bone_rotations.fit(joints, skeleton, 50.0)
  again, _ = world_of(fitted, skeleton)
  np.testing.assert_allclose(again, fitted.joints_3d, atol=1e-9)
  lengths = np.linalg.norm(fitted.offsets, axis=-1)
  for parent, j in skeleton.bones:
    bone = np.linalg.norm(joints[:, j] - joints[:, parent], axis=-1)
    assert lengths[j] == pytest.approx(np.median(bone))
  # Each bone points at what was given, so that noise does not add up along a limb.
  distance = np.linalg.norm(fitted.joints_3d - joints, axis=-1).mean(0)
  assert distance[list(skeleton.left)].max() < 0.08


@pytest.mark.parametrize(
  ("upper", "lower", "axis", "along"),
  [
    ("left_hip", "left_knee", [1, 0, 0], [0, 1, 0]),
    ("right_hip", "right_knee", [1, 0, 0], [0, 1, 0]),
    ("left_shoulder", "left_elbow", [0, -1, 0], [1, 0, 0]),
    ("right_shoulder", "right_elbow", [0, 1, 0], [1, 0, 0]),
  ],
)
def test_a_bent_limb_tells_the_twist_of_its_upper_bone(upper, lower, axis, along):
  bend = 1.2 * np.asarray(axis, float)
  twist = np.linspace(-1.2, 1.2, FRAMES)[:, None] * np.asarray(along, float)
  joints, world = posed(H36M, {upper: twist, lower: bend, "hip": swing([0, 1, 0])})
  _, found = world_of(bone_rotations.fit(joints, H36M, 50.0), H36M)
  for joint in (upper, lower):
    j = H36M.index(joint)
    apart = np.swapaxes(found[:, j], -1, -2) @ world[:, j]
    angle = np.degrees(geometry.safe_norm(geometry.matrix_to_axis_angle(apart)))
    assert angle[10:-10].max() < 3  # smoothed over a tenth of a second
  # The joint between is a hinge: it bends by what it was bent.
  local = bone_rotations.fit(joints, H36M, 50.0).local[10:-10, H36M.index(lower)]
  np.testing.assert_allclose(
    geometry.matrix_to_axis_angle(local).mean(0), bend, atol=0.1
  )


def test_a_straight_limb_turns_with_its_parent_and_does_not_jitter():
  rng = np.random.default_rng(0)
  joints, world = posed(H36M, {"hip": swing([0, 1, 0])})
  joints = joints + 0.001 * rng.normal(size=joints.shape)
  fitted = bone_rotations.fit(joints, H36M, 50.0)
  _, found = world_of(fitted, H36M)
  j = H36M.index("left_hip")
  apart = np.swapaxes(found[:, j], -1, -2) @ world[:, j]
  angle = np.degrees(geometry.safe_norm(geometry.matrix_to_axis_angle(apart)))
  assert angle.max() < 5


def test_hips_and_shoulders_tell_how_the_trunk_is_turned():
  joints, world = posed(H36M, {"hip": swing([0.3, 1, 0.2], 2.0)})
  _, found = world_of(bone_rotations.fit(joints, H36M, 50.0), H36M)
  for joint in ("hip", "thorax"):
    j = H36M.index(joint)
    np.testing.assert_allclose(found[:, j], world[:, j], atol=1e-6)


def test_half_a_turn_and_joints_on_one_place_do_no_harm():
  joints, _ = posed(H36M, {"left_shoulder": [0, 0, np.pi]})
  fitted = bone_rotations.fit(joints, H36M, 50.0)
  np.testing.assert_allclose(fitted.joints_3d, joints, atol=1e-9)
  joints[:, H36M.index("left_wrist")] = joints[:, H36M.index("left_elbow")]
  joints[5] = 0
  assert np.isfinite(bone_rotations.fit(joints, H36M, 50.0).local).all()


def test_one_frame_is_enough():
  joints, _ = posed(H36M, {})
  fitted = bone_rotations.fit(joints[:1], H36M, 50.0)
  expected = np.tile(np.eye(3), (1, 17, 1, 1))
  np.testing.assert_allclose(fitted.local, expected, atol=1e-9)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (dict(skeleton="coco17"), "got the skeleton 'coco17', expected one whose bones"),
    (dict(joints_3d=np.zeros((3, 5, 3))), r"got joints of shape \(3, 5, 3\), expected"),
    (dict(joints_3d=np.zeros((0, 17, 3))), "with at least one frame"),
    (dict(joints_3d=np.full((4, 17, 3), np.nan)), "got NaN or infinite joints in 4 fr"),
  ],
)
def test_bad_input_is_said_in_a_sentence(change, message):
  arguments = dict(joints_3d=np.zeros((3, 17, 3)), skeleton="h36m17", fps=50.0) | change
  arguments["skeleton"] = skeletons.get(arguments["skeleton"])
  with pytest.raises(ValueError, match=message):
    bone_rotations.fit(**arguments)
