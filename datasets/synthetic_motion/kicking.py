"""Kicks from one standing leg."""

import numpy as np

from . import curves
from . import stance as stances
from .body import SIDE
from .body import Body
from .curves import FPS
from .kinematics import Track
from .stance import Stance
from .stance import Style


def kick(rng, body: Body, style: Style, stance: Stance, n: int) -> Track:
  """Kicks forward, once or with either leg in turn."""
  track = stances.stand(body, style, stance, n)
  total = n / FPS
  length = rng.uniform(1.35, 1.6) / style.tempo
  count = 2 if total > 2 * length and rng.random() < 0.5 else 1
  length = min(length, total / count)
  start = rng.uniform(0.2, 0.8) * (total - count * length)
  side = int(rng.integers(2))
  for i in range(count):
    _kick_once(rng, body, style, stance, track, start + i * length, length, side)
    side = 1 - side
  track.feet[:] = curves.smooth(track.feet, 1.2)
  return track


def _kick_once(rng, body, style, stance, track, begin, length, side):
  t = (stances.times(len(track)) - begin) / length
  sign = SIDE[side]
  keys = [0.0, 0.2, 0.4, 0.56, 0.72, 1.0]  # rest, lift, cocked, hit, recoil, rest
  high = np.radians(rng.uniform(38, 88))
  hip = curves.hermite(
    t, keys, [0, 0, -np.radians(rng.uniform(15, 28)), high, 0.55 * high, 0]
  )
  knee = curves.hermite(
    t, keys, np.radians([8, 14, rng.uniform(75, 100), rng.uniform(8, 18), 55, 8])
  )
  free = curves.hermite(t, [0.14, 0.32, 0.74, 0.95], [0, 1, 1, 0])
  over = curves.smooth(curves.hermite(t, [0.0, 0.26, 0.72, 1.0], [0, 1, 1, 0]), 2.0)
  hit = curves.hermite(t, [0.3, 0.42, 0.56, 0.72, 1.0], [0, -0.25, 1, 0.5, 0])
  width = abs((stance.feet[0] - stance.feet[1]) @ curves.rightward(stance.yaw))
  stances.shift(
    track,
    stance,
    -sign * over * (0.5 * width - 0.01),
    0.02 * over + 0.04 * hit,
    -0.035 * over,
  )
  # The free foot hangs from the hip; its path is planned with the legs' angles.
  shank = hip - knee
  forward = body.thigh * np.sin(hip) + body.shank * np.sin(shank)
  down = body.thigh * np.cos(hip) + body.shank * np.cos(shank)
  drop = 0.985
  point = np.stack([track.root[:, 0], track.root[:, 1], track.root[:, 2]], 1)
  point[:, :2] += forward[:, None] * curves.heading(stance.yaw)
  point[:, :2] += sign * body.hip * 0.8 * curves.rightward(stance.yaw)
  point[:, 2] -= drop * down
  rest = track.feet[:, side].copy()
  track.feet[:, side] = (1 - free)[:, None] * rest + free[:, None] * point
  track.feet[:, side, 2] += 0.05 * np.where(
    (t > 0.7) & (t < 1), 4 * free * (1 - free), 0
  )
  track.feet[:, side, 2] = np.maximum(track.feet[:, side, 2], body.ankle)
  track.planted[:, side] &= (t <= 0.14) | (t >= 0.95)
  track.pelvis[:, 0] -= np.radians(rng.uniform(8, 18)) * hit * (high / 1.2)
  track.pelvis[:, 1] += sign * np.radians(-3) * over
  track.pelvis[:, 2] += sign * np.radians(rng.uniform(8, 16)) * hit
  track.spine[:, 0] += np.radians(6) * hit
  track.thorax[:, 2] -= sign * np.radians(rng.uniform(12, 24)) * hit
  track.neck[:, 0] += np.radians(10) * hit
  # The opposite arm comes forward as the leg does, both spread for balance.
  swing = np.zeros((len(track), 2))
  swing[:, side] = -np.radians(rng.uniform(15, 35)) * hit
  swing[:, 1 - side] = np.radians(rng.uniform(25, 55)) * hit
  spread = np.radians(rng.uniform(18, 42))
  stances.blend_arms(track, over, swing, spread, 0.2, style.elbow + np.radians(22))
