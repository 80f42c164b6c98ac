import functools
import http.server
import pathlib
import shutil
import sys
import threading
import zipfile

import numpy as np
import pytest

from cmu_mocap import dummy
from cmu_mocap import retarget
from jaxpose import body as bodies
from jaxpose import body_files
from jaxpose import bvh
from jaxpose import geometry
from jaxpose import skeletons
from tests import builder_testing

DUMMY = pathlib.Path(__file__).parent / "dummy_data"
H36M = skeletons.get("h36m17")


def by_sequence(records):
  found = {}
  for record in records:
    found.setdefault(builder_testing.text(record, "sequence"), []).append(record)
  return found


def write_prepared(folder, frames=(30, 20), **changes):
  """The three npz files of the prepared form, `frames` per clip."""
  for split, subject in (("train", "01"), ("val", "03"), ("test", "02")):
    rng = np.random.default_rng(len(split))
    walk = np.cumsum(rng.normal(0, 0.01, (sum(frames), 17, 3)), 0)
    walk[..., 2] += 1
    arrays = dict(
      joints3d=walk.astype(np.float32),
      clip_start=np.cumsum([0, *frames[:-1]]),
      clip_len=np.asarray(frames),
      clip_name=np.asarray([f"{subject}_{i:02d}" for i in range(len(frames))]),
      subject=np.asarray([subject] * len(frames)),
      action=np.asarray(["walk"] * len(frames)),
      fps=np.float32(50),
    )
    arrays.update(changes)
    kept = {key: value for key, value in arrays.items() if value is not None}
    np.savez(folder / f"cmu_{split}.npz", **kept)


def test_dummy_data_is_what_dummy_py_writes(tmp_path):
  dummy.write(tmp_path)
  written = {p.relative_to(tmp_path): p for p in tmp_path.rglob("*.*")}
  kept = {p.relative_to(DUMMY): p for p in DUMMY.rglob("*.*")}
  assert written.keys() == kept.keys()
  for name, path in written.items():
    assert path.read_bytes() == kept[name].read_bytes(), name


def test_bvh_folder_builds_subject_disjoint_splits(tmp_path):
  splits = builder_testing.build_and_read("cmu_mocap", tmp_path, DUMMY)
  builder_testing.check_splits(splits, H36M)
  takes = {split: sorted(by_sequence(found)) for split, found in splits.items()}
  assert takes == {
    "train": ["05_01", "60_01"],
    "validation": ["03_01", "131_01"],
    "test": ["02_01"],
  }
  for split in splits.values():
    for records in by_sequence(split).values():
      cameras = sorted(builder_testing.text(record, "camera") for record in records)
      assert cameras == ["0", "1", "2", "3"]
      assert all(record["fps"] == 50 for record in records)
      assert all(record["frame_valid"].mean() > 0.9 for record in records)
  train = by_sequence(splits["train"])
  assert builder_testing.text(train["05_01"][0], "action") == "march, turn"
  assert builder_testing.text(train["60_01"][0], "action") == "unknown"
  assert builder_testing.text(train["60_01"][0], "subject") == "60"


def test_records_hold_the_joints_of_the_file(tmp_path):
  splits = builder_testing.build_and_read("cmu_mocap", tmp_path, DUMMY)
  (clip,) = retarget.read_take(DUMMY / "daz" / "60_01.bvh")
  for record in by_sequence(splits["train"])["60_01"]:
    world = builder_testing.world_joints(record)
    np.testing.assert_allclose(world, clip.joints, atol=5e-6)  # metres


def test_prepared_files_build_and_win_over_bvh(tmp_path):
  raw = tmp_path / "raw"
  shutil.copytree(DUMMY, raw)
  write_prepared(raw)
  splits = builder_testing.build_and_read("cmu_mocap", tmp_path / "out", raw)
  builder_testing.check_splits(splits, H36M)
  assert {name: len(records) for name, records in splits.items()} == {
    "train": 8,
    "validation": 8,
    "test": 8,
  }
  with np.load(raw / "cmu_val.npz") as data:
    joints = data["joints3d"]
  found = by_sequence(splits["validation"])
  assert sorted(found) == ["03_00", "03_01"]
  np.testing.assert_allclose(
    builder_testing.world_joints(found["03_01"][0]), joints[30:], atol=2e-6
  )


def test_two_builds_draw_the_same_cameras(tmp_path):
  one, two = (
    builder_testing.build_and_read("cmu_mocap", tmp_path / name, DUMMY)
    for name in ("one", "two")
  )
  for a, b in zip(one["train"], two["train"], strict=True):
    np.testing.assert_array_equal(a["camera_position"], b["camera_position"])
    np.testing.assert_array_equal(a["keypoints_2d"], b["keypoints_2d"])


def test_a_folder_of_one_subject_builds_one_split(tmp_path):
  raw = tmp_path / "raw"
  raw.mkdir()
  shutil.copy(DUMMY / "131_01.bvh", raw)
  splits = builder_testing.build_and_read("cmu_mocap", tmp_path / "out", raw)
  assert {name: len(records) for name, records in splits.items()} == {"validation": 4}


def refused(raw, tmp_path, message, error=ValueError, config="default"):
  with pytest.raises(error, match=message) as caught:
    builder_testing.build_and_read("cmu_mocap", tmp_path / "out", raw, config=config)
  assert "\n" not in str(caught.value)
  assert not list((tmp_path / "out").glob(f"cmu_mocap/{config}/1.0.0/*.json"))


def test_captured_people_become_bodies_of_their_shape(tmp_path):
  rng = np.random.default_rng(0)
  theta = np.repeat(rng.normal(0, 0.3, (1, 22, 3)), 50, 0).astype(np.float16)
  theta[:, 0] = [np.pi / 2, 0, 0]  # upright
  body = body_files.load("free_small")
  rotations = geometry.axis_angle_to_matrix(np.float32(theta))
  hands = np.broadcast_to(np.eye(3, dtype=np.float32), (50, 2, 3, 3))
  betas = np.full((50, 10), 0.5, np.float32)
  posed = bodies.pose(body, np.concatenate([rotations, hands], 1), betas)
  names = [f"{s}_{p}" for s in ("right", "left") for p in ("hip", "knee", "ankle")]
  names = ["pelvis", *names, "spine2", "neck", "head", "head"]
  names += [
    f"{s}_{p}" for s in ("left", "right") for p in ("shoulder", "elbow", "wrist")
  ]
  smpl = skeletons.get("smpl24")
  joints = posed.joints[:, [smpl.index(name) for name in names]] + [0, 0, 1]
  joints[:, 0] = (joints[:, 1] + joints[:, 4]) / 2
  write_prepared(tmp_path, joints3d=joints.astype(np.float32), theta=theta)
  splits = builder_testing.build_and_read(
    "cmu_mocap", tmp_path / "out", tmp_path, config="mesh"
  )
  builder_testing.check_splits(splits, skeletons.get("spin49"))
  for record in splits["test"]:
    # Where it can be seen, the body is the one that was captured.
    world = builder_testing.world_joints(record)
    for name in ("left_knee", "right_ankle", "left_elbow", "right_wrist"):
      found = world[:, skeletons.get("spin49").index(name)]
      expected = joints[: len(world), names.index(name)]
      assert np.linalg.norm(found - expected, axis=-1).max() < 0.03, name


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({}, "clip 01_00: got joints without rotations, expected the array 'theta' too"),
    (
      dict(theta=np.zeros((50, 21, 3))),
      r"got theta of shape \(50, 21, 3\), expected \(50, 22, 3\)",
    ),
  ],
)
def test_bodies_need_the_rotations(tmp_path, changes, message):
  write_prepared(tmp_path, **changes)
  refused(tmp_path, tmp_path, message, config="mesh")


def test_bodies_need_all_joints_of_a_dialect(tmp_path):
  message = "skeleton without LeftShoulder, .* only the config 'mesh' needs them"
  refused(DUMMY, tmp_path, message, config="mesh")


def test_a_folder_without_motion_is_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  (tmp_path / "raw" / "notes.txt").write_text("no motion")
  message = "raw: got neither cmu_train.npz, .* nor BVH files, expected one of the two"
  refused(tmp_path / "raw", tmp_path, message)


def test_a_take_that_is_there_twice_is_refused(tmp_path):
  shutil.copytree(DUMMY, tmp_path / "raw")
  shutil.copy(DUMMY / "131_01.bvh", tmp_path / "raw" / "daz")
  refused(tmp_path / "raw", tmp_path, "131_01.bvh: got the take 131_01 a second time")


def test_one_damaged_take_stops_the_build_with_its_name(tmp_path):
  shutil.copytree(DUMMY, tmp_path / "raw")
  path = tmp_path / "raw" / "001" / "05_01.bvh"
  path.write_text(path.read_text()[:-200])
  refused(tmp_path / "raw", tmp_path, r"05_01.bvh: got \d+ motion values, expected")


def test_a_split_of_nothing_but_jumps_is_refused(tmp_path):
  take = dummy.march("3dsmax", t_pose=False)
  take.motion[::2, 0] += 100
  (tmp_path / "raw").mkdir()
  bvh.write(tmp_path / "raw" / "05_01.bvh", take)
  message = "05_01.bvh: got jumps faster than 9 m/s all through"
  refused(tmp_path / "raw", tmp_path, message)


def test_a_missing_split_of_the_prepared_form_is_refused(tmp_path):
  write_prepared(tmp_path)
  (tmp_path / "cmu_val.npz").unlink()
  refused(tmp_path, tmp_path, "got cmu_train.npz, cmu_test.npz without cmu_val.npz")


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (dict(action=None), "cmu_train.npz: got no action, expected the arrays joints3d"),
    (
      dict(joints3d=np.zeros((50, 16, 3))),
      r"got joints3d of shape \(50, 16, 3\), expected \(frames, 17, 3\)",
    ),
    (
      dict(clip_len=np.asarray([30, 21])),
      "clip 01_01 spans the frames 30 to 51, expected frames within the 50",
    ),
    (dict(joints3d=np.full((50, 17, 3), np.nan)), "'01_00': 30 of 30 frames hold NaN"),
  ],
)
def test_damaged_prepared_files_are_refused(tmp_path, changes, message):
  write_prepared(tmp_path, **changes)
  refused(tmp_path, tmp_path, message)


def test_a_truncated_npz_is_refused(tmp_path):
  write_prepared(tmp_path)
  path = tmp_path / "cmu_train.npz"
  path.write_bytes(path.read_bytes()[:500])
  refused(tmp_path, tmp_path, "cmu_train.npz: got a damaged npz .* expected NumPy")


@pytest.fixture
def module():
  """The builder's module as `build.py` imports it."""
  return sys.modules[builder_testing.load_build().builder_cls("cmu_mocap").__module__]


@pytest.fixture
def archive(tmp_path, module, monkeypatch):
  """A local server in the place of GitHub, with dummy_data as the archive."""
  path = tmp_path / "served" / "cmu-mocap" / "archive" / f"{module.COMMIT}.zip"
  path.parent.mkdir(parents=True)
  with zipfile.ZipFile(path, "w") as out:
    for file in DUMMY.rglob("*.*"):
      out.write(file, f"cmu-mocap-{module.COMMIT}/data/{file.relative_to(DUMMY)}")
  handler = functools.partial(
    http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served"
  )
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(module, "URL", f"{host}/cmu-mocap/archive/{path.name}")
    yield server
    server.shutdown()


def test_without_manual_dir_the_takes_are_downloaded_once(tmp_path, archive):
  out = tmp_path / "out"
  splits = builder_testing.build_and_read("cmu_mocap", out)
  assert {k: len(v) for k, v in splits.items()} == dict(train=8, validation=8, test=4)
  archive.shutdown()
  archive.server_close()
  again = builder_testing.build_and_read("cmu_mocap", out, overwrite=True)
  assert {k: len(v) for k, v in again.items()} == dict(train=8, validation=8, test=4)


def test_a_damaged_archive_is_refused(tmp_path, module):
  path = tmp_path / "takes.zip"
  path.write_bytes(b"<html>")
  with pytest.raises(ValueError, match=r"takes\.zip: got a damaged download"):
    module._unpack(path)
  assert sorted(tmp_path.iterdir()) == [path]


def test_a_failed_download_says_what_to_do(tmp_path, module, monkeypatch):
  monkeypatch.setattr(module, "URL", "http://127.0.0.1:9/cmu-mocap.zip")
  message = (
    r"no manual_dir was given and the download of http://127.0.0.1:9/cmu-mocap.zip "
    r"failed .*; go online, or pass --manual_dir with the CMU takes as BVH files."
  )
  refused(None, tmp_path, message, ConnectionError)


def test_the_archive_is_pinned_to_a_commit(module):
  assert module.URL.endswith(f"/una-dinosauria/cmu-mocap/archive/{module.COMMIT}.zip")
  assert len(module.COMMIT) == 40
