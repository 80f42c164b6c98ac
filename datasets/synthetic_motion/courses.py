"""Random gaits, and the courses they are walked on."""

import dataclasses

import numpy as np

from . import curves
from . import gaits
from .curves import FPS

REST = 0.36  # seconds at rest between two actions, in which one passes into the next


def sample_course(rng, action, gait, start, total, leave):
  """(speed, yaw) per frame, from rest; to rest again unless the clip may `leave`."""
  t = np.arange(total) / FPS
  ramp = rng.uniform(0.5, 0.8) * (1.3 if action == "running" else 1)
  envelope = curves.smoothstep((t - 0.1) / ramp)
  if not leave:
    stop = total / FPS - REST - 0.45
    envelope = envelope * curves.smoothstep((stop - t) / (1.25 * ramp))
  wobble = curves.drift(rng, total, 2, (1.5, 5.0))
  speed = gait.speed * (1 + 0.05 * wobble[:, 0]) * envelope
  sign = rng.choice([-1.0, 1.0])
  if action == "turning":
    speed = speed * rng.uniform(0.0, 0.35) * (rng.random() < 0.6)
    rate = _turn_rate(rng, t, envelope)
  else:
    radius = rng.uniform(1.2, 3.0) if action == "walking" else rng.uniform(1.5, 2.0)
    weave = 0.25 * wobble[:, 1]
    if action == "walking" and rng.random() < 0.3:  # an S
      weave = weave + 1.6 * np.cos(2 * np.pi * t / rng.uniform(2.5, 4.0)) - 1
    rate = speed / radius * (1 + weave)
    limit = 2.8 / np.maximum(speed, 0.5)  # m/s2 to the side: nobody leans further
    rate = np.clip(rate, -limit, limit)
  yaw = start.yaw + np.cumsum(sign * curves.smooth(rate, 8)) / FPS
  return speed, yaw


def _turn_rate(rng, t, envelope):
  """(n,) turns of 70 to 200 degrees with moments of rest between them."""
  rate = np.zeros_like(t)
  begin = rng.uniform(0.1, 0.5)
  sign = 1.0
  while begin < t[-1]:
    length = rng.uniform(1.0, 1.8)
    angle = np.radians(rng.uniform(70, 110)) * length
    u = np.clip((t - begin) / length, 0, 1)
    rate += sign * angle / length * np.sin(np.pi * u) ** 2 * 2
    sign *= rng.choice([-1.0, 1.0], p=[0.35, 0.65])
    begin += length + rng.uniform(0.1, 0.5)
  return rate * envelope


def walk(rng, body, style) -> gaits.Gait:
  """A random walk of a person."""
  period = float(np.clip(rng.uniform(0.48, 0.58) / style.tempo, 0.43, 0.66))
  speed = min(rng.uniform(0.75, 1.5), 0.4 * body.height / period)
  pace = speed / 1.2
  return gaits.Gait(
    period=period,
    duty=rng.uniform(0.6, 0.65),
    width=rng.uniform(0.07, 0.14),
    speed=speed,
    heel_off=np.radians(rng.uniform(40, 52)),
    heel_strike=np.radians(rng.uniform(12, 22)),
    lift=rng.uniform(0.035, 0.07),
    bounce=rng.uniform(0.012, 0.022),
    crouch=rng.uniform(0.012, 0.03),
    lean=np.radians(rng.uniform(0, 5)),
    arm=np.radians(rng.uniform(17, 27)) * pace,
    arm_centre=np.radians(rng.uniform(-3, 5)),
    elbow=np.radians(rng.uniform(0, 12)),
    elbow_swing=np.radians(rng.uniform(5, 14)) * pace,
    twist=np.radians(rng.uniform(4, 8)) * pace,
  )


def run(rng, body, style) -> gaits.Gait:
  """A random jog of a person."""
  period = float(np.clip(rng.uniform(0.34, 0.4) / style.tempo, 0.31, 0.43))
  duty = rng.uniform(0.35, 0.42)
  return gaits.Gait(
    period=period,
    duty=duty,
    width=rng.uniform(0.05, 0.1),
    speed=rng.uniform(1.75, 2.3),
    heel_off=np.radians(rng.uniform(48, 62)),
    heel_strike=np.radians(rng.uniform(0, 10)),
    lift=rng.uniform(0.1, 0.2),
    bounce=0.0,
    crouch=rng.uniform(0.035, 0.055),
    lean=np.radians(rng.uniform(6, 14)),
    arm=np.radians(rng.uniform(26, 40)),
    arm_centre=np.radians(rng.uniform(-5, 5)),
    elbow=np.radians(rng.uniform(60, 78)),
    elbow_swing=np.radians(rng.uniform(5, 16)),
    twist=np.radians(rng.uniform(6, 10)),
  )


def turn(rng, body, style) -> gaits.Gait:
  """Steps for turning on the spot."""
  gait = walk(rng, body, style)
  width, lift = rng.uniform(0.12, 0.2), rng.uniform(0.06, 0.1)
  return dataclasses.replace(gait, width=width, lift=lift)
