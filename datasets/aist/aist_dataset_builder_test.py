import json
import pickle

import numpy as np
import pytest

from aist import aist_dataset_builder as builder
from aist import annotations
from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.data import pose_data
from jaxpose.geometry import cameras
from tests import body_writer
from tests import builder_testing

NAMES = {
  "train": ["gBR_sBM_cAll_d04_mBR0_ch01", "gLO_sFM_cAll_d13_mLO0_ch02"],
  "val": ["gWA_sFM_cAll_d27_mWA2_ch21"],
  "test": ["gPO_sBM_cAll_d10_mPO1_ch10"],
}
IGNORED = "gKR_sBM_cAll_d28_mKR0_ch03"
T = 5


@pytest.fixture(autouse=True)
def no_named_folder(monkeypatch):
  monkeypatch.delenv("JAXPOSE_SMPL_DIR", raising=False)


def setting(seed):
  """Nine cameras of a file: they stand around, in centimetres, y up."""
  rng = np.random.default_rng(seed)
  made = []
  for i, name in enumerate(annotations.VIEWS):
    turn = np.diag([1.0, -1, -1]) @ geometry.axis_angle_to_matrix(
      np.asarray([0, -2 * np.pi * i / 9, 0])
    )
    made.append(
      dict(
        name=name,
        size=[1920, 1080],
        matrix=[[1600 + i, 0, 960], [0, 1600, 540], [0, 0, 1]],
        rotation=geometry.matrix_to_axis_angle(turn).tolist(),
        translation=[rng.normal(), 100.0, 500.0],
        distortions=[-0.02, 0.0, 0.0, 0.0, 0.0],
      )
    )
  return made


def dancer(seed):
  """(T, 17, 3) a standing body, centimetres, y up."""
  coco = skeletons.get("coco17")
  rng = np.random.default_rng(seed)
  joints = rng.normal([0, 140, 0], 10, (T, 17, 3))
  for part, height in (("hip", 90), ("knee", 48), ("ankle", 8)):
    for side, x in (("left", 10), ("right", -10)):
      joints[:, coco.index(f"{side}_{part}")] = [x, height, 0]
  return joints + 3 * np.arange(T)[:, None, None] * [1, 0, 0]


def contents(seed, **changes):
  """The three files of a sequence."""
  rng = np.random.default_rng(seed)
  detected = rng.uniform(0, 1000, (9, T, 17, 3)).astype(np.float32)
  detected[..., 2] /= 1000
  points = dancer(seed)
  made = dict(
    keypoints2d=dict(
      keypoints2d=detected, det_scores=np.ones((9, T)), timestamps=np.arange(T) * 16666
    ),
    keypoints3d=dict(keypoints3d=points + 1, keypoints3d_optim=points),
    motions=dict(
      smpl_poses=rng.normal(0, 0.2, (T, 72)),
      smpl_scaling=np.asarray([93.5]),
      smpl_trans=rng.normal([0, 100, 0], 5, (T, 3)),
      smpl_loss=1.25,
    ),
  )
  for key, value in changes.items():
    folder = next(f for f in made if key in made[f])
    made[folder][key] = value
  return made


def write(raw, protocol=pickle.HIGHEST_PROTOCOL, **changes):
  for folder in ("cameras", "splits", "keypoints2d", "keypoints3d", "motions"):
    (raw / folder).mkdir(parents=True, exist_ok=True)
  lines = []
  for seed, name in enumerate(name for names in NAMES.values() for name in names):
    for folder, content in contents(seed, **(changes if seed == 1 else {})).items():
      (raw / folder / f"{name}.pkl").write_bytes(pickle.dumps(content, protocol))
    lines.append(f"{name} setting{seed % 2 + 1}")
  (raw / "cameras" / "mapping.txt").write_text("\n".join(lines) + "\n")
  for i in (1, 2):
    (raw / "cameras" / f"setting{i}.json").write_text(json.dumps(setting(i)))
  for split, names in NAMES.items():
    listed = [*names, IGNORED] if split == "train" else names
    (raw / "splits" / f"pose_{split}.txt").write_text("\n".join(listed))
  (raw / "ignore_list.txt").write_text(IGNORED + "\n")
  return raw


def build(tmp_path, config="keypoints"):
  return builder_testing.build_and_read(
    "aist", tmp_path / "out", tmp_path / "raw", config=config
  )


def by_name(records):
  keys = ("sequence", "camera")
  return {tuple(builder_testing.text(r, k) for k in keys): r for r in records}


def project(camera, points):
  """(t, j, 2) pixels of points of the file's world, by OpenCV's formulas."""
  turn = geometry.axis_angle_to_matrix(np.asarray(camera["rotation"]))
  view = points @ turn.T + camera["translation"]
  rays = view[..., :2] / view[..., 2:]
  square = (rays**2).sum(-1, keepdims=True)
  k = np.asarray(camera["matrix"])
  bent = rays * (1 + camera["distortions"][0] * square)
  return bent * [k[0, 0], k[1, 1]] + k[:2, 2], view


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_keypoints_are_those_of_the_files(tmp_path, protocol):
  write(tmp_path / "raw", protocol)
  splits = build(tmp_path)
  counts = {split: len(records) for split, records in splits.items()}
  assert counts == dict(train=17, validation=9, test=9)  # one view is left out
  made, name = contents(1), NAMES["train"][1]
  for i, camera in enumerate(setting(2)):
    record = by_name(splits["train"])[name, camera["name"]]
    detected = made["keypoints2d"]["keypoints2d"][i]
    np.testing.assert_array_equal(record["keypoints_2d"], detected[..., :2])
    np.testing.assert_array_equal(record["confidence"], detected[..., 2])
    _, view = project(camera, made["keypoints3d"]["keypoints3d_optim"])
    np.testing.assert_allclose(record["joints_3d"], view / 100, atol=1e-5)
    pixels = cameras.project(record["joints_3d"], record["intrinsics"])
    expected, _ = project(camera, made["keypoints3d"]["keypoints3d_optim"])
    np.testing.assert_allclose(pixels, expected, atol=0.01)
    heights = builder_testing.world_joints(record)[..., 2]
    np.testing.assert_allclose(heights, dancer(1)[..., 1] / 100, atol=1e-5)  # z up
    assert record["frame_valid"].all()
  texts = [builder_testing.text(record, k) for k in ("subject", "action", "skeleton")]
  assert texts == ["d13", "gLO", "coco17"]
  assert record["fps"] == 60
  assert not any(IGNORED in key for key, _ in by_name(splits["train"]))
  loaded = pose_data.from_records(splits["train"])
  assert loaded.num_frames == 17 * T
  assert loaded.frames["confidence"].shape == (17 * T, 17)


def test_views_that_are_wrong_in_the_source_are_left_out(tmp_path):
  found = by_name(build_of(tmp_path)["train"])
  assert (NAMES["train"][0], "c04") in found
  assert (NAMES["train"][0], "c05") not in found


def build_of(tmp_path, config="keypoints", **changes):
  write(tmp_path / "raw", **changes)
  return build(tmp_path, config)


def test_missing_detections_make_frames_invalid(tmp_path):
  made = contents(1)
  detected, points = (
    made["keypoints2d"]["keypoints2d"],
    made["keypoints3d"]["keypoints3d_optim"],
  )
  detected[3, 2, 5] = np.nan
  points[4, 0] = np.nan
  found = by_name(
    build_of(tmp_path, keypoints2d=detected, keypoints3d_optim=points)["train"]
  )
  record = found[NAMES["train"][1], "c04"]
  np.testing.assert_array_equal(record["frame_valid"], [1, 1, 0, 1, 0])
  assert record["confidence"][2, 5] == 0
  assert np.isfinite(record["keypoints_2d"]).all()
  other = found[NAMES["train"][1], "c03"]
  np.testing.assert_array_equal(other["frame_valid"], [1, 1, 1, 1, 0])


def test_splits_may_name_single_views(tmp_path):
  write(tmp_path / "raw")
  views = [NAMES["val"][0].replace("cAll", view) for view in ("c01", "c02")]
  (tmp_path / "raw" / "splits" / "pose_val.txt").write_text("\n".join(views))
  assert len(build(tmp_path)["validation"]) == 9


def test_motions_without_a_body_carry_the_keypoints(tmp_path):
  splits = build_of(tmp_path, "mesh")
  record = by_name(splits["train"])[NAMES["train"][1], "c02"]
  builder_testing.check_record(record, skeletons.get("coco17"))
  motion, camera = contents(1)["motions"], setting(2)[1]
  assert record["smpl_scale"] == pytest.approx(0.935)
  np.testing.assert_allclose(
    record["smpl_translation"],
    motion["smpl_trans"][:, [0, 2, 1]] * [0.01, -0.01, 0.01],
    rtol=1e-5,
  )
  turn = geometry.axis_angle_to_matrix(np.asarray(camera["rotation"]))
  root = turn @ geometry.axis_angle_to_matrix(motion["smpl_poses"][:, :3])
  got = geometry.axis_angle_to_matrix(record["smpl_pose"].astype(np.float64))
  np.testing.assert_allclose(got[:, 0], root, atol=1e-5)
  np.testing.assert_allclose(
    record["smpl_pose"][:, 1:].reshape(T, 69), motion["smpl_poses"][:, 3:], atol=1e-5
  )
  assert pose_data.from_records(splits["test"]).skeleton.name == "coco17"


def test_motions_move_the_body_where_there_is_one(tmp_path):
  body = body_writer.write(tmp_path / "raw" / "smpl" / "SMPL_MALE.npz")
  splits = build_of(tmp_path, "mesh")
  record = by_name(splits["train"])[NAMES["train"][1], "c07"]
  builder_testing.check_record(record, skeletons.get("spin49"))
  motion = contents(1)["motions"]
  rotations = geometry.axis_angle_to_matrix(motion["smpl_poses"].reshape(T, 24, 3))
  posed = bodies.pose(body, rotations.astype(np.float32), np.zeros((T, 10), np.float32))
  placed = 93.5 * bodies.joints_49(body, posed) + motion["smpl_trans"][:, None]
  pixels, view = project(setting(2)[6], placed)
  np.testing.assert_allclose(record["joints_3d"], view / 100, atol=1e-5)
  np.testing.assert_allclose(record["keypoints_2d"], pixels, atol=0.02)
  assert pose_data.from_records(splits["test"]).frames["smpl_pose"].shape[1:] == (24, 3)


def refused(tmp_path, message, config="keypoints", error=ValueError):
  with pytest.raises(error, match=message) as caught:
    build(tmp_path, config)
  if error is ValueError:
    assert "\n" not in str(caught.value)
  assert not list((tmp_path / "out").glob("aist/*/1.0.0/*.json"))


def test_an_empty_folder_is_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  refused(tmp_path, "raw does not exist or is empty", error=FileNotFoundError)
  (tmp_path / "raw" / "motions").mkdir()
  refused(tmp_path, "raw: got motions, expected ignore_list.txt too; unpack")


@pytest.mark.parametrize(
  ("file", "config", "message"),
  [
    ("ignore_list.txt", "keypoints", "expected ignore_list.txt too"),
    ("splits/pose_val.txt", "keypoints", "expected splits/pose_val.txt too"),
    ("cameras/mapping.txt", "mesh", "expected cameras/mapping.txt too"),
    (
      "cameras/setting2.json",
      "mesh",
      r"setting2\.json: no such file, expected the cam",
    ),
    ("keypoints3d/gPO_sBM_cAll_d10_mPO1_ch10.pkl", "mesh", "no such file, but the seq"),
    (
      "keypoints2d/gPO_sBM_cAll_d10_mPO1_ch10.pkl",
      "keypoints",
      r"ch10\.pkl: no such fi",
    ),
    ("motions/gPO_sBM_cAll_d10_mPO1_ch10.pkl", "mesh", r"ch10\.pkl: no such file"),
  ],
)
def test_a_missing_file_is_named(tmp_path, file, config, message):
  (write(tmp_path / "raw") / file).unlink()
  refused(tmp_path, message, config)


@pytest.mark.parametrize(
  ("file", "text", "message"),
  [
    (
      "splits/pose_test.txt",
      "\n",
      r"pose_test\.txt: got an empty file, expected names",
    ),
    (
      "splits/pose_test.txt",
      IGNORED,
      "pose_test.txt whose sequences are all in ignore",
    ),
    (
      "splits/pose_test.txt",
      "gXX_cAll_d1",
      "got no setting for gXX_cAll_d1 in cameras",
    ),
    ("cameras/mapping.txt", "alone\n", "got the line 'alone' in cameras/mapping.txt"),
    ("cameras/setting1.json", "[{]", r"setting1\.json: cannot be read as cameras"),
    ("cameras/setting1.json", "{}", "a dict, expected a list"),
    ("cameras/setting1.json", "[]", "got the cameras none, expected c01, c02"),
  ],
)
def test_lists_and_cameras_that_are_wrong_are_refused(tmp_path, file, text, message):
  (write(tmp_path / "raw") / file).write_text(text)
  refused(tmp_path, message)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (dict(distortions=[0, 0, 0.1, 0, 0]), "tangential distortion, which AIST"),
    (dict(distortions=[0, 0, 0]), "not 4 or 5 distortions"),
    (dict(translation=[0, 0]), "translation of another shape"),
    (dict(rotation=[0, 0, np.nan]), "numbers that are not finite"),
    (dict(matrix="a"), "could not convert string to float"),
  ],
)
def test_a_camera_that_is_wrong_is_refused(tmp_path, changes, message):
  path = write(tmp_path / "raw") / "cameras" / "setting1.json"
  made = setting(1)
  made[4] |= changes
  path.write_text(json.dumps(made))
  refused(tmp_path, rf"setting1\.json: cannot be read as cameras .*{message}")


@pytest.mark.parametrize(
  ("changes", "config", "message"),
  [
    (
      dict(keypoints3d_optim=dancer(1) / 100),
      "keypoints",
      r"got legs of 0\.0082 m, exp",
    ),
    (dict(keypoints3d_optim=dancer(1) * 10), "mesh", r"got legs of 8\.2 m, expected"),
    (
      dict(keypoints3d_optim=dancer(1)[:, :16]),
      "mesh",
      r"\(5, 16, 3\), expected \(frames",
    ),
    (
      dict(keypoints3d_optim=dancer(1)[:3]),
      "keypoints",
      "got 5 frames, and 3 in keypo",
    ),
    (
      dict(keypoints3d_optim=dancer(1)[:3]),
      "mesh",
      r"motions/.*: got 5 frames, and 3 ",
    ),
    (
      dict(keypoints3d_optim=None),
      "mesh",
      "expected the array keypoints3d_optim; is it",
    ),
    (
      dict(keypoints2d=np.zeros((8, T, 17, 3))),
      "keypoints",
      r"shape \(8, 5, 17, 3\), e",
    ),
    (
      dict(smpl_poses=np.zeros((T, 69))),
      "mesh",
      r"smpl_poses of shape \(5, 69\), expec",
    ),
    (
      dict(smpl_poses=np.zeros((4, 72))),
      "mesh",
      "got 4 smpl_poses and 5 smpl_trans, e",
    ),
    (dict(smpl_trans=np.full((T, 3), np.nan)), "mesh", "got NaN or infinite numbers"),
    (dict(smpl_scaling=np.ones(1)), "mesh", "got smpl_scaling 1, expected about 95"),
  ],
)
def test_annotations_that_are_wrong_are_refused(tmp_path, changes, config, message):
  write(tmp_path / "raw", **changes)
  refused(tmp_path, message, config)


def test_poses_may_have_an_axis_of_joints(tmp_path):
  poses = contents(1)["motions"]["smpl_poses"]
  write(tmp_path / "flat")
  write(tmp_path / "deep", smpl_poses=poses.reshape(T, 24, 3))
  flat, deep = (
    annotations.read_motion(tmp_path / k, NAMES["train"][1]) for k in ("flat", "deep")
  )
  np.testing.assert_array_equal(flat.rotations, deep.rotations)


def test_a_truncated_file_is_refused(tmp_path):
  path = write(tmp_path / "raw") / "keypoints2d" / f"{NAMES['test'][0]}.pkl"
  path.write_bytes(path.read_bytes()[:-900])
  refused(tmp_path, r"ch10\.pkl: truncated or damaged: it is no pickle of annotations")


def test_features_name_what_records_hold():
  assert set(builder.mesh_features()) >= {"smpl_scale", "smpl_translation", "betas"}
  assert "confidence" in builder.keypoint_features()
