import pickle

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import pose_data
from jaxpose.geometry import cameras
from jaxpose.skeletons import skeleton_maps
from keypoints_folder import keypoints_folder_dataset_builder as builder
from keypoints_folder import videos
from tests import builder_testing
from tests import keypoint_writer

BASIC = "image_size = [1280, 720]\nfps = 50\n"
FORMS = [f for f in keypoint_writer.JOINTS if f != "mmpose_images"]


def people(joints=17, **kwargs):
  return keypoint_writer.people(joints, **kwargs)


def standing(frames=6, leg=0.8):
  """(frames, 17, 3) metres, coco17."""
  coco = skeletons.get("coco17")
  joints = np.random.default_rng(0).normal(0, 0.1, (frames, 17, 3))
  for side in ("left", "right"):
    for part, height in (("hip", 1), ("knee", 0.5), ("ankle", 0)):
      joints[:, coco.index(f"{side}_{part}")] = [0, leg * height, 4]
  return joints


def folder(tmp_path, settings=BASIC, files=None):
  """Writes {path without suffix: (format, points)}; one walk if None."""
  raw = tmp_path / "raw"
  raw.mkdir()
  (raw / "skeleton.toml").write_text(settings)
  for name, (form, points) in (files or {"anna/walk": ("coco", people())}).items():
    keypoint_writer.write(raw / name, form, points)
  return raw


def build(tmp_path, split="train"):
  return builder_testing.build_and_read(
    "keypoints_folder", tmp_path / "out", tmp_path / "raw", config="mine"
  )[split]


@pytest.mark.parametrize("form", [*FORMS, "csv", "npz"])
def test_every_format_becomes_h36m17(tmp_path, form):
  points = people(keypoint_writer.JOINTS.get(form, 17))
  folder(tmp_path, files={"Jürgen/歩く/1": (form, points)})
  (record,) = build(tmp_path)
  texts = [builder_testing.text(record, k) for k in ("subject", "action", "skeleton")]
  assert texts == ["Jürgen", "歩く", "h36m17"]
  source = {17: "coco17", 25: "openpose25", 26: "halpe26", 33: "blazepose33"}
  source = source[points.shape[2]]
  expected = skeleton_maps.convert(points[0, ..., :2], source, "h36m17")
  np.testing.assert_allclose(record["keypoints_2d"], expected, rtol=1e-5)
  assert record["frame_valid"].all()
  assert not record["has_joints_3d"]
  np.testing.assert_array_equal(record["image_size"], [1280, 720])
  assert pose_data.from_records([record]).num_frames == 6


def test_people_and_videos_become_records_and_subjects_splits(tmp_path):
  files = {f"{s}/walk": ("alphapose", people(count=2)) for s in "abc"}
  raw = folder(tmp_path, files=files)
  (raw / "splits.toml").write_text('test = ["c"]\n')
  records = build(tmp_path)
  names = sorted(builder_testing.text(record, "sequence") for record in records)
  assert names == ["a_walk_0", "a_walk_1", "b_walk_0", "b_walk_1"]


def test_image_folders_of_mmpose_are_videos(tmp_path):
  files = {"a/walk": ("mmpose_images", people(26))}
  folder(tmp_path, BASIC + "one_file_per_frame = true\n", files)
  (record,) = build(tmp_path)
  assert builder_testing.text(record, "sequence") == "a_walk"
  np.testing.assert_array_equal(record["frame_id"], np.arange(6))


def test_short_gaps_are_filled_and_long_ones_are_not_valid(tmp_path):
  points = people(frames=12)
  points[0, 2:4, 9, 2] = 0.1  # a wrist unsure for two frames
  points[0, 6] = np.nan  # nobody for one
  points[0, 8:11, 15, 2] = 0  # an ankle away for three
  folder(tmp_path, BASIC + "max_gap = 2\n", {"a/1": ("detections", points)})
  (record,) = build(tmp_path)
  valid = np.ones(12, bool)
  valid[8:11] = False
  np.testing.assert_array_equal(record["frame_valid"], valid)
  h36m = skeletons.get("h36m17")
  line = 5 * np.arange(12)[:, None] + people(frames=12)[0, 0, 9, :2]
  wrist = record["keypoints_2d"][:, h36m.index("left_wrist")]
  np.testing.assert_allclose(wrist, line, rtol=1e-5)
  sure = record["confidence"][:, h36m.index("left_wrist")]
  np.testing.assert_array_equal(np.flatnonzero(sure == 0), [2, 3, 6])
  assert not record["keypoints_2d"][8:11, h36m.index("left_foot")].any()


@pytest.mark.parametrize(
  ("max_gap", "expected"),
  [
    (2, [1, 1, 3, 5, 7, 7]),
    (1, [1, 1, np.nan, np.nan, 7, 7]),
    (0, [np.nan, 1, np.nan, np.nan, 7, np.nan]),
  ],
)
def test_filling_is_a_straight_line_over_short_gaps(max_gap, expected):
  points = np.asarray([np.nan, 1, np.nan, np.nan, 7, np.nan])[:, None, None]
  np.testing.assert_allclose(videos.fill(points, max_gap).ravel(), expected)


def test_a_table_maps_joints_that_are_not_known(tmp_path):
  names = skeletons.get("h36m17").joints
  rows = "\n".join(f'{name} = ["{name}!", {i}]' for i, name in enumerate(names))
  raw = folder(tmp_path, BASIC + f"[joints]\n{rows}\n")
  (raw / "anna" / "walk.json").unlink()
  points = people()[0]
  np.savez(raw / "b.npz", keypoints=points, joint_names=[f"{n}!" for n in names[::-1]])
  (record,) = build(tmp_path)
  expected = (points + points[:, ::-1])[..., :2] / 2
  np.testing.assert_allclose(record["keypoints_2d"], expected, rtol=1e-5)


def test_other_skeletons_and_sizes_can_be_told(tmp_path):
  settings = (
    'fps = 30\nto = "coco17"\nskeleton = "coco17"\n[image_size]\n"a_*" = [64, 48]'
  )
  raw = folder(tmp_path, settings)
  (raw / "anna" / "walk.json").unlink()
  np.savez(raw / "a_1.npz", keypoints=people()[0])
  (record,) = build(tmp_path)
  assert builder_testing.text(record, "skeleton") == "coco17"
  np.testing.assert_array_equal(record["image_size"], [64, 48])
  np.savez(raw / "b_1.npz", keypoints=people()[0])
  (raw / "splits.toml").write_text("")
  message = r"b_1\.npz: got no image_size for 'b_1', expected one of the patterns a_\*"
  with pytest.raises(ValueError, match=message):
    builder_testing.build_and_read(
      "keypoints_folder", tmp_path / "again", raw, config="mine"
    )


def pair(raw, joints, name="anna/walk", **arrays):
  np.savez(raw / f"{name}_3d.npz", joints_3d=joints, **arrays)


def test_joints_3d_lie_beside_the_keypoints(tmp_path):
  joints = standing()
  pair(folder(tmp_path, BASIC + 'unit = "mm"\n'), 1000 * joints)
  (record,) = build(tmp_path)
  assert record["has_joints_3d"]
  expected = skeleton_maps.convert(joints.astype(np.float32), "coco17", "h36m17")
  np.testing.assert_allclose(record["joints_3d"], expected, atol=1e-5)


def test_joints_3d_of_another_skeleton_are_matched_by_frame(tmp_path):
  joints = skeleton_maps.convert(standing().astype(np.float32), "coco17", "h36m17")
  joints[1] = np.nan
  frames = [5, 4, 3, 2, 1, 9]
  pair(folder(tmp_path), joints, frames=frames, skeleton="h36m17")
  (record,) = build(tmp_path)
  # Frame 0 has no joints, frame 4 has NaN.
  np.testing.assert_array_equal(record["frame_valid"], [0, 1, 1, 1, 0, 1])
  np.testing.assert_allclose(record["joints_3d"][5], joints[0], atol=1e-6)


def test_joints_3d_may_be_in_the_table_itself(tmp_path):
  raw = folder(tmp_path)
  (raw / "anna" / "walk.json").unlink()
  keypoint_writer.write_csv(raw / "anna" / "walk", people(), joints_3d=standing())
  (record,) = build(tmp_path)
  assert record["has_joints_3d"]
  assert record["frame_valid"].all()


def refused(tmp_path, message, error=ValueError):
  with pytest.raises(error, match=message) as caught:
    build(tmp_path)
  if error is ValueError:
    assert "\n" not in str(caught.value)
  assert not list((tmp_path / "out").glob("keypoints_folder/*/1.0.0/*.json"))


def test_folders_that_lack_files_are_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  refused(tmp_path, "raw does not exist or is empty", FileNotFoundError)
  (tmp_path / "raw" / "notes.txt").write_text("")
  refused(tmp_path, "raw: got no skeleton.toml, expected one with image_size and fps")
  (tmp_path / "raw" / "skeleton.toml").write_text(BASIC)
  refused(tmp_path, "raw: got no keypoints, expected files ending in .json, .csv, .npz")


def test_joints_3d_without_keypoints_are_refused(tmp_path):
  pair(folder(tmp_path), standing(), name="anna/run")
  refused(tmp_path, r"run_3d\.npz: got 3D joints without keypoints, expected run\.json")


@pytest.mark.parametrize(
  ("joints", "arrays", "message"),
  [
    (standing()[:5], {}, "got 5 frames in walk_3d.npz and 6 of keypoints, expected as"),
    (standing()[:, :16], {}, "got 16 joints, expected the 17 of coco17"),
    (
      standing()[..., :2],
      {},
      r"got joints_3d of shape \(6, 17, 2\), expected \(t, j, 3",
    ),
    (1000 * standing(), {}, "walk.json: got legs of 800 m, expected about 0.8 m; the"),
    (standing(), dict(skeleton="coco"), "unknown skeleton 'coco'"),
    (
      np.asarray([{}]),
      {},
      "walk_3d.npz cannot be read .Object arrays cannot be loaded",
    ),
  ],
)
def test_joints_3d_that_do_not_fit_are_refused(tmp_path, joints, arrays, message):
  pair(folder(tmp_path), joints, **arrays)
  refused(tmp_path, message)


def filmed(up="z", **changes):
  """A camera 4 m from the middle as skeleton.toml has it, its world in `up`."""
  position = np.asarray([0.5, -4.0, 1.2])
  rotation = cameras.look_at(position, np.asarray([0.0, 0, 1])).astype(float)
  turned = rotation @ UPS[up]
  camera = dict(
    K=[[900.0, 0, 640], [0, 900.0, 360], [0, 0, 1]],
    R=turned.tolist(),
    t=(-rotation @ position).tolist(),
    dist=[-0.02],
  )
  table = "\n".join(f"{k} = {v}" for k, v in (camera | changes).items())
  lens = np.asarray([900, 900, 640, 360, -0.02, 0, 0, 0, 0])
  return f'[cameras."anna_*"]\n{table}\n', rotation, position, lens


UPS = {"z": np.eye(3), "y": np.asarray([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])}


def in_the_room(frames=6):
  """(frames, 17, 3) coco17 metres, someone near the middle, z up."""
  joints = standing(frames)[..., [0, 2, 1]] * [1, 0, 1]
  wave = np.random.default_rng(1).normal(0, 0.1, joints.shape)
  return joints + wave * (joints == 0) + [0, 0, 0.1]


def write_seen(tmp_path, up="z", space="world", moved=0.0, extra="", **changes):
  table, rotation, position, lens = filmed(up, **changes)
  world = in_the_room()
  view = cameras.world_to_camera(world, rotation, position)
  points = np.ones((1, 6, 17, 3))
  points[0, ..., :2] = cameras.project(view, lens) + moved
  settings = BASIC + f'up = "{up}"\nspace = "{space}"\n{extra}' + table
  raw = folder(tmp_path, settings, {"anna/walk": ("coco", points)})
  pair(raw, world @ UPS[up] if space == "world" else view)
  return world, view, rotation, position


@pytest.mark.parametrize(
  ("up", "space"), [("z", "world"), ("y", "world"), ("y", "camera")]
)
def test_cameras_put_the_joints_into_the_world(tmp_path, up, space):
  _, view, rotation, position = write_seen(tmp_path, up, space)
  (record,) = build(tmp_path)
  assert record["has_camera"]
  np.testing.assert_allclose(record["camera_rotation"], rotation, atol=1e-5)
  np.testing.assert_allclose(record["camera_position"], position, atol=1e-5)
  expected = skeleton_maps.convert(view.astype(np.float32), "coco17", "h36m17")
  np.testing.assert_allclose(record["joints_3d"], expected, atol=1e-4)
  poses = pose_data.from_records([record])
  np.testing.assert_allclose(poses.runs["camera_position"], [position], atol=1e-5)


def test_without_cameras_there_are_none_in_the_data(tmp_path):
  folder(tmp_path)
  (record,) = build(tmp_path)
  assert not record["has_camera"]
  assert "camera_rotation" not in pose_data.from_records([record]).runs
  known = {**record, "has_camera": True}
  assert "camera_rotation" in pose_data.from_records([known]).runs
  assert "camera_rotation" not in pose_data.from_records([known, record]).runs


@pytest.mark.parametrize(
  ("options", "message"),
  [
    (
      dict(moved=150.0),
      "got 3D joints that the camera 'anna_.' sees 212 pixels from the",
    ),
    (
      dict(R=[[1, 0], [0, 1]]),
      r"'anna_\*': got a rotation of shape \(2, 2\), expected",
    ),
    (
      dict(dist=[0.1, 0, 0.01]),
      "got the tangential distortion 0.01, 0, expected none: u",
    ),
    (dict(K='"a"'), "camera 'anna_.': got no matrices of numbers .could not"),
    (dict(F=1), "got cameras.anna_. = .'F', 'K', 'R', 'dist', 't'., expected a table"),
    (dict(extra='unit = "mm"\n'), "got legs of 0.000915 m, expected about 0.8 m"),
  ],
)
def test_cameras_that_cannot_be_are_refused(tmp_path, options, message):
  write_seen(tmp_path, **options)
  refused(tmp_path, message)


def test_a_sequence_without_a_camera_is_refused(tmp_path):
  write_seen(tmp_path)
  raw = tmp_path / "raw"
  keypoint_writer.write(raw / "ben" / "walk", "coco", people())
  refused(
    tmp_path, r"got no camera for 'ben_walk', expected one of the patterns anna_\*"
  )


def test_joints_of_the_world_need_a_camera(tmp_path):
  folder(tmp_path, BASIC + 'space = "world"\n')
  refused(
    tmp_path, r"skeleton.toml: got space = 'world' without \[cameras\], expected t"
  )


def test_joints_3d_of_several_people_are_refused(tmp_path):
  pair(folder(tmp_path, files={"anna/walk": ("coco", people(count=2))}), standing())
  refused(tmp_path, "track '0': got several people, expected one beside walk_3d.npz")


def test_a_truncated_file_stops_the_build_with_its_name(tmp_path):
  path = folder(tmp_path) / "anna" / "walk.json"
  path.write_text(path.read_text()[:-50])
  refused(tmp_path, r"anna/walk\.json: truncated or damaged JSON in walk\.json")


class Hostile:
  def __reduce__(self):
    return exec, ("raise SystemExit",)


def test_a_malicious_pickle_in_a_table_executes_nothing(tmp_path):
  raw = folder(tmp_path)
  (raw / "anna" / "walk.json").unlink()
  np.savez(raw / "a.npz", keypoints=np.asarray([Hostile()], object))
  refused(tmp_path, r"a\.npz: truncated or damaged npz, or not of plain arrays")
  (raw / "a.npz").write_bytes(pickle.dumps(Hostile()))
  refused(tmp_path, r"a\.npz: truncated or damaged npz, or not of plain arrays")


def test_frames_that_are_no_video_are_refused(tmp_path):
  raw = folder(tmp_path)
  np.savez(raw / "b.npz", keypoints=people()[0], frames=[0, 1, 2, 3, 4, 9_000_000])
  refused(tmp_path, "got 6 frames numbered over 9000001, expected the frames of a vid")


def test_files_of_one_name_are_refused(tmp_path):
  raw = folder(tmp_path)
  keypoint_writer.write_npz(raw / "anna" / "walk", people())
  refused(
    tmp_path, "got the sequence 'anna_walk' a second time, first in .*; rename one"
  )


ALL = "\n".join(f"{name} = 0" for name in skeletons.get("h36m17").joints)


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ("fps = 50", "skeleton.toml: got no image_size, expected it: the files do not say"),
    ("image_size = [1, 2]", "got no fps, expected it"),
    (BASIC + "size = 3", "got 'size', expected image_size, fps, to, format"),
    (
      "image_size = [0, 2]\nfps = 1",
      r"got image_size = \[0, 2\], expected \[width, hei",
    ),
    ("image_size = 5\nfps = 1", r"got image_size = 5, expected \[width, height\]"),
    ("image_size = [1, 2]\nfps = 0", "got fps = 0, expected a number, not negative"),
    (BASIC + "max_gap = 1.5", "got max_gap = 1.5, expected a number, not negative"),
    (BASIC + 'unit = "inch"', "got unit = 'inch', expected m, cm, mm"),
    (BASIC + 'to = "h36m"', "got to = 'h36m', expected h36m17, humaneva15"),
    (BASIC + 'format = "cpn"', "got format = 'cpn', expected coco, openpose"),
    (
      BASIC + "one_file_per_frame = 1",
      "got one_file_per_frame = 1, expected true or fa",
    ),
    (BASIC + "joints = 5", "got joints = 5, expected a table"),
    (BASIC + "[joints]\nhip = 0", "expected joints for each of h36m17, no more"),
    (
      BASIC + f"[joints]\n{ALL}\ntail = 0",
      r"got joints\.tail = \[0\], expected joints",
    ),
    (
      BASIC + f"[joints]\n{ALL}".replace("neck = 0", "neck = 17"),
      "got 17 for neck in sk",
    ),
    (
      BASIC + f"[joints]\n{ALL}".replace("neck = 0", 'neck = "n"'),
      "there are nose, left",
    ),
    (BASIC + 'skeleton = "h36m17"\nto = "coco17"', "no map from 'h36m17' to 'coco17'"),
    (BASIC + 'skeleton = "halpe26"', "got 17 joints, expected the 26 of halpe26"),
  ],
)
def test_wrong_settings_are_one_sentence(tmp_path, settings, message):
  folder(tmp_path, settings)
  refused(tmp_path, message)


def test_joints_of_no_known_skeleton_are_refused(tmp_path):
  np.savez(folder(tmp_path) / "b.npz", keypoints=people()[0])
  refused(tmp_path, r"b\.npz: got 17 joints of no known skeleton, expected skeleton or")


def test_a_name_that_is_no_folder_is_refused():
  with pytest.raises(ValueError, match=r"got the name 'a b' for a dataset, expected"):
    builder.Builder.config_named("a b")
