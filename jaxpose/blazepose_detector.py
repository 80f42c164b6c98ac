"""What BlazePose's person detector means: anchors, decoding, suppression.

The network looks at the whole picture, fitted into a square of 224 pixels, and says for
each of 2,254 anchors how sure it is of a person there, with the box of the face and
four points: the middle of the hips, a point that tells the size and the turn of the
whole body, and the same two for the upper body. Coordinates here are in units of that
square, from 0 to 1.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

SIZE = 224  # pixels
LEAST_SCORE = 0.5
_LEAST_OVERLAP = 0.3  # intersection over union: the same face
_GRIDS = ((28, 2), (14, 2), (7, 6))  # cells along a side, anchors in a cell


class Found(NamedTuple):
  """The people in a picture, surest first.

  Attributes:
    scores: from 0 to 1.
    points: middle of the hips, its tip; the same of the upper body.
  """

  scores: Float[np.ndarray, " n"]
  points: Float[np.ndarray, "n 4 2"]


@functools.cache
def anchors() -> Float[np.ndarray, "2254 2"]:
  """Centres of the anchors, as the network numbers them. Do not modify."""
  parts = []
  for cells, repeats in _GRIDS:
    middle = (np.arange(cells) + 0.5) / cells
    y, x = np.meshgrid(middle, middle, indexing="ij")
    parts.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2), repeats, 0))
  centres = np.concatenate(parts).astype(np.float32)
  centres.setflags(write=False)
  return centres


def decode(
  raw: Float[np.ndarray, "a 12"],
  logits: Float[np.ndarray, " a"],
  least_score: float = LEAST_SCORE,
) -> Found:
  """The people of the network's two outputs; a face that is found twice counts once."""
  scores = sigmoid(logits)
  sure = np.flatnonzero(scores >= least_score)
  sure = sure[np.argsort(-scores[sure], kind="stable")]
  raw, scores = raw[sure] / SIZE, scores[sure]
  shift = anchors()[sure]
  points = raw[:, 4:].reshape(-1, 4, 2) + shift[:, None]
  middle, half = raw[:, :2] + shift, raw[:, 2:4] / 2
  return suppress(scores, np.concatenate([middle - half, middle + half], -1), points)


def suppress(
  scores: Float[np.ndarray, " n"],
  boxes: Float[np.ndarray, "n 4"],
  points: Float[np.ndarray, "n 4 2"],
) -> Found:
  """Mean points of each group of overlapping boxes, by score; the group has its best.

  Args:
    scores: descending.
    boxes: corners, (x0, y0, x1, y1).
    points: of the boxes.
  """
  left = np.arange(len(scores))
  kept, means = [], []
  while len(left):
    same = overlaps(boxes[left[0]], boxes[left]) > _LEAST_OVERLAP
    same[0] = True  # a box without area overlaps not even itself
    group = left[same]
    kept.append(scores[group[0]])
    means.append(np.average(points[group], axis=0, weights=scores[group]))
    left = left[~same]
  return Found(
    np.asarray(kept, np.float32), np.asarray(means, np.float32).reshape(-1, 4, 2)
  )


def overlaps(
  box: Float[np.ndarray, "4"], boxes: Float[np.ndarray, "n 4"]
) -> Float[np.ndarray, " n"]:
  """Intersection over union of boxes of corners; 0 where nothing has an area."""
  common = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
  common = np.maximum(common, 0).prod(-1)
  area = np.maximum(box[2:] - box[:2], 0).prod()
  areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(-1)
  return common / np.maximum(area + areas - common, 1e-12)


def sigmoid(logits: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
  """From 0 to 1; clipped so that float32 does not overflow."""
  return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
