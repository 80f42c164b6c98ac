"""A body before a camera is found again from what the camera sees of it."""

import numpy as np
import pytest

from jaxpose import body as smpl
from jaxpose import geometry
from jaxpose.body import body_files
from jaxpose.geometry import placement

FOCAL, CENTRE = 700.0, (320.0, 240.0)


@pytest.fixture(scope="module")
def joints() -> np.ndarray:
  """Three random bodies, (3, 49, 3), upright before the camera."""
  rng = np.random.default_rng(0)
  body = smpl.for_joints(body_files.load("free_small"))
  vectors = rng.normal(size=(3, 24, 3)) * 0.3
  vectors[:, 0] = [np.pi, 0, 0]
  rotations = np.float32(geometry.axis_angle_to_matrix(vectors))
  betas = np.float32(rng.normal(size=(3, 10)))
  return np.float64(smpl.joints_49(body, smpl.pose(body, rotations, betas)))


PLACES = np.asarray([[0.2, 0.3, 4.0], [-1.0, 0.2, 7.0], [0.5, -0.4, 2.5]])
FAR = PLACES + np.asarray([[0.3, -0.2, 0.5]])


def rays_of(joints):
  moved = joints + PLACES[:, None]
  return moved[..., :2] / moved[..., 2:]


def test_the_fit_finds_where_the_body_stands(joints):
  weights = np.ones(joints.shape[:2])
  found = placement.fit(joints, rays_of(joints), weights, PLACES)
  np.testing.assert_allclose(found, PLACES, atol=1e-9)
  # Another expectation moves a body that is seen whole by millimetres.
  found = placement.fit(joints, rays_of(joints), weights, FAR)
  np.testing.assert_allclose(found, PLACES, atol=2e-3)
  assert np.abs(found - PLACES).max() > 0


def test_hidden_joints_do_not_count(joints):
  rays, weights = rays_of(joints), np.ones(joints.shape[:2])
  weights[:, 10:30] = 0
  rays[:, 10:30] = 5.0
  found = placement.fit(joints, rays, weights, PLACES)
  np.testing.assert_allclose(found, PLACES, atol=1e-9)


def test_little_that_is_seen_leaves_the_rest_to_the_expectation(joints):
  weights = np.zeros(joints.shape[:2])
  found = placement.fit(joints, rays_of(joints), weights, FAR)
  np.testing.assert_allclose(found, FAR)
  weights[:, 0] = 1  # one joint: across, but not how far
  found = placement.fit(joints, rays_of(joints), weights, FAR)
  np.testing.assert_allclose(found[:, 2], FAR[:, 2], rtol=0.01)
  moved = joints[:, 0] + found
  seen = rays_of(joints)[:, 0]
  np.testing.assert_allclose(moved[:, :2] / moved[:, 2:], seen, atol=1e-3)


def test_joints_that_are_predicted_roughly_do_not_seem_near(joints):
  # A network's joints spread less than true ones, which vary about them.
  rng = np.random.default_rng(0)
  many = np.repeat(joints[:1, :17], 300, 0)
  true = many + 0.08 * rng.normal(size=many.shape) + PLACES[:1, None]
  rays = true[..., :2] / true[..., 2:]
  places = np.tile(PLACES[:1], (300, 1))
  found = placement.fit(many, rays, np.ones((300, 17)), places)
  assert found[:, 2].mean() == pytest.approx(PLACES[0, 2], rel=0.01)
  # A misfit in metres has them nearer.
  a, b = rays, rays * many[..., 2:] - many[..., :2]
  a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
  in_metres = -(a * b).sum((1, 2)) / (a * a).sum((1, 2))
  assert in_metres.mean() < 0.97 * PLACES[0, 2]


def test_a_body_behind_the_camera_is_put_where_it_is_expected(joints):
  weights = np.ones(joints.shape[:2])
  moved = joints - PLACES[:, None]  # upside down through the pinhole
  rays = moved[..., :2] / moved[..., 2:]
  found = placement.fit(joints, rays, weights, PLACES)
  np.testing.assert_array_equal(found, PLACES)


def test_a_crops_camera_stands_where_it_sees_the_body(joints):
  # A picture of which the crop is the middle, taken with the crop's own camera.
  half = 90.0
  crops = np.tile([*CENTRE, half], (3, 1))
  camera = np.asarray([[0.9, 0.1, 0.2], [0.7, -0.3, 0.0], [1.1, 0, -0.1]])
  focal = smpl.FOCAL_LENGTH * half / (smpl.CROP_SIZE / 2)
  place = placement.from_crop(camera, crops, focal, CENTRE)
  moved = joints + place[:, None]
  pixels = focal * moved[..., :2] / moved[..., 2:]
  np.testing.assert_allclose(pixels / half, smpl.project(joints, camera), atol=1e-6)


def test_a_crop_aside_shows_the_body_aside(joints):
  camera = np.asarray([[0.9, 0.1, 0.2]])
  crops = np.asarray([[500.0, 200.0, 60.0]])
  place = placement.from_crop(camera, crops, FOCAL, CENTRE)
  pixel = FOCAL * place[0, :2] / place[0, 2] + CENTRE
  want = crops[0, :2] + 60 * smpl.project(np.zeros((1, 1, 3)), camera)[0, 0]
  np.testing.assert_allclose(pixel, want, atol=1e-6)
  assert place[0, 2] == pytest.approx(FOCAL / (0.9 * 60))


def test_a_camera_without_scale_gives_a_place_all_the_same():
  crops = np.asarray([[320.0, 240.0, 100.0]])
  place = placement.from_crop(np.asarray([[-0.2, 0, 0]]), crops, FOCAL, CENTRE)
  assert np.isfinite(place).all()
  assert place[0, 2] > 0


def noisy(joints, wrong):
  """(predicted joints, rays of which some are wrong, which these are)."""
  rng = np.random.default_rng(0)
  many = np.repeat(joints[:, :17], 20, 0)
  places = np.repeat(PLACES, 20, 0)
  moved = many + places[:, None]
  rays = moved[..., :2] / moved[..., 2:]
  chosen = rng.permuted(np.tile(np.arange(17) < wrong, (len(many), 1)), axis=1)
  rays = rays + chosen[..., None] * (0.1 + 0.15 * rng.normal(size=rays.shape))
  return many + 0.02 * rng.normal(size=many.shape), rays, chosen, places


@pytest.mark.parametrize("wrong", [1, 3, 5])
def test_keypoints_on_wrong_places_do_not_mislead_the_robust_fit(joints, wrong):
  pred, rays, chosen, places = noisy(joints, wrong)
  weights = np.ones(chosen.shape)
  found, trust = placement.fit_robust(pred, rays, weights, 1.3 * places)
  least = placement.fit(pred, rays, weights, 1.3 * places)
  clean = placement.fit(pred, rays, weights * ~chosen, 1.3 * places)
  errors = [np.linalg.norm(x - places, axis=-1) for x in (found, least, clean)]
  robust, squares, best = (np.median(error) for error in errors)
  assert robust < 1.5 * best + 0.01
  assert squares > 3 * robust
  assert trust[~chosen].mean() > 0.8
  off = np.linalg.norm(rays * places[:, None, 2:], axis=-1)  # not a joint near its ray
  assert np.median(trust[chosen & (off > 0.3)]) < 0.2


def test_the_robust_fit_is_least_squares_where_all_is_well(joints):
  weights = np.ones(joints.shape[:2])
  found, trust = placement.fit_robust(joints, rays_of(joints), weights, PLACES)
  np.testing.assert_allclose(found, PLACES, atol=1e-9)
  np.testing.assert_allclose(trust, 1, atol=1e-9)


def test_the_robust_fit_leaves_hidden_joints_and_empty_frames_alone(joints):
  rays, weights = rays_of(joints), np.ones(joints.shape[:2])
  weights[:, 10:30] = 0
  rays[:, 10:30] = 5.0
  found, _ = placement.fit_robust(joints, rays, weights, PLACES)
  np.testing.assert_allclose(found, PLACES, atol=1e-9)
  found, _ = placement.fit_robust(joints, rays, 0 * weights, FAR)
  np.testing.assert_allclose(found, FAR)
