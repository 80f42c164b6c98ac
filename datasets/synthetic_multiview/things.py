"""Things that stand in front of people: crates, tables, pillars, plants, a stool."""

from typing import NamedTuple

import numpy as np

from . import lofts
from . import textures


class Things(NamedTuple):
  """One mesh: closed parts, faces counter-clockwise seen from outside; world metres."""

  vertices: np.ndarray
  normals: np.ndarray
  colors: np.ndarray
  faces: np.ndarray


def join(parts: list[Things]) -> Things | None:
  """All as one mesh; None for none."""
  if not parts:
    return None
  starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
  faces = [part.faces + start for part, start in zip(parts, starts, strict=True)]
  return Things(
    *map(np.concatenate, list(zip(*parts, strict=True))[:3]), np.concatenate(faces)
  )


def box(centre, size, turn: float, color) -> Things:
  """An upright box; `size` is width, depth and height."""
  vertices, normals, faces = [], [], []
  for axis in range(3):
    for sign in (-1.0, 1.0):
      normal = sign * np.eye(3)[axis]
      side = np.eye(3)[(axis + 1) % 3]
      other = np.cross(normal, side)
      start = len(vertices)
      for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        vertices.append((normal + a * side + b * other) / 2)
        normals.append(normal)
      faces += [[start, start + 1, start + 2], [start, start + 2, start + 3]]
  c, s = np.cos(turn), np.sin(turn)
  rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
  vertices = (np.array(vertices) * size) @ rotation.T + centre
  colors = np.tile(np.asarray(color, float), (len(vertices), 1))
  return Things(vertices, np.array(normals) @ rotation.T, colors, np.array(faces))


def turned(base, heights, radii, color, segments: int = 12) -> Things:
  """A body of revolution that stands at `base`."""
  angle = 2 * np.pi * np.arange(segments) / segments
  rim = np.stack([np.cos(angle), np.sin(angle), 0 * angle], -1)
  heights = np.array([heights[0], *heights, heights[-1]])
  radii = np.array([1e-3, *radii, 1e-3])
  rings = len(heights)
  vertices = radii[:, None, None] * rim + (heights[:, None] * [0, 0, 1])[:, None]
  along = np.gradient(vertices, axis=0)
  normals = lofts.unit(
    np.cross(np.roll(vertices, -1, 1) - np.roll(vertices, 1, 1), along)
  )
  vertices = vertices.reshape(-1, 3) + base
  colors = np.tile(np.asarray(color, float), (len(vertices), 1))
  return Things(vertices, normals.reshape(-1, 3), colors, lofts.faces(rings, segments))


def stool(seat: np.ndarray, rng: np.random.Generator) -> Things:
  """Something to sit on, with its top at `seat`."""
  color = textures.color(rng, (0.1, 0.7), (0.2, 0.8))
  height = float(seat[2])
  if rng.random() < 0.5:
    size = np.array([0.4, 0.4, height])
    return box([seat[0], seat[1], height / 2], size, rng.uniform(0, np.pi), color)
  base = np.array([seat[0], seat[1], 0])
  heights = [0, 0.04, 0.05, height - 0.06, height - 0.05, height]
  return turned(base, heights, [0.19, 0.19, 0.04, 0.04, 0.19, 0.19], color)


def sample(rng: np.random.Generator, busy: np.ndarray, count: int) -> list[Things]:
  """Up to `count` things that leave room for people.

  Args:
    rng: source of the draws.
    busy: (n, 2) floor places where people are, metres.
    count: things to try.
  """
  found, centre = [], busy.mean(0)
  for _ in range(count):
    kind = rng.choice(["crate", "table", "pillar", "plant"])
    need = dict(crate=0.75, table=0.95, pillar=0.5, plant=0.6)[str(kind)]
    for _ in range(8):
      azimuth, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 2.2)
      at = centre + far * np.array([np.cos(azimuth), np.sin(azimuth)])
      if np.linalg.norm(busy - at, axis=-1).min() > need:
        found.append(_make(rng, str(kind), at))
        break
  return found


def _make(rng, kind, at):
  color = textures.color(rng, (0.1, 0.7), (0.2, 0.9))
  turn = rng.uniform(0, np.pi)
  base = np.array([*at, 0.0])
  if kind == "crate":
    size = rng.uniform([0.35, 0.35, 0.3], [0.7, 0.6, 1.0])
    return box(base + np.array([0, 0, size[2] / 2]), size, turn, color)
  if kind == "table":
    wide, deep, high = rng.uniform([0.6, 0.5, 0.6], [1.1, 0.7, 0.85])
    parts = [box(base + np.array([0, 0, high]), [wide, deep, 0.04], turn, color)]
    c, s = np.cos(turn), np.sin(turn)
    for a in (-0.45, 0.45):
      for b in (-0.43, 0.43):
        foot = np.array([c * a * wide - s * b * deep, s * a * wide + c * b * deep, 0])
        leg = base + foot + [0, 0, high / 2]
        parts.append(box(leg, [0.05, 0.05, high], turn, 0.7 * color))
    return join(parts)
  if kind == "pillar":
    radius, high = rng.uniform(0.05, 0.15), rng.uniform(1.6, 3.0)
    return turned(base, [0, high], [radius, radius], color)
  green = np.array([0.15, 0.4, 0.15]) * rng.uniform(0.6, 1.6)
  pot = turned(base, [0, 0.3], [0.12, 0.17], color)
  size = rng.uniform(0.22, 0.34)
  place = np.linspace(0.05, 0.95, 7)
  bush = np.sin(np.pi * place) * size * rng.uniform(0.7, 1.2, 7)
  leaves = turned(
    base + np.array([0, 0, 0.28]), place * rng.uniform(0.5, 1.2), bush, green, 9
  )
  return join([pot, leaves])
