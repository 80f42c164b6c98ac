import dataclasses

import numpy as np
import pytest

from jaxpose import body as smpl
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.body.meshes import Mesh
from jaxpose.formats import bvh
from jaxpose.formats import bvh_writer
from jaxpose.motion import bone_rotations

H36M = skeletons.get("h36m17")
SMPL = skeletons.get("smpl24")
FRAMES = 20


def poses(seed=0, size=0.3):
  rng = np.random.default_rng(seed)
  vectors = np.cumsum(0.1 * size * rng.normal(size=(FRAMES, 24, 3)), 0)
  vectors += size * rng.normal(size=(1, 24, 3))
  return vectors.reshape(FRAMES, 72)


def rest_joints():
  body = smpl.for_joints(body_files.load("free_small"))
  return np.float64(smpl.rest_joints(body, np.zeros(10, np.float32)))


def walk():
  """(t, 17, 3) z up, as bones move."""
  vectors = poses().reshape(FRAMES, 24, 3)[:, :17]
  offsets = 0.25 * bone_rotations.t_pose(H36M)
  root = np.linspace([0, 1, 0], [0.5, 1, 2], FRAMES)
  rotations = geometry.axis_angle_to_matrix(vectors)
  joints, _ = geometry.forward_kinematics(rotations, offsets, H36M.parents, root)
  return joints @ bvh_writer.Y_UP["z_up"]


def read_joints(path, skeleton, metres):
  """(t, j, 3) of a file, by our own reader, and the motion."""
  motion = bvh.read(path)
  positions, _ = motion.forward_kinematics()
  return positions[:, [motion.index(j) for j in skeleton.joints]] * metres, motion


@pytest.mark.parametrize(("unit", "metres"), [("cm", 0.01), ("m", 1.0)])
def test_a_file_reads_back_as_the_fitted_skeleton(tmp_path, unit, metres):
  joints = walk()
  made = bvh_writer.from_joints(joints, H36M, 25, axes="z_up", unit=unit)
  path = bvh_writer.save(tmp_path / "walk.bvh", made.bvh)
  found, motion = read_joints(path, H36M, metres)
  turned = joints @ bvh_writer.Y_UP["z_up"].T
  fitted = bone_rotations.fit(turned, H36M, 25.0)
  np.testing.assert_allclose(found, fitted.joints_3d, atol=1e-5)  # metres
  np.testing.assert_allclose(
    np.linalg.norm(found - turned, axis=-1), made.distance, atol=1e-5
  )
  assert motion.frame_time == pytest.approx(0.04)
  assert motion.names == made.bvh.names
  assert motion.parents == made.bvh.parents


def test_the_report_says_how_far_the_skeleton_is_and_the_unit():
  joints = walk()
  made = bvh_writer.from_joints(joints, H36M, 25, axes="z_up")
  assert f"{1000 * made.distance.mean():.1f} mm from the given joints" in made.report
  assert (
    "in centimetres, y up: in Blender, import it with the scale 0.01" in made.report
  )
  assert "in metres, y up" in bvh_writer.from_joints(joints, H36M, 25, unit="m").report


def test_the_hierarchy_is_what_other_programs_expect(tmp_path):
  made = bvh_writer.from_joints(walk(), H36M, 25)
  path = bvh_writer.save(tmp_path / "walk.bvh", made.bvh)
  text = path.read_text()
  assert text.startswith("HIERARCHY\nROOT hip\n{\n  OFFSET 0 0 0\n  CHANNELS 6 Xposi")
  assert text.count("CHANNELS 6") == 1
  assert text.count("CHANNELS 3") == 16
  assert text.count("End Site") == 5
  assert f"MOTION\nFrames: {FRAMES}\nFrame Time: 0.04\n" in text
  # At rest a T-pose: y up, the left arm along x.
  motion = bvh.read(path)
  rest = dataclasses.replace(motion, motion=np.zeros((1, motion.motion.shape[1])))
  at, _ = rest.forward_kinematics()
  place = {name: at[0, i] for i, name in enumerate(motion.names)}
  arm = place["left_wrist"] - place["left_shoulder"]
  assert arm[0] > 40
  np.testing.assert_allclose(arm[1:], 0, atol=1e-4)
  assert place["head"][1] > place["hip"][1] > place["left_foot"][1]


def test_axes_of_the_camera_are_turned_upright():
  joints = walk()
  camera = joints @ np.asarray([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).T  # level, at +z
  a = bvh_writer.from_joints(joints, H36M, 25, axes="z_up").bvh
  b = bvh_writer.from_joints(camera, H36M, 25, axes="camera").bvh
  np.testing.assert_allclose(
    a.forward_kinematics()[0], b.forward_kinematics()[0], atol=1e-6
  )


@pytest.mark.parametrize("axes", bvh_writer.Y_UP)
def test_smpl_rotations_are_written_exactly(tmp_path, axes):
  vectors, rest = poses(size=0.6), rest_joints()
  move = np.random.default_rng(1).normal(size=(FRAMES, 3))
  motion = bvh_writer.from_smpl(vectors, rest, move, 30, axes=axes)
  found, _ = read_joints(bvh_writer.save(tmp_path / "a.bvh", motion), SMPL, 0.01)
  body = smpl.for_joints(body_files.load("free_small"))
  rotations = geometry.axis_angle_to_matrix(vectors.reshape(FRAMES, 24, 3))
  betas = np.zeros((FRAMES, 10), np.float32)
  posed = smpl.pose(body, np.float32(rotations), betas).joints
  expected = (np.asarray(posed) + move[:, None]) @ bvh_writer.Y_UP[axes].T
  np.testing.assert_allclose(found, expected, atol=1e-5)  # metres


def test_a_mesh_is_written_where_it_stands(tmp_path):
  rotations = geometry.axis_angle_to_matrix(poses().reshape(FRAMES, 24, 3))
  rng = np.random.default_rng(0)
  mesh = Mesh(
    rotations=np.float32(rotations),
    betas=np.tile(np.float32(rng.normal(size=10)), (FRAMES, 1)),
    translation=np.float32(rng.normal(size=(FRAMES, 3))),
    camera=np.zeros((FRAMES, 3), np.float32),
    crops=np.zeros((FRAMES, 3), np.float32),
    valid=np.ones(FRAMES, bool),
    report="",
    body="free_small",
    image_size=None,
    focal=None,
    frame_rate=25.0,
  )
  motion = bvh_writer.from_mesh(mesh, unit="m")
  found, motion = read_joints(bvh_writer.save(tmp_path / "a.bvh", motion), SMPL, 1.0)
  expected = mesh.joints_smpl @ bvh_writer.Y_UP["camera"].T
  np.testing.assert_allclose(found, expected, atol=1e-4)
  assert motion.frame_time == pytest.approx(0.04)


@pytest.mark.parametrize("order", ["ZYX", "YXZ"])
def test_angles_turn_on_without_jumps(order):
  # Three turns about the first axis, the second swinging far beyond its pole.
  time = np.linspace(0, 1, 400)[:, None]
  angles = np.concatenate([1080 * time, 150 * np.sin(9 * time), 20 * time], -1)
  rotations = geometry.euler_to_matrix(np.radians(angles), order.lower())
  found = bvh_writer.euler_degrees(rotations, order)
  again = geometry.euler_to_matrix(np.radians(found), order.lower())
  np.testing.assert_allclose(again, rotations, atol=1e-9)
  assert np.abs(np.diff(found, axis=0)).max() < 10
  np.testing.assert_allclose(found - found[:1], angles - angles[:1], atol=1e-6)


def test_the_pole_is_no_warning():
  rotations = geometry.euler_to_matrix(np.radians([[30.0, 90.0, 10.0]]), "zyx")
  found = bvh_writer.euler_degrees(rotations, "ZYX")
  again = geometry.euler_to_matrix(np.radians(found), "zyx")
  np.testing.assert_allclose(again, rotations, atol=1e-6)


def test_nothing_is_overwritten_unasked(tmp_path):
  made = bvh_writer.from_joints(walk(), H36M, 25).bvh
  path = bvh_writer.save(tmp_path / "a.bvh", made)
  with pytest.raises(FileExistsError, match="exists and is not overwritten"):
    bvh_writer.save(path, made)
  assert bvh_writer.save(path, made, overwrite=True) == path
  with pytest.raises(ValueError, match=r"expected the ending \.bvh"):
    bvh_writer.save(tmp_path / "a.txt", made)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (dict(axes="up"), "got axes 'up', expected 'camera', 'y_up', 'z_up'"),
    (dict(unit="mm"), "got the unit 'mm', expected 'cm' or 'm'"),
    (dict(fps=0), "got fps=0, expected frames per second, above 0"),
  ],
)
def test_bad_options_are_said_in_a_sentence(change, message):
  options = dict(fps=25) | change
  with pytest.raises(ValueError, match=message):
    bvh_writer.from_joints(walk(), H36M, **options)
  with pytest.raises(ValueError, match=message):
    bvh_writer.from_smpl(poses(), rest_joints(), np.zeros((FRAMES, 3)), **options)


def test_poses_and_translations_must_be_as_many():
  with pytest.raises(ValueError, match="got 20 poses and 3 translations, expected one"):
    bvh_writer.from_smpl(poses(), rest_joints(), np.zeros((3, 3)), 25)


def test_real_motion_is_followed_to_millimetres(shared, tmp_path):
  with np.load(shared / "data/cmu_mocap/cmu_test.npz") as data:
    for name, most_mm in (("35_walk8", 2), ("02_04", 6), ("02_05", 6)):
      i = list(data["clip_name"]).index(name)
      first = data["clip_start"][i]
      joints = np.float64(data["joints3d"][first : first + data["clip_len"][i]])
      made = bvh_writer.from_joints(joints, H36M, 50, axes="z_up")
      path = bvh_writer.save(tmp_path / f"{name}.bvh", made.bvh)
      found, motion = read_joints(path, H36M, 0.01)
      turned = joints @ bvh_writer.Y_UP["z_up"].T
      distance = 1000 * np.linalg.norm(found - turned, axis=-1)
      assert distance.mean() < most_mm, name
      np.testing.assert_allclose(distance, 1000 * made.distance, atol=0.01)
      # A person's joints turn by less than 25 degrees in a fiftieth of a second.
      assert np.abs(np.diff(motion.motion[:, 3:], axis=0)).max() < 25, name
