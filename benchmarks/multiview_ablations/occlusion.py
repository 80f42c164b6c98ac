"""Pictures with white squares over some joints: the test of occlusion."""

import dataclasses

import numpy as np

from jaxpose.data.view_data import MultiviewData

RATE = 0.1  # of the joints, as in the test of Moliner et al. 2023 (geometry-biased)
SIDE = 0.15  # of the box's longer side; the paper gives none


def occluded(
  data: MultiviewData, *, rate: float = RATE, side: float = SIDE, seed: int = 0
) -> MultiviewData:
  """The data with a white square on each joint with a chance of `rate`.

  What a square covers is no longer visible; nothing else changes.

  Args:
    data: the clips.
    rate: chance of each known joint in each picture.
    side: of the squares, as a share of the longer side of the box.
    seed: of the choice.
  """
  clips, size = data.clips, data.size
  points = clips["keypoints_2d"]
  half = side * size / data.scale / 2
  rng = np.random.default_rng(seed)
  hit = (rng.random(points.shape[:-1]) < rate) & clips["keypoints_valid"]
  images, visible = clips["images"].copy(), clips["visible"].copy()
  for at in np.argwhere(hit):
    picture, joint = tuple(at[:-1]), tuple(at)
    low = np.clip(np.ceil(points[joint] - half), 0, size).astype(int)
    high = np.clip(np.floor(points[joint] + half) + 1, 0, size).astype(int)
    images[picture][low[1] : high[1], low[0] : high[0]] = 255
    covered = (np.abs(points[picture] - points[joint]) <= half).all(-1)
    visible[picture] &= ~covered
  return dataclasses.replace(data, clips=clips | dict(images=images, visible=visible))
