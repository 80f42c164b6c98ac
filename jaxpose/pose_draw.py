"""A picture of predicted poses beside their input and the true ones."""

import os

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxpose import draw
from jaxpose.data import PoseData


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
    ValueError: the poses do not fit the frames or the skeleton, or are not finite.
  """
  skeleton = data.skeleton
  poses = draw.checked(poses, skeleton, 3, len(frames))
  truth = np.asarray(data.frames["joints_3d"])[frames]
  truth = truth - truth[:, skeleton.root, None]
  pred = poses - poses[:, skeleton.root, None]
  error = 1000 * np.linalg.norm(pred - truth, axis=-1).mean(-1)
  ranks = np.linspace(0.05, 0.95, columns) if columns > 1 else np.asarray([0.5])
  chosen = np.argsort(error)[np.rint(ranks * (len(error) - 1)).astype(int)]
  truth, pred, error = truth[chosen], pred[chosen], error[chosen]
  points = np.asarray(data.frames["keypoints_2d"])[frames[chosen]]
  offset = draw.offset_to_floor(truth)
  truth, pred = truth - offset, pred - offset
  # Poor predictions may leave the picture, but not shrink everything else.
  both = draw.page_size(np.concatenate([truth, pred]))
  size = tuple(np.minimum(both, 1.25 * np.asarray(draw.page_size(truth))))
  half = 0.55 * np.ptp(points, axis=1).max(0)

  figure = Figure(figsize=(2.1 * columns + 0.4, 7.6), dpi=120, facecolor="white")
  axes = figure.subplots(3, columns, squeeze=False)
  figure.subplots_adjust(0.035, 0.045, 0.995, 0.895, 0.02, 0.02)
  for i, (frame, rank) in enumerate(zip(frames[chosen], ranks, strict=True)):
    top, *below = axes[:, i]
    draw.skeleton_2d(top, points[i], skeleton)
    draw.show_points(top, points[i : i + 1], half)
    action = data.views[data.run_of_frame[frame]].action
    top.set_title(
      f"{action}\n{error[i]:.0f} mm (percentile {100 * rank:.0f})", fontsize=9
    )
    for ax, azimuth in zip(below, draw.VIEWS.values(), strict=True):
      draw.stage(ax, azimuth, size)
      draw.skeleton_3d(ax, pred[i], skeleton, azimuth=azimuth)
      draw.skeleton_3d(ax, truth[i], skeleton, azimuth=azimuth, **draw.GHOST)
  for row, label in enumerate(("2D input", *(f"3D, {name}" for name in draw.VIEWS))):
    height = np.mean(axes[row, 0].get_position().intervaly)
    figure.text(0.012, height, label, rotation=90, va="center", fontsize=9)
  figure.suptitle(title, fontsize=12, y=0.985)
  draw.legend(figure, truth=True)
  figure.savefig(path)
