"""Turned square crops and points in them."""

import numpy as np
import pytest

from jaxpose.geometry import crops
from jaxpose.geometry import turned_crops


def picture(height=60, width=80):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth_picture(height=200, width=240):
  """Colours that are linear in x and y, so that bilinear sampling is exact."""
  y, x = np.mgrid[:height, :width]
  return np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)


def test_upright_body_has_an_upright_region_of_two_and_a_half_radii():
  region = turned_crops.around(np.asarray([50.0, 60.0]), np.asarray([50.0, 40.0]))
  np.testing.assert_allclose(region, [50, 60, 50, 0], atol=1e-12)


@pytest.mark.parametrize("degrees", [-170, -90, -30, 0, 45, 90, 179])
def test_the_tip_of_a_turned_body_is_above_the_middle_in_the_crop(degrees):
  angle = np.radians(degrees)
  tip = np.asarray([50 + 20 * np.sin(angle), 60 - 20 * np.cos(angle)])
  region = turned_crops.around(np.asarray([50.0, 60.0]), tip)
  np.testing.assert_allclose(region[3], angle, atol=1e-12)
  np.testing.assert_allclose(turned_crops.to_crop(tip, region), [0.5, 0.1], atol=1e-12)


def test_points_go_to_the_image_and_back():
  rng = np.random.default_rng(1)
  region = np.asarray([30.0, -20.0, 77.0, 2.1])
  points = rng.normal(size=(5, 33, 2))
  there = turned_crops.to_image(points, region)
  np.testing.assert_allclose(turned_crops.to_crop(there, region), points, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0, np.pi / 2])
def test_crop_pixels_show_the_image_where_to_image_says(angle):
  image, size = smooth_picture(), 32
  region = np.asarray([120.0, 100.0, 90.0, angle])
  crop = turned_crops.crop(image, region, size)
  rows, columns = np.mgrid[:size, :size]
  units = np.stack([columns, rows], -1) / size
  x, y = np.moveaxis(turned_crops.to_image(units.astype(float), region), -1, 0)
  np.testing.assert_allclose(crop[..., 0], x, atol=0.51)
  np.testing.assert_allclose(crop[..., 1], y, atol=0.51)


def test_upright_crop_within_the_image_is_that_of_crops():
  image = picture()
  region = np.asarray([40.0, 30.0, 44.0, 0.0])
  box = np.asarray([40.0, 30.0, 44.0, 44.0])
  want = crops.crop(image, box, scale=1.0, size=16)
  got = turned_crops.crop(image, region, 16)
  np.testing.assert_allclose(got.astype(int), want.astype(int), atol=1)


def test_beyond_the_image_its_edge_goes_on():
  image = picture()
  crop = turned_crops.crop(image, np.asarray([-200.0, -200.0, 100.0, 0.0]), 8)
  assert (crop == image[0, 0]).all()
  crop = turned_crops.crop(image, np.asarray([500.0, 500.0, 100.0, 0.3]), 8)
  assert (crop == image[-1, -1]).all()


def test_picture_that_is_not_contiguous_is_cropped_alike():
  image = picture()
  region = np.asarray([40.0, 30.0, 30.0, 0.7])
  flipped = turned_crops.crop(image[:, ::-1], region, 16)
  copied = turned_crops.crop(image[:, ::-1].copy(), region, 16)
  np.testing.assert_array_equal(flipped, copied)


@pytest.mark.parametrize("region", [(0, 0, 0, 0), (0, np.nan, 9, 0), (0, 0, -3, 0)])
def test_region_without_area_is_refused(region):
  with pytest.raises(ValueError, match=r"got the region .* expected a finite centre"):
    turned_crops.crop(picture(), np.asarray(region, float), 8)
