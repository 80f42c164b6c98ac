"""Frames as they come: of a camera, of a stream, or of a file played at its speed.

with live_source.Stream("0") as stream:  # the first webcam
  number, shot = stream.newest(after=-1)

A thread reads all frames and keeps the newest (`Newest`), so that the reader is never
behind. A queue before a slow reader grows, and with it the age of what is read; here
the numbers tell the reader how many frames it missed.
"""

import collections
import pathlib
import re
import subprocess
import sys
import threading
import time
from typing import Any
from typing import NamedTuple

import numpy as np

from jaxpose.files import frames


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
_HEADER = 3.0  # and for what is said of it
_HASTE = ("-fflags", "nobuffer", "-flags", "low_delay", "-probesize", "1000000")
_HASTE += ("-analyzeduration", "1000000")


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
    """Starts ffmpeg and waits for the first frame.

    Args:
      source: number of a camera, such as "0", its path, an address such as
        "rtsp://...", or a video file.
      fps: frames per second; None: as the source says.

    Raises:
      FileNotFoundError: no such file or camera.
      ValueError: no picture comes, or the source does not say its frame rate.
      ImportError: the package that decodes videos is not installed.
    """
    program = frames.ffmpeg()
    options = input_options(source, program)
    self.name, self.paced = source, options[:-1] == ["-i"]
    command = [program, "-hide_banner", "-nostats", "-nostdin", *options]
    self._process = subprocess.Popen(
      [*command, *frames.AS_THEY_ARE, *frames.AS_PICTURES],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      start_new_session=True,  # Ctrl-C is for us alone
    )
    self._said: collections.deque[str] = collections.deque(maxlen=60)
    self._rate, self._newest = float(fps or 0), Newest()
    self._wanted, self._start = threading.Event(), 0.0
    self._told = threading.Event()  # the rate, or nothing more is said
    self._threads = [
      threading.Thread(target=work, daemon=True) for work in (self._listen, self._read)
    ]
    for thread in self._threads:
      thread.start()
    try:
      first = self._newest.get(seconds=_PATIENCE)
      if first is None:
        raise ValueError(f"{source}: {self._complaint()}")
      height, width, _ = first[1].frame.shape
      self.image_size = (width, height)
      if not self._rate:  # it is said by another thread than the picture
        self._told.wait(_HEADER)
      self.fps = self._rate
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
    """Stops ffmpeg."""
    self._newest.end()
    self._wanted.set()
    self._process.kill()
    self._process.wait()
    for thread in self._threads:
      thread.join(5)
    self._process.stdout.close()
    self._process.stderr.close()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.close()

  def _read(self) -> None:
    number = 0
    try:
      for frame in frames.pictures(self._process.stdout):
        if self.paced and number:
          self._wanted.wait()  # a file does not begin before somebody looks
          if self.ended:
            return
          wait = self._start + number / self._rate - time.monotonic()
          time.sleep(max(wait, 0))
        self._newest.put(Shot(time.monotonic(), frame))
        number += 1
    except ValueError:  # closed meanwhile
      pass
    finally:
      self._newest.end()

  def _listen(self) -> None:
    try:
      for raw in self._process.stderr:
        line = raw.decode(errors="replace").strip()
        self._said.append(line)
        said = re.search(r"Video:.*?([\d.]+) (?:fps|tbr)", line)
        if said and not self._rate:
          self._rate = float(said[1])
          self._told.set()
    except ValueError:  # closed meanwhile
      pass
    finally:
      self._told.set()

  def _complaint(self) -> str:
    if not self._newest.ended:
      return (
        f"got no picture within {_PATIENCE:.0f} seconds, expected a stream that is "
        "running; is the camera in use, or the address wrong?"
      )
    self._threads[0].join(5)  # until all that it said is read
    telling = [t for t in self._said if re.search(r"(?i)error|cannot|no |invalid", t)]
    said = (telling or list(self._said) or ["it gives no reason"])[-1]
    return (
      f"ffmpeg got no picture from it ({said[:160].rstrip('.')}); expected the number "
      "or path of a camera that nobody else uses, the address of a stream, or a video."
    )


def input_options(source: str, program: str, system: str = sys.platform) -> list[str]:
  """How ffmpeg opens a source: the options up to and including -i.

  Args:
    source: see `Stream`.
    program: path of ffmpeg, which lists the cameras on Windows.
    system: as `sys.platform` names it.

  Raises:
    FileNotFoundError: no such file or camera.
  """
  if source.isdigit():
    return _camera(int(source), program, system)
  if re.match(r"[a-z][a-z0-9+]+://", source):
    transport = ["-rtsp_transport", "tcp"] if source.startswith("rtsp") else []
    return [*_HASTE, *transport, "-i", source]
  path = pathlib.Path(source).expanduser()
  if path.is_char_device():
    return ["-f", "v4l2", *_HASTE, "-i", str(path)]
  if not path.is_file():
    raise FileNotFoundError(
      f"{source}: no such file or camera; expected the number of a camera (0 is the "
      "first), its path, an address such as rtsp://..., or a video file."
    )
  return ["-i", str(path)]


def _camera(number: int, program: str, system: str) -> list[str]:
  if system == "darwin":
    # Macs refuse rates that the camera does not have; all have 30.
    return ["-f", "avfoundation", "-framerate", "30", *_HASTE, "-i", f"{number}:none"]
  if system == "win32":
    done = subprocess.run(
      [program, "-hide_banner", "-f", "dshow", "-list_devices", "true", "-i", "dummy"],
      capture_output=True,
      check=False,
    )
    said = done.stderr.decode(errors="replace")
    names = re.findall(r'"([^"@][^"]*)" \(video\)', said)
    if number >= len(names):
      raise FileNotFoundError(
        f"got the camera {number}, expected one of the {len(names)} that Windows "
        f"shows, from 0: {', '.join(names) or 'none'}."
      )
    return ["-f", "dshow", *_HASTE, "-i", f"video={names[number]}"]
  path = pathlib.Path(f"/dev/video{number}")
  if not path.exists():
    found = sorted(str(p) for p in pathlib.Path("/dev").glob("video*"))
    raise FileNotFoundError(
      f"{path}: no such camera; expected one of those here: "
      f"{', '.join(found) or 'none'}."
    )
  return ["-f", "v4l2", *_HASTE, "-i", str(path)]
