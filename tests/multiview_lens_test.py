import numpy as np

from jaxpose.formats import calibration
from jaxpose.formats import lens
from jaxpose.geometry import cameras


def bent(size=(64, 48)):
  matrix = np.array([[60.0, 0, 30], [0, 62.0, 25], [0, 0, 1]])
  k = np.array([-0.15, 0.03, 0.004, -0.006, 0.0])
  return calibration.Calibrated("a", matrix, k, np.eye(3), np.zeros(3), size)


def test_undistorted_points_are_those_of_a_pinhole():
  camera = bent()
  rays = np.random.default_rng(0).uniform(-0.4, 0.4, (50, 2))
  pixels = lens.distort(rays, camera.distortion) * [60, 62] + [30, 25]
  found = lens.Lens(camera, (64, 48), 32).points(pixels)
  plain = lens.Lens(camera, (64, 48), 32).camera
  points = np.concatenate([rays, np.ones((50, 1))], 1)
  np.testing.assert_allclose(
    found, cameras.project(points, plain.intrinsics), atol=1e-6
  )


def test_pictures_are_undistorted_as_their_points():
  camera = bent()
  place = np.array([44.0, 14.0])
  y, x = np.mgrid[:48, :64]
  dot = 250 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 6)
  image = np.repeat(dot.astype(np.uint8)[..., None], 3, -1)
  for max_side in (64, 40):
    ours = lens.Lens(camera, (64, 48), max_side)
    found = ours.picture(image)[..., 0].astype(float)
    y, x = np.mgrid[: found.shape[0], : found.shape[1]]
    centre = np.array([(found * x).sum(), (found * y).sum()]) / found.sum()
    np.testing.assert_allclose(centre, ours.points(place), atol=0.15)
  box = ours.box(np.array([44.0, 14.0, 10.0, 8.0]))
  np.testing.assert_allclose(box[:2], ours.points(place), atol=0.3)


def test_original_pixels_are_those_that_were_undistorted():
  pixels = np.random.default_rng(1).uniform([2, 2], [60, 44], (40, 2))
  for max_side in (64, 32):
    ours = lens.Lens(bent(), (64, 48), max_side)
    np.testing.assert_allclose(ours.original(ours.points(pixels)), pixels, atol=1e-6)
  matrix = np.array([[60.0, 0, 30], [0, 62.0, 25], [0, 0, 1]])
  args = matrix, np.zeros(5), np.eye(3), np.zeros(3), (64, 48)
  straight = lens.Lens(calibration.Calibrated("a", *args), (64, 48), 64)
  np.testing.assert_allclose(straight.original(pixels), pixels, atol=1e-12)
