"""Joints where a detector sees them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.data import detector_errors
from jaxpose.skeletons import head_points
from jaxpose.skeletons import skeleton_maps
from tests import small_data

H36M = skeletons.get("h36m17")
COCO = skeletons.get("coco17")
KEY = jax.random.key(0)
FOCAL = 2.3


@pytest.fixture(scope="module")
def joints():
  """(200, 5, 17, 3): a moving cloud before a camera, the same in every window."""
  poses = small_data.pose_data((40,), actions=("walk",))
  clip = np.asarray(poses.frames["joints_3d"][:5])
  return jnp.broadcast_to(jnp.asarray(clip), (200, *clip.shape))


def seen(joints):
  return FOCAL * joints[..., :2] / joints[..., 2:] + jnp.asarray([[[[0.1, -0.2]]]])


def test_joints_move_by_centimetres_with_the_trunk(joints):
  made = np.asarray(detector_errors.move_joints_3d(KEY, joints, H36M))
  knee = (made - joints)[:, :, H36M.index("left_knee")]
  size = np.hypot(detector_errors._BOTH, detector_errors._EACH)
  np.testing.assert_allclose(np.linalg.norm(knee, axis=-1).mean(), 1.6 * size, rtol=0.1)
  assert knee.std(0).mean() > 3 * knee.std(1).mean()


def test_keypoints_are_the_projection_of_the_moved_joints(joints):
  made = jax.jit(detector_errors.move_joints, static_argnums=3)(
    KEY, seen(joints), joints, H36M
  )
  expected = seen(detector_errors.move_joints_3d(KEY, joints, H36M))
  np.testing.assert_allclose(made, expected, atol=1e-5)


def test_who_turns_takes_the_offsets_along(joints):
  turn = geometry.axis_angle_to_matrix(jnp.asarray([0.3, 0.7, -0.2]))
  made = detector_errors.move_joints_3d(KEY, joints, H36M)
  turned = detector_errors.move_joints_3d(KEY, joints @ turn.T, H36M)
  # Nose and crown are wrong by a vector of the picture's, whoever is seen.
  body = [j for j, n in enumerate(H36M.joints) if n not in ("neck", "head")]
  np.testing.assert_allclose(turned[:, :, body], (made @ turn.T)[:, :, body], atol=1e-5)


def test_h36m_joints_are_where_detectors_and_their_maps_have_them():
  """Of somebody who stands upright and faces the camera, y down, z away from it."""
  pose = np.zeros((17, 3), np.float32)
  bone, base = 0.1, 0.6  # the head's, and where it starts
  (nose_up, nose_on), (crown_up, crown_on) = head_points.NOSE, head_points.CROWN
  for name, x, height, forward in (
    ("spine", 0, 0.25, 0),
    ("thorax", 0, 0.5, 0),
    ("neck", 0, base + bone * nose_up, bone * nose_on),
    ("head", 0, base + bone * crown_up, bone * crown_on),
    ("left_hip", 0.1, -0.02, 0),
    ("left_shoulder", 0.2, 0.45, 0),
  ):
    pose[H36M.index(name)] = x, -height, 5 - forward
    if "left" in name:
      pose[H36M.index(name.replace("left", "right"))] = -x, -height, 5 - forward
  joints = jnp.broadcast_to(jnp.asarray(pose), (2000, 1, 17, 3))
  made = np.asarray(detector_errors.move_joints_3d(KEY, joints, H36M)).mean((0, 1))
  up, forward = (base + bone * head_points.EARS[0], bone * head_points.EARS[1])
  over_ears, over_shoulders = skeleton_maps.CROWN
  expected = dict(
    hip=(0, 0.02, 5),
    spine=(0, -0.215, 5),
    thorax=(0, -0.45, 5),
    neck=pose[H36M.index("neck")],
    head=(
      0,
      -(over_ears * up + over_shoulders * 0.45),
      5 - over_ears * forward,
    ),
  )
  for name, place in expected.items():
    np.testing.assert_allclose(made[H36M.index(name)], place, atol=0.003, err_msg=name)


def test_left_and_right_are_moved_as_mirror_images():
  offset = np.asarray(detector_errors._offsets(KEY, 4000, COCO))
  left, right = (offset[:, COCO.index(f"{s}_knee")] for s in ("left", "right"))
  correlation = [np.corrcoef(left[:, c], right[:, c])[0, 1] for c in range(3)]
  both, each = detector_errors._BOTH, detector_errors._EACH
  expected = both**2 / (both**2 + each**2)
  np.testing.assert_allclose(correlation, np.asarray([-1, 1, 1]) * expected, atol=0.03)
  np.testing.assert_allclose(left.std(0), np.hypot(both, each), rtol=0.05)
  nose = offset[:, COCO.index("nose")]
  np.testing.assert_allclose(nose[:, 0].std(), each, rtol=0.06)
  np.testing.assert_allclose(nose[:, 1:].std(0), np.hypot(both, each), rtol=0.06)


def test_a_skeleton_without_a_trunk_is_refused():
  lacking = skeletons.Skeleton("stick", ("top", "end"), (-1, 0))
  points = jnp.zeros((1, 1, 2, 3))
  with pytest.raises(ValueError, match=r"'stick' without left_hip, .*joint_places=0"):
    detector_errors.move_joints(KEY, points[..., :2], points, lacking)
