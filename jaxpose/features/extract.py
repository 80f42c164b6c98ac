"""Features of every person in a video, kept in small files as they are finished.

The rows of a track (its frames, in order) are cut into chunks. A chunk is written whole
or not at all: what was interrupted goes on at the chunks that are not there, and a long
video takes no more memory than a short one.
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable
from collections.abc import Iterable

import jax
import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8

from jaxpose.files import video_files
from jaxpose.files import whole_files
from jaxpose.formats import boxes
from jaxpose.geometry import crops

CHUNK = 256  # rows; 2 MiB of features
VIDEO_FILE = "video.json"
DONE_FILE = "done.json"

# (b, size, size, 3) colours to (b, c) features, on the device.
Network = Callable[[UInt8[np.ndarray, "b h w 3"]], jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
  """One video and the people in it.

  Attributes:
    source: its frames.
    tracks: of the people, each with `frames`.
    folder: where the chunks go.
    scale: of the boxes.
  """

  source: video_files.Folder | video_files.Video
  tracks: tuple[boxes.Track, ...]
  folder: pathlib.Path
  scale: float

  @property
  def rows(self) -> int:
    """Crops in all."""
    return sum(len(track.boxes) for track in self.tracks)

  def chunks(self) -> Iterable[tuple[int, int, pathlib.Path]]:
    """(track, first row, file) of each chunk."""
    for i, track in enumerate(self.tracks):
      for first in range(0, len(track.boxes), CHUNK):
        name = f"track_{i:04d}/{first // CHUNK:06d}.npz"
        yield i, first, self.folder / name

  def rows_done(self) -> int:
    """Crops whose chunk is there."""
    sizes = (
      len(self.tracks[i].boxes[first : first + CHUNK])
      for i, first, path in self.chunks()
      if path.exists()
    )
    return sum(sizes)


def prepare(
  source: video_files.Folder | video_files.Video,
  tracks: list[boxes.Track] | None,
  folder: pathlib.Path,
  scale: float,
) -> Job:
  """The job, after the boxes have been compared with the frames of the video.

  Args:
    source: the frames.
    tracks: of people, or None for the whole frame.
    folder: for the chunks; those of an earlier, interrupted run are kept.
    scale: of the boxes.

  Raises:
    ValueError: the boxes do not fit the video.
  """
  if tracks is None:
    count = source.count(exact=True)
    tracks = [boxes.whole_frame(count, source.image_size)]
  else:
    # The packets of a file are counted at once but need not all give a frame.
    if _misfit(tracks, source.count()) and (
      wrong := _misfit(tracks, source.count(exact=True))
    ):
      raise ValueError(f"{source.path}: {wrong}")
  numbered = tuple(
    track
    if track.frames is not None
    else dataclasses.replace(track, frames=np.arange(len(track.boxes), dtype=np.int32))
    for track in tracks
  )
  return Job(source, numbered, folder, scale)


def _misfit(tracks: list[boxes.Track], count: int) -> str | None:
  """What is wrong with boxes for a video of so many frames."""
  for track in tracks:
    name = f" of the track {track.name!r}" if track.name else ""
    if track.frames is None and len(track.boxes) != count:
      return (
        f"got {len(track.boxes)} boxes{name}, expected {count}, one for each frame of "
        "the video; number the boxes with 'frames' if some frames have none."
      )
    if track.frames is not None and track.frames[-1] >= count:
      return (
        f"got a box{name} for frame {track.frames[-1]}, expected numbers below "
        f"{count}, the frames of the video, from 0; check that these are its boxes."
      )
  return None


def describe(job: Job) -> dict:
  """What tells the job from another one, and what a reader of its chunks must know."""
  digest = hashlib.sha256()
  for track in job.tracks:
    for array in (track.frames, track.boxes, track.keypoints):
      digest.update(repr(array.shape).encode() + array.tobytes())
  path = job.source.path
  files = sorted(path.iterdir()) if path.is_dir() else [path]
  return dict(
    video=path.name,
    bytes=sum(file.stat().st_size for file in files),
    fps=job.source.fps,
    image_size=list(job.source.image_size),
    scale=job.scale,
    tracks=[
      dict(name=t.name, rows=len(t.boxes), skeleton=t.skeleton) for t in job.tracks
    ],
    sha256_of_boxes=digest.hexdigest(),
  )


def claim(job: Job) -> None:
  """Makes the job's folder, or sees that it holds the beginning of this very job.

  Raises:
    ValueError: it holds another one's.
  """
  path, description = job.folder / VIDEO_FILE, describe(job)
  if path.exists():
    if json.loads(path.read_text()) != description:
      raise ValueError(
        f"{job.folder} holds the beginning of another extraction (another video, "
        "boxes, scale or fps); delete that folder, or choose another --name."
      )
    return
  content = json.dumps(description, indent=2).encode()
  whole_files.write(path, lambda file: file.write(content), overwrite=True)


def run(
  job: Job,
  network: Network,
  *,
  batch_size: int,
  progress: Callable[[int], object] = lambda rows: None,
) -> None:
  """Makes the chunks that are not there yet.

  Args:
    job: the video and its people.
    network: crops to features; always called with `batch_size` crops.
    batch_size: crops at a time.
    progress: called with the number of rows that came out of the network.

  Raises:
    ValueError: the video ends too early or is damaged.
  """
  if (job.folder / DONE_FILE).exists():
    return
  buffers: dict[tuple[int, int], dict] = {}
  places: dict[int, list[tuple[int, int]]] = {}  # frame -> (track, row)
  for i, first, path in job.chunks():
    if not path.exists():
      for row in range(first, min(first + CHUNK, len(job.tracks[i].boxes))):
        places.setdefault(int(job.tracks[i].frames[row]), []).append((i, row))
  wanted = np.zeros(max(places, default=-1) + 1, bool)
  wanted[list(places)] = True

  def store(where: list[tuple[int, int]], features: jax.Array):
    # Of the batch before the one that is being computed.
    for (i, row), values in zip(where, np.asarray(features), strict=False):
      buffer = buffers.setdefault((i, row // CHUNK), {})
      buffer[row] = values
      rows = range(row // CHUNK * CHUNK, len(job.tracks[i].boxes))[:CHUNK]
      if len(buffer) == len(rows):
        _write_chunk(job, i, rows, buffers.pop((i, row // CHUNK)))
    progress(len(where))

  pending: tuple | None = None
  images, where = [], []

  def submit():
    nonlocal pending, images, where
    padding = [np.zeros_like(images[0])] * (batch_size - len(images))
    features = network(np.stack(images + padding))
    if pending:
      store(*pending)
    pending, images, where = (where, features), [], []

  seen = 0
  for number, frame in job.source.read(wanted):
    seen += 1
    for i, row in places[number]:
      images.append(crops.crop(frame, job.tracks[i].boxes[row], scale=job.scale))
      where.append((i, row))
      if len(images) == batch_size:
        submit()
  if images:
    submit()
  if pending:
    store(*pending)
  if seen < len(places):
    raise ValueError(
      f"{job.source.path}: got {seen} frames, expected {len(places)}: the video ends "
      "before its header says; what came out is kept; convert it or cut the boxes."
    )
  done = job.folder / DONE_FILE
  whole_files.write(done, lambda file: file.write(b"{}\n"), overwrite=True)


def _write_chunk(
  job: Job, i: int, rows: range, buffer: dict[int, Float[np.ndarray, " c"]]
):
  track, part = job.tracks[i], slice(rows.start, rows.stop)
  arrays = dict(
    features=np.stack([buffer[row] for row in rows]).astype(np.float32),
    frame_ids=track.frames[part],
    boxes=track.boxes[part],
    keypoints=track.keypoints[part],
  )
  path = job.folder / f"track_{i:04d}" / f"{rows.start // CHUNK:06d}.npz"
  whole_files.write(path, lambda file: np.savez(file, **arrays), overwrite=True)
