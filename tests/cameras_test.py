import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.geometry import cameras


@pytest.fixture(scope="module")
def scene(golden):
  """The golden camera, its intrinsics brought from screen units to pixels."""
  data = dict(np.load(golden / "camera_h36m_S9_cam1.npz"))
  width, height = int(data["res_w"]), int(data["res_h"])
  intrinsics = data["intrinsic"].astype(np.float64)
  intrinsics[0:2] *= width / 2
  intrinsics[2:4] = cameras.denormalize_screen(intrinsics[2:4], width, height)
  quaternion = data["orientation"].astype(np.float64)
  rotation = geometry.quaternion_to_matrix(quaternion).T
  return data | dict(
    rotation=rotation, pixel_intrinsics=intrinsics, size=(width, height)
  )


def test_world_to_camera_and_back_equal_the_published_code(scene):
  rotation, position = scene["rotation"], scene["translation"]
  camera = cameras.world_to_camera(scene["world"], rotation, position)
  np.testing.assert_allclose(camera, scene["camera"], atol=2e-6)
  world = cameras.camera_to_world(scene["camera"], rotation, position)
  np.testing.assert_allclose(world, scene["back_to_world"], atol=2e-6)
  np.testing.assert_allclose(world, scene["world"], atol=2e-6)


@pytest.mark.parametrize("xp", [np, jnp])
def test_projection_equals_the_published_code(scene, xp):
  points = xp.asarray(scene["camera"])
  intrinsics = xp.asarray(np.tile(scene["pixel_intrinsics"], (6, 1)).astype(np.float32))
  pixels = cameras.project(points, intrinsics)
  np.testing.assert_allclose(pixels, scene["pixels"], atol=2e-3)
  screen = cameras.normalize_screen(pixels, *scene["size"])
  np.testing.assert_allclose(screen, scene["normalised"], atol=1e-5)


@pytest.mark.parametrize("xp", [np, jnp])
def test_screen_coordinates_round_trip_and_keep_the_aspect(xp):
  corners = xp.asarray([[0.0, 0.0], [640.0, 480.0], [320.0, 240.0]])
  screen = cameras.normalize_screen(corners, 640, 480)
  np.testing.assert_allclose(screen, [[-1, -0.75], [1, 0.75], [0, 0]], atol=1e-6)
  back = cameras.denormalize_screen(screen, 640, 480)
  np.testing.assert_allclose(back, corners, atol=1e-4)


def published_cameras(data):
  for i in range(4):
    center, focal = data["h36m/center"][i], data["h36m/focal_length"][i]
    radial, tangential = (
      data[f"h36m/{k}_distortion"][i] for k in ("radial", "tangential")
    )
    yield np.concatenate([focal, center, radial, tangential])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unproject_inverts_the_distortion_of_real_lenses(golden, dtype):
  rays = np.stack(np.meshgrid(*[np.linspace(-0.43, 0.43, 9)] * 2), -1).reshape(-1, 2)
  points = np.concatenate([rays, np.ones((81, 1))], -1).astype(dtype)
  for intrinsics in published_cameras(np.load(golden / "cameras.npz")):
    assert np.abs(intrinsics[4:]).max() > 1e-3
    pixels = cameras.project(4.2 * points, intrinsics.astype(dtype))
    found = cameras.unproject(pixels, intrinsics.astype(dtype))
    atol = 1e-6 if dtype is np.float32 else 1e-8
    np.testing.assert_allclose(found, rays, atol=atol)


def test_published_cameras_are_nearly_level_and_look_at_the_room(golden):
  data = np.load(golden / "cameras.npz")
  for subject in ("S1", "S5", "S6", "S7", "S8", "S9", "S11"):
    orientation = data[f"h36m/{subject}/orientation"]
    rotation = np.swapaxes(geometry.quaternion_to_matrix(orientation), -1, -2)
    position = data[f"h36m/{subject}/translation_mm"] / 1000
    # The world is z up, the camera y down: up goes up in the image, without roll.
    assert (rotation[:, 1, 2] < -0.9).all()
    assert (np.abs(rotation[:, 0, 2]) < 0.1).all()
    room = cameras.world_to_camera(
      np.tile([[[0.0, 0, 1]]], (4, 1, 1)), rotation, position
    )
    assert (room[:, 0, 2] > 3).all()
    assert (np.abs(room[:, 0, :2]) < 0.3 * room[:, 0, 2:]).all()


def test_distortion_by_hand():
  rays = np.asarray([[0.5, 0.0]])
  intrinsics = np.asarray([1, 1, 0, 0, 0.1, 0.2, 0.4, 0.01, 0.02])
  radial = 1 + 0.1 * 0.25 + 0.2 * 0.25**2 + 0.4 * 0.25**3
  expected = [[0.5 * (radial + 0.01 * 0.5) + 0.01 * 0.25, 0.02 * 0.25]]
  np.testing.assert_allclose(cameras.distort(rays, intrinsics), expected, rtol=1e-12)


def test_points_beside_the_camera_stay_bounded_and_are_out_of_view():
  intrinsics = np.asarray([1000.0, 1000, 500, 500, 0, 0, 0, 0, 0])
  points = np.asarray([[0.0, 0, 5], [5, 0, 0], [0, 0, -5], [3, 0, 5], [0, 0, 0.05]])
  pixels = cameras.project(points, intrinsics)
  assert np.abs(pixels).max() <= 1500
  seen = cameras.in_view(points, pixels, (1000, 1000))
  np.testing.assert_array_equal(seen, [True, False, False, False, False])


def test_projection_gradient_is_finite_at_zero_depth():
  intrinsics = jnp.asarray([1000.0, 1000, 500, 500, 0, 0, 0, 0, 0])
  points = jnp.asarray([[0.1, 0.2, 0.0], [0.1, 0.2, 3.0]])
  grad = jax.grad(lambda p: cameras.project(p, intrinsics).sum())(points)
  assert np.isfinite(grad).all()


@pytest.mark.parametrize("xp", [np, jnp])
def test_look_at_centres_the_target_without_roll(xp):
  rng = np.random.default_rng(0)
  position = xp.asarray(rng.uniform([-5, -5, 0], [5, 5, 3], (20, 3)))
  target = xp.asarray(rng.uniform([-1, -1, 0], [1, 1, 2], (20, 3)))
  rotation = cameras.look_at(position, target)
  eye = np.broadcast_to(np.eye(3), (20, 3, 3))
  np.testing.assert_allclose(rotation @ np.swapaxes(rotation, 1, 2), eye, atol=1e-5)
  np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-5)
  seen = np.asarray(cameras.world_to_camera(target[:, None], rotation, position))[:, 0]
  np.testing.assert_allclose(seen[:, :2], 0, atol=1e-5)
  assert (seen[:, 2] > 0).all()
  # The horizon is level, and up is up: y points down.
  np.testing.assert_allclose(rotation[:, 0, 2], 0, atol=1e-6)
  assert (np.asarray(rotation[:, 1, 2]) < 0).all()


def test_ring_cameras_are_laid_out_as_said():
  target = np.asarray([1.0, -2.0, 0.9])
  for seed in range(20):
    ring = cameras.camera_ring(np.random.default_rng(seed), target, 4, (1000, 800))
    assert [c.name for c in ring] == ["0", "1", "2", "3"]
    position = np.stack([c.position for c in ring])
    away = position[:, :2] - target[:2]
    distance = np.linalg.norm(away, axis=-1)
    assert (distance > 4.5 - 1e-4).all()
    assert (distance < 6.5 + 1e-4).all()
    assert ((position[:, 2] > 1.2 - 1e-6) & (position[:, 2] < 1.8 + 1e-6)).all()
    azimuth = np.unwrap(np.arctan2(away[:, 1], away[:, 0]))
    np.testing.assert_allclose(np.diff(azimuth), np.pi / 2, atol=1e-5)
    for camera in ring:
      fx, fy, cx, cy, *distortion = camera.intrinsics
      assert fx == fy
      assert 1100 <= fx <= 1200
      assert (cx, cy) == (500, 400)
      assert not any(distortion)
      seen = cameras.world_to_camera(
        target[None].astype(np.float32), camera.rotation, camera.position
      )
      centre = cameras.project(seen, camera.intrinsics)
      np.testing.assert_allclose(centre, [[500, 400]], atol=1e-2)


def test_ring_focal_length_grows_with_the_image():
  small, large = (
    cameras.camera_ring(np.random.default_rng(0), np.zeros(3), 1, (w, w))[0]
    for w in (1000, 2000)
  )
  assert large.intrinsics[0] == pytest.approx(2 * small.intrinsics[0])


def test_rings_differ_by_seed_and_repeat_for_the_same_seed():
  def ring(seed):
    return cameras.camera_ring(np.random.default_rng(seed), np.zeros(3))[2]

  np.testing.assert_array_equal(ring(3).position, ring(3).position)
  assert np.abs(ring(3).position - ring(4).position).max() > 0.01


def test_the_guessed_focal_length_is_that_of_the_training_cameras():
  assert cameras.guess_focal((1000, 600)) == cameras.guess_focal((600, 1000))
  rings = [
    cameras.camera_ring(np.random.default_rng(s), np.zeros(3)) for s in range(50)
  ]
  mean = np.mean([camera.intrinsics[0] for ring in rings for camera in ring])
  assert cameras.guess_focal((1000, 1000)) == pytest.approx(mean, rel=0.01)


@pytest.mark.parametrize("xp", [np, jnp])
def test_the_focal_length_of_a_pinhole_is_found_from_what_it_sees(xp):
  rng = np.random.default_rng(0)
  joints = rng.uniform([-1, -1, 3], [1, 1, 6], (2, 4, 17, 3)).astype(np.float32)
  focal = np.float32([1.3, 2.3])
  seen = focal[:, None, None, None] * joints[..., :2] / joints[..., 2:] + 0.1
  found = cameras.fit_focal(xp.asarray(seen), xp.asarray(joints))
  np.testing.assert_allclose(found, focal, rtol=1e-4)
