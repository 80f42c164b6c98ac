"""The benchmark of several views on real videos."""

import zipfile

import numpy as np
import pytest

from benchmarks import views
from tests import small_views

DEMO = "Pose2Sim/Demo_SinglePerson"


def wheel(path, *names):
  with zipfile.ZipFile(path, "w") as file:
    for name in names:
      file.writestr(name, name)
  return path


def test_videos_and_calibration_are_unpacked_and_nothing_is_replaced(tmp_path):
  names = [f"{DEMO}/videos/cam0{c}.mp4" for c in (1, 2)]
  names += [f"{DEMO}/calibration/Calib.qca.txt", f"{DEMO}/Config.toml", "other.mp4"]
  file = wheel(tmp_path / "p.whl", *names)
  folder = views.unpack(file, tmp_path / "out", "Single")
  found = sorted(p.name for p in folder.iterdir())
  assert found == ["Calib.qca.txt", "cam01.mp4", "cam02.mp4"]
  (folder / "cam01.mp4").write_text("mine")
  views.unpack(file, tmp_path / "out", "Single")
  assert (folder / "cam01.mp4").read_text() == "mine"


def test_another_wheel_is_refused(tmp_path):
  file = wheel(tmp_path / "p.whl", "other.mp4")
  with pytest.raises(ValueError, match="got no videos with a calibration in Pose2Sim"):
    views.unpack(file, tmp_path / "out", "Single")
  with pytest.raises(SystemExit, match=r"error: .* expected a wheel of pose2sim"):
    views.main([str(file), f"--out={tmp_path / 'out'}"])


def test_limbs_of_a_stiff_walker_do_not_vary():
  joints = small_views.walker()
  found = views.limb_variation(joints, small_views.H36M)
  assert set(found) == set(views.LIMBS)
  assert max(found.values()) < 1e-9
  knee = small_views.H36M.index("left_knee")
  joints[:, knee, 2] += 0.05 * np.sin(np.arange(len(joints)))
  found = views.limb_variation(joints, small_views.H36M)
  assert found["thigh"] > 1 < found["shin"]
  assert found["forearm"] < 1e-9


def test_exact_keypoints_are_measured_as_exact(tmp_path):
  rig = small_views.opened(small_views.scene(tmp_path))
  person = small_views.person(small_views.walker(), rig)
  row, poses = views.measured(person, rig, "dlt")
  assert [float(cell) for cell in row[:3]] == [0, 0, 0]
  assert float(row[-2]) < 0.2
  assert row[-1] == "100.0"
  np.testing.assert_allclose(poses.raw, small_views.walker(), atol=1e-3)
