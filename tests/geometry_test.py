import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry

pytestmark = pytest.mark.numeric

GLOT = pathlib.Path(__file__).parent / "golden" / "glot"


def rotations(n=64, seed=0):
  rng = np.random.default_rng(seed)
  axis = rng.normal(size=(n, 3))
  axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
  angle = rng.uniform(0, np.pi, size=(n, 1))
  angle[0], angle[1], angle[2] = 0, 1e-6, np.pi - 1e-6
  return axis * angle


def assert_rotation(matrix, atol=1e-6):
  eye = np.broadcast_to(np.eye(3), matrix.shape)
  np.testing.assert_allclose(matrix @ np.swapaxes(matrix, -1, -2), eye, atol=atol)
  np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=atol)


def poses(n=5, joints=17, seed=1):
  return np.random.default_rng(seed).normal(size=(n, joints, 3))


def test_safe_norm_is_the_norm_with_slope_zero_at_zero():
  x = poses()
  np.testing.assert_allclose(geometry.safe_norm(x), np.linalg.norm(x, axis=-1))
  grad = jax.grad(lambda x: geometry.safe_norm(x).sum())(jnp.zeros((2, 3)))
  np.testing.assert_array_equal(grad, 0)
  grad = jax.grad(lambda x: geometry.safe_norm(x))(jnp.asarray([3.0, 0.0, 4.0]))
  np.testing.assert_allclose(grad, [0.6, 0, 0.8], rtol=1e-6)


def test_euler_angles_turn_about_the_named_axes():
  turn = geometry.euler_to_matrix(np.asarray([np.pi / 2]), "z")
  np.testing.assert_allclose(turn @ [1, 0, 0], [0, 1, 0], atol=1e-12)
  turn = geometry.euler_to_matrix(np.asarray([np.pi / 2]), "x")
  np.testing.assert_allclose(turn @ [0, 1, 0], [0, 0, 1], atol=1e-12)
  turn = geometry.euler_to_matrix(np.asarray([np.pi / 2]), "y")
  np.testing.assert_allclose(turn @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_euler_order_applies_the_rightmost_axis_first():
  angles = np.random.default_rng(2).normal(size=(7, 3))
  parts = [
    geometry.euler_to_matrix(angles[:, i : i + 1], a) for i, a in enumerate("zyx")
  ]
  combined = geometry.euler_to_matrix(angles, "zyx")
  np.testing.assert_allclose(combined, parts[0] @ parts[1] @ parts[2], atol=1e-12)
  assert_rotation(combined)
  on_jax = geometry.euler_to_matrix(jnp.asarray(angles, jnp.float32), "zyx")
  np.testing.assert_allclose(on_jax, combined, atol=1e-6)


def test_one_angle_per_axis_is_demanded():
  with pytest.raises(
    ValueError, match="got 2 angles for the order 'zyx', expected one"
  ):
    geometry.euler_to_matrix(np.zeros((4, 2)), "zyx")


def test_rotations_survive_every_round_trip():
  rotvec = rotations()
  matrix = geometry.axis_angle_to_matrix(rotvec)
  assert_rotation(matrix)
  quaternion = geometry.matrix_to_quaternion(matrix)
  np.testing.assert_allclose(np.linalg.norm(quaternion, axis=-1), 1, atol=1e-12)
  assert (quaternion[:, 0] >= 0).all()
  back = geometry.quaternion_to_matrix(quaternion)
  np.testing.assert_allclose(back, matrix, atol=1e-6)
  np.testing.assert_allclose(geometry.matrix_to_axis_angle(matrix), rotvec, atol=1e-5)


def test_rotations_survive_round_trips_on_jax_in_float32():
  rotvec = jnp.asarray(rotations(), jnp.float32)
  matrix = jax.jit(geometry.axis_angle_to_matrix)(rotvec)
  np.testing.assert_allclose(
    matrix, geometry.axis_angle_to_matrix(np.asarray(rotvec, np.float64)), atol=5e-6
  )
  again = geometry.axis_angle_to_matrix(jax.jit(geometry.matrix_to_axis_angle)(matrix))
  np.testing.assert_allclose(again, matrix, atol=5e-6)


def test_a_quarter_turn_by_hand():
  half = np.sqrt(0.5)
  matrix = geometry.axis_angle_to_matrix(np.asarray([0, 0, np.pi / 2]))
  np.testing.assert_allclose(matrix, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
  quaternion = geometry.matrix_to_quaternion(matrix)
  np.testing.assert_allclose(quaternion, [half, 0, 0, half], atol=1e-12)


def test_half_turns_have_a_quaternion():
  for axis in np.concatenate([np.eye(3), [[0.6, 0.8, 0], [0, -0.6, 0.8]]]):
    turn = geometry.axis_angle_to_matrix(np.pi * axis)
    quaternion = geometry.matrix_to_quaternion(turn)
    np.testing.assert_allclose(
      geometry.quaternion_to_matrix(quaternion), turn, atol=1e-12
    )


@pytest.mark.parametrize(
  "rotvec", [[0.0, 0, 0], [1e-9, 0, 0], [1e-4, 1e-4, 0], [0.3, 1, 2]]
)
def test_rotation_gradients_are_finite_everywhere(rotvec):
  def there_and_back(rotvec):
    return geometry.matrix_to_axis_angle(geometry.axis_angle_to_matrix(rotvec))

  jacobian = jax.jacobian(there_and_back)(jnp.asarray(rotvec))
  np.testing.assert_allclose(jacobian, np.eye(3), atol=2e-3)


def test_projection_to_rotations_keeps_rotations_and_repairs_others():
  matrix = geometry.axis_angle_to_matrix(rotations())
  np.testing.assert_allclose(geometry.project_to_rotation(matrix), matrix, atol=1e-9)
  np.testing.assert_allclose(
    geometry.project_to_rotation(2.5 * matrix), matrix, atol=1e-9
  )
  anything = np.random.default_rng(3).normal(size=(20, 3, 3))
  assert_rotation(geometry.project_to_rotation(anything), atol=1e-9)


@pytest.mark.parametrize("xp", [np, jnp])
def test_procrustes_undoes_any_similarity(xp):
  target = poses()
  turn = geometry.axis_angle_to_matrix(rotations(5, seed=4))
  pred = 0.4 * target @ np.swapaxes(turn, -1, -2) + np.arange(5.0)[:, None, None]
  if xp is jnp:
    pred, target = jnp.asarray(pred, jnp.float32), jnp.asarray(target, jnp.float32)
  aligned = geometry.procrustes_align(pred, target)
  np.testing.assert_allclose(aligned, target, atol=1e-9 if xp is np else 1e-5)


def test_procrustes_is_the_best_similarity():
  target = poses(seed=5)
  pred = poses(seed=6)
  aligned = geometry.procrustes_align(pred, target)
  best = ((aligned - target) ** 2).sum((-2, -1))
  rng = np.random.default_rng(7)
  for _ in range(50):
    turn = geometry.axis_angle_to_matrix(0.05 * rng.normal(size=3))
    other = (1 + 0.05 * rng.normal()) * aligned @ turn.T + 0.05 * rng.normal(size=3)
    assert (((other - target) ** 2).sum((-2, -1)) >= best).all()


def test_procrustes_never_reflects():
  target = poses()
  mirrored = target * [-1, 1, 1]
  aligned = geometry.procrustes_align(mirrored, target)
  assert np.linalg.norm(aligned - target, axis=-1).mean(-1).min() > 0.1

  # Handedness of three bones is kept.
  def volume(x):
    return np.linalg.det(x[:, 1:4] - x[:, :1])

  np.testing.assert_array_equal(np.sign(volume(aligned)), np.sign(volume(mirrored)))


def test_procrustes_of_a_collapsed_prediction_is_the_targets_centre():
  target = poses()
  aligned = geometry.procrustes_align(np.ones_like(target), target)
  centre = np.broadcast_to(target.mean(1, keepdims=True), target.shape)
  np.testing.assert_allclose(aligned, centre, atol=1e-9)


def test_procrustes_gradient_is_finite_at_the_target():
  target = jnp.asarray(poses(), jnp.float32)

  def loss(x):
    return (geometry.procrustes_align(x, target) ** 2).sum()

  assert np.isfinite(jax.grad(loss)(target)).all()


def test_procrustes_refuses_different_shapes():
  def call(pred, target):
    # Past the type check, which only tests do.
    align = geometry.procrustes_align
    return getattr(align, "__wrapped__", align)(pred, target)

  with pytest.raises(
    ValueError, match=r"got predictions \(5, 17, 3\) and targets \(5, 15"
  ):
    call(poses(), poses(joints=15))


@pytest.mark.parametrize("xp", [np, jnp])
def test_forward_kinematics_of_a_folded_arm_by_hand(xp):
  # Shoulder turned by 90 degrees about z, elbow by another 90 degrees.
  turn = geometry.euler_to_matrix(np.asarray([[np.pi / 2], [np.pi / 2], [0.0]]), "z")
  offsets = np.asarray([[9.0, 9, 9], [1, 0, 0], [2, 0, 0]])
  position, world = geometry.forward_kinematics(
    xp.asarray(turn, dtype=xp.float32),
    xp.asarray(offsets, dtype=xp.float32),
    (-1, 0, 1),
    xp.asarray([5.0, 0, 1], dtype=xp.float32),
  )
  np.testing.assert_allclose(position, [[5, 0, 1], [5, 1, 1], [3, 1, 1]], atol=1e-6)
  half_turn = np.diag([-1.0, -1, 1])
  np.testing.assert_allclose(world[1:], [half_turn, half_turn], atol=1e-6)


@pytest.mark.parametrize("xp", [np, jnp])
def test_forward_kinematics_shares_offsets_over_frames(xp):
  turn = xp.asarray(geometry.axis_angle_to_matrix(rotations(12).reshape(4, 3, 3)))
  offsets = xp.asarray(poses(1, 3)[0])
  root = xp.zeros((4, 3))
  together, _ = geometry.forward_kinematics(turn, offsets, (-1, 0, 1), root)
  bones = np.linalg.norm(np.diff(together, axis=1), axis=-1)
  expected = np.linalg.norm(offsets[1:], axis=-1)
  np.testing.assert_allclose(bones, np.broadcast_to(expected, (4, 2)), rtol=1e-5)


def test_children_before_parents_are_refused():
  eye = np.broadcast_to(np.eye(3), (2, 3, 3))
  with pytest.raises(
    ValueError, match="joint 0 has the parent 1, expected parents before"
  ):
    geometry.forward_kinematics(eye, np.zeros((2, 3)), (1, -1), np.zeros(3))


@pytest.mark.parametrize("xp", [np, jnp])
def test_six_numbers_are_a_rotation_and_back(xp):
  matrix = xp.asarray(geometry.axis_angle_to_matrix(rotations()), dtype=xp.float32)
  six = geometry.matrix_to_rotation_6d(matrix)
  assert isinstance(six, type(matrix))
  np.testing.assert_array_equal(six[0], [1, 0, 0, 1, 0, 0])  # no rotation
  np.testing.assert_allclose(geometry.rotation_6d_to_matrix(six), matrix, atol=2e-6)


def test_any_six_numbers_are_a_rotation_whatever_their_scale():
  six = np.random.default_rng(8).normal(size=(40, 3, 2))
  matrix = geometry.rotation_6d_to_matrix(six.reshape(40, 6))
  assert_rotation(matrix)
  scaled = (six * [0.3, 7.0]).reshape(40, 6)
  np.testing.assert_allclose(geometry.rotation_6d_to_matrix(scaled), matrix, atol=1e-12)
  # The first column keeps its direction.
  first = six[:, :, 0] / np.linalg.norm(six[:, :, 0], axis=-1, keepdims=True)
  np.testing.assert_allclose(matrix[:, :, 0], first, atol=1e-12)


@pytest.mark.parametrize(
  "six", [[0.0] * 6, [1.0, 0, 0, 1, 0, 0], [1.0, 1, 0, 0, 0, 0], [1e-9, 0, 0, 1, 0, 0]]
)
def test_six_numbers_have_a_finite_gradient_everywhere(six):
  jacobian = jax.jacobian(geometry.rotation_6d_to_matrix)(jnp.asarray(six))
  assert np.isfinite(jacobian).all()


def test_rotations_equal_the_originals():
  with np.load(GLOT / "rotations.npz") as file:
    data = dict(file)
  close = functools.partial(np.testing.assert_allclose, atol=5e-6, rtol=0)
  # Row 4 is all zeros; rows 2 and 3 are tiny and nearly collinear.
  close(geometry.rotation_6d_to_matrix(data["rot6d"]), data["rot6d_to_rotmat"])
  on_jax = jax.jit(geometry.rotation_6d_to_matrix)(data["rot6d"])
  close(on_jax, data["rot6d_to_rotmat"])
  for name in ("rodrigues_quat", "rodrigues_smplx"):
    close(geometry.axis_angle_to_matrix(data["axis_angle"]), data[name])
  quaternion = geometry.matrix_to_quaternion(data["rotmat"])
  sign = np.sign((quaternion * data["rotmat_to_quat"]).sum(-1, keepdims=True))
  close(sign * quaternion, data["rotmat_to_quat"])
  # Axis times angle is not unique at half a turn, the rotation is.
  ours = geometry.axis_angle_to_matrix(geometry.matrix_to_axis_angle(data["rotmat"]))
  close(ours, geometry.axis_angle_to_matrix(data["rotmat_to_axis_angle"]))
