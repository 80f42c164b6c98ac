"""Smooth curves over time: splines, slow noise, filters, blends of rotations."""

import numpy as np

from jaxpose import geometry

FPS = 50.0


def smoothstep(x):
  """0 below 0, 1 above 1, with zero slope and curvature at both ends."""
  x = np.clip(x, 0.0, 1.0)
  return x * x * x * (10 + x * (6 * x - 15))


def hermite(t, times, values, slopes=None):
  """Cubic Hermite spline through keys; constant outside of them.

  Args:
    t: (n,) seconds.
    times: (k,) increasing seconds of the keys.
    values: (k,) or (k, c).
    slopes: per second at each key; None, or NaN entries, take the slope between the
      neighbours (zero at the ends and at local extremes, so that keys are not passed).
  """
  times, values = np.asarray(times, float), np.asarray(values, float)
  flat = values.reshape(len(times), -1)
  step = np.diff(times)[:, None]
  secant = np.diff(flat, axis=0) / step
  auto = np.zeros_like(flat)
  inner = (secant[:-1] * step[1:] + secant[1:] * step[:-1]) / (step[1:] + step[:-1])
  auto[1:-1] = np.where(secant[:-1] * secant[1:] > 0, inner, 0)
  if slopes is not None:
    given = np.asarray(slopes, float).reshape(len(times), -1)
    auto = np.where(np.isnan(given), auto, given)
  i = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
  h = (times[i + 1] - times[i])[:, None]
  u = np.clip((t - times[i])[:, None] / h, 0, 1)
  out = (
    (1 + 2 * u) * (1 - u) ** 2 * flat[i]
    + u * (1 - u) ** 2 * h * auto[i]
    + u**2 * (3 - 2 * u) * flat[i + 1]
    + u**2 * (u - 1) * h * auto[i + 1]
  )
  return out.reshape(len(t), *values.shape[1:])


def drift(rng, n, channels, periods=(1.2, 6.0)):
  """(n, channels) slow noise of unit variance: four random sinusoids per channel."""
  t = np.arange(n)[:, None, None] / FPS
  frequency = 1 / rng.uniform(*periods, (1, channels, 4))
  phase = rng.uniform(0, 2 * np.pi, (1, channels, 4))
  return np.sin(2 * np.pi * frequency * t + phase).sum(-1) / np.sqrt(2.0)


def smooth(x, sigma):
  """Gaussian filter over the first axis, `sigma` in frames; the ends are repeated."""
  radius = int(np.ceil(3 * sigma))
  kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
  kernel /= kernel.sum()
  flat = np.asarray(x, float).reshape(len(x), -1)
  padded = np.pad(flat, ((radius, radius), (0, 0)), mode="edge")
  out = sum(k * padded[i : i + len(flat)] for i, k in enumerate(kernel))
  return out.reshape(np.shape(x))


def smooth_lower(x, half):
  """(n,) smooth curve that nowhere exceeds `x`.

  The minimum over +-`half` frames, then a mean over the same +-`half` frames.
  """
  padded = np.pad(x, 2 * half, mode="edge")
  n = len(x) + 2 * half
  lowest = np.min([padded[i : i + n] for i in range(2 * half + 1)], 0)
  window = np.hanning(2 * half + 3)[1:-1]
  window /= window.sum()
  return sum(w * lowest[i : i + len(x)] for i, w in enumerate(window))


def blend_rotations(a, b, weight):
  """Rotation matrices between `a` (weight 0) and `b` (weight 1)."""
  weight = np.asarray(weight)[..., None, None]
  return geometry.project_to_rotation((1 - weight) * a + weight * b)


def rotation(angles, order):
  """`geometry.euler_to_matrix` of angles given as separate arrays."""
  return geometry.euler_to_matrix(
    np.stack(np.broadcast_arrays(*map(np.asarray, angles)), -1).astype(float), order
  )


def heading(yaw):
  """(..., 2) ground direction that a body with this yaw faces; yaw 0 faces +y."""
  return np.stack([-np.sin(yaw), np.cos(yaw)], -1)


def rightward(yaw):
  """(..., 2) ground direction to the right of a body with this yaw."""
  return np.stack([np.cos(yaw), np.sin(yaw)], -1)
