"""The one-euro filter."""

import numpy as np

from jaxpose.motion import one_euro


def track(points, seen=None, scale=100.0, rate=50.0):
  seen = np.ones(len(points), bool) if seen is None else seen
  return one_euro.track(points, seen, np.full(len(points), scale), rate)


def test_what_does_not_move_stays():
  points = np.full((20, 3, 2), 7.0)
  np.testing.assert_allclose(track(points), points)


def test_noise_at_rest_is_damped_and_fast_ways_are_followed():
  rng = np.random.default_rng(0)
  still = 100 + 0.05 * rng.normal(size=(400, 4, 2))
  assert track(still)[50:].std() < 0.3 * still[50:].std()
  fast = np.linspace(0, 2000, 60)[:, None, None] * np.ones((60, 4, 2))
  assert np.abs(track(fast)[10:] - fast[10:]).max() < 0.1 * np.diff(fast, axis=0).max()


def test_size_of_the_person_does_not_matter():
  rng = np.random.default_rng(1)
  points = rng.normal(size=(30, 2, 2)).cumsum(0)
  np.testing.assert_allclose(
    track(10 * points, scale=1000.0), 10 * track(points), rtol=1e-9
  )


def test_steps_are_the_formula_with_speeds_of_the_points_as_they_came():
  def share(cutoff):
    return 1 / (1 + (1 / (2 * np.pi * cutoff)) / 0.1)

  now, raw = one_euro.start(np.asarray([[2.0, 0.0]])), 2.0
  value, speed = 2.0, 0.0
  for new in (5.0, 6.5, 6.0):
    now = one_euro.step(
      now, np.asarray([[new, 0.0]]), rate=10.0, scale=2.0, cutoff=0.5, beta=3.0
    )
    speed += share(1.0) * ((new - raw) / 2 * 10 - speed)
    value += share(0.5 + 3 * abs(speed)) * (new - value)
    raw = new
    np.testing.assert_allclose(now.speed[0], [speed, 0])
    np.testing.assert_allclose(now.values[0], [value, 0])


def test_after_a_gap_it_starts_anew_and_the_gap_is_left_alone():
  points = np.zeros((9, 1, 2))
  points[5:] = 300
  seen = np.asarray([True] * 4 + [False] + [True] * 4)
  smoothed = track(points, seen)
  np.testing.assert_allclose(smoothed, points)
