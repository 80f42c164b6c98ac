"""Dual-quaternion skinning, and what linear skinning must add to look like it.

Kavan et al., "Geometric Skinning with Approximate Dual Quaternion Blending", 2008.
Linear skinning, SMPL's, pinches a bent elbow and a twisted wrist; dual quaternions do
not. SMPL repairs its pinches with pose blend shapes learned from scans; here they are
fitted to the difference between the two ways of skinning.
"""

import numpy as np

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import PARENTS

# Largest angle of the joints that bend far, degrees; the others bend by 35.
LIMITS = dict(knee=130, elbow=130, shoulder=100, hip=100, wrist=80, hand=60)
LIMITS |= dict(neck=50, head=50, ankle=50, foot=40)


def descendants():
  """(24, 24) bool: [j, k] where joint k is j or hangs on it."""
  table = np.eye(24, dtype=bool)
  for k in range(1, 24):
    table[:, k] |= table[:, PARENTS[k]]
  return table


def _part(joint):
  return skeletons.get("smpl24").joints[joint].split("_")[-1]


def dual_quaternions(points, weights, rotations, shifts):
  """Points (m, 3) moved by `R x + t` of each bone, blended by weights (m, bones)."""
  real = geometry.matrix_to_quaternion(rotations)
  dual = 0.5 * _multiply(np.concatenate([0 * shifts[:, :1], shifts], -1), real)
  # Of the two quaternions of a rotation, the one near that of the main bone.
  main = real[weights.argmax(1)]
  sign = np.where(main @ real.T < 0, -1.0, 1.0) * weights
  real, dual = sign @ real, sign @ dual
  length = np.linalg.norm(real, axis=-1, keepdims=True)
  real, dual = real / length, dual / length
  shift = 2 * _multiply(dual, real * [1, -1, -1, -1])[:, 1:]
  turned = (geometry.quaternion_to_matrix(real) @ points[..., None])[..., 0]
  return turned + shift


def linear(points, weights, rotations, shifts):
  """The same blended linearly; and the blended 3x3 matrices (m, 3, 3)."""
  matrices = np.einsum("mb,brc->mrc", weights, rotations)
  moved = (matrices @ points[..., None])[..., 0] + weights @ shifts
  return moved, matrices


def pose_blend_shapes(points, joints, weights, share=0.5, ridge=1e-3):
  """Displacements (207, m, 3) per entry of `R - I` that repair linear skinning.

  Each joint is bent alone to many angles within its limit; what dual quaternions give
  is pulled back through the linear blend to the rest pose and fitted by least squares.

  Args:
    points: (m, 3) the body at rest.
    joints: (24, 3) its joints.
    weights: (m, 24) skinning weights.
    share: of the repair; dual quaternions swell where linear skinning shrinks, so that
      half of the way looks best.
    ridge: damping of the fit.
  """
  rng = np.random.default_rng(0)
  below = descendants()
  dirs = np.zeros((207, len(points), 3))
  for j in range(1, 24):
    moving = weights @ below[j]
    mixed = np.flatnonzero((moving > 0.01) & (moving < 0.99))
    if not len(mixed):
      continue
    # Two bones are enough: what turns with the joint, and what stays.
    pair = np.stack([1 - moving[mixed], moving[mixed]], -1)
    features, offsets = [], []
    for _ in range(40):
      axis = rng.normal(size=3)
      angle = (
        np.radians(LIMITS.get(_part(j), 35))
        * rng.uniform(0.2, 1)
        / np.linalg.norm(axis)
      )
      turn = geometry.axis_angle_to_matrix(angle * axis)
      bones = np.stack([np.eye(3), turn])
      shifts = np.stack([np.zeros(3), joints[j] - turn @ joints[j]])
      want = dual_quaternions(points[mixed], pair, bones, shifts)
      have, blend = linear(points[mixed], pair, bones, shifts)
      # Near half a turn the blend is flat; pull back through what is left of it.
      u, s, vt = np.linalg.svd(blend)
      inverse = (
        np.swapaxes(vt, -1, -2) / np.maximum(s, 0.4)[:, None] @ np.swapaxes(u, -1, -2)
      )
      offsets.append((inverse @ (want - have)[..., None])[..., 0])
      features.append((turn - np.eye(3)).ravel())
    x, y = np.stack(features), np.stack(offsets).reshape(40, -1)
    solved = np.linalg.solve(x.T @ x + ridge * 40 * np.eye(9), x.T @ y)
    dirs[9 * (j - 1) : 9 * j, mixed] = share * solved.reshape(9, len(mixed), 3)
  return dirs


def _multiply(a, b):
  w, x, y, z = np.moveaxis(a, -1, 0)
  p, q, r, s = np.moveaxis(b, -1, 0)
  return np.stack(
    [
      w * p - x * q - y * r - z * s,
      w * q + x * p + y * s - z * r,
      w * r - x * s + y * p + z * q,
      w * s + x * r - y * q + z * p,
    ],
    -1,
  )
