"""Closed tubes along lines, with normals: what people and round things are made of.

A loft is rings of an ellipse. A ring's first axis points to where its angle is 0, its
second to a quarter turn, and the rings go on along their cross product; so faces are
counter-clockwise seen from outside.
"""

import numpy as np


def faces(rings: int, segments: int) -> np.ndarray:
  """(n, 3) triangles of a tube whose vertices are counted ring by ring."""
  ring, k = np.mgrid[: rings - 1, :segments]
  here, beside = ring * segments + k, ring * segments + (k + 1) % segments
  quads = np.stack([here, beside, beside + segments, here + segments], -1)
  quads = quads.reshape(-1, 4)
  return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def unit(x: np.ndarray) -> np.ndarray:
  """Vectors of the last axis, one long."""
  return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)


def across(x: np.ndarray, axis: np.ndarray) -> np.ndarray:
  """The part of `x` at right angles to a unit axis, one long."""
  return unit(x - (x * axis).sum(-1, keepdims=True) * axis)


def loft(middle, first, second):
  """Vertices and normals, each (t, rings * segments, 3), of a tube.

  Args:
    middle: (t, r, 3) of the rings.
    first: (t, r, s, 3) offset of each vertex along the ring's first axis.
    second: the same along its second axis.
  """
  points = middle[:, :, None] + first + second
  along = np.gradient(points, axis=1)
  around = np.roll(points, -1, 2) - np.roll(points, 1, 2)
  normal = unit(np.cross(around, along))
  t = len(points)
  return points.reshape(t, -1, 3), normal.reshape(t, -1, 3)


def ellipses(middle, x_axis, y_axis, x_radius, y_radius, segments):
  """A loft of ellipses: axes (t, 3) or (t, r, 3), radii (r,)."""
  angle = 2 * np.pi * np.arange(segments) / segments
  x_axis, y_axis = (a if a.ndim == 3 else a[:, None] for a in (x_axis, y_axis))
  first = np.cos(angle)[:, None] * (x_axis * x_radius[:, None])[:, :, None]
  second = np.sin(angle)[:, None] * (y_axis * y_radius[:, None])[:, :, None]
  return loft(middle, first, second)


def limb(a, b, side, stations, radii, segments, flat=1.0):
  """A tube from a to b (t, 3) with round ends.

  Args:
    a: start.
    b: end.
    side: (t, 3) direction of the first axis, made to fit.
    stations: places of the rings, 0 at a and 1 at b.
    radii: of the rings, metres.
    segments: of a ring.
    flat: second radius over the first.
  """
  length = np.linalg.norm(b - a, axis=-1).mean()
  cap = np.radians([86.0, 45.0])
  stations = np.concatenate(
    [
      stations[0] - radii[0] * np.sin(cap) / length,
      stations,
      stations[-1] + radii[-1] * np.sin(cap[::-1]) / length,
    ]
  )
  ends = np.cos(cap)
  radii = np.concatenate([radii[0] * ends, radii, radii[-1] * ends[::-1]])
  axis = unit(b - a)
  x_axis = across(side, axis)
  y_axis = np.cross(axis, x_axis)
  middle = a[:, None] + (b - a)[:, None] * stations[:, None]
  return ellipses(middle, x_axis, y_axis, radii, flat * radii, segments)
