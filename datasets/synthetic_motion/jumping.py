"""Jumps from both feet: crouch, flight on a parabola, landing."""

import numpy as np

from . import curves
from . import stance as stances
from .body import Body
from .curves import FPS
from .kinematics import Track
from .stance import Stance
from .stance import Style

_GRAVITY = 9.81


def jump(rng, body: Body, style: Style, stance: Stance, n: int) -> Track:
  """Jumps up, or up and forward, from both feet; once or twice."""
  track = stances.stand(body, style, stance, n)
  total = n / FPS
  plan = []
  height = rng.uniform(0.14, 0.36)
  for _ in range(2):
    velocity = np.sqrt(2 * _GRAVITY * height)
    deep = rng.uniform(0.26, 0.4) * body.leg
    plan.append(
      dict(
        velocity=velocity,
        deep=deep,
        crouch=rng.uniform(0.42, 0.6),
        land=rng.uniform(0.2, 0.32) * body.leg,
      )
    )
    height *= rng.uniform(0.85, 1.1)
  if total < sum(map(_jump_time, plan)) + 0.15 or rng.random() < 0.3:
    plan = plan[:1]
  slack = total - sum(map(_jump_time, plan))
  begin = rng.uniform(0.1, 0.5) * max(slack, 0.0)
  travel = rng.uniform(0, 0.5) if rng.random() < 0.6 else 0.0
  raised = rng.uniform(0.2, 1.0)
  for one in plan:
    begin = _jump_once(rng, body, style, stance, track, begin, one, travel, raised)
  track.feet[:] = curves.smooth(track.feet, 1.0)
  return track


def _jump_once(rng, body, style, stance, track, begin, one, travel, raised):
  t = stances.times(len(track))
  v, deep = one["velocity"], one["deep"]
  ahead, toe = stances.heel_lift(body, np.radians(58.0))
  ahead_land, toe_land = stances.heel_lift(body, np.radians(32.0))
  fall = 0.03 * body.leg  # lands with the legs a little more bent
  low = begin + one["crouch"]
  off = low + _push_time(one, toe)
  up, down = toe, toe_land - fall
  flight = (v + np.sqrt(v * v + 2 * _GRAVITY * (up - down))) / _GRAVITY
  hit = off + flight
  v_down = v - _GRAVITY * flight
  soft = hit + 2 * one["land"] / -v_down
  rest = soft + 0.55
  key = [begin, low, off, hit, soft, rest]
  z = curves.hermite(
    t, key, [0, -deep, up, down, down - one["land"], 0], [0, 0, v, v_down, 0, 0]
  )
  air = (t > off) & (t < hit)
  s = t - off
  z = np.where(air, up + v * s - _GRAVITY / 2 * s * s, z)
  pace = travel / (flight + 0.3)
  x = curves.hermite(
    t,
    [begin, low, off, hit, soft + 0.15, rest],
    np.array(
      [0, -0.06, 0.1 * travel, 0.1 * travel + pace * flight, travel - 0.02, travel]
    ),
    [0, np.nan, pace, pace, np.nan, 0],
  )
  stances.shift(track, stance, 0, x, z)
  lean = curves.hermite(
    t,
    [begin, low, off, hit, soft, rest],
    np.radians([0, 38, 2, 8, 26, 0]) * (0.7 + deep),
  )
  track.pelvis[:, 0] += 0.55 * lean
  track.spine[:, 0] += 0.3 * lean
  track.thorax[:, 0] += 0.15 * lean
  track.neck[:, 0] -= 0.7 * lean

  rise = curves.hermite(t, [off - 0.14, off], [0, np.radians(58.0)], [0, 9.0])
  settle = curves.hermite(t, [hit, hit + 0.09], [np.radians(32.0), 0], [-6.0, 0])
  angle = np.where(t <= off, rise, np.where(t >= hit, settle, 0))
  forward, high = stances.heel_lift(body, angle)
  facing = curves.heading(stance.yaw)
  base = track.feet.copy()
  after = (t >= hit)[:, None, None]
  base[..., :2] += forward[:, None, None] * facing
  base[..., 2] += high[:, None]
  base[..., :2] += np.where(after, travel * facing, 0)
  # In the air the ankles hang from the pelvis, from their last to their next place.
  u = np.clip(s / flight, 0, 1)
  tuck = rng.uniform(0.0, 0.16) * np.sin(np.pi * u) ** 2
  ease = curves.smoothstep(u)
  hang_ahead = (ahead - 0.1 * travel) * (1 - ease) + ease * (
    ahead_land + travel - (0.1 * travel + pace * flight)
  )
  hang_up = toe - up + (toe_land - down - toe + up) * ease + tuck
  hang = track.feet.copy()
  hang[..., :2] += ((x + hang_ahead)[:, None])[..., None] * facing
  hang[..., 2] += (z + hang_up)[:, None]
  track.feet[:] = np.where(air[:, None, None], hang, base)
  track.planted &= ~air[:, None]

  flexion = np.radians([5, -28, 40 + 120 * raised, 60 + 20 * raised, 25, 4])
  arm = curves.hermite(t, [begin, low - 0.05, off, hit, soft, rest], flexion)
  weight = curves.hermite(t, [begin, begin + 0.25, rest - 0.2, rest], [0, 1, 1, 0])
  elbow = curves.hermite(
    t, [begin, low, off, hit, rest], np.radians([20, 18, 35, 40, 20])
  )
  stances.blend_arms(
    track, weight, arm[:, None], style.abduction + 0.1, 0.2, elbow[:, None]
  )
  return rest + 0.1


def _push_time(one, toe):
  return 2.1 * (one["deep"] + toe) / one["velocity"]


def _jump_time(one):
  push = _push_time(one, 0.05)
  flight = 2 * one["velocity"] / _GRAVITY
  return one["crouch"] + push + flight + 2 * one["land"] / one["velocity"] + 0.75
