import numpy as np
import pytest

from jaxpose.data import clip_windows
from jaxpose.data import sequences
from jaxpose.formats import vibe
from tests import vibe_writer

FULL = vibe.Source((14, 25, 49), (14, 49), smpl="if there", fps=30.0)
SPIN_TO_MPI3DHP17 = [38, 37, 33, 32, 31, 34, 35, 36, 27, 26, 25, 28, 29, 30, 39, 41, 43]
H36M_DB = "h36m_train_title_table4_3dpw"  # shared by both titles
GOLDEN_SETS = {  # name in the golden file -> source
  "3dpw_train": vibe.Source((14,), (49,), smpl="yes"),
  "mpii3d_train": vibe.Source((49,), (49,)),
  "h36m_train_title_table4_h36m_mpii3d": vibe.Source((49,), (49,), smpl="yes"),
  "insta_train": vibe.Source((25,), in_crop=True),
  "3dpw_val": vibe.Source((14,), (14,), smpl="yes"),
  "mpii3d_val": vibe.Source((49,), (49,)),
}


def records(db, source=FULL, *, scored=False):
  runs = vibe.videos(db["vid_name"])
  return [
    vibe.record(vibe.Video(db, name, rows, "x.pt"), source, scored=scored)
    for name, rows in runs.items()
  ]


def assert_float16_of(ours, golden):
  """`golden` is `ours` after a round trip through float16."""
  assert ours.shape == golden.shape
  half = np.spacing(np.abs(golden).astype(np.float16)).astype(np.float64) / 2
  assert (np.abs(ours.astype(np.float64) - golden) <= half * 1.001).all()


@pytest.mark.parametrize("name", GOLDEN_SETS)
def test_records_hold_the_authors_items(shared, name):
  data = np.load(shared / "golden" / "glot" / "dataset_items.npz")
  held = H36M_DB if name.startswith("h36m") else name
  db = {
    key.rsplit("/", 1)[1]: data[key] for key in data if key.startswith(f"{held}/db/")
  }
  features = db["features"]
  db["features"] = np.pad(features, ((0, 0), (0, 2048 - features.shape[1])))
  scored = name.endswith("val")
  found = records(db, GOLDEN_SETS[name], scored=scored)
  joined = {
    key: np.concatenate([record[key] for record in found])
    for key in ("features", "keypoints_2d", "confidence", "joints_3d", "smpl_pose")
  } | {
    k: np.concatenate([r[k] for r in found]) for k in ("betas", "frame_valid", "boxes")
  }
  # The golden videos are runs of frames, so joined records are the rows again.
  windows = (clip_windows.validation if scored else clip_windows.training)(
    db["vid_name"]
  )
  for i in data[f"{name}/selected"]:
    item = {
      key.rsplit("/", 1)[1]: data[key]
      for key in data
      if key.startswith(f"{name}/item{i}/")
    }
    window = windows[i]
    np.testing.assert_array_equal(joined["features"][window, :24], item["features"])
    frames = window[8] if scored else window
    points = np.concatenate(
      [joined["keypoints_2d"], joined["confidence"][..., None]], -1
    )
    assert_float16_of(points[frames], item["kp_2d"])
    if "kp_3d" in item:
      joints = joined["joints_3d"][frames]
      joined_joints = {14: range(25, 39), 17: SPIN_TO_MPI3DHP17, 49: range(49)}
      count = item["kp_3d"].shape[-2]
      assert_float16_of(joints[..., list(joined_joints[count]), :], item["kp_3d"])
      pose = joined["smpl_pose"].reshape(-1, 72)[frames]
      assert_float16_of(pose, item["theta"][..., 3:75])
      assert_float16_of(joined["betas"][frames], item["theta"][..., 75:])
      np.testing.assert_array_equal(item["w_smpl"], found[0]["has_smpl"])
      np.testing.assert_array_equal(item["w_3d"], found[0]["has_joints_3d"])
    if "valid" in item:
      assert joined["frame_valid"][frames] == item["valid"]
    if "bbox" in item:
      np.testing.assert_array_equal(joined["boxes"][frames], item["bbox"])


@pytest.mark.parametrize("source", ["common", "insta", "posetrack", "pennaction"])
def test_joints_go_where_the_authors_put_them(shared, source):
  data = np.load(shared / "golden" / "glot" / "keypoints.npz")
  found = vibe.to_spin49(data[f"{source}__spin/in"])
  np.testing.assert_array_equal(found, data[f"{source}__spin/out"])


def test_crop_units_of_the_authors(shared):
  data = np.load(shared / "golden" / "glot" / "camera.npz")
  points, boxes = data["in/kp_px"], data["in/bbox"]
  found = vibe.to_crop(points, boxes)
  np.testing.assert_allclose(found, data["out/kp_norm"], atol=1e-5)


def test_the_edge_of_the_crop_is_one():
  boxes = np.array([[100.0, 50.0, 40.0, 20.0]])
  points = np.array([[[100.0, 50.0], [124.0, 62.0], [76.0, 38.0]]])
  found = vibe.to_crop(points, boxes)
  np.testing.assert_allclose(found, [[[0, 0], [1, 1], [-1, -1]]], atol=1e-12)


def test_conversion_leaves_the_database_as_it_is():
  db = vibe_writer.database(smpl=True)
  before = {key: value.copy() for key, value in db.items()}
  records(db)
  for key, value in before.items():
    np.testing.assert_array_equal(db[key], value)
  placed = vibe.to_spin49(db["joints2D"])
  assert not np.shares_memory(placed, db["joints2D"])


def test_a_record_has_the_keys_types_and_lengths_of_the_schema():
  (first, *_) = records(vibe_writer.database(smpl=True))
  schema = sequences.crop_features()
  assert set(first) == set(schema)
  for key in ("features", "keypoints_2d", "confidence", "joints_3d", "betas", "boxes"):
    assert first[key].dtype == np.float32
    assert len(first[key]) == 18
    assert first[key].shape[1:] == schema[key].shape[1:]
  assert first["smpl_pose"].shape == (18, 24, 3)
  assert first["frame_id"].dtype == np.int32
  assert first["frame_valid"].dtype == np.bool_


def test_only_scored_splits_have_invalid_frames():
  valid = np.arange(47) % 3 > 0
  for key, value in (("valid", valid), ("valid_i", valid[:, None].astype(np.float32))):
    db = vibe_writer.database(**{key: value})
    assert all(record["frame_valid"].all() for record in records(db))
    found = np.concatenate([r["frame_valid"] for r in records(db, scored=True)])
    np.testing.assert_array_equal(found, valid)


def test_invalid_frames_may_hold_nan_and_empty_boxes():
  db = vibe_writer.database(joints_2d=14, joints_3d=14, valid=np.arange(47) > 1)
  db["joints3D"][0] = np.nan
  db["bbox"][1] = 0
  first = records(db, scored=True)[0]
  assert not first["joints_3d"][0].any()
  assert not first["keypoints_2d"][1].any()
  assert not first["confidence"][1].any()
  assert all(np.isfinite(first[key]).all() for key in ("joints_3d", "keypoints_2d"))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (dict(bbox=None), "x.pt: got vid_name, .*, expected bbox too; is it the file of"),
    (dict(joints2D=None), "expected joints2D too"),
    (dict(joints3D=None), "expected joints3D too"),
    (
      dict(joints2D=np.zeros((47, 16, 3))),
      r"got joints2D of shape \(47, 16, 3\) and type float64, expected numbers of "
      r"shape \(frames, 14, 3\) or \(frames, 25, 3\) or \(frames, 49, 3\)",
    ),
    (dict(joints3D=np.zeros((47, 24, 3))), r"got joints3D of shape \(47, 24, 3\)"),
    (dict(features=np.zeros((47, 512))), r"expected numbers of shape \(frames, 2048\)"),
    (dict(features=np.full((47, 2048), "a")), "and type <U1, expected numbers"),
    (
      dict(features=np.where(np.arange(47)[:, None] < 2, np.nan, np.ones((47, 2048)))),
      "x.pt: video 'a_0': 2 of 18 frames hold NaN or infinite features; cut them",
    ),
    (
      dict(joints3D=np.full((47, 49, 3), np.inf)),
      "18 of 18 frames hold NaN or infinite",
    ),
    (
      dict(bbox=np.zeros((47, 4))),
      "18 of 18 frames have a box without width or height",
    ),
    (dict(pose=np.zeros((47, 72))), "expected shape too"),
    (
      dict(joints3D=np.random.default_rng(0).normal(0, 300, (47, 49, 3))),
      r"got a body that spans \d+ m, expected metres; rescale joints3D, which",
    ),
  ],
)
def test_damaged_databases_are_refused(changes, message):
  with pytest.raises(ValueError, match=message) as caught:
    records(vibe_writer.database(**changes))
  assert "\n" not in str(caught.value)


def test_frame_ids_that_are_no_numbers_become_places():
  db = vibe_writer.database(frame_id=False)
  db["frame_id"] = np.full(47, "x")
  assert records(db)[1]["frame_id"].tolist() == list(range(9))
