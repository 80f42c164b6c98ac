"""Frames of the official videos with the poses of the CDF files, as multi-view clips.

Videos are read frame by frame: `multiview_folder.films`.
"""

import pathlib
from collections.abc import Iterator

import numpy as np

from jaxpose.data import build_jobs
from jaxpose.data import view_records
from jaxpose.files import video_files
from jaxpose.formats import videopose3d_npz
from jaxpose.geometry import cameras

from . import metadata
from . import official
from . import official_boxes
from . import protocol
from .siblings import films

_CODECS = (".mp4", ".avi", ".mkv")


def splits(folder: pathlib.Path, *, step: int, clip_frames: int, max_side: int) -> dict:
  """(key, record) of each split; files are read as they are used.

  Args:
    folder: with metadata.xml, poses and videos anywhere below.
    step: of frames of the 50 Hz videos.
    clip_frames: of a record.
    max_side: longest side of the stored pictures, pixels.

  Raises:
    ValueError: files are missing.
  """
  (path,) = videopose3d_npz.require(folder, "metadata.xml")
  rigs, found = metadata.cameras(path), official.takes(folder)
  paths = videos(folder, [take for takes in found.values() for take in takes])
  boxes = official_boxes.find(folder)
  return {
    split: build_jobs.examples(
      examples,
      [
        (
          *(take, rigs[take.subject], _of(take, paths), _of(take, boxes)),
          *(step, clip_frames, max_side),
        )
        for subject in subjects
        for take in found[subject]
      ],
    )
    for split, subjects in protocol.SPLITS.items()
  }


def _of(take: official.Take, files: dict) -> dict:
  """The files of the cameras of a take."""
  names = [(take.subject, f"{take.name}.{camera}") for camera in protocol.CAMERAS]
  return {name: files[name] for name in names if name in files}


def examples(
  take: official.Take,
  rig: list[cameras.Camera],
  paths: dict,
  boxes: dict,
  step: int,
  clip_frames: int,
  max_side: int,
) -> Iterator[tuple[int, dict]]:
  """The records of a take, numbered."""
  options = dict(step=step, clip_frames=clip_frames, max_side=max_side)
  yield from enumerate(records(take, rig, paths=paths, boxes=boxes, **options))


def videos(folder: pathlib.Path, takes) -> dict[tuple[str, str], pathlib.Path]:
  """(subject, "TAKE.CAMERA") -> video, of all takes.

  Raises:
    ValueError: the video of a camera is missing.
  """
  found = {}
  for path in sorted(folder.rglob("*")):
    subject = [part for part in path.parts if part in protocol.SUBJECTS]
    if path.suffix.lower() in _CODECS and subject:
      found[subject[-1], path.stem] = path
  missing = [
    f"{take.subject}/Videos/{take.name}.{camera}.mp4"
    for take in takes
    for camera in protocol.CAMERAS
    if (take.subject, f"{take.name}.{camera}") not in found
  ]
  if missing:
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    raise ValueError(
      f"{folder}: got poses without the video{'s' if len(missing) > 1 else ''} "
      f"{', '.join(missing[:3])}{more}, expected one of each of the four cameras; "
      "unpack the downloads Videos of each subject there."
    )
  return found


def records(
  take: official.Take,
  rig: list[cameras.Camera],
  *,
  paths: dict,
  boxes: dict,
  step: int,
  clip_frames: int,
  max_side: int,
) -> Iterator[dict]:
  """The records of a take, each of `clip_frames` frames or, the last, fewer.

  Raises:
    ValueError: a file cannot be read, or the files do not belong together.
  """
  held = list(official.records(take, rig))
  keys = [(take.subject, f"{take.name}.{camera.name}") for camera in rig]
  sources = [video_files.open_source(paths[key]) for key in keys]
  count = films.count(len(held[0]["joints_3d"]), sources, protocol.FPS)
  numbers = np.arange(0, count, step)
  sizes = [source.image_size for source in sources]
  lenses = [
    films.lens(camera, source, max_side)
    for camera, source in zip(rig, sources, strict=True)
  ]
  points, rectangles, own = [], [], []
  for key, record, size, new in zip(keys, held, sizes, lenses, strict=True):
    scale = np.array(size) / record["image_size"]
    pixels = record["keypoints_2d"][numbers].astype(np.float64)
    path = boxes.get(key)
    box, known = official_boxes.boxes(path, numbers, pixels)
    middle, sides = (box[:, :2] + 0.5) * scale - 0.5, box[:, 2:] * scale
    box = np.concatenate([middle, sides], -1)
    points.append(new.points((pixels + 0.5) * scale - 0.5))
    rectangles.append(np.stack([new.box(one) for one in box]))
    own.append(known)
  points, rectangles = np.stack(points, 1), np.stack(rectangles, 1)
  first = rig[0]
  world = cameras.camera_to_world(
    held[0]["joints_3d"][numbers].astype(np.float64),
    first.rotation.astype(np.float64),
    first.position.astype(np.float64),
  )
  visible = films.inside(points, lenses)
  action = protocol.field_name(take.name)
  for part, pictures in films.clips(sources, lenses, numbers, clip_frames):
    record = view_records.record(
      pictures,
      [new.camera for new in lenses],
      boxes=rectangles[part],
      frame_ids=numbers[part],
      fps=protocol.FPS / step,
      skeleton=protocol.SKELETON,
      sequence=f"{take.subject} {action}_{numbers[part][0]:06d}",
      subject=take.subject,
      action=action,
      joints_3d=world[part],
      keypoints_2d=points[part],
      visible=visible[part],
    )
    yield record | dict(box_source=_told(np.stack(own)))


def _told(own: np.ndarray) -> str:
  if own.all():
    return official_boxes.MASKS
  mixed = f"{official_boxes.MASKS}, where missing round the {official_boxes.JOINTS}"
  return mixed if own.any() else f"round the {official_boxes.JOINTS}"
