"""Repairs left and right limbs that a detector exchanges for some frames.

Between two frames the left points of arms, legs or face jump to where the right ones
were, and the other way round: a change. A stretch between two changes that is short,
and shorter than what lies before and after it, is put right by exchanging its points.
So is a short stretch from a change to where the limbs cross, if in it, and only there,
the hips are turned against the shoulders. What lasts is left as it is: nothing tells
then which side of the change is wrong. Limbs that change places where they cross cannot
be told from limbs that pass each other, and are left too. Smooth afterwards: a filter
turns jumps into ways.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.motion.gaps import stretches

GROUPS = {
  "arms": ("shoulder", "elbow", "wrist", "hand", "pinky", "index", "thumb"),
  "legs": ("hip", "knee", "ankle", "foot", "heel", "foot_index", "toe"),
  "face": ("eye_inner", "eye", "eye_outer", "ear", "mouth"),
}
_LONGEST = 1.0  # seconds of a stretch that is put right
_CLEARER = 2.0  # times nearer if exchanged
_FARTHER = 0.04  # of the body's size: mean way of a point, at least
_WIDE = 0.03  # of the body's size: hips or shoulders that show a side


class Repaired(NamedTuple):
  """Points whose sides are put right where that is clear.

  Attributes:
    keypoints: pixels.
    confidence: exchanged with them.
    swapped: of each group, the frames that were exchanged.
    left: of each group, frames before which a change was left.
  """

  keypoints: Float[np.ndarray, "t j 2"]
  confidence: Float[np.ndarray, "t j"]
  swapped: dict[str, Bool[np.ndarray, " t"]]
  left: dict[str, list[int]]

  def report(self, first: int = 0) -> str:
    """What was done, in one or two sentences; frames are counted from `first`."""
    before = np.zeros(first, bool)
    parts = [
      f"{name} in {frames.sum()} frames ({stretches(np.r_[before, frames])})"
      for name, frames in self.swapped.items()
      if frames.any()
    ]
    text = (
      f"Left and right had changed places and were put right: {', '.join(parts)}."
      if parts
      else "No short exchange of left and right was found."
    )
    left = [
      f"{name} {', '.join(str(first + f) for f in frames[:5])}"
      + (" and more" if len(frames) > 5 else "")
      for name, frames in self.left.items()
      if frames
    ]
    if left:
      text += f" Sides change for longer, and were left, at frame: {'; '.join(left)}."
    return text


def repair(
  keypoints: Float[np.ndarray, "t j 2"],
  confidence: Float[np.ndarray, "t j"],
  skeleton: str,
  rate: float,
) -> Repaired:
  """Short exchanges of left and right undone.

  Args:
    keypoints: pixels of one person, every frame.
    confidence: 0 where there is no point.
    skeleton: of the points, with joints called left_ and right_.
    rate: frames per second.
  """
  joints = skeletons.get(skeleton).joints
  points, sure = keypoints.copy(), confidence.copy()
  swapped, left, members = {}, {}, {}
  longest = max(2.0, _LONGEST * rate)

  def exchange(name, frames):
    rows, (a, b) = np.flatnonzero(frames)[:, None], members[name]
    for array in (points, sure):
      array[rows, a], array[rows, b] = array[rows, b], array[rows, a]
    swapped[name] ^= frames

  for name, parts in GROUPS.items():
    pairs = [
      (joints.index(f"left_{p}"), joints.index(f"right_{p}"))
      for p in parts
      if f"left_{p}" in joints and f"right_{p}" in joints
    ]
    if not pairs:
      continue
    members[name] = np.asarray(pairs).T
    events = changes(keypoints, confidence, *members[name])
    short, left[name] = _pair_up(events, len(keypoints), longest)
    swapped[name] = np.zeros(len(keypoints), bool)
    for start, stop in short:
      exchange(name, _within(start, stop, len(keypoints)))
  corners = [f"{s}_{p}" for p in ("hip", "shoulder") for s in ("left", "right")]
  if set(corners) <= set(joints):
    torso = [joints.index(joint) for joint in corners]
    for name in ("legs", "arms"):
      for event in list(left[name]):
        turned = _turned(points[:, torso], sure[:, torso], _sizes(points, sure))
        start, stop = _to_the_crossing(turned, event, longest)
        exchange(name, _within(start, stop, len(keypoints)))
        if stop > start:
          left[name] = [e for e in left[name] if not start <= e <= stop]
  return Repaired(points, sure, swapped, left)


def _within(start: int, stop: int, count: int) -> Bool[np.ndarray, " t"]:
  frames = np.arange(count)
  return (frames >= start) & (frames < stop)


def _sizes(keypoints, confidence) -> Float[np.ndarray, " t"]:
  """Diagonal of what is seen."""
  seen = (confidence > 0)[..., None]
  low = np.where(seen, keypoints, np.inf).min(1)
  high = np.where(seen, keypoints, -np.inf).max(1)
  return np.linalg.norm(np.where(seen.any(1), high - low, 0), axis=-1)


def _turned(torso, confidence, size) -> np.ndarray:
  """1 where hips and shoulders have the same side left, -1 where not, 0 if unclear."""
  hips, shoulders = torso[:, 0] - torso[:, 1], torso[:, 2] - torso[:, 3]
  dot = (hips * shoulders).sum(-1)
  lengths = np.linalg.norm([hips, shoulders], axis=-1)
  clear = (lengths > _WIDE * size).all(0) & (confidence > 0).all(1)
  clear &= np.abs(dot) > 0.5 * lengths.prod(0)
  return np.where(clear, np.sign(dot), 0).astype(int)


def _to_the_crossing(turned, event: int, longest: float) -> tuple[int, int]:
  """The short stretch of turned torsos that starts or ends at a change; or empty."""
  after, before = turned[event:], turned[:event][::-1]
  for side, ahead, behind in ((1, after, before), (-1, before, after)):
    right = np.flatnonzero(ahead > 0)
    known = behind[behind != 0]
    if not len(right) or not len(known) or known[0] < 0 or right[0] > longest:
      continue
    wrong = np.flatnonzero(ahead[: right[0]] < 0)
    if len(wrong):
      # They cross between the last turned torso and the first that is not.
      length = int(wrong[-1] + 1 + right[0]) // 2
      end = event + side * length
      return min(event, end), max(event, end)
  return event, event


def changes(keypoints, confidence, a, b) -> list[int]:
  """Frames before which the points `a` and `b` change places."""
  before, now = keypoints[:-1], keypoints[1:]
  weight = np.minimum(confidence[:-1], confidence[1:])
  weight = np.minimum(weight[:, a], weight[:, b])
  total = weight.sum(1)

  def way(x, y):
    d = np.linalg.norm(now[:, x] - before[:, y], axis=-1)
    return (d * weight).sum(1) / np.maximum(total, 1e-9)

  stay, cross = way(a, a) + way(b, b), way(a, b) + way(b, a)
  size = _sizes(keypoints, confidence)[1:]
  clear = (stay > _CLEARER * cross) & (stay - cross > 2 * _FARTHER * size)
  return (np.flatnonzero(clear & (total > 0)) + 1).tolist()


def _pair_up(
  events: list[int], count: int, longest: float
) -> tuple[list[tuple[int, int]], list[int]]:
  """Short stretches between two changes, shortest first, and the changes left over."""
  events, short = list(events), []
  while len(events) > 1:
    edges = np.asarray([0, *events, count])
    lengths = np.diff(edges)
    inner, around = lengths[1:-1], lengths[:-2] + lengths[2:]
    fits = (inner <= longest) & (inner < around)
    if not fits.any():
      break
    k = int(np.where(fits, inner, count).argmin())
    short.append((events[k], events[k + 1]))
    del events[k : k + 2]
  return short, events
