"""What the functions of `jaxpose.predict` are given: the checks of it."""

import functools
import os
import pathlib

import numpy as np
from jaxtyping import Float

from jaxpose import cameras
from jaxpose import pretrained
from jaxpose import skeletons
from jaxpose.models.glot import Glot
from jaxpose.skeletons import Skeleton


def loaded(weights) -> pretrained.Pretrained:
  """Weights by name or path, read once as long as the file stays the same."""
  if isinstance(weights, pretrained.Pretrained):
    return weights
  if not isinstance(weights, (str, os.PathLike)):
    raise ValueError(
      f"got weights of type {type(weights).__name__}, expected a released name, a "
      "path, or what jaxpose.pretrained.load returns."
    )
  path = pathlib.Path(weights).expanduser().resolve()
  if path.is_dir() and not (path / pretrained.FILE).exists():
    return pretrained.load(weights)  # a run, which may save a better step at any time
  file = path / pretrained.FILE if path.is_dir() else path
  stamp = file.stat().st_mtime_ns if file.exists() else None
  return _load_once(os.fspath(weights), path, stamp)


def lifter(weights) -> pretrained.Pretrained:
  """Weights of a model of joints; ValueError for those of bodies."""
  model = loaded(weights)
  if isinstance(model.module, Glot):
    raise ValueError(
      "got weights of the model 'glot', expected those of a model of joints such as "
      "'gla_gcn'; for 'glot' there is jaxpose.predict.mesh."
    )
  return model


@functools.lru_cache(maxsize=4)
def _load_once(name: str, path: pathlib.Path, stamp: int | None):
  return pretrained.load(name)


def image_size(value) -> tuple[float, float]:
  """Width and height in pixels."""
  size = numbers(value, "image_size")
  if size.shape != (2,) or not (np.isfinite(size) & (size > 0)).all():
    raise ValueError(
      f"got image_size={value!r}, expected (width, height) in pixels, both "
      "positive; of an image array, image_size=(image.shape[1], image.shape[0])."
    )
  return float(size[0]), float(size[1])


def points_2d(keypoints_2d, skeleton: Skeleton) -> np.ndarray:
  """A copy of the keypoints, (t, j, 2) float64."""
  points = numbers(keypoints_2d, "keypoints_2d").copy()
  want = f"expected (frames, {skeleton.num_joints}, 2) for the skeleton "
  want += repr(skeleton.name)
  if points.ndim != 3 or points.shape[-1] != 2:
    hint = "add a frame axis with keypoints_2d[None]" if points.ndim == 2 else "reshape"
    if points.ndim == 3 and points.shape[-1] == 3:
      hint = "pass keypoints_2d[..., :2], and confidence=keypoints_2d[..., 2]"
    raise ValueError(f"got keypoints_2d of shape {points.shape}, {want}; {hint}.")
  if not len(points):
    raise ValueError(f"got a clip without frames, {want} with at least one frame.")
  n = points.shape[1]
  if n != skeleton.num_joints:
    known = [s.name for s in skeletons.SKELETONS.values() if s.num_joints == n]
    raise ValueError(
      f"got {n} joints in keypoints_2d, {want}; skeletons with {n} joints: "
      f"{', '.join(known) or 'none'}."
    )
  return points


def confidences(confidence, shape: tuple[int, int]) -> np.ndarray:
  """The confidences, of this shape."""
  values = numbers(confidence, "confidence")
  if values.shape != shape:
    raise ValueError(
      f"got confidence of shape {values.shape}, expected {shape}: one number for each "
      "frame and joint of keypoints_2d."
    )
  return values


def numbers(values, name: str, dtype=np.float64) -> np.ndarray:
  """An array of the values."""
  try:
    return np.asarray(values, dtype)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"got {name} that cannot be made an array of numbers ({error}); expected "
      "numbers, and as many joints in every frame."
    ) from error


def refuse_nothing(missing) -> None:
  """ValueError where everything is missing."""
  if missing.all():
    raise ValueError(
      "got no usable keypoint in the whole clip, expected numbers other than NaN and "
      "0; check the detector's output, or lower min_confidence."
    )


def refuse_unseen(missing, needed, skeleton: Skeleton) -> None:
  """ValueError where a joint that is needed is never seen."""
  refuse_nothing(missing[:, needed])
  never = [skeleton.joints[j] for j in np.flatnonzero(missing.all(0))]
  if never:
    raise ValueError(
      f"got no usable keypoint of {', '.join(never)} in the whole clip, expected each "
      "joint in at least one frame; lower min_confidence, or take a clip that shows "
      "the whole body."
    )


def on_screen(
  points: Float[np.ndarray, "*b 2"], width: float, height: float
) -> Float[np.ndarray, "*b 2"]:
  """Pixels as the networks see them; upright pictures lie in the middle of a square."""
  side = max(width, height)
  moved = points + np.broadcast_to([(side - width) / 2, 0.0], points.shape)
  return cameras.normalize_screen(moved, side, height)


def off_screen(
  points: Float[np.ndarray, "*b 2"], width: float, height: float
) -> Float[np.ndarray, "*b 2"]:
  """Inverse of `on_screen`."""
  side = max(width, height)
  moved = cameras.denormalize_screen(points, side, height)
  return moved - np.broadcast_to([(side - width) / 2, 0.0], points.shape)


def share_outside(seen: Float[np.ndarray, "n 2"], width: float, height: float) -> float:
  """Share of keypoints outside the image; refuses what are no pixels of this image."""
  if np.abs(seen).max() <= 2:
    raise ValueError(
      "got keypoints_2d that all lie in [-2, 2], expected pixels, not normalised "
      "coordinates; multiply them by the image's size (see "
      "jaxpose.cameras.denormalize_screen)."
    )
  size = np.asarray([width, height])
  beyond = np.maximum(-seen, seen - size)
  outside = (beyond > 0).any(-1).mean()
  swapped = (np.maximum(-seen, seen - size[::-1]) > 0).any(-1).mean()
  if outside > 0.5 and swapped < 0.02:
    raise ValueError(
      f"got image_size=({width:g}, {height:g}), but {outside:.0%} of the keypoints lie "
      f"outside of it and fit ({height:g}, {width:g}); expected (width, height)."
    )
  if np.median((beyond / size).max(-1)) > 1:
    raise ValueError(
      "got keypoints_2d of which half lie outside the image by more than its size, "
      f"({width:g}, {height:g}); expected pixels of this image; check image_size."
    )
  return float(outside)
