"""Augmentation and targets: what changes together, and what stays as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import pose_data
from jaxpose.data import transforms
from jaxpose.geometry import cameras
from jaxpose.skeletons import framing
from jaxpose.tasks import batches
from jaxpose.tasks.batches import Augmentation
from tests import small_data

H36M = skeletons.get("h36m17")
WINDOW = 5


@pytest.fixture(scope="module")
def windows():
  """A gathered batch, every second window marked to be flipped, and its records."""
  records = small_data.records()
  poses = pose_data.from_records(records)
  centre = np.arange(0, poses.num_frames, 3, dtype=np.int32)
  index = pose_data.Index(
    centre, poses.run_of_frame[centre], np.arange(len(centre)) % 2 > 0
  )
  batch = pose_data.gather(poses.frames, poses.runs, index, WINDOW)
  return jax.tree.map(jnp.asarray, batch), [records[run] for run in index.run]


def make(windows, seed=0, **augmentation):
  return jax.jit(batches.training_batch, static_argnums=(2, 3))(
    windows, jax.random.key(seed), H36M, Augmentation(**augmentation)
  )


def test_targets_are_relative_to_the_root(windows):
  batch, _ = windows
  made = batches.with_targets(batch, H36M)
  assert made["joints_3d"].shape == (len(batch["flip"]), 1, 17, 3)
  np.testing.assert_array_equal(made["joints_3d_sequence"][:, :, H36M.root], 0)
  np.testing.assert_array_equal(
    made["joints_3d"], made["joints_3d_sequence"][:, WINDOW // 2][:, None]
  )
  np.testing.assert_array_equal(
    made["joints_3d_sequence"],
    batch["joints_3d"] - batch["joints_3d"][:, :, H36M.root][:, :, None],
  )


@pytest.mark.parametrize("predicted", [0, 4])
def test_the_target_is_the_predicted_frame(windows, predicted):
  batch, _ = windows
  batch = batch | dict(predicted=jnp.full(len(batch["flip"]), predicted))
  for made in (batches.with_targets(batch, H36M), make(batch, label_jitter=True)):
    np.testing.assert_array_equal(
      made["joints_3d"][:, 0], made["joints_3d_sequence"][:, predicted]
    )


def test_without_augmentation_nothing_changes(windows):
  batch, _ = windows
  made = make(batch)
  np.testing.assert_array_equal(made["keypoints_2d"], batch["keypoints_2d"])
  np.testing.assert_array_equal(made["confidence"], 1)
  plain = batches.with_targets(batch, H36M)
  for key in ("joints_3d", "joints_3d_sequence"):
    np.testing.assert_array_equal(made[key], plain[key])


def test_flip_mirrors_exactly_the_marked_windows(windows):
  batch, _ = windows
  made, plain = make(batch, flip=True), make(batch)
  chosen = np.asarray(batch["flip"])
  for key in ("keypoints_2d", "joints_3d", "joints_3d_sequence"):
    np.testing.assert_array_equal(made[key][~chosen], plain[key][~chosen])
    assert np.abs(made[key][chosen] - plain[key][chosen]).max() > 0.1
    again = np.asarray(plain[key])[..., H36M.mirror, :]
    again = again * np.r_[-1.0, np.ones(again.shape[-1] - 1)].astype(np.float32)
    np.testing.assert_array_equal(made[key][chosen], again[chosen])


def test_a_mirrored_window_still_projects_onto_its_keypoints(windows):
  batch, records = windows
  made = batches.mirrored(batch, H36M)
  for i, record in enumerate(records):
    # The cameras have their principal point in the middle and no distortion.
    points = small_data.seen(np.asarray(made["joints_3d"][i]), record)
    np.testing.assert_allclose(made["keypoints_2d"][i], points, atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_a_virtual_camera_films_the_same_body(windows, flip):
  batch, _ = windows
  made = make(batch, virtual_camera=True, flip=flip)
  before = np.asarray(batches.with_targets(batch, H36M)["joints_3d_sequence"])
  after = np.asarray(made["joints_3d_sequence"])
  assert np.abs(after - before).max(axis=(1, 2, 3)).min() > 0.01

  def bones(joints):
    order = H36M.mirror if flip else np.arange(17)
    lengths = np.linalg.norm(joints[:, :, :, None] - joints[:, :, None], axis=-1)
    chosen = np.asarray(batch["flip"])[:, None, None, None]
    return np.where(chosen, lengths[:, :, order][..., order], lengths)

  def distances(joints):
    return np.linalg.norm(joints[:, :, :, None] - joints[:, :, None], axis=-1)

  np.testing.assert_allclose(distances(after), bones(before), atol=1e-4)


@pytest.mark.parametrize("key", ["camera_rotation", "camera_position"])
def test_a_virtual_camera_needs_to_know_the_world(windows, key):
  batch = {name: array for name, array in windows[0].items() if name != key}
  message = (
    r"got augment\.virtual_camera=True with data that does not know its cameras, "
    r"expected records .*; train with --config\.augment\.virtual_camera=False"
  )
  with pytest.raises(ValueError, match=message) as caught:
    make(batch, virtual_camera=True)
  assert "\n" not in str(caught.value)
  assert make(batch)["joints_3d"].shape[1] == 1


def test_the_new_keypoints_are_the_projection_of_the_new_joints(windows):
  batch, _ = windows
  key = jax.random.split(jax.random.key(0), 4)[0]
  points, joints, _ = transforms.virtual_camera(
    key,
    batch["joints_3d"],
    batch["camera_rotation"],
    batch["camera_position"],
    root=H36M.root,
  )
  made = make(batch, virtual_camera=True)
  np.testing.assert_allclose(made["keypoints_2d"], points, atol=1e-5)
  relative = joints - joints[:, :, H36M.root][:, :, None]
  np.testing.assert_allclose(made["joints_3d_sequence"], relative, atol=1e-5)
  # One focal length per window explains all keypoints: they are a projection.
  rays = np.asarray(joints[..., :2] / joints[..., 2:])
  focal = (rays * points).sum((1, 2, 3)) / (rays * rays).sum((1, 2, 3))
  assert ((focal > 2.19) & (focal < 2.41)).all()
  np.testing.assert_allclose(points, focal[:, None, None, None] * rays, atol=1e-5)


def test_label_jitter_touches_only_the_targets(windows):
  batch, _ = windows
  made, plain = make(batch, label_jitter=True), make(batch)
  for key in plain:
    if key not in ("joints_3d", "joints_3d_sequence"):
      np.testing.assert_array_equal(made[key], plain[key])
  a, b = (np.asarray(m["joints_3d_sequence"]) for m in (made, plain))
  assert np.abs(a - b).max() > 0.005
  np.testing.assert_array_equal(a[..., 2], b[..., 2])
  np.testing.assert_array_equal(made["joints_3d"][:, 0], a[:, WINDOW // 2])
  # One rotation and scaling per window: every joint's distance from the axis scales.
  ratio = (
    np.linalg.norm(a[..., :2], axis=-1)[..., 1:]
    / np.linalg.norm(b[..., :2], axis=-1)[..., 1:]
  )
  assert np.ptp(ratio, axis=(1, 2)).max() < 1e-3
  assert set(np.round(ratio.mean((1, 2)), 2)) <= {
    np.float32(0.95),
    np.float32(1),
    np.float32(1.05),
  }


def test_noise_touches_only_the_keypoints_and_follows_its_factor(windows):
  batch, _ = windows
  plain = make(batch)
  once, twice = make(batch, detector_noise=1.0), make(batch, detector_noise=2.0)
  error = np.asarray(once["keypoints_2d"] - plain["keypoints_2d"])
  assert 0.001 < error.std() < 0.1
  np.testing.assert_allclose(
    twice["keypoints_2d"] - plain["keypoints_2d"], 2 * error, atol=1e-6
  )
  np.testing.assert_array_equal(once["confidence"], 1)
  np.testing.assert_array_equal(once["joints_3d"], plain["joints_3d"])


def test_hidden_joints_have_no_confidence_and_the_others_stay(windows):
  batch, _ = windows
  made, plain = make(batch, joint_dropout=0.3), make(batch)
  hidden = np.asarray(made["confidence"]) == 0
  assert 0.1 < hidden.mean() < 0.5
  np.testing.assert_array_equal(np.asarray(made["confidence"])[~hidden], 1)
  moved = np.abs(made["keypoints_2d"] - plain["keypoints_2d"]).max(-1) > 0
  assert not moved[~hidden].any()
  assert moved[hidden].any()
  np.testing.assert_array_equal(made["joints_3d"], plain["joints_3d"])


@pytest.mark.parametrize("knob", ["side_swaps", "joint_places"])
def test_errors_of_a_detector_leave_the_targets(windows, knob):
  batch, _ = windows
  made, plain = make(batch, **{knob: 0.3}), make(batch)
  assert np.abs(made["keypoints_2d"] - plain["keypoints_2d"]).max() > 1e-3
  for key in ("joints_3d", "joints_3d_sequence"):
    np.testing.assert_array_equal(made[key], plain[key])
  exact = make(batch, exact_share=1.0, **{knob: 0.3})
  np.testing.assert_array_equal(exact["keypoints_2d"], plain["keypoints_2d"])


def test_each_key_draws_anew(windows):
  batch, _ = windows
  everything = dict(
    virtual_camera=True, detector_noise=1.0, joint_dropout=0.2, label_jitter=True
  )
  same, again = make(batch, 0, **everything), make(batch, 0, **everything)
  other = make(batch, 1, **everything)
  for key in ("keypoints_2d", "joints_3d"):
    np.testing.assert_array_equal(same[key], again[key])
    assert np.abs(same[key] - other[key]).max() > 1e-3


@pytest.mark.parametrize("wide", [False, True])
def test_framed_windows_and_their_targets_are_turned_alike(windows, wide):
  batch, _ = windows
  filmed = dict(virtual_camera=True, wide_cameras=wide)
  made, plain = make(batch, framed=True, **filmed), make(batch, **filmed)
  key = jax.random.split(jax.random.key(0), 3)[0]
  camera = batch["camera_rotation"], batch["camera_position"]
  points, joints, _ = transforms.virtual_camera(
    key, batch["joints_3d"], *camera, root=H36M.root, wide=wide
  )
  seen = framing.windows(points, H36M, cameras.fit_focal(points, joints))
  np.testing.assert_allclose(made["keypoints_2d"], seen.points, atol=1e-4)
  for key in ("joints_3d", "joints_3d_sequence"):
    np.testing.assert_allclose(made[key], seen.turn(plain[key]), atol=1e-4)
    np.testing.assert_allclose(seen.back(made[key]), plain[key], atol=1e-4)
  # The keypoints are what the turned camera sees, but for the zoom.
  turned = seen.turn(joints)
  rays = turned[..., :2] / turned[..., 2:]
  zoom = cameras.fit_focal(made["keypoints_2d"], turned)[:, None, None, None]
  np.testing.assert_allclose(made["keypoints_2d"], zoom * rays, atol=2e-3)
