"""Reaching for a shelf, to the front, to a side or to the floor."""

import numpy as np

from . import curves
from . import stance as stances
from .body import SIDE
from .body import Body
from .curves import FPS
from .kinematics import Track
from .stance import Stance
from .stance import Style


def reach(rng, body: Body, style: Style, stance: Stance, n: int) -> Track:
  """Reaches for one or two places in turn: shelf, front, side, floor."""
  track = stances.stand(body, style, stance, n)
  total = n / FPS
  count = 2 if total > 3.2 and rng.random() < 0.6 else 1
  edges = np.linspace(0.05, total - 0.05, count + 1)
  for i in range(count):
    _reach_once(rng, body, style, stance, track, edges[i], edges[i + 1])
  return track


def _reach_once(rng, body, style, stance, track, begin, end):
  t = stances.times(len(track))
  side = int(rng.integers(2))
  both = rng.random() < 0.3
  hands = [0, 1] if both else [side]
  shoulder = body.standing + body.lumbar + body.chest
  azimuth = 0.0 if both else np.radians(rng.uniform(-30, 50)) * SIDE[side]
  height = rng.choice(["high", "middle", "low"], p=[0.35, 0.35, 0.3])
  z = {
    "high": shoulder + rng.uniform(0.3, 0.95) * body.arm,
    "middle": shoulder - rng.uniform(0.1, 0.75) * body.arm,
    "low": rng.uniform(0.12, 0.55),
  }[height]
  flat = np.sqrt(max((0.97 * body.arm) ** 2 - (z - shoulder) ** 2, 0.0))
  distance = {
    "high": max(flat, 0.2 * body.arm) + 0.03,
    "middle": rng.uniform(0.75, 1.15) * body.arm,
    "low": rng.uniform(0.35, 0.6),
  }[height]
  ahead = distance * np.array([np.sin(azimuth), np.cos(azimuth)])
  bend, crouch = _bend_to(body, np.hypot(*ahead), z)
  go = rng.uniform(0.55, 0.85) / style.tempo
  go = min(go * (1 + 0.5 * bend), 0.42 * (end - begin))
  begin += rng.uniform(0, 0.3) * max(end - begin - 2.4 * go, 0)
  back = max(end - go * 1.05 - rng.uniform(0, 0.2), begin + go * 1.1)
  back = min(back, end - 0.8 * go)
  body_w = curves.hermite(t, [begin, begin + go, back, back + go], [0, 1, 1, 0])
  body_w = curves.smooth(body_w, 2.5)
  arm_w = curves.hermite(
    t, [begin, begin + 0.4 * go, back + 0.6 * go, back + go], [0, 1, 1, 0]
  )
  lean, turn = bend * body_w, -azimuth * body_w
  hips_back = 0.22 * np.sin(bend) * body_w + 0.12 * crouch * body_w
  stances.shift(track, stance, 0, -hips_back, -crouch * body_w)
  track.pelvis[:, 0] += 0.5 * lean
  track.spine[:, 0] += 0.32 * lean
  track.thorax[:, 0] += 0.18 * lean
  track.pelvis[:, 2] += 0.25 * turn
  track.spine[:, 2] += 0.2 * turn
  track.thorax[:, 2] += 0.3 * turn
  track.neck[:, 2] += 0.25 * turn
  look = np.clip(np.arctan2(shoulder - z, 0.7), -0.5, 0.5)
  track.neck[:, 0] += (look - 0.25 * bend) * body_w
  raised = 0.0
  if height == "high":
    raised = 0.06  # the shoulder itself rises with the arm
    heels = np.radians(rng.uniform(0, 28)) * curves.smoothstep((z - shoulder) / 0.6)
    raised += stances.heel_lift(body, heels)[1]
    forward, up = stances.heel_lift(body, heels * body_w)
    track.feet[:, :, :2] += forward[:, None, None] * curves.heading(stance.yaw)
    track.feet[..., 2] += up[:, None]
    stances.shift(track, stance, 0, forward, up)
  carry = [begin, begin + 0.45 * go, begin + go, back, back + 0.55 * go, back + go]
  for hand in hands:
    across = SIDE[hand] * body.shoulder
    rest = np.array([1.2 * across, 0.06, shoulder - 0.96 * body.arm])
    point = np.array([ahead[0] + 0.8 * across, ahead[1], z + raised])
    between = 0.5 * (rest + point)  # in front of the body, never through the shoulder
    between[1] = max(between[1], 0.78 * body.arm)
    path = curves.hermite(t, carry, [rest, between, point, point, between, rest])
    now = ((t >= begin) & (t <= back + go))[:, None]
    track.hands[:, hand] = np.where(now, stance.place(path), track.hands[:, hand])
    track.reach[:, hand] = np.maximum(track.reach[:, hand], arm_w)
  if not both:  # the other arm stays plumb or moves back for balance
    other = np.zeros((len(track), 2))
    other[:, 1 - side] = body_w
    stances.blend_arms(
      track, other, 0.55 * lean[:, None] - 0.1, style.abduction + 0.1, 0.2, style.elbow
    )


def _bend_to(body, distance, z):
  """(trunk flexion, pelvis drop) that bring a shoulder near enough to a point."""
  bend, drop = np.meshgrid(np.radians(np.arange(0, 81, 4)), np.linspace(0, 0.45, 10))
  crouch = drop * body.leg
  trunk = body.lumbar + body.chest - 0.05
  forward = -0.22 * np.sin(bend) - 0.12 * crouch + trunk * np.sin(0.85 * bend)
  up = body.standing - crouch + trunk * np.cos(0.85 * bend)
  far = np.hypot(distance - forward, z - up) - 0.93 * body.arm
  cost = 40 * np.maximum(far, 0) + 0.35 * bend**2 + 2.2 * drop**2 + 0.02 * bend
  best = np.unravel_index(np.argmin(cost), cost.shape)
  return float(bend[best]), float(crouch[best])
