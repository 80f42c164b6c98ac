"""Locomotion: walking, running and turning by steps.

The pelvis follows a path; every foot is planted once per stride, where the pelvis will
be in the middle of that stance, and stays there until it swings to the next place. So
starting, stopping, curves and turning on the spot all come from the same rule.
"""

import dataclasses

import numpy as np

from . import curves
from . import stance as stances
from .body import SIDE
from .body import Body
from .curves import FPS
from .kinematics import Track
from .kinematics import upper_arm_rotation
from .stance import Stance
from .stance import Style

GRAVITY = 9.81


@dataclasses.dataclass(frozen=True)
class Gait:
  """One way to step; angles in radians, lengths in metres.

  Attributes:
    period: seconds per step, half a stride.
    duty: share of a stride that a foot is on the floor; below 0.5 there is flight.
    width: between the ankles.
    speed: at which the upper body swings fully, metres per second.
    heel_off: pitch of the foot at toe-off.
    heel_strike: pitch of the foot, toes up, at landing.
    lift: extra height of the ankle in the swing.
    bounce: amplitude of the pelvis height; flight sets its own.
    crouch: how far the pelvis is below standing.
    lean: of the trunk, forward.
    arm: amplitude of the shoulders' swing; its centre is `arm_centre`.
    arm_centre: mean shoulder flexion.
    elbow: mean elbow flexion, and
    elbow_swing: its change along the arm's swing.
    twist: amplitude of the pelvis' twist; the thorax turns the other way.
  """

  period: float
  duty: float
  width: float
  speed: float
  heel_off: float
  heel_strike: float
  lift: float
  bounce: float
  crouch: float
  lean: float
  arm: float
  arm_centre: float
  elbow: float
  elbow_swing: float
  twist: float


@dataclasses.dataclass
class _Plant:
  """One stance of one foot: seconds of landing and lift-off, ankle position, yaw."""

  land: float
  lift: float
  spot: np.ndarray
  yaw: float


def walk_path(speed, yaw, start):
  """(n, 2) ground path from speed along the heading, starting at `start`."""
  step = speed[:, None] * curves.heading(yaw) / FPS
  return start + np.cumsum(step, 0) - step[:1]


def locomote(
  body: Body,
  style: Style,
  gait: Gait,
  start: Stance,
  speed: np.ndarray,
  yaw: np.ndarray,
  width: np.ndarray,
  first_side: int = 0,
) -> Track:
  """Steps along a path.

  Args:
    body: who steps.
    style: how they carry themselves.
    gait: how they step.
    start: where they stand before.
    speed: (n,) metres per second along the heading; 0 at rest.
    yaw: (n,) heading; starts at the stance's.
    width: (n,) metres between the ankles.
    first_side: the foot that lifts first.
  """
  n = len(speed)
  t = np.arange(n) / FPS
  path = walk_path(speed, yaw, start.root)
  rate = np.gradient(yaw) * FPS
  bank = np.arctan(speed * rate / GRAVITY)  # leans into the curve, left is positive
  moving = np.flatnonzero((speed > 0.02) | (np.abs(rate) > 0.05))
  track = stances.stand(body, style, start, n)
  if not len(moving):
    return track
  go, halt = moving[0] / FPS, moving[-1] / FPS
  outward = curves.smooth(0.85 * body.standing * np.tan(bank), 8)
  plants = _plan(gait, start, t, path, yaw, width, outward, go, halt, first_side)
  effort = np.clip(speed / gait.speed, 0, 1) + 0.35 * np.clip(np.abs(rate) / 2, 0, 1)
  effort = curves.smooth(np.clip(effort, 0, 1), 6)
  _move_feet(track, body, gait, plants, t, effort)

  landed = plants[0][1].land if len(plants[0]) > 1 else go
  phase = np.pi * (t - landed) / gait.period  # 0 where the right foot lands
  _move_pelvis(track, gait, style, phase, effort, bank, path, yaw)
  _move_upper_body(track, gait, style, phase, effort, rate)
  return track


def _plan(gait, start, t, path, yaw, width, outward, go, halt, first_side):
  """Plants of the right and of the left foot."""
  swing = 2 * gait.period * (1 - gait.duty)
  lifts = [[], []]
  k, lift = 0, go
  while lift < halt + 0.2 * gait.period or k < 2:
    lifts[(first_side + k) % 2].append(lift)
    k, lift = k + 1, lift + gait.period

  def at(time, values):
    return np.array([np.interp(time, t, values)]).item()

  plants = []
  for side in (0, 1):
    feet = [_Plant(-np.inf, lifts[side][0], start.feet[side], start.yaw)]
    for i, lift in enumerate(lifts[side]):
      land = lift + swing
      last = i + 1 == len(lifts[side])
      until = np.inf if last else lifts[side][i + 1]
      middle = t[-1] if last else 0.5 * (land + until)
      angle = at(middle, yaw)
      across = 0.5 * SIDE[side] * at(middle, width) + at(middle, outward)
      spot = np.array([at(middle, path[:, 0]), at(middle, path[:, 1])])
      spot += across * curves.rightward(angle)
      spot -= stances.ANKLE_BACK * curves.heading(angle)
      feet.append(_Plant(land, until, spot, angle))
    plants.append(feet)
  return plants


def _move_feet(track, body, gait, plants, t, effort):
  """Writes the ankle paths and which foot is planted."""
  stance_time = 2 * gait.period * gait.duty
  for side in (0, 1):
    for plant, following in zip(plants[side], [*plants[side][1:], None], strict=True):
      strength = np.interp(plant.lift, t, effort) if following else 0.0
      on = (t >= plant.land) & (t <= plant.lift)
      if following is None:
        on = t >= plant.land
      track.feet[on, side] = _stance_ankle(
        body,
        gait,
        plant,
        t[on],
        stance_time,
        strength,
        np.interp(plant.land, t, effort),
      )
      track.planted[:, side] &= ~((t > plant.lift) & (t < _land(following)))
      if following is None:
        continue
      off = (t > plant.lift) & (t < following.land)
      if off.any():
        track.feet[off, side] = _swing_ankle(
          body, gait, plant, following, t, off, stance_time, effort
        )
  track.feet[:] = curves.smooth(track.feet, 1.0)


def _land(plant):
  return np.inf if plant is None else plant.land


def _stance_ankle(body, gait, plant, t, stance_time, strength, arrival):
  """(m, 3) ankle over a planted foot: heel strike, flat, heel-off."""
  early = np.clip((t - plant.land) / (0.15 * stance_time), 0, 1)
  toes = gait.heel_strike * arrival * (1 - curves.smoothstep(early))
  late = np.clip((t - plant.lift) / (0.42 * stance_time) + 1, 0, 1)
  heel = gait.heel_off * (0.25 + 0.75 * strength) * late**2.2
  forward_a, up_a = stances.toe_lift(body, toes)
  forward_b, up_b = stances.heel_lift(body, heel)
  ground = plant.spot + (forward_a + forward_b)[:, None] * curves.heading(plant.yaw)
  return np.concatenate([ground, (body.ankle + up_a + up_b)[:, None]], 1)


def _swing_ankle(body, gait, plant, following, t, off, stance_time, effort):
  """(m, 3) ankle in the air between two plants, with the velocities of both ends."""
  strength = np.interp(plant.lift, t, effort)
  arrival = np.interp(following.land, t, effort)
  dt = 1e-3
  leave = np.array([plant.lift - dt, plant.lift])
  arrive = np.array([following.land, following.land + dt])
  a = _stance_ankle(body, gait, plant, leave, stance_time, strength, 0.0)
  b = _stance_ankle(body, gait, following, arrive, stance_time, 0.0, arrival)
  keys = np.stack([a[1], b[0]])
  slopes = np.stack([(a[1] - a[0]) / dt, (b[1] - b[0]) / dt])
  path = curves.hermite(t[off], [plant.lift, following.land], keys, slopes)
  u = (t[off] - plant.lift) / (following.land - plant.lift)
  arc = u**2 * (1 - u) ** 2.5 / (0.4444**2 * 0.5556**2.5)
  path[:, 2] += gait.lift * (0.35 + 0.65 * strength) * arc
  return path


def _move_pelvis(track, gait, style, phase, effort, bank, path, yaw):
  track.yaw[:] = yaw
  track.root[:, :2] = path + (0.018 * effort * np.sin(phase))[:, None] * (
    curves.rightward(yaw)
  )
  track.root[:, 2] += effort * (_bounce(gait, phase) - gait.crouch)
  # The centre of mass is lower in a curve because the whole body leans.
  track.root[:, 2] *= np.cos(curves.smooth(bank, 8))
  twist = gait.twist * style.sway * effort
  track.pelvis[:, 0] += 0.5 * gait.lean * effort
  track.pelvis[:, 1] += -np.radians(3.5) * style.sway * effort * np.sin(phase + 0.2)
  track.pelvis[:, 1] -= curves.smooth(bank, 8)
  track.pelvis[:, 2] += twist * np.cos(phase)


def _bounce(gait, phase):
  """Height of the pelvis along a step: a spring in stance, a parabola in flight."""
  if gait.duty >= 0.5:
    return -gait.bounce * np.cos(2 * phase - 0.2)
  contact = 2 * gait.period * gait.duty
  flight = gait.period - contact
  velocity = GRAVITY * flight / 2
  s = np.mod(phase / np.pi, 1) * gait.period
  in_flight = velocity * (s - contact) - GRAVITY / 2 * (s - contact) ** 2
  in_contact = -velocity * contact / np.pi * np.sin(np.pi * s / contact)
  return np.where(s < contact, in_contact, in_flight)


def _move_upper_body(track, gait, style, phase, effort, rate):
  twist = gait.twist * style.sway * effort
  turn = curves.smooth(rate, 8)
  track.spine[:, 0] += 0.3 * gait.lean * effort
  track.thorax[:, 0] += 0.2 * gait.lean * effort
  track.neck[:, 0] -= 0.6 * gait.lean * effort
  track.spine[:, 1] += np.radians(2.5) * style.sway * effort * np.sin(phase + 0.2)
  track.spine[:, 2] -= 0.8 * twist * np.cos(phase)
  track.thorax[:, 2] -= 1.1 * twist * np.cos(phase) - np.clip(0.08 * turn, -0.2, 0.2)
  track.neck[:, 2] += 0.8 * twist * np.cos(phase) + np.clip(0.25 * turn, -0.5, 0.5)
  wave = np.cos(phase - 0.15)[:, None] * -SIDE  # the right arm is back as it lands
  amplitude = gait.arm * (1 + style.asymmetry * SIDE) * style.arm_swing
  amplitude = np.minimum(amplitude, np.radians(42))  # what a shoulder extends
  flexion = np.radians(2) + effort[:, None] * (gait.arm_centre + amplitude * wave)
  abduction = style.abduction + effort[:, None] * 0.25 * gait.elbow * np.ones(2)
  inward = 0.25 + effort[:, None] * 0.3 * gait.elbow * np.ones(2)
  track.arms[:] = upper_arm_rotation(flexion, abduction, inward)
  bend = gait.elbow + gait.elbow_swing * wave * np.minimum(style.arm_swing, 1.4)
  track.elbows[:] = style.elbow + effort[:, None] * np.maximum(bend, -style.elbow + 0.1)
