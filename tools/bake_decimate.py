"""Fewer triangles: edges collapse in the order of the quadric error they make.

Garland and Heckbert, "Surface Simplification Using Quadric Error Metrics", 1997. Every
collapse keeps one of its two vertices, so the result is a subset of the vertices and
whatever belongs to them (shapes, weights) is taken over as it is.
"""

import heapq

import numpy as np


def decimate(points, faces, count, locked=(), features=None):
  """Indices of the `count` vertices that stay, and the triangles over them.

  Args:
    points: (m, 3).
    faces: (f, 3).
    count: of vertices to keep.
    locked: vertices that must stay.
    features: (m, k) numbers, metres; edges between unlike vertices stay longer.

  Raises:
    ValueError: so few vertices would break the surface.
  """
  locked = set(map(int, locked))
  around = [set() for _ in points]  # triangles of each vertex
  triangles = {i: tuple(map(int, f)) for i, f in enumerate(faces)}
  for i, triangle in triangles.items():
    for v in triangle:
      around[v].add(i)
  quadrics = _quadrics(points, faces)
  extra = np.zeros((len(points), 0)) if features is None else features
  version = [0] * len(points)
  heap = []

  def neighbours(v):
    return {w for i in around[v] for w in triangles[i]} - {v}

  def push(u, v):
    for a, b in ((u, v), (v, u)):
      if a not in locked:
        x = np.append(points[b], 1)
        edge = ((points[a] - points[b]) ** 2).sum()
        unlike = ((extra[a] - extra[b]) ** 2).sum()
        cost = x @ (quadrics[a] + quadrics[b]) @ x + 1e-3 * edge * (edge + unlike)
        heapq.heappush(heap, (cost, a, b, version[a], version[b]))

  alive = {v for v in range(len(points)) if around[v]}
  for u in alive:
    for v in neighbours(u):
      if u < v:
        push(u, v)
  while len(alive) > count:
    if not heap:
      raise ValueError(
        f"got {count} vertices, expected at least {len(alive)}: no further edge can "
        "collapse without breaking the surface."
      )
    _, a, b, *versions = heapq.heappop(heap)
    if a not in alive or b not in alive or versions != [version[a], version[b]]:
      continue
    shared = around[a] & around[b]
    near = neighbours(a)
    # A closed surface stays one: two triangles and two neighbours in common.
    if len(shared) != 2 or len(near & neighbours(b)) != 2:
      continue
    moved = {
      i: tuple(b if v == a else v for v in triangles[i]) for i in around[a] - shared
    }
    if any(_flips(points, triangles[i], new) for i, new in moved.items()):
      continue
    for i in shared:
      for v in triangles.pop(i):
        around[v].discard(i)
    triangles |= moved
    around[b] |= set(moved)
    around[a] = set()
    alive.discard(a)
    quadrics[b] = quadrics[a] + quadrics[b]
    version[b] += 1
    for v in neighbours(b):
      push(b, v)
  keep = np.asarray(sorted(alive))
  return keep, np.searchsorted(
    keep, np.asarray([triangles[i] for i in sorted(triangles)])
  )


def _quadrics(points, faces):
  corner = points[faces]
  normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
  area = np.linalg.norm(normal, axis=-1, keepdims=True)
  normal = normal / np.maximum(area, 1e-12)
  plane = np.concatenate([normal, -(normal * corner[:, 0]).sum(-1, keepdims=True)], -1)
  each = plane[:, :, None] * plane[:, None] * area[:, None]
  total = np.zeros((len(points), 4, 4))
  for k in range(3):
    np.add.at(total, faces[:, k], each)
  return total


def _flips(points, old, new):
  """Whether a triangle turns by more than some 78 degrees or degenerates."""
  a, b = (
    np.cross(points[t[1]] - points[t[0]], points[t[2]] - points[t[0]])
    for t in map(list, (old, new))
  )
  return a @ b < 0.2 * np.sqrt((a @ a) * (b @ b)) or b @ b < 1e-14
