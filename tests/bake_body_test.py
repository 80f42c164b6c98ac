"""The steps that bake the free body, as far as they need neither torch nor anny."""

import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose.body import body_files
from tools import bake_correctives
from tools import bake_decimate
from tools import bake_regressors


def sphere(n=20):
  """A closed sphere of radius 1: points and triangles, seen from outside."""
  t, p = np.meshgrid(
    np.linspace(0, np.pi, n)[1:-1], 2 * np.pi * np.arange(n) / n, indexing="ij"
  )
  ring = np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1)
  points = np.concatenate([ring.reshape(-1, 3), [[0, 0, 1], [0, 0, -1]]])
  faces, last = [], (n - 3) * n
  for j in range(n):
    k = (j + 1) % n
    faces += [(len(points) - 2, j, k), (len(points) - 1, last + k, last + j)]
    for i in range(n - 3):
      a, b, c, d = i * n + j, (i + 1) * n + j, (i + 1) * n + k, i * n + k
      faces += [(a, b, c), (a, c, d)]
  return points, np.asarray(faces)


def volume(points, faces):
  a, b, c = np.moveaxis(points[faces], 1, 0)
  return (np.cross(a, b) * c).sum() / 6


def test_decimation_keeps_a_closed_surface_and_its_volume():
  points, faces = sphere()
  keep, fewer = bake_decimate.decimate(points, faces, 120, locked=(5, 77))
  assert len(keep) == 120
  assert {5, 77} <= set(keep.tolist())
  assert len(fewer) == 2 * len(keep) - 4  # Euler's formula for a sphere
  edges = np.concatenate([fewer[:, [i, (i + 1) % 3]] for i in range(3)])
  assert {tuple(e) for e in edges} == {tuple(e[::-1]) for e in edges}
  assert volume(points[keep], fewer) == pytest.approx(volume(points, faces), rel=0.06)


def test_decimation_stops_before_it_breaks_the_surface():
  points, faces = sphere(8)
  with pytest.raises(ValueError, match="got 2 vertices, expected at least"):
    bake_decimate.decimate(points, faces, 2)


def test_dual_quaternions_move_any_blend_with_the_world():
  rng = np.random.default_rng(2)
  points, shifts = rng.normal(size=(20, 3)), rng.normal(size=(4, 3))
  weights = rng.random((20, 4))
  weights /= weights.sum(1, keepdims=True)
  turns = geometry.axis_angle_to_matrix(0.4 * rng.normal(size=(4, 3)))
  world = geometry.axis_angle_to_matrix(rng.normal(size=3))
  step = rng.normal(size=3)
  before = bake_correctives.dual_quaternions(points, weights, turns, shifts)
  after = bake_correctives.dual_quaternions(
    points, weights, world @ turns, shifts @ world.T + step
  )
  np.testing.assert_allclose(after, before @ world.T + step, atol=1e-9)


def test_a_twist_keeps_its_girth_with_dual_quaternions_and_loses_it_without():
  angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
  ring = np.stack([0 * angle, np.cos(angle), np.sin(angle)], -1)
  half = np.full((16, 2), 0.5)
  turns = geometry.axis_angle_to_matrix(np.asarray([[0.0, 0, 0], [2.0, 0, 0]]))
  good = bake_correctives.dual_quaternions(ring, half, turns, np.zeros((2, 3)))
  pinched, _ = bake_correctives.linear(ring, half, turns, np.zeros((2, 3)))
  np.testing.assert_allclose(np.linalg.norm(good, axis=-1), 1, atol=1e-9)
  np.testing.assert_allclose(np.linalg.norm(pinched, axis=-1), np.cos(1), atol=1e-9)


def test_the_shipped_corrections_are_those_of_the_shipped_skin():
  body = body_files.load("free_small")
  made = bake_correctives.pose_blend_shapes(
    *(np.float64(a) for a in (body.template, body.joint_template, body.weights))
  )
  np.testing.assert_allclose(made, body.pose_dirs, atol=2.0**-11)
  assert np.abs(made).max() > 0.01


def test_a_place_moves_with_its_joints_and_turns_with_one():
  body = body_files.load("free_small")
  rotations, betas = bake_regressors.random_motion(body, 16)
  posed = bodies.pose(body, rotations, betas)
  wrist = bake_regressors.NAMES.index("left_wrist")
  at = bake_regressors.track(
    bake_regressors.Place({"left_wrist": 1.0}), rotations, posed, 0
  )
  np.testing.assert_allclose(at, posed.joints[:, wrist], atol=1e-6)
  # The elbow, seen from the wrist's parent, is where the rest pose has it.
  elbow = bake_regressors.NAMES.index("left_elbow")
  step = np.float64(body.joint_template[wrist] - body.joint_template[elbow])
  place = bake_regressors.Place({"left_elbow": 1.0}, tuple(step), "left_elbow")
  still = bodies.pose(body, rotations, np.zeros((16, 10)))
  at = bake_regressors.track(place, rotations, still, 0)
  np.testing.assert_allclose(at, still.joints[:, wrist], atol=1e-5)


def test_a_regressed_joint_is_a_mean_of_few_vertices_and_stays_when_limbs_bend():
  body = body_files.load("free_small")
  wanted = [bake_regressors.Place({"left_wrist": 1.0})]
  (row,) = bake_regressors.regressor(body, wanted, 0)
  assert row.min() >= 0
  assert row.sum() == pytest.approx(1, abs=1e-5)
  assert 3 < (row > 0).sum() <= bake_regressors.KEPT
  rotations, betas = bake_regressors.random_motion(body, 16, seed=5)
  posed = bodies.pose(body, rotations, betas)
  wrist = posed.joints[:, bake_regressors.NAMES.index("left_wrist")]
  error = np.linalg.norm(row @ posed.vertices - wrist, axis=-1)
  assert error.mean() < 0.004


def test_the_embedded_files_are_small_and_have_their_notice():
  notice = (body_files.ASSETS / "NOTICE").read_text()
  for name in body_files.FREE.values():
    assert (body_files.ASSETS / name).stat().st_size < 1_000_000
    assert name in notice
  for part in ("MakeHuman", "CC0 1.0", "NAVER", "Apache License"):
    assert part in notice
