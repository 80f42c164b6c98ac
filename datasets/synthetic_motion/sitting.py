"""Sitting down on a chair, sitting, standing up."""

import numpy as np

from . import curves
from . import stance as stances
from .body import SIDE
from .body import Body
from .curves import FPS
from .kinematics import Track
from .stance import Stance
from .stance import Style


def sit(
  rng, body: Body, style: Style, stance: Stance, n: int, mode: str = "down_up"
) -> Track:
  """Sits down on a chair and stands up; or only one of the two; or stays seated.

  Args:
    rng: source of the draws.
    body: who sits.
    style: how they carry themselves.
    stance: where the feet are.
    n: frames.
    mode: "down_up", "down", "up" or "seated".
  """
  track = stances.stand(body, style, stance, n)
  t, total = stances.times(n), n / FPS
  move = np.clip(rng.uniform(1.0, 1.35) / style.tempo, 0.8, 0.42 * total)
  a = rng.uniform(0.1, 0.35)
  b = total - rng.uniform(0.1, 0.3)
  keys, seated = {
    "down_up": ([a, a + move, b - move, b], [0, 1, 1, 0]),
    "down": ([a, a + move], [0, 1]),
    "up": ([b - move, b], [1, 0]),
    "seated": ([0.0, total], [1, 1]),
  }[mode]
  w = curves.smooth(curves.hermite(t, keys, seated), 3.0)
  # The hips go back before they go down, and come up before they come forward.
  rate = 0.09 * np.sin(np.pi * np.clip(w, 0, 1))
  seat = np.clip(rng.uniform(0.4, 0.48) + 0.09, 0, body.ankle + 1.02 * body.shank + 0.1)
  back = (
    np.sqrt(max((0.98 * body.thigh) ** 2 - (body.ankle + body.shank - seat) ** 2, 0.1))
    - rng.uniform(-0.06, 0.1)
    - stances.ANKLE_BACK
  )
  stances.shift(track, stance, 0, -back * (w + rate), -(body.standing - seat) * w)
  lean = np.radians(rng.uniform(28, 42)) * np.sin(np.pi * np.clip(w, 0, 1)) ** 1.2
  upright = np.radians(rng.uniform(-10, 8))
  idle = curves.drift(rng, n, 4, (2.0, 6.0)) * w[:, None]
  track.pelvis[:, 0] += 0.6 * lean + 0.6 * upright * w - np.radians(4) * w
  track.spine[:, 0] += 0.3 * lean + 0.4 * upright * w + np.radians(3) * idle[:, 0]
  track.thorax[:, 0] += 0.12 * lean + np.radians(4) * w
  track.neck[:, 0] -= 0.6 * lean - np.radians(5) * idle[:, 1]
  track.neck[:, 2] += np.radians(14) * idle[:, 2]
  track.thorax[:, 2] += np.radians(5) * idle[:, 3]
  track.splay += np.radians(rng.uniform(-3, 12)) * w[:, None]
  _seated_hands(rng, body, style, stance, track, w)
  return track


def _seated_hands(rng, body, style, stance, track, w):
  """Hands on the thighs, or one of them telling something."""
  n = len(track)
  pelvis = track.root
  along = rng.uniform(0.5, 0.85) * body.thigh
  for hand in (0, 1):
    spot = pelvis.copy()
    across = SIDE[hand] * (body.hip + rng.uniform(0.0, 0.05))
    spot[:, :2] += across * curves.rightward(stance.yaw)
    spot[:, :2] += along * curves.heading(stance.yaw)
    spot[:, 2] += 0.07
    track.hands[:, hand] = spot
  weight = curves.smoothstep(1.25 * (w - 0.2))
  track.reach[:] = weight[:, None]
  track.elbow_out += np.radians(rng.uniform(0, 20))
  if rng.random() < 0.5:
    side = int(rng.integers(2))
    tell = w * curves.smoothstep(1.5 * (w - 0.5)) * 0.85
    wave = curves.drift(rng, n, 3, (0.7, 2.0)) * [0.05, 0.06, 0.05]
    spot = pelvis.copy()
    point = np.array([SIDE[side] * 0.16, 0.34, 0.36]) + wave
    spot[:, :2] += point[:, :1] * curves.rightward(stance.yaw)
    spot[:, :2] += point[:, 1:2] * curves.heading(stance.yaw)
    spot[:, 2] += point[:, 2]
    mixed = (1 - tell)[:, None] * track.hands[:, side] + tell[:, None] * spot
    track.hands[:, side] = mixed
