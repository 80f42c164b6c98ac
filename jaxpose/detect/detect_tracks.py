"""Detected people as tracks with a report, and their storage while a video runs.

A chunk is a small file with the people of some successive frames and the state of the
tracker after them. It is written whole or not at all; an interrupted video resumes from
the last chunk.
"""

import json
import pathlib
import zipfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxpose import skeletons
from jaxpose.files import whole_files
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.motion import limb_swaps
from jaxpose.motion import one_euro
from jaxpose.motion.gaps import stretches

CHUNK = 200  # frames
REQUEST_FILE = "request.json"
_VALUES = ("keypoints", "confidence", "scale")  # of each person
_ROWS = ("frames", "numbers", *_VALUES)


class Chunks:
  """People by frame, in the order of the frames.

  Attributes:
    frames: number of frames that were added or found.
    state: of the tracker after the frames that were found; None at the start.
  """

  def __init__(self, folder: pathlib.Path | None, request: Mapping):
    """Finds what an interrupted call left.

    Args:
      folder: for the files; None keeps all in memory.
      request: what was asked for, in JSON's types.

    Raises:
      ValueError: the folder is of another request, or a file in it is damaged.
    """
    self._folder = folder
    self._parts: list[dict[str, np.ndarray]] = []
    self._new: list[tuple[int, Sequence]] = []
    self.frames, self.state = 0, None
    if folder is not None:
      self._claim(dict(request))
      for path in sorted(folder.glob("[0-9]*.npz")):
        self._find(path)

  @property
  def is_full(self) -> bool:
    """Whether it is time to store."""
    return len(self._new) >= CHUNK

  def add(self, people: Sequence) -> None:
    """The people in the next frame: each with `number` and _VALUES."""
    self._new.append((self.frames, people))
    self.frames += 1

  def store(self, state: Mapping[str, np.ndarray]) -> None:
    """Keeps what was added, and what the tracker remembers now."""
    if not self._new:
      return
    rows = [(frame, p) for frame, people in self._new for p in people]
    part = dict(
      frames=np.asarray([frame for frame, _ in rows], np.int64),
      numbers=np.asarray([p.number for _, p in rows], np.int64),
    )
    for key in _VALUES:
      values = [getattr(p, key) for _, p in rows]
      part[key] = np.asarray(values, np.float32)
    if self._folder is not None:
      path = self._folder / f"{self.frames:09d}.npz"
      memory = {f"state_{key}": value for key, value in state.items()}
      arrays = part | memory
      whole_files.write(path, lambda file: np.savez(file, **arrays), overwrite=True)
    self._parts.append(part)  # after the file, which may be interrupted and tried again
    self._new = []

  def rows(self) -> dict[str, np.ndarray]:
    """All that was stored, a row for each person in each frame."""
    parts = [part for part in self._parts if len(part["frames"])]
    if not parts:
      return dict(frames=np.zeros(0, np.int64), numbers=np.zeros(0, np.int64))
    return {key: np.concatenate([part[key] for part in parts]) for key in _ROWS}

  def _claim(self, request: dict) -> None:
    path = self._folder / REQUEST_FILE
    if not path.exists():
      content = (json.dumps(request, indent=2) + "\n").encode()
      whole_files.write(path, lambda file: file.write(content), overwrite=True)
      return
    found = json.loads(path.read_text())
    differ = sorted(k for k in {**found, **request} if found.get(k) != request.get(k))
    if differ:
      raise ValueError(
        f"{self._folder} holds the beginning of another detection (another "
        f"{', '.join(differ)}); go on with the same, delete that folder, or choose "
        "another --out."
      )

  def _find(self, path: pathlib.Path) -> None:
    try:
      with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
      part = {key: arrays[key] for key in _ROWS}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
      raise ValueError(
        f"{path} is damaged ({type(error).__name__}); delete the folder it is in, to "
        "start again."
      ) from error
    self._parts.append(part)
    self.frames = int(path.stem)
    self.state = {
      key.removeprefix("state_"): value
      for key, value in arrays.items()
      if key.startswith("state_")
    }


_SHORTEST = 0.2  # seconds that a person has to be seen


class Tracks(list):
  """Tracks of the people in a video, as `keypoint_files.load` gives them, and facts.

  Attributes:
    image_size: width and height in pixels.
    fps: frames per second of the video.
    report: what was found, lost and put right, in words.
    speed: frames per second of the detection.
  """

  image_size: tuple[int, int] = (0, 0)
  fps: float = 0.0
  report: str = ""
  speed: float = 0.0

  def only(self, person: str) -> "Tracks":
    """One person alone.

    Raises:
      ValueError: nobody has that name.
    """
    names = [track.name or "0" for track in self]
    if person not in names:
      raise ValueError(
        f"got the person {person!r}, expected one of {', '.join(names)}."
      )
    chosen = Tracks([self[names.index(person)]])
    chosen.__dict__.update(self.__dict__)
    return chosen

  def arrays(self) -> dict[str, np.ndarray]:
    """For an npz file, see `jaxpose.formats.keypoint_files`."""
    return dict(
      keypoints=np.concatenate([t.keypoints for t in self]),
      confidence=np.concatenate([t.confidence for t in self]),
      frames=np.concatenate([t.frames for t in self]),
      track=np.concatenate([np.full(len(t.frames), t.name or "0") for t in self]),
      skeleton=np.asarray(self[0].skeleton),
      image_size=np.asarray(self.image_size),
      fps=np.asarray(self.fps),
      report=np.asarray(self.report),
    )


class Built(NamedTuple):
  """Attributes: the tracks, who is seen longest first; what is in them, in words."""

  tracks: list[Track]
  report: str


def build(
  chunks: Chunks,
  skeleton: str,
  rate: float,
  *,
  repair: bool,
  smooth: bool,
  gap: int = 0,
) -> Built:
  """Tracks of what was stored, without people seen for less than a fifth of a second.

  Args:
    chunks: the people of all frames.
    skeleton: of their keypoints.
    rate: frames per second.
    repair: put sides right, see `limb_swaps`.
    smooth: by a one-euro filter, after that.
    gap: most frames without a person that the filter outlasts.

  Raises:
    ValueError: nobody was found.
  """
  rows = chunks.rows()
  numbers, counts = np.unique(rows["numbers"], return_counts=True)
  if not len(numbers):
    raise ValueError(
      f"got {chunks.frames} frames without a person, expected at least one; the "
      "detector looks for people of at least a tenth of the picture's height or so, "
      "whose head can be seen."
    )
  least = min(counts.max(), max(2, int(np.ceil(_SHORTEST * rate))))
  order = np.argsort(-counts, kind="stable")
  chosen = [int(numbers[k]) for k in order if counts[k] >= least]
  told = [f"{chunks.frames} frames, {len(chosen)} {_people(len(chosen))}."]
  if len(chosen) < len(numbers):
    n = len(numbers) - len(chosen)
    told.append(f"Left out {n} {_people(n)} seen in fewer than {least} frames.")
  tracks = []
  for number in chosen:
    here = {k: v[rows["numbers"] == number] for k, v in rows.items()}
    track, words = _track(here, str(number), skeleton, rate, repair, smooth, gap)
    tracks.append(track)
    told.append(f"Person {number}: {words}")
  return Built(tracks, "\n".join(told))


def _people(count: int) -> str:
  return "person" if count == 1 else "people"


def _track(rows, name, skeleton, rate, repair, smooth, gap):
  first, last = int(rows["frames"][0]), int(rows["frames"][-1])
  at = rows["frames"] - first
  joints = skeletons.get(skeleton).joints
  keypoints = np.zeros((last - first + 1, len(joints), 2), np.float32)
  confidence = np.zeros(keypoints.shape[:2], np.float32)
  keypoints[at], confidence[at] = rows["keypoints"], rows["confidence"]
  lost = np.ones(len(keypoints), bool)
  lost[at] = False
  words = f"frames {first} to {last}"
  if lost.any():
    where = stretches(np.r_[np.zeros(first, bool), lost])
    words += f", lost in {lost.sum()} of them ({where})"
  words += "."
  if repair:
    done = limb_swaps.repair(keypoints, confidence, skeleton, rate)
    keypoints, confidence = done.keypoints, done.confidence
    words += f" {done.report(first)}"
  if smooth:
    scales = np.ones(len(keypoints))
    scales[at] = rows["scale"]
    keypoints = one_euro.track(keypoints, ~lost, scales, rate, gap=gap)
  frames = np.arange(first, last + 1)
  return Track(name, frames, keypoints, confidence, skeleton, joints), words
