import numpy as np
import pytest

from jaxpose import geometry
from jaxpose.geometry import cameras


def scene(golden, subject="S9", camera=1, count=600, seed=0):
  """World points around Human3.6M's studio and one of its cameras."""
  with np.load(golden / "cameras.npz") as file:
    turn = geometry.quaternion_to_matrix(file[f"h36m/{subject}/orientation"][camera])
    position = file[f"h36m/{subject}/translation_mm"][camera] / 1000
    lens = np.concatenate(
      [
        file[f"h36m/{key}"][camera]
        for key in (
          *("focal_length", "center"),
          *("radial_distortion", "tangential_distortion"),
        )
      ]
    )
  points = np.random.default_rng(seed).normal([0, 0, 1], [0.9, 0.9, 0.4], (count, 3))
  seen = cameras.project(cameras.world_to_camera(points, turn.T, position), lens)
  return points, seen, turn.T, position, lens


@pytest.mark.parametrize("camera", range(4))
def test_human36m_cameras_are_found_again(golden, camera):
  points, seen, rotation, position, lens = scene(golden, camera=camera)
  seen = seen.astype(np.float32)
  found = cameras.calibrate(points, seen, (1000, 1000), "54138969")
  np.testing.assert_allclose(found.rotation, rotation, atol=2e-6)
  np.testing.assert_allclose(found.position, position, atol=2e-5)  # metres
  np.testing.assert_allclose(found.intrinsics[:4], lens[:4], atol=0.01)
  np.testing.assert_allclose(found.intrinsics[4:], lens[4:], atol=2e-4)
  assert (found.name, found.image_size) == ("54138969", (1000, 1000))


def test_a_lens_of_another_model_costs_little(golden):
  points, _, rotation, position, lens = scene(golden)
  view = cameras.world_to_camera(points, rotation, position)
  x, y = view[:, 0] / view[:, 2], view[:, 1] / view[:, 2]
  r2 = x * x + y * y
  p1, p2 = lens[7:]
  # The toolbox of Bouguet, with which HumanEva was calibrated.
  rays = np.stack(
    [2 * p1 * x * y + p2 * (r2 + 2 * x * x), 2 * p2 * x * y + p1 * (r2 + 2 * y * y)], -1
  )
  rays += np.stack([x, y], -1) * (1 - 0.2 * r2 + 0.2 * r2**2)[:, None]
  seen = lens[:2] * rays + lens[2:4]
  found = cameras.calibrate(points, seen, (1000, 1000))
  turn = geometry.matrix_to_axis_angle(found.rotation @ rotation.T)
  assert np.rad2deg(np.linalg.norm(turn)) < 0.3
  assert np.linalg.norm(found.position - position) < 0.03  # of 5 metres


def test_files_that_do_not_belong_together_are_refused(golden):
  points, seen, *_ = scene(golden)
  message = "no camera sees the 3D joints at the 2D keypoints of camera 'a': got "
  with pytest.raises(ValueError, match=message):
    cameras.calibrate(points[::-1], seen, (1000, 1000), "a")


def test_one_still_point_is_refused(golden):
  points, seen, *_ = scene(golden)
  still = np.broadcast_to(points[:1], points.shape)
  with pytest.raises(ValueError, match="no camera sees the 3D joints"):
    cameras.calibrate(still, seen, (1000, 1000))


def test_too_few_points_are_refused(golden):
  points, seen, *_ = scene(golden)
  with pytest.raises(ValueError, match="got 7 points and 7 pixels"):
    cameras.calibrate(points[:7], seen[:7], (1000, 1000))
