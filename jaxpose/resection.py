"""Calibrates a camera from points of the world and their pixels.

For data sets that give 3D joints and their exact projections but not the cameras: what
made the projections is determined by them. Direct linear transform for a start (Hartley
and Zisserman, section 7.1), then Levenberg-Marquardt on the pixels with the lens.
"""

import numpy as np
from jaxtyping import Float

from jaxpose import cameras
from jaxpose import geometry
from jaxpose.cameras import Camera

_POINTS = 1000  # more do not help where projections are exact
_ROUNDS = 40
_TOLERANCE = 1.0  # pixels
# Typical sizes: rotation, position, focal length, principal point, k, p.
_SCALES = np.repeat([0.01, 0.01, 10, 10, 0.1, 0.01], [3, 3, 2, 2, 3, 2])


def calibrate(
  points: Float[np.ndarray, "n 3"],
  pixels: Float[np.ndarray, "n 2"],
  image_size: tuple[int, int],
  name: str = "0",
) -> Camera:
  """The camera that sees the points at the pixels.

  Args:
    points: world, metres; well spread, at least 20.
    pixels: x right, y down; projections, not detections.
    image_size: width, height in pixels.
    name: of the camera.

  Raises:
    ValueError: no camera sees the points there, within a pixel at half of them.
  """
  if len(points) < 20 or len(points) != len(pixels):
    raise ValueError(
      f"got {len(points)} points and {len(pixels)} pixels to calibrate camera {name!r} "
      "from, expected at least 20 of both."
    )
  chosen = np.linspace(0, len(points) - 1, min(len(points), _POINTS)).astype(int)
  world, seen = points[chosen].astype(np.float64), pixels[chosen].astype(np.float64)
  rotation, position, linear = _direct(world, seen)
  intrinsics = np.r_[linear, np.zeros(5)]
  error = np.inf
  if np.isfinite(intrinsics).all() and np.linalg.det(rotation) > 0:
    rotation, position, intrinsics = _refine(
      world, seen, rotation, position, intrinsics
    )
    view = cameras.world_to_camera(points.astype(np.float64), rotation, position)
    offsets = cameras.project(view, intrinsics) - pixels
    error = float(np.median(np.linalg.norm(offsets, axis=-1)))
    error = error if np.median(view[:, 2]) > 0 else np.inf
  if not error < _TOLERANCE:
    raise ValueError(
      f"no camera sees the 3D joints at the 2D keypoints of camera {name!r}: got "
      f"{error:.3g} pixels between them at best, expected less than {_TOLERANCE:g}; do "
      "both files belong together?"
    )
  return Camera(
    rotation.astype(np.float32),
    position.astype(np.float32),
    intrinsics.astype(np.float32),
    image_size,
    name,
  )


def _direct(world: np.ndarray, seen: np.ndarray):
  """Rotation, position and (fx, fy, cx, cy) by the direct linear transform."""
  centre, spread = world.mean(0), world.std() + 1e-12
  middle, size = seen.mean(0), seen.std() + 1e-12
  x = np.c_[(world - centre) / spread, np.ones(len(world))]
  u = (seen - middle) / size
  zero = np.zeros_like(x)
  rows = np.r_[np.c_[x, zero, -u[:, :1] * x], np.c_[zero, x, -u[:, 1:] * x]]
  matrix = np.linalg.svd(rows.T @ rows)[2][-1].reshape(3, 4)
  to_pixels = np.diag([size, size, 1.0])
  to_pixels[:2, 2] = middle
  from_world = np.diag([1 / spread] * 3 + [1.0])
  from_world[:3, 3] = -centre / spread
  matrix = to_pixels @ matrix @ from_world
  matrix *= np.sign((matrix @ np.r_[centre, 1])[2]) / np.linalg.norm(matrix[2, :3])
  position = -np.linalg.pinv(matrix[:, :3]) @ matrix[:, 3]
  # RQ by QR of the matrix turned about.
  q, r = np.linalg.qr(matrix[::-1, :3].T)
  inner, rotation = r.T[::-1, ::-1], q.T[::-1]
  signs = np.sign(np.diag(inner))
  inner, rotation = inner * signs, signs[:, None] * rotation
  inner = inner / inner[2, 2]
  return rotation, position, inner[[0, 1, 0, 1], [0, 1, 2, 2]]


def _refine(world, seen, rotation, position, intrinsics):
  """Levenberg-Marquardt; the rotation changes by a small one on its left."""

  def moved(steps):
    turns = geometry.axis_angle_to_matrix(steps[:, :3])
    return turns @ rotation, position + steps[:, 3:6], intrinsics + steps[:, 6:]

  def residuals(steps):
    turned, centres, lenses = moved(steps)
    points = np.broadcast_to(world, (len(steps), *world.shape))
    view = cameras.world_to_camera(points, turned, centres)
    return (cameras.project(view, lenses) - seen).reshape(len(steps), -1)

  damping = 1e-3
  best = residuals(np.zeros((1, 15)))[0]
  for _ in range(_ROUNDS):
    small = np.diag(1e-4 * _SCALES)
    ahead, behind = np.split(residuals(np.concatenate([small, -small])), 2)
    jacobian = (ahead - behind).T / 2e-4  # per typical size
    normal, slope = jacobian.T @ jacobian, jacobian.T @ best
    gain = 0.0
    while not gain and damping < 1e8:
      damped = normal + damping * np.diag(np.diag(normal) + 1e-12)
      step = -_SCALES * np.linalg.solve(damped, slope)
      tried = residuals(step[None])[0]
      if tried @ tried < best @ best:
        gain = 1 - (tried @ tried) / (best @ best)
        rotation, position, intrinsics = (new[0] for new in moved(step[None]))
        best, damping = tried, max(damping / 10, 1e-12)
      else:
        damping *= 10
    if gain < 1e-4:
      break
  return rotation, position, intrinsics
