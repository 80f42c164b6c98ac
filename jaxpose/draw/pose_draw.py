"""Pictures and animations of poses with matplotlib: input, prediction, ground truth.

3D poses are drawn in a parallel projection above a floor grid of 0.5 m. They are in a
camera's frame (x right, y down, z forward), so up on the page is the camera's up, and
each pose stands on its lowest joint: root-relative poses have no height of their own.
Animations are written as GIF or MP4.
"""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from jaxpose.data.pose_data import PoseData
from jaxpose.files import video_files
from jaxpose.files import whole_files
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
  right, away = x * np.cos(a) + z * np.sin(a), z * np.cos(a) - x * np.sin(a)
  turned = [up * np.cos(e) + away * np.sin(e), away * np.cos(e) - up * np.sin(e)]
  return np.stack([right, *turned], -1)


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


def offset_to_floor(
  joints: Float[np.ndarray, "n j 3"], *, still: bool = False
) -> Float[np.ndarray, "n 1 3"]:
  """(n, 1, 3) to subtract: poses then stand on y = 0, above the middle of the floor.

  With `still` the floor's middle is that of the whole clip, so nothing slides.
  """
  low, high = joints.min(1, keepdims=True), joints.max(1, keepdims=True)
  floor = high[..., 1]
  if still:
    low, high = low.min(0, keepdims=True), high.max(0, keepdims=True)
  x, _, z = np.moveaxis((low + high) / 2, -1, 0)
  return np.stack(np.broadcast_arrays(x, floor, z), -1)


def page_size(joints: Float[np.ndarray, "n j 3"]) -> tuple[float, float]:
  """Half the width and the height in which `VIEWS` show all of these poses."""
  pages = np.stack([project(joints, azimuth) for azimuth in VIEWS.values()])
  width = max(np.abs(pages[..., 0]).max() + 0.05, 0.9)
  return float(width), float(pages[..., 1].max()) + 0.1


def stage(ax, azimuth: float, size: tuple[float, float]) -> None:
  """A floor, and the part of the page that `size` says above it."""
  ticks = np.linspace(-0.75, 0.75, 4)
  lines = [[(t, 0, s) for s in ticks[[0, -1]]] for t in ticks]
  lines += [[(s, 0, t) for s in ticks[[0, -1]]] for t in ticks]
  page = project(np.asarray(lines), azimuth)[..., :2]
  ax.add_collection(LineCollection(page, color=FLOOR, lw=0.8, zorder=0), autolim=False)
  _show(ax, (-size[0], size[0]), (-0.25, size[1]))


def _show(ax, x, y) -> None:
  """Fits these (low, high) into the axes, where it now lies, with equal scales."""
  box = ax.get_window_extent()
  unit = max((x[1] - x[0]) / box.width, (y[1] - y[0]) / box.height) / 2
  ax.set_xlim(sum(x) / 2 - unit * box.width, sum(x) / 2 + unit * box.width)
  ax.set_ylim(sum(y) / 2 - unit * box.height, sum(y) / 2 + unit * box.height)
  ax.set_axis_off()


def show_points(ax, points: Float[np.ndarray, "n j 2"], half=None) -> None:
  """Image points in the middle of `half` a width and a height, or of what they need."""
  low, high = np.nanmin(points, (0, 1)), np.nanmax(points, (0, 1))
  x, y = (low + high) / 2
  half = np.maximum(0.53 * (high - low) if half is None else half, 1e-3)
  _show(ax, (x - half[0], x + half[0]), (-y - half[1], -y + half[1]))


def legend(figure: Figure, truth: bool) -> None:
  """What the colours are, below the axes; with `truth` the dashes too."""
  names = {"left": LEFT, "right": RIGHT, "trunk": MIDDLE}
  handles = [Line2D([], [], color=c, lw=2.6, label=name) for name, c in names.items()]
  if truth:
    line = Line2D([], [], color=GHOST["color"], lw=1.5, ls=GHOST["ls"], label="truth")
    handles.append(line)
  figure.legend(
    handles=handles, loc="lower center", ncols=4, fontsize=9, frameon=False, borderpad=0
  )


def animation(
  path: str | os.PathLike,
  joints_3d: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  *,
  keypoints_2d: Float[np.ndarray, "n k 2"] | None = None,
  keypoints_skeleton: Skeleton | None = None,
  truth: Float[np.ndarray, "m l 3"] | None = None,
  fps: float | int = 50,
  title: str = "",
) -> None:
  """Writes a GIF or MP4 of a motion from the camera's view and from the side.

  Plays at the speed of life: a GIF counts time in 1/100 s and shows at most 25 frames
  each second, so it takes the frames nearest to these times.

  Args:
    path: ends in `.gif`, or in `.mp4`, which needs `pip install 'jaxpose[video]'`.
    joints_3d: camera frame, metres.
    skeleton: of the joints.
    keypoints_2d: the input, drawn beside them (pixels or normalised, y down).
    keypoints_skeleton: of the keypoints, where it is another.
    truth: drawn dashed over `joints_3d`.
    fps: frames per second of the arrays.
    title: above the picture.

  Raises:
    ValueError: another ending, or arrays that do not fit.
    ImportError: no PyAV for an `.mp4`.
  """
  path = pathlib.Path(path)
  joints_3d = checked(joints_3d, skeleton)
  if not fps > 0:
    raise ValueError(f"got fps={fps}, expected a positive frame rate.")
  check_movie(path)
  panels = _Panels(
    joints_3d, skeleton, keypoints_2d, keypoints_skeleton or skeleton, truth, title
  )
  with whole_files.unfinished(path, overwrite=True) as temporary:
    write_movie(temporary, panels.figure, panels.show, len(joints_3d), fps)


class _Panels:
  """The figure of an animation, set to one frame after the other."""

  def __init__(
    self, joints_3d, skeleton, keypoints_2d, keypoints_skeleton, truth, title
  ):
    bodies = [joints_3d]
    if truth is not None:
      bodies.append(checked(truth, skeleton, 3, len(joints_3d)))
    offset = offset_to_floor(joints_3d, still=True)
    bodies = [body - offset for body in bodies]
    columns = len(VIEWS) + (keypoints_2d is not None)
    self.figure = Figure(figsize=(3.2 * columns, 3.9), dpi=100, facecolor="white")
    FigureCanvasAgg(self.figure)
    axes = list(self.figure.subplots(1, columns, squeeze=False)[0])
    self.figure.subplots_adjust(0.01, 0.08, 0.99, 0.85 if title else 0.92, 0.02, 0)
    self.figure.suptitle(title, fontsize=12, y=0.985)
    legend(self.figure, truth is not None)

    self._moving = []  # lines, and their page points in every frame
    if keypoints_2d is not None:
      points = checked(keypoints_2d, keypoints_skeleton, 2, len(joints_3d))
      ax = axes.pop(0)
      show_points(ax, points)
      ax.set_title("2D input", fontsize=10)
      self._moving.append((_Lines(ax, keypoints_skeleton), points * [1, -1]))
    size = page_size(bodies[0])
    for ax, (name, azimuth) in zip(axes, VIEWS.items(), strict=True):
      stage(ax, azimuth, size)
      ax.set_title(f"3D, {name}", fontsize=10)
      shadow = _Lines(ax, skeleton, color=SHADOW, lw=4, zorder=1)
      self._moving.append((shadow, project(bodies[0] * [1, 0, 1], azimuth)))
      for body, style in zip(bodies, ({}, GHOST), strict=False):
        self._moving.append((_Lines(ax, skeleton, **style), project(body, azimuth)))

  def show(self, frame: int) -> None:
    """Moves every skeleton to a frame."""
    for lines, page in self._moving:
      lines.show(page[frame])


def checked(points, skeleton: Skeleton, c: int = 3, frames: int | None = None):
  """Points of the right shape; in 2D NaN stands for what was not seen."""
  expected = (len(points) if frames is None else frames, skeleton.num_joints, c)
  if points.shape != expected or not points.size:
    want = f"({'frames' if frames is None else frames}, {expected[1]}, {c})"
    raise ValueError(
      f"got an array of shape {points.shape}, expected {want} for the skeleton "
      f"{skeleton.name!r}, with at least one frame."
    )
  finite = np.isfinite(points)
  if not (finite.all() if c == 3 else finite.any()):
    raise ValueError(
      "got NaN or infinite joints, expected numbers in every frame; draw the frames "
      "that are valid."
    )
  return np.where(finite, points, np.nan)


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
  poses = checked(poses, skeleton, 3, len(frames))
  truth = np.asarray(data.frames["joints_3d"])[frames]
  truth = truth - truth[:, skeleton.root, None]
  pred = poses - poses[:, skeleton.root, None]
  error = 1000 * np.linalg.norm(pred - truth, axis=-1).mean(-1)
  ranks = np.linspace(0.05, 0.95, columns) if columns > 1 else np.asarray([0.5])
  chosen = np.argsort(error)[np.rint(ranks * (len(error) - 1)).astype(int)]
  truth, pred, error = truth[chosen], pred[chosen], error[chosen]
  points = np.asarray(data.frames["keypoints_2d"])[frames[chosen]]
  offset = offset_to_floor(truth)
  truth, pred = truth - offset, pred - offset
  # Poor predictions may leave the picture, but not shrink everything else.
  both = page_size(np.concatenate([truth, pred]))
  size = tuple(np.minimum(both, 1.25 * np.asarray(page_size(truth))))
  half = 0.55 * np.ptp(points, axis=1).max(0)

  figure = Figure(figsize=(2.1 * columns + 0.4, 7.6), dpi=120, facecolor="white")
  axes = figure.subplots(3, columns, squeeze=False)
  figure.subplots_adjust(0.035, 0.045, 0.995, 0.895, 0.02, 0.02)
  for i, (frame, rank) in enumerate(zip(frames[chosen], ranks, strict=True)):
    top, *below = axes[:, i]
    skeleton_2d(top, points[i], skeleton)
    show_points(top, points[i : i + 1], half)
    action = data.views[data.run_of_frame[frame]].action
    top.set_title(
      f"{action}\n{error[i]:.0f} mm (percentile {100 * rank:.0f})", fontsize=9
    )
    for ax, azimuth in zip(below, VIEWS.values(), strict=True):
      stage(ax, azimuth, size)
      skeleton_3d(ax, pred[i], skeleton, azimuth=azimuth)
      skeleton_3d(ax, truth[i], skeleton, azimuth=azimuth, **GHOST)
  for row, label in enumerate(("2D input", *(f"3D, {name}" for name in VIEWS))):
    height = np.mean(axes[row, 0].get_position().intervaly)
    figure.text(0.012, height, label, rotation=90, va="center", fontsize=9)
  figure.suptitle(title, fontsize=12, y=0.985)
  legend(figure, truth=True)
  figure.savefig(path)


def check_movie(path: pathlib.Path) -> None:
  """Whether the file could be written.

  Raises:
    ValueError: it ends neither in .gif nor in .mp4.
    ImportError: it ends in .mp4, and PyAV is not installed.
  """
  if path.suffix not in (".gif", ".mp4"):
    raise ValueError(
      f"got the file {path.name!r}, expected one ending in .gif or .mp4."
    )
  if path.suffix == ".mp4":
    video_files.pyav()


def write_movie(
  path: str | os.PathLike,
  figure: Figure,
  show: Callable[[int], object],
  count: int,
  fps: float | int,
) -> None:
  """Writes a figure that `show` sets to one frame after the other.

  Plays at the speed of life: a GIF counts time in 1/100 s and shows at most 25 frames
  each second, so it takes the frames nearest to these times.

  Args:
    path: as `check` wants it.
    figure: to draw.
    show: called with frame numbers, which rise but need not be all.
    count: frames there are.
    fps: frames per second.
  """
  path = pathlib.Path(path)
  if path.suffix == ".mp4":
    _write_mp4(path, _pictures(figure, show, range(count)), fps)
    return
  delay = max(round(100 / fps), 4)  # 1/100 s
  times = np.arange(0, count / fps, delay / 100)
  frames = np.minimum(np.floor(times * fps + 1e-6).astype(int), count - 1)
  pictures = in_a_palette(_pictures(figure, show, frames.tolist()))
  first = next(pictures)
  first.save(path, save_all=True, append_images=pictures, duration=10 * delay, loop=0)


def _write_mp4(path: pathlib.Path, pictures: Iterator[np.ndarray], fps) -> None:
  first = next(pictures)
  height, width = (length - length % 2 for length in first.shape[:2])
  with video_files.Encoder(path, (width, height), fps) as encoder:
    encoder.add(first[:height, :width])
    for picture in pictures:
      encoder.add(picture[:height, :width])


def _pictures(figure, show, frames: Iterable[int]) -> Iterator[np.ndarray]:
  """(height, width, 3) RGB of the frames."""
  canvas = FigureCanvasAgg(figure)
  for frame in frames:
    show(frame)
    canvas.draw()
    yield np.asarray(canvas.buffer_rgba())[..., :3]


def in_a_palette(pictures: Iterator[np.ndarray]) -> Iterator[Image.Image]:
  """The pictures in 128 colours, those of the first one."""
  palette = None
  for pixels in pictures:
    picture = Image.fromarray(pixels)
    palette = palette or picture.quantize(128, Image.Quantize.FASTOCTREE)
    yield picture.quantize(palette=palette, dither=Image.Dither.NONE)
