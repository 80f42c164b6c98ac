"""People in a video by BlazePose: 33 keypoints each, tracked from frame to frame.

Two networks run on the CPU by LiteRT. A tracked person is searched for where the last
frame's landmarks say. The detector runs where somebody has to be found: at the start,
when someone is lost, and now and then for newcomers. The settings are those of
MediaPipe's own graph; `tests/blazepose_mediapipe_test.py` compares.

Detector: reads the whole picture, fitted into a square of 224 pixels. For each of 2,254
anchors it gives a score, the box of the face and four points: the middle of the hips, a
point that gives the size and the rotation of the whole body, and the same two for the
upper body. Coordinates are in units of that square, from 0 to 1.

Landmarks: reads a rotated crop of one person, 256 pixels wide. It gives 39 points of
five numbers (x, y in pixels of the crop, depth, visibility, presence), a score that
there is a person, and a map of 64 x 64 for each point. The first 33 points are the
keypoints, the next two the middle of the hips and the tip of the next frame's region.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8

from jaxpose.geometry import crops
from jaxpose.geometry import turned_crops
from jaxpose.motion import one_euro

SIZE = 224  # pixels
LEAST_SCORE = 0.5
_LEAST_OVERLAP = 0.3  # intersection over union: the same face
_GRIDS = ((28, 2), (14, 2), (7, 6))  # cells along a side, anchors in a cell


class Found(NamedTuple):
  """The people in a picture, surest first.

  Attributes:
    scores: from 0 to 1.
    points: middle of the hips, its tip; the same of the upper body.
  """

  scores: Float[np.ndarray, " n"]
  points: Float[np.ndarray, "n 4 2"]


@functools.cache
def anchors() -> Float[np.ndarray, "2254 2"]:
  """Centres of the anchors, as the network numbers them. Do not modify."""
  parts = []
  for cells, repeats in _GRIDS:
    middle = (np.arange(cells) + 0.5) / cells
    y, x = np.meshgrid(middle, middle, indexing="ij")
    parts.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), repeats, 0))
  centres = np.concatenate(parts).astype(np.float32)
  centres.setflags(write=False)
  return centres


def decode(
  raw: Float[np.ndarray, "a 12"],
  logits: Float[np.ndarray, " a"],
  least_score: float = LEAST_SCORE,
) -> Found:
  """The people of the network's two outputs; a face that is found twice counts once."""
  scores = sigmoid(logits)
  sure = np.flatnonzero(scores >= least_score)
  sure = sure[np.argsort(-scores[sure], kind="stable")]
  raw, scores = raw[sure] / SIZE, scores[sure]
  shift = anchors()[sure]
  points = raw[:, 4:].reshape(-1, 4, 2) + shift[:, None]
  middle, half = raw[:, :2] + shift, raw[:, 2:4] / 2
  return suppress(scores, np.concatenate([middle - half, middle + half], -1), points)


def suppress(
  scores: Float[np.ndarray, " n"],
  boxes: Float[np.ndarray, "n 4"],
  points: Float[np.ndarray, "n 4 2"],
) -> Found:
  """Mean points of each group of overlapping boxes, by score; the group has its best.

  Args:
    scores: descending.
    boxes: corners, (x0, y0, x1, y1).
    points: of the boxes.
  """
  left = np.arange(len(scores))
  kept, means = [], []
  while len(left):
    same = overlaps(boxes[left[0]], boxes[left]) > _LEAST_OVERLAP
    same[0] = True  # a box without area overlaps not even itself
    group = left[same]
    kept.append(scores[group[0]])
    means.append(np.average(points[group], axis=0, weights=scores[group]))
    left = left[~same]
  return Found(
    np.asarray(kept, np.float32), np.asarray(means, np.float32).reshape(-1, 4, 2)
  )


def overlaps(
  box: Float[np.ndarray, "4"], boxes: Float[np.ndarray, "n 4"]
) -> Float[np.ndarray, " n"]:
  """Intersection over union of boxes of corners; 0 where nothing has an area."""
  common = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
  common = np.maximum(common, 0).prod(-1)
  area = np.maximum(box[2:] - box[:2], 0).prod()
  areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(-1)
  return common / np.maximum(area + areas - common, 1e-12)


def sigmoid(logits: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
  """From 0 to 1; clipped so that float32 does not overflow."""
  return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))


LANDMARK_SIZE = 256  # pixels
KEYPOINTS = 33
POINTS = 39
_REACH = 3  # cells of the map to each side
_LEAST_PEAK = 0.5  # of the map, to trust it


class Landmarks(NamedTuple):
  """Of one person.

  Attributes:
    points: the keypoints and the two of the region.
    confidence: of each: visible and within the crop.
    presence: of the person.
  """

  points: Float[np.ndarray, "35 2"]
  confidence: Float[np.ndarray, "35"]
  presence: float


def decode_landmarks(
  numbers: Float[np.ndarray, "195"],
  maps: Float[np.ndarray, "h w 39"],
  presence: float,
) -> Landmarks:
  """Points in crop units, [0, 1].

  Args:
    numbers: the network's points.
    maps: logits of where each point is.
    presence: of the person, as the network has it.
  """
  rows = numbers.reshape(POINTS, 5)[: KEYPOINTS + 2]
  points = refine_landmarks(rows[:, :2] / LANDMARK_SIZE, maps)
  confidence = sigmoid(rows[:, 3]) * sigmoid(rows[:, 4])
  return Landmarks(points, confidence.astype(np.float32), presence)


def refine_landmarks(
  points: Float[np.ndarray, "j 2"], maps: Float[np.ndarray, "h w k"]
) -> Float[np.ndarray, "j 2"]:
  """Each point moved to the middle of its map's weight nearby.

  A point outside of its map, or with nothing sure nearby in it, stays.
  """
  height, width, _ = maps.shape
  cells = (points * (width, height)).astype(int)
  refined = points.astype(np.float32)
  for j, (column, row) in enumerate(cells):
    if not (0 <= column < width and 0 <= row < height):
      continue
    top, left = max(row - _REACH, 0), max(column - _REACH, 0)
    weights = sigmoid(maps[top : row + _REACH + 1, left : column + _REACH + 1, j])
    if weights.max() < _LEAST_PEAK:
      continue
    total = weights.sum()
    x = (weights.sum(0) * np.arange(left, left + weights.shape[1])).sum() / total
    y = (weights.sum(1) * np.arange(top, top + weights.shape[0])).sum() / total
    refined[j] = x / width, y / height
  return refined


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
      networks: as `blazepose.Networks`.
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


class Networks:
  """Both networks, ready to run."""

  def __init__(
    self, detector: pathlib.Path, landmarks: pathlib.Path, threads: int | None = None
  ):
    """Reads the two files.

    Args:
      detector: `pose_detection.tflite`.
      landmarks: `pose_landmark_full.tflite`, or the heavy or lite one.
      threads: of the CPU; None for all, at most 4.

    Raises:
      ImportError: the package that runs them is not installed.
      ValueError: fewer than one thread.
    """
    if threads is not None and threads < 1:
      raise ValueError(f"got threads={threads}, expected at least 1.")
    interpreter = _interpreter()
    threads = threads or min(os.cpu_count() or 1, 4)
    self._detector = interpreter(str(detector), num_threads=threads)
    self._landmarks = interpreter(str(landmarks), num_threads=threads)
    for network in (self._detector, self._landmarks):
      network.allocate_tensors()

  def find(
    self, frame: UInt8[np.ndarray, "h w 3"], *, parts: bool = False
  ) -> list[Float[np.ndarray, "4"]]:
    """Regions of the people in a frame, surest first in each view.

    Args:
      frame: the whole picture.
      parts: look closer too, at the squares along its longer side; someone can then be
        found more than once.
    """
    height, width, _ = frame.shape
    found = []
    for box in views(width, height)[: None if parts else 1]:
      square = crops.crop(frame, box, scale=1.0, size=SIZE)
      raw, logits = _run(self._detector, square.astype(np.float32) / 127.5 - 1)
      points = decode(raw, logits[:, 0]).points - 0.5
      points = points * max(box[2:]) + box[:2]
      found += [turned_crops.around(p[0], p[1]) for p in points]
    return found

  def landmarks(
    self, frame: UInt8[np.ndarray, "h w 3"], region: Float[np.ndarray, "4"]
  ) -> Landmarks:
    """Of the person in a region; points in pixels of the frame."""
    size = LANDMARK_SIZE
    crop = turned_crops.crop(frame, region, size)
    numbers, presence, _, maps, _ = _run(
      self._landmarks, crop.astype(np.float32) / 255, skip=(2, 4)
    )
    found = decode_landmarks(numbers, maps, float(presence[0]))
    return found._replace(points=turned_crops.to_image(found.points, region))


def views(width: int, height: int) -> list[Float[np.ndarray, "4"]]:
  """Boxes (cx, cy, w, h) to look at: all, then squares that overlap by half or more."""
  short, long = sorted((width, height))
  boxes = [(width / 2, height / 2, width, height)]
  count = 1 + int(np.ceil((long - short) / (short / 2)))
  for middle in np.linspace(short / 2, long - short / 2, count)[: count * (count > 1)]:
    x, y = (middle, height / 2) if width > height else (width / 2, middle)
    boxes.append((x, y, short, short))
  return [np.asarray(box, np.float64) for box in boxes]


def _run(network, image: np.ndarray, skip: tuple[int, ...] = ()) -> list:
  """Outputs for one picture, without their leading axis; None for those to skip."""
  network.set_tensor(network.get_input_details()[0]["index"], image[None])
  network.invoke()
  return [
    None if i in skip else network.get_tensor(detail["index"])[0]
    for i, detail in enumerate(network.get_output_details())
  ]


def _interpreter():
  try:
    from ai_edge_litert.interpreter import Interpreter
  except ImportError as error:
    raise ImportError(
      "BlazePose is run by LiteRT, which is not installed; run "
      "pip install 'jaxpose[video]'."
    ) from error
  return Interpreter
