"""2D keypoints of a window in the person's crop, the input of a mesh network.

A crop is a square of the picture, one for all frames of a window, so that motion inside
it stays visible: (cx, cy, half) in the coordinates of `cameras.normalize_screen`. Crop
units are [-1, 1] over the square. The network also sees where in the picture a keypoint
lies, because how a body is turned against the camera depends on it (Li et al., "CLIFF",
ECCV 2022).
"""

from jaxtyping import Float

from jaxpose.geometry import Array
from jaxpose.geometry import namespace

MARGIN = 1.2  # side of the crop over that of the box round the keypoints


def window_crop(
  keypoints_2d: Float[Array, "b t j 2"], confidence: Float[Array, "b t j"]
) -> Float[Array, "b 3"]:
  """The square round all keypoints that are seen (confidence over 0) in a window.

  Where nothing is seen it is the whole picture, (0, 0, 1).
  """
  xp = namespace(keypoints_2d, confidence)
  seen = confidence[..., None] > 0
  low = xp.where(seen, keypoints_2d, xp.inf).min((1, 2))
  high = xp.where(seen, keypoints_2d, -xp.inf).max((1, 2))
  empty = ~seen.any((1, 2))
  low, high = xp.where(empty, -1, low), xp.where(empty, 1, high)
  half = (high - low).max(-1, keepdims=True) / 2
  half = xp.where(empty, half, MARGIN * xp.maximum(half, 1e-3))
  return xp.concatenate([(low + high) / 2, half], -1).astype(keypoints_2d.dtype)


def to_crop(
  points: Float[Array, "b t j 2"], crop: Float[Array, "b 3"]
) -> Float[Array, "b t j 2"]:
  """Points of the picture in crop units."""
  crop = crop[:, None, None]
  return (points - crop[..., :2]) / crop[..., 2:]


def network_input(
  keypoints_2d: Float[Array, "b t j 2"],
  confidence: Float[Array, "b t j"],
  crop: Float[Array, "b 3"],
) -> Float[Array, "b t j 5"]:
  """x, y in the crop, x, y in the picture, and the confidence, of each keypoint.

  Args:
    keypoints_2d: normalised; a keypoint of confidence 0 may be anything finite.
    confidence: 0 (absent) to 1.
    crop: from `window_crop`.
  """
  xp = namespace(keypoints_2d, confidence)
  parts = [to_crop(keypoints_2d, crop), keypoints_2d, confidence[..., None]]
  return xp.concatenate(parts, -1)
