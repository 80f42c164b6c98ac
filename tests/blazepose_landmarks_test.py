"""Decoding of BlazePose's landmarks."""

import numpy as np

from jaxpose.detect import blazepose
from jaxpose.detect.blazepose import LANDMARK_SIZE


def flat_maps():
  return np.full((64, 64, 39), -50, np.float32)


def test_landmarks_are_in_units_of_the_crop_with_the_two_of_the_region():
  numbers = np.zeros((39, 5), np.float32)
  numbers[:, 0], numbers[:, 1] = np.arange(39), LANDMARK_SIZE
  found = blazepose.decode_landmarks(numbers.ravel(), flat_maps(), 0.75)
  assert found.points.shape == (35, 2)
  np.testing.assert_allclose(
    found.points[:, 0], np.arange(35) / LANDMARK_SIZE, rtol=1e-6
  )
  np.testing.assert_allclose(found.points[:, 1], 1)
  assert found.presence == 0.75


def test_confidence_is_visibility_times_presence():
  numbers = np.zeros((39, 5), np.float32)
  numbers[0, 3:], numbers[1, 3:] = (50, 0), (np.log(3), np.log(3))
  found = blazepose.decode_landmarks(numbers.ravel(), flat_maps(), 1.0)
  np.testing.assert_allclose(found.confidence[:3], [0.5, 9 / 16, 0.25], rtol=1e-6)


def test_a_sure_map_moves_its_point_to_the_middle_of_the_weight():
  maps = flat_maps()
  maps[20, 30, 0] = maps[20, 32, 0] = 50
  points = np.full((2, 2), (31.5 / 64, 20.5 / 64), np.float32)
  refined = blazepose.refine_landmarks(points, maps)
  np.testing.assert_allclose(refined[0], [31 / 64, 20 / 64], atol=1e-6)
  np.testing.assert_array_equal(refined[1], points[1])


def test_a_peak_out_of_reach_or_not_sure_moves_nothing():
  maps = flat_maps()
  maps[20, 34, 0] = 50  # four cells away
  maps[20, 30, 1] = -0.1
  points = np.full((2, 2), (30.5 / 64, 20.5 / 64), np.float32)
  np.testing.assert_array_equal(blazepose.refine_landmarks(points, maps), points)


def test_points_at_and_beyond_the_edge_are_safe():
  maps = flat_maps()
  maps[0, 0] = maps[63, 63] = 50
  points = np.asarray([(-0.2, 0.5), (0.5, 1.0), (0.001, 0.001), (0.999, 0.999)])
  refined = blazepose.refine_landmarks(points.astype(np.float32), maps)
  np.testing.assert_allclose(refined[:2], points[:2], rtol=1e-6)
  np.testing.assert_allclose(refined[2:], [(0, 0), (63 / 64, 63 / 64)], atol=1e-6)
