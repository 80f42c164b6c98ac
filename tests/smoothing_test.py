import dataclasses

import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.motion import smoothing
from jaxpose.motion.smoothing import OneEuro
from jaxpose.motion.smoothing import SavitzkyGolay

FPS = 50.0


def motion(joints=4, frames=120, noise=0.015, c=3):
  """A swing of 0.5 Hz, as seen and as it is."""
  rng = np.random.default_rng(0)
  time = np.arange(frames)[:, None, None] / FPS
  phase, size = rng.normal(size=(2, 1, joints, c))
  true = 0.1 * size * np.sin(3 * time + 3 * phase)
  return true + noise * rng.normal(size=true.shape), true


def error(a, b):
  return np.linalg.norm(a - b, axis=-1).mean()


@pytest.mark.parametrize("method", smoothing.METHODS)
def test_noise_goes_and_the_motion_stays(method):
  seen, true = motion()
  result = smoothing.smooth(seen, FPS, method)
  assert result.points.shape == seen.shape
  assert error(result.points, true) < 0.95 * error(seen, true)
  assert result.after < 0.5 * result.before
  assert result.before == pytest.approx(smoothing.acceleration(seen, FPS))
  assert result.after == pytest.approx(smoothing.acceleration(result.points, FPS))
  assert result.moved == pytest.approx(error(result.points, seen))


@pytest.mark.parametrize("c", [2, 3])
def test_a_stream_gives_what_the_clip_gives(c):
  seen, _ = motion(c=c)
  seen[20:25, 1] = np.nan
  seen[:3, 2] = np.nan
  whole = smoothing.smooth(seen, FPS, "one_euro", metres=0.5).points
  state = smoothing.start(seen.shape[1:])
  for frame, expected in zip(seen, whole, strict=True):
    state, points = smoothing.step(state, frame, FPS, metres=0.5)
    np.testing.assert_array_equal(points, expected)


def test_the_one_euro_filter_sees_no_future_and_savgol_has_no_lag():
  seen, true = motion(noise=0.0)
  changed = seen.copy()
  changed[60:] += 1
  for method, causal in (("one_euro", True), ("savgol", False)):
    a, b = (smoothing.smooth(x, FPS, method).points for x in (seen, changed))
    assert np.array_equal(a[:60], b[:60]) == causal
  assert error(smoothing.smooth(seen, FPS, "savgol").points, true) < 0.003


def test_one_euro_by_hand():
  # One joint at 0 for a frame, then at 1 m: the formulas of the paper.
  points = np.asarray([[[0.0, 0, 0]], [[1.0, 0, 0]]])
  options = OneEuro(min_cutoff=1.0, beta=0.5, derivative_cutoff=2.0)
  share = 1 / (1 + FPS / (2 * np.pi * 2.0))
  cutoff = 1.0 + 0.5 * share * FPS
  expected = 1 / (1 + FPS / (2 * np.pi * cutoff))
  result = smoothing.smooth(points, FPS, options).points
  np.testing.assert_allclose(result[1, 0], [expected, 0, 0], rtol=1e-12)
  np.testing.assert_array_equal(result[0], points[0])


@pytest.mark.parametrize("method", smoothing.METHODS)
def test_the_axes_do_not_matter(method):
  seen, _ = motion()
  turn = geometry.axis_angle_to_matrix(np.asarray([0.3, -1.0, 0.7]))
  turned = smoothing.smooth(seen @ turn.T, FPS, method).points
  expected = smoothing.smooth(seen, FPS, method).points @ turn.T
  np.testing.assert_allclose(turned, expected, atol=1e-12)


def test_pixels_are_smoothed_as_the_metres_that_they_are():
  seen, _ = motion(c=2)
  pixels = smoothing.smooth(400 * seen, FPS, metres=1 / 400, unit="px")
  np.testing.assert_allclose(pixels.points, 400 * smoothing.smooth(seen, FPS).points)
  assert " px/s² before smoothing" in pixels.report


@pytest.mark.parametrize("method", smoothing.METHODS)
def test_missing_points_stay_missing_and_spoil_nothing(method):
  seen, true = motion()
  seen[30:34, 1, 0] = np.nan
  seen[90:, 2] = np.nan
  result = smoothing.smooth(seen, FPS, method)
  missing = np.isnan(seen).any(-1)
  assert np.isnan(result.points[missing]).all()
  assert np.isfinite(result.points[~missing]).all()
  assert error(result.points[34:90, 1], true[34:90, 1]) < 0.05
  others = smoothing.smooth(seen[:, [0, 3]], FPS, method).points
  np.testing.assert_array_equal(result.points[:, [0, 3]], others)
  assert np.isfinite([result.before, result.after, result.moved]).all()


def test_a_joint_unseen_for_long_starts_anew():
  points = np.zeros((60, 1, 3))
  points[5:55] = np.nan
  points[55:] = 2.0
  np.testing.assert_array_equal(smoothing.smooth(points, FPS).points[55:], points[55:])
  points[5:55] = 0.0  # seen all the time, it lags
  assert smoothing.smooth(points, FPS).points[55, 0, 0] < 2


def test_savgol_leaves_polynomials_and_short_stretches_alone():
  time = np.arange(40)[:, None, None] / FPS
  parabola = np.concatenate([time, time**2, 1 - 3 * time**2], -1)
  result = smoothing.smooth(parabola, FPS, "savgol").points
  np.testing.assert_allclose(result, parabola, atol=1e-12)
  short, _ = motion(frames=3)
  np.testing.assert_array_equal(smoothing.smooth(short, FPS, "savgol").points, short)


def test_savgol_smooths_at_low_frame_rates_too():
  noise = np.random.default_rng(0).normal(size=(60, 2, 3))
  result = smoothing.smooth(noise, 10, "savgol")  # 0.2 s are 2 frames
  assert result.after < 0.5 * result.before


def test_nothing_seen_gives_nothing_without_a_warning():
  points = np.full((5, 2, 3), np.nan)
  with np.errstate(all="raise"):
    result = smoothing.smooth(points, FPS, "savgol")
  assert np.isnan(result.points).all()
  assert (result.before, result.after, result.moved) == (0, 0, 0)


def test_the_report_says_the_unit():
  # Alternating by 1 mm at 50 Hz: second differences of 4 mm, 10,000 mm/s².
  points = np.zeros((50, 1, 3))
  points[::2, 0, 0] = 0.001
  points[1::2, 0, 0] = -0.001
  report = smoothing.smooth(points, FPS, "savgol").report
  assert report.startswith("Mean acceleration 10,000 mm/s² before smoothing, ")


def test_real_motion_gains_from_smoothing(shared):
  with np.load(shared / "data/cmu_mocap/cmu_test.npz") as data:
    i = list(data["action"]).index("walk")
    first = data["clip_start"][i]
    true = np.float64(data["joints3d"][first : first + data["clip_len"][i]])
  true = true - true[:, :1]
  seen = true + 0.015 * np.random.default_rng(0).normal(size=true.shape)
  for method, most in (("one_euro", 0.9), ("savgol", 0.6), ("savgol_strong", 0.5)):
    result = smoothing.smooth(seen, FPS, method)
    assert error(result.points, true) < most * error(seen, true), method
    assert result.after < 0.5 * result.before


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (dict(method="euro"), "got the smoothing 'euro', expected 'one_euro', "),
    (dict(fps=0), "got fps=0, expected frames per second, above 0"),
    (dict(metres=-1), "got metres=-1, expected metres in one unit"),
    (dict(method=OneEuro(min_cutoff=0)), "got min_cutoff=0, expected hertz, above 0"),
    (dict(method=OneEuro(derivative_cutoff=0)), "got derivative_cutoff=0, expected"),
    (dict(method=OneEuro(beta=-1)), "got beta=-1, expected 0 or more"),
    (dict(method=SavitzkyGolay(seconds=0)), "got seconds=0, expected the window in"),
    (dict(method=SavitzkyGolay(order=-1)), "got order=-1, expected 0 or more"),
    (dict(points=np.zeros((3, 2, 4))), r"got points of shape \(3, 2, 4\), expected"),
    (dict(points=np.zeros((0, 2, 3))), r"got points of shape \(0, 2, 3\), expected"),
  ],
)
def test_bad_input_is_said_in_a_sentence(change, message):
  arguments = dict(points=np.zeros((5, 2, 3)), fps=FPS, method="one_euro") | change
  with pytest.raises(ValueError, match=message):
    smoothing.smooth(**arguments)


def test_a_state_of_another_clip_is_refused():
  with pytest.raises(ValueError, match=r"for a state of \(4, 3\), expected equal"):
    smoothing.step(smoothing.start((4, 3)), np.zeros((5, 3)), FPS)


def test_options_are_their_own():
  strong = dataclasses.replace(smoothing.METHODS["savgol"], seconds=0.6)
  seen, _ = motion()
  assert smoothing.smooth(seen, FPS, strong).after < (
    smoothing.smooth(seen, FPS, "savgol").after
  )
