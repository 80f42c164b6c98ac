import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import view_transforms
from jaxpose.data import view_windows
from jaxpose.geometry import triangulation
from jaxpose.tasks import view_batches
from tests import multiview_motion_test as motion

H36M = skeletons.get("h36m17")


@pytest.fixture(scope="module")
def windows():
  clips = motion.clips()
  order = view_windows.TrainingOrder(clips, 6, frames=4)
  windows = view_windows.gather(clips.clips, order(0), 4)
  return {name: jnp.asarray(array) for name, array in windows.items()}


def world_in_crops(batch):
  joints = batch["joints_3d"] + batch["root_3d"][:, :, None]
  offset = joints[:, None] - batch["camera_position"][:, :, None, None]
  seen = jnp.einsum("bvtjc,bvdc->bvtjd", offset, batch["camera_rotation"])
  return triangulation.project_to_crop(seen, batch["crop_intrinsics"])


def test_3d_targets_seen_by_the_cameras_are_the_2d_targets_whatever_is_changed(windows):
  scene = view_transforms.Augmentation(True, True, 0.2, 0.1)
  changes = view_batches.Augmentation(scene, keypoint_noise=1.0)
  batch = view_batches.training_batch(windows, jax.random.key(0), H36M, changes)
  known = np.asarray(batch["keypoints_known"])
  assert known.mean() > 0.8
  np.testing.assert_allclose(
    world_in_crops(batch)[known], batch["keypoints_2d"][known], atol=1e-3
  )
  plain = view_batches.with_targets(windows, H36M)
  assert np.abs(plain["keypoints_2d"] - batch["keypoints_2d"]).max() > 0.1


def test_poses_are_relative_to_the_root_in_the_world_or_the_first_view(windows):
  batch = view_batches.with_targets(windows, H36M)
  np.testing.assert_array_equal(batch["joints_3d"][:, :, 0], 0)
  turned = jnp.einsum(
    "bdc,btjd->btjc", batch["camera_rotation"][:, 0], batch["joints_3d_reference"]
  )
  np.testing.assert_allclose(turned, batch["joints_3d"], atol=1e-5)
  assert np.abs(batch["joints_3d_reference"] - batch["joints_3d"]).max() > 0.1


def test_joints_of_missing_views_and_outside_the_crop_do_not_count(windows):
  missing = windows | dict(view_mask=windows["view_mask"].at[:, :, 1].set(False))
  missing["keypoints_2d"] = (
    windows["keypoints_2d"].at[0, 0, 0, 3].set(2.0 * motion.SIZE)
  )
  batch = view_batches.with_targets(missing, H36M)
  assert not batch["keypoints_known"][:, 1].any()
  assert not batch["keypoints_visible"][:, 1].any()
  assert not batch["keypoints_known"][0, 0, 0, 3]
  assert batch["keypoints_known"][0, 0, 0, 4]


def test_a_detector_without_errors_is_sure_and_with_errors_knows_which(windows):
  points = view_batches.with_targets(windows, H36M)["keypoints_2d"]
  same, sure = view_batches.detected(jax.random.key(0), points, H36M, 0.0)
  np.testing.assert_array_equal(same, points)
  np.testing.assert_array_equal(sure, 1)
  noisy, scores = view_batches.detected(jax.random.key(0), points, H36M, 2.0)
  share = view_batches.box_share(np.asarray(noisy), np.asarray(points))
  wrong = share > view_batches.RIGHT
  assert 0.02 < wrong.mean() < 0.8
  assert scores[~wrong].mean() > 0.7 > 0.4 > scores[wrong].mean()


def test_errors_are_shares_of_the_box():
  # A crop is 1.25 boxes wide, 2 units: 0.16 of these are a tenth of the box.
  share = view_batches.box_share(np.full((1, 1, 2), [0.16, 0.0]), np.zeros((1, 1, 2)))
  np.testing.assert_allclose(share, 0.1)
