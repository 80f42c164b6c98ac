"""Videos, read and written frame by frame with PyAV, and folders of pictures.

from jaxpose.files import video_files

source = video_files.open_source("walk.mp4")
with video_files.Encoder("copy.mp4", source.image_size, source.fps) as encoder:
  for number, frame in source.read():
    encoder.add(frame)
"""

import contextlib
import fractions
import itertools
import os
import pathlib
import re
import time
import types
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL import UnidentifiedImageError

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_DIAGONAL = 43.267  # mm, of the 36 x 24 mm frame that equivalents refer to
_EXIF, _EQUIVALENT = 0x8769, 0xA405  # FocalLengthIn35mmFilm
_QUICKTIME = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


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

  def equivalent_mm(self) -> float | None:
    """Focal length as of a 35 mm camera, if the first picture says it in its EXIF."""
    try:
      with Image.open(min(self._files)) as picture:
        return _positive(picture.getexif().get_ifd(_EXIF).get(_EQUIVALENT))
    except (OSError, SyntaxError, TypeError, ValueError):
      return None

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
  """A video file; frame i is the i-th that the file holds.

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
    self.path, self.evened = path, ""
    # Only a frame tells whether there is a decoder, and the size after turning.
    height, width, _ = next(self.read())[1].shape
    self.image_size = (width, height)
    with self._opened() as stream:
      self.fps = float(fps or stream.average_rate or 0)
      self._unit = float(stream.time_base)  # seconds that times in the file count
      self._metadata = stream.container.metadata | stream.metadata
    if not self.fps > 0:
      raise ValueError(
        f"{path}: the file does not say its frame rate; give it with --fps."
      )
    times = self.varying() if even and fps is None else None
    if times is not None:
      self._even(times)

  def count(self, exact: bool = False) -> int:
    """Number of frames: of the packets in the file, or, `exact`, by decoding it."""
    if self.evened:
      return self._count
    return sum(1 for _ in self._decoded()) if exact else len(self._ticks())

  def read(self, wanted: np.ndarray | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """(number, RGB) of each frame, or of those for which `wanted` is true."""
    end = None if wanted is None else np.flatnonzero(wanted).max(initial=-1) + 1
    rgb = Rgb()
    frames = self._decoded()
    if self.evened:
      frames = itertools.islice(self._in_time(), self._count)
    for i, frame in enumerate(itertools.islice(frames, end)):
      if wanted is None or wanted[i]:
        yield i, rgb(frame)

  def varying(self) -> np.ndarray | None:
    """Times of the frames in the file if one lies more than a frame from its place."""
    times = np.sort([t for t in self._ticks() if t is not None]) * self._unit
    if len(times) < 3:
      return None
    even = np.linspace(times[0], times[-1], len(times))
    return times if np.abs(times - even).max() > even[1] - even[0] > 0 else None

  def equivalent_mm(self) -> float | None:
    """Focal length as of a 35 mm camera, if the file has QuickTime's tag for it."""
    return _positive(self._metadata.get(_QUICKTIME))

  @contextlib.contextmanager
  def _opened(self) -> Iterator:
    try:
      with opened(f"file:{self.path}") as stream:
        stream.thread_type = "AUTO"
        yield stream
    except ValueError as error:
      raise ValueError(
        f"{self.path}: not a video that ffmpeg can read ({error}); convert it, for "
        "instance to H.264 in an .mp4 file."
      ) from error

  def _ticks(self) -> list[int | None]:
    """Times of the frames as stored, without decoding them."""
    with self._opened() as stream:
      return [packet.pts for packet in _packets(stream) if not packet.is_discard]

  def _decoded(self) -> Iterator:
    with self._opened() as stream:
      yield from decoded(stream)

  def _even(self, times: np.ndarray) -> None:
    """Makes the rate constant: that of the usual distance between frames."""
    apart = np.diff(times)
    apart = apart[apart > 0]
    self.fps = round(1 / float(np.median(apart)), 3)
    self._start = times[0]
    self._count = round((times[-1] - times[0]) * self.fps) + 1  # the last is shown once
    low, high = 1 / np.percentile(apart, [95, 5])
    self.evened = (
      f"The frame rate of {self.path.name} varies ({low:.3g} to {high:.3g} frames/s): "
      f"frames were doubled or left out, so that there are {self.fps:g} a second."
    )

  def _in_time(self) -> Iterator:
    """Each frame until the next comes, `fps` a second; up to one early or late."""
    number, shown = 0, None
    for frame in self._decoded():
      late = 0.0
      if frame.pts is not None:
        late = (frame.pts * self._unit - self._start) * self.fps - number
      again = round(late) if late > 1 else 0
      yield from itertools.repeat(shown or frame, again)
      number, shown = number + again, frame
      if late > -1:
        yield frame
        number += 1
    yield from itertools.repeat(shown, self._count - number)


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
    ImportError: PyAV is not installed.
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


def pyav() -> types.ModuleType:
  """The package `av`; ImportError without it."""
  try:
    import av
  except ImportError as error:
    raise ImportError(
      "videos are read and written by PyAV, which is not installed; run "
      "pip install 'jaxpose[video]', or give a folder of frames."
    ) from error
  return av


@contextlib.contextmanager
def opened(name: str, **options) -> Iterator:
  """The first video stream of a file, an address or a device, for a `with` block.

  Args:
    name: as FFmpeg knows it.
    **options: of `av.open`.

  Raises:
    ValueError: it cannot be opened, or has no stream that can be decoded; why.
    ImportError: PyAV is not installed.
  """
  av = pyav()
  if int(av.__version__.partition(".")[0]) < 19:  # those refuse tags that are not UTF-8
    options["metadata_errors"] = "replace"
  try:
    container = av.open(name, **options)
  except av.FFmpegError as error:
    raise ValueError(error.strerror) from error
  with container:
    stream = next(iter(container.streams.video), None)
    if stream is None:
      raise ValueError("it holds no pictures")
    if stream.codec_context is None:
      raise ValueError("no decoder for its codec")
    yield stream


def decoded(stream) -> Iterator:
  """The frames of a stream as PyAV has them; those that are damaged are left out.

  Raises:
    ValueError: there is none; why.
  """
  av, empty, said = pyav(), True, "it holds no frame"
  for packet in itertools.chain(_packets(stream), [None]):
    try:
      frames = stream.decode(packet)
    except av.FFmpegError as error:
      said = error.strerror
      continue
    yield from frames
    empty = empty and not frames
  if empty:
    raise ValueError(said)


def _packets(stream) -> Iterator:
  """Up to the end, or to where the file is cut off."""
  av, damaged = pyav(), []
  while True:
    try:
      for packet in stream.container.demux(stream):
        if not packet.size:
          continue
        yield from damaged
        # As the last it would cost the frames that the decoder's threads still hold.
        damaged = [packet] if packet.is_corrupt else []
        if not damaged:
          yield packet
      return
    except av.error.BlockingIOError:  # a Mac's camera, between two pictures
      time.sleep(0.002)
    except (av.FFmpegError, IndexError):  # the latter of streams that damage makes up
      return


class Rgb:
  """Makes RGB pictures of decoded frames, turned and mirrored as the file asks for."""

  def __init__(self):
    self._kind, self._graph, self._matrix = None, None, None

  def __call__(self, frame) -> UInt8[np.ndarray, "h w 3"]:
    """The picture of a frame."""
    kind = (frame.width, frame.height, frame.format.name)
    if kind != self._kind:
      # Unlike `frame.reformat` it is right for 10 bits and for interlaced colours.
      graph = pyav().filter.Graph()
      start = graph.add_buffer(None, *kind, time_base=fractions.Fraction(1))
      graph.link_nodes(start, graph.add("format", "rgb24"), graph.add("buffersink"))
      graph.configure()
      self._kind, self._graph = kind, graph
      # Asked once: it leaves a cycle that keeps the frame until Python collects.
      self._matrix = frame.side_data.get("DISPLAYMATRIX")
    self._graph.push(frame)
    picture = self._graph.pull().to_ndarray()
    if self._matrix is None:
      return picture
    a, b, _, c, d = np.frombuffer(self._matrix, np.int32)[:5]  # (ax + cy, bx + dy)
    if abs(b) > abs(a):
      picture, a, d = picture.swapaxes(0, 1), c, b
    return np.ascontiguousarray(picture[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


class Encoder:
  """Writes H.264 into an mp4, for a `with` block."""

  def __init__(self, path: pathlib.Path, size: tuple[int, int], fps):
    """Opens the file.

    Args:
      path: of the file, written over if it is there.
      size: (width, height) of the frames, even numbers.
      fps: frames per second.

    Raises:
      ImportError: PyAV is not installed.
    """
    self._av = pyav()
    rate = fractions.Fraction(float(fps)).limit_denominator(100_000)
    with self._complaints():
      self._container = self._av.open(
        f"file:{path}", "w", "mp4", options={"movflags": "faststart"}
      )
      self._stream = self._container.add_stream(
        "libx264", rate, options={"preset": "veryfast", "crf": "19"}
      )
    self._stream.width, self._stream.height = size
    self._stream.pix_fmt = "yuv420p"

  def add(self, picture: np.ndarray) -> None:
    """The next frame, (height, width, 3) RGB.

    Raises:
      OSError: it cannot be written.
    """
    frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))
    with self._complaints():
      self._container.mux(self._stream.encode(frame))

  def __enter__(self):
    return self

  def __exit__(self, kind, error, trace):
    with self._complaints() if kind is None else contextlib.suppress(Exception):
      with self._container:
        if kind is None:
          self._container.mux(self._stream.encode(None))

  @contextlib.contextmanager
  def _complaints(self) -> Iterator[None]:
    try:
      yield
    except self._av.FFmpegError as error:
      raise OSError(
        f"ffmpeg could not write the video ({error.strerror}); is the disk full?"
      ) from error


def focal_pixels(millimetres: int | float, image_size: tuple[int, int]) -> float:
  """Focal length in pixels of a picture that shows the lens's whole diagonal.

  Args:
    millimetres: as of a 35 mm camera.
    image_size: (width, height) in pixels.
  """
  width, height = image_size
  return millimetres * (width**2 + height**2) ** 0.5 / _DIAGONAL


def _positive(value: str | int | float | None) -> float | None:
  with contextlib.suppress(TypeError, ValueError):
    return float(value) if 0 < float(value) < 10_000 else None
  return None


def _natural(path: pathlib.Path) -> list:
  """Sorts frame_2 before frame_10."""
  words = re.split(r"(\d+)", path.name)
  return [int(w) if i % 2 else w for i, w in enumerate(words)]


def _one_line(error: Exception) -> str:
  return " ".join(str(error).split())[:160].rstrip(".")
