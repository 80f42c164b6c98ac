"""What windows hold between the frames of a clip."""

import re

import numpy as np
import pytest

from jaxpose.motion import frame_rates


@pytest.mark.parametrize("fps", [0, -25, np.nan, np.inf, "25", [25.0]])
def test_what_is_no_frame_rate_is_refused(fps):
  sentence = f"got fps={fps!r}, expected frames per second, a number above 0; leave it"
  with pytest.raises(ValueError, match=re.escape(sentence)):
    frame_rates.checked(fps)


def test_a_rate_that_is_not_known_changes_nothing():
  assert frame_rates.checked(None) is None
  assert frame_rates.checked(np.float32(25)) == 25.0
  assert frame_rates.ratio(None, 50.0) == frame_rates.ratio(30, None) == 1
  assert frame_rates.ratio(0.0, 50.0) == 1  # as recordings without a rate have it
  assert frame_rates.ratio(30, 50.0) == 0.6


def test_places_are_those_of_the_windows_frames_in_time():
  np.testing.assert_array_equal(frame_rates.offsets(4, 1, 1.0), [-2, -1, 0, 1])
  places = frame_rates.offsets(9, 4, 30 / 50)
  np.testing.assert_allclose(places, np.arange(-4, 5) * 0.6)
  assert frame_rates.reach(places) == (3, 3)
  # Five frames at 50 frames/s are three at 30, not a rounding error more.
  assert frame_rates.reach(frame_rates.offsets(11, 5, 30 / 50)) == (3, 3)
  assert frame_rates.reach(frame_rates.offsets(27, 0, 120 / 50)) == (63, 0)


def test_frames_are_those_of_the_clip_and_what_lies_between_is_on_the_line():
  clip = np.random.default_rng(0).normal(size=(6, 3, 2)).astype(np.float32)
  whole = np.asarray([[-2, -1, 0], [3, 4, 5], [5, 6, 7.0]])
  found = frame_rates.sample(clip, whole)
  assert found.dtype == clip.dtype
  np.testing.assert_array_equal(found, clip[[[0, 0, 0], [3, 4, 5], [5, 5, 5]]])
  between = frame_rates.sample(clip, np.asarray([[0.25, 2.0, 4.9, 5.5]]))
  np.testing.assert_allclose(between[0, 0], 0.75 * clip[0] + 0.25 * clip[1], atol=1e-6)
  np.testing.assert_array_equal(between[0, [1, 3]], clip[[2, 5]])
  np.testing.assert_allclose(between[0, 2], 0.1 * clip[4] + 0.9 * clip[5], atol=1e-6)


def test_confidence_is_that_of_the_lesser_neighbour():
  sure = np.asarray([0.9, 0.5, 0.0, 1.0])
  found = frame_rates.least(sure, np.asarray([[-1, 0, 0.1, 1, 1.5, 2.01, 3, 3.4]]))
  assert found.tolist() == [[0.9, 0.9, 0.5, 0.5, 0, 0, 1, 1]]


def test_what_is_missing_spoils_no_frame_beside_it():
  clip = np.asarray([[1.0], [np.nan], [3.0]])
  found = frame_rates.sample(clip, np.asarray([[0, 0.5, 2.0]]))
  np.testing.assert_array_equal(found[0, :, 0], [1, np.nan, 3])


def test_the_nearest_frames_do_not_depend_on_where_a_clip_begins():
  places = np.asarray([-2.5, -0.5, 0.49, 0.5, 1.5, 2.5])
  np.testing.assert_array_equal(frame_rates.nearest(places), [-2, 0, 0, 1, 2, 3])
  np.testing.assert_array_equal(
    frame_rates.nearest(places + 7), frame_rates.nearest(places) + 7
  )
