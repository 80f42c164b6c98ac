"""Batches of bodies: whatever is augmented, parameters, joints and points agree."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose.body import body_files
from jaxpose.data import pose_data
from jaxpose.geometry import keypoint_crops
from jaxpose.tasks import batches
from jaxpose.tasks import mesh_batches
from tests import small_data

KEY = jax.random.key(0)
BODY = bodies.for_joints(body_files.load("free_small"))
ROOT = mesh_batches.SKELETON.root
T = 8


@pytest.fixture(scope="module")
def windows():
  poses = small_data.mesh_data()
  order = pose_data.TrainingOrder(poses, 6, flip=True)
  batch = pose_data.gather(poses.frames, poses.runs, order(0), T)
  return jax.tree.map(jnp.asarray, batch)


def augmented(windows, key=KEY, **fields):
  augmentation = batches.Augmentation(body="free_small", **fields)
  make = functools.partial(mesh_batches.training_batch, augmentation=augmentation)
  return jax.jit(make)(windows, key)


def centred(joints):
  return joints - joints[:, :, ROOT : ROOT + 1]


def posed(batch):
  return bodies.joints_49(BODY, bodies.pose(BODY, batch["rotations"], batch["betas"]))


AUGMENTATIONS = (
  {},
  dict(virtual_camera=True),
  dict(random_shape=True),
  dict(random_shape=True, virtual_camera=True, detector_noise=1.0, joint_dropout=0.1),
)


@pytest.mark.parametrize("fields", AUGMENTATIONS)
def test_parameters_pose_the_joints(windows, fields):
  batch = augmented(windows, **fields)
  np.testing.assert_allclose(
    centred(posed(batch)), centred(batch["joints_3d"]), atol=2e-5
  )


def test_a_mirrored_window_is_posed_by_mirrored_parameters(windows):
  assert windows["flip"].any()
  batch = augmented(windows, flip=True)
  # The two halves of the body are alike to a few millimetres.
  np.testing.assert_allclose(
    centred(posed(batch)), centred(batch["joints_3d"]), atol=8e-3
  )
  plain = augmented(windows)
  chosen = np.asarray(windows["flip"])
  np.testing.assert_array_equal(
    batch["rotations"][~chosen], plain["rotations"][~chosen]
  )
  assert np.abs(batch["rotations"] - plain["rotations"])[chosen].max() > 0.1


def test_mirroring_twice_changes_nothing(windows):
  rotations = geometry.axis_angle_to_matrix(windows["smpl_pose"])
  twice = mesh_batches.mirror_rotations(mesh_batches.mirror_rotations(rotations))
  np.testing.assert_array_equal(twice, rotations)


@pytest.mark.parametrize("fields", AUGMENTATIONS[:2])
def test_points_are_the_joints_seen_by_a_pinhole(windows, fields):
  batch = augmented(windows, **fields)
  rays = batch["joints_3d"][..., :2] / batch["joints_3d"][..., 2:]
  # Crop units are an affine image of the rays, one scale for x and y.
  for points, seen in zip(batch["keypoints_2d"], rays, strict=True):
    x, y = np.reshape(seen, (-1, 2)).T, np.reshape(points, (-1, 2)).T
    x0, y0 = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    scale = (x0 * y0).sum() / (x0 * x0).sum()
    np.testing.assert_allclose(y0, scale * x0, atol=1e-3)


def test_a_new_shape_is_one_for_a_window_and_leaves_the_place(windows):
  batch = augmented(windows, random_shape=True)
  betas = np.asarray(batch["betas"])
  np.testing.assert_array_equal(betas, np.broadcast_to(betas[:, :1], betas.shape))
  assert np.abs(betas[0, 0] - betas[1, 0]).max() > 0.1
  np.testing.assert_allclose(
    batch["joints_3d"][:, :, ROOT], windows["joints_3d"][:, :, ROOT], atol=1e-5
  )


def test_exact_windows_are_what_evaluation_sees(windows):
  batch = augmented(windows)
  expected = mesh_batches.inputs(windows)["keypoints_crop"]
  np.testing.assert_allclose(batch["keypoints_crop"], expected, atol=1e-6)
  assert expected.shape == (6, T, 17, 5)


def test_the_input_is_cocos_joints_in_the_crop_of_the_targets(windows):
  batch = augmented(windows)
  spin = [mesh_batches.SKELETON.index(joint) for joint in mesh_batches.INPUT.joints]
  np.testing.assert_allclose(
    batch["keypoints_crop"][..., :2], batch["keypoints_2d"][:, :, spin], atol=1e-6
  )
  edge = 1 / keypoint_crops.MARGIN
  assert np.abs(batch["keypoints_crop"][..., :2]).max() == pytest.approx(edge, rel=1e-5)


def test_hidden_joints_have_no_confidence_and_the_targets_stay(windows):
  batch = augmented(windows, joint_dropout=0.3)
  hidden = np.asarray(batch["keypoints_crop"][..., -1]) == 0
  assert 0.1 < hidden.mean() < 0.5
  np.testing.assert_array_equal(batch["confidence_2d"], 1)


def test_noise_moves_the_input_and_not_the_targets(windows):
  noisy, exact = augmented(windows, detector_noise=1.0), augmented(windows)
  picture = slice(2, 4)
  moved = noisy["keypoints_crop"] - exact["keypoints_crop"]
  assert np.abs(moved[..., picture]).max() > 1e-3
  np.testing.assert_array_equal(noisy["joints_3d"], exact["joints_3d"])


def feature_windows(b=3, t=4):
  rng = np.random.default_rng(0)
  shapes = dict(
    features=(b, t, 7),
    keypoints_2d=(b, t, 49, 2),
    confidence=(b, t, 49),
    joints_3d=(b, t, 49, 3),
    smpl_pose=(b, t, 24, 3),
    betas=(b, t, 10),
  )
  arrays = {k: jnp.asarray(rng.normal(size=s), jnp.float32) for k, s in shapes.items()}
  known = dict(
    has_joints_3d=jnp.asarray([True, False, True]),
    has_smpl=jnp.asarray([False, False, True]),
  )
  return arrays | known | dict(flip=jnp.zeros(b, bool))


def test_image_features_pass_with_what_is_known_of_them():
  given = feature_windows()
  batch = augmented(given)
  for key in ("features", "keypoints_2d", "joints_3d", "betas"):
    np.testing.assert_array_equal(batch[key], given[key])
  np.testing.assert_array_equal(batch["confidence_2d"], given["confidence"])
  np.testing.assert_array_equal(batch["has_joints_3d"], [[1] * 4, [0] * 4, [1] * 4])
  np.testing.assert_array_equal(batch["has_smpl"], [[0] * 4, [0] * 4, [1] * 4])
  assert mesh_batches.inputs(given) is given


def test_labels_are_rounded_through_float16_if_asked_for():
  given = feature_windows()
  batch = augmented(given, label_rounding=True)
  for key in ("keypoints_2d", "joints_3d", "betas"):
    rounded = np.asarray(given[key]).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(batch[key], rounded)
    assert (rounded != given[key]).any()
  np.testing.assert_array_equal(batch["features"], given["features"])
