"""A recording of several cameras: its videos or picture folders, and what is known.

docs/multiview.md lists the files of such a folder.
"""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

from jaxpose.files import video_files
from jaxpose.formats import boxes as box_files
from jaxpose.formats import calibration
from jaxpose.formats.calibration import Calibrated
from jaxpose.formats.lens import Lens

ABOUT = "recording.json"
_KEYS = ("fps", "subject", "action", "unit", "up", "start")
_PLACES = (".", "videos", "images")
# What lies beside the videos and is none.
_OTHER = (".json", ".csv", ".npz", ".npy", ".toml", ".txt", ".yml", ".md")


@dataclasses.dataclass(frozen=True, eq=False)
class View:
  """One camera of a recording.

  Attributes:
    lens: from its pictures to undistorted ones.
    source: of the pictures, see `jaxpose.files.video_files`.
    start: frames of it that come before the recording.
    track: boxes and keypoints, see `jaxpose.formats.boxes`; None for the whole picture.
  """

  lens: Lens
  source: video_files.Folder | video_files.Video
  start: int
  track: box_files.Track | None


def about(folder: pathlib.Path) -> dict:
  """What `recording.json` says; {} without one. ValueError for unknown keys."""
  path = folder / ABOUT
  if not path.is_file():
    return {}
  try:
    content = json.loads(path.read_text())
  except ValueError as error:
    raise ValueError(f"{path}: not JSON ({error}).") from error
  unknown = sorted(set(content) - set(_KEYS))
  if unknown:
    raise ValueError(
      f"{path}: got the key {unknown[0]!r}, expected some of {', '.join(_KEYS)}."
    )
  return content


def open_views(
  folder: pathlib.Path,
  max_side: int | None = None,
  names: Sequence[str] | None = None,
  *,
  calibrated: bool = True,
) -> tuple[list[View], int]:
  """The views of a recording and their frames.

  Args:
    folder: of the recording.
    max_side: longest side of the undistorted pictures; None: as they are.
    names: of the cameras to take, in this order; None: all, as calibrated.
    calibrated: False for a recording without a calibration. Its cameras are then the
      videos and folders of pictures there are; their lenses change nothing.

  Raises:
    ValueError: a camera has no pictures or other pictures than were calibrated, or
      the cameras do not have equally many frames.
  """
  said = about(folder)
  fps = float(said["fps"]) if "fps" in said else None
  rig = _calibration(folder, said) if calibrated else None
  known = sources_in(folder) if rig is None else [camera.name for camera in rig]
  chosen = list(known if names is None else names)
  strangers = [name for name in chosen if name not in known]
  if strangers or not chosen:
    raise ValueError(
      f"{folder}: got the cameras {', '.join(chosen) or 'none'}, expected some of "
      f"{', '.join(known) or 'those with a video or folder of pictures in it'}."
    )
  sources = {name: _source(folder, name, fps) for name in chosen}
  missing = [name for name, source in sources.items() if source is None]
  if missing:
    raise ValueError(
      f"{folder}: got no video or folder of pictures for the calibrated "
      f"camera{'s' if len(missing) > 1 else ''} {', '.join(missing)}; name them like "
      f"the camera, such as {missing[0]}.mp4 or {missing[0]}/, here or in videos/ or "
      "images/."
    )
  starts = said.get("start", {})
  strangers = sorted(set(starts) - set(known))
  if strangers:
    raise ValueError(
      f"{folder / ABOUT}: got a start for the camera {strangers[0]!r}, expected some "
      f"of {', '.join(known)}."
    )
  by_name = {camera.name: camera for camera in rig or ()}
  views = []
  for name, source in sources.items():
    size = source.image_size
    if rig is None:
      camera = unknown(name, size)
    else:
      camera = resized(str(folder), by_name[name], size)
    lens = Lens(camera, size, max_side or max(size))
    views.append(View(lens, source, int(starts.get(name, 0)), _track(folder, name)))
  return views, _count(folder, views)


def _calibration(folder: pathlib.Path, said: dict) -> list[Calibrated]:
  return calibration.read(
    calibration.find(folder),
    unit=said.get("unit", "m"),
    up=said.get("up", "z"),
  )


def unknown(name: str, size: tuple[int, int]) -> Calibrated:
  """A camera of which only its pictures are known; its numbers are to be ignored."""
  width, height = size
  matrix = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
  return Calibrated(name, matrix, np.zeros(5), np.eye(3), np.zeros(3), size)


def sources_in(folder: pathlib.Path) -> list[str]:
  """Names of the videos and folders of pictures in a recording."""
  found = set()
  for place in _PLACES:
    for path in (folder / place).glob("*"):
      if path.is_dir():
        if any(p.suffix.lower() in video_files.PICTURES for p in path.iterdir()):
          if path.name not in _PLACES:
            found.add(path.name)
      elif path.suffix.lower() not in _OTHER and not path.name.startswith("."):
        found.add(path.stem)
  return sorted(found)


def _source(folder: pathlib.Path, name: str, fps):
  for place in (folder / place for place in _PLACES):
    if (place / name).is_dir():
      if fps is None:
        raise ValueError(
          f"{place / name} is a folder of pictures, whose frame rate is not in the "
          f'files; write "fps" into {folder / ABOUT}.'
        )
      return video_files.open_source(place / name, fps)
    files = place.glob(f"{name}.*") if place.is_dir() else ()
    found = [
      p for p in sorted(files) if p.suffix.lower() not in _OTHER and p.stem == name
    ]
    if found:
      return video_files.open_source(found[0], fps)
  return None


def resized(origin: str, camera: Calibrated, size: tuple[int, int]) -> Calibrated:
  """The calibration for pictures of that size, if only their scale differs.

  Raises:
    ValueError: they have another shape.
  """
  if camera.size is None or tuple(camera.size) == tuple(size):
    return camera
  scale = np.array(size) / np.array(camera.size)
  if abs(scale[0] / scale[1] - 1) > 0.01:
    raise ValueError(
      f"{origin}, camera {camera.name!r}: got pictures of {size[0]} x {size[1]} "
      f"pixels, expected the calibrated {camera.size[0]} x {camera.size[1]} or the "
      "same at another scale; calibrate what is filmed."
    )
  matrix = camera.matrix.copy()
  matrix[:2, :2] *= scale[:, None]
  matrix[:2, 2] = (matrix[:2, 2] + 0.5) * scale - 0.5
  return dataclasses.replace(camera, matrix=matrix, size=tuple(size))


def _track(folder, name):
  for suffix in box_files.SUFFIXES:
    path = folder / "boxes" / (name + suffix)
    if path.is_file():
      tracks = box_files.read(path)
      if len(tracks) != 1:
        raise ValueError(
          f"{path}: got {len(tracks)} people, expected one; keep the same person in "
          "the files of all cameras."
        )
      return tracks[0]
  return None


def _count(folder, views) -> int:
  counts = [view.source.count() - view.start for view in views]
  if len(set(counts)) > 1:  # the header may be wrong
    counts = [view.source.count(exact=True) - view.start for view in views]
  if len(set(counts)) > 1:
    each = ", ".join(
      f"{view.lens.camera.name} {count}"
      for view, count in zip(views, counts, strict=True)
    )
    raise ValueError(
      f"{folder}: got cameras with different numbers of frames ({each}), expected "
      "synchronised ones; cut the videos to the same frames, or, if only the beginning "
      f'differs, write {{"start": {{"CAMERA": FRAMES_TO_SKIP}}}} into {ABOUT}.'
    )
  rates = [view.source.fps for view in views]
  if max(rates) > 1.01 * min(rates):
    each = ", ".join(f"{v.lens.camera.name} {v.source.fps:g}" for v in views)
    raise ValueError(
      f"{folder}: got cameras with different frame rates ({each}), expected the same; "
      'convert the videos, or write the true "fps" into ' + ABOUT + "."
    )
  if counts[0] < 1:
    raise ValueError(f"{folder}: got no frame, expected at least one.")
  return counts[0]


def boxes(view: View, count: int) -> tuple[np.ndarray, np.ndarray]:
  """(n, 4) boxes in the undistorted pictures and whether there is one.

  Where there is none it is the whole picture; without a file that is the box.

  Raises:
    ValueError: neither numbered nor one for each frame.
  """
  whole = box_files.whole_frame(count, view.lens.camera.image_size).boxes
  if view.track is None:
    return whole, np.ones(count, bool)
  at, inside = rows(view, count)
  valid = np.zeros(count, bool)
  valid[at] = True
  if len(at):
    whole[at] = np.stack([view.lens.box(box) for box in view.track.boxes[inside]])
  return whole, valid


def rows(view: View, count: int) -> tuple[np.ndarray, np.ndarray]:
  """The frame of each row of the track that is in the recording, and which are."""
  track, at = view.track, view.track.frames
  if at is None and len(track.boxes) != view.start + count:
    raise ValueError(
      f"{view.source.path}: got {len(track.boxes)} boxes without frame numbers, "
      f"expected one for each of its {view.start + count} frames; number "
      "those that there are."
    )
  at = (np.arange(len(track.boxes)) if at is None else at) - view.start
  inside = (at >= 0) & (at < count)
  return at[inside], inside


def pictures(
  views: Sequence[View], count: int, wanted: np.ndarray | None = None
) -> Iterator[list[np.ndarray]]:
  """The pictures of all views, frame by frame, as they were recorded.

  Args:
    views: of the recording.
    count: of its frames.
    wanted: (count,) bool, frames to give; None: all.

  Raises:
    ValueError: a video ends before its header says.
  """
  wanted = np.ones(count, bool) if wanted is None else wanted
  with contextlib.ExitStack() as stack:
    streams = []
    for view in views:
      chosen = np.concatenate([np.zeros(view.start, bool), wanted])
      stream = view.source.read(chosen)
      streams.append(stack.enter_context(contextlib.closing(stream)))
    for frame in np.flatnonzero(wanted):
      found = [next(stream, None) for stream in streams]
      for view, one in zip(views, found, strict=True):
        if one is None:
          raise ValueError(
            f"{view.source.path}: got {frame} frames that can be decoded, expected "
            f"{count}; convert the video."
          )
      yield [picture for _, picture in found]
