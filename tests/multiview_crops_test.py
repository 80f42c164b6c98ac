import numpy as np
import pytest
from PIL import Image

from jaxpose.geometry import camera_crops
from jaxpose.geometry import cameras
from jaxpose.geometry import crops


def scene(rng, n=5):
  """Points before a camera with a long lens, and boxes in its image."""
  points = rng.normal(0, 0.4, (n, 17, 3)) + np.array([0.3, -0.2, 4.0])
  lens = np.tile([900.0, 880.0, 320.0, 250.0, 0.1, -0.05, 0.0, 0.001, -0.002], (n, 1))
  boxes = rng.uniform([250, 200, 60, 80], [400, 300, 200, 160], (n, 4))
  return points, lens, boxes


def test_projection_with_the_crops_camera_is_the_cropped_projection():
  points, lens, boxes = scene(np.random.default_rng(0))
  cropped = camera_crops.crop_intrinsics(lens, boxes, size=96)
  np.testing.assert_allclose(
    cameras.project(points, cropped),
    camera_crops.crop_points(cameras.project(points, lens), boxes, size=96),
    atol=1e-9,
  )


def test_uncropping_undoes_cropping():
  rng = np.random.default_rng(1)
  points, boxes = rng.normal(0, 300, (4, 17, 2)), scene(rng, 4)[2]
  there = camera_crops.crop_points(points, boxes, size=64)
  back = camera_crops.uncrop_points(there, boxes, size=64)
  np.testing.assert_allclose(back, points, atol=1e-9)


def test_points_are_those_of_the_crops_module():
  rng = np.random.default_rng(2)
  points, boxes = rng.normal(0, 300, (4, 17, 2)), scene(rng, 4)[2]
  ours = camera_crops.crop_points(points, boxes, size=64, scale=1.2)
  units = crops.to_crop(points, boxes, scale=1.2)
  np.testing.assert_allclose(2 * ours / 64 - 1, units, atol=1e-9)


def test_enlarged_pictures_are_those_of_the_crops_module():
  image = np.random.default_rng(3).integers(0, 256, (40, 50, 3), dtype=np.uint8)
  box = np.array([24.3, 19.1, 10.0, 14.0])
  ours = camera_crops.crop_picture(Image.fromarray(image), box, size=32, scale=1.2)
  theirs = crops.crop(image, box, scale=1.2, size=32)
  np.testing.assert_allclose(ours.astype(int), theirs.astype(int), atol=1)


@pytest.mark.parametrize("side", [31.0, 90.0])
def test_a_dot_lands_where_its_point_does(side):
  image = np.zeros((80, 80, 3), np.uint8)
  image[36:41, 42:47] = 255  # round (44, 38)
  box = np.array([40.0, 41.0, side, side])
  size = 48
  crop = camera_crops.crop_picture(Image.fromarray(image), box, size=size)
  mass = crop[..., 0].astype(float)
  y, x = np.mgrid[:size, :size]
  centre = np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()
  expected = camera_crops.crop_points(np.array([[44.0, 38.0]]), box, size=size)[0]
  np.testing.assert_allclose(centre, expected, atol=0.1)


def test_shrunk_pictures_are_means_not_samples():
  image = np.zeros((200, 200, 3), np.uint8)
  image[:, ::2] = 200  # a pattern finer than the crop's pixels
  crop = camera_crops.crop_picture(
    Image.fromarray(image), np.array([100.0, 100, 120, 120]), size=16
  )
  np.testing.assert_allclose(crop, 100, atol=12)


def test_beyond_the_image_is_black():
  white = Image.fromarray(np.full((20, 20, 3), 255, np.uint8))
  far = camera_crops.crop_picture(white, np.array([500.0, 0, 10, 10]), size=8)
  assert not far.any()
  edge = camera_crops.crop_picture(white, np.array([0.0, 10, 16, 16]), size=16)
  assert not edge[:, :5].any()
  assert (edge[3:13, 10:] == 255).all()


def test_a_box_without_area_is_refused():
  with pytest.raises(ValueError, match=r"got the box \(0.0, 0.0, 0.0, 5.0\) at scale"):
    camera_crops.crop_picture(
      Image.new("RGB", (9, 9)), np.array([0.0, 0, 0, 5]), size=8
    )


def test_resampled_pictures_move_as_their_points_and_cameras_do():
  rng = np.random.default_rng(4)
  size, n = 64, 3
  points, lens, boxes = scene(rng, n)
  lens = camera_crops.crop_intrinsics(lens, boxes, size=size)
  zoom, shift = rng.uniform(0.8, 1.3, n), rng.uniform(-6, 6, (n, 2))
  np.testing.assert_allclose(
    cameras.project(points, camera_crops.move_intrinsics(lens, size, zoom, shift)),
    camera_crops.move_points(cameras.project(points, lens), size, zoom, shift),
    atol=1e-9,
  )
  images = np.zeros((n, size, size, 1))
  images[:, 28:33, 34:39] = 1.0  # round (36, 30)
  moved = camera_crops.resample(images, zoom, shift)
  expected = camera_crops.move_points(
    np.tile([36.0, 30.0], (n, 1, 1)), size, zoom, shift
  )[:, 0]
  y, x = np.mgrid[:size, :size]
  mass = moved[..., 0]
  found = np.stack([(mass * x).sum((1, 2)), (mass * y).sum((1, 2))], -1)
  np.testing.assert_allclose(found / mass.sum((1, 2))[:, None], expected, atol=0.1)


def test_resampling_by_nothing_changes_nothing():
  images = np.random.default_rng(5).random((2, 16, 16, 3))
  same = camera_crops.resample(images, np.ones(2), np.zeros((2, 2)))
  np.testing.assert_allclose(same, images, atol=1e-12)
