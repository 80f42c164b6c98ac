"""A lifter's network at work: windows of normalised keypoints to poses."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from jaxpose import data as pose_data
from jaxpose import pretrained
from jaxpose import scoring
from jaxpose.skeletons import Skeleton


def poses(
  model: pretrained.Pretrained,
  points: Float[np.ndarray, "t j 2"],
  flip: bool,
  batch_size: int,
  progress: str | None,
) -> Float[np.ndarray, "t j 3"]:
  """Poses of normalised keypoints, each frame once, in bounded memory.

  Args:
    model: the weights.
    points: of the model's input.
    flip: average with the prediction of the mirrored input.
    batch_size: windows at a time.
    progress: label of a progress bar; None shows none.
  """
  clip = pose_data.PoseData(
    dict(keypoints_2d=points),
    dict(first=np.zeros(1, np.int32), last=np.full(1, len(points) - 1, np.int32)),
    (pose_data.View("clip", "", "", "", 0.0),),
    model.skeleton,
  )
  predict = predictor(model, flip)
  variables = jax.device_put(model.variables)
  batch_size = min(batch_size, 1 << (len(points) - 1).bit_length())
  batches = pose_data.evaluation_order(clip, batch_size)
  total = -(-len(points) // batch_size)
  found = []
  for index, mask in tqdm(batches, progress, total, unit="batch", disable=not progress):
    batch = pose_data.gather(
      clip.frames, clip.runs, index, model.window, model.lookahead
    )
    found.append(np.asarray(predict(variables, batch))[mask])
  return np.concatenate(found)


def frames_after(model: pretrained.Pretrained) -> int:
  """Frames of a lifter's window after the one it answers for; causal ones have none."""
  return (model.window - 1) // 2 if model.lookahead is None else model.lookahead


def predictor(model: pretrained.Pretrained, flip: bool) -> Callable:
  """`scoring.make_predict` of a model that reads keypoints alone, compiled once.

  Raises:
    ValueError: the model reads something else.
  """
  return _predictor(model.module, model.skeleton, model.inputs, flip)


# Keyed by the module's fields, not its variables: weights of one architecture share it.
@functools.lru_cache(maxsize=8)
def _predictor(module, skeleton: Skeleton, inputs: tuple[str, ...], flip: bool):
  if inputs != ("keypoints_2d",):
    raise ValueError(
      f"got a model with the inputs {', '.join(inputs)}, expected keypoints_2d alone; "
      "lift cannot make the others."
    )
  return scoring.make_predict(module, skeleton, inputs=inputs, flip=flip)
