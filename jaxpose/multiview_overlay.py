"""Pictures and animations of predicted poses over the recorded pictures."""

import contextlib
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image

from jaxpose import draw
from jaxpose import movies
from jaxpose.multiview_poses import MultiviewPoses

_MOST_VIEWS = 4
_SIDE = 480  # pixels of the longer side of a drawn picture

Read = Callable[[np.ndarray], Iterator[list[np.ndarray]]]


def require_writer(path: pathlib.Path) -> None:
  """ValueError or ImportError for a file that could not be written in the end."""
  if path.suffix != ".png":
    movies.check(path)


def picture(
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


def animation(path: str | os.PathLike, poses: MultiviewPoses, read: Read) -> None:
  """Writes a GIF or MP4: up to four views with the 2D pose, beside them the 3D pose.

  It plays at the speed of the recording; at 25 frames per second where that is unknown.

  Args:
    path: of the file; its ending decides.
    poses: of the recording.
    read: frames to give, (t,) bool, to their pictures in all views.

  Raises:
    ValueError: another ending.
    ImportError: no ffmpeg for an `.mp4`.
  """
  movies.check(pathlib.Path(path))
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

    movies.write(path, figure, show, len(poses), poses.fps or 25)


def _labels(poses: MultiviewPoses) -> list[str]:
  sides = list(draw.VIEWS)
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
      draw.skeleton_2d(ax, points, poses.skeleton, lw=1.6)
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
  azimuths = (0.0, 90.0) if poses.calibrated else draw.VIEWS.values()
  for ax, azimuth in zip(axes[views:], azimuths, strict=True):
    ax.clear()
    ax.set_axis_off()
    if np.isfinite(joints[frame]).all():
      draw.skeleton_3d(ax, joints[frame], poses.skeleton, azimuth=azimuth)
    ax.set_xlim(-1.05, 1.05)
    ax.set_ylim(-0.2, 1.9)
    ax.set_aspect("equal")
