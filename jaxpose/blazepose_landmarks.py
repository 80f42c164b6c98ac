"""What BlazePose's landmark network means.

It looks at a turned crop of one person, 256 pixels wide, and gives 39 points of five
numbers (x, y in pixels of the crop, depth, visibility, presence), how sure it is that
there is a person, and a map of 64 x 64 for each point. The first 33 are the keypoints,
the next two the middle of the hips and the tip of the region for the next frame.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxpose.blazepose_detector import sigmoid

SIZE = 256  # pixels
KEYPOINTS = 33
POINTS = 39
_REACH = 3  # cells of the map to each side
_LEAST_PEAK = 0.5  # of the map, to trust it


class Landmarks(NamedTuple):
  """Of one person.

  Attributes:
    points: the keypoints and the two of the region.
    confidence: of each: visible and within the crop.
    presence: of the person.
  """

  points: Float[np.ndarray, "35 2"]
  confidence: Float[np.ndarray, "35"]
  presence: float


def decode(
  numbers: Float[np.ndarray, "195"],
  maps: Float[np.ndarray, "h w 39"],
  presence: float,
) -> Landmarks:
  """Points in crop units, [0, 1].

  Args:
    numbers: the network's points.
    maps: logits of where each point is.
    presence: of the person, as the network has it.
  """
  rows = numbers.reshape(POINTS, 5)[: KEYPOINTS + 2]
  points = refine(rows[:, :2] / SIZE, maps)
  confidence = sigmoid(rows[:, 3]) * sigmoid(rows[:, 4])
  return Landmarks(points, confidence.astype(np.float32), presence)


def refine(
  points: Float[np.ndarray, "j 2"], maps: Float[np.ndarray, "h w k"]
) -> Float[np.ndarray, "j 2"]:
  """Each point moved to the middle of its map's weight nearby.

  A point outside of its map, or with nothing sure nearby in it, stays.
  """
  height, width, _ = maps.shape
  cells = (points * (width, height)).astype(int)
  refined = points.astype(np.float32)
  for j, (column, row) in enumerate(cells):
    if not (0 <= column < width and 0 <= row < height):
      continue
    top, left = max(row - _REACH, 0), max(column - _REACH, 0)
    weights = sigmoid(maps[top : row + _REACH + 1, left : column + _REACH + 1, j])
    if weights.max() < _LEAST_PEAK:
      continue
    total = weights.sum()
    x = (weights.sum(0) * np.arange(left, left + weights.shape[1])).sum() / total
    y = (weights.sum(1) * np.arange(top, top + weights.shape[0])).sum() / total
    refined[j] = x / width, y / height
  return refined
