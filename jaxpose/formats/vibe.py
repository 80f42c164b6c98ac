"""The databases that VIBE and TCMR distribute, as records of `sequences.crop_features`.

A database is a dict of arrays with one row per frame, in a file of joblib or HDF5; the
rows with one `vid_name` are a video of one person. One video at a time is in memory.
"""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.files import joblib_file

CROP = 224  # pixels along the side of a crop
MARGIN = 1.2  # side of the crop over the side of the box
COMMON = slice(25, 39)  # the 14 joints of the field among spin49's
# Metres: in any other unit a body spans less or more.
_SMALLEST, _TALLEST = 0.1, 10.0

# Joints of a database, by their number, as spin49 names them.
_JOINTS: dict[int, tuple[str, ...]] = {
  13: """
    head_top left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist
    left_hip right_hip left_knee right_knee left_ankle right_ankle
  """,
  17: """
    nose neck head_top left_ear right_ear left_shoulder right_shoulder left_elbow
    right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee
    left_ankle right_ankle
  """,
  25: """
    right_heel right_knee_op right_hip_op left_hip_op left_knee_op left_heel
    right_wrist_op right_elbow_op right_shoulder_op left_shoulder_op left_elbow_op
    left_wrist_op neck_op head_top nose_op left_eye_op right_eye_op left_ear_op
    right_ear_op left_big_toe right_big_toe left_small_toe right_small_toe left_ankle_op
    right_ankle_op
  """,
}
_JOINTS = {count: tuple(text.split()) for count, text in _JOINTS.items()} | {
  14: skeletons.get("lsp14").joints,
  49: skeletons.get("spin49").joints,
}


@dataclasses.dataclass(frozen=True)
class Source:
  """What the databases of one dataset hold.

  Attributes:
    joints_2d: numbers of joints that `joints2D` may have.
    joints_3d: the same of `joints3D`; none if there are only keypoints.
    smpl: "yes", "no", or "if there": whether to read `pose` and `shape`.
    in_crop: keypoints are in pixels of the crop, and there are no boxes.
    fps: frames per second, 0 if unknown.
    labels: name of a video -> its subject, action and camera.
  """

  joints_2d: tuple[int, ...]
  joints_3d: tuple[int, ...] = ()
  smpl: str = "no"
  in_crop: bool = False
  fps: float = 0.0
  labels: Callable[[str], tuple[str, str, str]] = lambda name: ("", "", "")


@dataclasses.dataclass(frozen=True)
class Video:
  """Rows of a database that belong together.

  Attributes:
    db: arrays with one row per frame, in memory or not.
    name: of the video.
    runs: the rows.
    path: of the database, for messages.
  """

  db: Mapping
  name: str
  runs: list[slice]
  path: str | os.PathLike

  def rows(self, key: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """The video's rows of an array of numbers, each of one of the shapes."""
    if key not in self.db:
      raise ValueError(
        f"{self.path}: got {', '.join(self.db)}, expected {key} too; is it the file of "
        "another dataset?"
      )
    array = self.db[key]
    if array.shape[1:] not in shapes or array.dtype.kind not in "biuf":
      expected = " or ".join(str(("frames", *s)).replace("'", "") for s in shapes)
      raise ValueError(
        f"{self.path}: got {key} of shape {array.shape} and type {array.dtype}, "
        f"expected numbers of shape {expected}; is it the file of another dataset?"
      )
    return np.concatenate([array[run] for run in self.runs])

  def finite(
    self, key: str, valid: np.ndarray, *shapes: tuple[int, ...]
  ) -> Float[np.ndarray, "t ..."]:
    """The same as float32; NaN becomes zero where the frame is not valid anyway."""
    value = self.rows(key, *shapes).astype(np.float32)
    bad = ~np.isfinite(value).reshape(len(value), -1).all(1)
    self.refuse(bad & valid, f"hold NaN or infinite {key}")
    value[bad] = 0
    return value

  def refuse(self, bad: np.ndarray, what: str) -> None:
    """An error if any frame is bad."""
    if bad.any():
      raise ValueError(
        f"{self.path}: video {self.name!r}: {int(bad.sum())} of {len(bad)} frames "
        f"{what}; cut them from the file before building."
      )


def record(video: Video, source: Source, *, scored: bool) -> dict:
  """The record of one video; keys, shapes and units are those of `crop_features`.

  Args:
    video: from a database.
    source: what the database holds.
    scored: it is for evaluation, where frames that are not valid are left out.

  Raises:
    ValueError: an array is missing, has the wrong shape, or holds NaN.
  """
  frames = sum(run.stop - run.start for run in video.runs)
  valid = np.ones(frames, bool)
  for key in ("valid", "valid_i"):
    if scored and key in video.db:
      valid = video.rows(key, (), (1,)).reshape(-1).astype(bool)
  keypoints, confidence, boxes = _keypoints(video, source, valid)
  has_smpl = source.smpl == "yes" or (source.smpl == "if there" and "pose" in video.db)
  pose = np.zeros((frames, 72), np.float32)
  betas = np.zeros((frames, 10), np.float32)
  if has_smpl:
    pose, betas = (
      video.finite("pose", valid, (72,)),
      video.finite("shape", valid, (10,)),
    )
  subject, action, camera = source.labels(video.name)
  return dict(
    features=video.finite("features", valid, (2048,)),
    keypoints_2d=keypoints,
    confidence=confidence,
    joints_3d=_joints(video, source, valid),
    smpl_pose=pose.reshape(frames, 24, 3),
    betas=betas,
    has_joints_3d=bool(source.joints_3d),
    has_smpl=has_smpl,
    frame_valid=valid,
    boxes=boxes,
    frame_id=_frame_ids(video, frames),
    fps=np.float32(source.fps),
    skeleton="spin49",
    sequence=video.name,
    subject=subject,
    action=action,
    camera=camera,
  )


def _keypoints(video: Video, source: Source, valid: np.ndarray):
  """Keypoints in units of the crop, their confidence, and the boxes."""
  points = video.finite("joints2D", valid, *((n, 3) for n in source.joints_2d))
  points = to_spin49(points)
  confidence = points[..., 2].copy()
  if source.in_crop:
    boxes = np.zeros((len(points), 4), np.float32)
    return points[..., :2] * 2 / CROP - 1, confidence, boxes
  boxes = video.finite("bbox", valid, (4,))
  empty = ~(boxes[:, 2:] > 0).all(1)
  video.refuse(empty & valid, "have a box without width or height")
  keypoints = to_crop(points[..., :2], np.where(empty[:, None], 1, boxes))
  keypoints[empty] = confidence[empty] = 0
  return keypoints, confidence, boxes


def _joints(video: Video, source: Source, valid: np.ndarray):
  """Joints in metres, zeros if the source has none."""
  if not source.joints_3d:
    return np.zeros((len(valid), 49, 3), np.float32)
  joints = video.finite("joints3D", valid, *((n, 3) for n in source.joints_3d))
  joints = to_spin49(joints)
  spans = np.ptp(joints[valid][:, COMMON], axis=1).max(-1)
  span = np.median(spans) if len(spans) else 1.0
  if not _SMALLEST < span < _TALLEST:
    raise ValueError(
      f"{video.path}: video {video.name!r}: got a body that spans {span:.4g} m, "
      "expected metres; rescale joints3D, which may be in millimetres."
    )
  return joints


def _frame_ids(video: Video, frames: int) -> np.ndarray:
  """Numbers of the frames; their places in the video if the file has no numbers."""
  if "frame_id" in video.db and video.db["frame_id"].dtype.kind in "iuf":
    return video.rows("frame_id", (), (1,)).reshape(-1).astype(np.int32)
  return np.arange(frames, dtype=np.int32)


def to_spin49(points: Float[np.ndarray, "t j c"]) -> Float[np.ndarray, "t 49 c"]:
  """Joints of a database in spin49's places, zeros where it has none; a copy."""
  places = [_JOINTS[49].index(name) for name in _JOINTS[points.shape[1]]]
  placed = np.zeros((len(points), 49, points.shape[2]), points.dtype)
  placed[:, places] = points
  return placed


def to_crop(
  points: Float[np.ndarray, "t j 2"], boxes: Float[np.ndarray, "t 4"]
) -> Float[np.ndarray, "t j 2"]:
  """Pixels of the image in units of the crop, -1 to 1 from edge to edge; a copy.

  Args:
    points: x right, y down.
    boxes: centre x, centre y, width, height; the crop is `MARGIN` times as large.
  """
  centre, size = boxes[:, None, :2], boxes[:, None, 2:]
  return (points - centre) * 2 / (MARGIN * size)


_SUFFIXES = (".pt", ".h5", ".pkl", ".joblib")
_KEYS = 2**128  # TFDS sorts by keys of so many values


def find_files(
  folder: str | os.PathLike, stems: Mapping[str, tuple[str, ...]]
) -> dict[str, pathlib.Path]:
  """The file of each split.

  Args:
    folder: with the files.
    stems: split -> names that its file may have, without the suffix; the first wins.

  Raises:
    ValueError: a file is missing.
  """
  folder = pathlib.Path(folder)
  paths = {split: _first(folder, names) for split, names in stems.items()}
  missing = [stems[split][0] for split, path in paths.items() if path is None]
  if missing:
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise ValueError(
      f"{folder}: got {found}, expected {', '.join(missing)} too, ending in "
      f"{', '.join(_SUFFIXES)}; the README of the dataset says where to get the files."
    )
  return paths


def examples(
  path: pathlib.Path, source: Source, split: str
) -> Iterator[tuple[int, dict]]:
  """(key, record) of each video, in the order of the file.

  Frames that are marked as not valid are so in all splits but "train", whose frames
  are all trained on.

  The keys are spread over all that TFDS has: it sorts them by the thousandth part, and
  would hold a whole split in memory if all were in the first.
  """
  db = read(path)
  runs = videos(np.asarray(db["vid_name"]))
  step = _KEYS // len(runs)
  for number, (name, rows) in enumerate(runs.items()):
    yield (
      number * step,
      record(Video(db, name, rows, path), source, scored=split != "train"),
    )
    joblib_file.release(db["features"])


def read(path: pathlib.Path) -> Mapping:
  """The arrays of a database, which are read as they are used.

  Raises:
    ValueError: it is no database, or its arrays differ in length.
  """
  with open(path, "rb") as file:
    hdf5 = file.read(4) == b"\x89HDF"
  db = _hdf5(path) if hdf5 else joblib_file.load(path)
  if isinstance(db, Mapping):
    db = {str(key): value for key, value in db.items() if getattr(value, "shape", ())}
  if not isinstance(db, Mapping) or not {"vid_name", "features"} <= set(db):
    held = f"the arrays {', '.join(db)}" if isinstance(db, Mapping) else f"a {type(db)}"
    raise ValueError(
      f"{path}: got {held[:200]}, expected vid_name, features, joints2D and others "
      "with one row per frame; give a database of VIBE or TCMR."
    )
  lengths = {key: value.shape[0] for key, value in db.items()}
  if len(set(lengths.values())) != 1:
    told = ", ".join(f"{key} {length}" for key, length in lengths.items())
    raise ValueError(
      f"{path}: got arrays of unequal length ({told}), expected one row per frame in "
      "all of them; get the file again."
    )
  if not lengths["vid_name"]:
    raise ValueError(f"{path}: got no frames, expected some; get the file again.")
  return db


def videos(names: np.ndarray) -> dict[str, list[slice]]:
  """Rows of each video, in order of first appearance."""
  names = names.reshape(-1)
  edges = np.flatnonzero(names[1:] != names[:-1]) + 1
  found: dict[str, list[slice]] = {}
  for start, stop in itertools.pairwise([0, *edges.tolist(), len(names)]):
    name = names[start]
    name = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    found.setdefault(name, []).append(slice(start, stop))
  return found


def _first(folder: pathlib.Path, stems: tuple[str, ...]) -> pathlib.Path | None:
  for stem, suffix in itertools.product(stems, _SUFFIXES):
    if (folder / f"{stem}{suffix}").is_file():
      return folder / f"{stem}{suffix}"
  return None


def _hdf5(path: pathlib.Path) -> dict:
  try:
    import h5py
  except ModuleNotFoundError as error:
    raise ValueError(
      f"{path}: got an HDF5 file, which needs h5py; pip install 'jaxpose[hdf5]'."
    ) from error
  try:
    return dict(h5py.File(path, "r"))  # its arrays keep the file open
  except (OSError, RuntimeError) as error:
    raise ValueError(
      f"{path}: truncated or damaged HDF5 ({str(error)[:80]}); copy or download it "
      "again."
    ) from error
