"""The videos of AIST with the joints of AIST++, as clips of up to nine cameras."""

import pathlib
from collections.abc import Iterator

import numpy as np

from jaxpose import skeletons
from jaxpose.data import view_records
from jaxpose.files import video_files
from jaxpose.geometry import cameras
from jaxpose.skeletons import skeleton_maps

from . import annotations
from .siblings import films

SKELETON = skeletons.get("h36m17")
BOXES = "round the 2D joints"


def find(raw: pathlib.Path, names: list[str]) -> dict[str, dict[str, pathlib.Path]]:
  """Sequence -> camera -> video.

  Raises:
    ValueError: the video of a camera is missing.
  """
  there = {path.stem: path for path in sorted(raw.rglob("*.mp4"))}
  found, missing = {}, []
  for name in names:
    found[name] = {}
    for view in annotations.VIEWS:
      stem = name.replace("cAll", view)
      if (name, view) in annotations.LEFT_OUT:
        continue
      if stem in there:
        found[name][view] = there[stem]
      else:
        missing.append(f"{stem}.mp4")
  if missing:
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    raise ValueError(
      f"{raw}: got annotations without the video{'s' if len(missing) > 1 else ''} "
      f"{', '.join(missing[:3])}{more}, expected one of each camera; put the videos "
      "there, or take the sequences out of splits."
    )
  return found


def records(
  name: str,
  rig: dict[str, cameras.Camera],
  points: np.ndarray,
  paths: dict[str, pathlib.Path],
  *,
  step: int,
  clip_frames: int,
  max_side: int,
) -> Iterator[dict]:
  """The records of a sequence, each of `clip_frames` frames or, the last, fewer.

  Args:
    name: of the sequence.
    rig: its cameras.
    points: (t, 17, 3) coco17 in the world, metres; NaN where unknown.
    paths: video of each camera that is used.
    step: of frames of the 60 Hz videos.
    clip_frames: of a record.
    max_side: longest side of the stored pictures, pixels.

  Raises:
    ValueError: a video cannot be read, or is another.
  """
  sources = [video_files.open_source(path) for path in paths.values()]
  lenses = [
    films.lens(rig[view], source, max_side)
    for view, source in zip(paths, sources, strict=True)
  ]
  numbers = np.arange(0, films.count(len(points), sources, annotations.FPS), step)
  world = skeleton_maps.convert(points[numbers], "coco17", SKELETON.name)
  known = np.isfinite(world).all(-1)
  whole = known.all(-1)
  pixels, boxes = [], []
  for new in lenses:
    camera = new.camera
    seen = cameras.world_to_camera(
      np.where(known[..., None], world, 0),
      camera.rotation.astype(np.float64),
      camera.position.astype(np.float64),
    )
    projected = cameras.project(seen, camera.intrinsics)
    wide, high = camera.image_size
    anywhere = np.array([(wide - 1) / 2, (high - 1) / 2, wide, high])
    pixels.append(np.where(known[..., None], projected, 0))
    boxes.append(np.where(whole[:, None], films.round_joints(projected), anywhere))
  pixels, boxes = np.stack(pixels, 1), np.stack(boxes, 1)
  seen = np.repeat(known[:, None], len(lenses), 1)
  visible = films.inside(pixels, lenses) & seen
  # Who has unknown joints has no box.
  present = np.repeat(whole[:, None], len(lenses), 1)
  tags = name.split("_")
  for part, pictures in films.clips(sources, lenses, numbers, clip_frames):
    record = view_records.record(
      pictures,
      [new.camera for new in lenses],
      boxes=boxes[part],
      frame_ids=numbers[part],
      fps=annotations.FPS / step,
      skeleton=SKELETON,
      sequence=f"{name}_{numbers[part][0]:06d}",
      subject=next((tag for tag in tags if tag[:1] == "d"), ""),
      action=tags[0],
      joints_3d=world[part],
      keypoints_2d=pixels[part],
      keypoints_valid=seen[part],
      visible=visible[part],
      view_valid=present[part],
    )
    yield record | dict(box_source=BOXES)
