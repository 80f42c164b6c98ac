"""A lifter frame by frame, for video as it is captured."""

import collections
from typing import Any
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxpose import frame_rates
from jaxpose import lift_network
from jaxpose import predict_inputs
from jaxpose import skeleton_maps
from jaxpose import skeletons

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
    model = predict_inputs.lifter(weights)
    self._size = predict_inputs.image_size(image_size)
    self._source, self.skeleton = skeletons.get(skeleton), model.skeleton
    self._matrix = skeleton_maps.joint_map(skeleton, model.skeleton.name)
    self._least = min_confidence
    self._offsets = lift_network.offsets(model, frame_rates.checked(fps))
    self._middle = model.window - 1 - lift_network.frames_after(model)
    self._before, self.latency = frame_rates.reach(self._offsets)
    self._predict = lift_network.predictor(model, flip)
    self._variables = jax.device_put(model.variables)
    self._focal = lift_network.framing_focal(model, framed, self._size, focal)
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
      sure = predict_inputs.numbers(confidence, "confidence")[None]
      seen &= predict_inputs.confidences(sure, (1, len(points)))[0] >= self._least
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
    points = predict_inputs.on_screen(window, *self._size).astype(np.float32)
    points = skeleton_maps.convert(points, self._source.name, self.skeleton.name)
    return lift_network.answer(
      self._predict, self._variables, self.skeleton, points[None], self._focal
    )[0]

  def _points(self, keypoints) -> np.ndarray:
    want = (self._source.num_joints, 2)
    if keypoints is None:
      return np.full(want, np.nan)
    points = predict_inputs.numbers(keypoints, "keypoints")
    if points.shape != want:
      raise ValueError(
        f"got a frame of shape {points.shape}, expected {want}, the keypoints of one "
        f"frame, for the skeleton {self._source.name!r}."
      )
    return points
