"""2D keypoints of a video from the files of detectors and annotation tools.

from jaxpose.formats import keypoint_files
track, = keypoint_files.load("walk.json")
track.keypoints  # (t, j, 2) pixels
track.skeleton  # such as "coco17"

Formats: "coco" (annotations, or a list of detections), "openpose" (a folder of one file
per frame, BODY-25 or the COCO model), "alphapose", "halpe26" (AlphaPose's 26 joints),
"mmpose" (of a video, or a folder of one file per image), "mediapipe" (33 landmarks per
frame, relative to the image), and two of our own, with 3D joints if wanted:

"csv": a header with `frame`, if wanted `track`, and for each joint `NAME_x`, `NAME_y`
(in pixels), if wanted `NAME_confidence`, and `NAME_x3d`, `NAME_y3d`, `NAME_z3d`. An
empty cell is a missing joint.

"npz": `keypoints` (t, j, 2), or (t, j, 3) with confidence; if wanted `confidence`
(t, j), `frames` (t,), `track` (t,), `joints_3d` (t, j, 3), `skeleton`, `joint_names`
(j,).
"""

import csv
import json
import os
import pathlib
import re
import zipfile
from collections.abc import Iterator

import numpy as np

from jaxpose import skeletons
from jaxpose.formats.keypoint_tracks import Found
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.formats.keypoint_tracks import clean
from jaxpose.formats.keypoint_tracks import tracks

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
JSON_FORMATS = tuple(_SKELETONS)
_KEEP = {133: 17, 136: 26}


def read_json(path: pathlib.Path) -> object:
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
    return {frame: read_json(file) for frame, file in files.items()}
  try:
    return json.loads(path.read_text(encoding="utf-8"))
  except (ValueError, RecursionError) as error:
    told = " ".join(str(error).split())
    raise ValueError(
      f"truncated or damaged JSON in {path.name} ({told[:80]})"
    ) from error


def guess_format(content: object) -> str:
  """The format of what was read.

  Raises:
    ValueError: it is none that is known.
  """
  if isinstance(content, dict) and content and all(isinstance(k, int) for k in content):
    return guess_format(
      next((c for c in content.values() if c), [{"keypoint_scores": []}])
    )
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
  raise ValueError(
    f"got JSON of no known form, expected one of {', '.join(JSON_FORMATS)}"
  )


def found_in_json(
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


_COLUMN = re.compile(r"(.+)_(x|y|confidence|x3d|y3d|z3d)")
_ARRAYS = ("confidence", "frames", "track", "joints_3d", "skeleton", "joint_names")


def read_csv(path: pathlib.Path) -> list[Track]:
  """The tracks of a CSV file; a skeleton is known by the names of its joints."""
  with path.open(newline="", encoding="utf-8-sig") as file:
    rows = list(csv.DictReader(file, skipinitialspace=True))
  columns = [column for column in rows[0] if column is not None] if rows else []
  for number, row in enumerate(rows, 1):
    if None in row or None in row.values():
      raise ValueError(
        f"got row {number} of {len(rows)} with fewer or more cells than the "
        f"{len(columns)} of the header, expected as many; is the file whole?"
      )
  joints: dict[str, set] = {}
  for column in columns:
    match = _COLUMN.fullmatch(str(column))
    if match:
      joints.setdefault(match[1], set()).add(match[2])
    elif column not in ("frame", "track"):
      raise ValueError(
        f"got the column {str(column)[:60]!r}, expected frame, track, NAME_x, NAME_y, "
        "NAME_confidence, NAME_x3d, NAME_y3d, NAME_z3d"
      )
  lacking = [j for j, kinds in joints.items() if not {"x", "y"} <= kinds]
  if not joints or lacking or "frame" not in columns:
    raise ValueError(
      f"got no columns frame, {', '.join(f'{j}_x, {j}_y' for j in lacking) or 'NAME_x'}"
      ", expected a header with them, and rows below it"
    )
  table = {}
  for name, kinds in joints.items():
    for kind in kinds:
      table[name, kind] = np.asarray(
        [_number(row, f"{name}_{kind}") for row in rows], np.float64
      )
  ones = np.ones(len(rows))
  points = np.stack(
    [
      np.stack([table[j, "x"], table[j, "y"], table.get((j, "confidence"), ones)], -1)
      for j in joints
    ],
    1,
  )
  joints_3d = None
  if any("x3d" in kinds for kinds in joints.values()):
    short = [j for j, kinds in joints.items() if not {"x3d", "y3d", "z3d"} <= kinds]
    if short:
      raise ValueError(
        f"got no {short[0]}_x3d, _y3d, _z3d, expected them of all joints"
      )
    joints_3d = np.stack(
      [np.stack([table[j, f"{a}3d"] for a in "xyz"], -1) for j in joints], 1
    )
  frames = np.asarray([_whole(row["frame"]) for row in rows])
  names = np.asarray([row.get("track") or "" for row in rows])
  order, skeleton = _ordered(tuple(joints))
  return split_columns(
    points[:, order],
    frames,
    names,
    None if joints_3d is None else joints_3d[:, order],
    skeleton,
    tuple(np.asarray(list(joints))[order].tolist()),
  )


def _number(row: dict, column: str) -> float:
  text = (row[column] or "").strip()
  try:
    return float(text) if text else np.nan
  except ValueError:
    raise ValueError(f"got {text[:40]!r} in {column}, expected a number") from None


def _whole(text: str | None) -> int:
  if text is None or not text.strip().isdecimal():
    raise ValueError(f"got the frame {str(text)[:40]!r}, expected a whole number")
  return int(text)


def _ordered(joints: tuple[str, ...]) -> tuple[list[int], str]:
  """The order in which the joints are those of a skeleton, and its name or none."""
  for skeleton in skeletons.SKELETONS.values():
    if set(skeleton.joints) == set(joints):
      return [joints.index(j) for j in skeleton.joints], skeleton.name
  return list(range(len(joints))), ""


def read_npz(path: pathlib.Path) -> list[Track]:
  """The tracks of an npz file."""
  try:
    with np.load(path, allow_pickle=False) as file:
      there = list(file)
      more = {key: file[key] for key in ("keypoints", *_ARRAYS) if key in file}
  except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile) as error:
    raise ValueError(
      f"truncated or damaged npz, or not of plain arrays ({type(error).__name__})"
    ) from error
  if "keypoints" not in more or more["keypoints"].dtype.kind not in "iuf":
    raise ValueError(
      f"got the arrays {', '.join(there)}, expected numbers in keypoints"
    )
  points = more.pop("keypoints").astype(np.float64)
  if points.ndim != 3 or points.shape[2] not in (2, 3) or not len(points):
    raise ValueError(f"got keypoints of shape {points.shape}, expected (t, j, 2 or 3)")
  t, j, _ = points.shape
  shapes = dict(
    confidence=(t, j), frames=(t,), track=(t,), joints_3d=(t, j, 3), joint_names=(j,)
  )
  for key, shape in shapes.items():
    if key in more and more[key].shape != shape:
      raise ValueError(
        f"got {key} of shape {more[key].shape}, expected {shape} beside keypoints of "
        f"shape {points.shape}"
      )
  confidence = more.get("confidence", points[..., 2:] if points.shape[2] == 3 else None)
  confidence = np.ones((t, j)) if confidence is None else confidence.reshape(t, j)
  frames = more.get("frames", np.arange(t))
  if frames.dtype.kind not in "iu" or (frames < 0).any():
    raise ValueError("got frames that are not whole numbers from 0 on")
  joints = tuple(map(str, more.get("joint_names", ())))
  skeleton = str(more["skeleton"]) if "skeleton" in more else ""
  if skeleton and skeletons.get(skeleton).num_joints != j:
    raise ValueError(
      f"got {j} joints, expected the {skeletons.get(skeleton).num_joints} of {skeleton}"
    )
  if skeleton:
    joints = skeletons.get(skeleton).joints
  joined = np.concatenate([points[..., :2], confidence[..., None]], -1)
  names = np.asarray([str(n) for n in more.get("track", np.full(t, ""))])
  return split_columns(joined, frames, names, more.get("joints_3d"), skeleton, joints)


def split_columns(points, frames, names, joints_3d, skeleton, joints) -> list[Track]:
  """A track for each name, in order of first appearance.

  Raises:
    ValueError: a frame is there twice in one track.
  """
  made = []
  for name in dict.fromkeys(names.tolist()):
    rows = np.flatnonzero(names == name)
    rows = rows[np.argsort(frames[rows], kind="stable")]
    if len(np.unique(frames[rows])) < len(rows):
      raise ValueError(
        f"got a frame twice in the track {name!r}, expected each once; name the people "
        "in track"
      )
    chosen = clean(points[rows])
    made.append(
      Track(
        name,
        frames[rows].astype(np.int64),
        chosen[..., :2],
        chosen[..., 2],
        skeleton,
        joints,
        None if joints_3d is None else joints_3d[rows].astype(np.float32),
      )
    )
  return made


FORMATS = (*JSON_FORMATS, "csv", "npz")
_TABLES = {".csv": "csv", ".npz": "npz"}
_HIGHEST = 10**7  # frame: more than a day of video at 100 frames/s


def load(
  path: str | os.PathLike,
  *,
  format: str | None = None,
  image_size: tuple[int, int] | None = None,
) -> list[Track]:
  """The people in a file, or in a folder of one file per frame.

  People without an id are followed from frame to frame by where they are.

  Args:
    path: of the file or folder.
    format: one of `FORMATS`; None to tell by the suffix and the content.
    image_size: width and height in pixels; MediaPipe's files need it, others do not.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, empty, or not of the format.
  """
  path = pathlib.Path(path)
  if format is not None and format not in FORMATS:
    raise ValueError(f"got the format {format!r}, expected {', '.join(FORMATS)}.")
  if not path.exists():
    raise FileNotFoundError(f"{path}: no such file; expected keypoints.")
  try:
    return _load(path, format or _TABLES.get(path.suffix.lower()), image_size)
  except (ValueError, OSError, csv.Error) as error:
    told = " ".join(str(error).split()).rstrip(".")
    raise ValueError(
      f"{path}: {told}; see jaxpose.formats.keypoint_files for the formats."
    ) from error


def _load(path, form, image_size) -> list[Track]:
  if form in ("csv", "npz"):
    read = read_csv if form == "csv" else read_npz
    found = read(path)
  else:
    content = read_json(path)
    people, skeleton = found_in_json(content, form or guess_format(content), image_size)
    found = tracks(people, skeleton, skeletons.get(skeleton).joints)
  if not any(track.confidence.any() for track in found):
    raise ValueError("got no keypoint in any frame, expected at least one")
  last = max(int(track.frames.max()) for track in found)
  if last > _HIGHEST:
    raise ValueError(f"got frame {last}, expected numbers up to {_HIGHEST}")
  return found
