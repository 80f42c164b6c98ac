"""Crops, coordinates in them, and equality with the original's numbers."""

import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.geometry import crops

pytestmark = pytest.mark.numeric

GOLDEN = pathlib.Path(__file__).parent / "golden" / "glot" / "camera.npz"


@pytest.fixture(scope="module")
def data():
  with np.load(GOLDEN) as file:
    return dict(file)


def picture(height=60, width=80, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def box(*numbers):
  return np.asarray(numbers, np.float32)


# The original's numbers.


def test_keypoints_in_the_crop_are_the_originals(data):
  units = crops.to_crop(data["in/kp_px"], data["in/bbox"])
  np.testing.assert_allclose(units, data["out/kp_norm"], atol=1e-5)
  pixels = (units + 1) * crops.SIZE / 2
  np.testing.assert_allclose(pixels, data["out/kp_crop224"], atol=1e-3)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_camera_of_the_image_is_the_originals(data, kind):
  size = tuple(int(n) for n in data["in/img_wh"])
  camera = crops.camera_in_image(kind(data["in/cam"]), kind(data["in/bbox"]), size)
  np.testing.assert_allclose(camera, data["out/orig_cam"], rtol=1e-5, atol=1e-5)


# Crops.


def test_crop_of_a_box_at_its_own_size_is_the_image_itself():
  image = picture()
  got = crops.crop(image, box(40, 30, 32, 32), scale=1.0, size=32)
  np.testing.assert_array_equal(got, image[14:46, 24:56])


def test_crop_between_pixels_is_their_mean():
  image = picture()
  got = crops.crop(image, box(40.5, 30, 32, 32), scale=1.0, size=32).astype(float)
  mean = (image[14:46, 24:56].astype(float) + image[14:46, 25:57]) / 2
  np.testing.assert_allclose(got, mean, atol=0.51)


def test_crop_is_black_beyond_the_image():
  image = np.full((20, 30, 3), 200, np.uint8)
  got = crops.crop(image, box(0, 0, 16, 16), scale=1.0, size=16)
  assert (got[:8] == 0).all()
  assert (got[:, :8] == 0).all()
  assert (got[8:, 8:] == 200).all()
  assert not crops.crop(image, box(1e6, -1e6, 9, 9), size=8).any()


def test_crop_is_the_square_of_the_longer_side():
  image = picture()
  tall = crops.crop(image, box(40, 30, 10, 24), size=16)
  np.testing.assert_array_equal(tall, crops.crop(image, box(40, 30, 24, 24), size=16))
  half = crops.crop(image, box(40, 30, 12, 12), scale=2.4, size=16)
  np.testing.assert_array_equal(tall, half)


def test_crop_shows_a_keypoint_where_to_crop_says():
  image = np.zeros((200, 300, 3), np.uint8)
  image[97, 163] = 255
  where = box(150.0, 90.0, 60.0, 60.0)
  got = crops.crop(image, where, scale=1.2, size=72).sum(-1)  # one to one
  row, column = np.unravel_index(got.argmax(), got.shape)
  u, v = crops.to_crop(box(163, 97)[None], where)[0]
  np.testing.assert_allclose([(u + 1) * 36, (v + 1) * 36], [column, row], atol=1e-4)


@pytest.mark.parametrize(
  "numbers", [(9, 9, 0, 5), (9, 9, 5, -1), (np.nan, 9, 5, 5), (9, 9, np.inf, 5)]
)
def test_box_without_area_is_refused(numbers):
  with pytest.raises(ValueError, match=r"got the box \(.*with a positive width and"):
    crops.crop(picture(), box(*numbers))


# Coordinates and colours.


def test_from_crop_undoes_to_crop():
  rng = np.random.default_rng(0)
  points = rng.uniform(0, 1000, (4, 7, 2)).astype(np.float32)
  boxes = rng.uniform(50, 500, (4, 4)).astype(np.float32)
  units = crops.to_crop(points, boxes, scale=1.1)
  np.testing.assert_allclose(
    crops.from_crop(units, boxes, scale=1.1), points, rtol=1e-5, atol=1e-3
  )
  assert isinstance(units, np.ndarray)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_colours_are_less_the_mean_over_the_deviation(kind):
  image = picture()
  want = (image / 255 - np.asarray(crops.MEAN)) / np.asarray(crops.STD)
  np.testing.assert_allclose(crops.normalize(kind(image)), want, atol=2e-6)
