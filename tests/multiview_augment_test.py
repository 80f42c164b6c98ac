import jax
import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import view_transforms as augment
from jaxpose.geometry import cameras
from tests.multiview_data_test import project

SKELETON = skeletons.get("h36m17")
SIZE = 48


@pytest.fixture(scope="module")
def batch():
  """Two windows of 2 frames and 3 views; a bright dot lies on joint 10."""
  rng = np.random.default_rng(0)
  b, t, v, j = 2, 2, 3, 17
  position = rng.normal(0, 1, (b, v, 3)) + np.array([0, -4, 1])
  found = dict(
    view_mask=np.ones((b, t, v), bool),
    camera_rotation=cameras.look_at(
      position, np.broadcast_to([0.1, 0.2, 1.0], position.shape)
    ),
    camera_position=position,
    intrinsics=np.tile(np.array([70.0, 72, 22.3, 25.1, 0, 0, 0, 0, 0]), (b, t, v, 1)),
    joints_3d=rng.normal(0, 0.35, (b, t, j, 3)) + np.array([0, 0, 1]),
    joints_valid=np.ones((b, t, j), bool),
    keypoints_valid=rng.random((b, t, v, j)) < 0.9,
    boxes=np.ones((b, t, v, 4)),
  )
  points = project(found)
  y, x = np.mgrid[:SIZE, :SIZE]
  at = points[..., 10, None, None, :]
  dot = 250 * np.exp(-((x - at[..., 0]) ** 2 + (y - at[..., 1]) ** 2) / 8)
  found |= dict(
    keypoints_2d=points,
    visible=found["keypoints_valid"] & ((points >= 0) & (points < SIZE)).all(-1),
    images=np.repeat(dot[..., None], 3, -1).round().astype(np.uint8),
  )
  floats = {k: x.astype(np.float32) for k, x in found.items() if x.dtype == np.float64}
  return found | floats


def dots(images):
  """Centre of mass of each picture."""
  mass = np.asarray(images)[..., 0].astype(float)
  y, x = np.mgrid[:SIZE, :SIZE]
  total = mass.sum((-2, -1))
  return (
    np.stack([(mass * x).sum((-2, -1)), (mass * y).sum((-2, -1))], -1)
    / total[..., None]
  )


def check(batch, joint=10):
  """Cameras are calibrated, and the dot lies where the joint is."""
  found = {key: np.asarray(array) for key, array in batch.items()}
  np.testing.assert_allclose(project(found), found["keypoints_2d"], atol=2e-3)
  rotation = found["camera_rotation"]
  np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-5)
  np.testing.assert_allclose(
    dots(found["images"]), found["keypoints_2d"][..., joint, :], atol=0.4
  )


def test_the_scene_before_is_calibrated(batch):
  check(batch)


def test_a_mirrored_scene_is_calibrated(batch):
  mirrored = augment.mirror_scene(batch, SKELETON, np.array([True, False]))
  check(mirrored)  # joint 10, the head, is its own mirror image
  wrist, other = SKELETON.index("left_wrist"), SKELETON.index("right_wrist")
  np.testing.assert_allclose(
    mirrored["joints_3d"][0, :, wrist] * [-1, 1, 1],
    batch["joints_3d"][0, :, other],
  )
  np.testing.assert_array_equal(
    mirrored["visible"][0, ..., wrist], batch["visible"][0, ..., other]
  )
  np.testing.assert_array_equal(mirrored["images"][1], batch["images"][1])


def test_mirroring_twice_changes_nothing(batch):
  both = np.array([True, True])
  again = augment.mirror_scene(
    augment.mirror_scene(batch, SKELETON, both), SKELETON, both
  )
  for key, array in batch.items():
    np.testing.assert_allclose(again[key], array, atol=1e-4)


def test_a_turned_scene_is_calibrated_and_looks_the_same(batch):
  turned = augment.turn_scene(batch, np.array([0.7, -2.0], np.float32))
  check(turned)
  assert np.abs(turned["joints_3d"] - batch["joints_3d"]).max() > 0.1
  np.testing.assert_array_equal(turned["joints_3d"][..., 2], batch["joints_3d"][..., 2])


def test_moved_crops_are_calibrated(batch):
  rng = np.random.default_rng(1)
  shape = batch["view_mask"].shape
  zoom = rng.uniform(0.85, 1.15, shape).astype(np.float32)
  shift = rng.uniform(-2, 2, (*shape, 2)).astype(np.float32)
  moved = augment.move_crops(batch, zoom, shift)
  assert np.abs(moved["keypoints_2d"] - batch["keypoints_2d"]).max() > 1
  check(moved)


def test_joints_that_leave_the_crop_are_no_longer_visible(batch):
  shape = batch["view_mask"].shape
  shift = np.full((*shape, 2), 2.0 * SIZE, np.float32)
  moved = augment.move_crops(batch, np.ones(shape, np.float32), shift)
  assert not moved["visible"].any()
  assert not moved["images"].any()


def test_all_together_is_calibrated_and_jits(batch):
  everything = augment.Augmentation(
    mirror=True, turn=True, zoom=0.1, shift=0.04, drop_views=0.3
  )
  step = jax.jit(lambda key, b: augment.augment(key, b, SKELETON, everything))
  found = step(jax.random.key(0), batch)
  check(found)
  assert "boxes" not in found
  assert found["images"].dtype == np.uint8
  other = step(jax.random.key(1), batch)
  assert np.abs(found["joints_3d"] - other["joints_3d"]).max() > 0.01


def test_no_augmentation_changes_nothing(batch):
  found = augment.augment(jax.random.key(0), batch, SKELETON, augment.Augmentation())
  for key in found:
    np.testing.assert_array_equal(found[key], batch[key])


def test_colours_change_alike_in_the_frames_of_a_view():
  images = np.full((1, 3, 2, 8, 8, 3), 100, np.uint8)
  found = np.asarray(augment.change_colors(jax.random.key(3), images, 0.3))
  np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1], found.shape))
  assert (found[:, :, 0] != found[:, :, 1]).any()
  assert (found != images).any()


def test_erased_joints_are_not_visible(batch):
  grey = batch | dict(
    images=np.full_like(batch["images"], 7),
    visible=np.ones_like(batch["visible"]),
  )
  found = augment.erase(jax.random.key(2), grey, 1.0)
  images, points = np.asarray(found["images"]), batch["keypoints_2d"]
  at = np.clip(np.rint(points).astype(int), 0, SIZE - 1)
  inside = ((points > 1) & (points < SIZE - 2)).all(-1)
  lead = np.indices(points.shape[:3])[..., None]
  shown = (images[(*lead, at[..., 1], at[..., 0])] == 7).all(-1)
  agree = (shown == np.asarray(found["visible"]))[inside]
  assert agree.mean() > 0.95  # but for joints on the rectangle's edge
  assert 0.05 < (images != 7).any(-1).mean() < 0.3


def test_nothing_is_erased_at_rate_zero(batch):
  found = augment.erase(jax.random.key(2), batch, 0.0)
  np.testing.assert_array_equal(found["images"], batch["images"])


def test_at_least_one_present_view_stays():
  mask = np.ones((64, 2, 3), bool)
  mask[:, :, 0] = False
  found = np.asarray(augment.drop_views(jax.random.key(0), mask, 0.9))
  assert not found[:, :, 0].any()
  assert found.any((1, 2)).all()
  assert found.mean() < 0.5
  np.testing.assert_array_equal(found[:, 0], found[:, 1])
