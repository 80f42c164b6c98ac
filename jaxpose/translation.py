"""Where a body stands before a camera: from its crop's camera, or from keypoints.

Lengths are metres in the camera's frame (x right, y down, z forward). Rays are (x/z,
y/z) of that frame.
"""

import numpy as np
from jaxtyping import Float

# Weight of the expected distance: that of joints which spread over 5 cm.
_PRIOR = 0.05**2
_FARTHEST = 20.0  # times the expected distance, which no sane keypoints exceed
_LEAST_SCALE = 0.05  # of a crop's camera: a body of 40 m


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
