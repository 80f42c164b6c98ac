import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose import metrics

pytestmark = pytest.mark.numeric

JOINTS = 17


def poses(seed, *shape):
  return np.random.default_rng(seed).normal(size=(*shape, JOINTS, 3)).astype(np.float32)


def similarity(x, seed=0):
  rng = np.random.default_rng(seed)
  turn = geometry.axis_angle_to_matrix(rng.normal(size=3)).astype(np.float32)
  return 1.7 * x @ turn.T + rng.normal(size=3).astype(np.float32)


@pytest.mark.parametrize("file", ["metrics_17j", "metrics_15j"])
def test_metrics_equal_the_published_code(golden, file):
  data = np.load(golden / f"{file}.npz")
  for pred, gt in [
    (data["pred"], data["gt"]),
    map(jnp.asarray, (data["pred"], data["gt"])),
  ]:
    pa = np.asarray(metrics.pa_mpjpe(pred, gt))
    np.testing.assert_allclose(pa, data["p_mpjpe_per_frame"], atol=2e-6)
    np.testing.assert_allclose(pa.mean(), data["p_mpjpe"], atol=1e-6)
    for name, key in dict(
      mpjpe="mpjpe", n_mpjpe="n_mpjpe", velocity_error="mean_velocity_error"
    ).items():
      value = np.asarray(metrics.METRICS[name](pred, gt)).mean()
      np.testing.assert_allclose(value, data[key], atol=1e-6)


def test_pck_and_auc_follow_the_written_mpi_inf_3dhp_rule(golden):
  data = np.load(golden / "metrics_17j.npz")
  joints = [j for group in metrics.MPI3DHP_GROUPS.values() for j in group]
  pred, gt = data["pred"][:, joints], data["gt"][:, joints]
  np.testing.assert_allclose(
    100 * metrics.pck(pred, gt).mean(), data["pck150"], atol=1e-4
  )
  np.testing.assert_allclose(100 * metrics.auc(pred, gt).mean(), data["auc"], atol=1e-4)


def test_pck_threshold_is_strict_and_auc_counts_31_thresholds():
  target = np.zeros((1, JOINTS, 3))
  pred = target + np.asarray([0.0, 0.0, 0.25])
  assert metrics.pck(pred, target, threshold=0.25) == 0
  assert metrics.pck(pred, target, threshold=0.2501) == 1
  assert len(metrics.AUC_THRESHOLDS) == 31
  # A perfect pose passes all thresholds but the first, which is 0 and strict.
  np.testing.assert_allclose(metrics.auc(target, target), 30 / 31)


def test_mpjpe_is_the_mean_distance():
  target = poses(0, 2)
  pred = target + np.asarray([3.0, 4.0, 0.0], np.float32)
  np.testing.assert_allclose(metrics.mpjpe(pred, target), 5.0, rtol=1e-5)


def test_pa_mpjpe_ignores_similarity():
  target = poses(1, 3)
  assert metrics.mpjpe(similarity(target), target).min() > 0.1
  np.testing.assert_allclose(metrics.pa_mpjpe(similarity(target), target), 0, atol=2e-6)


def test_pa_mpjpe_does_not_align_a_reflection_away():
  target = poses(2, 3)
  mirrored = target * np.asarray([-1, 1, 1], np.float32)
  assert metrics.pa_mpjpe(mirrored, target).min() > 0.1


def test_pa_mpjpe_of_a_collapsed_prediction_is_the_spread_of_the_target():
  target = poses(2, 3)
  spread = metrics.mpjpe(
    np.broadcast_to(target.mean(1, keepdims=True), (3, 17, 3)), target
  )
  np.testing.assert_allclose(
    metrics.pa_mpjpe(0 * target + 2, target), spread, rtol=1e-5
  )


def test_pa_mpjpe_of_two_valid_joints_is_zero():
  pred, target = poses(2, 3), poses(3, 3)
  valid = np.arange(JOINTS) < 2
  value = metrics.pa_mpjpe(pred, target, np.broadcast_to(valid, (3, JOINTS)))
  np.testing.assert_array_equal(value, 0)


def test_n_mpjpe_ignores_scale_but_not_translation():
  target = poses(3, 3)
  np.testing.assert_allclose(metrics.n_mpjpe(0.3 * target, target), 0, atol=2e-6)
  assert metrics.n_mpjpe(target + 1, target).min() > 0.1


def test_velocity_ignores_a_constant_and_acceleration_a_constant_velocity():
  target = poses(4, 2, 9)
  drift = np.arange(9, dtype=np.float32)[None, :, None, None]
  np.testing.assert_allclose(metrics.velocity_error(target + 1, target), 0, atol=1e-6)
  moving = target + 0.5 * drift
  np.testing.assert_allclose(
    metrics.velocity_error(moving, target), np.sqrt(3) * 0.5, rtol=1e-5
  )
  np.testing.assert_allclose(metrics.acceleration_error(moving, target), 0, atol=2e-6)
  bent = target + 0.5 * drift**2
  np.testing.assert_allclose(
    metrics.acceleration_error(bent, target), np.sqrt(3), rtol=1e-4
  )


def test_a_sequence_too_short_for_a_difference_scores_zero():
  one = poses(5, 2, 1)
  np.testing.assert_array_equal(metrics.velocity_error(one + one, one), [0, 0])
  two = poses(5, 2)
  assert metrics.acceleration_error(two + two, two) == 0


@pytest.mark.parametrize("name", ["mpjpe", "pa_mpjpe", "n_mpjpe", "pck", "auc"])
def test_masked_joints_do_not_count(name):
  metric = metrics.METRICS[name]
  pred, target = 0.1 * poses(6, 4), 0.1 * poses(7, 4)
  valid = np.random.default_rng(8).random((4, JOINTS)) < 0.7
  garbage = np.where(valid[..., None], pred, 1e3).astype(np.float32)
  masked = metric(garbage, target, valid)
  for i in range(4):
    alone = metric(pred[i, valid[i]], target[i, valid[i]])
    np.testing.assert_allclose(masked[i], alone, rtol=1e-4, atol=1e-6)
  on_jax = metric(jnp.asarray(garbage), jnp.asarray(target), jnp.asarray(valid))
  np.testing.assert_allclose(on_jax, masked, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["velocity_error", "acceleration_error"])
def test_differences_across_an_invalid_frame_do_not_count(name):
  metric = metrics.METRICS[name]
  pred, target = poses(9, 8), poses(10, 8)
  valid = np.ones((8, JOINTS), np.float32)
  valid[5:] = 0
  expected = metric(pred[:5], target[:5])
  pred[5:] = 1e3
  np.testing.assert_allclose(metric(pred, target, valid), expected, rtol=1e-5)


@pytest.mark.parametrize("name", list(metrics.METRICS))
def test_an_example_without_valid_joints_scores_zero(name):
  pred, target = poses(11, 5), poses(12, 5)
  value = metrics.METRICS[name](pred, target, np.zeros((5, JOINTS), bool))
  np.testing.assert_array_equal(value, np.zeros_like(value))


@pytest.mark.parametrize("name", list(metrics.METRICS))
@pytest.mark.parametrize("masked", [False, True])
def test_gradient_is_finite_where_prediction_equals_target(name, masked):
  target = jnp.asarray(poses(13, 2, 6))
  valid = jnp.ones((2, 6, JOINTS)).at[:, 2].set(0) if masked else None

  def loss(pred):
    return metrics.METRICS[name](pred, target, valid).sum()

  assert np.isfinite(jax.jit(jax.grad(loss))(target)).all()


@pytest.mark.parametrize("name", ["mpjpe", "pa_mpjpe", "n_mpjpe", "velocity_error"])
def test_gradient_is_finite_for_a_prediction_of_zeros(name):
  target = jnp.asarray(poses(14, 6))
  grad = jax.jit(jax.grad(lambda pred: metrics.METRICS[name](pred, target).sum()))
  assert np.isfinite(grad(jnp.zeros_like(target))).all()


def test_metrics_keep_numpy_and_leading_axes():
  pred, target = poses(15, 2, 3, 4), poses(16, 2, 3, 4)
  for name, metric in metrics.METRICS.items():
    value = metric(pred, target)
    assert isinstance(value, np.ndarray), name
    per_sequence = name in ("velocity_error", "acceleration_error")
    assert value.shape == ((2, 3) if per_sequence else (2, 3, 4)), name
