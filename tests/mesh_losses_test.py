"""GLoT's loss terms: equality with the original's, and their laws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.tasks import mesh_losses as losses

pytestmark = pytest.mark.numeric

WEIGHTS = dict(  # keypoints 2D, joints 3D, velocity 2D and 3D, pose, shape
  table1_3dpw=(300, 300, 10, 100, 60, 0.06),
  table1_h36m_mpii3d=(100, 150, 10, 100, 60, 0.06),
  table2_3dpw=(100, 200, 10, 100, 60, 0.06),
  unit_vel=(1, 1, 1, 1, 1, 1),
  unit_accel=(1, 1, 1, 1, 1, 1),
  only3d_unit_vel=(1, 1, 1, 1, 1, 1),
  nosmpl_unit_vel=(1, 1, 1, 1, 1, 1),
  nomask_unit_vel=(1, 1, 1, 1, 1, 1),
)


@functools.cache
def load(shared):
  with np.load(shared / "golden/glot/losses.npz") as file:
    return dict(file)


def targets(data, case):
  """The batch of a case: 2D-only windows first, with 3D of weight 0."""
  n = 0 if case == "only3d_unit_vel" else 2
  kp = np.concatenate([data["in/data_2d/kp_2d"][:n], data["in/data_3d/kp_2d"]])

  def padded(key):
    array = data[f"in/data_3d/{key}"]
    return np.concatenate([np.zeros((n, *array.shape[1:]), np.float32), array])

  batch = dict(
    points=kp[..., :2],
    confidence=kp[..., 2],
    joints=padded("kp_3d"),
    theta=padded("theta"),
    has_joints=padded("w_3d"),
    has_smpl=padded("w_smpl"),
  )
  if case == "nosmpl_unit_vel":
    batch["has_smpl"] = np.zeros_like(batch["has_smpl"])
  return jax.tree.map(jnp.asarray, batch)


def terms(pred, batch, removed, weights, order):
  def rotation(theta):
    axis_angle = theta[..., 3:75].reshape(*theta.shape[:2], 24, 3)
    return geometry.axis_angle_to_matrix(axis_angle)

  args = (pred["kp_2d"], batch["points"], batch["confidence"], removed)
  joints = (pred["kp_3d"], batch["joints"], batch["has_joints"], removed)
  turns = (rotation(pred["theta"]), rotation(batch["theta"]))
  shapes = (pred["theta"][..., 75:], batch["theta"][..., 75:])
  found = dict(
    kp_2d=losses.keypoints_2d(*args),
    kp_3d=losses.joints_3d(*joints),
    accel_2d=losses.velocity_2d(*args, order=order),
    accel_3d=losses.velocity_3d(*joints, order=order),
    pose=losses.rotations(*turns, batch["has_smpl"], removed),
    shape=losses.betas(*shapes, batch["has_smpl"], removed),
  )
  return {k: w * v for (k, v), w in zip(found.items(), weights, strict=True)}


def all_terms(preds, data, case):
  batch = targets(data, case)
  n = batch["points"].shape[0]
  removed = jnp.asarray(data["in/mask"][..., 0][-n:])
  if case == "nomask_unit_vel":
    removed = None
  order = 2 if case == "unit_accel" else 1
  local = {k: v[:, 7:10] for k, v in batch.items()}
  take = {b: {k: v[-n:] for k, v in p.items()} for b, p in preds.items()}
  found = dict(
    mae=terms(take["global"], batch, removed, WEIGHTS[case], order),
    short=terms(take["short"], local, None, WEIGHTS[case], order),
  )
  return {f"{k}_{b}": v for b, group in found.items() for k, v in group.items()}


def predictions(data):
  return {
    branch: {
      key: jnp.asarray(data[f"in/pred_{branch}/{key}"])
      for key in ("kp_2d", "kp_3d", "theta")
    }
    for branch in ("global", "short")
  }


@pytest.mark.parametrize("case", WEIGHTS)
def test_every_term_is_the_originals(shared, case):
  data = load(shared)
  found = all_terms(predictions(data), data, case)
  names = [k.split("/")[-1] for k in data if k.startswith(f"out/{case}/loss_")]
  assert len(names) == (8 if case == "nosmpl_unit_vel" else 12)
  for name in names:
    expected = data[f"out/{case}/{name}"]
    np.testing.assert_allclose(found[name.removeprefix("loss_")], expected, rtol=1e-5)
  total = data[f"out/{case}/total"]
  np.testing.assert_allclose(sum(found.values()), total, rtol=2e-6)


@pytest.mark.parametrize("case", ["unit_vel", "unit_accel"])
def test_the_gradient_is_the_originals(shared, case):
  data = load(shared)

  @jax.jit
  @jax.grad
  def gradient(preds):
    return sum(all_terms(preds, data, case).values())

  for branch, group in gradient(predictions(data)).items():
    for key, found in group.items():
      expected = data[f"grad/{case}/{branch}/{key}"]
      scale = np.abs(expected).max()
      np.testing.assert_allclose(found, expected, atol=1e-5 * scale, rtol=0)


def random(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


PRED, TARGET = random(2, 6, 49, 3), random(2, 6, 49, 3, seed=1)
PRESENT = jnp.asarray([[1.0] * 6, [0.0] * 6])


def test_windows_without_3d_have_no_say():
  other = TARGET.at[1].set(100.0)
  for term in (losses.joints_3d, losses.velocity_3d):
    assert term(PRED, TARGET, PRESENT) == term(PRED, other, PRESENT) > 0


@pytest.mark.parametrize("term", [losses.joints_3d, losses.velocity_3d])
def test_a_batch_without_3d_has_no_loss_and_no_nan(term):
  value, slope = jax.value_and_grad(term)(PRED, TARGET, 0 * PRESENT)
  assert value == 0
  assert not np.asarray(slope).any()


def test_the_root_may_be_anywhere():
  moved = PRED + jnp.asarray([1.0, -2.0, 3.0]).reshape(1, 1, 1, 3)
  found = losses.joints_3d(moved, TARGET, PRESENT)
  np.testing.assert_allclose(found, losses.joints_3d(PRED, TARGET, PRESENT), rtol=1e-5)


def test_centred_velocities_do_not_see_a_walk():
  walk = jnp.arange(6.0).reshape(1, 6, 1, 1) * jnp.ones((1, 1, 1, 3))
  assert losses.velocity_3d(TARGET + walk, TARGET, PRESENT) > 0.5
  centred = losses.velocity_3d(TARGET + walk, TARGET, PRESENT, centred=True)
  np.testing.assert_allclose(centred, 0, atol=1e-10)


def test_only_removed_frames_count_where_the_mask_is_elementwise():
  removed = jnp.zeros((2, 6), bool).at[:, 2].set(True)
  other = TARGET.at[:, 4:].set(9.0)

  def value(target, masking):
    return losses.velocity_3d(PRED, target, PRESENT, removed, masking=masking)

  assert value(TARGET, "elementwise") == value(other, "elementwise") > 0
  assert value(TARGET, "mean") != value(other, "mean")


def test_unknown_choices_are_refused():
  with pytest.raises(ValueError, match="got masking 'all', expected 'mean' or"):
    losses.velocity_3d(PRED, TARGET, PRESENT, masking="all")
  with pytest.raises(ValueError, match="got differences of order 3, expected 1 or 2"):
    losses.velocity_3d(PRED, TARGET, PRESENT, order=3)


# Terms by name.


def named(b=3, t=6, n=3):
  """An output of n local and t global frames, and a batch of targets."""
  rng = np.random.default_rng(0)

  def draw(*shape):
    return jnp.asarray(rng.normal(size=shape), jnp.float32)

  shapes = dict(
    keypoints_2d=(49, 2), joints_3d=(49, 3), rotations=(24, 3, 3), betas=(10,)
  )
  out = {key: draw(b, n, *shape) for key, shape in shapes.items()}
  out |= {f"global_{key}": draw(b, t, *shape) for key, shape in shapes.items()}
  out["mask"] = jnp.asarray(rng.random((b, t)) < 0.5)
  batch = {key: draw(b, t, *shape) for key, shape in shapes.items()}
  batch["confidence_2d"] = jnp.asarray(rng.random((b, t, 49)), jnp.float32)
  for key in ("has_joints_3d", "has_smpl"):
    batch[key] = jnp.asarray(rng.integers(0, 2, (b, t)), jnp.float32)
  return out, batch


@pytest.mark.parametrize("name", list(losses.TERMS))
def test_the_local_branch_is_compared_with_the_middle_frames(name):
  out, batch = named()
  function, key, weight = losses.TERMS[name]
  middle = slice(2, 5)  # frame 3 of 6 and its neighbours
  expected = function(out[key], batch[key][:, middle], batch[weight][:, middle])
  assert losses.term(out, batch, name, key) == expected


@pytest.mark.parametrize("name", list(losses.TERMS))
def test_the_global_branch_answers_for_removed_frames_or_for_all(name):
  out, batch = named()
  function, key, weight = losses.TERMS[name]
  args = out[f"global_{key}"], batch[key], batch[weight]
  removed = losses.term(out, batch, name, f"global_{key}")
  assert removed == function(*args, out["mask"])
  everything = losses.term(out, batch, name, f"global_{key}", supervise="all")
  assert everything == function(*args)
  assert everything > removed


def test_options_reach_the_term():
  out, batch = named()
  plain = losses.term(out, batch, "velocity_3d", "joints_3d")
  centred = losses.term(out, batch, "velocity_3d", "joints_3d", centred=True)
  assert plain != centred


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (("betas", "rotations", {}), "got the key 'rotations', expected 'betas' or 'globa"),
    (("betas", "betas", dict(supervise="some")), "got supervise='some', expected 'rem"),
  ],
)
def test_terms_that_make_no_sense_are_refused(arguments, sentence):
  out, batch = named()
  name, key, options = arguments
  with pytest.raises(ValueError, match=sentence):
    losses.term(out, batch, name, key, **options)


def test_joints_need_a_body():
  out, batch = named()
  del out["joints_3d"]
  with pytest.raises(ValueError, match="gives no 'joints_3d'; set its field body"):
    losses.term(out, batch, "joints_3d", "joints_3d")
