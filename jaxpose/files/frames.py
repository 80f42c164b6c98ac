"""Frames of a video file or of a folder of pictures, one after the other."""

import os
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# Options of ffmpeg: each frame comes with its size, as a PPM picture, to stdout.
AS_PICTURES = (
  *("-map", "0:v:0", "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "-"),
)
AS_THEY_ARE = ("-fps_mode", "passthrough")  # neither doubled nor left out


class Folder:
  """The pictures of a folder in the order of the numbers in their names.

  Attributes:
    path: of the folder.
    fps: frames per second.
    image_size: (width, height) in pixels, of the first picture and so of all.
  """

  def __init__(self, path: pathlib.Path, fps: float | None):
    """Looks at the names and at the first picture."""
    if fps is None:
      raise ValueError(
        f"{path} is a folder of frames, whose frame rate is not in the files; say the "
        "frames per second with --fps, such as --fps=25."
      )
    self.path, self.fps = path, float(fps)
    found = (p for p in path.iterdir() if p.suffix.lower() in PICTURES)
    self._files = sorted(found, key=_natural)
    if not self._files:
      raise ValueError(
        f"{path}: got a folder without pictures, expected frames such as 000001.jpg "
        f"({', '.join(PICTURES)})."
      )
    height, width, _ = self._read(self._files[0]).shape
    self.image_size = (width, height)

  def count(self, exact: bool = False) -> int:
    """Number of frames."""
    return len(self._files)

  def read(self, wanted: np.ndarray | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """(number, RGB) of each frame, or of those for which `wanted` is true."""
    for i, path in enumerate(self._files):
      if wanted is None or (i < len(wanted) and wanted[i]):
        yield i, self._read(path)

  def _read(self, path: pathlib.Path) -> np.ndarray:
    try:
      with Image.open(path) as picture:
        frame = np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
      raise ValueError(
        f"{path}: not a picture that can be read ({_one_line(error)}); replace it."
      ) from error
    height, width, _ = frame.shape
    size = getattr(self, "image_size", (width, height))
    if (width, height) != size:
      raise ValueError(
        f"{path}: got a picture of {width} x {height} pixels, expected {size[0]} x "
        f"{size[1]} as the first one in the folder; keep each camera in its folder."
      )
    return frame


class Video:
  """A video file, decoded by ffmpeg; frame i is the i-th that the file holds.

  Frames are neither doubled nor dropped to even out the frame rate, unless `even` is
  asked for and the rate varies; then frame i is the one shown at i / fps.

  Attributes:
    path: of the file.
    fps: frames per second, the file's own unless given.
    image_size: (width, height) in pixels, turned as the file asks for.
    evened: how the rate varies, in words; empty where frames are as in the file.
  """

  def __init__(self, path: pathlib.Path, fps: float | None, even: bool = False):
    """Reads the file's header and first frame; for `even` the times of all frames."""
    self.path, self._ffmpeg = path, ffmpeg()
    self.evened, self._rate = "", AS_THEY_ARE
    # Only a frame tells whether ffmpeg has the codec, and the size after turning.
    first = next(self.read(), None)
    if first is None:
      raise _unreadable(path, "it holds no frame")
    height, width, _ = first[1].shape
    self.image_size = (width, height)
    said = re.search(rb"Video:.*?([\d.]+) fps", self._run().stderr)
    self.fps = float(fps or (said[1] if said else 0))
    if not self.fps > 0:
      raise ValueError(
        f"{path}: the file does not say its frame rate; give it with --fps."
      )
    times = self.varying() if even and fps is None else None
    if times is not None:
      self._even(times)

  def count(self, exact: bool = False) -> int:
    """Number of frames: of the packets in the file, or, `exact`, by decoding it."""
    how = self._rate if exact or self.evened else ("-c", "copy")
    done = self._run("-map", "0:v:0", *how, "-f", "null", "-")
    found = re.findall(rb"frame=\s*(\d+)", done.stderr)
    return int(found[-1]) if found else 0

  def read(self, wanted: np.ndarray | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """(number, RGB) of each frame, or of those for which `wanted` is true."""
    last = None if wanted is None else np.flatnonzero(wanted).max(initial=-1)
    with tempfile.TemporaryFile() as said:
      process = subprocess.Popen(
        [self._ffmpeg, "-v", "error", "-nostdin", *self._options()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
        start_new_session=True,  # Ctrl-C is for us alone
      )
      try:
        i = 0
        for frame in pictures(process.stdout):
          if wanted is None or (i < len(wanted) and wanted[i]):
            yield i, frame
          i += 1
          if last is not None and i > last:
            break
        if i == 0 and last != -1:
          said.seek(0)
          raise _unreadable(self.path, said.read().decode(errors="replace"))
      finally:
        process.kill()
        process.stdout.close()
        process.wait()

  def _options(self) -> list[str]:
    return ["-i", str(self.path), *self._rate, *AS_PICTURES]

  def varying(self) -> np.ndarray | None:
    """Times of the frames in the file if one lies more than a frame from its place."""
    said = self._run("-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-").stdout
    unit = re.search(rb"#tb 0: (\d+)/(\d+)", said)
    ticks = re.findall(rb"(?m)^0, *-?\d+, *(-?\d+),", said)  # not decoded
    if not unit or len(ticks) < 3:
      return None
    times = np.sort(np.float64(ticks)) * int(unit[1]) / int(unit[2])
    even = np.linspace(times[0], times[-1], len(times))
    return times if np.abs(times - even).max() > even[1] - even[0] > 0 else None

  def _even(self, times: np.ndarray) -> None:
    """Makes the rate constant: that of the usual distance between frames."""
    apart = np.diff(times)
    apart = apart[apart > 0]
    self.fps = round(1 / float(np.median(apart)), 3)
    count = round((times[-1] - times[0]) * self.fps) + 1  # the last one is shown once
    rate = ("-fps_mode", "cfr", "-r", f"{self.fps:g}", "-frames:v", str(count))
    # Sound that begins before the pictures would be filled with the first of them.
    self._rate = ("-vf", "setpts=PTS-STARTPTS", *rate)
    low, high = 1 / np.percentile(apart, [95, 5])
    self.evened = (
      f"The frame rate of {self.path.name} varies ({low:.3g} to {high:.3g} frames/s): "
      f"frames were doubled or left out, so that there are {self.fps:g} a second."
    )

  def _run(self, *options: str) -> subprocess.CompletedProcess:
    command = [self._ffmpeg, "-hide_banner", "-nostdin", "-i", str(self.path), *options]
    return subprocess.run(command, capture_output=True, check=False)


def _unreadable(path: pathlib.Path, said: str) -> ValueError:
  """With the last thing that ffmpeg complained of."""
  lines = [line.strip() for line in said.splitlines() if line.strip()]
  reasons = [
    line for line in lines if re.search(r"(?i)error|invalid|unknown|no ", line)
  ]
  reason = (reasons or lines or ["it gives no reason"])[-1][:160].rstrip(".")
  return ValueError(
    f"{path}: not a video that ffmpeg can read ({reason}); convert it, for instance to "
    "H.264 in an .mp4 file."
  )


def open_source(
  path: str | os.PathLike, fps: float | None = None, *, even: bool = False
) -> Folder | Video:
  """The frames at a path.

  Args:
    path: a video file, or a folder of pictures.
    fps: frames per second; needed for a folder, else the file's own.
    even: make the rate of a video constant if it varies, unless `fps` is given.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: it is a single picture, or cannot be read.
    ImportError: the package that decodes videos is not installed.
  """
  path = pathlib.Path(path).expanduser()
  if path.is_dir():
    return Folder(path, fps)
  if not path.exists():
    raise FileNotFoundError(f"{path}: no such file; expected a video or a folder.")
  if _is_picture(path):
    raise ValueError(
      f"{path} is a picture, expected a video or a folder of frames; put the frames in "
      "a folder and give that."
    )
  return Video(path, fps, even)


def _is_picture(path: pathlib.Path) -> bool:
  try:
    with Image.open(path) as picture:
      animated = getattr(picture, "is_animated", False)
      return picture.format != "MPEG" and not animated
  except (OSError, SyntaxError, ValueError):
    return False


def ffmpeg() -> str:
  """Path of the package's ffmpeg; ImportError without it."""
  try:
    import imageio_ffmpeg
  except ImportError as error:
    raise ImportError(
      "videos are decoded by ffmpeg, which is not installed; run "
      "pip install 'jaxpose[video]', or give a folder of frames."
    ) from error
  return imageio_ffmpeg.get_ffmpeg_exe()


def pictures(stream: BinaryIO) -> Iterator[np.ndarray]:
  """Frames that ffmpeg writes with `AS_PICTURES`; a half one at the end is left out."""
  while stream.readline() == b"P6\n":
    width, height = map(int, stream.readline().split())
    stream.readline()
    raw = stream.read(3 * width * height)
    if len(raw) < 3 * width * height:
      return
    yield np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def _natural(path: pathlib.Path) -> list:
  """Sorts frame_2 before frame_10."""
  words = re.split(r"(\d+)", path.name)
  return [int(w) if i % 2 else w for i, w in enumerate(words)]


def _one_line(error: Exception) -> str:
  return " ".join(str(error).split())[:160].rstrip(".")
