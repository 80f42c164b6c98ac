"""Pure array functions of geometry; this module has rotations and alignment.

Here: rotations in their representations, similarity alignment, forward kinematics. In
the modules: cameras, rigs, triangulation, crops and placement. The package knows no
joints and no files.

Every function works on leading batch axes, is pure and differentiable, and returns the
kind of array it was given: NumPy in, NumPy out; JAX in, JAX out. Rotation matrices
act on column vectors, `x' = R @ x`; angles are in radians.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

Array = jax.Array | np.ndarray


def namespace(*arrays):
  """`jax.numpy` if any argument is a JAX array (or tracer), else `numpy`."""
  return jnp if any(isinstance(a, jax.Array) for a in arrays) else np


def safe_norm(x: Float[Array, "*b c"]) -> Float[Array, "*b"]:
  """Euclidean norm of the last axis whose gradient at 0 is 0 instead of NaN."""
  xp = namespace(x)
  square = (x * x).sum(-1)
  positive = square > 0
  return xp.where(positive, xp.sqrt(xp.where(positive, square, 1)), 0)


def euler_to_matrix(angles: Float[Array, "*b n"], order: str) -> Float[Array, "*b 3 3"]:
  """Product of elementary rotations in the written order, `R = R_a R_b R_c`.

  Args:
    angles: radians, one per letter of `order`.
    order: axes such as "zyx"; the leftmost is applied last (BVH's channel order).
  """
  xp = namespace(angles)
  if angles.shape[-1] != len(order):
    raise ValueError(
      f"got {angles.shape[-1]} angles for the order {order!r}, expected one per letter."
    )
  result = None
  for i, axis in enumerate(order):
    c, s = xp.cos(angles[..., i]), xp.sin(angles[..., i])
    one, zero = xp.ones_like(c), xp.zeros_like(c)
    rows = {
      "x": [one, zero, zero, zero, c, -s, zero, s, c],
      "y": [c, zero, s, zero, one, zero, -s, zero, c],
      "z": [c, -s, zero, s, c, zero, zero, zero, one],
    }[axis]
    turn = xp.stack(rows, -1).reshape(*c.shape, 3, 3)
    result = turn if result is None else result @ turn
  return result


def axis_angle_to_matrix(rotvec: Float[Array, "*b 3"]) -> Float[Array, "*b 3 3"]:
  """Rodrigues' formula; smooth (also its gradient) through the zero rotation."""
  xp = namespace(rotvec)
  square = (rotvec * rotvec).sum(-1)[..., None, None]
  small = square < 1e-8
  angle = xp.sqrt(xp.where(small, 1, square))
  a = xp.where(small, 1 - square / 6, xp.sin(angle) / angle)
  b = xp.where(small, 0.5 - square / 24, (1 - xp.cos(angle)) / angle**2)
  x, y, z = rotvec[..., 0], rotvec[..., 1], rotvec[..., 2]
  o = xp.zeros_like(x)
  k = xp.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*x.shape, 3, 3)
  eye = xp.broadcast_to(xp.eye(3, dtype=rotvec.dtype), k.shape)
  return eye + a * k + b * (k @ k)


def matrix_to_quaternion(matrix: Float[Array, "*b 3 3"]) -> Float[Array, "*b 4"]:
  """Unit quaternion (w, x, y, z) with w >= 0 of a rotation matrix."""
  xp = namespace(matrix)
  m = matrix
  xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
  # Each row is 4 q_i q for one component q_i; the row of the largest is well scaled.
  rows = xp.stack(
    [
      xp.stack(
        [
          1 + xx + yy + zz,
          m[..., 2, 1] - m[..., 1, 2],
          m[..., 0, 2] - m[..., 2, 0],
          m[..., 1, 0] - m[..., 0, 1],
        ],
        -1,
      ),
      xp.stack(
        [
          m[..., 2, 1] - m[..., 1, 2],
          1 + xx - yy - zz,
          m[..., 0, 1] + m[..., 1, 0],
          m[..., 0, 2] + m[..., 2, 0],
        ],
        -1,
      ),
      xp.stack(
        [
          m[..., 0, 2] - m[..., 2, 0],
          m[..., 0, 1] + m[..., 1, 0],
          1 - xx + yy - zz,
          m[..., 1, 2] + m[..., 2, 1],
        ],
        -1,
      ),
      xp.stack(
        [
          m[..., 1, 0] - m[..., 0, 1],
          m[..., 0, 2] + m[..., 2, 0],
          m[..., 1, 2] + m[..., 2, 1],
          1 - xx - yy + zz,
        ],
        -1,
      ),
    ],
    -2,
  )
  diagonal = xp.stack([rows[..., i, i] for i in range(4)], -1)
  best = diagonal.argmax(-1)[..., None, None]
  row = xp.take_along_axis(rows, best, -2)[..., 0, :]
  q = row / xp.sqrt((row * row).sum(-1, keepdims=True))
  return xp.where(q[..., :1] < 0, -q, q)


def quaternion_to_matrix(quaternion: Float[Array, "*b 4"]) -> Float[Array, "*b 3 3"]:
  """Rotation matrix of a unit quaternion (w, x, y, z)."""
  xp = namespace(quaternion)
  w, x, y, z = (quaternion[..., i] for i in range(4))
  rows = [
    1 - 2 * (y * y + z * z),
    2 * (x * y - z * w),
    2 * (x * z + y * w),
    2 * (x * y + z * w),
    1 - 2 * (x * x + z * z),
    2 * (y * z - x * w),
    2 * (x * z - y * w),
    2 * (y * z + x * w),
    1 - 2 * (x * x + y * y),
  ]
  return xp.stack(rows, -1).reshape(*w.shape, 3, 3)


def matrix_to_axis_angle(matrix: Float[Array, "*b 3 3"]) -> Float[Array, "*b 3"]:
  """Axis times angle, the angle in [0, pi]."""
  xp = namespace(matrix)
  q = matrix_to_quaternion(matrix)
  half_sine = safe_norm(q[..., 1:])[..., None]
  angle = 2 * xp.arctan2(half_sine, q[..., :1])
  small = half_sine < 1e-7
  scale = xp.where(small, 2, angle / xp.where(small, 1, half_sine))
  return q[..., 1:] * scale


def rotation_6d_to_matrix(rotation_6d: Float[Array, "*b 6"]) -> Float[Array, "*b 3 3"]:
  """Rotation matrix of Zhou et al. 2019's six numbers; also their gradient is finite.

  The numbers are the first two columns of a matrix, row by row (SPIN's layout):
  [1, 0, 0, 1, 0, 0] is no rotation. Gram-Schmidt makes them orthonormal; columns
  shorter than 1e-6 are not blown up to unit length, so such inputs are no rotations.
  """
  xp = namespace(rotation_6d)
  columns = rotation_6d.reshape(*rotation_6d.shape[:-1], 3, 2)
  first, second = columns[..., 0], columns[..., 1]
  first = first / xp.maximum(safe_norm(first), 1e-6)[..., None]
  second = second - (first * second).sum(-1, keepdims=True) * first
  second = second / xp.maximum(safe_norm(second), 1e-6)[..., None]
  return xp.stack([first, second, xp.cross(first, second)], -1)


def matrix_to_rotation_6d(matrix: Float[Array, "*b 3 3"]) -> Float[Array, "*b 6"]:
  """The first two columns, row by row: what `rotation_6d_to_matrix` undoes."""
  return matrix[..., :2].reshape(*matrix.shape[:-2], 6)


def project_to_rotation(matrix: Float[Array, "*b 3 3"]) -> Float[Array, "*b 3 3"]:
  """Nearest rotation in the Frobenius norm (polar part by SVD, determinant +1)."""
  xp = namespace(matrix)
  u, _, vt = xp.linalg.svd(matrix)
  sign = xp.where(xp.linalg.det(u @ vt) < 0, -1, 1).astype(u.dtype)
  flip = xp.stack([xp.ones_like(sign), xp.ones_like(sign), sign], -1)
  return (u * flip[..., None, :]) @ vt


def procrustes_align(
  pred: Float[Array, "*b j 3"], target: Float[Array, "*b j 3"]
) -> Float[Array, "*b j 3"]:
  """`pred` moved onto `target` by the best similarity (scale, rotation, translation).

  A reflection is never used. The closed form of Gower (1975) and Umeyama (1991), as in
  the P-MPJPE of VideoPose3D.

  Raises:
    ValueError: the two shapes differ.
  """
  if pred.shape != target.shape:
    raise ValueError(
      f"got predictions {pred.shape} and targets {target.shape}, expected equal shapes."
    )
  xp = namespace(pred, target)
  mean_p, mean_t = pred.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
  p, t = pred - mean_p, target - mean_t
  u, s, vt = xp.linalg.svd(xp.swapaxes(t, -1, -2) @ p)
  sign = xp.where(xp.linalg.det(u @ vt) < 0, -1, 1).astype(u.dtype)
  flip = xp.stack([xp.ones_like(sign), xp.ones_like(sign), sign], -1)
  rotation = (u * flip[..., None, :]) @ vt
  # A collapsed prediction has no scale to fit; it stays at the target's centre.
  variance = xp.maximum((p * p).sum((-1, -2)), xp.finfo(p.dtype).tiny)
  scale = (s * flip).sum(-1) / variance
  return scale[..., None, None] * p @ xp.swapaxes(rotation, -1, -2) + mean_t


def forward_kinematics(
  rotations: Float[Array, "*b j 3 3"],
  offsets: Float[Array, "#*b j 3"],
  parents: Sequence[int],
  root_position: Float[Array, "*b 3"],
) -> tuple[Float[Array, "*b j 3"], Float[Array, "*b j 3 3"]]:
  """Joint positions and world rotations of a kinematic tree.

  Args:
    rotations: of each joint relative to its parent; the root's is world.
    offsets: of each joint from its parent, in the parent's frame (metres). The root's
      entry is not used.
    parents: parent index per joint, -1 for the root; parents come before children.
    root_position: of the root joint in the world.
  """
  xp = namespace(rotations, offsets, root_position)
  world, position = [], []
  for j, parent in enumerate(parents):
    if parent < 0:
      world.append(rotations[..., j, :, :])
      position.append(root_position)
      continue
    if parent >= j:
      raise ValueError(
        f"joint {j} has the parent {parent}, expected parents before children."
      )
    world.append(world[parent] @ rotations[..., j, :, :])
    step = (world[parent] @ offsets[..., j, :, None])[..., 0]
    position.append(position[parent] + step)
  return xp.stack(position, -2), xp.stack(world, -3)
