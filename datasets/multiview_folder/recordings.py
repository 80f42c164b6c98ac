"""A recording: videos or folders of pictures of several cameras, and what is known."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator

import numpy as np

from jaxpose import boxes as box_files
from jaxpose import frames
from jaxpose import multiview_records
from jaxpose import skeleton_maps
from jaxpose import skeletons

from . import calibration
from . import reprojection
from .lens import Lens

ABOUT = "recording.json"
_KEYS = ("fps", "subject", "action", "unit", "up", "start")
_SURE = 0.3  # confidence from which a keypoint counts as known


@dataclasses.dataclass(frozen=True, eq=False)
class View:
  """One camera of a recording.

  Attributes:
    lens: from its pictures to undistorted ones.
    source: of the pictures, see `jaxpose.frames`.
    start: frames of it that come before the recording.
    track: boxes and keypoints, see `jaxpose.boxes`; None for the whole picture.
  """

  lens: Lens
  source: frames.Folder | frames.Video
  start: int
  track: box_files.Track | None


def about(folder: pathlib.Path) -> dict:
  """What `recording.json` says; {} without one. ValueError for unknown keys."""
  path = folder / ABOUT
  if not path.is_file():
    return {}
  try:
    content = json.loads(path.read_text())
  except ValueError as error:
    raise ValueError(f"{path}: not JSON ({error}).") from error
  unknown = sorted(set(content) - set(_KEYS))
  if unknown:
    raise ValueError(
      f"{path}: got the key {unknown[0]!r}, expected some of {', '.join(_KEYS)}."
    )
  return content


def open_views(folder: pathlib.Path, max_side: int) -> tuple[list[View], int]:
  """The views of a recording, in the order of its calibration, and their frames.

  Raises:
    ValueError: a camera has no pictures or other pictures than were calibrated, or
      the cameras do not have equally many frames.
  """
  said = about(folder)
  rig = calibration.read(
    calibration.find(folder), unit=said.get("unit", "m"), up=said.get("up", "z")
  )
  fps = float(said["fps"]) if "fps" in said else None
  sources = {c.name: _source(folder, c.name, fps) for c in rig}
  missing = [name for name, source in sources.items() if source is None]
  if missing:
    raise ValueError(
      f"{folder}: got no video or folder of pictures for the calibrated "
      f"camera{'s' if len(missing) > 1 else ''} {', '.join(missing)}; name them like "
      f"the camera, such as {missing[0]}.mp4 or {missing[0]}/, here or in videos/ or "
      "images/."
    )
  starts = said.get("start", {})
  strangers = sorted(set(starts) - set(sources))
  if strangers:
    raise ValueError(
      f"{folder / ABOUT}: got a start for the camera {strangers[0]!r}, expected some "
      f"of {', '.join(sources)}."
    )
  views = []
  for camera in rig:
    source = sources[camera.name]
    lens = Lens(
      _resized(folder, camera, source.image_size), source.image_size, max_side
    )
    views.append(
      View(lens, source, int(starts.get(camera.name, 0)), _track(folder, camera.name))
    )
  return views, _count(folder, views)


def _source(folder: pathlib.Path, name: str, fps):
  for place in (folder, folder / "videos", folder / "images"):
    if (place / name).is_dir():
      if fps is None:
        raise ValueError(
          f"{place / name} is a folder of pictures, whose frame rate is not in the "
          f'files; write "fps" into {folder / ABOUT}.'
        )
      return frames.open_source(place / name, fps)
    files = place.glob(f"{name}.*") if place.is_dir() else ()
    known = (".json", ".csv", ".npz", ".toml", ".txt", ".yml")
    found = [
      p for p in sorted(files) if p.suffix.lower() not in known and p.stem == name
    ]
    if found:
      return frames.open_source(found[0], fps)
  return None


def _resized(folder, camera, size):
  """The calibration for pictures of that size, if only their scale differs."""
  if camera.size is None or tuple(camera.size) == tuple(size):
    return camera
  scale = np.array(size) / np.array(camera.size)
  if abs(scale[0] / scale[1] - 1) > 0.01:
    raise ValueError(
      f"{folder}, camera {camera.name!r}: got pictures of {size[0]} x {size[1]} "
      f"pixels, expected the calibrated {camera.size[0]} x {camera.size[1]} or the "
      "same at another scale; calibrate what is filmed."
    )
  matrix = camera.matrix.copy()
  matrix[:2, :2] *= scale[:, None]
  matrix[:2, 2] = (matrix[:2, 2] + 0.5) * scale - 0.5
  return dataclasses.replace(camera, matrix=matrix, size=tuple(size))


def _track(folder, name):
  for suffix in box_files.SUFFIXES:
    path = folder / "boxes" / (name + suffix)
    if path.is_file():
      tracks = box_files.read(path)
      if len(tracks) != 1:
        raise ValueError(
          f"{path}: got {len(tracks)} people, expected one; keep the same person in "
          "the files of all cameras."
        )
      return tracks[0]
  return None


def _count(folder, views) -> int:
  counts = [view.source.count() - view.start for view in views]
  if len(set(counts)) > 1:  # the header may be wrong
    counts = [view.source.count(exact=True) - view.start for view in views]
  if len(set(counts)) > 1:
    each = ", ".join(
      f"{view.lens.camera.name} {count}"
      for view, count in zip(views, counts, strict=True)
    )
    raise ValueError(
      f"{folder}: got cameras with different numbers of frames ({each}), expected "
      "synchronised ones; cut the videos to the same frames, or, if only the beginning "
      f'differs, write {{"start": {{"CAMERA": FRAMES_TO_SKIP}}}} into {ABOUT}.'
    )
  rates = [view.source.fps for view in views]
  if max(rates) > 1.01 * min(rates):
    each = ", ".join(f"{v.lens.camera.name} {v.source.fps:g}" for v in views)
    raise ValueError(
      f"{folder}: got cameras with different frame rates ({each}), expected the same; "
      'convert the videos, or write the true "fps" into ' + ABOUT + "."
    )
  if counts[0] < 1:
    raise ValueError(f"{folder}: got no frame, expected at least one.")
  return counts[0]


def _labels(view: View, count: int, skeleton: skeletons.Skeleton):
  """Boxes (n, 4), whether there is one, keypoints (n, j, 2), whether they are known.

  In the undistorted pictures.
  """
  j = skeleton.num_joints
  whole = box_files.whole_frame(count, view.lens.camera.image_size).boxes
  if view.track is None:
    return (
      whole,
      np.ones(count, bool),
      np.zeros((count, j, 2)),
      np.zeros((count, j), bool),
    )
  track, at = view.track, view.track.frames
  if at is None and len(track.boxes) != view.start + count:
    raise ValueError(
      f"{view.source.path}: got {len(track.boxes)} boxes without frame numbers, "
      f"expected one for each of its {view.start + count} frames; number "
      "those that there are."
    )
  at = (np.arange(len(track.boxes)) if at is None else at) - view.start
  inside = (at >= 0) & (at < count)
  at = at[inside]
  boxes, valid = whole.copy(), np.zeros(count, bool)
  boxes[at] = (
    np.stack([view.lens.box(box) for box in track.boxes[inside]]) if len(at) else 0
  )
  valid[at] = True
  points, known = np.zeros((count, j, 2)), np.zeros((count, j), bool)
  if track.skeleton:
    moved = view.lens.points(track.keypoints[inside, :, :2].astype(float))
    sure = track.keypoints[inside, :, 2]
    moved = skeleton_maps.convert(moved, track.skeleton, skeleton.name)
    sure = skeleton_maps.convert_confidence(sure, track.skeleton, skeleton.name)
    known[at] = (sure >= _SURE) & np.isfinite(moved).all(-1)
    points[at] = np.where(known[at][..., None], moved, 0)
  return boxes, valid, points, known


def records(
  folder: pathlib.Path, *, clip_frames: int, max_side: int, skeleton: skeletons.Skeleton
) -> Iterator[dict]:
  """The records of a recording, each of `clip_frames` frames or, the last, fewer.

  Raises:
    ValueError: something does not fit; see the functions above.
  """
  said = about(folder)
  views, count = open_views(folder, max_side)
  rig = [view.lens.camera for view in views]
  labels = [_labels(view, count, skeleton) for view in views]
  boxes, valid, points, known = (np.stack(x, 1) for x in zip(*labels, strict=True))
  reprojection.check(str(folder), rig, points, known, boxes)
  joints = _joints(folder, count, skeleton)
  wanted = [np.arange(view.start + count) >= view.start for view in views]
  streams = [v.source.read(w) for v, w in zip(views, wanted, strict=True)]
  for first in range(0, count, clip_frames):
    frame_ids = np.arange(first, min(first + clip_frames, count))
    pictures = []
    for frame in frame_ids:
      for view, stream in zip(views, streams, strict=True):
        found = next(stream, None)
        if found is None:
          raise ValueError(
            f"{view.source.path}: got {frame} frames that can be decoded, expected "
            f"{count}; convert the video."
          )
        pictures.append(multiview_records.encode(view.lens.picture(found[1])))
    part = slice(first, first + clip_frames)
    yield multiview_records.record(
      pictures,
      rig,
      boxes=boxes[part],
      frame_ids=frame_ids,
      fps=views[0].source.fps,
      skeleton=skeleton,
      sequence=f"{folder.name}_{first:06d}",
      subject=str(said.get("subject", "")),
      action=str(said.get("action", "")),
      joints_3d=None if joints is None else joints[part],
      keypoints_2d=points[part],
      keypoints_valid=known[part],
      view_valid=valid[part],
    )


def _joints(folder, count, skeleton):
  """(n, j, 3) of `joints_3d.npy`, world metres with z up, or None."""
  path = folder / "joints_3d.npy"
  if not path.is_file():
    return None
  joints = np.load(path, allow_pickle=False)
  if joints.shape != (count, skeleton.num_joints, 3):
    raise ValueError(
      f"{path}: got joints of shape {joints.shape}, expected ({count}, "
      f"{skeleton.num_joints}, 3): the recording's frames and the joints of "
      f"{skeleton.name!r}, metres, world with z up, NaN where unknown."
    )
  return joints
