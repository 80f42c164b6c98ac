"""Pictures of predicted bodies beside the ground truth, as PNG files."""

import os

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8
from matplotlib.figure import Figure

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import Body
from jaxpose.data.pose_data import PoseData
from jaxpose.draw import pose_draw
from jaxpose.draw import render

SIZE = 300  # pixels of a picture's side
VIEWS = {"": 0.0, ", from the side": 90.0}  # degrees about y
PREDICTED, TRUE = (0.45, 0.62, 0.86), (0.72, 0.72, 0.72)
_FAR = 9.0  # metres to the camera, whose long lens hardly shows perspective


def picture(
  vertices: Float[np.ndarray, "m 3"],
  faces: np.ndarray,
  *,
  azimuth: float = 0.0,
  color: tuple[float, float, float] = PREDICTED,
  span: float = 2.1,
) -> UInt8[np.ndarray, "h w 3"]:
  """A body before white, `SIZE` pixels high and wide.

  Args:
    vertices: metres in a camera's frame (x right, y down), about the origin.
    faces: corners of the triangles.
    azimuth: degrees by which the body is turned about its upright axis.
    color: of the body.
    span: metres from edge to edge.
  """
  turn = geometry.euler_to_matrix(np.radians([azimuth]), "y")
  points = (vertices @ turn.T + [0, 0, _FAR]).astype(np.float32)
  focal = SIZE * _FAR / span
  intrinsics = np.asarray([focal, focal, SIZE / 2, SIZE / 2, 0, 0, 0, 0, 0], np.float32)
  white = np.full((SIZE, SIZE, 3), 255, np.uint8)
  return render.draw_mesh(white, points, faces, intrinsics, color=color)


def comparison(
  path: str | os.PathLike,
  data: PoseData,
  body: Body,
  predicted: tuple[np.ndarray, np.ndarray],
  truth: tuple[np.ndarray, np.ndarray],
  frames: np.ndarray,
  error: Float[np.ndarray, " m"],
  *,
  title: str = "",
  columns: int = 6,
) -> None:
  """Writes a PNG of input, predicted and true bodies for frames spread over a split.

  Frames are taken at evenly spaced ranks of their error, so that the picture shows the
  best, the typical and the bad alike.

  Args:
    path: of the picture.
    data: the split, in spin49.
    body: that both move.
    predicted: rotations (m, 24, 3, 3) and betas (m, s).
    truth: likewise.
    frames: (m,) numbers of the frames in the split.
    error: of each, metres; what they are ranked by.
    title: over all.
    columns: number of frames.
  """
  ranks = np.linspace(0.05, 0.95, columns)
  chosen = np.argsort(error)[np.rint(ranks * (len(error) - 1)).astype(int)]
  coco = skeletons.get("coco17")
  spin = [skeletons.get("spin49").index(joint) for joint in coco.joints]
  figure = Figure(figsize=(1.75 * columns + 0.3, 9.4), dpi=100, facecolor="white")
  axes = figure.subplots(1 + 2 * len(VIEWS), columns, squeeze=False)
  figure.subplots_adjust(0.035, 0.01, 0.995, 0.905, 0.02, 0.02)
  for i, m in enumerate(chosen):
    points = np.asarray(data.frames["keypoints_2d"])[frames[m]][spin]
    pose_draw.skeleton_2d(axes[0, i], points, coco, lw=1.5)
    pose_draw.show_points(axes[0, i], points[None])
    action = data.views[data.run_of_frame[frames[m]]].action
    note = f"{1000 * error[m]:.0f} mm (percentile {100 * ranks[i]:.0f})"
    axes[0, i].set_title(f"{action}\n{note}", fontsize=8)
    for r, (row, color) in enumerate(((predicted, PREDICTED), (truth, TRUE))):
      vertices = bodies.pose(body, row[0][m : m + 1], row[1][m : m + 1]).vertices[0]
      vertices = vertices - (vertices.min(0) + vertices.max(0)) / 2
      for v, azimuth in enumerate(VIEWS.values()):
        image = picture(vertices, body.faces, azimuth=azimuth, color=color)
        axes[1 + 2 * v + r, i].imshow(image)
  for ax in axes.flat:
    ax.axis("off")
  labels = ["2D input"] + [f"{who}{v}" for v in VIEWS for who in ("predicted", "true")]
  for row, label in enumerate(labels):
    height = np.mean(axes[row, 0].get_position().intervaly)
    figure.text(0.01, height, label, rotation=90, va="center", fontsize=8)
  figure.suptitle(title, fontsize=11, y=0.985)
  figure.savefig(path)
