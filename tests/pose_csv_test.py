import csv

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.formats import pose_files

H36M = skeletons.get("h36m17")


def joints(frames=4):
  return np.random.default_rng(0).normal(size=(frames, 17, 3))


@pytest.mark.parametrize(("unit", "scale"), [("m", 1), ("cm", 100), ("mm", 1000)])
def test_the_table_holds_every_number_under_its_name_and_unit(tmp_path, unit, scale):
  poses = joints()
  path = pose_files.save_csv(tmp_path / "a.csv", poses, H36M, 25, unit=unit)
  with path.open(newline="") as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == len(poses)
  assert len(rows[0]) == 2 + 3 * 17
  for i, row in enumerate(rows):
    assert int(row["frame"]) == i
    assert float(row["time_s"]) == pytest.approx(i / 25)
    for j, joint in enumerate(H36M.joints):
      for c, axis in enumerate("xyz"):
        found = float(row[f"{joint}_{axis}_{unit}"]) / scale
        assert found == pytest.approx(poses[i, j, c], abs=1e-6)


def test_missing_joints_are_empty_cells(tmp_path):
  poses = joints()
  poses[2, 3] = np.nan
  path = pose_files.save_csv(tmp_path / "a.csv", poses, H36M, 25)
  with path.open(newline="") as file:
    rows = list(csv.DictReader(file))
  empty = [(i, k) for i, row in enumerate(rows) for k, v in row.items() if v == ""]
  assert empty == [(2, f"right_foot_{axis}_mm") for axis in "xyz"]


def test_nothing_is_overwritten_unasked(tmp_path):
  path = pose_files.save_csv(tmp_path / "a.csv", joints(), H36M, 25)
  old = path.read_bytes()
  with pytest.raises(FileExistsError, match="exists and is not overwritten"):
    pose_files.save_csv(path, joints(2), H36M, 25)
  assert path.read_bytes() == old
  pose_files.save_csv(path, joints(2), H36M, 25, overwrite=True)
  assert path.read_bytes() != old


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (dict(unit="inch"), "got the unit 'inch', expected 'm', 'cm', 'mm'"),
    (dict(fps=0), "got fps=0, expected frames per second, above 0"),
    (dict(joints_3d=np.zeros((2, 5, 3))), "got 5 joints, expected 17 for the skeleton"),
    (dict(path="a.txt"), r"expected the ending \.csv"),
  ],
)
def test_bad_input_is_said_in_a_sentence(tmp_path, change, message):
  arguments = dict(path="a.csv", joints_3d=joints(), skeleton=H36M, fps=25) | change
  arguments["path"] = tmp_path / arguments["path"]
  with pytest.raises(ValueError, match=message):
    pose_files.save_csv(**arguments)
