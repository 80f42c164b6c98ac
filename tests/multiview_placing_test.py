"""Where poses stand in the world, from the rays of several views."""

import numpy as np

from jaxpose.predict import views_network
from tests import small_multiview

FRAMES = 11


def place(points, weights=None, views=3):
  ring = small_multiview.rig(views)
  joints = small_multiview.joints(FRAMES)
  rays = np.stack(
    [(points[:, v] - c.intrinsics[2:4]) / c.intrinsics[:2] for v, c in enumerate(ring)],
    1,
  )
  weights = np.ones(rays.shape[:-1]) if weights is None else weights
  rotation = np.stack([c.rotation for c in ring])
  position = np.stack([c.position for c in ring])
  found = views_network.root(joints - joints[:, :1], rays, weights, rotation, position)
  return np.linalg.norm(found - joints[:, 0], axis=-1)


def true_points(views=3):
  joints = small_multiview.joints(FRAMES)
  return np.stack(
    [small_multiview.project(c, joints) for c in small_multiview.rig(views)], 1
  )


def test_the_root_is_exact_on_true_points_from_one_view_or_several():
  assert place(true_points()).max() < 1e-9
  one = np.zeros((FRAMES, 3, 17))
  one[:, 2] = 0.4
  assert place(true_points(), one).max() < 1e-6


def test_a_wrong_view_and_wrong_joints_hardly_move_the_root():
  points = true_points(4)
  points[:, 1] += [9.0, -6.0]  # pixels, about half a metre
  assert place(points, views=4).max() < 0.03
  points = true_points()
  points[:, :, [3, 13]] += 20
  assert place(points).max() < 0.01


def test_what_has_no_weight_moves_nothing():
  points, weights = true_points(), np.ones((FRAMES, 3, 17))
  points[:, 0, :9], weights[:, 0, :9] = np.nan, 0
  points[2:4] = 1e9
  weights[2:4] = 0
  error = place(points, weights)
  assert np.isnan(error[2:4]).all()
  assert np.delete(error, [2, 3]).max() < 1e-9


def test_a_place_behind_the_cameras_is_none():
  points = true_points()
  middle = np.asarray([c.intrinsics[2:4] for c in small_multiview.rig()])[:, None]
  one = np.zeros((FRAMES, 3, 17))
  one[:, 0] = 1  # a mirrored body would stand behind it
  assert np.isnan(place(2 * middle - points, one)).all()
