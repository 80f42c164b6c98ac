"""Pictures of multi-view predictions: what the network saw, found and kept."""

import os

import numpy as np
from matplotlib.figure import Figure

from jaxpose import draw
from jaxpose.multiview_data import MultiviewData

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
  angles = list(draw.VIEWS.values()) if "joints_3d" in predicted else []
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
  labels += [f"3D, {name}" for name in draw.VIEWS][: len(angles)]
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
  draw.skeleton_2d(ax, points * [1, -1], data.skeleton, lw=1.6)
  ghost = draw.GHOST | dict(color="white", lw=0.9)
  draw.skeleton_2d(ax, true * [1, -1], data.skeleton, **ghost)
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
  draw.skeleton_3d(ax, pred - middle, data.skeleton, azimuth=azimuth)
  if known:
    draw.skeleton_3d(ax, true - middle, data.skeleton, azimuth=azimuth, **draw.GHOST)
  ax.set_xlim(-1.05, 1.05)
  ax.set_ylim(-0.2, 1.9)
  ax.set_aspect("equal")
  ax.set_axis_off()
