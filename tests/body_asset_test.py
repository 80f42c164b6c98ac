import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import PARENTS
from jaxpose.body import body_files

REST = np.broadcast_to(np.eye(3, dtype=np.float32), (24, 3, 3))
NAMES = skeletons.get("smpl24").joints
AVERAGE = np.zeros(10, np.float32)


@pytest.fixture(params=["free", "free_small"])
def body(request):
  return body_files.load(request.param)


def test_rest_pose_is_smpls(body):
  joints = dict(zip(NAMES, body.joint_template, strict=True))
  np.testing.assert_allclose(joints["pelvis"], 0, atol=1e-6)
  for side, sign in (("left", 1), ("right", -1)):
    arm = joints[f"{side}_wrist"] - joints[f"{side}_shoulder"]
    assert sign * arm[0] > 0.99 * np.linalg.norm(arm)
    leg = joints[f"{side}_ankle"] - joints[f"{side}_hip"]
    assert -leg[1] > 0.99 * np.linalg.norm(leg)
    assert joints[f"{side}_foot"][2] > joints[f"{side}_ankle"][2] + 0.05
  assert 1.6 < np.ptp(body.template[:, 1]) < 1.8


def test_forty_nine_joints_are_where_their_names_say(body):
  posed = bodies.pose(body, REST, AVERAGE)
  joints = bodies.joints_49(body, posed)
  nose, right_eye, left_eye, right_ear, left_ear = joints[[0, 15, 16, 17, 18]]
  assert nose[2] > left_eye[2] > left_ear[2]
  assert left_ear[0] > left_eye[0] > 0 > right_eye[0] > right_ear[0]
  left_toe, left_small_toe, left_heel = joints[19:22]
  assert left_small_toe[0] > left_toe[0] > 0
  assert left_toe[2] > left_heel[2] + 0.15
  np.testing.assert_allclose(joints[22:25], joints[19:22] * [-1, 1, 1], atol=0.005)
  assert joints[38, 1] > body.template[:, 1].max() - 0.01  # the crown
  # Hip, thorax, spine, jaw, head go up; 25 to 38 mirror each other.
  np.testing.assert_array_equal(np.argsort(joints[39:44, 1]), [0, 2, 1, 3, 4])
  pairs = [25, 26, 27, 31, 32, 33], [30, 29, 28, 36, 35, 34]
  np.testing.assert_allclose(
    joints[pairs[0]] * [-1, 1, 1], joints[pairs[1]], atol=0.005
  )


def test_scored_joints_are_the_bodys_own(body):
  posed = bodies.pose(body, REST, AVERAGE)
  own = posed.joints[[8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20]]
  got = bodies.joints_14(body, posed)[:12]
  np.testing.assert_allclose(got, own, atol=0.01)


def bent(n=20):
  rng = np.random.default_rng(0)
  rotations = geometry.axis_angle_to_matrix(0.4 * rng.normal(size=(n, 24, 3)))
  return rotations.astype(np.float32), rng.normal(size=(n, 10)).astype(np.float32)


def test_small_body_is_a_part_of_the_full_one_and_has_its_joints():
  full, small = body_files.load("free"), body_files.load("free_small")
  assert 1000 <= len(small.template) <= 2000 < len(full.template)
  everywhere = {tuple(v) for v in full.template}
  assert all(tuple(v) in everywhere for v in small.template)
  a, b = (bodies.pose(x, *bent()) for x in (full, small))
  np.testing.assert_array_equal(a.joints, b.joints)
  for joints in (bodies.joints_49, bodies.joints_14):
    np.testing.assert_allclose(joints(small, b), joints(full, a), atol=1e-5)


def test_scored_joints_stay_with_the_bodys_own_when_it_bends(body):
  posed = bodies.pose(body, *bent())
  own = posed.joints[:, [8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20]]
  got = bodies.joints_14(body, posed)[:, :12]
  error = np.linalg.norm(got - own, axis=-1)
  assert error.mean() < 0.006
  assert error.max() < 0.04  # knees; the others are below 0.02


def around(body, posed, joint, reach=0.02):
  """Mean distance from a joint of the skin that lies within `reach` along the bone."""
  ring = np.abs(body.template[:, 0] - body.joint_template[joint, 0]) < reach
  ring &= body.weights[:, [joint, PARENTS[joint]]].sum(1) > 0.9
  return np.linalg.norm(posed.vertices[ring] - posed.joints[joint], axis=-1).mean()


@pytest.mark.parametrize(
  ("name", "rotvec"), [("left_elbow", (0, -2.1, 0)), ("left_wrist", (1.5, 0, 0))]
)
def test_bent_and_twisted_arms_keep_their_girth(name, rotvec):
  body = body_files.load("free")
  joint = NAMES.index(name)
  rotations = REST.copy()
  rotations[joint] = geometry.axis_angle_to_matrix(np.asarray(rotvec, np.float32))
  bare = body._replace(pose_dirs=np.zeros_like(body.pose_dirs))
  rest, without, with_shapes = (
    around(body, bodies.pose(b, r, AVERAGE), joint)
    for b, r in ((body, REST), (bare, rotations), (body, rotations))
  )
  assert rest - without > 0.001
  assert abs(rest - with_shapes) < 0.8 * (rest - without)


def test_corrections_are_local_and_there_at_every_joint_that_bends_skin(body):
  moved = np.abs(body.pose_dirs.reshape(23, 9, -1, 3)).max((1, 3)) > 0
  assert moved.sum(1).min() > 0
  assert moved.mean() < 0.2
  mixed = body.weights.max(1) < 0.99
  assert not moved[:, ~mixed].any()


def test_skin_is_a_closed_consistent_use_of_every_joint(body):
  np.testing.assert_allclose(body.weights.sum(1), 1, atol=1e-6)
  assert ((body.weights > 0).sum(1) <= 4).all()
  assert body.weights.max(0).min() > 0.4
  assert body.faces.max() < len(body.template)
  # Seen from outside faces turn counter-clockwise: the volume is positive.
  a, b, c = body.template[body.faces].swapaxes(0, 1)
  volume = (a * np.cross(b, c)).sum() / 6
  assert 0.04 < volume < 0.12


@pytest.mark.parametrize("seed", range(3))
def test_random_betas_are_adults(body, seed):
  betas = np.random.default_rng(seed).normal(size=10).astype(np.float32)
  posed = bodies.pose(body, REST, betas)
  assert 1.3 < np.ptp(posed.vertices[:, 1]) < 2.1
  wings = np.ptp(posed.vertices[:, 0]) / np.ptp(posed.vertices[:, 1])
  assert 0.9 < wings < 1.15


def test_first_beta_is_size(body):
  taller = bodies.pose(body, REST, np.eye(10, dtype=np.float32)[0]).vertices
  assert np.ptp(taller[:, 1]) > np.ptp(body.template[:, 1]) + 0.05
