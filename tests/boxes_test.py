"""Boxes of people from JSON, CSV and npz files."""

import json

import numpy as np
import pytest

from jaxpose.formats import boxes

BOXES = [[10.0, 20, 30, 40], [11, 21, 31, 41], [12, 22, 32, 42]]


def write(path, content):
  if path.suffix == ".json":
    path.write_text(json.dumps(content))
  elif path.suffix == ".csv":
    path.write_text(content)
  else:
    np.savez(path, **content)
  return path


def read(tmp_path, suffix, content):
  return boxes.read(write(tmp_path / f"boxes{suffix}", content))


ONE_BOX_A_FRAME = [
  (".json", BOXES),
  (".json", {"boxes": BOXES}),
  (".csv", "cx,cy,w,h\n10,20,30,40\n11,21,31,41\n12,22,32,42\n"),
  (".npz", {"boxes": BOXES}),
]


@pytest.mark.parametrize(("suffix", "content"), ONE_BOX_A_FRAME)
def test_one_box_for_every_frame(tmp_path, suffix, content):
  (track,) = read(tmp_path, suffix, content)
  np.testing.assert_array_equal(track.boxes, BOXES)
  assert track.frames is None
  assert track.keypoints.shape == (3, 0, 3)


TRACKS = [
  (
    ".json",
    {
      "ann": {"frames": [0, 4], "boxes": BOXES[:2]},
      "bob": {"frames": [2], "boxes": BOXES[2:]},
    },
  ),
  (
    ".csv",
    "track, frame, cx, cy, w, h\nann,0,10,20,30,40\nbob,2,12,22,32,42\n"
    "ann,4,11,21,31,41\n",
  ),
  (
    ".npz",
    {
      "boxes": np.asarray(BOXES),
      "frames": [0, 4, 2],
      "track": np.asarray(["ann", "ann", "bob"]),
    },
  ),
]


@pytest.mark.parametrize(("suffix", "content"), TRACKS)
def test_several_people_with_numbered_frames(tmp_path, suffix, content):
  ann, bob = read(tmp_path, suffix, content)
  assert (ann.name, bob.name) == ("ann", "bob")
  np.testing.assert_array_equal(ann.frames, [0, 4])
  np.testing.assert_array_equal(bob.frames, [2])
  np.testing.assert_array_equal(ann.boxes, BOXES[:2])
  np.testing.assert_array_equal(bob.boxes, BOXES[2:])


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_keypoints_without_confidence_are_trusted(tmp_path, suffix):
  points = np.arange(3 * 17 * 2, dtype=float).reshape(3, 17, 2)
  content = dict(boxes=BOXES, keypoints=points.tolist(), skeleton="coco17")
  (track,) = read(tmp_path, suffix, content)
  assert track.skeleton == "coco17"
  np.testing.assert_array_equal(track.keypoints[..., :2], points)
  assert (track.keypoints[..., 2] == 1).all()


def test_whole_frame_is_a_box_in_every_frame():
  track = boxes.whole_frame(4, (64, 48))
  assert track.boxes.shape == (4, 4)
  np.testing.assert_array_equal(track.boxes[0, 2:], [64, 48])


@pytest.mark.parametrize(
  ("suffix", "content", "sentence"),
  [
    (".json", [], "got no boxes, expected at least one"),
    (".json", 3, "got a int, expected a list or an object"),
    (".json", {"ann": [1]}, "the track 'ann' is not an object with 'boxes'"),
    (".json", {"boxes": BOXES, "box": 1}, "got the key 'box', expected boxes, frames"),
    (".json", [[1, 2, 3]], r"got boxes of shape \(1, 3\), expected \(frames, 4\)"),
    (".json", [[1, 2, 3, 4], [1]], "got boxes that are no array of numbers"),
    (".json", [[1, 2, 0, 4]], r"got the box \[1.0, 2.0, 0.0, 4.0\] in row 0, expected"),
    (".json", [[1, 2, 3, float("nan")]], "in row 0, expected finite cx"),
    (".json", {"boxes": BOXES, "frames": [0, 2, 2]}, "frame numbers that do not rise"),
    (".json", {"boxes": BOXES, "frames": [-1, 0, 2]}, "frame numbers that do not rise"),
    (".json", {"boxes": BOXES, "frames": [0, 0.5, 2]}, "numbers that do not rise"),
    (
      ".json",
      {"boxes": BOXES, "keypoints": np.zeros((3, 5, 2)).tolist()},
      r"got keypoints of shape \(3, 5, 2\) and the skeleton ''",
    ),
    (
      ".json",
      {"boxes": BOXES, "keypoints": np.zeros((3, 5, 2)).tolist(), "skeleton": "coco17"},
      "and the skeleton 'coco17', expected",
    ),
    (".csv", "x,y\n1,2\n", "got the columns x,y, expected cx,cy,w,h"),
    (".csv", "cx,cy,w,h\n1,2,3,a\n", "cannot be read as boxes"),
    (".npz", {"box": BOXES}, "got the arrays box, expected 'boxes'"),
    (".npz", {"boxes": BOXES, "frames": [1]}, "the arrays have different lengths"),
  ],
)
def test_what_are_no_boxes_is_refused(tmp_path, suffix, content, sentence):
  with pytest.raises(ValueError, match=sentence):
    read(tmp_path, suffix, content)


def test_file_of_another_kind_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"got boxes in a file .txt, expected .json"):
    boxes.read(tmp_path / "boxes.txt")


def test_absent_file_is_told(tmp_path):
  with pytest.raises(FileNotFoundError, match="no such file; expected boxes"):
    boxes.read(tmp_path / "boxes.json")


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_damaged_file_is_refused(tmp_path, suffix):
  (tmp_path / f"boxes{suffix}").write_bytes(b"PK\x03\x04 damaged")
  with pytest.raises(ValueError, match="cannot be read as boxes"):
    boxes.read(tmp_path / f"boxes{suffix}")
