import numpy as np
import pytest

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.geometry import cameras
from jaxpose.motion import world

H36M = skeletons.get("h36m17")
FPS = 50.0
FEET = [H36M.index("left_foot"), H36M.index("right_foot")]


def tilted(pitch, roll=0.0, heading=30.0):
  """World-to-camera rotation of a camera that looks down by `pitch`, degrees."""
  level = np.asarray([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
  turn = geometry.euler_to_matrix(np.radians([roll, pitch]), "zx")
  return turn @ level @ geometry.euler_to_matrix(np.radians([heading]), "z")


def stick(frames=200, way=None, lean=0.0):
  """(t, 17, 3) z up: steps of 0.7 m along a way, ankles 8 cm high on the floor."""
  if way is None:
    way = np.linspace([0, 0], [0, 1.3 * frames / FPS], frames)
  frames = len(way)
  time = np.arange(frames) / FPS
  joints = np.zeros((frames, 17, 3))
  joints[:, :, 2] = np.interp(
    np.arange(17),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    [0.9, 0.9, 0.5, 0.08, 0.9, 0.5, 0.08, 1.1, 1.4, 1.5, 1.7, 1.4, 1.2, 1, 1.4, 1.2, 1],
  )
  side = np.zeros(17)
  side[list(H36M.left)], side[list(H36M.right)] = -0.12, 0.12
  joints[:, :, 0] += side + way[:, :1]
  joints[:, :, 1] += way[:, 1:] + lean * (joints[:, :, 2] - 0.9)
  if way.any():
    phase = 2 * time * 1.3 / 1.4
    for k, shift in zip(FEET, (0.0, 0.5), strict=True):
      cycle = (phase + shift) % 1
      swing = np.clip((cycle - 0.6) / 0.4, 0, 1)
      count = np.floor(phase + shift)
      length = 1.3 / (1.3 / 1.4 * 2)
      at = (count - shift + swing * swing * (3 - 2 * swing) - 0.3 + 0.5) * length
      joints[:, k, 1] = at
      joints[:, k, 2] = 0.08 + 0.12 * np.sin(np.pi * swing)
  return joints


def seen_by(joints, rotation):
  position = joints[:, 0].mean(0) - 5 * rotation[2]
  return cameras.world_to_camera(joints, rotation, position)


def error_deg(found, rotation):
  """Between the vertical that was found and the true one, in the camera's frame."""
  return np.degrees(np.arccos(np.clip(found.rotation[:, 2] @ rotation[:, 2], -1, 1)))


@pytest.mark.parametrize("pitch", [0.0, 12.0, 35.0])
def test_a_walk_before_a_tilted_camera_stands_upright_on_the_floor(pitch):
  joints, rotation = stick(), tilted(pitch, roll=4.0)
  found = world.place(seen_by(joints, rotation), H36M, FPS)
  assert found.method in ("feet", "feet and trunk")
  assert error_deg(found, rotation) < 1
  height = found.joints_3d[..., 2]
  assert np.abs(height - joints[..., 2]).mean() < 0.02
  assert np.abs(height[:, FEET][found.contacts] - world.ANKLE_HEIGHT).max() < 0.03
  assert found.contacts.mean() > 0.4
  assert f"looks {pitch:.0f} degrees" in found.report


def test_resting_feet_tell_the_slope_along_the_way_whatever_the_trunk_does():
  joints, rotation = (
    stick(lean=0.3),
    tilted(10.0),
  )  # 17 degrees forward, as no one walks
  found = world.place(seen_by(joints, rotation), H36M, FPS)
  assert error_deg(found, rotation) < 2.5
  standing = stick(way=np.zeros((100, 2)), lean=0.3)
  found = world.place(seen_by(standing, rotation), H36M, FPS)
  assert found.method == "trunk"
  assert 8 < error_deg(found, rotation) < 18


def test_a_walk_in_a_circle_needs_no_trunk():
  angle = np.linspace(0, 2 * np.pi, 300)
  points = np.stack([2 * np.cos(angle), 2 * np.sin(angle)], -1)
  joints = np.zeros((300, 17, 3)) + stick(way=np.zeros((1, 2)), lean=0.3)
  joints[..., :2] += points[:, None]
  # Each foot rests for 20 frames and moves in 10, the other one meanwhile.
  for k, shift in zip(FEET, (0, 15), strict=True):
    frame = np.arange(300) + shift
    start = frame // 30 * 30
    share = np.clip((frame - start - 20) / 10, 0, 1)
    at = np.clip(start + 30 * share - shift, 0, 299).astype(int)
    joints[:, k, :2] = points[at]
  rotation = tilted(20.0)
  found = world.place(seen_by(joints, rotation), H36M, FPS)
  assert found.method == "feet"
  assert error_deg(found, rotation) < 1
  assert "legs and trunk lean by" in found.report


def test_a_foot_on_a_chair_does_not_tilt_the_floor():
  joints, rotation = stick(), tilted(10.0)
  found = world.place(seen_by(joints, rotation), H36M, FPS)
  joints[90:110, FEET[0]] = joints[95, FEET[0]] + [0, 0, 0.4]
  again = world.place(seen_by(joints, rotation), H36M, FPS)
  assert error_deg(again, rotation) < error_deg(found, rotation) + 1


def test_the_placing_is_undone_by_the_camera():
  points = seen_by(stick(), tilted(15.0))
  found = world.place(points, H36M, FPS)
  lifted = found.joints_3d - found.settled[:, None, None] * np.asarray([0, 0, 1.0])
  again = cameras.world_to_camera(lifted, found.rotation, found.position)
  np.testing.assert_allclose(again, points, atol=1e-9)
  np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(3), atol=1e-9)
  assert np.linalg.det(found.rotation) == pytest.approx(1)
  plain = world.place(points, H36M, FPS, settle=False)
  np.testing.assert_allclose(plain.joints_3d, lifted, atol=1e-9)
  assert not plain.settled.any()


def test_the_first_pose_is_over_the_origin_and_the_camera_looked_along_y():
  found = world.place(seen_by(stick(), tilted(15.0)), H36M, FPS)
  np.testing.assert_allclose(found.joints_3d[0, 0, :2], 0, atol=1e-9)
  looks = found.rotation[2]
  assert looks[0] == pytest.approx(0, abs=1e-9)
  assert looks[1] > 0.9
  assert found.rotation[0][2] == pytest.approx(0, abs=0.05)  # its right is level


def test_a_camera_that_looks_straight_down_has_a_heading_too():
  joints = stick()
  found = world.place(seen_by(joints, tilted(89.9)), H36M, FPS)
  assert np.isfinite(found.joints_3d).all()
  assert np.abs(found.joints_3d[..., 2] - joints[..., 2]).mean() < 0.05


def test_drift_of_the_path_does_not_lift_feet_off_the_floor():
  joints, rotation = stick(), tilted(10.0)
  drift = 0.1 * np.sin(np.linspace(0, 4, len(joints)))[:, None, None]
  points = seen_by(joints + drift * np.asarray([0, 0, 1.0]), rotation)
  for settle, most in ((True, 0.03), (False, 0.3)):
    found = world.place(points, H36M, FPS, settle=settle)
    height = found.joints_3d[:, FEET, 2][found.contacts] - world.ANKLE_HEIGHT
    assert np.abs(height).max() < most
  assert np.abs(height).max() > 0.05
  assert "Frames were moved by up to" in world.place(points, H36M, FPS).report


def test_poses_relative_to_the_root_stay_on_the_spot_and_on_the_floor():
  joints, rotation = stick(), tilted(20.0)
  points = seen_by(joints, rotation)
  found = world.place(points - points[:, :1], H36M, FPS)
  assert found.method == "trunk"
  assert "relative to the root and stay on the spot" in found.report
  np.testing.assert_allclose(found.joints_3d[:, 0, :2], 0, atol=1e-9)
  lowest = found.joints_3d[:, FEET, 2].min(1)
  np.testing.assert_allclose(lowest, world.ANKLE_HEIGHT, atol=1e-6)


def test_feet_that_never_rest_are_said():
  way = np.linspace([0, 0], [40.0, 0], 100)
  joints = np.zeros((100, 17, 3)) + stick(way=np.zeros((1, 2)))
  joints[..., :2] += way[:, None]  # a skater: feet as fast as the body
  found = world.place(seen_by(joints, tilted(10.0)), H36M, FPS)
  assert found.method == "trunk"
  assert "No foot rests in this clip: the floor is where the feet are lowest" in (
    found.report
  )
  assert "0 places where a foot rested do not tell" in found.report
  assert np.abs(found.joints_3d[..., 2] - joints[..., 2]).max() < 0.1


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_short_clips_are_placed(frames):
  joints = stick()[:frames]
  found = world.place(seen_by(joints, tilted(10.0)), H36M, FPS)
  assert np.abs(found.joints_3d[..., 2] - joints[..., 2]).max() < 0.1


@pytest.mark.parametrize("name", ["smpl24", "coco17", "humaneva15", "blazepose33"])
def test_other_skeletons_have_feet(name):
  skeleton = skeletons.get(name)
  joints = np.random.default_rng(0).normal(size=(5, skeleton.num_joints, 3))
  for part, height in (("shoulder", 1.4), ("hip", 0.9), ("ankle", 0.08)):
    for side, x in (("left", -0.1), ("right", 0.1)):
      joints[:, skeleton.index(f"{side}_{part}")] = [x, 0, height]
  found = world.place(seen_by(joints, tilted(10.0)), skeleton, FPS)
  ankle = found.joints_3d[:, skeleton.index("left_ankle"), 2]
  np.testing.assert_allclose(ankle, world.ANKLE_HEIGHT, atol=0.01)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (dict(fps=0), "got fps=0, expected frames per second, above 0"),
    (dict(joints_3d=np.zeros((3, 5, 3))), r"got joints of shape \(3, 5, 3\), expected"),
    (dict(joints_3d=np.full((3, 17, 3), np.nan)), "got NaN or infinite joints, exp"),
  ],
)
def test_bad_input_is_said_in_a_sentence(change, message):
  arguments = dict(joints_3d=stick(), skeleton=H36M, fps=FPS) | change
  with pytest.raises(ValueError, match=message):
    world.place(**arguments)


def test_a_skeleton_without_feet_is_refused():
  own = skeletons.Skeleton("bust", ("left_hip", "right_hip"), (-1, 0))
  with pytest.raises(ValueError, match="'bust' without shoulder joints, expected hips"):
    world.place(np.zeros((3, 2, 3)), own, FPS)


def test_real_motion_is_upright_within_a_few_degrees(shared):
  rng = np.random.default_rng(0)
  with np.load(shared / "data/cmu_mocap/cmu_test.npz") as data:
    clips = list(zip(data["action"], data["clip_start"], data["clip_len"], strict=True))
    motion = np.float64(data["joints3d"])
  walks, others = [], []
  for action, first, length in clips:
    joints = motion[first : first + length]
    rotation = tilted(rng.uniform(0, 35), rng.uniform(-10, 10), rng.uniform(0, 360))
    found = world.place(seen_by(joints, rotation), H36M, FPS)
    error = error_deg(found, rotation)
    (walks if action in ("walk", "run") else others).append(error)
    height = np.abs(found.joints_3d[..., 2] - joints[..., 2]).mean()
    assert height < 0.03, action
    if found.contacts.any():
      feet = found.joints_3d[:, FEET, 2][found.contacts]
      assert np.abs(feet - world.ANKLE_HEIGHT).mean() < 0.03, action
  assert np.median(walks) < 0.5
  assert max(walks) < 2.5
  assert max(others) < 5
