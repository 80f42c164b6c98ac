"""The translation of a body in the camera's frame, from its crop or from keypoints.

Lengths are metres in the camera's frame (x right, y down, z forward). Rays are (x/z,
y/z) of that frame.
"""

import numpy as np
from jaxtyping import Float

# Weight of the expected distance: that of joints which spread over 5 cm.
_PRIOR = 0.05**2
_FARTHEST = 20.0  # times the expected distance, which no sane keypoints exceed
_LEAST_SCALE = 0.05  # of a crop's camera: a body of 40 m
_ROUNDS = 20  # of reweighting: misfits of 300 times the usual are let go in these


def from_crop(
  camera: Float[np.ndarray, "t 3"],
  crops: Float[np.ndarray, "t 3"],
  focal: float,
  centre: tuple[float, float],
) -> Float[np.ndarray, "t 3"]:
  """The translation that puts a body where the camera of its crop sees it.

  Args:
    camera: scale and translation, see `body.project`.
    crops: centre x, centre y and half side of the square, pixels of the picture.
    focal: length of the picture's camera, pixels.
    centre: its principal point, pixels.
  """
  camera, crops = np.float64(camera), np.float64(crops)
  pixels_per_metre = np.maximum(camera[:, :1], _LEAST_SCALE) * crops[:, 2:]
  across = camera[:, 1:] + (crops[:, :2] - np.asarray(centre)[None]) / pixels_per_metre
  return np.concatenate([across, focal / pixels_per_metre], -1)


def fit(
  joints: Float[np.ndarray, "t j 3"],
  rays: Float[np.ndarray, "t j 2"],
  weights: Float[np.ndarray, "t j"],
  expected: Float[np.ndarray, "t 3"],
) -> Float[np.ndarray, "t 3"]:
  """The translation that brings joints onto their rays, by least squares in the image.

  With s = 1 / t_z the projection of a joint, `u = (x + t_x) / (z + t_z)`, is the line
  `u = s (x - u z) + s t_x`, and so is v, with the same s: a closed form. Misfits are
  taken in the image because predicted joints spread too little rather than too far: a
  misfit in metres would mistake that for nearness.

  Args:
    joints: of the posed body, before it is moved.
    rays: towards the joints.
    weights: of each joint; 0 where it is hidden.
    expected: translation, such as that of `from_crop`. It decides the distance where
      joints do not: as weakly as a thousandth where a body is seen whole, wholly where
      one joint is; and everything where none is.
  """
  rays, w = np.float64(rays), np.float64(weights)[..., None]
  flat = np.float64(joints[..., :2]) - rays * joints[..., 2:]
  total = np.maximum(w.sum(1, keepdims=True), 1e-12)
  ray, point = ((w * a).sum(1, keepdims=True) / total for a in (rays, flat))
  spread = (w * (flat - point) ** 2).sum((1, 2))
  shared = (w * (flat - point) * (rays - ray)).sum((1, 2))
  scale = (shared + _PRIOR / expected[:, 2]) / (spread + _PRIOR)
  # Not what keypoints have that no body in front of the camera gives.
  usable = (weights.sum(1) > 0) & (scale * expected[:, 2] > 1 / _FARTHEST)
  scale = np.where(usable, scale, 1)[:, None]
  found = np.concatenate([ray[:, 0] / scale - point[:, 0], 1 / scale], -1)
  return np.where(usable[:, None], found, expected)


def fit_robust(
  joints: Float[np.ndarray, "t j 3"],
  rays: Float[np.ndarray, "t j 2"],
  weights: Float[np.ndarray, "t j"],
  expected: Float[np.ndarray, "t 3"],
  *,
  misfit: float = 0.1,
) -> tuple[Float[np.ndarray, "t 3"], Float[np.ndarray, "t j"]]:
  """`fit` that keypoints on wrong places do not mislead, and the trust in each.

  Geman and McClure's loss by reweighting, which begins as least squares and ends with
  the loss itself (graduated non-convexity), so that no first guess can mislead it.

  Args:
    joints: of the posed body, before it is moved.
    rays: towards the joints.
    weights: of each joint; 0 where it is hidden.
    expected: as in `fit`.
    misfit: metres across the ray at which a joint counts a quarter.

  Returns:
    The translation, and 1 for joints on their rays to 0 for those that lie far off.
  """
  weights = np.float64(weights)
  trust = np.ones_like(weights)
  hardness = None
  for _ in range(_ROUNDS):
    found = fit(joints, rays, weights * trust, expected)
    moved = joints + found[:, None]
    depth = np.maximum(moved[..., 2:], 1e-3)
    off = np.linalg.norm(moved[..., :2] / depth - rays, axis=-1) * found[:, 2:]
    square = np.where(weights > 0, (off / misfit) ** 2, 0)
    if hardness is None:
      hardness = np.maximum(square.max(1, keepdims=True), 1)
    trust = (hardness / (square + hardness)) ** 2
    hardness = np.maximum(hardness / 2, 1)
  return found, trust
