"""Squats and lunges."""

import numpy as np

from . import curves
from . import stance as stances
from .body import Body
from .curves import FPS
from .kinematics import Track
from .stance import Stance
from .stance import Style


def squat(rng, body: Body, style: Style, stance: Stance, n: int) -> Track:
  """Squats, or lunges with one foot forward."""
  if rng.random() < 0.3 and n >= 2.0 * FPS:
    return _lunge(rng, body, style, stance, n)
  track = stances.stand(body, style, stance, n)
  down = _cycles(rng, n, rng.uniform(1.6, 2.6) / style.tempo)
  drop = rng.uniform(0.3, 0.58) * body.leg
  deep = drop / (0.58 * body.leg)
  stances.shift(track, stance, 0, -rng.uniform(0.18, 0.3) * drop * down, -drop * down)
  lean = np.radians(rng.uniform(30, 45)) * deep * down
  track.pelvis[:, 0] += 0.6 * lean
  track.spine[:, 0] += 0.3 * lean
  track.thorax[:, 0] += 0.15 * lean
  track.neck[:, 0] -= 0.75 * lean
  track.splay += np.radians(rng.uniform(8, 22)) * down[:, None]
  kind = rng.integers(3)
  early = curves.smoothstep(1.6 * down)
  if kind == 0:  # arms forward for balance
    stances.blend_arms(
      track,
      early,
      np.radians(rng.uniform(70, 100)) + lean[:, None] * 0.3,
      np.radians(rng.uniform(-4, 8)),
      0.3,
      np.radians(rng.uniform(8, 25)),
    )
  elif kind == 1:  # hands before the chest
    stances.blend_arms(
      track,
      np.maximum(early, 0.8),
      np.radians(rng.uniform(25, 45)),
      np.radians(12),
      np.radians(40),
      np.radians(rng.uniform(105, 125)),
    )
  else:  # hands by the sides, kept plumb
    stances.blend_arms(
      track,
      early,
      0.9 * lean[:, None] + np.radians(5),
      style.abduction + np.radians(6),
      0.2,
      style.elbow,
    )
  return track


def _lunge(rng, body, style, stance, n):
  track = stances.stand(body, style, stance, n)
  t, total = stances.times(n), n / FPS
  side = int(rng.integers(2))
  length = rng.uniform(0.42, 0.55) * body.height * 0.95
  step = rng.uniform(0.5, 0.62)
  begin = rng.uniform(0.12, 0.3)
  back = total - rng.uniform(0.15, 0.3) - step
  stances.step_foot(track, body, stance, side, (begin, begin + step), (0, length), 0.07)
  stances.step_foot(track, body, stance, side, (back, back + step), (0, -length), 0.07)
  there = begin + 1.1 * step
  at = np.array([0, begin, there, 0.5 * (there + back), back, back + step, total])
  forward = curves.hermite(t, at, np.array([0, 0, 0.46, 0.5, 0.46, 0, 0]) * length)
  drop = rng.uniform(0.26, 0.38) * body.leg
  fall = curves.hermite(t, at, np.array([0, 0, 0.55, 1, 0.5, 0.02, 0]) * drop)
  stances.shift(track, stance, 0, forward, -fall)
  # The rear heel rises as the body comes over the rear toes.
  rear = 1 - side
  angle = np.radians(58) * curves.smoothstep(forward / (0.5 * length))
  ahead, up = stances.heel_lift(body, angle)
  track.feet[:, rear, :2] += ahead[:, None] * curves.heading(stance.yaw)
  track.feet[:, rear, 2] += up
  track.pelvis[:, 0] += np.radians(rng.uniform(0, 8)) * fall / drop
  track.spine[:, 0] += np.radians(rng.uniform(0, 8)) * fall / drop
  if rng.random() < 0.5:
    weight = curves.smoothstep(1.3 * fall / drop)
    stances.blend_arms(
      track, weight, np.radians(20), np.radians(38), 0.9, np.radians(95)
    )
  else:
    swing = np.radians(28) * (forward / (0.5 * length))[:, None] * np.array([-1, 1])
    stances.blend_arms(
      track,
      1.0,
      swing * (1 if side == 0 else -1),
      style.abduction,
      0.25,
      style.elbow + 0.6 * np.abs(swing),
    )
  return track


def _cycles(rng, n, duration, rest=0.25):
  """(n,) between 0 and 1: down and up again, as often as it fits."""
  total = n / FPS
  count = max(1, int((total - rest) / duration))
  length = min(duration, (total - rest) / count)
  start = rng.uniform(0.3, 0.7) * (total - count * length)
  times, values = [0.0], [0.0]
  for i in range(count):
    t0 = start + i * length
    hold = rng.uniform(0.02, 0.12)
    down = rng.uniform(0.42, 0.5) - hold / 2
    depth = rng.uniform(0.85, 1.0)
    times += [t0 + 0.02, t0 + down * length, t0 + (down + hold) * length]
    values += [0.0, depth, depth]
    times.append(t0 + length)
    values.append(0.0)
  return curves.smooth(curves.hermite(stances.times(n), times, values), 2.0)
