"""People of the frames put together to tracks, with a report of what is in them."""

from typing import NamedTuple

import numpy as np

from jaxpose import limb_swaps
from jaxpose import one_euro
from jaxpose import skeletons
from jaxpose.detect_chunks import Chunks
from jaxpose.gaps import stretches
from jaxpose.keypoint_tracks import Track

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
    """For an npz file, see `jaxpose.keypoint_tables`."""
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
