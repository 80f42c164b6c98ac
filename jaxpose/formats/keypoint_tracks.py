"""Tracks: the detections of one person over the frames of a video."""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Int

_NEAR = 0.5  # of the body's diagonal: as far as a person moves between two frames
_LOST = 30  # frames after which someone who comes back is somebody new


class Found(NamedTuple):
  """One person in one frame.

  Attributes:
    frame: its number.
    person: name of the person, None where the detector did not track.
    points: (j, 3) x, y, confidence.
  """

  frame: int
  person: str | None
  points: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
  """One person in one video.

  Attributes:
    name: of the person; empty if there is one only.
    frames: numbers of the frames, ascending; there can be gaps.
    keypoints: pixels, x right, y down; zeros where there is none.
    confidence: of the keypoints, as the detector has it; 0 where there is none.
    skeleton: of the joints, a name in `jaxpose.skeletons`; empty if it is not known.
    joints: names of the joints, as far as they are known.
    joints_3d: of the same joints, unit and frame as in the file; None without.
  """

  name: str
  frames: Int[np.ndarray, " t"]
  keypoints: Float[np.ndarray, "t j 2"]
  confidence: Float[np.ndarray, "t j"]
  skeleton: str
  joints: tuple[str, ...] = ()
  joints_3d: Float[np.ndarray, "t j 3"] | None = None


def tracks(
  found: Iterable[Found], skeleton: str, joints: tuple[str, ...] = ()
) -> list[Track]:
  """Tracks of what was found, by the names of the people or else by nearness.

  Where one name has several detections in a frame, the most confident one counts.

  Raises:
    ValueError: nothing was found, some people have names and some have none, or the
      numbers of joints differ.
  """
  found = sorted(found, key=lambda f: f.frame)
  counts = sorted({len(f.points) for f in found})
  if len(counts) != 1:
    told = " and ".join(map(str, counts)) or "no"
    raise ValueError(f"got people of {told} joints, expected one number of joints")
  named = [f.person is not None for f in found]
  if any(named) != all(named):
    raise ValueError("got people with and without an id, expected one or the other")
  people = _by_name(found) if named[0] else _by_nearness(found)
  only = len(people) == 1
  return [
    _track("" if only else name, rows, skeleton, joints)
    for name, rows in people.items()
  ]


def clean(points: Float[np.ndarray, "t j 3"]) -> Float[np.ndarray, "t j 3"]:
  """Zeros in the place of points that are NaN, of no confidence, or (0, 0)."""
  known = np.isfinite(points).all(-1) & (points[..., 2] > 0)
  known &= (points[..., :2] != 0).any(-1)
  return np.where(known[..., None], points, 0).astype(np.float32)


def _track(name, rows, skeleton, joints) -> Track:
  points = clean(np.stack([row.points for row in rows]).astype(np.float64))
  frames = np.asarray([row.frame for row in rows])
  return Track(name, frames, points[..., :2], points[..., 2], skeleton, joints)


def _by_name(found: list[Found]) -> dict[str, list[Found]]:
  best: dict[str, dict[int, Found]] = {}
  for f in found:
    frames = best.setdefault(f.person, {})
    before = frames.get(f.frame)
    if before is None or _sureness(f) > _sureness(before):
      frames[f.frame] = f
  return {name: list(frames.values()) for name, frames in best.items()}


def _sureness(found: Found) -> float:
  return float(np.nan_to_num(found.points[:, 2]).mean())


def _by_nearness(found: list[Found]) -> dict[str, list[Found]]:
  """Each detection goes to the nearest person seen before, nearest pairs first."""
  people: list[list[Found]] = []
  at = 0
  while at < len(found):
    stop = at
    while stop < len(found) and found[stop].frame == found[at].frame:
      stop += 1
    now, at = found[at:stop], stop
    seen = [i for i, p in enumerate(people) if now[0].frame - p[-1].frame <= _LOST]
    pairs = [
      (_distance(people[i][-1], f), i, k) for i in seen for k, f in enumerate(now)
    ]
    left = set(range(len(now)))
    for distance, i, k in sorted(pairs):
      if distance < _NEAR and k in left and people[i][-1].frame < now[k].frame:
        people[i].append(now[k])
        left.remove(k)
    people += [[now[k]] for k in sorted(left)]
  return {str(i): rows for i, rows in enumerate(people)}


def _distance(before: Found, now: Found) -> float:
  """Mean way of the joints seen twice, over the diagonal of the body."""
  a, b = clean(before.points[None])[0], clean(now.points[None])[0]
  both = (a[:, 2] > 0) & (b[:, 2] > 0)
  if not both.any():
    return np.inf
  there = a[a[:, 2] > 0, :2]
  size = max(np.linalg.norm(np.ptp(there, axis=0)), 1.0)
  return float(np.linalg.norm(a[both, :2] - b[both, :2], axis=-1).mean() / size)
