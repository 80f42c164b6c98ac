"""`lift`, `mesh` and `LiftStream`: keypoints to 3D poses, with the checks of the input.

`lift` and `mesh` take a whole clip, `LiftStream` one frame at a time. Also here is the
lifter's network at work on windows of normalised keypoints. `jaxpose.predict` shows how
to call them.
"""

import collections
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from tqdm import tqdm

from jaxpose import skeletons
from jaxpose.body.meshes import Mesh
from jaxpose.geometry import cameras
from jaxpose.geometry import crops
from jaxpose.models.glot import Glot
from jaxpose.motion import frame_rates
from jaxpose.motion.gaps import fill_gaps
from jaxpose.motion.gaps import gap_lengths
from jaxpose.motion.gaps import gap_report
from jaxpose.motion.gaps import stretches
from jaxpose.predict import bodies
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons import framing
from jaxpose.skeletons import skeleton_maps
from jaxpose.tasks import scoring
from jaxpose.weights import pretrained


def network_poses(
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
      in training (`jaxpose.skeletons.framing`); None leaves windows as they are.
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


def loaded(weights) -> pretrained.Pretrained:
  """Weights by name or path, read once as long as the file stays the same."""
  if isinstance(weights, pretrained.Pretrained):
    return weights
  if not isinstance(weights, (str, os.PathLike)):
    raise ValueError(
      f"got weights of type {type(weights).__name__}, expected a released name, a "
      "path, or what jaxpose.weights.pretrained.load returns."
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


def checked_image_size(value) -> tuple[float, float]:
  """Width and height in pixels."""
  size = checked_numbers(value, "image_size")
  if size.shape != (2,) or not (np.isfinite(size) & (size > 0)).all():
    raise ValueError(
      f"got image_size={value!r}, expected (width, height) in pixels, both "
      "positive; of an image array, image_size=(image.shape[1], image.shape[0])."
    )
  return float(size[0]), float(size[1])


def points_2d(keypoints_2d, skeleton: Skeleton) -> np.ndarray:
  """A copy of the keypoints, (t, j, 2) float64."""
  points = checked_numbers(keypoints_2d, "keypoints_2d").copy()
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
  values = checked_numbers(confidence, "confidence")
  if values.shape != shape:
    raise ValueError(
      f"got confidence of shape {values.shape}, expected {shape}: one number for each "
      "frame and joint of keypoints_2d."
    )
  return values


def checked_numbers(values, name: str, dtype=np.float64) -> np.ndarray:
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
      "jaxpose.geometry.cameras.denormalize_screen)."
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
  fps: Any = None,
  flip: bool = False,
  focal: Any = None,
  framed: bool | None = None,
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
  is made of are ignored. Frames before the clip and after it repeat its ends. A picture
  higher than wide counts as the middle of a square of its height: scaled by its width,
  as landscape ones are, people would be far larger than in training.

  Args:
    keypoints_2d: (frames, joints, 2) pixels, x right, y down.
    image_size: (width, height) in pixels.
    weights: a released name or a path (see `pretrained.load`), or what it returned.
    skeleton: of the keypoints; mapped to the model's where it is another.
    confidence: (frames, joints) of the keypoints, or None.
    fps: frames per second of the keypoints. Where the weights say theirs, the network
      sees each frame in a window of that rate (`jaxpose.motion.frame_rates`). None: as
      if the keypoints had the rate of training.
    flip: average with the prediction of the mirrored input: twice the time.
    focal: length of the camera in pixels. None: as `cameras.guess_focal` says.
    framed: see each window as if the camera had been turned to the person and zoomed
      until he or she is as large as in training (`jaxpose.skeletons.framing`). None:
      with weights that were trained on virtual cameras of this project.
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
  width, height = checked_image_size(image_size)
  points = points_2d(keypoints_2d, source)
  for name, value, least in (("batch_size", batch_size, 1), ("max_gap", max_gap, 0)):
    if value < least:
      raise ValueError(f"got {name}={value}, expected at least {least}.")
  fps, model = frame_rates.checked(fps), lifter(weights)
  made_of = skeleton_maps.joint_map(skeleton, model.skeleton.name) != 0
  needed = made_of.any(0)

  missing = ~np.isfinite(points).all(-1) | (points == 0).all(-1)
  if confidence is not None:
    missing |= ~(confidences(confidence, points.shape[:2]) >= min_confidence)
  points[:, ~needed], missing[:, ~needed] = 0, False
  refuse_unseen(missing, needed, source)
  outside = share_outside(points[~missing & needed], width, height)
  points, gaps = fill_gaps(points, missing), gap_lengths(missing)

  points = on_screen(points, width, height).astype(np.float32)
  points = skeleton_maps.convert(points, skeleton, model.skeleton.name)
  focal = framing_focal(model, framed, (width, height), focal)
  joints = network_poses(model, points, flip, batch_size, progress, focal, fps)
  filled = (missing[:, None] & made_of).any(-1)
  valid = (gaps <= max_gap).all(-1)
  names = [source.joints[j] for j in np.flatnonzero(needed)]
  report = gap_report(gaps[:, needed], names, max_gap)
  head = f"{len(joints)} frames, {skeleton} keypoints to {model.skeleton.name} joints."
  if outside > 0.05:
    report += f"\n{outside:.0%} of the keypoints lie outside the image."
  return Lifted(joints, model.skeleton, filled, valid, f"{head}\n{report}")


def mesh(
  keypoints_2d: Any = None,
  *,
  weights: Any,
  image_size: Any = None,
  confidence: Any = None,
  skeleton: str = "coco17",
  features: Any = None,
  boxes: Any = None,
  box_scale: Any = crops.SCALE,
  focal: Any = None,
  body: str | os.PathLike | None = None,
  shape: str = "mean",
  fps: Any = None,
  batch_size: int = 64,
  min_confidence: float = 0.3,
  progress: str | None = None,
) -> Mesh:
  """SMPL parameters for every frame of one person's keypoints or image features.

  The weights decide which of the two they read. Keypoints are missing where `lift` says
  so, or where the skeleton lacks a joint of the network's; the network is told. In
  each window of frames, those missing are put on the straight line between the frames
  where the joint was last and next seen, held before the first and after the last.
  Features that are NaN are treated alike. Frames before the clip and after it repeat
  its ends. Where a window shows nothing at all the last pose is held. Keypoints of a
  picture higher than wide count as in `lift`.

  Args:
    keypoints_2d: (frames, joints, 2) pixels, x right, y down.
    weights: of GLoT: a released name or a path, or what `pretrained.load` returned.
    image_size: (width, height) in pixels; for features it is needed with boxes alone.
    confidence: (frames, joints) of the keypoints, or None. It weights the translation
      and the shape; the network is told only which keypoints are missing.
    skeleton: of the keypoints.
    features: (frames, channels) of `python -m jaxpose.features`; rows of NaN are frames
      in which nobody was seen.
    boxes: (frames, 4) of the features, (cx, cy, w, h) in pixels, for the translation.
    box_scale: side of the features' crops over the longer side of the box.
    focal: length of the camera in pixels, to tell size from distance. None: as
      `cameras.guess_focal` says.
    body: name or path, see `body_files.load`. None: the one that the weights name.
    shape: "mean": one body for the clip, the mean of the frames' betas weighted by the
      confidence of their keypoints; "frame": as the network has it for each.
    fps: frames per second of the input, for the network as in `lift`, and for files;
      None: as in training, 50 where the weights do not say.
    batch_size: windows at a time, as in `lift`.
    min_confidence: a keypoint with less is missing.
    progress: label of a progress bar; None shows none.

  Raises:
    ValueError: the input is not what it should be, or nobody is seen.
    FileNotFoundError: no such weights, or no such body.
  """
  if batch_size < 1:
    raise ValueError(f"got batch_size={batch_size}, expected at least 1.")
  if shape not in ("mean", "frame"):
    raise ValueError(f"got shape={shape!r}, expected 'mean' or 'frame'.")
  known = bodies.setup(
    weights,
    image_size=image_size,
    focal=focal,
    body=body,
    fps=fps,
    box_scale=box_scale,
    boxes=boxes is not None,
  )
  frames, report = bodies.clip_frames(
    known.model.module,
    keypoints_2d,
    features,
    confidence=confidence,
    skeleton=skeleton,
    size=known.size,
    boxes=boxes,
    min_confidence=min_confidence,
  )
  if known.focal is None:
    report += "\nNo boxes were given, so that the translation is 0."
  elif focal is None:
    report += f"\nThe focal length was assumed to be {known.focal:.0f} pixels."
  found = bodies.estimate_clip(known, frames, batch_size, progress)
  if not found.valid.all():
    report += (
      f"\n{(~found.valid).sum()} frames lie far from those in which somebody was seen "
      f"and are not valid: {stretches(~found.valid)}."
    )
  found = bodies.hold(found)
  betas = found.betas
  if shape == "mean":
    betas = np.tile(bodies.mean_betas(found), (len(betas), 1))
  return bodies.put_together(known, found, betas, report)


Number = int | float | np.number


class Pose(NamedTuple):
  """What comes out of a stream.

  Attributes:
    frame: number of the frame that it is of.
    joints_3d: as `predict.lift` has them: metres, relative to the root, camera frame.
    keypoints_2d: pixels of the same joints in that frame.
    seen: share of what each was made of that was seen, then or around it.
  """

  frame: int
  joints_3d: Float[np.ndarray, "j 3"]
  keypoints_2d: Float[np.ndarray, "j 2"]
  seen: Float[np.ndarray, " j"]


class LiftStream:
  """`predict.lift` for one frame at a time, from the frames so far.

  stream = LiftStream("lift-27", image_size=(1920, 1080), skeleton="coco17")
  for keypoints in detector:  # (17, 2)
    pose = stream.push(keypoints)  # a Pose; None for the first `latency` frames

  Weights that are not causal answer for the middle of their window: late by `latency`
  frames. Causal ones (`config.data.lookahead = 0`) answer for the newest frame.
  Frames may be left out, as a slow reader of a camera does: say the `frame`. What is
  missing is put on the straight line between the frames where it was seen, or held
  after the last. Where nothing is missing the poses equal those of `predict.lift`.
  Of video with another rate than in training, `fps` is to be said: the delay is that
  of as much time, rounded up to frames.
  Memory does not grow.

  Attributes:
    latency: frames between the newest one and that of the pose.
    skeleton: of the poses.
  """

  def __init__(
    self,
    weights: Any,
    *,
    image_size: Any,
    skeleton: str = "h36m17",
    fps: Any = None,
    flip: bool = False,
    focal: Any = None,
    framed: bool | None = None,
    min_confidence: Number = 0.3,
  ):
    """Compiles the network for one window; see `predict.lift` for the arguments.

    Args:
      weights: of a model of joints.
      image_size: (width, height) in pixels.
      skeleton: of the keypoints.
      fps: frames per second, by which frames are numbered.
      flip: average with the prediction of the mirrored input.
      focal: length of the camera in pixels, or None.
      framed: turn and zoom the camera to the person.
      min_confidence: a keypoint with less is missing.
    """
    model = lifter(weights)
    self._size = checked_image_size(image_size)
    self._source, self.skeleton = skeletons.get(skeleton), model.skeleton
    self._matrix = skeleton_maps.joint_map(skeleton, model.skeleton.name)
    self._least = min_confidence
    self._offsets = offsets(model, frame_rates.checked(fps))
    self._middle = model.window - 1 - frames_after(model)
    self._before, self.latency = frame_rates.reach(self._offsets)
    self._predict = predictor(model, flip)
    self._variables = jax.device_put(model.variables)
    self._focal = framing_focal(model, framed, self._size, focal)
    self.reset()
    self._run(np.zeros((model.window, self._source.num_joints, 2)))  # compiles

  def reset(self) -> None:
    """Forgets everything: the next push begins another clip."""
    # Twice what a window needs, so that gaps that begin before it are filled as well.
    self._past = collections.deque()
    self._held = np.full((self._source.num_joints, 2), np.nan)
    self._first = self._last = None

  def push(
    self, keypoints: Any, *, confidence: Any = None, frame: int | None = None
  ) -> Pose | None:
    """Takes a frame; gives the pose of the one `latency` frames before it.

    Args:
      keypoints: (joints, 2) pixels; None where nobody is seen.
      confidence: (joints,) of the keypoints.
      frame: its number; None: the next one.

    Raises:
      ValueError: a shape does not fit, or the frame is not after the last one.
    """
    points = self._points(keypoints)
    seen = np.isfinite(points).all(-1) & (points != 0).any(-1)
    if confidence is not None:
      sure = checked_numbers(confidence, "confidence")[None]
      seen &= confidences(sure, (1, len(points)))[0] >= self._least
    last = -1 if self._last is None else self._last
    frame = last + 1 if frame is None else frame
    if frame <= last:
      raise ValueError(
        f"got the frame {frame} after frame {last}, expected a later one; call reset() "
        "to begin another clip."
      )
    self._first = frame if self._first is None else self._first
    self._last = frame
    self._held = np.where(seen[:, None], points, self._held)
    self._past.append((frame, points, seen))
    while self._past[0][0] < frame - 2 * (self._before + 1 + self.latency):
      self._past.popleft()
    target = frame - self.latency
    if target < self._first or not np.isfinite(self._held).any():
      return None
    window = self._filled(np.maximum(target + self._offsets, self._first))
    joints = self._run(window)
    known = np.isfinite(self._held).all(-1)
    return Pose(
      target,
      joints,
      np.float32(self._matrix @ window[self._middle]),
      np.float32((np.abs(self._matrix) @ known) / np.abs(self._matrix).sum(1)),
    )

  def _filled(self, numbers) -> np.ndarray:
    """(t, k, 2) keypoints at these numbers, which may lie between frames."""
    frames = np.asarray([frame for frame, _, _ in self._past])
    points = np.stack([points for _, points, _ in self._past])
    seen = np.stack([seen for _, _, seen in self._past])
    known = np.isfinite(self._held).all(-1)
    window = np.empty((len(numbers), *self._held.shape))
    window[:] = self._held[known].mean(0)  # of what was never seen
    for j in np.flatnonzero(known):
      here = seen[:, j]
      if not here.any():
        window[:, j] = self._held[j]
        continue
      for c in range(2):
        window[:, j, c] = np.interp(numbers, frames[here], points[here, j, c])
    return window

  def _run(self, window) -> np.ndarray:
    points = on_screen(window, *self._size).astype(np.float32)
    points = skeleton_maps.convert(points, self._source.name, self.skeleton.name)
    return answer(
      self._predict, self._variables, self.skeleton, points[None], self._focal
    )[0]

  def _points(self, keypoints) -> np.ndarray:
    want = (self._source.num_joints, 2)
    if keypoints is None:
      return np.full(want, np.nan)
    points = checked_numbers(keypoints, "keypoints")
    if points.shape != want:
      raise ValueError(
        f"got a frame of shape {points.shape}, expected {want}, the keypoints of one "
        f"frame, for the skeleton {self._source.name!r}."
      )
    return points
