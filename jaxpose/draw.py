"""Pictures and animations of poses with matplotlib; no display needed.

3D poses are drawn in a parallel projection above a floor grid of 0.5 m. They are in a
camera's frame (x right, y down, z forward), so up on the page is the camera's up, and
each pose stands on its lowest joint: root-relative poses have no height of their own.
"""

import os

import numpy as np
from jaxtyping import Float
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxpose.data import PoseData
from jaxpose.skeletons import Skeleton

# Okabe and Ito's colours, told apart by colour-blind readers too.
LEFT, RIGHT, MIDDLE = "#0072B2", "#D55E00", "#404040"
FLOOR, SHADOW = "#DDDDDD", "#EBEBEB"
GHOST = dict(color="#8C8C8C", lw=1.5, ls=(0, (3, 2)), capstyle="butt", zorder=4)

ELEVATION = 12.0  # degrees that the eye looks down
VIEWS = {"camera's view": 0.0, "from the side": 80.0}  # azimuths in degrees


def bone_colors(skeleton: Skeleton) -> list[str]:
  """A colour per bone: left blue, right orange, the trunk grey."""
  left, right = set(skeleton.left), set(skeleton.right)
  return [
    LEFT if child in left else RIGHT if child in right else MIDDLE
    for _, child in skeleton.bones
  ]


def project(
  joints: Float[np.ndarray, "*b 3"], azimuth: float
) -> Float[np.ndarray, "*b 3"]:
  """Camera-frame points on the page: right, up, and depth away from the eye.

  The eye has walked `azimuth` degrees around the body: at 0 it is where the camera is,
  at 90 what is far from the camera lies at the right.
  """
  a, e = np.deg2rad(azimuth), np.deg2rad(ELEVATION)
  x, up, z = joints[..., 0], -joints[..., 1], joints[..., 2]
  right, depth = x * np.cos(a) + z * np.sin(a), z * np.cos(a) - x * np.sin(a)
  page_up, page_depth = (
    up * np.cos(e) + depth * np.sin(e),
    depth * np.cos(e) - up * np.sin(e),
  )
  return np.stack([right, page_up, page_depth], -1)


class _Lines:
  """The bones of one skeleton on an axes; `show` moves them."""

  def __init__(self, ax, skeleton: Skeleton, **style):
    self._bones = np.asarray(skeleton.bones)
    self._colors = None if "color" in style else np.asarray(bone_colors(skeleton))
    style = dict(lw=2.6, capstyle="round", zorder=3) | style
    self._lines = ax.add_collection(LineCollection([], **style), autolim=False)

  def show(self, page: Float[np.ndarray, "j c"]) -> None:
    """Page points; with depth as a third coordinate, near bones cover far ones."""
    segments = page[self._bones]
    order = np.arange(len(segments))
    if page.shape[-1] == 3:
      order = np.argsort(-segments[..., 2].sum(1), kind="stable")
    self._lines.set_segments(segments[order, :, :2])
    if self._colors is not None:
      self._lines.set_color(self._colors[order])


def skeleton_2d(
  ax, points: Float[np.ndarray, "j 2"], skeleton: Skeleton, **style
) -> None:
  """Draws image points, y down; bones with a NaN end are left out."""
  _Lines(ax, skeleton, **style).show(points * [1, -1])


def skeleton_3d(
  ax,
  joints: Float[np.ndarray, "j 3"],
  skeleton: Skeleton,
  *,
  azimuth: float = 0.0,
  **style,
) -> None:
  """Draws camera-frame joints (x right, y down, z forward), metres, with a shadow."""
  if not style:
    shadow = _Lines(ax, skeleton, color=SHADOW, lw=4, zorder=1)
    shadow.show(project(joints * [1, 0, 1], azimuth))
  _Lines(ax, skeleton, **style).show(project(joints, azimuth))


def stand(joints: Float[np.ndarray, "*b j 3"]) -> Float[np.ndarray, "*b j 3"]:
  """Poses moved up or down so that their lowest joint is at y = 0."""
  return joints - _down(joints[..., 1].max(-1))


def _down(height: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b 1 3"]:
  return height[..., None, None] * np.asarray([0, 1, 0], height.dtype)


def _stage(ax, joints: Float[np.ndarray, "*b j 3"], azimuth: float, half: float):
  """An axes that shows standing poses, `half` metres to each side, over a floor."""
  ground = joints[..., [0, 2]].reshape(-1, 2)
  x, z = (ground.max(0) + ground.min(0)) / 2
  ticks = np.linspace(-1, 1, 5)
  ends = [[(t, 0, s) for s in (-1, 1)] for t in ticks]
  ends += [[(s, 0, t) for s in (-1, 1)] for t in ticks]
  lines = project(np.asarray(ends) + [x, 0, z], azimuth)[..., :2]
  ax.add_collection(LineCollection(lines, color=FLOOR, lw=0.8, zorder=0), autolim=False)
  middle = project(np.asarray([x, 0, z]), azimuth)
  _show(ax, middle[0], middle[1] + half - 0.3, half)


def _half(joints: Float[np.ndarray, "*b j 3"]) -> float:
  """Half the side of the square in which `_stage` shows these standing poses."""
  tall = 0.4 - joints[..., 1].min()
  wide = 1.1 * np.ptp(joints[..., [0, 2]].reshape(-1, 2), axis=0).max()
  return float(max(tall, wide)) / 2


def _show(ax, x: float, y: float, half: float) -> None:
  """`half` units around a point, equal scales; the longer side shows more."""
  ax.set_xlim(x - half, x + half)
  ax.set_ylim(y - half, y + half)
  ax.set_aspect("equal", adjustable="datalim")
  ax.set_axis_off()


def _show_points(ax, points: Float[np.ndarray, "*b 2"], half: float) -> None:
  """Image points with their middle in the middle."""
  flat = points.reshape(-1, 2)
  x, y = (np.nanmax(flat, 0) + np.nanmin(flat, 0)) / 2
  _show(ax, x, -y, half)


def _legend(figure: Figure, truth: bool) -> None:
  names = {"left": LEFT, "right": RIGHT, "trunk": MIDDLE}
  handles = [Line2D([], [], color=c, lw=2.6, label=name) for name, c in names.items()]
  if truth:
    line = Line2D([], [], color=GHOST["color"], lw=1.5, ls=GHOST["ls"], label="truth")
    handles.append(line)
  figure.legend(
    handles=handles, loc="lower center", ncols=4, fontsize=9, frameon=False, borderpad=0
  )


def comparison(
  path: str | os.PathLike,
  data: PoseData,
  poses: Float[np.ndarray, "m j 3"],
  frames: np.ndarray,
  *,
  title: str = "",
  columns: int = 5,
) -> None:
  """Writes a PNG of input, prediction and truth for frames spread over the split.

  Rows: 2D input; prediction as the camera sees it, the truth dashed over it; both seen
  from the side, where depth errors show. Frames are taken at evenly spaced ranks of
  their error, so that the picture shows the best, the typical and the bad alike.

  Raises:
    ValueError: poses, frames and data do not belong together.
  """
  skeleton = data.skeleton
  expected = (len(frames), skeleton.num_joints, 3)
  if poses.shape != expected or not len(frames) or columns < 1:
    raise ValueError(
      f"got poses of shape {poses.shape} and {columns} columns, expected {expected}, "
      "at least one frame and one column."
    )
  truth = np.asarray(data.frames["joints_3d"])[frames]
  truth = truth - truth[:, skeleton.root, None]
  pred = poses - poses[:, skeleton.root, None]
  error = 1000 * np.linalg.norm(pred - truth, axis=-1).mean(-1)
  ranks = np.linspace(0.05, 0.95, columns) if columns > 1 else np.asarray([0.5])
  chosen = np.argsort(error)[(ranks * (len(error) - 1)).astype(int)]
  truth, pred, error = truth[chosen], pred[chosen], error[chosen]
  points = np.asarray(data.frames["keypoints_2d"])[frames[chosen]]
  floor = truth[..., 1].max(-1)
  truth, pred = truth - _down(floor), pred - _down(floor)
  half_2d, half_3d = 0.56 * np.ptp(points, axis=1).max(), _half(truth - truth[:, :1])

  figure = Figure(figsize=(2.1 * columns + 0.4, 7.6), dpi=120, facecolor="white")
  axes = figure.subplots(3, columns, squeeze=False)
  for i, (frame, rank) in enumerate(zip(frames[chosen], ranks, strict=True)):
    top, *below = axes[:, i]
    skeleton_2d(top, points[i], skeleton)
    _show_points(top, points[i], half_2d)
    action = data.views[data.run_of_frame[frame]].action
    top.set_title(f"{action}\n{error[i]:.0f} mm, {_rank(rank)}", fontsize=9)
    for ax, azimuth in zip(below, VIEWS.values(), strict=True):
      _stage(ax, truth[i], azimuth, half_3d)
      skeleton_3d(ax, pred[i], skeleton, azimuth=azimuth)
      skeleton_3d(ax, truth[i], skeleton, azimuth=azimuth, **GHOST)
  _label_rows(figure, axes, ["2D input", *(f"3D, {name}" for name in VIEWS)])
  figure.suptitle(title, fontsize=12, y=0.985)
  _legend(figure, truth=True)
  figure.savefig(path)
