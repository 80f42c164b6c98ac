import numpy as np
import pytest

from jaxpose.geometry import cameras
from jaxpose.motion import trajectory

FPS = 25
FRAMES = 50
INTRINSICS = trajectory.guess_intrinsics((1280, 720))


def clip(seed=0):
  """(root-relative joints, where the person is, keypoints)."""
  rng = np.random.default_rng(seed)
  body = rng.normal(size=(1, 17, 3)) * [0.25, 0.5, 0.2]
  swing = 0.1 * np.sin(np.linspace(0, 12, FRAMES)[:, None, None] + 6 * body)
  joints = body + swing
  joints = joints - joints[:, :1]
  place = np.linspace([-1.0, 0.1, 5.0], [1.0, 0.0, 3.5], FRAMES)
  pixels = cameras.project(joints + place[:, None], INTRINSICS)
  return joints, place, pixels


def distance(a, b):
  return np.linalg.norm(a - b, axis=-1)


def test_the_path_is_found_from_poses_and_keypoints():
  joints, place, pixels = clip()
  path = trajectory.fit(joints, pixels, INTRINSICS, FPS)
  assert distance(path.translation, place).max() < 0.02
  np.testing.assert_allclose(path.joints_3d, joints + path.translation[:, None])
  assert path.valid.all()
  assert "3.5 to 5.0 m from the camera. 0.0% of the keypoints" in path.report


def test_a_lens_with_distortion_is_taken_into_account():
  joints, place, _ = clip()
  lens = INTRINSICS + np.asarray([0, 0, 0, 0, -0.2, 0.1, 0, 0.002, -0.002])
  pixels = cameras.project(joints + place[:, None], lens)
  path = trajectory.fit(joints, pixels, lens, FPS)
  assert distance(path.translation, place).max() < 0.02


def test_wrong_keypoints_are_left_out():
  joints, place, pixels = clip()
  rng = np.random.default_rng(1)
  wrong = rng.uniform(size=pixels.shape[:2]) < 0.15
  pixels[wrong] += rng.normal(size=(wrong.sum(), 2)) * 80 + 120
  path = trajectory.fit(joints, pixels, INTRINSICS, FPS)
  assert distance(path.translation, place).max() < 0.1
  assert path.trust[wrong].mean() < 0.1
  assert path.trust[~wrong].mean() > 0.95


def test_frames_of_somebody_else_are_put_between_their_neighbours():
  joints, place, pixels = clip()
  pixels[20:24] = 0.3 * (pixels[20:24] - [200, 100]) + 50  # far away in a corner
  path = trajectory.fit(joints, pixels, INTRINSICS, FPS)
  assert np.flatnonzero(~path.valid).tolist() == [20, 21, 22, 23]
  assert distance(path.translation, place).max() < 0.03
  assert "4 frames were put between their neighbours: 20-23" in path.report


def test_missing_keypoints_and_low_weights_do_not_count():
  joints, place, pixels = clip()
  pixels[10, 3:] = np.nan  # three joints are enough, next to the frames around
  pixels[30] = np.nan
  weights = np.ones(pixels.shape[:2])
  weights[:, 5] = 0
  pixels[:, 5] += 500
  path = trajectory.fit(joints, pixels, INTRINSICS, FPS, weights=weights)
  assert np.flatnonzero(~path.valid).tolist() == [30]
  assert distance(path.translation, place).max() < 0.25
  assert (path.trust[:, 5] == 0).all()
  assert (path.trust[30] == 0).all()


def test_a_focal_length_too_long_is_a_person_too_far():
  joints, place, pixels = clip()
  longer = trajectory.guess_intrinsics((1280, 720), 1.1 * INTRINSICS[0])
  path = trajectory.fit(joints, pixels, longer, FPS)
  ratio = path.translation[:, 2] / place[:, 2]
  np.testing.assert_allclose(ratio, 1.1, atol=0.02)


def test_the_guess_is_of_the_longer_side():
  expected = [2208, 2208, 540, 960, 0, 0, 0, 0, 0]
  np.testing.assert_allclose(trajectory.guess_intrinsics((1080, 1920)), expected)


def test_bad_input_is_said_in_a_sentence():
  joints, _, pixels = clip()
  with pytest.raises(ValueError, match=r"and keypoints \(50, 16, 2\), expected a key"):
    trajectory.fit(joints, pixels[:, :16], INTRINSICS, FPS)
  with pytest.raises(ValueError, match="got fps=0, expected frames per second"):
    trajectory.fit(joints, pixels, INTRINSICS, 0)
  with pytest.raises(ValueError, match="got no frame with three keypoints, expected"):
    trajectory.fit(joints, np.full_like(pixels, np.nan), INTRINSICS, FPS)
  unknown = joints.copy()
  unknown[7, 3] = np.nan
  with pytest.raises(ValueError, match="got NaN or infinite joints, expected all of"):
    trajectory.fit(unknown, pixels, INTRINSICS, FPS)
  noise = np.random.default_rng(0).uniform(0, 700, pixels.shape)
  with pytest.raises(ValueError, match="got keypoints that fit the poses in no frame"):
    trajectory.fit(joints, noise, INTRINSICS, FPS)


def test_real_motion_is_put_back_where_it_was(shared):
  with np.load(shared / "data/cmu_mocap/cmu_test.npz") as data:
    i = list(data["clip_name"]).index("35_walk8")
    first = data["clip_start"][i]
    world = np.float64(data["joints3d"][first : first + data["clip_len"][i]])
  centre = world[:, 0].mean(0)
  (camera, *_) = cameras.camera_ring(np.random.default_rng(0), centre, 1)
  seen = cameras.world_to_camera(world, camera.rotation, camera.position)
  intrinsics = np.float64(camera.intrinsics)
  rng = np.random.default_rng(0)
  pixels = cameras.project(seen, intrinsics) + 3 * rng.normal(size=(*seen.shape[:2], 2))
  wrong = rng.uniform(size=pixels.shape[:2]) < 0.1
  pixels[wrong] += rng.normal(size=(wrong.sum(), 2)) * 100
  joints = seen - seen[:, :1] + 0.03 * rng.normal(size=seen.shape)
  path = trajectory.fit(joints, pixels, intrinsics, 50)
  assert np.median(distance(path.translation, seen[:, 0])) < 0.12
