"""Somebody before a live camera: keypoints in, a smoothed pose in its place out."""

import numpy as np
from jaxtyping import Float

from jaxpose import cameras
from jaxpose import lift_stream
from jaxpose import smoothing
from jaxpose import trajectory
from jaxpose import translation

_NEAR, _FAR = 1.0, 15.0  # metres; between them a first guess of the distance lies
_HEIGHT = 1.7  # metres of somebody standing

# Of the distance from the camera, which a few pixels decide.
_DEPTH = smoothing.OneEuro(min_cutoff=0.5, beta=0.5)


class LivePerson:
  """One person, frame by frame; all of it from the frames so far.

  Attributes:
    latency: frames between the newest one and that of the pose.
    frame: number of the frame that the pose is of; None before the first pose.
    joints_3d: (j, 3) metres in the camera's frame, not relative to the root.
  """

  def __init__(
    self,
    stream: lift_stream.LiftStream,
    fps: float | int,
    image_size: tuple[int, int],
    focal: float | int,
    options: smoothing.OneEuro | None,
  ):
    """Somebody who was not seen yet.

    Args:
      stream: the lifter, for this person alone.
      fps: frames per second of the numbers that `push` is told.
      image_size: width and height in pixels.
      focal: length of the camera in pixels.
      options: of the smoothing; None for none.
    """
    self._stream, self._fps, self._options = stream, float(fps), options
    self._camera = trajectory.guess_intrinsics(image_size, focal)
    self.latency, joints = stream.latency, stream.skeleton.num_joints
    self._pose = smoothing.start((joints, 3))
    self._direction, self._depth = (smoothing.start((1, 3)) for _ in range(2))
    self._place: np.ndarray | None = None
    self.frame: int | None = None
    self.joints_3d: np.ndarray | None = None

  def push(
    self,
    frame: int,
    keypoints: Float[np.ndarray, "k 2"],
    confidence: Float[np.ndarray, " k"],
  ) -> bool:
    """Takes what is seen in a frame; says whether there is a new pose."""
    pose = self._stream.push(keypoints, confidence=confidence, frame=frame)
    if pose is None:
      return False
    passed = 1 if self.frame is None else pose.frame - self.frame
    self.frame, rate = pose.frame, self._fps / max(passed, 1)
    joints = np.float64(pose.joints_3d)
    place = self._found(joints, np.float64(pose.keypoints_2d), np.float64(pose.seen))
    if self._options is not None:
      self._pose, joints = smoothing.step(self._pose, joints, rate, self._options)
      far = np.asarray([[0, 0, place[2]]])
      self._direction, seen = smoothing.step(
        self._direction, place[None] / place[2], rate, self._options
      )
      self._depth, far = smoothing.step(self._depth, far, rate, _DEPTH)
      place = far[0, 2] * seen[0]
    self.joints_3d = joints + place
    return True

  def _found(self, joints, points, seen) -> np.ndarray:
    """Where the root is."""
    rays = cameras.unproject(points, self._camera)
    expected = self._place
    if expected is None:
      tall = np.ptp(rays[:, 1]) + 1e-6
      expected = np.asarray([0, 0, np.clip(_HEIGHT / tall, _NEAR, _FAR)])
    found, _ = translation.fit_robust(
      joints[None], rays[None], seen[None], expected[None]
    )
    self._place = found[0]
    return self._place
