import sys

import numpy as np
import pytest
from scipy import io

from jaxpose.data import pose_data
from jaxpose.metrics import protocols
from jaxpose.tasks import scoring
from mpi_inf_3dhp import official
from mpi_inf_3dhp import protocol
from tests import benchmark_writer
from tests import builder_testing

# The subset of the field, section 12 of GLA-GCN's description.
FIELD = (7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
FRAMES = {"TS1": 9, "TS5": 6}


def test_the_joints_are_the_fields():
  assert protocol.JOINTS == FIELD


def motion(subject, sequence, camera):
  """(t, 28, 3) millimetres in the camera's frame, and pixels."""
  frames = 3 if sequence == "Seq1" else 4
  seed = [int(subject[1:]), int(sequence[3:]), camera]
  joints = benchmark_writer.body("mpi3dhp28", frames, seed) + np.array([0, 0, 4])
  return 1000 * joints, 1024 + 1500 * joints[..., :2] / joints[..., 2:]


def scored_motion(name):
  frames = FRAMES.get(name, 5)
  joints = benchmark_writer.body("mpi3dhp17", frames, int(name[2:])) + np.array(
    [0, 0, 4]
  )
  valid = np.arange(frames) % 3 == 1
  return 1000 * joints, 960 + 1100 * joints[..., :2] / joints[..., 2:], valid


def cells(arrays):
  """A column of cells, as MATLAB has it."""
  column = np.empty((len(arrays), 1), object)
  column[:, 0] = arrays
  return column


def annotations(subject, sequence):
  joints, points = zip(*(motion(subject, sequence, i) for i in range(14)), strict=True)
  return dict(
    annot2=[p.reshape(len(p), 56) for p in points],
    univ_annot3=[j.reshape(len(j), 84) for j in joints],
  )


def scored_annotations(name):
  joints, points, valid = scored_motion(name)
  return dict(
    annot2=points[:, None],
    univ_annot3=joints[:, None],
    valid_frame=valid[:, None] * 1.0,
  )


def write_mat5(path, held):
  path.parent.mkdir(parents=True, exist_ok=True)
  matlab = {k: cells(v) if isinstance(v, list) else v.T for k, v in held.items()}
  io.savemat(path, matlab, do_compression=True)


def write_mat73(path, held):
  """As MATLAB does: HDF5 behind a header of text, axes reversed, cells by reference."""
  import h5py

  path.parent.mkdir(parents=True, exist_ok=True)
  with h5py.File(path, "w", userblock_size=512) as file:
    for name, value in held.items():
      if isinstance(value, list):
        refs = [
          file.create_dataset(f"#refs#/{name}{i}", data=cell.T).ref
          for i, cell in enumerate(value)
        ]
        file.create_dataset(name, data=np.array([refs], h5py.ref_dtype))
      else:
        file.create_dataset(name, data=value)
  with open(path, "r+b") as file:
    file.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


WRITERS = {"5": write_mat5, "7.3": write_mat73}


def write(folder, version="5", test_version="7.3"):
  for subject, sequence in protocol.SEQUENCES:
    path = folder / "train ü" / subject / sequence / "annot.mat"
    WRITERS[version](path, annotations(subject, sequence))
  for name in protocol.TESTS:
    path = folder / "mpi_inf_3dhp_test_set" / name / "annot_data.mat"
    WRITERS[test_version](path, scored_annotations(name))


@pytest.mark.parametrize(
  ("version", "tests"), [("5", "5"), ("5", "7.3"), ("7.3", "7.3")]
)
def test_records_are_the_release(tmp_path, version, tests):
  if "7.3" in (version, tests):
    pytest.importorskip("h5py", reason="needs h5py: pip install 'jaxpose[hdf5]'")
  write(tmp_path / "raw", version, tests)
  splits = builder_testing.build_and_read(
    "mpi_inf_3dhp", tmp_path / "out", tmp_path / "raw", config="official"
  )
  assert {k: len(v) for k, v in splits.items()} == dict(train=16 * 8, test=6)
  found = [
    tuple(builder_testing.text(r, k) for k in ("subject", "action", "camera"))
    for r in splits["train"]
  ]
  assert found == [
    (*sequence, str(camera))
    for sequence in protocol.SEQUENCES
    for camera in (0, 1, 2, 4, 5, 6, 7, 8)
  ]
  for record, (subject, sequence, camera) in zip(splits["train"], found, strict=True):
    joints, points = motion(subject, sequence, int(camera))
    np.testing.assert_allclose(record["joints_3d"], joints[:, FIELD] / 1000, atol=1e-5)
    np.testing.assert_allclose(record["keypoints_2d"], points[:, FIELD], atol=1e-3)
    assert record["frame_scored"].all()
    assert tuple(record["image_size"]) == (2048, 2048)
  assert {float(r["fps"]) for r in splits["train"]} == {25, 50}
  for record, name in zip(splits["test"], protocol.TESTS, strict=True):
    joints, points, valid = scored_motion(name)
    assert builder_testing.text(record, "subject") == name
    np.testing.assert_allclose(record["joints_3d"], joints / 1000, atol=1e-5)
    np.testing.assert_allclose(record["keypoints_2d"], points, atol=1e-3)
    np.testing.assert_array_equal(record["frame_scored"], valid)
    assert record["frame_valid"].all()
    outdoors = name in ("TS5", "TS6")
    size = (1920, 1080) if outdoors else (2048, 2048)
    assert tuple(record["image_size"]) == size


def test_only_valid_frames_are_scored_but_all_are_context(tmp_path):
  write(tmp_path / "raw", test_version="5")
  splits = builder_testing.build_and_read(
    "mpi_inf_3dhp", tmp_path / "out", tmp_path / "raw", config="official"
  )
  poses = pose_data.from_records(splits["test"])
  assert len(poses.views) == 6  # runs are not cut at frames without a score
  index = pose_data.Index(np.array([4]), np.array([0]), np.array([False]))
  window = pose_data.gather(poses.frames, poses.runs, index, 5)
  np.testing.assert_array_equal(window["joints_3d"][0], poses.frames["joints_3d"][2:7])
  frames = np.arange(poses.num_frames)
  off = np.where(poses.frames["frame_scored"], 0.0, 9.0)[:, None, None]
  wrong = scoring.relative_joints(poses) + off
  result = scoring.score(poses, wrong, frames, ["mpi3dhp"])["mpi3dhp"]
  assert result.total < 1e-5  # millimetres
  assert result.frames == {
    name: int(scored_motion(name)[2].sum()) for name in protocol.TESTS
  }
  assert isinstance(result, protocols.ProtocolResult)


def refused(folder, message):
  def read():
    for records in official.splits(folder).values():
      list(records)

  with pytest.raises(ValueError, match=message):
    read()


def test_an_empty_folder_is_refused(tmp_path):
  refused(tmp_path, "got no annotations, expected S1/Seq1/annot.mat, S1/Seq2/annot.mat")


def test_a_missing_file_is_named(tmp_path):
  write(tmp_path, test_version="5")
  (tmp_path / "mpi_inf_3dhp_test_set" / "TS4" / "annot_data.mat").unlink()
  refused(tmp_path, "expected TS4/annot_data.mat too; unpack the downloads there")


def with_nan(array):
  array = array.copy()
  array[1] = np.nan
  return array


def changed(value, change):
  return [change(cell) for cell in value] if isinstance(value, list) else change(value)


@pytest.mark.parametrize(
  ("key", "change", "message"),
  [
    ("annot2", with_nan, "'S1 Seq1', camera '0': 1 of 3 frames hold NaN or infinite"),
    ("univ_annot3", with_nan, "camera '0': 1 of 3 frames hold NaN or infinite joints"),
    (
      "annot2",
      lambda p: p[:, :34],
      r"annot2: got the shape \(3, 34\), expected 14 cam",
    ),
    ("univ_annot3", lambda p: p[:, :51], r"univ_annot3: got the shape \(3, 51\)"),
    (
      "annot2",
      lambda p: p[:2],
      "got 3 frames of 3D and 2 of 2D, expected at least one",
    ),
    ("univ_annot3", lambda p: p / 1000, "got legs of 0.00086 m, expected about 0.8 m"),
  ],
)
def test_what_is_wrong_in_a_training_file_is_said(tmp_path, key, change, message):
  held = annotations("S1", "Seq1")
  held[key] = changed(held[key], change)
  write_mat5(tmp_path / "annot.mat", held)
  with pytest.raises(ValueError, match=rf"annot\.mat: .*{message}"):
    list(official._training(tmp_path / "annot.mat", "S1", "Seq1"))


def test_missing_cameras_are_said(tmp_path):
  held = {key: cells[:3] for key, cells in annotations("S1", "Seq1").items()}
  write_mat5(tmp_path / "annot.mat", held)
  with pytest.raises(ValueError, match="annot2: got 3 cameras, expected 14 cameras"):
    list(official._training(tmp_path / "annot.mat", "S1", "Seq1"))


@pytest.mark.parametrize(
  ("key", "change", "message"),
  [
    (
      "annot2",
      with_nan,
      "'TS1', camera '0': 1 of 9 frames hold NaN or infinite joints",
    ),
    ("annot2", lambda p: p[:, :, :16], r"annot2: got the shape \(9, 1, 16, 2\), exp"),
    (
      "annot2",
      lambda p: p[:4],
      "got 9 frames of 3D, 4 of 2D and 9 marks of valid fram",
    ),
    ("valid_frame", lambda p: p[:4], "9 of 2D and 4 marks of valid frames, 1 of them"),
    (
      "valid_frame",
      lambda p: 0 * p,
      "9 marks of valid frames, 0 of them set, expected",
    ),
    ("univ_annot3", lambda p: p / 1000, "got legs of 0.00086 m, expected about 0.8 m"),
  ],
)
def test_what_is_wrong_in_a_test_file_is_said(tmp_path, key, change, message):
  held = scored_annotations("TS1")
  held[key] = change(held[key])
  write_mat5(tmp_path / "annot_data.mat", held)
  with pytest.raises(ValueError, match=rf"annot_data\.mat: .*{message}"):
    list(official._test(tmp_path / "annot_data.mat", "TS1"))


def test_frames_that_are_not_scored_may_be_nan(tmp_path):
  held = scored_annotations("TS1")
  held["annot2"][0] = np.nan
  write_mat5(tmp_path / "annot_data.mat", held)
  (record,) = official._test(tmp_path / "annot_data.mat", "TS1")
  assert record["frame_valid"].tolist() == [False] + 8 * [True]
  assert np.isfinite(record["keypoints_2d"]).all()


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize("keep", [0, 100, 700, 0.6])
def test_a_truncated_file_is_named(tmp_path, version, keep):
  pytest.importorskip("h5py", reason="needs h5py: pip install 'jaxpose[hdf5]'")
  path = tmp_path / "annot.mat"
  WRITERS[version](path, annotations("S1", "Seq1"))
  raw = path.read_bytes()
  path.write_bytes(raw[: int(keep * len(raw)) if keep == 0.6 else keep])
  with pytest.raises(
    ValueError, match=r"annot.mat: truncated or damaged, or no MATLAB"
  ):
    official.read(path, "annot2", "univ_annot3")


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_a_missing_variable_is_named(tmp_path, version):
  pytest.importorskip("h5py", reason="needs h5py: pip install 'jaxpose[hdf5]'")
  WRITERS[version](tmp_path / "annot.mat", dict(annot2=np.ones((2, 2))))
  message = "got annot2 of the variables, expected univ_annot3 too"
  with pytest.raises(ValueError, match=message):
    official.read(tmp_path / "annot.mat", "annot2", "univ_annot3")


def test_without_h5py_its_pip_line_is_told(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "h5py", None)
  (tmp_path / "annot.mat").write_bytes(b"\x89HDF" + bytes(600))
  message = r"version 7.3, which needs h5py; pip install 'jaxpose\[hdf5\]'"
  with pytest.raises(ValueError, match=message):
    official.read(tmp_path / "annot.mat", "annot2")
