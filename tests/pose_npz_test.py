import dataclasses
import zipfile

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.formats import pose_files
from jaxpose.formats.pose_files import Poses
from jaxpose.geometry import cameras

FRAMES = 6


def clip(**change):
  rng = np.random.default_rng(0)
  (camera,) = cameras.camera_ring(rng, np.asarray([0, 0, 1.0]), 1)
  poses = Poses(
    np.float32(rng.normal(size=(FRAMES, 17, 3))),
    skeletons.get("h36m17"),
    29.97,
    joints_3d_world=np.float32(rng.normal(size=(FRAMES, 17, 3))),
    keypoints_2d=np.float32(rng.uniform(0, 900, (FRAMES, 33, 2))),
    keypoints_skeleton=skeletons.get("blazepose33"),
    confidence=np.float32(rng.uniform(size=(FRAMES, 33))),
    valid=np.arange(FRAMES) > 1,
    camera=camera,
    root="relative",
    report="No keypoint was missing.",
  )
  return dataclasses.replace(poses, **change)


def test_everything_reads_back_bit_for_bit(tmp_path):
  poses = clip()
  poses.keypoints_2d[2, 5] = np.nan
  again = pose_files.load(pose_files.save(tmp_path / "a.npz", poses))
  for field in dataclasses.fields(Poses):
    a, b = getattr(poses, field.name), getattr(again, field.name)
    if field.name == "camera":
      for part in ("rotation", "position", "intrinsics", "image_size"):
        np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
    elif isinstance(a, np.ndarray):
      assert a.dtype == b.dtype
      np.testing.assert_array_equal(a, b)
    else:
      assert a == b, field.name


def test_what_is_not_known_stays_unknown(tmp_path):
  poses = Poses(np.zeros((2, 17, 3)), skeletons.get("h36m17"), 50)
  again = pose_files.load(pose_files.save(tmp_path / "a.npz", poses))
  for name in ("joints_3d_world", "keypoints_2d", "confidence", "camera"):
    assert getattr(again, name) is None
  assert again.keypoints_skeleton is None
  assert again.valid.all()
  assert (again.axes, again.root, again.report) == ("camera", "absolute", "")


def test_the_file_explains_itself_without_jaxpose(tmp_path):
  path = pose_files.save(tmp_path / "a.npz", clip())
  with np.load(path) as file:  # no pickles
    documented = set(file.files)
    assert str(file["units"]) == "metres, pixels, seconds"
    assert file["joint_names"][3] == "right_foot"
    assert file["parents"][3] == 2
    assert file["keypoint_names"][0] == "nose"
    assert file["joints_3d"].dtype == np.float32
  for key in documented:
    assert key in pose_files.__doc__, key


def test_a_skeleton_of_its_own_reads_back(tmp_path):
  own = skeletons.Skeleton("stick", ("low", "high"), (-1, 0))
  poses = Poses(np.zeros((2, 2, 3)), own, 50)
  assert pose_files.load(pose_files.save(tmp_path / "a.npz", poses)).skeleton == own


def test_nothing_is_overwritten_unasked(tmp_path):
  path = pose_files.save(tmp_path / "a.npz", clip())
  with pytest.raises(FileExistsError, match="exists and is not overwritten"):
    pose_files.save(path, clip(fps=10))
  assert pose_files.load(path).fps == 29.97
  pose_files.save(path, clip(fps=10), overwrite=True)
  assert pose_files.load(path).fps == 10


def test_a_file_cut_anywhere_is_refused(tmp_path):
  whole = pose_files.save(tmp_path / "a.npz", clip()).read_bytes()
  path = tmp_path / "cut.npz"
  for length in np.linspace(0, len(whole) - 1, 12).astype(int):
    path.write_bytes(whole[:length])
    with pytest.raises(ValueError, match=r"cut\.npz cannot be read .* get it again"):
      pose_files.load(path)
  path.write_bytes(b"frame,time_s\n0,0\n")
  with pytest.raises(ValueError, match="not an"):
    pose_files.load(path)


def test_files_of_others_and_of_later_are_told_apart(tmp_path):
  path = tmp_path / "a.npz"
  np.savez(path, joints_3d=np.zeros((2, 17, 3)))
  with pytest.raises(ValueError, match="got no format, expected 'jaxpose poses 1'"):
    pose_files.load(path)
  np.savez(path, format="jaxpose poses 2")
  with pytest.raises(ValueError, match="got the format 'jaxpose poses 2', expected"):
    pose_files.load(path)
  np.savez(path, format=pose_files.FORMAT, joints_3d=np.zeros((2, 17, 3)))
  with pytest.raises(ValueError, match="has no valid, fps, skeleton, joint_names, par"):
    pose_files.load(path)
  pose_files.save(path, clip(), overwrite=True)
  with np.load(path) as file:
    arrays = dict(file)
  del arrays["keypoint_names"]
  np.savez(path, **arrays)
  with pytest.raises(ValueError, match="has no keypoint_names; get it again"):
    pose_files.load(path)
  with pytest.raises(FileNotFoundError, match=r"no file .*b\.npz, expected one that"):
    pose_files.load(tmp_path / "b.npz")


def test_a_file_whose_arrays_do_not_fit_is_refused_with_its_name(tmp_path):
  path = pose_files.save(tmp_path / "a.npz", clip())
  with np.load(path) as file:
    arrays = dict(file)
  arrays["valid"] = np.ones(3, bool)
  np.savez(path, **arrays)
  assert zipfile.is_zipfile(path)
  with pytest.raises(ValueError, match=r"a\.npz: got valid of 3 frames and joints_3d"):
    pose_files.load(path)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (dict(joints_3d=np.zeros((0, 17, 3))), "got poses without frames, expected at"),
    (dict(joints_3d=np.zeros((6, 5, 3))), "got 5 joints, expected 17 for the skeleton"),
    (dict(fps=0.0), "got fps=0.0, expected frames per second, above 0"),
    (dict(confidence=np.zeros((2, 33))), "got confidence of 2 frames and joints_3d of"),
    (dict(keypoints_skeleton=None), "got 33 keypoints, expected keypoints_skeleton"),
    (dict(axes="up"), "got axes 'up', expected 'camera' or 'z_up'"),
    (dict(root="hip"), "got root 'hip', expected 'relative' or 'absolute'"),
  ],
)
def test_bad_poses_are_said_in_a_sentence(tmp_path, change, message):
  poses = clip(**change)
  with pytest.raises(ValueError, match=message):
    pose_files.save(tmp_path / "a.npz", poses)
  assert not list(tmp_path.iterdir())
