"""Records of recordings, with the labels that lie beside the pictures."""

import pathlib
from collections.abc import Iterator

import numpy as np

from jaxpose import skeletons
from jaxpose.data import view_records
from jaxpose.formats import recordings
from jaxpose.formats.recordings import View
from jaxpose.geometry import triangulation
from jaxpose.skeletons import skeleton_maps

_SURE = 0.3  # confidence from which a keypoint counts as known


def _keypoints(view: View, count: int, skeleton: skeletons.Skeleton):
  """(n, j, 2) keypoints in the undistorted pictures, whether they are known (n, j)."""
  j = skeleton.num_joints
  points, known = np.zeros((count, j, 2)), np.zeros((count, j), bool)
  track = view.track
  if track is None or not track.skeleton:
    return points, known
  at, inside = recordings.rows(view, count)
  moved = view.lens.points(track.keypoints[inside, :, :2].astype(float))
  sure = track.keypoints[inside, :, 2]
  moved = skeleton_maps.convert(moved, track.skeleton, skeleton.name)
  sure = skeleton_maps.convert_confidence(sure, track.skeleton, skeleton.name)
  known[at] = (sure >= _SURE) & np.isfinite(moved).all(-1)
  points[at] = np.where(known[at][..., None], moved, 0)
  return points, known


def records(
  folder: pathlib.Path, *, clip_frames: int, max_side: int, skeleton: skeletons.Skeleton
) -> Iterator[dict]:
  """The records of a recording, each of `clip_frames` frames or, the last, fewer.

  Raises:
    ValueError: something does not fit; see the functions above.
  """
  said = recordings.about(folder)
  views, count = recordings.open_views(folder, max_side)
  rig = [view.lens.camera for view in views]
  found = [
    (*recordings.boxes(view, count), *_keypoints(view, count, skeleton))
    for view in views
  ]
  boxes, valid, points, known = (np.stack(x, 1) for x in zip(*found, strict=True))
  triangulation.check_calibration(str(folder), rig, points, known, boxes)
  joints = _joints(folder, count, skeleton)
  stream = recordings.pictures(views, count)
  for first in range(0, count, clip_frames):
    frame_ids = np.arange(first, min(first + clip_frames, count))
    pictures = [
      view_records.encode(view.lens.picture(picture))
      for _ in frame_ids
      for view, picture in zip(views, next(stream), strict=True)
    ]
    part = slice(first, first + clip_frames)
    yield view_records.record(
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
