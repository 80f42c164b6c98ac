"""2D keypoints of a clip to 3D poses of every frame.

from jaxpose import predict
poses = predict.lift(keypoints_2d, image_size=(1920, 1080), weights="weights.npz")
np.asarray(poses)  # (frames, joints, 3), metres
print(poses.report)
"""

import dataclasses
import functools
import os
import pathlib
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from tqdm import tqdm

from jaxpose import cameras
from jaxpose import data as pose_data
from jaxpose import pretrained
from jaxpose import scoring
from jaxpose import skeleton_maps
from jaxpose import skeletons
from jaxpose.skeletons import Skeleton


@dataclasses.dataclass(frozen=True, eq=False)
class Lifted:
  """Poses of a clip; NumPy takes it as the array `joints_3d`.

  `np.asarray(lifted)`, `lifted.shape`, `len(lifted)` and `lifted[10:20]` all mean
  `joints_3d`.

  Attributes:
    joints_3d: metres, relative to the root joint (itself exactly 0), in the camera's
      frame: x right, y down, z forward, away from the camera.
    skeleton: of the joint axis.
    filled: joints made from a missing keypoint, see `lift`.
    valid: frames to trust; False inside a gap that is longer than `max_gap`.
    report: what was missing, in words.
  """

  joints_3d: Float[np.ndarray, "t j 3"]
  skeleton: Skeleton
  filled: Bool[np.ndarray, "t j"]
  valid: Bool[np.ndarray, " t"]
  report: str

  @property
  def shape(self) -> tuple[int, int, int]:
    """(frames, joints, 3)."""
    return self.joints_3d.shape

  def __len__(self) -> int:
    return len(self.joints_3d)

  def __getitem__(self, index):
    return self.joints_3d[index]

  def __array__(self, dtype=None, copy=None):
    return np.array(self.joints_3d, dtype, copy=copy)


def lift(
  keypoints_2d: Any,
  *,
  image_size: Any,
  weights: Any,
  skeleton: str = "h36m17",
  confidence: Any = None,
  flip: bool = False,
  batch_size: int = 256,
  max_gap: int = 10,
  min_confidence: float = 0.3,
  progress: str | None = None,
) -> Lifted:
  """Root-relative 3D joints for every frame of one person's keypoints.

  A keypoint is missing where a coordinate is NaN or infinite, where both are exactly 0
  (as several detectors write it), or where its confidence is too low. Missing keypoints
  are put on the straight line between the frames where the joint was last and next
  seen, held before the first and after the last; keypoints that no joint of the model
  is made of are ignored. Frames before the clip and after it repeat its ends.

  Args:
    keypoints_2d: (frames, joints, 2) pixels, x right, y down, at the frame rate that
      the weights were trained on (50 frames/s for the datasets of this project).
    image_size: (width, height) in pixels.
    weights: a released name or a path (see `pretrained.load`), or what it returned.
    skeleton: of the keypoints; mapped to the model's where it is another.
    confidence: (frames, joints) of the keypoints, or None.
    flip: average with the prediction of the mirrored input: twice the time.
    batch_size: windows at a time. Shorter clips take the next power of two, so that
      clips of many lengths share few compiled programs.
    max_gap: longest gap in frames that leaves its frames valid.
    min_confidence: a keypoint with less is missing.
    progress: label of a progress bar; None shows none.

  Raises:
    ValueError: the input is not what it should be, or a joint is never seen.
    FileNotFoundError: no such weights.
  """
  source = skeletons.get(skeleton)
  width, height = _image_size(image_size)
  points = _points(keypoints_2d, source)
  for name, value, least in (("batch_size", batch_size, 1), ("max_gap", max_gap, 0)):
    if value < least:
      raise ValueError(f"got {name}={value}, expected at least {least}.")
  model = _loaded(weights)
  made_of = skeleton_maps.joint_map(skeleton, model.skeleton.name) != 0
  needed = made_of.any(0)

  missing = ~np.isfinite(points).all(-1) | (points == 0).all(-1)
  if confidence is not None:
    missing |= ~(_confidence(confidence, points.shape[:2]) >= min_confidence)
  points[:, ~needed], missing[:, ~needed] = 0, False
  _refuse_unseen(missing, needed, source)
  outside = _share_outside(points[~missing & needed], width, height)
  points, gaps = fill_gaps(points, missing), gap_lengths(missing)

  points = cameras.normalize_screen(points, width, height).astype(np.float32)
  points = skeleton_maps.convert(points, skeleton, model.skeleton.name)
  joints = _predict(model, points, flip, batch_size, progress)
  joints[:, model.skeleton.root] = 0
  filled = (missing[:, None] & made_of).any(-1)
  valid = (gaps <= max_gap).all(-1)
  report = _report(gaps[:, needed], max_gap, np.asarray(source.joints)[needed])
  head = f"{len(joints)} frames, {skeleton} keypoints to {model.skeleton.name} joints."
  if outside > 0.05:
    report += f"\n{outside:.0%} of the keypoints lie outside the image."
  return Lifted(joints, model.skeleton, filled, valid, f"{head}\n{report}")


def fill_gaps(
  points: Float[np.ndarray, "t j c"], missing: Bool[np.ndarray, "t j"]
) -> Float[np.ndarray, "t j c"]:
  """Missing points interpolated linearly over time, held at the ends.

  A joint that is never seen stays as it is.
  """
  points, frame = points.copy(), np.arange(len(points))
  for j in np.flatnonzero(missing.any(0) & ~missing.all(0)):
    gone, seen = missing[:, j], ~missing[:, j]
    for c in range(points.shape[-1]):
      points[gone, j, c] = np.interp(frame[gone], frame[seen], points[seen, j, c])
  return points


def gap_lengths(missing: Bool[np.ndarray, "t j"]) -> Int[np.ndarray, "t j"]:
  """Frames of the gap that each missing keypoint lies in; 0 where it is seen."""
  lengths = np.zeros(missing.shape, int)
  for j in np.flatnonzero(missing.any(0)):
    for start, stop in _spans(missing[:, j]):
      lengths[start:stop, j] = stop - start
  return lengths


def _spans(chosen: Bool[np.ndarray, " t"]) -> np.ndarray:
  """(n, 2) start and stop of each stretch of True."""
  edges = np.diff(np.r_[False, chosen, False].astype(np.int8))
  return np.flatnonzero(edges).reshape(-1, 2)


def _predict(model, points, flip: bool, batch_size: int, progress) -> np.ndarray:
  """(t, j, 3) poses of normalised keypoints, each frame once, in bounded memory."""
  clip = pose_data.PoseData(
    dict(keypoints_2d=points),
    dict(first=np.zeros(1, np.int32), last=np.full(1, len(points) - 1, np.int32)),
    (pose_data.View("clip", "", "", "", 0.0),),
    model.skeleton,
  )
  predict = _predictor(model.module, model.skeleton, model.inputs, flip)
  variables = jax.device_put(model.variables)
  batch_size = min(batch_size, 1 << (len(points) - 1).bit_length())
  batches = pose_data.evaluation_order(clip, batch_size)
  total = -(-len(points) // batch_size)
  poses = []
  for index, mask in tqdm(batches, progress, total, unit="batch", disable=not progress):
    batch = pose_data.gather(clip.frames, clip.runs, index, model.window)
    poses.append(np.asarray(predict(variables, batch))[mask])
  return np.concatenate(poses)


# Keyed by the module's fields, not its variables: weights of one architecture share it.
@functools.lru_cache(maxsize=8)
def _predictor(module, skeleton: Skeleton, inputs: tuple[str, ...], flip: bool):
  if inputs != ("keypoints_2d",):
    raise ValueError(
      f"got a model with the inputs {', '.join(inputs)}, expected keypoints_2d alone; "
      "lift cannot make the others."
    )
  return scoring.make_predict(module, skeleton, inputs=inputs, flip=flip)


def _loaded(weights) -> pretrained.Pretrained:
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


@functools.lru_cache(maxsize=4)
def _load_once(name: str, path: pathlib.Path, stamp: int | None):
  return pretrained.load(name)


def _image_size(image_size) -> tuple[float, float]:
  size = _numbers(image_size, "image_size")
  if size.shape != (2,) or not (np.isfinite(size) & (size > 0)).all():
    raise ValueError(
      f"got image_size={image_size!r}, expected (width, height) in pixels, both "
      "positive; of an image array, image_size=(image.shape[1], image.shape[0])."
    )
  return float(size[0]), float(size[1])


def _points(keypoints_2d, skeleton: Skeleton) -> np.ndarray:
  points = _numbers(keypoints_2d, "keypoints_2d").copy()
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


def _confidence(confidence, shape: tuple[int, int]) -> np.ndarray:
  values = _numbers(confidence, "confidence")
  if values.shape != shape:
    raise ValueError(
      f"got confidence of shape {values.shape}, expected {shape}: one number for each "
      "frame and joint of keypoints_2d."
    )
  return values


def _numbers(values, name: str) -> np.ndarray:
  try:
    return np.asarray(values, np.float64)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"got {name} that cannot be made an array of numbers ({error}); expected "
      "numbers, and as many joints in every frame."
    ) from error


def _refuse_unseen(missing, needed, skeleton: Skeleton) -> None:
  if missing[:, needed].all():
    raise ValueError(
      "got no usable keypoint in the whole clip, expected numbers other than NaN and "
      "0; check the detector's output, or lower min_confidence."
    )
  never = [skeleton.joints[j] for j in np.flatnonzero(missing.all(0))]
  if never:
    raise ValueError(
      f"got no usable keypoint of {', '.join(never)} in the whole clip, expected each "
      "joint in at least one frame; lower min_confidence, or take a clip that shows "
      "the whole body."
    )


def _share_outside(
  seen: Float[np.ndarray, "n 2"], width: float, height: float
) -> float:
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


def _report(gaps: Int[np.ndarray, "t j"], max_gap: int, joints) -> str:
  missing = gaps > 0
  if not missing.any():
    return "No keypoint was missing."
  counts = missing.sum(0)
  worst = [j for j in np.argsort(-counts, kind="stable") if counts[j]]
  parts = [f"{joints[j]} {counts[j]} (longest gap {gaps[:, j].max()})" for j in worst]
  text = (
    f"{counts.sum()} of {missing.size} keypoints ({missing.mean():.1%}) were missing "
    f"and interpolated over time: {_first(parts, 'joints')}."
  )
  invalid = (gaps > max_gap).any(-1)
  if invalid.any():
    spans = [f"{start}-{stop - 1}" for start, stop in _spans(invalid)]
    text += (
      f"\n{invalid.sum()} frames lie in gaps of more than {max_gap} frames and are not "
      f"valid: {_first(spans, 'stretches')}."
    )
  return text


def _first(parts: list[str], unit: str, most: int = 5) -> str:
  more = f" and {len(parts) - most} more {unit}" if len(parts) > most else ""
  return ", ".join(parts[:most]) + more
