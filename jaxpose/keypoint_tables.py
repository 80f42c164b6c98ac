"""2D keypoints, with 3D joints if wanted, in tables: CSV and npz.

CSV: a header with `frame`, if wanted `track`, and for each joint `NAME_x`, `NAME_y` (in
pixels), if wanted `NAME_confidence`, and `NAME_x3d`, `NAME_y3d`, `NAME_z3d`. An empty
cell is a missing joint.

npz: `keypoints` (t, j, 2), or (t, j, 3) with confidence; if wanted `confidence` (t, j),
`frames` (t,), `track` (t,), `joints_3d` (t, j, 3), `skeleton`, `joint_names` (j,).
"""

import csv
import pathlib
import re
import zipfile

import numpy as np

from jaxpose import skeletons
from jaxpose.keypoint_tracks import Track
from jaxpose.keypoint_tracks import clean

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
  return split(
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
  return split(joined, frames, names, more.get("joints_3d"), skeleton, joints)


def split(points, frames, names, joints_3d, skeleton, joints) -> list[Track]:
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
