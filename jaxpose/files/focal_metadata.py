"""The focal length that a camera wrote into its file, if it did."""

import pathlib
import re
import subprocess

from PIL import Image
from PIL import UnidentifiedImageError

from jaxpose.files import frames

_DIAGONAL = 43.267  # mm, of the 36 x 24 mm frame that equivalents refer to
_EXIF, _EQUIVALENT = 0x8769, 0xA405  # FocalLengthIn35mmFilm
_QUICKTIME = rb"focal_length\.35mm_equivalent\s*:\s*(\d+(?:\.\d+)?)"


def equivalent_mm(source: frames.Folder | frames.Video) -> float | None:
  """Focal length as of a 35 mm camera: EXIF of pictures, QuickTime's tag of videos."""
  if isinstance(source, frames.Folder):
    return _of_picture(source.path)
  import imageio_ffmpeg

  command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-i"]
  said = subprocess.run(
    [*command, str(source.path)], capture_output=True, check=False
  ).stderr
  found = re.search(_QUICKTIME, said)
  return _positive(float(found[1])) if found else None


def pixels(millimetres: int | float, image_size: tuple[int, int]) -> float:
  """Focal length in pixels of a picture that shows the lens's whole diagonal."""
  width, height = image_size
  return millimetres * (width**2 + height**2) ** 0.5 / _DIAGONAL


def _of_picture(folder: pathlib.Path) -> float | None:
  for path in sorted(folder.iterdir()):
    if path.suffix.lower() in frames.PICTURES:
      try:
        with Image.open(path) as picture:
          found = picture.getexif().get_ifd(_EXIF).get(_EQUIVALENT)
        return _positive(float(found or 0))
      except (UnidentifiedImageError, OSError, SyntaxError, TypeError, ValueError):
        return None
  return None


def _positive(value: float) -> float | None:
  return value if 0 < value < 10_000 else None
