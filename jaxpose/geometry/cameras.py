"""Pinhole cameras with lens distortion: projection, screen coordinates, calibration.

The world has z up and metres. A camera looks along its +z with x to the right and y
down: `x_camera = rotation @ (x_world - position)`. Intrinsics are nine numbers in
pixels, `fx fy cx cy k1 k2 k3 p1 p2` (radial k, tangential p), Human3.6M's model. NumPy
in, NumPy out; JAX in, JAX out.

A camera can also be recovered from world points and their pixels, for datasets that
give 3D joints and exact projections but no cameras: a direct linear transform (Hartley
and Zisserman, section 7.1), refined by Levenberg-Marquardt on the pixels, lens
included. That part is NumPy only.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from jaxpose import geometry
from jaxpose.geometry import Array
from jaxpose.geometry import namespace
from jaxpose.geometry import safe_norm

Number = int | float | np.number

FOCAL = 1.15  # over the longer side of the image, see `guess_focal`


@dataclasses.dataclass(frozen=True)
class Camera:
  """One calibrated camera.

  Attributes:
    rotation: (3, 3) world to camera.
    position: (3,) camera centre in the world, metres.
    intrinsics: (9,) pixels, see the module's docstring.
    image_size: (width, height) in pixels.
    name: label of the camera in its rig.
  """

  rotation: np.ndarray
  position: np.ndarray
  intrinsics: np.ndarray
  image_size: tuple[int, int]
  name: str = "0"


def world_to_camera(
  points: Float[Array, "*b n 3"],
  rotation: Float[Array, "*#b 3 3"],
  position: Float[Array, "*#b 3"],
) -> Float[Array, "*b n 3"]:
  """Points of the world seen from a camera, metres."""
  xp = namespace(points, rotation)
  return (points - position[..., None, :]) @ xp.swapaxes(rotation, -1, -2)


def camera_to_world(
  points: Float[Array, "*b n 3"],
  rotation: Float[Array, "*#b 3 3"],
  position: Float[Array, "*#b 3"],
) -> Float[Array, "*b n 3"]:
  """Inverse of `world_to_camera`."""
  return points @ rotation + position[..., None, :]


def distort(
  rays: Float[Array, "*b n 2"], intrinsics: Float[Array, "*#b 9"]
) -> Float[Array, "*b n 2"]:
  """Lens distortion of normalised image coordinates x/z, y/z."""
  k, p = intrinsics[..., None, 4:7], intrinsics[..., None, 7:9]
  r2 = (rays * rays).sum(-1)
  radial = 1 + k[..., 0] * r2 + k[..., 1] * r2**2 + k[..., 2] * r2**3
  tangential = (p * rays).sum(-1)
  return rays * (radial + tangential)[..., None] + p * r2[..., None]


def project(
  points: Float[Array, "*b n 3"], intrinsics: Float[Array, "*#b 9"]
) -> Float[Array, "*b n 2"]:
  """Pixels of points given in camera coordinates (metres).

  As in Human3.6M's published projection, x/z and y/z are clamped to [-1, 1], so that a
  point beside or behind the camera cannot blow up; such points are not meaningful, and
  `in_view` says which.
  """
  xp = namespace(points, intrinsics)
  depth = points[..., 2:]
  depth = xp.where(xp.abs(depth) < 1e-6, 1e-6, depth)
  rays = xp.clip(points[..., :2] / depth, -1, 1)
  f, c = intrinsics[..., None, 0:2], intrinsics[..., None, 2:4]
  return f * distort(rays, intrinsics) + c


def unproject(
  pixels: Float[Array, "*b n 2"],
  intrinsics: Float[Array, "*#b 9"],
  iterations: int = 20,
) -> Float[Array, "*b n 2"]:
  """Normalised image coordinates (x/z, y/z) of pixels; the distortion is inverted.

  Fixed-point iteration; for Human3.6M's lenses 20 rounds reach float32 precision.
  """
  f, c = intrinsics[..., None, 0:2], intrinsics[..., None, 2:4]
  distorted = (pixels - c) / f
  rays = distorted
  for _ in range(iterations):
    rays = rays + distorted - distort(rays, intrinsics)
  return rays


def in_view(
  points: Float[Array, "*b n 3"],
  pixels: Float[Array, "*b n 2"],
  image_size: tuple[int, int],
  near: float = 0.1,
) -> Array:
  """(*b, n) bool: in front of the camera by `near` metres and inside the image."""
  width, height = image_size
  x, y = pixels[..., 0], pixels[..., 1]
  inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
  return inside & (points[..., 2] > near)


def normalize_screen(
  pixels: Float[Array, "*b 2"], width: Number, height: Number
) -> Float[Array, "*b 2"]:
  """Pixels to the network's coordinates: x in [-1, 1], y scaled alike (aspect kept).

  `x * 2 / width - 1`, `y * 2 / width - height / width` (VideoPose3D).
  """
  xp = namespace(pixels)
  width, height = float(width), float(height)
  shift = xp.asarray([1.0, height / width], dtype=pixels.dtype)
  return pixels * (2.0 / width) - xp.broadcast_to(shift, pixels.shape)


def denormalize_screen(
  points: Float[Array, "*b 2"], width: Number, height: Number
) -> Float[Array, "*b 2"]:
  """Inverse of `normalize_screen`."""
  xp = namespace(points)
  width, height = float(width), float(height)
  shift = xp.asarray([1.0, height / width], dtype=points.dtype)
  return (points + xp.broadcast_to(shift, points.shape)) * (width / 2.0)


def guess_focal(image_size: tuple[Number, Number]) -> float:
  """Focal length in pixels where nothing is known: 1.15 x the image's longer side.

  It is the mean of the cameras that the networks are trained on (47 degrees from edge
  to edge). The main camera of a telephone is nearer to 0.75 x; then everybody stands,
  and moves towards and away from the camera, 1.5 times as far as in truth. What
  is seen of a motion across the picture does not change, nor do poses in its middle;
  lifted ones at its edges are turned by up to 10 degrees (`jaxpose.skeletons.framing`).
  """
  return FOCAL * max(map(float, image_size))


def fit_focal(
  keypoints_2d: Float[Array, "b *n 2"], joints_3d: Float[Array, "b *n 3"]
) -> Float[Array, " b"]:
  """Focal length of each pinhole camera, in the keypoints' unit, by least squares.

  Args:
    keypoints_2d: what it sees of the joints; its principal point may be anywhere.
    joints_3d: camera frame; those nearer than 0.1 are taken as if they were there.
  """
  xp = namespace(keypoints_2d, joints_3d)
  rays = joints_3d[..., :2] / xp.maximum(joints_3d[..., 2:], 0.1)
  axes = tuple(range(1, rays.ndim - 1))
  points = keypoints_2d - keypoints_2d.mean(axes, keepdims=True)
  rays = rays - rays.mean(axes, keepdims=True)
  axes = (*axes, rays.ndim - 1)
  return (points * rays).sum(axes) / xp.maximum((rays * rays).sum(axes), 1e-12)


def look_at(
  position: Float[Array, "*b 3"], target: Float[Array, "*b 3"]
) -> Float[Array, "*b 3 3"]:
  """World-to-camera rotation of a level camera (no roll) that looks at `target`."""
  xp = namespace(position, target)
  forward = target - position
  forward = forward / safe_norm(forward)[..., None]
  # right = forward x up with up = +z; level by construction.
  right = xp.stack([forward[..., 1], -forward[..., 0], 0 * forward[..., 0]], -1)
  right = right / safe_norm(right)[..., None]
  down = xp.cross(forward, right)
  return xp.stack([right, down, forward], -2)


def camera_ring(
  rng: np.random.Generator,
  target: Float[np.ndarray, "3"],
  num_cameras: int = 4,
  image_size: tuple[int, int] = (1000, 1000),
) -> list[Camera]:
  """Virtual cameras around a capture space, laid out like Human3.6M's.

  Azimuths are evenly spaced from a random start; each camera draws its distance to the
  target on the ground (4.5 to 6.5 m), height (1.2 to 1.8 m) and focal length (1100 to
  1200 px for an image 1000 px wide), looks at `target`, and does not roll or distort.

  Args:
    rng: source of the draws; the same generator state gives the same cameras.
    target: point to look at, world metres.
    num_cameras: cameras on the ring.
    image_size: (width, height) in pixels.
  """
  start = rng.uniform(0, 2 * np.pi)
  width, height = image_size
  ring = []
  for i in range(num_cameras):
    azimuth = start + 2 * np.pi * i / num_cameras
    distance, camera_height = rng.uniform(4.5, 6.5), rng.uniform(1.2, 1.8)
    focal = rng.uniform(1100, 1200) * width / 1000
    position = np.asarray(
      [
        target[0] + distance * np.cos(azimuth),
        target[1] + distance * np.sin(azimuth),
        camera_height,
      ]
    )
    intrinsics = np.asarray([focal, focal, width / 2, height / 2, 0, 0, 0, 0, 0])
    ring.append(
      Camera(
        look_at(position, np.asarray(target, float)).astype(np.float32),
        position.astype(np.float32),
        intrinsics.astype(np.float32),
        image_size,
        str(i),
      )
    )
  return ring


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
    view = world_to_camera(points.astype(np.float64), rotation, position)
    offsets = project(view, intrinsics) - pixels
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
    view = world_to_camera(points, turned, centres)
    return (project(view, lenses) - seen).reshape(len(steps), -1)

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
