"""Boxes and keypoints of the people in a video, from a JSON, CSV or npz file.

A box is (cx, cy, w, h) in pixels: centre, width, height. A file holds either one box
for every frame, or rows with frame numbers (from 0), or several tracks of such rows:

* JSON: `[[cx, cy, w, h], ...]`; or an object with `boxes` and, if wanted, `frames`,
  `keypoints` and `skeleton`; or an object of such objects by track name.
* CSV: a header with the columns `cx,cy,w,h` and, if wanted, `frame` and `track`.
* npz: `boxes` (t, 4) and, if wanted, `frames` (t,), `track` (t,), `keypoints` (t, j, 2
  or 3), `skeleton`.

Keypoints are pixels with confidence (1 where there is none), in the joint order of
`skeleton`, a name in `jaxpose.skeletons`.
"""

import csv
import dataclasses
import json
import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from jaxtyping import Int

from jaxpose import skeletons

SUFFIXES = (".json", ".csv", ".npz")
_KEYS = ("boxes", "frames", "keypoints", "skeleton")


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
  """One person in a video.

  Attributes:
    name: of the person; empty if there is one only.
    frames: number of each box's frame, ascending; None for every frame of the video.
    boxes: pixels, (cx, cy, w, h).
    keypoints: (x, y, confidence), pixels; no joints if there are none.
    skeleton: of the keypoints; empty if there are none.
  """

  name: str
  frames: Int[np.ndarray, " t"] | None
  boxes: Float[np.ndarray, "t 4"]
  keypoints: Float[np.ndarray, "t j 3"]
  skeleton: str = ""


def whole_frame(count: int, image_size: tuple[int, int]) -> Track:
  """The track of a person for whom the whole image is the box."""
  width, height = image_size
  box = np.asarray([(width - 1) / 2, (height - 1) / 2, width, height], np.float32)
  return Track("", None, np.tile(box, (count, 1)), np.zeros((count, 0, 3), np.float32))


def read(path: pathlib.Path) -> list[Track]:
  """The tracks of a file, as described above.

  Raises:
    FileNotFoundError: no such file.
    ValueError: it cannot be read, or its numbers cannot be.
  """
  if path.suffix not in SUFFIXES:
    raise ValueError(
      f"{path}: got boxes in a file {path.suffix or 'without suffix'}, expected "
      f"{', '.join(SUFFIXES)}."
    )
  if not path.is_file():
    raise FileNotFoundError(
      f"{path}: no such file; expected boxes, see jaxpose.formats.boxes."
    )
  reader = {".json": _read_json, ".csv": _read_csv, ".npz": _read_npz}[path.suffix]
  try:
    found = reader(path)
  except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
    reason = " ".join(str(error).split()).rstrip(".")
    raise ValueError(
      f"{path}: cannot be read as boxes ({reason}); see "
      "jaxpose.formats.boxes for the layouts."
    ) from error
  if not found:
    raise ValueError(f"{path}: got no boxes, expected at least one.")
  return [
    _track(f"{path}{f', track {n!r}' if n else ''}", n, v) for n, v in found.items()
  ]


def _read_json(path: pathlib.Path) -> dict[str, Mapping]:
  content = json.loads(path.read_text())
  if isinstance(content, list):
    return {"": {"boxes": content}} if content else {}
  if not isinstance(content, dict):
    raise ValueError(f"got a {type(content).__name__}, expected a list or an object")
  tracks = {"": content} if "boxes" in content else content
  for name, track in tracks.items():
    if not isinstance(track, dict) or "boxes" not in track:
      raise ValueError(f"the track {name!r} is not an object with 'boxes'")
    unknown = sorted(set(track) - set(_KEYS))
    if unknown:
      raise ValueError(f"got the key {unknown[0]!r}, expected {', '.join(_KEYS)}")
  return tracks


def _read_csv(path: pathlib.Path) -> dict[str, Mapping]:
  with path.open(newline="") as file:
    reader = csv.DictReader(file, skipinitialspace=True)
    columns = reader.fieldnames or []
    if not {"cx", "cy", "w", "h"} <= set(columns):
      raise ValueError(f"got the columns {','.join(columns)}, expected cx,cy,w,h")
    tracks: dict[str, dict] = {}
    for row in reader:
      track = tracks.setdefault(row.get("track") or "", {"boxes": []})
      track["boxes"].append(
        [float(row[key] or "nan") for key in ("cx", "cy", "w", "h")]
      )
      if "frame" in columns:
        track.setdefault("frames", []).append(int(row["frame"]))
  return tracks


def _read_npz(path: pathlib.Path) -> dict[str, Mapping]:
  with np.load(path, allow_pickle=False) as file:
    content = {key: file[key] for key in file.files}
  skeleton = str(content.pop("skeleton", ""))
  names = content.pop("track", None)
  rows = {key: content[key] for key in _KEYS if key in content}
  if "boxes" not in rows:
    raise ValueError(f"got the arrays {', '.join(content) or 'none'}, expected 'boxes'")
  if any(len(rows["boxes"]) != len(a) for a in (*rows.values(), *_some(names))):
    raise ValueError("the arrays have different lengths")
  if names is None:
    return {"": {**rows, "skeleton": skeleton}}
  return {
    str(name): {k: a[names == name] for k, a in rows.items()} | {"skeleton": skeleton}
    for name in np.unique(names)
  }


def _some(array) -> tuple:
  return () if array is None else (array,)


def _track(origin: str, name: str, content: Mapping) -> Track:
  boxes = _array(origin, "boxes", content["boxes"])
  if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes):
    raise ValueError(
      f"{origin}: got boxes of shape {boxes.shape}, expected (frames, 4): cx, cy, w, h."
    )
  bad = ~(np.isfinite(boxes).all(-1) & (boxes[:, 2:] > 0).all(-1))
  if bad.any():
    row = int(bad.argmax())
    raise ValueError(
      f"{origin}: got the box {boxes[row].tolist()} in row {row}, expected finite cx, "
      "cy and positive w, h; leave out frames without a box and number the others."
    )
  frames = content.get("frames")
  if frames is not None:
    given = _array(origin, "frames", frames)
    frames = given.astype(np.int32)
    rises = given.shape == (len(boxes),) and (np.diff(frames) > 0).all()
    if not rises or frames[0] < 0 or (frames != given).any():
      raise ValueError(
        f"{origin}: got frame numbers that do not rise, expected one whole number of "
        "at least 0 for each box, ascending within a track."
      )
  keypoints, skeleton = content.get("keypoints"), str(content.get("skeleton") or "")
  if keypoints is None:
    return Track(name, frames, boxes, np.zeros((len(boxes), 0, 3), np.float32))
  keypoints = _array(origin, "keypoints", keypoints)
  joints = skeletons.get(skeleton).num_joints if skeleton else None
  fits = keypoints.ndim == 3 and keypoints.shape[2] in (2, 3)
  if not fits or keypoints.shape[:2] != (len(boxes), joints):
    raise ValueError(
      f"{origin}: got keypoints of shape {keypoints.shape} and the skeleton "
      f"{skeleton!r}, expected ({len(boxes)}, joints of the skeleton, 2 or 3)."
    )
  if keypoints.shape[2] == 2:
    keypoints = np.concatenate([keypoints, np.ones_like(keypoints[..., :1])], -1)
  return Track(name, frames, boxes, keypoints, skeleton)


def _array(origin: str, key: str, value) -> np.ndarray:
  try:
    return np.asarray(value, np.float32)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"{origin}: got {key} that are no array of numbers, expected rows of equal "
      "length."
    ) from error
