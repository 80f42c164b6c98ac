"""A lifter's network at work: windows of normalised keypoints to poses."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from jaxpose import cameras
from jaxpose import frame_rates
from jaxpose import framing
from jaxpose import pretrained
from jaxpose import scoring
from jaxpose.skeletons import Skeleton


def poses(
  model: pretrained.Pretrained,
  points: Float[np.ndarray, "t j 2"],
  flip: bool,
  batch_size: int,
  progress: str | None,
  focal: float | None = None,
  fps: float | None = None,
) -> Float[np.ndarray, "t j 3"]:
  """Root-relative poses of normalised keypoints, each frame once, in bounded memory.

  Args:
    model: the weights.
    points: of the model's input.
    flip: average with the prediction of the mirrored input.
    batch_size: windows at a time.
    progress: label of a progress bar; None shows none.
    focal: see `answer`.
    fps: frames per second of the points; None: those of training.
  """
  t, places = len(points), offsets(model, fps)
  predict = predictor(model, flip)
  variables = jax.device_put(model.variables)
  batch_size = min(batch_size, 1 << (t - 1).bit_length())
  found = []
  starts = range(0, t, batch_size)
  for start in tqdm(starts, progress, unit="batch", disable=not progress):
    # The last batch is filled up.
    frames = np.minimum(np.arange(start, start + batch_size), t - 1)
    windows = frame_rates.sample(points, frames[:, None] + places[None])
    found.append(answer(predict, variables, model.skeleton, windows, focal))
  return np.concatenate(found)[:t]


def answer(
  predict: Callable,
  variables: dict,
  skeleton: Skeleton,
  windows: Float[np.ndarray, "b t j 2"],
  focal: float | None,
) -> Float[np.ndarray, "b j 3"]:
  """Root-relative poses of windows.

  Args:
    predict: of `predictor`.
    variables: of the model.
    skeleton: of the windows and the poses.
    windows: normalised keypoints.
    focal: of the camera, over half the picture's width, to see each window framed as
      in training (`jaxpose.framing`); None leaves windows as they are.
  """
  if focal is None:
    joints = np.array(predict(variables, dict(keypoints_2d=windows)))
  else:
    framed = framing.windows(windows, skeleton, focal)
    found = np.asarray(predict(variables, dict(keypoints_2d=framed.points)))
    joints = framed.back(found)
  joints[:, skeleton.root] = 0
  return joints


def framing_focal(
  model: pretrained.Pretrained,
  framed: bool | None,
  image_size: tuple[float, float],
  focal: Any = None,
) -> float | None:
  """`focal` of `answer`; None where windows are not to be framed.

  Args:
    model: the weights.
    framed: see `predict.lift`.
    image_size: (width, height) in pixels.
    focal: pixels, or None if it is not known.

  Raises:
    ValueError: no such focal length, framing is asked for with another skeleton than
      that of training, or its lack with weights that were trained in frames.
  """
  known = isinstance(focal, (int, float, np.number)) and 0 < focal < np.inf
  if focal is not None and not known:
    raise ValueError(f"got focal={focal!r}, expected a length in pixels above 0.")
  if model.framed:
    if framed is False:
      raise ValueError(
        "got framed=False with weights that know framed windows alone, expected None."
      )
    return 2 * float(focal or cameras.guess_focal(image_size)) / max(image_size)
  if framed is None:
    framed = model.info.get("data") in framing.FILMED
    framed = framed and model.skeleton.name == "h36m17"
  if not framed:
    return None
  if model.skeleton.name != "h36m17":
    raise ValueError(
      f"got framed=True with weights of {model.skeleton.name!r}, expected h36m17, "
      "whose size in training is known; use framed=False."
    )
  if focal is None:
    focal = cameras.guess_focal(image_size)
  return 2 * float(focal) / max(image_size)


def offsets(model: pretrained.Pretrained, fps: float | None) -> Float[np.ndarray, " w"]:
  """`frame_rates.offsets` of a lifter; `fps` of its input, None: that of training."""
  return frame_rates.offsets(
    model.window, frames_after(model), frame_rates.ratio(fps, model.fps)
  )


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
