"""Opens the videos of several calibrated cameras, and checks which belongs to which."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxpose.files import video_files
from jaxpose.formats import calibration as formats_calibration
from jaxpose.formats import recordings
from jaxpose.formats.calibration import Calibrated
from jaxpose.formats.lens import Lens
from jaxpose.predict import keypoint_source

_SLOPE = np.cos(np.radians(60))  # cameras are rarely rolled by more
_RATES = 1.01  # largest ratio of frame rates that are called the same


class Rig(NamedTuple):
  """Videos with their cameras; world z up, metres.

  Attributes:
    names: of the cameras.
    sources: of the pictures.
    lenses: from recorded pixels to those of `cameras`, which have no distortion.
    fps: frames per second of all.
    count: frames of all.
    told: what was assumed, in words.
  """

  names: tuple[str, ...]
  sources: tuple[video_files.Folder | video_files.Video, ...]
  lenses: tuple[Lens, ...]
  fps: float
  count: int
  told: list[str]

  @property
  def cameras(self) -> list:
    """`jaxpose.geometry.cameras.Camera` of each view."""
    return [lens.camera for lens in self.lenses]

  @property
  def rotation(self) -> np.ndarray:
    """(v, 3, 3) world to camera."""
    return np.stack([camera.rotation for camera in self.cameras]).astype(np.float64)

  @property
  def position(self) -> np.ndarray:
    """(v, 3) metres."""
    return np.stack([camera.position for camera in self.cameras]).astype(np.float64)

  @property
  def focal(self) -> np.ndarray:
    """(v,) pixels, the mean of both directions."""
    return np.stack([camera.intrinsics[:2].mean() for camera in self.cameras])

  def rays(self, pixels: np.ndarray) -> np.ndarray:
    """(..., v, k, 2) rays of undistorted pixels."""
    lens = np.stack([camera.intrinsics for camera in self.cameras])[:, None]
    return (pixels - lens[..., 2:4]) / lens[..., :2]

  def pixels(self, points: np.ndarray) -> np.ndarray:
    """(..., v, k, 2) undistorted pixels of (..., k, 3) points; NaN behind a camera."""
    seen = points[..., None, :, :] - self.position[:, None]
    seen = seen @ self.rotation.swapaxes(-1, -2)
    depth = np.where(seen[..., 2:] > 0.05, seen[..., 2:], np.nan)
    lens = np.stack([camera.intrinsics for camera in self.cameras])[:, None]
    return lens[..., :2] * seen[..., :2] / depth + lens[..., 2:4]


def opened(
  paths: Sequence[str | os.PathLike],
  calibration: str | os.PathLike,
  *,
  unit: str = "m",
  up: str = "z",
  fps: float | None = None,
  shortest: bool = False,
  even: bool = True,
) -> Rig:
  """The videos with their cameras.

  A video belongs to the camera of its name (`cam01.mp4` to `cam01`). If not one video
  is called like a camera, and there are as many, they are taken in order.

  Args:
    paths: of two videos or folders of pictures, or more.
    calibration: file, see `calibration`.
    unit: of length in it.
    up: axis of its world that points up.
    fps: frames per second; needed for folders.
    shortest: go as far as the shortest video.
    even: as in `video_files.open_source`.

  Raises:
    FileNotFoundError: no such file.
    ValueError: files and cameras do not fit each other, or the videos do not have
      equally many frames.
  """
  paths = [pathlib.Path(path).expanduser() for path in paths]
  if len(paths) < 2:
    raise ValueError(
      f"got {len(paths)} video, expected two or more of the same moment; for one leave "
      "out --views."
    )
  calibration = pathlib.Path(calibration).expanduser()
  if not calibration.is_file():
    raise FileNotFoundError(
      f"{calibration}: no such file; expected a calibration: "
      f"{formats_calibration.FILES}."
    )
  known = formats_calibration.read(calibration, unit=unit, up=up)
  chosen, told = _matched(paths, known, calibration)
  sources = [keypoint_source.opened(path, fps, even) for path in paths]
  rates = [source.fps for source in sources]
  if max(rates) > _RATES * min(rates):
    each = ", ".join(f"{p.name} {r:g}" for p, r in zip(paths, rates, strict=True))
    raise ValueError(
      f"got videos with different frame rates ({each}), expected the same; convert "
      "them, or say the true one with --fps."
    )
  count = _count(paths, sources, shortest)
  lenses = []
  for path, source, camera in zip(paths, sources, chosen, strict=True):
    size = tuple(source.image_size)
    lenses.append(Lens(_sized(camera, size, path, told), size, max(size)))
  rig = Rig(
    tuple(camera.name for camera in chosen),
    tuple(sources),
    tuple(lenses),
    float(rates[0]),
    count,
    told,
  )
  upward = -rig.rotation[:, 1, 2].mean()
  if upward < _SLOPE:
    told.append(
      "The cameras are not upright in the calibration's world: its z axis seems not to "
      "point up; say which does with --up (z, -z, y or -y)."
    )
  return rig


def _matched(
  paths, known: list[Calibrated], calibration
) -> tuple[list[Calibrated], list[str]]:
  """The camera of each video, and what was assumed."""
  by_name = {camera.name.lower(): camera for camera in known}
  stems = [path.stem.lower() if path.is_file() else path.name.lower() for path in paths]
  named = [by_name.get(stem) for stem in stems]
  missing = [p.name for p, camera in zip(paths, named, strict=True) if camera is None]
  names = ", ".join(camera.name for camera in known)
  if not missing:
    if len(set(stems)) < len(stems):
      raise ValueError(
        f"got several videos of one camera in {', '.join(p.name for p in paths)}, "
        "expected one of each."
      )
    return named, []
  if len(missing) < len(paths) or len(paths) != len(known):
    raise ValueError(
      f"{calibration}: got no camera for {', '.join(missing)}, expected one; it has "
      f"{names}. Name the videos like their cameras"
      + ("." if len(missing) < len(paths) else ", or pass as many in its order.")
    )
  told = ", ".join(f"{p.name} {c.name}" for p, c in zip(paths, known, strict=True))
  return list(known), [
    f"The videos are not called like cameras and were taken in order: {told}."
  ]


def _sized(camera: Calibrated, size, path, told: list[str]) -> Calibrated:
  """The calibration for the video's pictures."""
  found = recordings.resized(path.name, camera, size)
  if camera.size is None or tuple(camera.size) == tuple(size):
    return found
  how = "at another scale"
  if any(a == b for a, b in zip(camera.size, size, strict=True)):
    # Codecs fill up to whole blocks of 16 pixels, and players cut that off again.
    how = "with its right or lower edge cut"
    found = dataclasses.replace(camera, size=tuple(size))
  told.append(
    f"{path.name} has {size[0]} x {size[1]} pixels and was calibrated with "
    f"{camera.size[0]} x {camera.size[1]}: taken for the same picture {how}."
  )
  return found


def _count(paths, sources, shortest: bool) -> int:
  counts = [source.count() for source in sources]
  if len(set(counts)) > 1:  # the header may be wrong
    counts = [source.count(exact=True) for source in sources]
  if len(set(counts)) > 1 and not shortest:
    each = ", ".join(f"{p.name} {n}" for p, n in zip(paths, counts, strict=True))
    raise ValueError(
      f"got videos of different lengths ({each} frames), expected synchronised ones; "
      "cut them to the same frames, or, if they start together, pass --shortest."
    )
  return min(counts)
