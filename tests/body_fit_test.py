import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.body import body_fit

BONES = ((1, 4), (4, 7), (2, 5), (5, 8), (16, 18), (18, 20), (17, 19), (19, 21), (1, 2))


@pytest.fixture
def body():
  return body_files.load("free_small")


def test_bones_of_a_body_give_a_body_with_these_bones(body):
  betas = np.random.default_rng(0).normal(size=10).astype(np.float32)
  lengths = body_fit.bone_lengths(body, betas, BONES)
  average = body_fit.bone_lengths(body, np.zeros(10, np.float32), BONES)
  fitted = body_fit.fit_betas(body, lengths, BONES, prior=1e-4)
  got = body_fit.bone_lengths(body, fitted, BONES)
  assert np.abs(average - lengths).max() > 0.005
  np.testing.assert_allclose(got, lengths, atol=5e-4)


def test_a_strong_prior_keeps_the_average_body(body):
  lengths = 1.2 * body_fit.bone_lengths(body, np.zeros(10, np.float32), BONES)
  weak = body_fit.fit_betas(body, lengths, BONES, prior=0.01)
  strong = body_fit.fit_betas(body, lengths, BONES, prior=10.0)
  assert np.abs(strong).max() < 0.01 < np.abs(weak).max()


def test_one_length_per_bone_is_demanded(body):
  with pytest.raises(ValueError, match="got 2 lengths for 9 bones, expected one"):
    body_fit.fit_betas(body, np.ones(2, np.float32), BONES)


# Captured people.

SMPL, H36M = skeletons.get("smpl24"), skeletons.get("h36m17")


def unchecked(function):
  """Past the type check, which only tests do."""
  return getattr(function, "__wrapped__", function)


def captured(body, betas, turns, t=30, seed=0):
  """Joints and rotations of a skeleton whose rest pose is the body's under `turns`.

  Also the true motion of the body: rotations and joints.
  """
  rng = np.random.default_rng(seed)
  true = geometry.axis_angle_to_matrix(0.5 * rng.normal(size=(t, 24, 3)))
  true[:, 22:] = np.eye(3)
  rest = np.float64(bodies.rest_joints(body, betas))
  offsets = rest - rest[np.asarray((0, *bodies.PARENTS[1:]))]
  root = rng.normal(size=(t, 3))
  joints, world = geometry.forward_kinematics(true, offsets, bodies.PARENTS, root)
  seen = world @ np.swapaxes(turns, -1, -2)
  parents = np.asarray(bodies.PARENTS[1:])
  local = np.swapaxes(seen[:, parents], -1, -2) @ seen[:, 1:]
  local = np.concatenate([seen[:, :1], local], 1)
  h36m = rng.normal(size=(t, 17, 3))  # joints that SMPL has not are not looked at
  for i, name in enumerate(H36M.joints):
    name = name.replace("foot", "ankle")
    if name in SMPL.joints and name not in ("neck", "head"):
      h36m[:, i] = joints[:, SMPL.index(name)]
  return h36m, local, true, joints


def hanging_arms():
  """Turns from the T-pose to arms that hang, and shins that point a bit backwards."""
  turns = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
  for side, sign in (("left", -1), ("right", 1)):
    down = geometry.axis_angle_to_matrix(np.asarray([0, 0, sign * np.radians(98)]))
    for part in ("shoulder", "elbow", "wrist", "hand"):
      turns[SMPL.index(f"{side}_{part}")] = down
    back = geometry.axis_angle_to_matrix(np.asarray([0.1, 0, 0]))
    turns[SMPL.index(f"{side}_knee")] = back
  return turns


def test_a_captured_body_is_found_again_whatever_its_rest_pose(body):
  betas = np.asarray([1, -1, 0.5, 0, 0, 0, 0, 0, 0, 0], np.float32)
  turns = hanging_arms()
  joints, rotations, true, _ = captured(body, betas, turns)
  fit = body_fit.fit_subject(body, joints, rotations)
  lengths = [body_fit.bone_lengths(body, b, body_fit.BONES) for b in (betas, fit.betas)]
  for bones, trust in ((slice(4), 0.003), (slice(4, 8), 0.01), (slice(8, 10), 0.02)):
    np.testing.assert_allclose(lengths[0][bones], lengths[1][bones], atol=trust)
  # The trunk's small turns make up for what the shape has wrong of the shoulders.
  trunk = np.isin(np.arange(24), body_fit._TRUNK)
  np.testing.assert_allclose(fit.turns[~trunk], turns[~trunk], atol=0.01)
  np.testing.assert_allclose(fit.turns[trunk], turns[trunk], atol=0.06)
  motion = body_fit.retarget(body, fit, joints, rotations)
  turned = trunk | np.isin(np.asarray(SMPL.parents), body_fit._TRUNK)
  np.testing.assert_allclose(motion.rotations[:, ~turned], true[:, ~turned], atol=0.02)
  np.testing.assert_allclose(motion.rotations[:, turned], true[:, turned], atol=0.1)


def test_shoulders_lie_where_they_were_captured(body):
  """Though the captured trunk leans against the body's in the rest pose."""
  turns = hanging_arms()
  lean = geometry.axis_angle_to_matrix(np.asarray([0.2, 0, 0]))
  turns[SMPL.index("spine1")] = lean
  joints, rotations, *_ = captured(body, np.zeros(10, np.float32), turns)
  fit = body_fit.fit_subject(body, joints, rotations)
  motion = body_fit.retarget(body, fit, joints, rotations)
  shape = np.broadcast_to(fit.betas, (len(joints), 10))
  got = bodies.pose(body, motion.rotations, shape).joints + motion.translation[:, None]
  names = ("left_shoulder", "right_shoulder")
  error = np.linalg.norm(
    got[:, [SMPL.index(n) for n in names]] - joints[:, [H36M.index(n) for n in names]],
    axis=-1,
  )
  assert error.mean() < 0.01


@pytest.mark.parametrize("hands", [True, False])
def test_the_body_moves_as_captured(body, hands):
  betas = np.asarray([0, 1, 0, -1, 0, 0, 0, 0, 0, 0], np.float32)
  joints, rotations, _, true = captured(body, betas, hanging_arms())
  rotations = rotations if hands else rotations[:, :22]
  fit = body_fit.fit_subject(body, joints, rotations)
  motion = body_fit.retarget(body, fit, joints, rotations)
  shape = np.broadcast_to(fit.betas, (30, 10))
  got = bodies.pose(body, motion.rotations, shape).joints + motion.translation[:, None]
  hips = [SMPL.index("left_hip"), SMPL.index("right_hip")]
  np.testing.assert_allclose(got[:, hips].mean(1), true[:, hips].mean(1), atol=1e-5)
  for side in ("left", "right"):
    for first, last in (("hip", "ankle"), ("shoulder", "wrist")):
      ends = [SMPL.index(f"{side}_{first}"), SMPL.index(f"{side}_{last}")]
      limb = np.diff(got[:, ends], axis=1) - np.diff(true[:, ends], axis=1)
      assert np.linalg.norm(limb, axis=-1).max() < 0.015


def test_unlikely_arms_do_not_make_an_unlikely_body(body):
  joints, rotations, *_ = captured(body, np.zeros(10, np.float32), hanging_arms())
  for side in ("left", "right"):  # the wrist is measured at the middle of the forearm
    elbow, wrist = (H36M.index(f"{side}_{j}") for j in ("elbow", "wrist"))
    joints[:, wrist] = (joints[:, elbow] + joints[:, wrist]) / 2
  fit = body_fit.fit_subject(body, joints, rotations)
  assert 1 < np.abs(fit.betas).max() < 3
  limbs = ~np.isin(np.arange(24), body_fit._TRUNK)
  np.testing.assert_allclose(fit.turns[limbs], hanging_arms()[limbs], atol=0.02)


@pytest.mark.parametrize("shape", [(3, 24, 3, 3), (2, 23, 3, 3)])
def test_joints_and_rotations_of_the_same_frames_are_demanded(body, shape):
  rotations = np.broadcast_to(np.eye(3), shape)
  with pytest.raises(ValueError, match=r"got 2 frames of joints and [23] of 2[34] rot"):
    unchecked(body_fit.fit_subject)(body, np.zeros((2, 17, 3)), rotations)


def test_bones_are_trusted_one_by_one(body):
  lengths = body_fit.bone_lengths(body, np.zeros(10, np.float32), BONES)
  wrong = lengths.copy()
  wrong[-1] += 0.05
  trust = np.asarray([0.001] * 8 + [10.0])
  fitted = body_fit.fit_betas(body, wrong, BONES, prior=trust)
  np.testing.assert_allclose(fitted, 0, atol=0.01)
