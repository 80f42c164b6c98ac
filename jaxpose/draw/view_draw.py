"""Pictures and animations of multi-view predictions, over the recorded pictures.

One kind shows what the network saw, kept and found in its crops; the other draws the
poses over the whole pictures, with the 3D pose beside or below.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image

from jaxpose.data.view_data import MultiviewData
from jaxpose.draw import pose_draw
from jaxpose.formats.view_poses import MultiviewPoses

_DIMMED = 0.3  # brightness of patches that were dropped
_MOST_VIEWS = 4


def comparison(path: str | os.PathLike, scored, title: str = "", columns: int = 5):
  """Writes a PNG of frames of a `MultiviewScored`, spread over the split.

  Rows: each view with the patches that were dropped dimmed, the predicted 2D pose and
  the true one dashed; the 3D pose from all views as the first camera sees it and from
  the side, the truth dashed over it. Frames are taken at evenly spaced ranks of their
  error, so that the best, the typical and the bad are shown alike. Without pictures, or
  without 3D poses, these rows are left out.
  """
  data, predicted = scored.data, scored.predicted
  error, kind = _errors(data, predicted)
  clip, frame = np.nonzero(predicted["scored"] & np.isfinite(error))
  ranks = np.linspace(0.05, 0.95, columns) if columns > 1 else np.asarray([0.5])
  order = np.argsort(error[clip, frame])
  chosen = order[np.rint(ranks * (len(order) - 1)).astype(int)]
  views = min(data.num_views, _MOST_VIEWS) if "keypoints_2d" in predicted else 0
  angles = list(pose_draw.VIEWS.values()) if "joints_3d" in predicted else []
  rows = views + len(angles)
  figure = Figure(
    figsize=(2.1 * columns + 0.4, 2.1 * rows + 0.8), dpi=120, facecolor="white"
  )
  axes = figure.subplots(rows, columns, squeeze=False)
  top = 1 - 0.75 / (2.1 * rows + 0.8)
  figure.subplots_adjust(0.035, 0.01, 0.995, top, 0.03, 0.03)
  places = zip(clip[chosen].tolist(), frame[chosen].tolist(), strict=True)
  for column, (i, t) in enumerate(places):
    axes[0, column].set_title(
      f"{data.sources[i].action}\n{error[i, t]:.1f} {kind}", fontsize=9
    )
    for v in range(views):
      _view(axes[v, column], scored, i, t, v)
    for row, azimuth in enumerate(angles, views):
      _pose(axes[row, column], scored, i, t, azimuth)
  labels = [f"view {v + 1}" for v in range(views)]
  labels += [f"3D, {name}" for name in pose_draw.VIEWS][: len(angles)]
  for row, label in enumerate(labels):
    height = np.mean(axes[row, 0].get_position().intervaly)
    figure.text(0.012, height, label, rotation=90, va="center", fontsize=9)
  figure.suptitle(title, fontsize=12, y=1 - 0.08 / (2.1 * rows + 0.8))
  figure.savefig(path)


def kept_picture(
  image: np.ndarray, kept: np.ndarray, grid: tuple[int, int]
) -> np.ndarray:
  """The crop with the patches dimmed that were not kept.

  Args:
    image: (s, s, 3) uint8.
    kept: (k,) patches, row by row.
    grid: rows and columns of patches.
  """
  size = image.shape[0]
  stays = np.full(grid[0] * grid[1], _DIMMED, np.float32)
  stays[kept] = 1
  at = [np.arange(size) * count // size for count in grid]
  bright = stays.reshape(grid)[at[0][:, None], at[1][None]]
  return (image * bright[..., None]).astype(np.uint8)


def _errors(data: MultiviewData, predicted: dict) -> tuple[np.ndarray, str]:
  """(n, t) error that frames are ranked by, and its unit."""
  whole = data.clips["joints_valid"].all(-1)
  if "joints_3d" in predicted and whole.any():
    target = _relative(data)
    error = np.linalg.norm(predicted["joints_3d"] - target, axis=-1).mean(-1)
    return np.where(whole, 1000 * error, np.nan), "mm"
  target = data.clips["keypoints_2d"] * (2 / data.size) - 1
  share = np.linalg.norm(predicted["keypoints_2d"] - target, axis=-1) * data.scale / 2
  known = data.clips["keypoints_valid"] & data.clips["view_mask"][..., None]
  count = known.sum((-2, -1))
  mean = (share * known).sum((-2, -1)) / np.maximum(count, 1)
  return np.where(count > 0, 100 * mean, np.nan), "% of box"


def _relative(data: MultiviewData) -> np.ndarray:
  joints, root = data.clips["joints_3d"], data.skeleton.root
  return joints - joints[:, :, root : root + 1]


def _view(ax, scored, i: int, t: int, v: int) -> None:
  data, clips = scored.data, scored.data.clips
  ax.set_axis_off()
  if not clips["view_mask"][i, t, v]:
    return
  image = clips["images"][i, t, v]
  kept = scored.predicted["kept"][i, t, v]
  ax.imshow(kept_picture(image, kept, scored.grid), interpolation="nearest")
  points = (scored.predicted["keypoints_2d"][i, t, v] + 1) * data.size / 2
  true = clips["keypoints_2d"][i, t, v]
  known = clips["keypoints_valid"][i, t, v]
  true = np.where(known[:, None], true, np.nan)
  # `draw` has y up, pictures have it down.
  pose_draw.skeleton_2d(ax, points * [1, -1], data.skeleton, lw=1.6)
  ghost = pose_draw.GHOST | dict(color="white", lw=0.9)
  pose_draw.skeleton_2d(ax, true * [1, -1], data.skeleton, **ghost)
  ax.set_xlim(-0.5, data.size - 0.5)
  ax.set_ylim(data.size - 0.5, -0.5)


def _pose(ax, scored, i: int, t: int, azimuth: float) -> None:
  """The pose as the first camera sees it, or who has walked round it."""
  data = scored.data
  turn = data.clips["camera_rotation"][i, 0]
  pred = scored.predicted["joints_3d"][i, t] @ turn.T
  known = data.clips["joints_valid"][i, t].all()
  true = _relative(data)[i, t] @ turn.T if known else pred
  low, high = true.min(0), true.max(0)
  middle = np.asarray([(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2])
  pose_draw.skeleton_3d(ax, pred - middle, data.skeleton, azimuth=azimuth)
  if known:
    pose_draw.skeleton_3d(
      ax, true - middle, data.skeleton, azimuth=azimuth, **pose_draw.GHOST
    )
  ax.set_xlim(-1.05, 1.05)
  ax.set_ylim(-0.2, 1.9)
  ax.set_aspect("equal")
  ax.set_axis_off()


_SIDE = 480  # pixels of the longer side of a drawn picture

Read = Callable[[np.ndarray], Iterator[list[np.ndarray]]]


def require_writer(path: pathlib.Path) -> None:
  """ValueError or ImportError for a file that could not be written in the end."""
  if path.suffix != ".png":
    pose_draw.check_movie(path)


def overlay_picture(
  path: str | os.PathLike, poses: MultiviewPoses, read: Read, columns: int = 5
) -> None:
  """Writes a PNG of frames spread over the recording.

  Rows: each of up to four views with the 2D pose, then the 3D pose from two sides.

  Args:
    path: of the file.
    poses: of the recording.
    read: frames to give, (t,) bool, to their pictures in all views.
    columns: frames to draw.
  """
  columns = min(columns, len(poses))
  chosen = np.rint(np.linspace(0, len(poses) - 1, columns)).astype(int)
  wanted = np.zeros(len(poses), bool)
  wanted[chosen] = True
  labels = _labels(poses)
  figure = Figure(figsize=(2.4 * columns + 0.3, 2.2 * len(labels) + 0.4), dpi=120)
  axes = figure.subplots(len(labels), columns, squeeze=False)
  top = 1 - 0.35 / (2.2 * len(labels) + 0.4)
  figure.subplots_adjust(0.3 / (2.4 * columns + 0.3), 0.01, 0.995, top, 0.03, 0.03)
  joints = _upright(poses)
  with contextlib.closing(read(wanted)) as pictures:
    for column, frame in enumerate(chosen.tolist()):
      _show(axes[:, column], poses, joints, frame, next(pictures))
      axes[0, column].set_title(f"frame {frame}", fontsize=9)
  for row, label in enumerate(labels):
    height = np.mean(axes[row, 0].get_position().intervaly)
    figure.text(0.008, height, label, rotation=90, va="center", fontsize=9)
  figure.savefig(path, format="png")


def overlay_animation(
  path: str | os.PathLike, poses: MultiviewPoses, read: Read
) -> None:
  """Writes a GIF or MP4: up to four views with the 2D pose, beside them the 3D pose.

  It plays at the speed of the recording; at 25 frames per second where that is unknown.

  Args:
    path: of the file; its ending decides.
    poses: of the recording.
    read: frames to give, (t,) bool, to their pictures in all views.

  Raises:
    ValueError: another ending.
    ImportError: no PyAV for an `.mp4`.
  """
  pose_draw.check_movie(pathlib.Path(path))
  labels = _labels(poses)
  columns = -(-len(labels) // 2) if len(labels) > 3 else len(labels)
  rows = -(-len(labels) // columns)
  figure = Figure(figsize=(3.2 * columns, 3.0 * rows), dpi=100, facecolor="white")
  axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
  figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.3 / (3.0 * rows), 0.02, 0.12)
  for ax in axes:
    ax.set_axis_off()
  joints, at = _upright(poses), -1
  found: list[np.ndarray] = []
  with contextlib.closing(read(np.ones(len(poses), bool))) as pictures:

    def show(frame: int) -> None:
      nonlocal at, found
      while at < frame:
        found, at = next(pictures), at + 1
      _show(axes[: len(labels)], poses, joints, frame, found)
      for ax, label in zip(axes, labels, strict=False):
        ax.set_title(label, fontsize=10)

    pose_draw.write_movie(path, figure, show, len(poses), poses.fps or 25)


def _labels(poses: MultiviewPoses) -> list[str]:
  sides = list(pose_draw.VIEWS)
  if poses.calibrated:
    sides = ["along y", "along x"]
  return [*poses.cameras[:_MOST_VIEWS], *(f"3D, {side}" for side in sides)]


def _upright(poses: MultiviewPoses) -> Float[np.ndarray, "t j 3"]:
  """Joints as `draw` has them: x right, y down, z away; on the floor, in the middle."""
  joints = poses.joints_3d
  if poses.calibrated:
    joints = joints[..., [0, 2, 1]] * np.float32([1, -1, 1])
  low, high = joints.min(1, keepdims=True), joints.max(1, keepdims=True)
  middle = (low + high) / 2
  middle[..., 1] = high[..., 1]
  return joints - middle


def _show(axes, poses: MultiviewPoses, joints, frame: int, pictures) -> None:
  """Draws a frame into axes: the views, then the 3D pose from two sides."""
  views = len(axes) - 2
  for v, ax in enumerate(axes[:views]):
    ax.clear()
    ax.set_axis_off()
    height, width, _ = pictures[v].shape
    shrink = min(1.0, _SIDE / max(width, height))
    small = (max(round(width * shrink), 1), max(round(height * shrink), 1))
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(np.asarray(Image.fromarray(pictures[v]).resize(small)), extent=extent)
    if poses.present[frame, v]:
      # `draw` has y up, pictures have it down.
      points = poses.keypoints_2d[frame, v] * [1, -1]
      pose_draw.skeleton_2d(ax, points, poses.skeleton, lw=1.6)
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
  azimuths = (0.0, 90.0) if poses.calibrated else pose_draw.VIEWS.values()
  for ax, azimuth in zip(axes[views:], azimuths, strict=True):
    ax.clear()
    ax.set_axis_off()
    if np.isfinite(joints[frame]).all():
      pose_draw.skeleton_3d(ax, joints[frame], poses.skeleton, azimuth=azimuth)
    ax.set_xlim(-1.05, 1.05)
    ax.set_ylim(-0.2, 1.9)
    ax.set_aspect("equal")
