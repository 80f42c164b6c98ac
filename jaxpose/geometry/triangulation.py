"""Triangulation of calibrated views, and whether a calibration agrees with keypoints.

Rays are normalised image coordinates x/z, y/z without lens distortion, as
`cameras.unproject` gives them for pixels and `crop_rays` for crop units (see
`jaxpose.geometry.crops`). A crop's camera is (fx, fy, cx, cy) in crop units, so that
`f * ray + c` is the point in the crop. Lengths are metres, axes those of
`jaxpose.geometry.cameras`. NumPy in, NumPy out; JAX in, JAX out.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.geometry import Array
from jaxpose.geometry import cameras
from jaxpose.geometry import namespace

AGREES = 0.08  # of the person's size: a view that is farther off is wrong
# Of the largest singular value, squared: closer ones are not told apart in float32.
_GAP = 1e-6


def unit_intrinsics(
  intrinsics: Float[Array, "*b 9"], size: int
) -> Float[Array, "*b 4"]:
  """The camera of a crop, in crop units; the distortion is left out.

  Args:
    intrinsics: of the crop in its pixels, see `camera_crops.crop_intrinsics`.
    size: pixels of the crop's side.
  """
  xp = namespace(intrinsics)
  focal, centre = intrinsics[..., :2], intrinsics[..., 2:4]
  return xp.concatenate([focal * (2 / size), centre * (2 / size) - 1], -1)


def crop_rays(
  points: Float[Array, "*b j 2"], intrinsics: Float[Array, "*#b 4"]
) -> Float[Array, "*b j 2"]:
  """Rays of points in crop units; `intrinsics` are those of the crop."""
  return (points - intrinsics[..., None, 2:]) / intrinsics[..., None, :2]


def project_to_crop(
  points: Float[Array, "*b j 3"], intrinsics: Float[Array, "*#b 4"]
) -> Float[Array, "*b j 2"]:
  """Crop units of points in camera coordinates, at least 1 cm in front of it."""
  xp = namespace(points, intrinsics)
  rays = points[..., :2] / xp.maximum(points[..., 2:], 0.01)
  return rays * intrinsics[..., None, :2] + intrinsics[..., None, 2:]


def triangulate(
  rays: Float[Array, "*b v j 2"],
  rotation: Float[Array, "*#b v 3 3"],
  position: Float[Array, "*#b v 3"],
  confidence: Float[Array, "*b v j"] | None = None,
) -> tuple[Float[Array, "*b j 3"], Bool[Array, "*b j"]]:
  """The points that views agree on, by the direct linear transform (DLT).

  Two equations a view, weighted by its confidence, solved by their last singular
  vector; lengths are measured in the size of the rig, so that float32 suffices. The
  gradient exists everywhere, also on exact rays; where singular values coincide, which
  one viewing line alone can cause, it is cut to 0.

  Args:
    rays: in each view.
    rotation: world to camera.
    position: of the cameras' centres, metres.
    confidence: weights, at least 0. A view of weight 0 may hold anything.

  Returns:
    The points in the world, metres, and which of them at least two views have seen;
    the others are 0.
  """
  xp = namespace(rays, rotation, position)
  if confidence is None:
    confidence = xp.ones_like(rays[..., 0])
  seen = confidence > 0
  count = xp.maximum(seen.sum(-2), 1)[..., None].astype(rays.dtype)
  # By joint from here: (*b, j, v, ...).
  seen = xp.swapaxes(seen, -1, -2)[..., None]
  shape = (*seen.shape[:-1], 3)
  centres = xp.broadcast_to(position[..., None, :, :], shape)
  centres = xp.where(seen, centres, 0)
  origin = centres.sum(-2) / count
  offset = xp.where(seen, centres - origin[..., None, :], 0)
  square = (offset * offset).sum((-2, -1)) / count[..., 0]
  apart = square > 0
  size = xp.sqrt(xp.where(apart, square, 1))
  offset = offset / size[..., None, None]

  turn = xp.broadcast_to(rotation[..., None, :, :, :], (*shape, 3))
  turn = xp.where(seen[..., None], turn, 0)
  camera = xp.concatenate([turn, -(turn @ offset[..., None])], -1)
  u = xp.where(seen, xp.swapaxes(rays, -2, -3), 0)
  rows = u[..., None] * camera[..., 2:, :] - camera[..., :2, :]
  weight = xp.where(seen, xp.swapaxes(confidence, -1, -2)[..., None], 0)
  rows = rows * weight[..., None]
  rows = rows.reshape(*rows.shape[:-3], -1, 4)
  if rows.shape[-2] < 4:  # a single view
    rows = xp.concatenate([rows, xp.zeros_like(rows)], -2)
  point = _null_vector(rows) if xp is jnp else np.linalg.svd(rows)[2][..., -1, :]
  valid = (seen.sum((-2, -1)) >= 2) & apart & (xp.abs(point[..., 3]) > 1e-6)
  scale = xp.where(valid, point[..., 3], 1)[..., None]
  world = origin + size[..., None] * point[..., :3] / scale
  return xp.where(valid[..., None], world, 0), valid


def ray_errors(
  points: Float[Array, "*b j 3"],
  rays: Float[Array, "*b v j 2"],
  rotation: Float[Array, "*#b v 3 3"],
  position: Float[Array, "*#b v 3"],
) -> Float[Array, "*b v j"]:
  """Distance of projected points from rays, in units of the rays.

  Times the focal length it is in pixels. Infinite for points behind a camera.
  """
  xp = namespace(points, rays, rotation, position)
  around = xp.broadcast_to(points[..., None, :, :], (*rays.shape[:-1], 3))
  offset = around - position[..., None, :]
  seen = offset @ xp.swapaxes(rotation, -1, -2)
  depth = seen[..., 2:]
  away = seen[..., :2] / xp.where(depth > 0, depth, 1) - rays
  error = xp.sqrt((away * away).sum(-1))
  return xp.where(depth[..., 0] > 0, error, xp.inf)


def ransac(
  rays: Float[Array, "*b v j 2"],
  rotation: Float[Array, "*#b v 3 3"],
  position: Float[Array, "*#b v 3"],
  confidence: Float[Array, "*b v j"],
  threshold: Float[Array, "*b v"],
) -> tuple[Float[Array, "*b j 3"], Bool[Array, "*b v j"]]:
  """`triangulate` of the views that agree, and which these are.

  Every pair of views proposes the point where its two lines nearly meet (with six views
  that is 15 of them, so none has to be drawn at random). The point with which the most
  confidence agrees is taken, near agreement counting more (MSAC), and triangulated
  again from all views that agree with it. If all views agree the result is that of
  `triangulate`. With two views nothing can be outvoted: they agree or there is no
  point. With three, two that agree by chance outvote a true one alone.

  Args:
    rays: in each view.
    rotation: world to camera.
    position: of the cameras' centres, metres.
    confidence: weights, at least 0. A view of weight 0 may hold anything.
    threshold: largest distance at which a view agrees, in units of the rays: pixels
      over the focal length. As a share of the person's size in that view it means the
      same near and far.

  Returns:
    The points in the world, metres, NaN where fewer than two views agree; and the views
    that do.
  """
  xp = namespace(rays, rotation, position, confidence)
  limit = threshold[..., None]
  known = confidence > 0
  clean = xp.where(known[..., None], rays, 0)
  weight = xp.where(known, confidence, 0)
  best, agree = None, None
  for pair in itertools.combinations(range(rays.shape[-3]), 2):
    chosen = np.isin(np.arange(rays.shape[-3]), pair)[:, None]
    chosen = xp.broadcast_to(xp.asarray(chosen), known.shape)
    point, met = triangulate(
      clean, rotation, position, xp.where(chosen, xp.where(known, 1.0, 0.0), 0.0)
    )
    error = ray_errors(point, clean, rotation, position) / limit
    inside = known & (error <= 1) & met[..., None, :]
    score = (weight * xp.where(inside, 2 - xp.where(inside, error, 0) ** 2, 0)).sum(-2)
    both = (inside | ~chosen).all(-2)
    score = xp.where(both, score, 0)
    if best is None:
      best, agree = score, inside & both[..., None, :]
      continue
    better = score > best
    best = xp.where(better, score, best)
    agree = xp.where(better[..., None, :], inside, agree)
  if best is None:
    nothing = xp.zeros(known.shape, bool)
    return xp.full((*known.shape[:-2], known.shape[-1], 3), xp.nan), nothing
  points, valid = triangulate(clean, rotation, position, xp.where(agree, weight, 0))
  valid = valid & (best > 0)
  return xp.where(valid[..., None], points, xp.nan), agree & valid[..., None, :]


def nearest_points(
  rays: Float[Array, "*b v j 2"],
  rotation: Float[Array, "*#b v 3 3"],
  position: Float[Array, "*#b v 3"],
  confidence: Float[Array, "*b v j"],
) -> tuple[Float[Array, "*b j 3"], Bool[Array, "*b j"]]:
  """The points nearest to the viewing lines: `triangulate` in closed form.

  They minimise the squared distances in space, weighted by the confidence, where
  `triangulate` weights near cameras more; exact rays give the same points. No singular
  vectors: many times faster where points are an input of a network.

  Args:
    rays: in each view.
    rotation: world to camera.
    position: of the cameras' centres, metres.
    confidence: weights, at least 0. A view of weight 0 may hold anything.

  Returns:
    The points in the world, metres, and which of them at least two lines that are not
    parallel (about 3 degrees) pass by; the others are 0.
  """
  xp = namespace(rays, rotation, position, confidence)
  seen = (confidence > 0)[..., None]
  weight = confidence / xp.maximum(confidence.sum(-2, keepdims=True), 1e-6)
  line = xp.concatenate([rays, xp.ones_like(rays[..., :1])], -1)
  line = line / xp.linalg.norm(line, axis=-1, keepdims=True)
  line = line @ xp.broadcast_to(rotation, (*line.shape[:-2], 3, 3))
  line = xp.where(seen, line, 0)
  # The sum of w (I - d d') times the point is that of w (I - d d') c, for lines of
  # direction d through c. The symmetric matrix is inverted by its cofactors.
  centre = xp.where(seen, xp.broadcast_to(position[..., None, :], line.shape), 0)
  origin = (weight[..., None] * centre).sum(-3, keepdims=True)
  offset = centre - xp.broadcast_to(origin, centre.shape)
  across = offset - (offset * line).sum(-1, keepdims=True) * line
  right = (weight[..., None] * across).sum(-3)
  x, y, z = (line[..., i] for i in range(3))
  a, b, c = ((weight * (1 - p * p)).sum(-2) for p in (x, y, z))
  d, e, f = (-(weight * p * q).sum(-2) for p, q in ((x, y), (x, z), (y, z)))
  rows = [
    [b * c - f * f, e * f - c * d, d * f - b * e],
    [e * f - c * d, a * c - e * e, d * e - a * f],
    [d * f - b * e, d * e - a * f, a * b - d * d],
  ]
  scale = a * rows[0][0] + d * rows[0][1] + e * rows[0][2]
  valid = scale > 1e-3
  inverse = xp.where(valid, 1 / xp.where(valid, scale, 1), 0)
  point = [sum(k * right[..., i] for i, k in enumerate(row)) for row in rows]
  point = xp.stack(point, -1) * inverse[..., None] + origin[..., 0, :, :]
  return xp.where(valid[..., None], point, 0), valid


@jax.custom_jvp
def _null_vector(rows):
  """The last right singular vector of (*b, n, 4)."""
  return jnp.linalg.svd(rows, full_matrices=False)[2][..., -1, :]


@_null_vector.defjvp
def _null_vector_jvp(primals, tangents):
  # The eigenvector of the smallest eigenvalue of A^T A. The derivative of the whole
  # SVD would divide by the gaps between the others and by the smallest value too.
  (rows,), (change,) = primals, tangents
  _, values, vectors = jnp.linalg.svd(rows, full_matrices=False)
  last = vectors[..., -1, :]
  others = vectors[..., :-1, :]
  product = jnp.einsum("...nc,...nd,...d->...c", rows, change, last)
  product += jnp.einsum("...nc,...nd,...d->...c", change, rows, last)
  square = values * values
  gap = square[..., :-1] - square[..., -1:]
  clear = gap > _GAP * square[..., :1]
  inverse = jnp.where(clear, 1 / jnp.where(clear, gap, 1), 0)
  along = jnp.einsum("...ic,...c->...i", others, product) * inverse
  return last, -jnp.einsum("...i,...ic->...c", along, others)


# Of the box's longer side, the median over points. Keypoints that are 2 % off give 1 to
# 2 %; two of four cameras swapped gave 3 to 13 % on rendered clips, so a small mistake
# can stay below it.
WORST_REPROJECTION = 0.05
_ENOUGH_POINTS = 20  # points below which nothing can be said
_MOST_POINTS = 2000  # points that are tried


def triangulate_pixels(
  rig, pixels: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """(n, 3) world points in metres, and (n,) where two views meet; see `triangulation`.

  Args:
    rig: `jaxpose.geometry.cameras.Camera`s without distortion.
    pixels: (n, v, 2).
    valid: (n, v) views that count; the others may hold anything.
  """
  rays = [
    (pixels[:, v] - camera.intrinsics[2:4]) / camera.intrinsics[:2]
    for v, camera in enumerate(rig)
  ]
  return triangulate(
    np.stack(rays).astype(np.float64),
    np.stack([camera.rotation for camera in rig]).astype(np.float64),
    np.stack([camera.position for camera in rig]).astype(np.float64),
    valid.T.astype(np.float64),
  )


def check_calibration(origin: str, rig, keypoints, valid, boxes) -> float | None:
  """Median reprojection error as a share of the boxes; None for too few points.

  Args:
    origin: what to name in the message.
    rig: cameras of the views.
    keypoints: (t, v, j, 2) pixels.
    valid: (t, v, j).
    boxes: (t, v, 4).

  Raises:
    ValueError: the error is so large that calibration and pictures do not belong
      together.
  """
  pixels = np.moveaxis(keypoints, 1, 2).reshape(-1, len(rig), 2)
  seen = np.moveaxis(valid, 1, 2).reshape(-1, len(rig))
  side = np.repeat(boxes[..., 2:].max(-1), valid.shape[-1], 0)
  chosen = np.flatnonzero(seen.sum(1) >= 2)
  chosen = chosen[:: max(len(chosen) // _MOST_POINTS, 1)]
  if len(chosen) < _ENOUGH_POINTS:
    return None
  pixels, seen, side = pixels[chosen].astype(float), seen[chosen], side[chosen]
  points, met = triangulate_pixels(rig, pixels, seen)
  if met.sum() < _ENOUGH_POINTS:
    return None
  seen = seen & met[:, None]
  shares, errors = [], []
  for v, camera in enumerate(rig):
    at = cameras.world_to_camera(points, camera.rotation, camera.position)
    error = np.linalg.norm(
      cameras.project(at, camera.intrinsics) - pixels[:, v], axis=-1
    )
    error = np.where(at[:, 2] > 0, error, np.inf)[seen[:, v]]  # behind the camera
    errors.append(float(np.median(error)) if len(error) else 0.0)
    shares.append(error / side[seen[:, v], v])
  share = float(np.median(np.concatenate(shares)))
  if share > WORST_REPROJECTION:
    each = ", ".join(f"{c.name} {e:.0f}" for c, e in zip(rig, errors, strict=True))
    raise ValueError(
      f"{origin}: got keypoints and a calibration that do not agree: triangulated and "
      f"projected again, keypoints move by {100 * share:.0f} % of the person's box "
      f"(median pixels by camera: {each}), expected less than "
      f"{100 * WORST_REPROJECTION:.0f} %. Check that the cameras' names, unit and "
      "image size fit, and that the videos start together."
    )
  return share
