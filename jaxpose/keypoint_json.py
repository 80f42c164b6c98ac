"""2D keypoints in the JSON of COCO, OpenPose, AlphaPose, MMPose and MediaPipe."""

import json
import pathlib
import re
from collections.abc import Iterator

import numpy as np

from jaxpose.keypoint_tracks import Found

# Joints of one person in a file -> skeleton, and how many of them it has; the rest are
# those of face and hands.
_SKELETONS = {
  "coco": {17: "coco17"},
  "openpose": {25: "openpose25", 18: "openpose18"},
  "alphapose": {17: "coco17", 26: "halpe26", 136: "halpe26", 133: "coco17"},
  "halpe26": {26: "halpe26", 136: "halpe26"},
  "mmpose": {17: "coco17", 26: "halpe26", 133: "coco17"},
  "mediapipe": {33: "blazepose33"},
}
FORMATS = tuple(_SKELETONS)
_KEEP = {133: 17, 136: 26}


def read(path: pathlib.Path) -> object:
  """The content of a file; of a folder of files, one per frame, frame -> content.

  Raises:
    ValueError: it cannot be read, or the folder has no numbered files.
  """
  if path.is_dir():
    files = {number(file.name): file for file in sorted(path.glob("*.json"))}
    if not files or None in files or len(files) < len(list(path.glob("*.json"))):
      raise ValueError(
        "got a folder without JSON files of distinct numbers, expected one file per "
        "frame, such as walk_000000000012_keypoints.json"
      )
    return {frame: read(file) for frame, file in files.items()}
  try:
    return json.loads(path.read_text(encoding="utf-8"))
  except (ValueError, RecursionError) as error:
    told = " ".join(str(error).split())
    raise ValueError(
      f"truncated or damaged JSON in {path.name} ({told[:80]})"
    ) from error


def guess(content: object) -> str:
  """The format of what was read.

  Raises:
    ValueError: it is none that is known.
  """
  if isinstance(content, dict) and content and all(isinstance(k, int) for k in content):
    return guess(next((c for c in content.values() if c), [{"keypoint_scores": []}]))
  if isinstance(content, dict):
    for key, name in (
      *(("people", "openpose"), ("annotations", "coco"), ("instance_info", "mmpose")),
      *(("pose_landmarks", "mediapipe"), ("landmarks", "mediapipe")),
    ):
      if key in content:
        return name
  if isinstance(content, list):
    first = next((item for item in content if item), None)
    if isinstance(first, dict) and "image_id" in first and "keypoints" in first:
      return "coco" if isinstance(first["image_id"], int) else "alphapose"
    if isinstance(first, dict) and {"instances", "keypoint_scores"} & set(first):
      return "mmpose"
    if isinstance(first, dict) and {"pose_landmarks", "landmarks"} & set(first):
      return "mediapipe"
    if isinstance(first, list) and first and isinstance(first[0], dict | list):
      return "mediapipe"
  raise ValueError(f"got JSON of no known form, expected one of {', '.join(FORMATS)}")


def found(
  content: object, form: str, image_size: tuple[int, int] | None
) -> tuple[list[Found], str]:
  """The people in what was read, and their skeleton.

  Args:
    content: of `read`.
    form: one of `FORMATS`.
    image_size: pixels; MediaPipe's points are relative to it.

  Raises:
    ValueError: the content is not of that form.
  """
  if form == "mediapipe":
    if image_size is None:
      raise ValueError("got MediaPipe's relative points, which need an image_size")
    scale = np.asarray([*image_size, 1.0])
  people = []
  try:
    for frame, person, points in _READERS[form](content):
      points = np.asarray(points, np.float64).reshape(-1, 3)
      people.append(
        Found(frame, person, points * scale if form == "mediapipe" else points)
      )
  except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
    raise ValueError(
      f"got JSON that is not of the form {form} ({type(error).__name__}: "
      f"{str(error)[:80]})"
    ) from error
  if not people:
    raise ValueError("got nobody in any frame, expected at least one person")
  known, counts = _SKELETONS[form], sorted({len(p.points) for p in people})
  if len(counts) > 1 or counts[0] not in known:
    raise ValueError(
      f"got people of {' and '.join(map(str, counts))} joints, expected "
      f"{' or '.join(map(str, known))} of {form}"
    )
  keep = _KEEP.get(counts[0], counts[0])
  return [p._replace(points=p.points[:keep]) for p in people], known[counts[0]]


def number(name: object) -> int | None:
  """The last number in a file's name; None if there is none."""
  digits = re.findall(r"\d+", str(name).rsplit("/", 1)[-1])
  return int(digits[-1][-18:]) if digits else None


def _frame(name: object) -> int:
  frame = name if isinstance(name, int) else number(name)
  if frame is None or not 0 <= frame < 2**40:
    raise ValueError(f"got the image {str(name)[:60]!r}, expected a name with a number")
  return frame


def _id(person: dict, *keys: str) -> str | None:
  for key in keys:
    value = person.get(key)
    while isinstance(value, list) and len(value) == 1:
      value = value[0]
    if value is not None and value != -1:
      return str(value)
  return None


def _frames(content: object) -> Iterator[tuple[int, object]]:
  """(frame, content) of files that were one per frame."""
  if isinstance(content, dict) and all(isinstance(key, int) for key in content):
    yield from content.items()
  else:
    yield 0, content


def _coco(content):
  if isinstance(content, list):  # of detections
    for person in content:
      yield _frame(person["image_id"]), _id(person, "track_id"), person["keypoints"]
    return
  frames = {}
  for image in content.get("images", ()):
    given = image.get("frame_id")
    frames[image["id"]] = _frame(
      given if given is not None else image.get("file_name", image["id"])
    )
  for person in content["annotations"]:
    if person.get("num_keypoints") == 0 or "keypoints" not in person:
      continue
    points = np.asarray(person["keypoints"], np.float64).reshape(-1, 3)
    points[:, 2] = points[:, 2] > 0  # not labelled, hidden, visible
    frame = frames[person["image_id"]] if frames else _frame(person["image_id"])
    yield frame, _id(person, "track_id", "instance_id"), points


def _openpose(content):
  for frame, one in _frames(content):
    for person in one["people"]:
      key = "pose_keypoints_2d" if "pose_keypoints_2d" in person else "pose_keypoints"
      yield frame, _id(person, "person_id"), person[key]


def _alphapose(content):
  for person in content:
    yield (
      _frame(person["image_id"]),
      _id(person, "idx", "track_id"),
      person["keypoints"],
    )


def _mmpose(content):
  if isinstance(content, dict) and "instance_info" in content:
    content = content["instance_info"]
  for number_, one in _frames(content):
    whole = [dict(frame_id=number_, instances=one)]
    if isinstance(one, list) and any("instances" in item for item in one):
      whole = one
    for frame in whole:
      for person in frame["instances"]:
        points = np.asarray(person["keypoints"], np.float64)
        points = points[..., :2].reshape(-1, 2)
        scores = np.asarray(person["keypoint_scores"], np.float64).reshape(-1, 1)
        if len(points) != len(scores):
          raise ValueError(f"got {len(points)} points and {len(scores)} scores")
        name = _id(person, "track_id", "instance_id")
        yield _frame(frame["frame_id"]), name, np.concatenate([points, scores], 1)


def _mediapipe(content):
  if isinstance(content, list):
    frames = enumerate(content)
  else:
    frames = _frames(content)
  for frame, one in frames:
    if isinstance(one, dict):
      given = one.get("frame", one.get("frame_id"))
      frame = frame if given is None else _frame(given)
      one = one["pose_landmarks"] if "pose_landmarks" in one else one["landmarks"]
    if isinstance(one, dict):
      one = one["landmark"]
    for person in [] if not one else [one] if isinstance(one[0], dict) else one:
      yield frame, None, [[p["x"], p["y"], p.get("visibility", 1.0)] for p in person]


_READERS = {
  "coco": _coco,
  "openpose": _openpose,
  "alphapose": _alphapose,
  "halpe26": _alphapose,
  "mmpose": _mmpose,
  "mediapipe": _mediapipe,
}
