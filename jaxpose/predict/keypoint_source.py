"""What the video command starts from: frames, focal length and 2D keypoints."""

import contextlib
import os
import pathlib
import shutil
import time

import numpy as np

from jaxpose import detect
from jaxpose.detect.detect_tracks import Tracks
from jaxpose.files import video_files
from jaxpose.formats import keypoint_files
from jaxpose.geometry import cameras
from jaxpose.predict import result_folder
from jaxpose.predict.result_folder import Folder


class Log:
  """Sentences, and how long stages took.

  Attributes:
    show: print the sentences, and bars.
    lines: all sentences.
  """

  def __init__(self, show: bool):
    self.show = show
    self.lines: list[str] = []
    self._spent: dict[str, tuple[float, float]] = {}

  def say(self, text: str) -> None:
    """Takes down a sentence; nothing if it is empty."""
    if text:
      self.lines.append(text)
      if self.show:
        print(text, flush=True)

  def add(self, stage: str, count: int | float, seconds: float) -> None:
    """Takes down that so many frames took so long."""
    before = self._spent.get(stage, (0, 0.0))
    self._spent[stage] = (before[0] + count, before[1] + seconds)

  @contextlib.contextmanager
  def stage(self, name: str, count: int):
    """The block is a stage of so many frames."""
    began = time.monotonic()
    yield
    self.add(name, count, time.monotonic() - began)

  def speeds(self) -> dict[str, float]:
    """Stage -> frames per second."""
    return {k: n / max(seconds, 1e-9) for k, (n, seconds) in self._spent.items()}


def opened(
  path: str | os.PathLike, fps: float | None, even: bool = True
) -> video_files.Folder | video_files.Video:
  """The video or folder at a path; `even` as in `video_files.open_source`.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: it cannot be read, or the frame rate is not known.
    ImportError: the package that decodes videos is not installed.
  """
  path = pathlib.Path(path).expanduser()
  if path.is_dir() and fps is None:
    video_files.open_source(path, 1.0)  # what is wrong with the pictures is said first
  if fps is not None and not 0 < fps < np.inf:
    raise ValueError(f"got fps={fps}, expected frames per second, above 0.")
  return video_files.open_source(path, fps, even=even)


def focal_length(source, given: float | None) -> tuple[float, str]:
  """Length in pixels, and where it is from."""
  if given is not None:
    return float(given), f"The focal length is {given:g} pixels, as given."
  stored = isinstance(source, (video_files.Folder, video_files.Video))
  equivalent = source.equivalent_mm() if stored else None
  if equivalent:
    length = video_files.focal_pixels(equivalent, source.image_size)
    return length, (
      f"The focal length is {length:.0f} pixels: {equivalent:g} mm on a 35 mm camera, "
      "says the file."
    )
  length = cameras.guess_focal(source.image_size)
  return length, (
    f"The focal length is not known; {length:.0f} pixels were assumed "
    f"({cameras.FOCAL} x the longer side). Distances from the camera are wrong by as "
    "much as it is; say it with --focal."
  )


def tracks(
  folder: Folder, source, file: pathlib.Path | None, options: dict, log: Log
) -> Tracks:
  """Keypoints from a file, from the folder, or detected and put there.

  Args:
    folder: of the results.
    source: of the frames.
    file: of another detector, or None.
    options: of `detect.video`.
    log: for what is said.

  Raises:
    ValueError: the file is damaged or of another video, or nobody is found.
  """
  if file is not None:
    found = keypoint_files.load(file, image_size=tuple(source.image_size))
    count = source.count()
    last = max(int(track.frames[-1]) for track in found)
    if last > 1.02 * count + 2:
      raise ValueError(
        f"{file}: got keypoints of frame {last}, expected at most {count}, the frames "
        f"of {source.path.name}; take the keypoints of this video."
      )
    log.say(f"{file.name}: keypoints of {len(found)} people.")
    if isinstance(source, video_files.Video) and source.varying() is not None:
      log.say(
        f"The frame rate of {source.path.name} varies, but keypoints of another "
        f"detector count {source.fps:g} frames a second: speeds are wrong by as much."
      )
    return Tracks(found)
  path, work = folder.path / result_folder.KEYPOINTS, folder.path / result_folder.WORK
  if result_folder.KEYPOINTS not in folder.finished:
    path.unlink(missing_ok=True)  # written just before an interruption
    fps = None if getattr(source, "evened", "") else source.fps
    found = detect.video(source.path, fps=fps, work=work, progress=log.show, **options)
    detect.save(path, found)
    shutil.rmtree(work, ignore_errors=True)
    folder.finish(result_folder.KEYPOINTS)
    if found.speed:
      log.add("keypoints", 1, 1 / found.speed)
  found = Tracks(keypoint_files.load(path))
  with np.load(path, allow_pickle=False) as content:
    log.say(str(content["report"]))
  return found
