"""Errors of 2D detectors."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import detector_errors
from tests.transforms_test import array

H36M = skeletons.get("h36m17")
KEY = jax.random.key(0)


def test_noise_grows_towards_the_ends_of_the_limbs():
  scale = detector_errors.joint_noise_scale(H36M)
  order = [H36M.index(j) for j in ("hip", "left_hip", "left_knee", "left_foot")]
  assert (np.diff(scale[order]) > 0).all()
  assert scale[0] == 1
  assert scale.max() == 2


@functools.cache
def detector_error(**kw):
  """Errors over what they should scale with; by default of both parts."""
  keypoints = jnp.broadcast_to(array(1, 1, 17, 2) * 0.2, (200, 24, 17, 2))
  noisy = jax.jit(lambda k, x: detector_errors.detector_noise(k, x, H36M, **kw))(
    KEY, keypoints
  )
  box = np.ptp(np.asarray(keypoints[0, 0]), axis=0)
  scale = detector_errors.joint_noise_scale(H36M)[:, None] * np.linalg.norm(box)
  return np.asarray(noisy - keypoints) / scale


def test_detector_noise_has_the_asked_size():
  white = detector_error(white=0.01, drift=0.0, outlier_rate=0.0)
  np.testing.assert_allclose(white.std((0, 1)), 0.01, rtol=0.07)
  np.testing.assert_allclose(white.mean(), 0, atol=2e-4)
  drift = detector_error(white=0.0, drift=0.02, memory=0.8, outlier_rate=0.0)
  # Stationary: as large in the first frame as in the last.
  np.testing.assert_allclose(drift[:, [0, 12, -1]].std((0, 2, 3)), 0.02, rtol=0.06)


def test_detector_noise_is_correlated_in_time_as_asked():
  def correlation(error, lag):
    return (error[:, lag:] * error[:, :-lag]).mean() / (error**2).mean()

  white = detector_error(white=0.01, drift=0.0, outlier_rate=0.0)
  drift = detector_error(white=0.0, drift=0.02, memory=0.8, outlier_rate=0.0)
  assert abs(correlation(white, 1)) < 0.02
  np.testing.assert_allclose(correlation(drift, 1), 0.8, atol=0.03)
  np.testing.assert_allclose(correlation(drift, 4), 0.8**4, atol=0.05)


def test_detector_noise_has_heavy_tails():
  def kurtosis(x):
    return (x**4).mean() / (x**2).mean() ** 2

  normal = detector_error(white=0.01, drift=0.0, outlier_rate=0.0)
  assert kurtosis(normal) == pytest.approx(3, abs=0.1)
  assert kurtosis(detector_error()) > 5


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3])
def test_dropout_hides_the_asked_share_in_every_frame(rate):
  keypoints = array(300, 20, 17, 2)
  _, confidence = jax.jit(detector_errors.joint_dropout, static_argnums=2)(
    KEY, keypoints, rate
  )
  missing = 1 - np.asarray(confidence)
  assert set(np.unique(missing)) <= {0.0, 1.0}
  np.testing.assert_allclose(missing.mean((0, 2)), rate, atol=0.02 + 0.1 * rate)
  np.testing.assert_allclose(missing.mean(), rate, atol=0.01 + 0.02 * rate)


def test_dropout_comes_in_spans_and_fills_like_interp():
  keypoints = array(50, 30, 17, 2)
  hide = jax.jit(lambda k, x: detector_errors.joint_dropout(k, x, 0.2, max_span=6))
  filled, confidence = hide(KEY, keypoints)
  filled, keypoints, confidence = map(np.asarray, (filled, keypoints, confidence))
  missing = confidence == 0
  starts = (missing & ~np.pad(missing, ((0, 0), (1, 0), (0, 0)))[:, :-1]).sum()
  assert missing.sum() / starts > 2.5
  frame = np.arange(30)
  for b, j, c in np.ndindex(50, 1, 2):
    seen = ~missing[b, :, j]
    expected = np.interp(frame, frame[seen], keypoints[b, seen, j, c])
    np.testing.assert_allclose(filled[b, :, j, c], expected, atol=1e-5)


def test_a_joint_hidden_throughout_gets_the_mean_of_the_others():
  points = array(2, 4, 17, 2)
  seen = jnp.ones((2, 4, 17), bool).at[0, :, 3].set(False).at[1].set(False)
  filled = np.asarray(jax.jit(detector_errors._fill)(points, seen))
  others = np.delete(np.asarray(points[0]), 3, axis=1)
  np.testing.assert_allclose(filled[0, :, 3], others.mean(1), atol=1e-6)
  np.testing.assert_array_equal(filled[1], 0)


def test_dropout_of_everything_is_refused():
  with pytest.raises(
    ValueError, match=r"got a dropout rate of 1.0, expected 0 <= rate"
  ):
    detector_errors.joint_dropout(KEY, array(1, 2, 17, 2), 1.0)


def swapped(keypoints, rate):
  where = jax.jit(detector_errors.side_swaps, static_argnums=(2, 3))(
    KEY, keypoints, H36M, rate
  )
  made = detector_errors.exchange_sides(keypoints, where, H36M)
  return (np.asarray(made) != np.asarray(keypoints)).any(-1)


def facing(sign):
  """(600, 20, 17, 2): the left shoulder at the picture's right, or from behind."""
  keypoints = np.array(jnp.broadcast_to(array(1, 1, 17, 2), (600, 20, 17, 2)))
  keypoints[:, :, H36M.index("left_shoulder"), 0] = sign
  keypoints[:, :, H36M.index("right_shoulder"), 0] = -sign
  return jnp.asarray(keypoints)


def test_sides_are_exchanged_more_often_from_behind():
  paired = H36M.mirror != np.arange(17)
  front, behind = (swapped(facing(sign), 0.1) for sign in (1, -1))
  assert not front[..., ~paired].any()
  assert not behind[..., ~paired].any()
  np.testing.assert_allclose(front.any(-1).mean(), 0.04, rtol=0.25)
  np.testing.assert_allclose(behind.any(-1).mean(), 0.16, rtol=0.15)


def test_limbs_change_places_as_a_whole():
  changed = swapped(facing(-1), 0.2)
  legs, arms = detector_errors._limbs(H36M)[1:]
  paired = H36M.mirror != np.arange(17)
  kinds = {tuple(one) for one in changed.reshape(-1, 17)}
  assert kinds == {
    tuple(np.zeros(17, bool)),
    tuple(paired),
    tuple(paired & legs),
    tuple(paired & arms),
  }
  assert legs.sum() == arms.sum() == 6


def test_swaps_of_everything_are_refused():
  with pytest.raises(ValueError, match=r"rate of swaps of 0.7, expected 0 <= rate < 0"):
    detector_errors.side_swaps(KEY, array(1, 2, 17, 2), H36M, 0.7)


def test_a_detector_without_errors_sees_what_there_is():
  keypoints, joints = array(3, 4, 17, 2), array(3, 4, 17, 3)
  points, confidence = detector_errors.as_detected(
    KEY, keypoints, joints, H36M, detector_errors.Errors()
  )
  np.testing.assert_array_equal(points, keypoints)
  np.testing.assert_array_equal(confidence, 1)


def test_a_share_of_the_windows_stays_exact():
  keypoints = array(400, 6, 17, 2)
  joints = array(400, 6, 17, 3) + jnp.asarray([[[[0.0, 0.0, 5.0]]]])
  errors = dataclasses.replace(detector_errors.TYPICAL, dropout=0.3, exact=0.4)
  points, confidence = map(
    np.asarray, detector_errors.as_detected(KEY, keypoints, joints, H36M, errors)
  )
  exact = (points == np.asarray(keypoints)).all((1, 2, 3))
  assert exact.mean() == pytest.approx(0.4, abs=0.07)
  assert (confidence[exact] == 1).all()
  assert (confidence[~exact] == 0).mean() == pytest.approx(0.3, abs=0.05)
