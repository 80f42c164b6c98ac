"""Pictures of poses: skeletons in 2D and 3D with matplotlib, no display needed."""

import os

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxpose.data import PoseData
from jaxpose.skeletons import Skeleton

# Okabe and Ito's colours, told apart by colour-blind readers too.
LEFT, RIGHT, MIDDLE = "#0072B2", "#D55E00", "#404040"


def bone_colors(skeleton: Skeleton) -> list[str]:
  """A colour per bone: left blue, right orange, the trunk grey."""
  left, right = set(skeleton.left), set(skeleton.right)
  return [
    LEFT if child in left else RIGHT if child in right else MIDDLE
    for _, child in skeleton.bones
  ]


def skeleton_2d(
  ax, points: Float[np.ndarray, "j 2"], skeleton: Skeleton, **style
) -> None:
  """Draws image points, y down."""
  for (a, b), color in zip(skeleton.bones, bone_colors(skeleton), strict=True):
    ax.plot(*points[[a, b]].T, color=color, lw=2.2, solid_capstyle="round", **style)


def skeleton_3d(
  ax,
  joints: Float[np.ndarray, "j 3"],
  skeleton: Skeleton,
  *,
  ghost: bool = False,
) -> None:
  """Draws camera-frame joints (x right, y down, z forward) with up on the page.

  `ghost` draws thin grey lines, to lay the truth under a prediction.
  """
  x, y, z = joints[:, 0], joints[:, 2], -joints[:, 1]
  for (a, b), color in zip(skeleton.bones, bone_colors(skeleton), strict=True):
    ends = [a, b]
    ax.plot(
      x[ends],
      y[ends],
      z[ends],
      color="#9A9A9A" if ghost else color,
      lw=1.4 if ghost else 2.6,
      ls="--" if ghost else "-",
      solid_capstyle="round",
    )


def _frame_3d(ax, joints: np.ndarray, azimuth: float) -> None:
  """Equal axes around a body, light floor, no numbers."""
  points = np.stack([joints[:, 0], joints[:, 2], -joints[:, 1]], -1)
  middle, half = (points.max(0) + points.min(0)) / 2, np.ptp(points, axis=0).max() / 2
  for setter, m in zip((ax.set_xlim, ax.set_ylim, ax.set_zlim), middle, strict=True):
    setter(m - half * 1.05, m + half * 1.05)
  ax.set_box_aspect((1, 1, 1), zoom=1.35)
  ax.view_init(elev=8, azim=azimuth)
  for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
    axis.set_ticklabels([])
    axis.line.set_color((1, 1, 1, 0))
    axis.set_tick_params(length=0)
    axis._axinfo["grid"].update(color=(0.9, 0.9, 0.9, 1), linewidth=0.6)
  for pane in (ax.xaxis.pane, ax.yaxis.pane, ax.zaxis.pane):
    pane.set_alpha(0.0)


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

  Rows: 2D input; prediction as the camera sees it, the truth dashed under it; both seen
  from the side, where depth errors show. Frames are taken at evenly spaced ranks of
  their error, so that the picture shows the best, the typical and the bad alike.
  """
  root = data.skeleton.root
  truth = np.asarray(data.frames["joints_3d"])[frames]
  truth = truth - truth[:, root : root + 1]
  pred = poses - poses[:, root : root + 1]
  error = 1000 * np.linalg.norm(pred - truth, axis=-1).mean(-1)
  ranks = np.linspace(0.05, 0.95, columns)
  chosen = np.argsort(error)[(ranks * (len(error) - 1)).astype(int)]
  figure = Figure(figsize=(2.3 * columns, 7.4), dpi=110)
  for column, (i, rank) in enumerate(zip(chosen, ranks, strict=True)):
    view = data.views[data.run_of_frame[frames[i]]]
    ax = figure.add_subplot(3, columns, column + 1)
    points = np.asarray(data.frames["keypoints_2d"])[frames[i]]
    skeleton_2d(ax, points, data.skeleton)
    ax.set_title(
      f"{view.action}\n{error[i]:.0f} mm (better than {100 * (1 - rank):.0f} %)",
      fontsize=9,
    )
    ax.set_aspect("equal")
    ax.margins(0.12)
    ax.invert_yaxis()
    ax.axis("off")
    for row, azimuth in ((1, -90), (2, -10)):
      ax = figure.add_subplot(3, columns, row * columns + column + 1, projection="3d")
      skeleton_3d(ax, truth[i], data.skeleton, ghost=True)
      skeleton_3d(ax, pred[i], data.skeleton)
      _frame_3d(ax, truth[i], azimuth)
  for row, label in enumerate(("2D input", "3D, camera's view", "3D, from the side")):
    figure.text(0.012, 0.80 - 0.30 * row, label, rotation=90, va="center", fontsize=9)
  figure.suptitle(
    f"{title}   colour: predicted (left blue, right orange), dashed: true", fontsize=10
  )
  figure.subplots_adjust(0.03, 0.01, 0.99, 0.88, 0.02, 0.02)
  figure.savefig(path)
