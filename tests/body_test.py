"""The SMPL body: laws, and equality with the original's tensors."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry

GLOT = pathlib.Path(__file__).parent / "golden" / "glot"


def random_body(m=40, s=4, seed=0) -> bodies.Body:
  """A body of random numbers with SMPL's structure, sparse regressors included."""
  rng = np.random.default_rng(seed)

  def normal(*shape, scale=1.0):
    return (scale * rng.normal(size=shape)).astype(np.float32)

  def regressor(joints):
    rows = np.zeros((joints, m), np.float32)
    for row in rows:
      row[rng.choice(m, 3, replace=False)] = [0.5, 0.3, 0.2]
    return rows

  weights = rng.random((m, 24)).astype(np.float32) ** 8
  joints, template, shape_dirs = regressor(24), normal(m, 3), normal(m, 3, s, scale=0.1)
  return bodies.Body(
    template=template,
    shape_dirs=shape_dirs,
    pose_dirs=normal(207, m, 3, scale=0.01),
    joint_template=joints @ template,
    joint_shape_dirs=np.einsum("jm,mcs->jcs", joints, shape_dirs),
    weights=weights / weights.sum(1, keepdims=True),
    faces=rng.integers(0, m, (2 * m, 3)).astype(np.int32),
    extra_vertices=rng.choice(m, 21, replace=False).astype(np.int32),
    extra_regressor=regressor(9),
    h36m_regressor=regressor(17),
  )


def random_pose(*batch, s=4, seed=1):
  rng = np.random.default_rng(seed)
  rotations = geometry.axis_angle_to_matrix(0.7 * rng.normal(size=(*batch, 24, 3)))
  return rotations.astype(np.float32), rng.normal(size=(*batch, s)).astype(np.float32)


def unchecked(function):
  """Past the type check, which only tests do."""
  return getattr(function, "__wrapped__", function)


@functools.cache
def golden_body(path):
  with np.load(path) as file:
    data = dict(file)
  part = {k.removeprefix("body/"): v for k, v in data.items() if k.startswith("body/")}
  m = len(part["v_template"])
  joints = part["J_regressor"]
  return data, bodies.Body(
    template=part["v_template"],
    shape_dirs=part["shapedirs"],
    pose_dirs=part["posedirs"].reshape(207, m, 3),
    joint_template=joints @ part["v_template"],
    joint_shape_dirs=np.einsum("jm,mcs->jcs", joints, part["shapedirs"]),
    weights=part["lbs_weights"],
    faces=part["faces_tensor"].astype(np.int32),
    extra_vertices=part["vertex_joint_selector.extra_joints_idxs"].astype(np.int32),
    extra_regressor=part["J_regressor_extra"],
    h36m_regressor=data["J_regressor_h36m"],
  )


@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["numpy", "jax", "jit"])
def test_the_body_equals_the_originals(shared, mode):
  data, body = golden_body(shared / "golden/glot/smpl_tiny.npz")

  def run(rotations, betas):
    posed = bodies.pose(body, rotations, betas)
    return posed, bodies.joints_49(body, posed), bodies.joints_14(body, posed)

  close = functools.partial(np.testing.assert_allclose, atol=2e-6, rtol=0)
  of = np.asarray if mode == "numpy" else jnp.asarray
  run = jax.jit(run) if mode == "jit" else run
  rotations, betas = of(data["in/rotmat"]), of(data["in/betas"])
  posed, joints_49, joints_14 = run(rotations, betas)
  assert isinstance(joints_14, np.ndarray) == (mode == "numpy")
  close(posed.vertices, data["out/verts"])
  close(posed.joints, data["out/joints24"])
  close(joints_49, data["out/joints49"])
  close(joints_14, data["out/joints14_h36m"])
  turned = geometry.axis_angle_to_matrix(of(data["in/pose_aa"]).reshape(4, 24, 3))
  posed, joints_49, _ = run(turned, betas)
  close(posed.vertices, data["out/verts_from_aa"])
  close(joints_49, data["out/joints49_from_aa"])
  np.testing.assert_array_equal(bodies.JOINTS_49, data["joint_map"])
  np.testing.assert_array_equal(bodies.H36M_TO_14, data["H36M_TO_J14"])


@pytest.mark.numeric
@pytest.mark.parametrize("xp", [np, jnp])
def test_projection_equals_the_originals(xp):
  with np.load(GLOT / "camera.npz") as file:
    data = {k: xp.asarray(v) for k, v in file.items()}
  got = bodies.project(data["in/joints"], data["in/cam"])
  assert isinstance(got, type(data["out/kp2d"]))
  np.testing.assert_allclose(got, data["out/kp2d"], atol=2e-6, rtol=0)
  size = tuple(int(v) for v in data["in/img_wh"])
  got = bodies.image_camera(data["in/cam"], data["in/bbox"], size)
  np.testing.assert_allclose(got, data["out/orig_cam"], atol=0, rtol=2e-6)


def test_the_rest_pose_is_the_shaped_template_and_its_joints():
  body = random_body()
  rest = np.broadcast_to(np.eye(3, dtype=np.float32), (24, 3, 3))
  posed = bodies.pose(body, rest, np.zeros(4, np.float32))
  np.testing.assert_allclose(posed.vertices, body.template, atol=2e-6)
  np.testing.assert_allclose(posed.joints, body.joint_template, atol=1e-6)
  betas = np.asarray([1, 0, -2, 0], np.float32)
  posed = bodies.pose(body, rest, betas)
  np.testing.assert_allclose(
    posed.vertices, body.template + body.shape_dirs @ betas, atol=2e-6
  )
  np.testing.assert_allclose(posed.joints, bodies.rest_joints(body, betas), atol=2e-6)


def test_a_turn_of_the_root_turns_the_whole_body_about_the_root_joint():
  body = random_body()
  rotations, betas = random_pose()
  turn = geometry.axis_angle_to_matrix(np.asarray([0.3, 2.0, -1.0], np.float32))
  turned = rotations.copy()
  turned[0] = turn @ rotations[0]
  before, after = (bodies.pose(body, r, betas) for r in (rotations, turned))
  for a, b in zip(before, after, strict=True):
    root = before.joints[:1]
    np.testing.assert_allclose((a - root) @ turn.T, b - root, atol=1e-5)


def test_an_elbow_moves_only_what_hangs_on_it():
  body = random_body()._replace(pose_dirs=np.zeros((207, 40, 3), np.float32))
  rotations, betas = random_pose()
  bent = rotations.copy()
  bent[18] = rotations[18] @ rotations[3]  # left elbow
  before, after = (bodies.pose(body, r, betas) for r in (rotations, bent))
  moved = np.abs(after.joints - before.joints).max(-1) > 1e-6
  assert np.flatnonzero(moved).tolist() == [20, 22]  # left wrist and hand


@pytest.mark.parametrize("xp", [np, jnp])
@pytest.mark.parametrize(
  "batch",
  [
    (2, 4),  # even: four slices of two
    (7,),  # two slices of three and a rest of one
  ],
)
def test_batches_in_slices_are_the_bodies_one_by_one(xp, batch, monkeypatch):
  monkeypatch.setattr(bodies, "_SLICE", 3 * 40)
  body = random_body()
  rotations, betas = random_pose(*batch)
  got = bodies.pose(body, xp.asarray(rotations), xp.asarray(betas))
  assert got.vertices.shape == (*batch, 40, 3)
  for i in np.ndindex(*batch):
    one = bodies.pose(body, rotations[i], betas[i])
    np.testing.assert_allclose(got.vertices[i], one.vertices, atol=1e-5)
    np.testing.assert_allclose(got.joints[i], one.joints, atol=1e-5)


def test_slices_leave_gradients_and_vmap_as_they_are(monkeypatch):
  body = random_body()
  rotations, betas = map(jnp.asarray, random_pose(2, 5))

  def loss(rotations, betas):
    return (bodies.pose(body, rotations, betas).vertices ** 2).sum()

  mapped = jax.vmap(lambda r, b: bodies.pose(body, r, b).vertices)
  whole = jax.grad(loss, (0, 1))(rotations, betas), mapped(rotations, betas)
  monkeypatch.setattr(bodies, "_SLICE", 4 * 40)
  sliced = jax.grad(loss, (0, 1))(rotations, betas), mapped(rotations, betas)
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), whole, sliced
  )


def test_gradients_are_finite_at_rest_and_agree_with_finite_differences():
  body = random_body()
  direction = 0.1 * np.random.default_rng(2).normal(size=(24, 3))

  def loss(rotvec, betas):
    rotations = geometry.axis_angle_to_matrix(rotvec)
    posed = bodies.pose(body, rotations, betas)
    return (bodies.joints_49(body, posed) ** 2).sum() + (posed.vertices**3).sum()

  zero, betas = jnp.zeros((24, 3)), jnp.zeros(4)
  grads = jax.grad(loss, (0, 1))(zero, betas)
  assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in grads)
  slope = float((grads[0] * direction).sum())
  h = 1e-3
  ahead, back = (
    loss(sign * h * direction, np.zeros(4)) for sign in (1, -1)
  )  # in float64
  assert slope == pytest.approx((ahead - back) / (2 * h), rel=1e-3)


def test_the_body_for_joints_has_the_same_joints_and_fewer_vertices():
  body = random_body(m=300)
  small = bodies.for_joints(body)
  assert len(small.template) < 150
  assert small.faces.shape == (0, 3)
  rotations, betas = random_pose(3)
  for joints in (bodies.joints_49, bodies.joints_14):
    want = joints(body, bodies.pose(body, rotations, betas))
    got = joints(small, bodies.pose(small, rotations, betas))
    np.testing.assert_allclose(got, want, atol=1e-6)
  bare = bodies.for_joints(body._replace(h36m_regressor=None))
  assert bare.h36m_regressor is None
  assert len(bare.template) < len(small.template)


def test_a_point_on_the_axis_is_projected_to_the_shift_of_the_camera():
  camera = np.asarray([0.9, 0.2, -0.1])
  at = bodies.project(np.zeros((1, 3)), camera)
  np.testing.assert_allclose(at, [[0.9 * 0.2, 0.9 * -0.1]], rtol=1e-6)
  # A metre to the right is the scale of the camera in crop units.
  step = bodies.project(np.asarray([[1.0, 0, 0]]), camera) - at
  np.testing.assert_allclose(step, [[0.9, 0]], rtol=1e-6)


def test_a_wrong_number_of_betas_is_refused():
  rotations, _ = random_pose()
  with pytest.raises(ValueError, match="got 10 betas, expected the 4 shape components"):
    bodies.pose(random_body(), rotations, np.zeros(10))


def test_fourteen_joints_without_their_regressor_are_refused():
  body = random_body()
  posed = bodies.pose(body, *random_pose())
  with pytest.raises(ValueError, match=r"no Human3\.6M regressor.*JAXPOSE_SMPL_DIR"):
    bodies.joints_14(body._replace(h36m_regressor=None), posed)
