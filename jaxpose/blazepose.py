"""People in a video by BlazePose: 33 keypoints each, followed from frame to frame.

A person who is followed is looked for where the last frame's landmarks say; the
detector, which looks at the whole picture, runs where somebody has to be found: at the
start, when someone is lost, and now and then for those who come in. The settings are
those of MediaPipe's own graph; `tests/blazepose_mediapipe_test.py` compares.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8

from jaxpose import one_euro
from jaxpose import turned_crops
from jaxpose.blazepose_landmarks import KEYPOINTS
from jaxpose.blazepose_landmarks import Landmarks

SKELETON = "blazepose33"
LEAST_PRESENCE = 0.5
_SAME_REGION = 0.3  # intersection over union of the trunks: the same person
_TRUNK = 0.5  # of the side of a region
_SAME_BODY = 0.12  # mean distance of keypoints, over the side of the region
_KEPT = 1.0  # seconds that somebody who is lost keeps the name
_LOOKS = 2.0  # per second, for people who come in
_CUTOFF, _BETA = 0.01, 10.0  # of the filter that holds the region


class Person(NamedTuple):
  """One person in one frame.

  Attributes:
    number: the same in all frames.
    keypoints: pixels.
    confidence: visible and within the crop, from 0 to 1.
    scale: of the person, pixels; for `one_euro.track`.
  """

  number: int
  keypoints: Float[np.ndarray, "33 2"]
  confidence: Float[np.ndarray, "33"]
  scale: float


@dataclasses.dataclass
class _Followed:
  """Attributes as in `Tracker.state`."""

  number: int
  region: np.ndarray
  lost: int = 0
  filter: one_euro.Smoothed | None = None
  seen: Landmarks | None = None


class Tracker:
  """Follows people through the frames of one video, in order."""

  def __init__(
    self,
    networks,
    *,
    rate: float,
    people: int | None = None,
  ):
    """A tracker that has seen nothing yet.

    Args:
      networks: as `blazepose_networks.Networks`.
      rate: frames per second; the region is smoothed, and names are kept for a second.
      people: at most; None for all that are found. With one, the detector only runs
        while nobody is followed, as in MediaPipe.

    Raises:
      ValueError: no rate, or nobody to follow.
    """
    if not rate > 0 or (people is not None and people < 1):
      raise ValueError(
        f"got rate={rate} and people={people}, expected positive numbers."
      )
    self._networks, self._rate, self._most = networks, float(rate), people
    self._followed: list[_Followed] = []
    self._frames = self._numbers = 0

  def update(self, frame: UInt8[np.ndarray, "h w 3"]) -> list[Person]:
    """The people in the next frame, in the order of their numbers."""
    for one in self._followed:
      if one.lost:
        one.lost += 1
      else:
        self._see(one, self._networks.landmarks(frame, one.region))
    self._drop_doubles()
    if self._must_look():
      self._look(frame)
    self._frames += 1
    self._followed = [f for f in self._followed if f.lost <= _KEPT * self._rate]
    return [
      Person(
        f.number,
        f.seen.points[:KEYPOINTS].astype(np.float32),
        f.seen.confidence[:KEYPOINTS],
        _scale(f.seen),
      )
      for f in sorted(self._followed, key=lambda f: f.number)
      if not f.lost
    ]

  def _must_look(self) -> bool:
    there = sum(not f.lost for f in self._followed)
    if there == 0 or self._most == 1:
      return there == 0
    if self._most is not None and there >= self._most:
      return False
    every = max(1, round(self._rate / _LOOKS))
    return there < len(self._followed) or self._frames % every == 0

  def _look(self, frame) -> None:
    for region in self._networks.find(frame, parts=self._most != 1):
      there = [f for f in self._followed if not f.lost]
      if self._most is not None and len(there) >= self._most:
        return
      if any(overlap(region, f.region) > _SAME_REGION for f in there):
        continue
      landmarks = self._networks.landmarks(frame, region)
      if any(_same_body(landmarks, f) for f in there):
        continue
      missed = [f for f in self._followed if f.lost]
      known = max(missed, key=lambda f: overlap(region, f.region), default=None)
      if known is None or overlap(region, known.region) <= _SAME_REGION:
        known = _Followed(self._numbers, region)
      self._see(known, landmarks)
      if known.number == self._numbers and not known.lost:
        self._numbers += 1
        self._followed.append(known)

  def _see(self, one: _Followed, landmarks: Landmarks) -> None:
    """Where the person is now, and where to look in the next frame."""
    points, scale = landmarks.points[KEYPOINTS:], _scale(landmarks)
    there = landmarks.presence >= LEAST_PRESENCE and scale > 1 and np.isfinite(scale)
    if not there:
      one.lost, one.filter, one.seen = max(one.lost, 1), None, None
      return
    if one.filter is None:
      one.filter = one_euro.start(points)
    else:
      one.filter = one_euro.step(
        one.filter, points, rate=self._rate, scale=scale, cutoff=_CUTOFF, beta=_BETA
      )
    one.region = turned_crops.around(*one.filter.values)
    one.lost, one.seen = 0, landmarks

  def _drop_doubles(self) -> None:
    """Of two who have become one, the one followed for longer stays."""
    kept: list[_Followed] = []
    for one in sorted(self._followed, key=lambda f: f.number):
      if one.lost or not any(_same_body(one.seen, f) for f in kept if not f.lost):
        kept.append(one)
    self._followed = kept

  def state(self) -> dict[str, np.ndarray]:
    """All that is remembered, as arrays; for `restore`.

    `numbers`, `regions`, `lost` (frames; 0 while seen) and `filters` (three of its
    arrays; zeros while lost) have a row for each person who is followed.
    """
    empty = np.zeros((3, 2, 2))
    filters = [
      empty if f.filter is None else np.stack(f.filter) for f in self._followed
    ]
    return dict(
      counts=np.asarray([self._frames, self._numbers]),
      numbers=np.asarray([f.number for f in self._followed], np.int64),
      regions=np.asarray([f.region for f in self._followed]).reshape(-1, 4),
      lost=np.asarray([f.lost for f in self._followed], np.int64),
      filters=np.asarray(filters).reshape(-1, *empty.shape),
    )

  def restore(self, state: Mapping[str, np.ndarray]) -> None:
    """Goes on from a state as if all frames before it had been seen."""
    self._frames, self._numbers = map(int, state["counts"])
    rows = zip(
      *(state[k] for k in ("numbers", "regions", "lost", "filters")), strict=True
    )
    self._followed = [
      _Followed(int(n), region, int(lost), None if lost else one_euro.Smoothed(*arrays))
      for n, region, lost, arrays in rows
    ]


def _scale(landmarks: Landmarks) -> float:
  middle, tip = landmarks.points[KEYPOINTS:]
  return 2 * float(np.hypot(*(tip - middle)))


def _same_body(landmarks: Landmarks, other: _Followed) -> bool:
  way = landmarks.points[:KEYPOINTS] - other.seen.points[:KEYPOINTS]
  return bool(np.linalg.norm(way, axis=-1).mean() < _SAME_BODY * other.region[2])


def overlap(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"]) -> float:
  """Intersection over union of two people's trunks, as upright squares.

  Whole regions of people who stand side by side overlap too much to tell them apart.
  """
  a_half, b_half = a[2] * _TRUNK / 2, b[2] * _TRUNK / 2
  low = np.maximum(a[:2] - a_half, b[:2] - b_half)
  high = np.minimum(a[:2] + a_half, b[:2] + b_half)
  common = np.maximum(high - low, 0).prod()
  return float(common / max(4 * (a_half**2 + b_half**2) - common, 1e-9))
