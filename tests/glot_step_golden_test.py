"""Two training steps of the original GLoT, from its weights, batch and mask noise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose import body as bodies
from jaxpose import convert
from jaxpose import geometry
from jaxpose.body import body_files
from jaxpose.convert import glot_torch
from jaxpose.tasks import mesh_losses
from jaxpose.train import optimizers

pytestmark = pytest.mark.numeric

WEIGHTS = dict(kp_2d=300, kp_3d=300, accel_2d=10, accel_3d=100, pose=60, shape=0.06)
STILL = dict.fromkeys(
  (
    "dropout",
    "drop_path",
    "local_dropout",
    "local_drop_path",
    "regressor_dropout",
    "hscr_dropout",
  ),
  0.0,
)


@functools.cache
def load(path):
  with np.load(path) as file:
    return dict(file)


def body_of(arrays) -> bodies.Body:
  joints, template = arrays["J_regressor"], arrays["v_template"]
  return bodies.Body(
    template=template,
    shape_dirs=arrays["shapedirs"],
    pose_dirs=arrays["posedirs"].reshape(207, -1, 3),
    joint_template=joints @ template,
    joint_shape_dirs=np.einsum("jm,mcs->jcs", joints, arrays["shapedirs"]),
    weights=arrays["lbs_weights"],
    faces=arrays["faces_tensor"].astype(np.int32),
    extra_vertices=arrays["vertex_joint_selector.extra_joints_idxs"].astype(np.int32),
    extra_regressor=arrays["J_regressor_extra"],
  )


@pytest.fixture
def run(shared, monkeypatch):
  """The golden step's data, the module and its variables."""
  data = load(shared / "golden/glot/train_step_small.npz")
  weights = {
    k.removeprefix("sd/"): v
    for k, v in load(shared / "golden/glot/model_small.npz").items()
    if k.startswith("sd/")
  }
  body = body_of(glot_torch.body_arrays(weights))
  monkeypatch.setattr(body_files, "load", lambda name: body)
  module, variables = convert.from_torch(
    "glot", weights, heads=4, local_heads=4, body="golden", **STILL
  )
  return data, module, variables


def targets(data):
  n = int(data["in/n2d"])
  points = np.concatenate([data["in/data_2d/kp_2d"], data["in/data_3d/kp_2d"]])

  def padded(key):
    array = data[f"in/data_3d/{key}"]
    return np.concatenate([np.zeros((n, *array.shape[1:]), np.float32), array])

  theta = padded("theta")
  turns = theta[..., 3:75].reshape(*theta.shape[:2], 24, 3)
  batch = dict(
    points=points[..., :2],
    confidence=points[..., 2],
    joints=padded("kp_3d"),
    rotations=geometry.axis_angle_to_matrix(turns),
    betas=theta[..., 75:],
    has_joints=padded("w_3d"),
    has_smpl=padded("w_smpl"),
  )
  return jax.tree.map(jnp.asarray, batch)


def terms(out, batch, prefix, removed):
  """Weighted terms of one branch."""
  p = {k: out[prefix + k] for k in ("keypoints_2d", "joints_3d", "rotations", "betas")}
  points = (p["keypoints_2d"], batch["points"], batch["confidence"], removed)
  joints = (p["joints_3d"], batch["joints"], batch["has_joints"], removed)
  smpl = batch["has_smpl"], removed
  found = dict(
    kp_2d=mesh_losses.keypoints_2d(*points),
    kp_3d=mesh_losses.joints_3d(*joints),
    accel_2d=mesh_losses.velocity_2d(*points),
    accel_3d=mesh_losses.velocity_3d(*joints),
    pose=mesh_losses.rotations(p["rotations"], batch["rotations"], *smpl),
    shape=mesh_losses.betas(p["betas"], batch["betas"], *smpl),
  )
  return {k: WEIGHTS[k] * v for k, v in found.items()}


def test_two_steps_are_the_originals(run):
  data, module, variables = run
  batch = targets(data)
  local = {k: v[:, 7:10] for k, v in batch.items()}
  x, noise = jnp.asarray(data["in/x"]), jnp.asarray(data["in/noise"])
  constants = {"constants": variables["constants"]}
  tx = optimizers.build("adam_l2", 1e-4, weight_decay=1e-5)

  def loss(params):
    out = module.apply({"params": params, **constants}, x, train=True, noise=noise)
    groups = dict(
      mae=terms(out, batch, "global_", out["mask"]),
      short=terms(out, local, "", None),
    )
    flat = {f"{k}_{b}": v for b, group in groups.items() for k, v in group.items()}
    return sum(flat.values()), flat

  @jax.jit
  def step(params, state):
    (total, flat), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state, grads, total, flat

  params = variables["params"]
  state = tx.init(params)
  for number in range(2):
    params, state, grads, total, flat = step(params, state)
    np.testing.assert_allclose(total, data[f"out/step{number}/total"], rtol=1e-5)
    for name, value in flat.items():
      expected = data[f"out/step{number}/loss_{name}"]
      np.testing.assert_allclose(value, expected, rtol=2e-5, err_msg=name)
    if number == 0:
      first = convert.to_torch("glot", module, {"params": grads, **constants})
  published = {k.removeprefix("grad/"): v for k, v in data.items() if "grad/" in k}
  assert len(published) > 150
  for name, expected in published.items():
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
      first[name], expected, atol=1e-4 * scale, rtol=0, err_msg=name
    )
  after = convert.to_torch("glot", module, {"params": params, **constants})
  compared = total_entries = 0
  for key, expected in data.items():
    if not key.startswith("after2/"):
      continue
    name = key.removeprefix("after2/")
    # Adam divides by the gradient's size: where that is rounding alone (a bias of the
    # keys cancels in the softmax), its steps are too.
    gradient = np.abs(published[name])
    sure = gradient > 1e-3 * gradient.max()
    np.testing.assert_allclose(
      after[name][sure], expected[sure], atol=1e-6, err_msg=name
    )
    compared, total_entries = compared + sure.sum(), total_entries + sure.size
  assert compared > 0.9 * total_entries
