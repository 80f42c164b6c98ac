"""Pictures of several views with the body drawn in."""

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.draw import stage
from jaxpose.predict import rig_draw
from tests import small_views

H36M = skeletons.get("h36m17")


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
  return small_views.opened(small_views.scene(tmp_path_factory.mktemp("views")))


def test_joints_come_back_to_the_recorded_pixels(rig):
  joints = small_views.walker()
  expected = small_views.seen(joints, rig)
  np.testing.assert_allclose(rig_draw.reprojected(joints, rig), expected, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_every_view_shows_the_whole_person_and_tiles_do_not_overlap(count):
  rng = np.random.default_rng(count)
  sizes = [(1080, 1920) if v % 2 else (1920, 1080) for v in range(count)]
  points = rng.uniform(300, 800, (9, count, 17, 2))
  area = (794, 720)
  covered = np.zeros(area[::-1], int)
  for v, tile in enumerate(rig_draw.tiles(points, sizes, area)):
    x, y = tile.at
    covered[y : y + tile.size[1], x : x + tile.size[0]] += 1
    at = (points[:, v] - [tile.left, tile.top]) * tile.scale
    assert (at > 0).all()
    assert (at < tile.size).all()
  assert covered.max() == 1
  assert covered.mean() > 0.6


def test_a_view_without_the_person_shows_nearly_all_of_its_picture():
  points = np.full((2, 2, 17, 2), np.nan)
  tile = rig_draw.tiles(points, [(200, 160)] * 2, (400, 160))[1]
  assert tile.size[0] / tile.scale >= 0.95 * 200
  assert tile.size[1] / tile.scale >= 0.95 * 160


def test_the_body_is_drawn_over_each_view_where_it_is(rig):
  joints = small_views.walker()[:1]
  grey = [np.full((160, 200, 3), 90, np.uint8) for _ in range(4)]
  drawn = next(rig_draw.compose([grey], rig, joints, H36M, (640, 360)))
  assert drawn.shape == (360, 640, 3)
  points = rig_draw.reprojected(joints, rig)
  grid = rig_draw.tiles(points, [small_views.SIZE] * 4, (round(0.62 * 640), 360))
  knee = H36M.index("left_knee")
  for v, tile in enumerate(grid):
    x, y = (points[0, v, knee] - [tile.left, tile.top] + 0.5) * tile.scale
    pixel = drawn[round(y) + tile.at[1], round(x) + tile.at[0]]
    assert pixel.min() > 150, v  # a white joint on grey
  scene = drawn[:, 400:]
  for colour in (stage.LEFT, stage.RIGHT):
    away = np.abs(scene.astype(int) - np.asarray(colour)).sum(-1)
    assert away.min() < 60
