"""Clips of human motion: one action, or two with the change between them."""

import dataclasses

import numpy as np

from jaxpose.data import sequences

from . import body as bodies
from . import courses
from . import curves
from . import gaits
from . import jumping
from . import kicking
from . import kinematics
from . import reaching
from . import sitting
from . import squatting
from . import stance as stances
from .curves import FPS

ACTIONS = (
  "walking",
  "running",
  "turning",
  "squatting",
  "reaching",
  "kicking",
  "jumping",
  "sitting",
)
_MOVING = dict(walking=courses.walk, running=courses.run, turning=courses.turn)
_OVERLAP = round(courses.REST * FPS)  # frames
_PRE_ROLL = 90  # frames before a clip that starts on the move
_REACH_OF_RING = 1.9  # metres from the middle that nearly every camera still sees

# Metres between the ankles where an action is done on the spot.
_WIDTH = dict(
  squatting=(0.26, 0.46),
  reaching=(0.18, 0.36),
  kicking=(0.14, 0.26),
  jumping=(0.18, 0.32),
  sitting=(0.2, 0.36),
)


@dataclasses.dataclass(frozen=True)
class Subject:
  """A person: a body and its habits."""

  name: str
  body: bodies.Body
  style: stances.Style


def sample_subject(seed: int, name: str) -> Subject:
  """The person of that name; depends on nothing else."""
  rng = sequences.clip_rng(seed, "subject", name)
  return Subject(name, bodies.sample_body(rng), stances.sample_style(rng))


def clip(
  subject: Subject, action: str, seed: int, frames: tuple[int, int]
) -> np.ndarray:
  """(n, 17, 3) joints of `solved_clip`."""
  return solved_clip(subject, action, seed, frames).joints


def solved_clip(
  subject: Subject, action: str, seed: int, frames: tuple[int, int]
) -> kinematics.Solved:
  """One clip in the world, its middle at x = y = 0; 50 frames per second.

  Args:
    subject: who moves.
    action: one of `ACTIONS`. About a third of the clips also hold a second action,
      before or after.
    seed: of the dataset.
    frames: (fewest, most) frames of a clip with one action, at least 75; those with
      two actions are half as long again.

  Raises:
    ValueError: unknown action, or clips too short to hold one.
  """
  if action not in ACTIONS:
    raise ValueError(f"got action {action!r}, expected one of {', '.join(ACTIONS)}.")
  if not 75 <= frames[0] <= frames[1]:
    raise ValueError(
      f"got frames={frames}, expected (fewest, most) with at least 75: an action takes "
      "a second and a half."
    )
  rng = sequences.clip_rng(seed, subject.name, action)
  style = stances.vary_style(subject.style, rng)
  n = int(rng.integers(frames[0], frames[1] + 1))
  yaw = rng.uniform(0, 2 * np.pi)
  if rng.random() < 0.3:
    n = int(1.5 * n)
    other = str(rng.choice([a for a in ACTIONS if a != action]))
    order = [action, other] if rng.random() < 0.5 else [other, action]
    track = _two(rng, subject.body, style, order, yaw, n)
  else:
    track = _one(rng, subject.body, style, action, yaw, n)
  _add_drift(track, style, rng)
  solved = kinematics.solve(track, subject.body)
  solved.joints[..., :2] -= solved.joints[:, 0, :2].mean(0)
  return solved


def _one(rng, body, style, action, yaw, n):
  if action in _MOVING:
    start = stances.neutral(0.12, yaw)
    return _move(rng, body, style, action, start, n, enter=True, leave=True)
  start = stances.neutral(rng.uniform(*_WIDTH[action]), yaw)
  mode = rng.choice(["down_up", "down", "up", "seated"], p=[0.4, 0.25, 0.25, 0.1])
  return _stay(rng, body, style, action, start, n, str(mode))


def _two(rng, body, style, order, yaw, n):
  """Two actions; between them the person stands for a moment."""
  first_n = int(n * rng.uniform(0.45, 0.55)) + _OVERLAP // 2
  second_n = n - first_n + _OVERLAP
  widths = [_WIDTH[a] for a in order if a in _WIDTH]
  width = rng.uniform(*widths[-1]) if widths else style.width
  first, second = order
  if first in _MOVING:
    start = stances.neutral(0.12, yaw)
    a = _move(rng, body, style, first, start, first_n, True, False, width)
  else:
    start = stances.neutral(width, yaw)
    mode = "up" if rng.random() < 0.5 else "down_up"
    a = _stay(rng, body, style, first, start, first_n, mode)
  stance = stances.final_stance(a)
  if second in _MOVING:
    b = _move(rng, body, style, second, stance, second_n, False, True)
  else:
    mode = "down" if rng.random() < 0.5 else "down_up"
    b = _stay(rng, body, style, second, stance, second_n, mode)
  return _join(a, b)


def _join(a, b):
  """Track `a`, then `b`, with a smooth passage over the shared frames."""
  w = curves.smoothstep((np.arange(_OVERLAP) + 0.5) / _OVERLAP)
  joined = {}
  for key, x in vars(a).items():
    y = getattr(b, key)
    old, new = x[-_OVERLAP:], y[:_OVERLAP]
    weight = w.reshape(-1, *[1] * (x.ndim - 1))
    if key == "arms":
      shared = curves.blend_rotations(old, new, w[:, None])
    elif key == "planted":
      shared = old & new
    elif key == "hands":  # each place counts as much as a hand goes there
      before = (1 - w[:, None]) * a.reach[-_OVERLAP:]
      after = w[:, None] * b.reach[:_OVERLAP]
      part = ((after + 1e-9) / (before + after + 1e-9))[..., None]
      shared = (1 - part) * old + part * new
    else:
      shared = (1 - weight) * old + weight * new
    joined[key] = np.concatenate([x[:-_OVERLAP], shared, y[_OVERLAP:]])
  return kinematics.Track(**joined)


def _stay(rng, body, style, action, stance, n, mode):
  if action == "sitting":
    return sitting.sit(rng, body, style, stance, n, mode)
  play = dict(
    squatting=squatting.squat,
    reaching=reaching.reach,
    kicking=kicking.kick,
    jumping=jumping.jump,
  )[action]
  return play(rng, body, style, stance, n)


def _move(rng, body, style, action, start, n, enter, leave, width=None):
  """Steps for n frames.

  `enter` and `leave` say whether the clip starts and ends on the move rather than
  standing; `width` is between the ankles at a standing end.
  """
  gait = _MOVING[action](rng, body, style)
  before = _PRE_ROLL if enter else 0
  after = _PRE_ROLL if leave else 0
  total = before + n + after
  best = None
  for _ in range(20):  # paths differ in how much room they take
    speed, yaw = courses.sample_course(rng, action, gait, start, total, leave)
    path = gaits.walk_path(speed, yaw, start.root)[before : before + n]
    room = np.linalg.norm(path - path.mean(0), axis=1).max()
    if best is None or room < best[0]:
      best = room, speed, yaw
    if room < _REACH_OF_RING:
      break
  _, speed, yaw = best
  widths = np.full(total, gait.width)
  if not leave and width is not None:
    pace = speed + 0.3 * np.abs(np.gradient(yaw)) * FPS
    final = np.flatnonzero(pace >= 0.5 * pace.max())[-1]
    widths += (width - gait.width) * curves.smoothstep((np.arange(total) - final) / 20)
  side = int(rng.integers(2))
  track = gaits.locomote(body, style, gait, start, speed, yaw, widths, side)
  return track[before : before + n]


def _add_drift(track, style, rng):
  """Slow noise on every angle, and a little sway of the pelvis."""
  n, degree = len(track), np.radians(style.restless)
  slow = curves.drift(rng, n, 12)
  track.pelvis += degree * slow[:, 0:3] * [0.8, 0.6, 1.0]
  track.spine += degree * slow[:, 3:6] * [1.2, 1.0, 1.2]
  track.thorax += degree * slow[:, 6:9] * [1.2, 1.0, 1.5]
  track.neck += degree * slow[:, 9:12] * [3.0, 2.0, 4.0]
  sway = curves.drift(rng, n, 3, (1.5, 5.0))
  track.root += style.restless * sway * [0.006, 0.006, 0.002]
  arms = curves.drift(rng, n, 6, (1.0, 4.0)).reshape(n, 2, 3)
  turn = degree * arms * [2.5, 2.0, 4.0]
  track.arms = track.arms @ curves.rotation(np.moveaxis(turn, -1, 0), "xyz")
  track.elbows += 3.5 * degree * curves.drift(rng, n, 2, (1.0, 4.0))
  track.splay += 1.5 * degree * curves.drift(rng, n, 2)
