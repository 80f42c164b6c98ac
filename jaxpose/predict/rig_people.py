"""Which tracks of several views are the same person in the world.

Two tracks of two views may be one person if the rays of their joints meet. Rays of
cameras at one height nearly meet for anybody, so every such pair is compared with the
tracks of the other views, and the pair that most views confirm is a person. Appearance
is not used.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxpose.detect.detect_tracks import Tracks
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.geometry import triangulation
from jaxpose.predict.rig_source import Rig

MIN_CONFIDENCE = 0.3  # of a keypoint that counts as seen
LIMIT = 0.06  # of a person's size: pairs of tracks that agree less are two people
NEAR = 0.1  # of the size: as far as a track lies from what other views show together
_SAMPLES = 40  # frames of a pair that are looked at
_FEW = 5  # keypoints that say something
_TALL = (0.3, 2.7)  # metres that somebody takes up
_SHARED = 0.1  # of the shorter of two tracks of a view: then they are two people


class Seen(NamedTuple):
  """One person in all views, in every frame.

  Attributes:
    name: "0" is who is seen the most.
    pixels: undistorted; 0 where there is no track.
    confidence: 0 where there is no track.
    skeleton: of the keypoints.
    parts: names of the person's tracks in each view.
  """

  name: str
  pixels: Float[np.ndarray, "t v k 2"]
  confidence: Float[np.ndarray, "t v k"]
  skeleton: str
  parts: tuple[tuple[str, ...], ...]

  @property
  def size(self) -> Float[np.ndarray, "t v"]:
    """Longer side of the box round the keypoints seen, in pixels; 0 without."""
    return sizes(self.pixels, self.confidence)


class People(NamedTuple):
  """Attributes: the people; what was found, in words."""

  people: list[Seen]
  report: str


def sizes(pixels, confidence) -> np.ndarray:
  """Longer side of the box round the keypoints that are seen; 0 for too few."""
  seen = (confidence >= MIN_CONFIDENCE)[..., None]
  low = np.where(seen, pixels, np.inf).min(-2)
  high = np.where(seen, pixels, -np.inf).max(-2)
  enough = seen.sum((-2, -1)) >= _FEW
  return np.where(enough, np.where(enough[..., None], high - low, 0).max(-1), 0.0)


def associate(views: Sequence[Tracks], rig: Rig) -> People:
  """The people that at least two views show.

  Raises:
    ValueError: the views' keypoints are of different skeletons, or nobody is seen by
      two views.
  """
  names = {track.skeleton for tracks in views for track in tracks}
  if len(names) != 1 or not all(names):
    raise ValueError(
      f"got keypoints of {', '.join(sorted(n or 'no skeleton' for n in names))}, "
      "expected those of one known skeleton in all views."
    )
  dense = [
    (v, track, *_dense(track, rig, v))
    for v, tracks in enumerate(views)
    for track in tracks
  ]
  found = []
  for group in _groups(dense, rig):
    pixels, sure, parts = _merged([dense[i] for i in sorted(group)], rig)
    frames = (sure.any(-1).sum(1) >= 2).sum()
    found.append((frames, pixels, sure, parts))
  found.sort(key=lambda item: -item[0])
  several = [item for item in found if sum(map(bool, item[3])) >= 2 and item[0]]
  if not several:
    raise ValueError(
      "got nobody whom two views agree on, expected the same person in two views or "
      "more; check that the videos start together and that the calibration is theirs "
      "(its unit and the order of the cameras too)."
    )
  skeleton = names.pop()
  people = [
    Seen(str(i), pixels, sure, skeleton, parts)
    for i, (_, pixels, sure, parts) in enumerate(several)
  ]
  return People(people, _report(people, rig, len(found) - len(several)))


def alone(views: Sequence[Tracks], rig: Rig) -> Seen | None:
  """The one track of each view as one person; None where there is not one in each."""
  if any(len(tracks) != 1 for tracks in views):
    return None
  tracks = [tracks[0] for tracks in views]
  dense = [(v, track, *_dense(track, rig, v)) for v, track in enumerate(tracks)]
  return Seen("0", *_merged(dense, rig)[:2], tracks[0].skeleton, (("0",),) * len(views))


def _merged(dense, rig: Rig):
  """Pixels, confidence and names by view of tracks that are one person."""
  pixels = np.zeros((rig.count, len(rig.names), *dense[0][2].shape[1:]))
  sure = np.zeros(pixels.shape[:-1], np.float32)
  parts: list[list[str]] = [[] for _ in rig.names]
  for v, track, points, confidence in dense:
    here = confidence.any(-1) & ~sure[:, v].any(-1)
    pixels[here, v], sure[here, v] = points[here], confidence[here]
    parts[v].append(track.name or "0")
  return pixels, sure, tuple(map(tuple, parts))


def disagreement(one, other, rig: Rig) -> float:
  """Median reprojection error of two tracks of two views over the person's size.

  Args:
    one: (view, track, undistorted pixels (t, k, 2), confidence (t, k)).
    other: the same, of another view.
    rig: the cameras.
  """
  views = [one[0], other[0]]
  both = one[3].any(-1) & other[3].any(-1)
  at = np.flatnonzero(both)
  at = at[:: max(len(at) // _SAMPLES, 1)]
  if not len(at):
    return np.inf
  pixels = np.stack([one[2][at], other[2][at]], 1)
  sure = np.stack([one[3][at], other[3][at]], 1)
  seen = np.broadcast_to((sure >= MIN_CONFIDENCE).all(1)[:, None], sure.shape)
  size = sizes(pixels, sure)
  seen = seen & (size > 0).all(1)[:, None, None]
  if seen[:, 0].sum() < _FEW:
    return np.inf
  lens = np.stack([rig.cameras[v].intrinsics for v in views])[:, None]
  rays = (pixels - lens[..., 2:4]) / lens[..., :2]
  cameras = rig.rotation[None, views], rig.position[None, views]
  points, met = triangulation.triangulate(rays, *cameras, seen.astype(np.float64))
  error = triangulation.ray_errors(points, rays, *cameras) * rig.focal[views][:, None]
  used = seen & met[:, None]
  whole = used[:, 0].sum(-1) >= _FEW
  if not whole.any():
    return np.inf
  share = (error / np.maximum(size, 1)[..., None])[used]
  low = np.where(met[..., None], points, np.inf).min(1)
  high = np.where(met[..., None], points, -np.inf).max(1)
  tall = np.median((high - low).max(-1)[whole])
  if not _TALL[0] <= tall <= _TALL[1]:
    return np.inf
  return float(np.median(share))


def _dense(track: Track, rig: Rig, view: int):
  """Undistorted pixels (t, k, 2) and confidence (t, k) of all frames; 0 without."""
  inside = track.frames < rig.count
  at = track.frames[inside]
  confidence = np.zeros((rig.count, track.keypoints.shape[1]), np.float32)
  confidence[at] = track.confidence[inside]
  pixels = np.zeros((*confidence.shape, 2))
  known = (track.keypoints[inside] != 0).any(-1)
  moved = rig.lenses[view].points(np.float64(track.keypoints[inside]))
  pixels[at] = np.where(known[..., None], moved, 0)
  return pixels, confidence


def _groups(dense, rig: Rig) -> list[set[int]]:
  """Tracks by person, everybody with the most views first; the rest one by one."""
  pairs = {}
  for a, b in itertools.combinations(range(len(dense)), 2):
    if dense[a][0] != dense[b][0]:
      cost = disagreement(dense[a], dense[b], rig)
      if cost <= LIMIT:
        pairs[a, b] = cost
  left, groups = set(range(len(dense))), []
  grown = {pair: _grown(pair, left, dense, rig) for pair in pairs}
  while grown:
    merits = {
      pair: (len({dense[i][0] for i in members}), len(members), -pairs[pair])
      for pair, members in grown.items()
    }
    best = grown[max(grown, key=merits.get)]
    groups.append(best)
    left -= best
    grown = {
      pair: _grown(pair, left, dense, rig) if members & best else members
      for pair, members in grown.items()
      if set(pair) <= left
    }
  return groups + [{i} for i in left]


def _grown(pair, left: set[int], dense, rig: Rig) -> set[int]:
  """A pair of tracks with all that lie near what it shows, the nearest first."""
  members = set(pair)
  while True:
    points, known, at = _points(members, dense, rig)
    away = {
      i: _beside(dense[i], points, known, at, rig)
      for i in left - members
      if not any(_overlap(dense[i], dense[k]) for k in members)
    }
    nearest = min(away, key=away.get, default=None)
    if nearest is None or away[nearest] > NEAR:
      return members
    members.add(nearest)


def _points(members: set[int], dense, rig: Rig):
  """Points (n, k, 3) of the members, which are known (n, k), and their frames (n,)."""
  there = sum(dense[i][3].any(-1).astype(int) for i in members) >= 2
  at = np.flatnonzero(there)
  at = at[:: max(len(at) // _SAMPLES, 1)]
  shape = (len(at), len(rig.names), *dense[0][3].shape[1:])
  pixels, sure = np.zeros((*shape, 2)), np.zeros(shape)
  for i in members:
    v, _, points, confidence = dense[i]
    here = confidence[at].any(-1)
    pixels[here, v], sure[here, v] = points[at][here], confidence[at][here]
  weight = np.where(sure >= MIN_CONFIDENCE, sure, 0)
  found, known = triangulation.triangulate(
    rig.rays(pixels), rig.rotation[None], rig.position[None], weight
  )
  return found, known & ((weight > 0).sum(1) >= 2), at


def _beside(one, points, known, at, rig: Rig) -> float:
  """Median distance of a track from projected points over the person's size."""
  v, _, pixels, confidence = one
  pixels, confidence = pixels[at], confidence[at]
  away = np.linalg.norm(rig.pixels(points)[:, v] - pixels, axis=-1)
  size = sizes(pixels, confidence)
  used = known & (confidence >= MIN_CONFIDENCE) & (size > 0)[:, None]
  if used.sum() < _FEW:
    return np.inf
  share = np.where(np.isfinite(away), away, np.inf) / np.maximum(size, 1)[:, None]
  return float(np.median(share[used]))


def _overlap(one, other) -> bool:
  """Whether two tracks are of one view and of the same frames."""
  if one[0] != other[0]:
    return False
  a, b = one[3].any(-1), other[3].any(-1)
  return bool((a & b).sum() > _SHARED * min(a.sum(), b.sum()))


def _report(people: list[Seen], rig: Rig, left: int) -> str:
  lines = []
  for person in people:
    each = ", ".join(
      f"{name} {'+'.join(parts) if parts else 'nobody'}"
      for name, parts in zip(rig.names, person.parts, strict=True)
    )
    lines.append(f"Person {person.name} is in the views: {each}.")
  for v, name in enumerate(rig.names):
    if not any(person.parts[v] for person in people):
      lines.append(
        f"{name} shows nobody of them: see whether its calibration is right."
      )
  if left:
    lines.append(f"Left out, as no other view shows the same: {left} of the tracks.")
  return "\n".join(lines)
