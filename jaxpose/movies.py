"""Figures that move, to GIF and MP4 files."""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from jaxpose import video_encoder


def check(path: pathlib.Path) -> None:
  """Whether the file could be written.

  Raises:
    ValueError: it ends neither in .gif nor in .mp4.
    ImportError: it ends in .mp4, and there is no ffmpeg.
  """
  if path.suffix not in (".gif", ".mp4"):
    raise ValueError(
      f"got the file {path.name!r}, expected one ending in .gif or .mp4."
    )
  if path.suffix == ".mp4":
    video_encoder.ffmpeg()


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
  with video_encoder.Encoder(path, (width, height), fps) as encoder:
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
