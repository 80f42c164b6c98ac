"""Motion filmed by new cameras."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import skeletons
from jaxpose.data import view_transforms
from jaxpose.geometry import triangulation
from jaxpose.tasks import view_batches

H36M = skeletons.get("h36m17")


def standing(b=2, t=3, v=4, size=64):
  """Windows of people who face +y and stand about."""
  rng = np.random.default_rng(0)
  pose = rng.normal(0, 0.05, (17, 3)) + np.asarray([0, 0, 0.9])
  for name, place in dict(
    right_hip=(0.13, 0, 0.9),
    left_hip=(-0.13, 0, 0.9),
    thorax=(0, 0, 1.4),
    hip=(0, 0, 0.9),
    neck=(0, 0, 1.5),
    head=(0, 0, 1.7),
    left_shoulder=(-0.2, 0, 1.4),
    right_shoulder=(0.2, 0, 1.4),
    left_foot=(-0.1, 0, 0.1),
    right_foot=(0.1, 0, 0.1),
  ).items():
    pose[H36M.index(name)] = place
  places = rng.uniform(-1, 1, (b, 1, 1, 3)) * [1, 1, 0]
  joints = np.tile(pose[None, None], (b, t, 1, 1)) + places
  return dict(
    images=jnp.zeros((b, t, v, 0, size, 3), jnp.uint8),
    view_mask=jnp.ones((b, t, v), bool),
    intrinsics=jnp.ones((b, t, v, 9)),
    camera_rotation=jnp.zeros((b, v, 3, 3)),
    camera_position=jnp.zeros((b, v, 3)),
    boxes=jnp.ones((b, t, v, 4)),
    keypoints_2d=jnp.zeros((b, t, v, 17, 2)),
    keypoints_valid=jnp.ones((b, t, v, 17), bool),
    visible=jnp.ones((b, t, v, 17), bool),
    joints_3d=jnp.float32(joints),
    joints_valid=jnp.ones((b, t, 17), bool),
    frame_mask=jnp.ones((b, t), bool),
  )


def test_new_cameras_see_the_joints_where_they_are():
  windows = view_transforms.film(jax.random.key(0), standing(), H36M)
  batch = view_batches.with_targets(windows, H36M)
  rays = triangulation.crop_rays(batch["keypoints_2d"], batch["crop_intrinsics"])
  points, valid = triangulation.triangulate(
    jnp.swapaxes(rays, 1, 2),
    windows["camera_rotation"][:, None],
    windows["camera_position"][:, None],
  )
  assert np.asarray(valid).all()
  np.testing.assert_allclose(points, windows["joints_3d"], atol=2e-3)
  assert np.abs(batch["keypoints_2d"]).max() < 1


def test_some_views_miss_the_person_for_some_frames():
  windows = view_transforms.film(jax.random.key(0), standing(400, 8), H36M)
  mask = np.asarray(windows["view_mask"])
  assert 0.01 < 1 - mask.mean() < view_transforms.LEAVES
  assert (mask.any(1) & ~mask.all(1)).any()


def test_other_places_of_joints_show_in_2d_alone():
  windows = standing(20, 4)
  exact, moved = (
    view_transforms.film(jax.random.key(0), windows, H36M, places)
    for places in (0.0, 1.0)
  )
  np.testing.assert_array_equal(exact["joints_3d"], moved["joints_3d"])
  np.testing.assert_array_equal(exact["camera_position"], moved["camera_position"])
  apart = np.abs(np.asarray(exact["keypoints_2d"] - moved["keypoints_2d"])).mean()
  assert 0.3 < apart < 3  # pixels of 64


def test_exchanged_sides_take_their_scores_along():
  points = jnp.tile(jnp.linspace(-0.8, 0.8, 17)[:, None], (64, 2, 8, 1, 2))
  plain, sure = view_batches.detected(jax.random.key(0), points, H36M)
  found, scores = view_batches.detected(jax.random.key(0), points, H36M, swaps=0.2)
  swapped = np.asarray((found != plain).any(-1))
  assert 0.02 < swapped.mean() < 0.4
  for got, before in ((found, plain), (scores[..., None], sure[..., None])):
    other = np.asarray(before)[..., H36M.mirror, :]
    want = np.where(swapped[..., None], other, before)
    np.testing.assert_array_equal(got, want)


def test_hidden_joints_are_guessed_and_not_sure():
  points = jnp.tile(jnp.linspace(-0.8, 0.8, 17)[:, None], (64, 2, 8, 1, 1))
  points = jnp.broadcast_to(points, (64, 2, 8, 17, 2))
  plain, _ = view_batches.detected(jax.random.key(0), points, H36M)
  found, sure = view_batches.detected(jax.random.key(0), points, H36M, hidden=0.2)
  hidden = np.asarray((found != plain).any(-1))
  assert 0.15 < hidden.mean() < 0.25
  sure = np.asarray(sure)
  assert np.median(sure[hidden]) < 0.5 < 0.8 < np.median(sure[~hidden])
