"""The crop of a window of keypoints, and what the network is given of it."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.geometry import keypoint_crops


def window(seed=0, b=3, t=4, j=5):
  rng = np.random.default_rng(seed)
  points = rng.uniform(-0.7, 0.7, (b, t, j, 2)).astype(np.float32)
  return points, np.ones((b, t, j), np.float32)


def test_every_seen_keypoint_lies_in_the_crop_with_its_margin():
  points, confidence = window()
  confidence[0, :, 2] = 0
  points[0, :, 2] = 5
  crop = keypoint_crops.window_crop(points, confidence)
  inside = keypoint_crops.to_crop(points, crop)
  largest = np.abs(np.where(confidence[..., None] > 0, inside, 0)).max((1, 2, 3))
  np.testing.assert_allclose(largest, 1 / keypoint_crops.MARGIN, rtol=1e-5)


def test_the_crop_follows_the_person():
  points, confidence = window()
  crop = keypoint_crops.window_crop(points, confidence)
  moved = keypoint_crops.window_crop(0.5 * points + 0.25, confidence)
  np.testing.assert_allclose(moved, 0.5 * crop + [0.25, 0.25, 0], atol=1e-6)


def test_where_nothing_is_seen_the_crop_is_the_picture():
  points, confidence = window()
  confidence[1] = 0
  crop = keypoint_crops.window_crop(points, confidence)
  np.testing.assert_array_equal(crop[1], [0, 0, 1])
  assert np.isfinite(keypoint_crops.to_crop(points, crop)).all()


def test_keypoints_in_one_place_make_a_crop_of_finite_scale():
  points, confidence = window()
  crop = keypoint_crops.window_crop(np.full_like(points, 0.3), confidence)
  assert (crop[:, 2] > 0).all()


def test_the_input_holds_crop_picture_and_confidence():
  points, confidence = window()
  crop = keypoint_crops.window_crop(points, confidence)
  x = keypoint_crops.network_input(points, confidence, crop)
  assert x.shape == (3, 4, 5, 5)
  np.testing.assert_allclose(
    x[..., :2] * crop[:, None, None, 2:] + crop[:, None, None, :2], points, atol=1e-6
  )
  np.testing.assert_array_equal(x[..., 2:4], points)
  np.testing.assert_array_equal(x[..., 4], confidence)


@pytest.mark.parametrize("hidden", [False, True])
def test_numpy_and_jax_agree(hidden):
  points, confidence = window()
  if hidden:
    confidence[0] = 0
  crop = keypoint_crops.window_crop(points, confidence)
  there = keypoint_crops.window_crop(jnp.asarray(points), jnp.asarray(confidence))
  np.testing.assert_allclose(crop, there, atol=1e-6)
