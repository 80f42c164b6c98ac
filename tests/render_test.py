import numpy as np
import pytest

from jaxpose.draw import render
from jaxpose.geometry import cameras

K = np.array([90.0, 85.0, 31.2, 23.9, 0, 0, 0, 0, 0])
SIZE = (64, 48)


def ball(n=24, radius=0.5, centre=(0.0, 0.0, 3.0)):
  """A closed sphere; faces are counter-clockwise seen from outside."""
  theta = np.linspace(1e-4, np.pi - 1e-4, n)
  phi = 2 * np.pi * np.arange(n) / n
  z, x, y = np.broadcast_arrays(
    np.cos(theta)[:, None],
    np.sin(theta)[:, None] * np.cos(phi),
    np.sin(theta)[:, None] * np.sin(phi),
  )
  points = np.stack([x, y, z], -1).reshape(-1, 3)
  row, k = np.mgrid[: n - 1, :n]
  a, b = row * n + k, row * n + (k + 1) % n
  quads = np.stack([a, a + n, b + n, b], -1).reshape(-1, 4)
  faces = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
  return radius * points + centre, faces


def draw(points, faces, colors=None, **kwargs):
  colors = points if colors is None else colors
  return render.rasterize(
    points[None], np.asarray(faces), colors[None], K[None], SIZE, **kwargs
  )


def rays(samples):
  """x/z, y/z of each sample."""
  x, y = ((np.arange(n * samples) + 0.5) / samples - 0.5 for n in SIZE)
  return np.stack(np.meshgrid((x - K[2]) / K[0], (y - K[3]) / K[1]), -1)


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_every_sample_shows_the_point_that_its_ray_meets(samples):
  points, faces = ball()
  # Colours are places, so what is seen must lie on the ray, at the depth.
  layer = draw(points, faces, samples=samples)
  seen = np.isfinite(layer.depth[0])
  place, depth = layer.color[0][seen], layer.depth[0][seen]
  np.testing.assert_allclose(place[:, 2], depth, rtol=1e-5)
  np.testing.assert_allclose(
    place[:, :2] / depth[:, None], rays(samples)[seen], atol=2e-6
  )
  radius = np.linalg.norm(place - [0, 0, 3], axis=-1)
  assert 0.48 < radius.min()
  assert radius.max() < 0.5001
  assert (depth < 3).all()  # the near side


def test_samples_are_covered_if_their_ray_meets_the_mesh():
  points, faces = ball(n=60)
  seen = np.isfinite(draw(points, faces).depth[0])
  ray = np.concatenate([rays(2), np.ones((*rays(2).shape[:2], 1))], -1)
  ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
  distance = np.linalg.norm(np.cross(ray, [0, 0, 3.0]), axis=-1)
  assert seen[distance < 0.495].all()
  assert not seen[distance > 0.501].any()


def test_depth_is_that_of_the_plane():
  points = np.array([[-9.0, -9, 2], [9, -9, 4], [9, 9, 5], [-9, 9, 3]])
  layer = draw(points, [[0, 2, 1], [0, 3, 2]], samples=1)
  normal = np.cross(points[1] - points[0], points[2] - points[0])
  ray = np.concatenate([rays(1), np.ones((*rays(1).shape[:2], 1))], -1)
  np.testing.assert_allclose(
    layer.depth[0], (points[0] @ normal) / (ray @ normal), rtol=1e-5
  )


def test_neighbouring_faces_leave_no_gap():
  rng = np.random.default_rng(0)
  n = 30
  y, x = np.mgrid[:n, :n] / (n - 1) * 8 - 4
  points = np.stack([x, y, 0 * x + 3], -1).reshape(-1, 3)
  inner = np.ones((n, n), bool)
  inner[[0, -1]] = inner[:, [0, -1]] = False
  points[inner.ravel(), :2] += rng.uniform(-0.1, 0.1, (inner.sum(), 2))
  row, k = np.mgrid[: n - 1, : n - 1]
  a = (row * n + k).ravel()
  faces = np.concatenate(
    [np.stack([a, a + n, a + 1], -1), np.stack([a + 1, a + n, a + n + 1], -1)]
  )
  layer = draw(points, faces, samples=3)
  assert np.isfinite(layer.depth).all()


def test_the_nearer_face_is_seen_in_whatever_order():
  near = np.array([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]])
  points = np.concatenate([near, near * 1.5])
  colors = np.repeat([[1.0, 0, 0], [0, 1, 0]], 3, 0)
  faces = np.array([[0, 2, 1], [3, 5, 4]])
  for order in (faces, faces[::-1]):
    layer = draw(points, order, colors)
    np.testing.assert_array_equal(layer.color[0, 44, 62], [1, 0, 0])
    np.testing.assert_allclose(layer.depth[0, 44, 62], 2, rtol=1e-6)


def test_faces_seen_from_behind_are_left_out_of_closed_meshes_only():
  points, faces = ball()
  np.testing.assert_array_equal(
    draw(points, faces).depth, draw(points, faces, cull=False).depth
  )
  triangle = np.array([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]])
  assert np.isinf(draw(triangle, [[0, 1, 2]]).depth).all()
  behind = draw(triangle, [[0, 1, 2]], cull=False)
  np.testing.assert_array_equal(behind.depth, draw(triangle, [[0, 2, 1]]).depth)
  assert np.isfinite(behind.depth).any()


def test_faces_at_the_camera_are_left_out():
  triangle = np.array([[-1.0, -1, 2], [1, -1, 2], [0, 1, 0.01]])
  assert np.isinf(draw(triangle, [[0, 2, 1]]).depth).all()


def test_images_of_a_batch_do_not_depend_on_each_other(monkeypatch):
  points, faces = ball()
  rng = np.random.default_rng(0)
  batch = points + rng.normal(0, 0.2, (5, 1, 3))
  lens = K * rng.uniform(0.9, 1.1, (5, 1))
  together = render.rasterize(batch, faces, batch, lens, SIZE)
  monkeypatch.setattr(render, "_FACES_AT_ONCE", 2 * len(faces))
  apart = render.rasterize(batch, faces, batch, lens, SIZE)
  np.testing.assert_array_equal(together.color, apart.color)
  one = render.rasterize(batch[3:4], faces, batch[3:4], lens[3:4], SIZE)
  np.testing.assert_array_equal(together.depth[3], one.depth[0])


def test_a_mesh_out_of_the_picture_is_not_seen():
  points, faces = ball(centre=(50.0, 0, 3))
  assert np.isinf(draw(points, faces).depth).all()
  assert np.isinf(draw(points - [50, 0, 6], faces).depth).all()  # behind


def test_pixels_are_means_of_their_samples():
  samples = np.random.default_rng(0).random((2, 6, 9, 3)).astype(np.float32)
  pixels = render.resolve(samples, 3)
  assert pixels.shape == (2, 2, 3, 3)
  np.testing.assert_allclose(
    pixels[1, 1, 2], samples[1, 3:, 6:].mean((0, 1)), rtol=1e-6
  )


def test_over_takes_the_nearer_sample():
  near, far = (
    render.Layer(np.full((1, 1, 2, 3), c, np.float32), np.array([[d]], np.float32))
    for c, d in ((1, [1, np.inf]), (2, [2, 5]))
  )
  both = render.over(near, far)
  np.testing.assert_array_equal(both.color[0, 0, :, 0], [1, 2])
  np.testing.assert_array_equal(both.depth, [[[1, 5]]])


def test_normals_point_outward():
  points, faces = ball(centre=(0.0, 0, 0), radius=1.0)
  normals = render.vertex_normals(points, faces)
  assert ((normals * points).sum(-1) > 0.97).all()
  np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-9)


def test_what_faces_the_lamp_or_the_sky_is_brighter():
  normals = np.array([[0.0, 0, 1], [1, 0, 0], [0, 0, -1], [-1, 0, 0]])
  lit = render.shade(
    normals, np.ones((1, 3)), np.array([1.0, 0, 0]), up=np.array([0.0, 0, 1])
  )[:, 0]
  assert lit[1] > lit[3]
  assert lit[0] > lit[3] > lit[2]


def test_a_mesh_is_drawn_over_a_picture_where_it_is():
  points, faces = ball()
  image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
  drawn = render.draw_mesh(image, points, faces, K, color=(0.1, 0.9, 0.1))
  middle = np.rint(K[2:4]).astype(int)
  red, green, _ = drawn[middle[1], middle[0]].astype(int)
  assert green > 5 * red
  np.testing.assert_array_equal(drawn[:3], image[:3])
  bent = K.copy()
  bent[4] = -0.3
  other = render.draw_mesh(image, points + np.array([0.5, 0, 0]), faces, bent)
  centre = cameras.project(np.array([[0.5, 0, 3.0]]), bent)[0]
  changed = (other != image).any(-1)
  _, x = np.nonzero(changed)
  assert abs((x.min() + x.max()) / 2 - centre[0]) < 2


def test_lenses_with_distortion_are_refused():
  points, faces = ball()
  bent = K + np.eye(9)[4]
  with pytest.raises(ValueError, match="got intrinsics with lens distortion, expected"):
    render.rasterize(points[None], faces, points[None], bent[None], SIZE)


def test_faces_that_name_no_corner_are_refused():
  points, faces = ball()
  with pytest.raises(
    ValueError, match="got faces with corners 0 to 575, expected 0 to"
  ):
    draw(points[:9], faces)
