"""Files of keypoints to records: whole frames, joints of one skeleton, gaps filled."""

import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np

from jaxpose.files import user_folder
from jaxpose.formats import keypoint_files
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.motion import gaps
from jaxpose.skeletons import proportions

from . import calibrated
from .settings import UNITS
from .settings import Settings

_SUFFIXES = (".json", ".csv", ".npz")
_SETTINGS = ("skeleton", "splits")
_PAIR = "_3d.npz"


def find(raw: pathlib.Path, settings: Settings) -> list[pathlib.Path]:
  """The files, or folders of one file per frame, of each video.

  Raises:
    ValueError: there are none, two have one name, or 3D joints have no keypoints.
  """
  found: set[pathlib.Path] = set()
  pairs = []
  for path in sorted(raw.rglob("*")):
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
      continue
    if path.name.endswith(_PAIR):
      pairs.append(path)
    elif path.parent != raw or path.stem not in _SETTINGS:
      json = path.suffix.lower() == ".json"
      frame = settings.one_file_per_frame or path.name.endswith("_keypoints.json")
      found.add(path.parent if json and frame else path)
  if not found:
    raise ValueError(
      f"{raw}: got no keypoints, expected files ending in {', '.join(_SUFFIXES)}, as "
      "SUBJECT/ACTION/FILE."
    )
  for path in pairs:
    stem = path.name.removesuffix(_PAIR)
    if not any(v.parent == path.parent and _stem(v) == stem for v in found):
      raise ValueError(
        f"{path}: got 3D joints without keypoints, expected {stem}.json, .csv or .npz "
        "beside it; add it, or take the file away."
      )
  videos = sorted(found)
  names: dict[str, pathlib.Path] = {}
  for path in videos:
    name = user_folder.labels(path, raw)[2]
    if name in names:
      raise ValueError(
        f"{path}: got the sequence {name!r} a second time, first in {names[name]}; "
        "rename one."
      )
    names[name] = path
  return videos


def records(
  path: pathlib.Path, raw: pathlib.Path, settings: Settings
) -> Iterator[dict]:
  """A record for each person of a video; README.md says what its keys hold.

  Raises:
    ValueError: a file cannot be read, or its joints cannot be mapped.
  """
  subject, action, sequence = user_folder.labels(path, raw)
  filmed = None
  try:
    size = settings.size_of(sequence)
    if settings.cameras:
      unit = UNITS[settings.unit]
      filmed = calibrated.camera(
        settings.cameras, sequence, size, unit=unit, up=settings.up
      )
  except ValueError as error:
    raise ValueError(f"{path}: {error}.") from error
  tracks = keypoint_files.load(path, format=settings.format, image_size=size)
  many = len(tracks) > 1
  for track in tracks:
    where = f"{path}: track {track.name!r}" if many else f"{path}"
    try:
      record = _record(track, _joints_3d(path, track, many), settings)
      if filmed is not None:
        _place(record, filmed, settings)
    except ValueError as error:
      raise ValueError(f"{where}: {error}.") from error
    if record["has_joints_3d"]:
      seen = record["joints_3d"][record["frame_valid"]]
      proportions.require_metres(seen, settings.to, where)
      proportions.warn(seen, settings.to, where)
    yield _with_camera(record, filmed) | dict(
      image_size=np.asarray(size, np.int32),
      fps=np.float32(settings.fps),
      skeleton=settings.to,
      sequence=f"{sequence}_{track.name}" if many else sequence,
      subject=subject,
      action=action,
      camera="0",
    )


def _place(record: dict, filmed, settings: Settings) -> None:
  """Moves joints of the world into the frame of the camera, and checks them."""
  if settings.space == "world":
    turn = calibrated.upright(settings.up)
    moved = calibrated.in_camera(record["joints_3d"] @ turn.T, filmed)
    valid = record["frame_valid"][:, None, None] & record["has_joints_3d"]
    record["joints_3d"] = np.where(valid, moved, 0).astype(np.float32)
  calibrated.check(record, filmed)


def _with_camera(record: dict, filmed) -> dict:
  shapes = dict(camera_rotation=(3, 3), camera_position=(3,), intrinsics=(9,))
  found = {key: np.zeros(shape, np.float32) for key, shape in shapes.items()}
  if filmed is not None:
    found["camera_rotation"] = filmed.rotation
    found["camera_position"] = filmed.position
    found["intrinsics"] = filmed.intrinsics
  return record | found | dict(has_camera=filmed is not None)


def _stem(path: pathlib.Path) -> str:
  return path.name if path.is_dir() else path.stem


def _joints_3d(path: pathlib.Path, track: Track, many: bool):
  """((t, j, 3) joints of the track's frames, their skeleton), or None."""
  pair = path.parent / f"{_stem(path)}{_PAIR}"
  if not pair.is_file():
    return None if track.joints_3d is None else (track.joints_3d, track.skeleton)
  if many:
    raise ValueError(f"got several people, expected one beside {pair.name}")
  try:
    with np.load(pair, allow_pickle=False) as file:
      joints = np.asarray(file["joints_3d"], np.float32)
      frames = file["frames"] if "frames" in file else None
      skeleton = str(file["skeleton"]) if "skeleton" in file else track.skeleton
  except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
    told = " ".join(str(error).split())
    raise ValueError(f"{pair.name} cannot be read ({told[:80]})") from error
  if joints.ndim != 3 or joints.shape[2] != 3:
    raise ValueError(f"got joints_3d of shape {joints.shape}, expected (t, j, 3)")
  if frames is None and len(joints) == len(track.frames):
    return joints, skeleton
  if frames is None or frames.shape != (len(joints),):
    raise ValueError(
      f"got {len(joints)} frames in {pair.name} and {len(track.frames)} of keypoints, "
      "expected as many, or the array frames to say which they are"
    )
  row = {int(frame): i for i, frame in enumerate(frames)}
  at = np.asarray([row.get(int(frame), -1) for frame in track.frames])
  return np.where((at >= 0)[:, None, None], joints[at], np.nan), skeleton


def _record(track: Track, joints, settings: Settings) -> dict:
  rows = track.frames - track.frames[0]
  count = int(rows[-1]) + 1
  if count > 100 * len(rows) + 1000:
    raise ValueError(
      f"got {len(rows)} frames numbered over {count}, expected the frames of a video"
    )
  j = track.keypoints.shape[1]
  points = np.full((count, j, 2), np.nan, np.float32)
  confidence = np.zeros((count, j), np.float32)
  sure = (track.confidence >= settings.min_confidence) & (track.confidence > 0)
  points[rows] = np.where(sure[..., None], track.keypoints, np.nan)
  confidence[rows] = np.where(sure, track.confidence, 0)
  matrix = settings.matrix(track.skeleton, track.joints, j)
  mapped = _mapped(matrix, fill(points, settings.max_gap))
  least = [confidence[:, np.flatnonzero(row)].min(1) for row in matrix]
  valid = np.isfinite(mapped).all((1, 2))
  made = np.zeros((count, len(matrix), 3), np.float32)
  if joints is not None:
    given, skeleton = joints
    same = given.shape[1] == j and skeleton == track.skeleton
    weights = matrix if same else settings.matrix(skeleton, (), given.shape[1])
    known = np.full((count, len(matrix), 3), np.nan, np.float32)
    known[rows] = _mapped(weights, UNITS[settings.unit] * given)
    valid &= np.isfinite(known).all((1, 2))
    made = np.where(np.isfinite(known), known, 0)
  return dict(
    keypoints_2d=np.where(np.isfinite(mapped), mapped, 0),
    confidence=np.stack(least, 1),
    joints_3d=made,
    has_joints_3d=joints is not None,
    frame_valid=valid,
    frame_id=np.arange(count, dtype=np.int32) + np.int32(track.frames[0]),
  )


def _mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
  """(t, target, c) points; NaN where one that counts is NaN."""
  missing = np.isnan(points)
  made = np.einsum("ts,nsc->ntc", matrix, np.where(missing, 0, points))
  spoilt = np.einsum("ts,nsc->ntc", (matrix != 0).astype(np.float32), missing) > 0
  return np.where(spoilt, np.nan, made).astype(np.float32)


def fill(points: np.ndarray, max_gap: int) -> np.ndarray:
  """(t, j, c) without NaN in gaps of at most `max_gap` frames; ends are held."""
  missing = np.isnan(points).any(-1)
  filled = gaps.fill_gaps(points, missing)
  filled[gaps.gap_lengths(missing) > max_gap] = np.nan
  return filled
