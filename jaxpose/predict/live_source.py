"""Frames as they come: of a camera, of a stream, or of a file played at its speed.

with live_source.Stream("0") as stream:  # the first webcam
  number, shot = stream.newest(after=-1)

A thread reads all frames and keeps the newest (`Newest`), so that the reader is never
behind. A queue before a slow reader grows, and with it the age of what is read; here
the numbers tell the reader how many frames it missed.
"""

import pathlib
import re
import sys
import threading
import time
from typing import Any
from typing import NamedTuple

import numpy as np

from jaxpose.files import video_files


class Newest:
  """The newest of the values that were put in, with their number from 0."""

  def __init__(self):
    self._changed = threading.Condition()
    self._number, self._value, self._ended = -1, None, False

  @property
  def count(self) -> int:
    """Values that were put in."""
    return self._number + 1

  @property
  def ended(self) -> bool:
    """Whether nothing more comes."""
    return self._ended

  def put(self, value: Any) -> None:
    """Takes the place of the value before; nothing after the end."""
    with self._changed:
      if not self._ended:
        self._number, self._value = self._number + 1, value
        self._changed.notify_all()

  def end(self) -> None:
    """Nothing more comes; the last value can still be taken."""
    with self._changed:
      self._ended = True
      self._changed.notify_all()

  def get(
    self, after: int = -1, seconds: float | int | None = None
  ) -> tuple[int, Any] | None:
    """Waits for a value with a higher number than `after`.

    Args:
      after: number of the last value that was taken.
      seconds: how long to wait; None: until there is one.

    Returns:
      (number, value), or None at the end or when the time is over.
    """
    until = None if seconds is None else time.monotonic() + seconds
    with self._changed:
      while self._number <= after:
        left = 0.2 if until is None else min(until - time.monotonic(), 0.2)
        if self._ended or left <= 0:
          return None
        self._changed.wait(left)  # in pieces: Ctrl-C does not end a wait everywhere
      return self._number, self._value


_PATIENCE = 20.0  # seconds for the first frame
_HASTE = dict(fflags="nobuffer", probesize="1000000", analyzeduration="1000000")


class Shot(NamedTuple):
  """A frame, and when it came.

  Attributes:
    time: of `time.monotonic`.
    frame: (h, w, 3) RGB.
  """

  time: float
  frame: np.ndarray


class Stream:
  """The newest frame of what is being filmed; for a `with` block.

  Attributes:
    name: of the source.
    fps: frames per second that the source says, or that were given.
    image_size: (width, height) in pixels.
    paced: whether it is a file, played at its speed.
  """

  def __init__(self, source: str, fps: float | int | None = None):
    """Opens the source and waits for the first frame.

    Args:
      source: number of a camera, such as "0", its path, an address such as
        "rtsp://...", or a video file.
      fps: frames per second; None: as the source says.

    Raises:
      FileNotFoundError: no such file or camera.
      ValueError: no picture comes, or the source does not say its frame rate.
      ImportError: PyAV is not installed.
    """
    self._input = input_options(source)
    self.name, self.paced = source, set(self._input) == {"name"}
    self.fps, self._newest = float(fps or 0), Newest()
    self._wanted, self._start, self._said = threading.Event(), 0.0, ""
    self._thread = threading.Thread(target=self._read, daemon=True)
    self._thread.start()
    try:
      first = self._newest.get(seconds=_PATIENCE)
      if first is None:
        raise ValueError(f"{source}: {self._complaint()}")
      height, width, _ = first[1].frame.shape
      self.image_size = (width, height)
      if not self.fps > 0:
        raise ValueError(
          f"{source}: the stream does not say its frame rate; give it with --fps."
        )
    except BaseException:
      self.close()
      raise

  @property
  def count(self) -> int:
    """Frames that have come."""
    return self._newest.count

  def newest(self, after: int, seconds: float | None = None) -> tuple[int, Shot] | None:
    """(number, shot) of the newest frame after that number.

    None at the end, or when none came within so many seconds.

    Raises:
      ValueError: the size of the pictures has changed.
    """
    if not self._wanted.is_set():
      self._start = time.monotonic()
      self._wanted.set()
    found = self._newest.get(after, seconds)
    if found and found[1].frame.shape[1::-1] != self.image_size:
      raise ValueError(
        f"{self.name}: got a picture of {found[1].frame.shape[1::-1]} pixels, expected "
        f"{self.image_size} as at the start; start again."
      )
    return found and (found[0], Shot(max(found[1].time, self._start), found[1].frame))

  @property
  def ended(self) -> bool:
    """Whether no frame comes any more."""
    return self._newest.ended

  def close(self) -> None:
    """Stops reading."""
    self._newest.end()
    self._wanted.set()
    self._thread.join(5)  # it may hang in a stream from which nothing comes

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.close()

  def _read(self) -> None:
    try:
      with video_files.opened(**self._input, timeout=(_PATIENCE + 1, None)) as stream:
        if self.paced:
          stream.thread_type = "AUTO"
        else:  # threads would hold frames back
          stream.codec_context.options = dict(flags="low_delay")
        self.fps = self.fps or float(stream.average_rate or stream.base_rate or 0)
        rgb = video_files.Rgb()
        for number, frame in enumerate(video_files.decoded(stream)):
          if self.paced and number:
            self._wanted.wait()  # a file does not begin before somebody looks
          if self.ended:
            return
          if self.paced and number:
            time.sleep(max(self._start + number / self.fps - time.monotonic(), 0))
          self._newest.put(Shot(time.monotonic(), rgb(frame)))
    except ValueError as error:
      self._said = str(error)
    finally:
      self._newest.end()

  def _complaint(self) -> str:
    if not self._newest.ended:
      return (
        f"got no picture within {_PATIENCE:.0f} seconds, expected a stream that is "
        "running; is the camera in use, or the address wrong?"
      )
    return (
      f"ffmpeg got no picture from it ({self._said}); expected the number or path of a "
      "camera that nobody else uses, the address of a stream, or a video."
    )


def input_options(source: str, system: str = sys.platform) -> dict:
  """How `video_files.opened` opens a source.

  Args:
    source: see `Stream`.
    system: as `sys.platform` names it.

  Returns:
    `name` and, unless it is a file, `format` and `options`.

  Raises:
    FileNotFoundError: no such file or camera.
    ImportError: PyAV is not installed.
  """
  av = video_files.pyav()
  if source.isdigit():
    return _camera(int(source), av, system)
  if re.match(r"[a-z][a-z0-9+]+://", source):
    transport = dict(rtsp_transport="tcp") if source.startswith("rtsp") else {}
    return dict(name=source, options=_HASTE | transport)
  path = pathlib.Path(source).expanduser()
  if path.is_char_device():
    return dict(name=str(path), format="v4l2", options=_HASTE)
  if not path.is_file():
    raise FileNotFoundError(
      f"{source}: no such file or camera; expected the number of a camera (0 is the "
      "first), its path, an address such as rtsp://..., or a video file."
    )
  return dict(name=f"file:{path}")


def _camera(number: int, av, system: str) -> dict:
  if system == "darwin":
    # Macs refuse rates that the camera does not have; all have 30.
    options = _HASTE | dict(framerate="30")
    return dict(name=f"{number}:none", format="avfoundation", options=options)
  if system == "win32":
    found = av.device.enumerate_input_devices("dshow")
    found = [device for device in found if "video" in device.media_types]
    if number >= len(found):
      names = ", ".join(device.description for device in found)
      raise FileNotFoundError(
        f"got the camera {number}, expected one of the {len(found)} that Windows "
        f"shows, from 0: {names or 'none'}."
      )
    return dict(name=f"video={found[number].name}", format="dshow", options=_HASTE)
  path = pathlib.Path(f"/dev/video{number}")
  if not path.exists():
    found = sorted(str(p) for p in pathlib.Path("/dev").glob("video*"))
    raise FileNotFoundError(
      f"{path}: no such camera; expected one of those here: "
      f"{', '.join(found) or 'none'}."
    )
  return dict(name=str(path), format="v4l2", options=_HASTE)
