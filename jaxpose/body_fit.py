"""Fits the shape of a body to measured bone lengths."""

import jax
import numpy as np
from jaxtyping import Float

from jaxpose import geometry
from jaxpose.body import Body

Array = jax.Array | np.ndarray


def bone_lengths(
  body: Body, betas: Float[Array, " s"], bones: tuple[tuple[int, int], ...]
) -> Float[Array, " n"]:
  """Distance of two of the 24 joints at rest, in metres, for each (joint, joint)."""
  joints = body.joint_template + body.joint_shape_dirs @ betas
  pairs = np.asarray(bones)
  return geometry.safe_norm(joints[pairs[:, 1]] - joints[pairs[:, 0]])


def fit_betas(
  body: Body,
  lengths: Float[np.ndarray, " n"],
  bones: tuple[tuple[int, int], ...],
  *,
  prior: float = 0.01,
  steps: int = 20,
) -> Float[np.ndarray, " s"]:
  """Betas whose bones have these lengths, as nearly as a likely body can.

  Gauss-Newton on the squared differences, with betas kept near zero.

  Args:
    body: the model; only its joints are used.
    lengths: metres, one per bone.
    bones: pairs of SMPL's 24 joints.
    prior: metres of misfit that are as bad as one standard deviation of a beta.
    steps: iterations.

  Raises:
    ValueError: there is not one length per bone.
  """
  if len(lengths) != len(bones):
    raise ValueError(
      f"got {len(lengths)} lengths for {len(bones)} bones, expected one per bone."
    )
  first, second = np.asarray(bones).T
  base = np.float64(body.joint_template[second] - body.joint_template[first])
  dirs = np.float64(body.joint_shape_dirs[second] - body.joint_shape_dirs[first])
  betas = np.zeros(body.num_betas)
  for _ in range(steps):
    steps_between = base + dirs @ betas
    now = np.linalg.norm(steps_between, axis=-1)
    slope = np.einsum("nc,ncs->ns", steps_between / now[:, None], dirs)
    matrix = np.concatenate([slope, prior * np.eye(len(betas))])
    misfit = np.concatenate([lengths - now, -prior * betas])
    betas += np.linalg.lstsq(matrix, misfit, rcond=None)[0]
  return betas.astype(np.float32)
