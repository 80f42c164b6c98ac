"""An mp4 written frame by frame, by the ffmpeg of the package imageio-ffmpeg."""

import pathlib
import shutil
import subprocess
import tempfile

import numpy as np


class Encoder:
  """An ffmpeg that takes raw frames and writes H.264, for a `with` block."""

  def __init__(self, path: pathlib.Path, size: tuple[int, int], fps):
    """Starts it.

    Args:
      path: of the file, written over if it is there.
      size: (width, height) of the frames, even numbers.
      fps: frames per second.

    Raises:
      ImportError: there is no ffmpeg.
    """
    width, height = size
    self._said = tempfile.TemporaryFile()
    command = [ffmpeg(), "-v", "error", "-nostdin", "-y", "-f", "rawvideo"]
    command += ["-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{float(fps):g}"]
    command += ["-i", "-", "-an", "-c:v", "libx264", "-preset", "veryfast"]
    command += ["-crf", "19", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    command += [str(path)]
    self._process = subprocess.Popen(
      command,
      stdin=subprocess.PIPE,
      stdout=subprocess.DEVNULL,
      stderr=self._said,
      start_new_session=True,  # Ctrl-C is for us alone
    )

  def add(self, picture: np.ndarray) -> None:
    """The next frame, (height, width, 3) RGB."""
    try:
      self._process.stdin.write(np.ascontiguousarray(picture).data)
    except BrokenPipeError:
      self._fail()

  def __enter__(self):
    return self

  def __exit__(self, kind, error, trace):
    if kind is not None:
      self._process.kill()
    try:
      self._process.stdin.close()
    except BrokenPipeError:
      pass
    code = self._process.wait()
    try:
      if kind is None and code:
        self._fail()
    finally:
      self._said.close()

  def _fail(self) -> None:
    self._process.wait()
    self._said.seek(0)
    lines = self._said.read().decode(errors="replace").strip().splitlines()
    said = lines[-1][:160] if lines else "it gives no reason"
    raise OSError(f"ffmpeg could not write the video ({said}); is the disk full?")


def ffmpeg() -> str:
  """Path of the package's ffmpeg; without the package, of the one that is installed.

  Raises:
    ImportError: there is none.
  """
  try:
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()
  except (ImportError, RuntimeError) as error:  # the package may come without one
    found = shutil.which("ffmpeg")
    if found is None:
      raise ImportError(
        "videos are written by ffmpeg, which is not installed; run "
        "pip install 'jaxpose[video]'."
      ) from error
    return found
