"""Figures that move, to GIF and MP4 files."""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
from matplotlib import animation as mpl_animation
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


def check(path: pathlib.Path) -> None:
  """ValueError for another ending than .gif or .mp4, or without ffmpeg for an .mp4."""
  if path.suffix not in (".gif", ".mp4"):
    raise ValueError(
      f"got the file {path.name!r}, expected one ending in .gif or .mp4."
    )
  if path.suffix == ".mp4" and not mpl_animation.writers.is_available("ffmpeg"):
    raise ValueError(
      f"cannot write {path.name!r}: matplotlib finds no ffmpeg; install ffmpeg, or "
      "write a .gif."
    )


def write(
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
    writer = mpl_animation.FFMpegWriter(fps=fps)
    with writer.saving(figure, path, figure.dpi):
      for frame in range(count):
        show(frame)
        writer.grab_frame()
    return
  delay = max(round(100 / fps), 4)  # 1/100 s
  times = np.arange(0, count / fps, delay / 100)
  frames = np.minimum(np.floor(times * fps + 1e-6).astype(int), count - 1)
  pictures = _pictures(figure, show, frames.tolist())
  first = next(pictures)
  first.save(path, save_all=True, append_images=pictures, duration=10 * delay, loop=0)


def _pictures(figure, show, frames: list[int]) -> Iterator[Image.Image]:
  """The frames in a palette of 128 colours."""
  pixels = FigureCanvasAgg(figure).buffer_rgba
  palette = None
  for frame in frames:
    show(frame)
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(pixels())[..., :3])
    palette = palette or picture.quantize(128, Image.Quantize.FASTOCTREE)
    yield picture.quantize(palette=palette, dither=Image.Dither.NONE)
