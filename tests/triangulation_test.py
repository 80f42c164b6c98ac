"""Laws of triangulation and of the camera of a crop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.geometry import camera_crops
from jaxpose.geometry import cameras
from jaxpose.geometry import crops
from jaxpose.geometry import triangulation

pytestmark = pytest.mark.numeric

BOTH = pytest.mark.parametrize("xp", [np, jnp])


def scene(num_views=4, batch=2, joints=5, seed=0):
  """Points near a person's place, cameras around it, and exact rays (b, v, j, 2)."""
  rng = np.random.default_rng(seed)
  points = rng.normal(size=(batch, joints, 3)) * 0.4 + np.asarray([3.0, -2.0, 1.0])
  ring = cameras.camera_ring(rng, np.asarray([3.0, -2.0, 1.0]), num_views)
  rotation = np.stack([camera.rotation for camera in ring]).astype(np.float64)
  position = np.stack([camera.position for camera in ring]).astype(np.float64)
  tiled = np.repeat(points[:, None], num_views, 1)
  seen = cameras.world_to_camera(tiled, rotation[None], position[None])
  return points, seen[..., :2] / seen[..., 2:], rotation[None], position[None]


def as_kind(xp, arrays):
  return [xp.asarray(a, np.float64 if xp is np else np.float32) for a in arrays]


def triangulate(rays, *rest):
  run = triangulation.triangulate
  return (jax.jit(run) if isinstance(rays, jax.Array) else run)(rays, *rest)


@BOTH
@pytest.mark.parametrize("num_views", [2, 4])
def test_dlt_is_exact_on_clean_rays(xp, num_views):
  points, *rest = scene(num_views)
  found, valid = triangulate(*as_kind(xp, rest))
  assert isinstance(found, np.ndarray) == (xp is np)
  assert np.asarray(valid).all()
  # float32: a twentieth of a millimetre at four metres.
  np.testing.assert_allclose(found, points, atol=1e-10 if xp is np else 5e-5)


def test_dlt_follows_a_turn_of_the_whole_scene():
  """Section 9.16: yaw of the world and the cameras yaws the points, noise or not."""
  _, rays, rotation, position = scene()
  rays = rays + np.random.default_rng(1).normal(size=rays.shape) * 0.01
  turn = geometry.euler_to_matrix(np.asarray([0.7]), "z")
  before, _ = triangulate(rays, rotation, position)
  after, _ = triangulate(rays, rotation @ turn.T, position @ turn.T)
  np.testing.assert_allclose(after, before @ turn.T, atol=1e-10)


def test_dlt_equals_the_plain_null_vector_under_noise():
  _, rays, rotation, position = scene()
  rng = np.random.default_rng(1)
  rays = rays + rng.normal(size=rays.shape) * 0.01
  weight = rng.uniform(0.2, 1, rays.shape[:-1])
  found, _ = triangulate(rays, rotation, position, weight)
  centre = position[0].mean(0)
  size = np.sqrt(((position[0] - centre) ** 2).sum(1).mean())
  for b in range(2):
    for j in range(5):
      rows = []
      for v in range(4):
        shift = -rotation[0, v] @ (position[0, v] - centre) / size
        p = np.concatenate([rotation[0, v], shift[:, None]], 1)
        for axis in range(2):
          rows.append(weight[b, v, j] * (rays[b, v, j, axis] * p[2] - p[axis]))
      h = np.linalg.svd(np.stack(rows))[2][-1]
      np.testing.assert_allclose(found[b, j], centre + size * h[:3] / h[3], atol=1e-9)


@BOTH
def test_a_view_of_weight_0_may_hold_anything(xp):
  _, rays, rotation, position = as_kind(xp, scene(3))
  weight = np.ones(rays.shape[:-1])
  weight[:, 1] = 0
  weight = xp.asarray(weight, rays.dtype)
  others = np.asarray([0, 2])
  alone, _ = triangulate(
    rays[:, others], rotation[:, others], position[:, others], weight[:, others]
  )
  bad = [np.array(a) for a in (rays, rotation, position)]
  for array in bad:
    array[:, 1] = np.nan
  bad = [xp.asarray(a) for a in bad]
  found, valid = triangulate(*bad, weight)
  assert np.asarray(valid).all()
  np.testing.assert_allclose(found, alone, atol=1e-5)


@BOTH
def test_a_bad_view_matters_less_with_less_confidence(xp):
  points, rays, rotation, position = as_kind(xp, scene(4))
  off = np.zeros(rays.shape)
  off[:, 0] = 0.1
  weight = np.ones(rays.shape[:-1])
  errors = []
  for trust in (1.0, 0.1, 0.01):
    weight[:, 0] = trust
    found, _ = triangulate(
      rays + xp.asarray(off, rays.dtype),
      rotation,
      position,
      xp.asarray(weight, rays.dtype),
    )
    errors.append(float(abs(found - points).max()))
  assert errors[0] > 5 * errors[1] > 25 * errors[2]


@BOTH
def test_fewer_than_two_views_give_no_point(xp):
  _, rays, rotation, position = as_kind(xp, scene(1))
  found, valid = triangulate(rays, rotation, position)
  assert not np.asarray(valid).any()
  np.testing.assert_array_equal(found, np.zeros((2, 5, 3)))
  _, rays, rotation, position = as_kind(xp, scene(3))
  weight = np.ones(rays.shape[:-1])
  weight[0, :2, 3] = 0
  found, valid = triangulate(rays, rotation, position, xp.asarray(weight, rays.dtype))
  expected = np.ones((2, 5), bool)
  expected[0, 3] = False
  np.testing.assert_array_equal(valid, expected)
  np.testing.assert_array_equal(found[0, 3], np.zeros(3))


def test_views_from_one_place_give_no_point():
  _, rays, rotation, position = scene(2)
  _, valid = triangulate(rays, rotation, 0 * position)
  assert not valid.any()


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_gradient_is_the_slope_on_clean_and_noisy_rays(noise):
  _, rays, rotation, position = scene(3, batch=1, joints=2)
  rng = np.random.default_rng(3)
  rays = rays + noise * rng.normal(size=rays.shape)
  weight = rng.uniform(0.3, 1, rays.shape[:-1])
  aim = rng.normal(size=(1, 2, 3))

  def value(rays, weight):
    args = (rotation, position) if isinstance(rays, np.ndarray) else constants
    return (triangulation.triangulate(rays, *args, weight)[0] * aim).sum()

  constants = as_kind(jnp, (rotation, position))
  aim32 = jnp.asarray(aim, jnp.float32)

  @jax.jit
  def slope(rays, weight):
    def f(rays, weight):
      return (triangulation.triangulate(rays, *constants, weight)[0] * aim32).sum()

    return jax.grad(f, (0, 1))(rays, weight)

  by_rays, by_weight = slope(*as_kind(jnp, (rays, weight)))
  for got, which in ((by_rays, 0), (by_weight, 1)):
    step = rng.normal(size=got.shape)
    ends = []
    for h in (1e-5, -1e-5):
      moved = [rays, weight]
      moved[which] = moved[which] + h * step
      ends.append(value(*moved))
    wanted = (ends[0] - ends[1]) / 2e-5
    np.testing.assert_allclose((np.asarray(got) * step).sum(), wanted, atol=2e-3)


def test_gradient_is_finite_where_there_is_no_point():
  _, rays, rotation, position = as_kind(jnp, scene(1))
  grad = jax.jit(
    jax.grad(lambda r: triangulation.triangulate(r, rotation, position)[0].sum())
  )
  np.testing.assert_array_equal(grad(rays), np.zeros(rays.shape))


# Cameras of crops.


@BOTH
def test_projecting_with_a_crops_camera_is_cropping_the_projection(xp):
  """Section 9.10."""
  rng = np.random.default_rng(0)
  points = xp.asarray(rng.normal(size=(3, 7, 3)) * 0.5 + [0, 0, 4], np.float32)
  intrinsics = xp.asarray(
    rng.uniform([900, 950, 480, 500, 0, 0, 0, 0, 0], [1200, 1150, 520, 540] + [0] * 5)
    + np.zeros((3, 9)),
    np.float32,
  )
  box = xp.asarray(rng.uniform([300, 300, 90, 200], [700, 600, 200, 400], (3, 4)))
  box = box.astype(np.float32)
  pixels = cameras.project(points, intrinsics)
  expected = crops.to_crop(pixels, box, scale=1.3)
  cropped = camera_crops.crop_intrinsics(intrinsics, box, size=48, scale=1.3)
  cropped = triangulation.unit_intrinsics(cropped, 48)
  got = triangulation.project_to_crop(points, cropped)
  np.testing.assert_allclose(got, expected, atol=1e-5)
  rays = triangulation.crop_rays(got, cropped)
  np.testing.assert_allclose(rays, points[..., :2] / points[..., 2:], atol=1e-5)


def test_points_behind_the_camera_project_to_something_finite():
  points = np.asarray([[[0.1, 0.2, -1.0], [0.0, 0.0, 0.0]]])
  got = triangulation.project_to_crop(points, np.asarray([[2.0, 2.0, 0.0, 0.0]]))
  assert np.isfinite(got).all()


@BOTH
@pytest.mark.parametrize("num_views", [3, 4])
def test_nearest_points_are_exact_on_clean_rays(xp, num_views):
  points, *rest = scene(num_views)
  weight = np.random.default_rng(2).uniform(0.2, 1, rest[0].shape[:-1])
  found, valid = triangulation.nearest_points(*as_kind(xp, (*rest, weight)))
  assert isinstance(found, np.ndarray) == (xp is np)
  assert np.asarray(valid).all()
  np.testing.assert_allclose(found, points, atol=1e-10 if xp is np else 2e-5)


def test_nearest_points_have_the_least_squared_distance_to_the_lines():
  _, rays, rotation, position = scene()
  rng = np.random.default_rng(1)
  rays = rays + rng.normal(size=rays.shape) * 0.03
  weight = rng.uniform(0.2, 1, rays.shape[:-1])
  found, _ = triangulation.nearest_points(rays, rotation, position, weight)
  lines = np.concatenate([rays, np.ones_like(rays[..., :1])], -1)
  lines = np.einsum("bvjd,vdc->bvjc", lines, rotation[0])
  lines /= np.linalg.norm(lines, axis=-1, keepdims=True)
  for b in range(2):
    for j in range(5):
      across = np.eye(3) - np.einsum("vc,vd->vcd", lines[b, :, j], lines[b, :, j])
      across *= np.sqrt(weight[b, :, j])[:, None, None]
      right = np.einsum("vcd,vd->vc", across, position[0]).ravel()
      expected = np.linalg.lstsq(across.reshape(-1, 3), right, rcond=None)[0]
      np.testing.assert_allclose(found[b, j], expected, atol=1e-10)


@BOTH
def test_nearest_points_need_two_lines_that_are_not_parallel(xp):
  points, rays, rotation, position = scene(3)
  weight = np.ones(rays.shape[:-1])
  weight[0, 1:], weight[1, 0] = 0, 0
  bad = [
    np.repeat(a, 2, 0) if len(a) == 1 else a.copy() for a in (rays, rotation, position)
  ]
  for array in bad:
    array[1, 0] = np.nan
  found, valid = triangulation.nearest_points(*as_kind(xp, (*bad, weight)))
  np.testing.assert_array_equal(valid, np.repeat([[False], [True]], 5, 1))
  np.testing.assert_array_equal(found[0], np.zeros((5, 3)))
  np.testing.assert_allclose(found[1], points[1], atol=2e-5)
  twice = [np.repeat(a[:, :1], 2, 1) for a in (rays, rotation, position)]
  _, valid = triangulation.nearest_points(*as_kind(xp, (*twice, np.ones((2, 2, 5)))))
  assert not np.asarray(valid)[0].any()


def confident(rays, value=1.0):
  return np.full(rays.shape[:-1], value)


LIMIT = np.full((2, 4), 0.02)  # 23 pixels at a focal length of 1150


@BOTH
def test_ransac_equals_dlt_where_all_views_agree(xp):
  _, rays, rotation, position = scene()
  rng = np.random.default_rng(2)
  rays = rays + rng.normal(size=rays.shape) * 0.002
  sure = rng.uniform(0.3, 1, rays.shape[:-1])
  arrays = as_kind(xp, (rays, rotation, position, sure))
  found, agree = triangulation.ransac(*arrays, *as_kind(xp, [LIMIT]))
  assert np.asarray(agree).all()
  expected, _ = triangulation.triangulate(*arrays)
  np.testing.assert_array_equal(found, expected)


@BOTH
@pytest.mark.parametrize("wrong", range(4))
def test_ransac_finds_the_wrong_view(xp, wrong):
  points, rays, *rig = scene()
  rays[:, wrong] += [0.1, -0.05]
  sure = confident(rays)
  sure[:, wrong] = 3.0  # it is surer than any other
  found, agree = triangulation.ransac(*as_kind(xp, (rays, *rig, sure, LIMIT)))
  np.testing.assert_allclose(found, points, atol=1e-9 if xp is np else 1e-4)
  expected = np.arange(4) != wrong
  np.testing.assert_array_equal(
    agree, np.broadcast_to(expected[:, None], np.asarray(agree).shape)
  )
  plain, _ = triangulation.triangulate(*as_kind(xp, (rays, *rig, sure)))
  assert np.linalg.norm(np.asarray(plain) - points, axis=-1).min() > 0.05


def test_ransac_has_no_point_where_fewer_than_two_views_agree():
  points, rays, rotation, position = scene()
  sure = confident(rays)
  sure[0, 1:, 0] = 0  # one view alone
  rays[0, 1:, 0] = np.nan
  sure[1, 2:, 2] = 0  # two views that do not agree
  rays[1, 0, 2] += 0.2
  found, agree = triangulation.ransac(rays, rotation, position, sure, LIMIT)
  gone = np.isnan(found).all(-1)
  expected = np.zeros(gone.shape, bool)
  expected[0, 0] = expected[1, 2] = True
  np.testing.assert_array_equal(gone, expected)
  assert not np.swapaxes(agree, 1, 2)[gone].any()
  np.testing.assert_allclose(found[~gone], points[~gone], atol=1e-9)


def test_ransac_of_one_view_is_nothing():
  _, rays, rotation, position = scene(1)
  found, agree = triangulation.ransac(
    rays, rotation, position, confident(rays), LIMIT[:, :1]
  )
  assert np.isnan(found).all()
  assert not agree.any()


def test_points_behind_a_camera_agree_with_nothing():
  points, rays, rotation, position = scene()
  np.testing.assert_allclose(
    triangulation.ray_errors(points, rays, rotation, position), 0, atol=1e-12
  )
  behind = position[:, :1] - 0.1 * rotation[:, :1, 2]
  far = triangulation.ray_errors(
    np.repeat(np.repeat(behind, 5, 1), 2, 0), rays, rotation, position
  )
  assert np.isinf(far[:, 0]).all()


def test_ransac_measures_each_view_by_its_own_limit():
  _, rays, rotation, position = scene()
  rays[:, 0] += 0.01
  sure = confident(rays)
  loose, tight = LIMIT.copy(), LIMIT.copy()
  tight[:, 0] = 0.002
  _, agree = triangulation.ransac(rays, rotation, position, sure, loose)
  assert agree.all()
  _, agree = triangulation.ransac(rays, rotation, position, sure, tight)
  assert not agree[:, 0].any()
  assert agree[:, 1:].all()
