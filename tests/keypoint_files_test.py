import json

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.formats import keypoint_files
from tests import keypoint_writer

SKELETONS = dict(
  coco="coco17",
  detections="coco17",
  openpose="openpose25",
  alphapose="coco17",
  halpe26="halpe26",
  mmpose="coco17",
  mmpose_images="halpe26",
  mediapipe="blazepose33",
  csv="coco17",
  npz="coco17",
)
FORMS = list(SKELETONS)
NAMED = dict(detections="coco", mmpose_images="mmpose")


def made(form, **kwargs):
  return keypoint_writer.people(keypoint_writer.JOINTS.get(form, 17), **kwargs)


def load(path, **kwargs):
  return keypoint_files.load(path, image_size=keypoint_writer.SIZE, **kwargs)


def check(track, points, form, first=0):
  assert track.skeleton == SKELETONS[form]
  assert track.joints == skeletons.get(track.skeleton).joints
  np.testing.assert_array_equal(track.frames, first + np.arange(len(points)))
  np.testing.assert_allclose(track.keypoints, points[..., :2], rtol=1e-5)
  sure = points[..., 2] > 0 if form == "coco" else points[..., 2]
  np.testing.assert_allclose(track.confidence, sure, rtol=1e-5)
  assert track.joints_3d is None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("named", [False, True])
def test_one_person_is_one_track(tmp_path, form, named):
  points = made(form)
  path = keypoint_writer.write(tmp_path / "ウォーク", form, points, first=7)
  kwargs = dict(format=NAMED.get(form, form)) if named else {}
  (track,) = load(path, **kwargs)
  assert track.name == ("p0" if form in ("csv", "npz") else "")
  check(track, points[0], form, first=7)


@pytest.mark.parametrize(
  "form", [f for f in FORMS if f not in ("csv", "npz", "mediapipe")]
)
def test_people_with_ids_are_told_apart_by_them(tmp_path, form):
  points = made(form, count=2)
  points[1, :3] = points[1, :3, :, :] + [800, 0, 0]  # jumps far
  tracks = load(keypoint_writer.write(tmp_path / "a", form, points, ids=True))
  assert [track.name for track in tracks] == ["0", "1"]
  for track, expected in zip(tracks, points, strict=True):
    check(track, expected, form)


@pytest.mark.parametrize("form", [f for f in FORMS if f not in ("csv", "npz")])
def test_people_without_ids_are_followed(tmp_path, form):
  points = made(form, count=2)
  order = points.copy()
  order[:, 3] = points[::-1, 3]  # the detector names them in another order
  tracks = load(keypoint_writer.write(tmp_path / "a", form, order))
  for track, expected in zip(tracks, points, strict=True):
    check(track, expected, form)


def test_who_leaves_comes_back_as_the_same_and_a_stranger_is_another(tmp_path):
  points = made("detections", frames=80, count=2)
  points[0, 4:9] = np.nan  # away for a moment
  points[1, 20:60] = np.nan  # away for long
  tracks = load(keypoint_writer.write(tmp_path / "a", "detections", points))
  assert [len(track.frames) for track in tracks] == [75, 20, 20]
  np.testing.assert_array_equal(tracks[2].frames, np.arange(60, 80))


def test_missing_joints_have_no_confidence_and_lie_at_zero(tmp_path):
  points = made("alphapose")
  points[0, 2, 5, 2] = 0
  points[0, 3, 6] = [0, 0, 0.7]
  points[0, 4, 7, 0] = np.nan
  (track,) = load(keypoint_writer.write(tmp_path / "a", "alphapose", points))
  for t, j in ((2, 5), (3, 6), (4, 7)):
    assert track.confidence[t, j] == 0
    assert not track.keypoints[t, j].any()
  assert (track.confidence > 0).sum() == 6 * 17 - 3


@pytest.mark.parametrize(("form", "joints"), [("mmpose", 133), ("alphapose", 136)])
def test_face_and_hands_are_left_away(tmp_path, form, joints):
  points = keypoint_writer.people(joints)
  (track,) = load(keypoint_writer.write(tmp_path / "a", form, points))
  body = {133: "coco17", 136: "halpe26"}[joints]
  assert track.skeleton == body
  n = skeletons.get(body).num_joints
  np.testing.assert_allclose(track.keypoints, points[0, :, :n, :2], rtol=1e-5)


def test_openposes_coco_model_has_18_joints(tmp_path):
  points = keypoint_writer.people(18)
  (track,) = load(keypoint_writer.write(tmp_path / "a", "openpose", points))
  assert track.skeleton == "openpose18"


def test_the_more_confident_of_two_detections_of_one_person_counts(tmp_path):
  points = made("alphapose", count=2)
  points[0, ..., 2], points[1, ..., 2] = 0.4, 0.8
  path = keypoint_writer.write(tmp_path / "a", "alphapose", points, ids=True)
  path.write_text(path.read_text().replace('"idx": [1]', '"idx": [0]'))
  (track,) = load(path)
  np.testing.assert_allclose(track.keypoints, points[1, ..., :2], rtol=1e-5)


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_tables_hold_people_and_3d_joints(tmp_path, form):
  points, joints = made(form, count=1), np.random.default_rng(1).normal(size=(6, 17, 3))
  write = {"csv": keypoint_writer.write_csv, "npz": keypoint_writer.write_npz}[form]
  (track,) = load(write(tmp_path / "a", points, joints_3d=joints))
  np.testing.assert_allclose(track.joints_3d, joints, rtol=1e-5)
  np.testing.assert_allclose(track.keypoints, points[0, ..., :2], rtol=1e-5)
  two = load(write(tmp_path / "b", made(form, count=2)))
  assert [track.name for track in two] == ["p0", "p1"]


def test_npz_may_be_bare_or_of_unknown_joints(tmp_path):
  points = made("npz")[0]
  np.savez(tmp_path / "a.npz", keypoints=points[:, :5, :2], joint_names=list("abcde"))
  (track,) = load(tmp_path / "a.npz")
  assert (track.skeleton, track.joints) == ("", tuple("abcde"))
  assert (track.confidence == 1).all()
  np.testing.assert_array_equal(track.frames, np.arange(6))


def test_csv_may_hold_unknown_joints_and_empty_cells(tmp_path):
  path = tmp_path / "a.csv"
  path.write_text("frame,tip_x,tip_y,tail_x,tail_y\n4,1,2,,\n5,1,2,3,4\n")
  (track,) = load(path)
  assert (track.skeleton, track.joints) == ("", ("tip", "tail"))
  np.testing.assert_array_equal(track.confidence, [[1, 0], [1, 1]])
  np.testing.assert_array_equal(track.frames, [4, 5])


def refused(path, message, **kwargs):
  with pytest.raises(ValueError, match=message) as error:
    keypoint_files.load(path, **kwargs)
  assert "\n" not in str(error.value)
  assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("form", FORMS)
def test_truncated_files_are_refused(tmp_path, form):
  path = keypoint_writer.write(tmp_path / "a", form, made(form))
  file = sorted(path.iterdir())[2] if path.is_dir() else path
  raw = file.read_bytes()
  file.write_bytes(raw[: len(raw) // 2])
  refused(path, "truncated or damaged|fewer or more cells than|cannot reshape")


@pytest.mark.parametrize(
  ("content", "message"),
  [
    ([], "got JSON of no known form, expected one of coco, openpose"),
    ({}, "got JSON of no known form"),
    ("text", "got JSON of no known form"),
    ({"annotations": []}, "got nobody in any frame, expected at least one person"),
    (
      {"annotations": [{"keypoints": [1, 2, 3]}]},
      r"not of the form coco \(KeyError: 'im",
    ),
    ({"annotations": 5}, r"not of the form coco \(TypeError"),
    (
      [{"image_id": 1, "keypoints": [0] * 48}],
      "people of 16 joints, expected 17 of coco",
    ),
    (
      [{"image_id": 1, "keypoints": [0] * 51}],
      "got no keypoint in any frame, expected",
    ),
    ([{"image_id": 1, "keypoints": [1] * 50}], "cannot reshape array"),
    (
      [{"image_id": "a", "keypoints": [1] * 51}],
      "got the image 'a', expected a name wit",
    ),
    (
      [{"image_id": 1, "keypoints": [1] * 51}, {"image_id": 2, "keypoints": [1] * 3}],
      "got people of 1 and 17 joints, expected 17 of coco",
    ),
    (
      [
        {"image_id": 1, "keypoints": [1] * 51, "track_id": 4},
        {"image_id": 1, "keypoints": [1] * 51},
      ],
      "got people with and without an id, expected one or the other",
    ),
    (
      [{"image_id": 10**8, "keypoints": [1] * 51}],
      "got frame 100000000, expected numb",
    ),
    (
      [{"frame_id": 1, "instances": [{"keypoints": [[1, 2]], "keypoint_scores": []}]}],
      "got 1 points and 0 scores",
    ),
    ([[{"x": 0.5, "y": 0.5}] * 33], "relative points, which need an image_size"),
  ],
)
def test_json_of_another_form_is_one_sentence(tmp_path, content, message):
  (tmp_path / "a.json").write_text(json.dumps(content))
  refused(tmp_path / "a.json", message)


def test_json_nested_without_end_is_refused(tmp_path):
  (tmp_path / "a.json").write_text("[" * 100_000)
  refused(tmp_path / "a.json", "truncated or damaged JSON in a.json")


def test_folders_need_numbered_files(tmp_path):
  refused(tmp_path, "got a folder without JSON files of distinct numbers, expected one")
  for name in ("a_1.json", "b_1.json"):
    (tmp_path / name).write_text("{}")
  refused(tmp_path, "got a folder without JSON files of distinct numbers")


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("", "got no columns frame, NAME_x, expected a header"),
    ("frame,a_x,a_y\n", "got no columns frame, NAME_x"),
    ("frame,a_x\n1,2\n", "got no columns frame, a_x, a_y"),
    ("frame,a_x,a_y,b\n1,2,3,4\n", "got the column 'b', expected frame, track, NAME_x"),
    ("fra", "got no columns frame, NAME_x, expected a header"),
    ("frame,a_x,a_y\n1,2\n", "got row 1 of 1 with fewer or more cells than the 3 of"),
    ("frame,a_x,a_y\n1,2,3\n1,2,3,4\n", "got row 2 of 2 with fewer or more cells"),
    ("frame,a_x,a_y\n1,x,3\n", "got 'x' in a_x, expected a number"),
    ("frame,a_x,a_y\n1.5,2,3\n", "got the frame '1.5', expected a whole number"),
    ("frame,a_x,a_y\n1,2,3\n1,2,3\n", "got a frame twice in the track ''"),
    (
      "frame,a_x,a_y,a_x3d\n1,2,3,4\n",
      "got no a_x3d, _y3d, _z3d, expected them of all",
    ),
    ("frame,a_x,a_y\n1,nan,3\n", "got no keypoint in any frame"),
  ],
)
def test_csv_that_is_wrong_is_one_sentence(tmp_path, text, message):
  (tmp_path / "a.csv").write_text(text)
  refused(tmp_path / "a.csv", message)


@pytest.mark.parametrize(
  ("arrays", "message"),
  [
    (dict(points=np.ones((2, 3, 2))), "got the arrays points, expected numbers in key"),
    (dict(keypoints=np.ones((2, 3))), r"got keypoints of shape \(2, 3\), expected"),
    (dict(keypoints=np.ones((0, 3, 2))), r"got keypoints of shape \(0, 3, 2\)"),
    (
      dict(keypoints=np.ones((2, 3, 2)), joints_3d=np.ones((3, 3, 3))),
      r"got joints_3d of shape \(3, 3, 3\), expected \(2, 3, 3\) beside keypoints",
    ),
    (
      dict(keypoints=np.ones((2, 3, 2)), frames=[1, -1]),
      "got frames that are not whole",
    ),
    (
      dict(keypoints=np.ones((2, 3, 2)), skeleton="coco17"),
      "got 3 joints, expected the",
    ),
    (dict(keypoints=np.ones((2, 3, 2)), skeleton="coco"), "unknown skeleton 'coco'"),
    (dict(keypoints=np.full((2, 3, 2), np.nan)), "got no keypoint in any frame"),
    (dict(keypoints=np.asarray([{}])), "npz, or not of plain arrays"),
  ],
)
def test_npz_that_is_wrong_is_one_sentence(tmp_path, arrays, message):
  np.savez(tmp_path / "a.npz", **arrays)
  refused(tmp_path / "a.npz", message)


def test_unknown_formats_and_files_are_refused(tmp_path):
  with pytest.raises(ValueError, match="got the format 'cpn', expected coco, openpose"):
    keypoint_files.load(tmp_path, format="cpn")
  with pytest.raises(
    FileNotFoundError, match=r"a\.json: no such file; expected keypoints"
  ):
    keypoint_files.load(tmp_path / "a.json")
