"""One person of a video: keypoints to poses, their trajectory and their world frame."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int

from jaxpose import skeletons
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.geometry.cameras import Camera
from jaxpose.motion import smoothing
from jaxpose.motion import trajectory
from jaxpose.motion import world as placing
from jaxpose.predict import lifting
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons import skeleton_maps

SMOOTHINGS = (*smoothing.METHODS, "none")
MIN_CONFIDENCE = 0.3  # of a keypoint that counts as seen
# Of the distance from the camera, which a few pixels decide: ten times as noisy as the
# rest of the path.
_DEPTH = {
  "one_euro": smoothing.OneEuro(beta=0.5),
  "one_euro_strong": smoothing.OneEuro(min_cutoff=0.5, beta=0.5),
  "savgol": smoothing.SavitzkyGolay(seconds=0.8),
  "savgol_strong": smoothing.SavitzkyGolay(seconds=1.2),
}
# From the frame of a level camera to z up.
_LEVEL = np.asarray([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])

Number = int | float | np.number


class Clip(NamedTuple):
  """What is known of the video.

  Attributes:
    fps: frames per second.
    image_size: width and height in pixels.
    focal: length of the camera in pixels.
  """

  fps: float
  image_size: tuple[int, int]
  focal: float


@dataclasses.dataclass(frozen=True, eq=False)
class Person:
  """Somebody in a video, in 3D.

  Attributes:
    name: of the person.
    clip: of the video.
    first: number of the video's frame that the first pose is of; none is left out.
    keypoints_2d: pixels, NaN where they were not used.
    confidence: of the keypoints.
    keypoints_skeleton: of these two.
    joints_3d: metres in the camera's frame: x right, y down, z forward.
    skeleton: of the joints.
    valid: frames to trust: no long gap, and the keypoints agree with the pose.
    world: upright on the ground, see `jaxpose.motion.world`; None if it is not wanted,
      or cannot be.
    report: in words.
  """

  name: str
  clip: Clip
  first: int
  keypoints_2d: Float[np.ndarray, "t k 2"]
  confidence: Float[np.ndarray, "t k"]
  keypoints_skeleton: Skeleton
  joints_3d: Float[np.ndarray, "t j 3"]
  skeleton: Skeleton
  valid: Bool[np.ndarray, " t"]
  world: placing.World | None
  report: str

  def __len__(self) -> int:
    return len(self.joints_3d)

  @property
  def frames(self) -> Int[np.ndarray, " t"]:
    """Numbers of the video's frames."""
    return self.first + np.arange(len(self))

  @property
  def camera(self) -> Camera:
    """In the person's world, or at the origin of its own frame."""
    intrinsics = trajectory.guess_intrinsics(self.clip.image_size, self.clip.focal)
    rotation, position = np.eye(3), np.zeros(3)
    if self.world is not None:
      rotation, position = self.world.rotation, self.world.position
    return Camera(rotation, position, intrinsics, self.clip.image_size)

  def upright(self) -> Float[np.ndarray, "t j 3"]:
    """To look at: the world's joints, or those before a camera taken for level."""
    if self.world is not None:
      return self.world.joints_3d
    turned = self.joints_3d @ _LEVEL.T
    return turned - np.r_[turned[0, self.skeleton.root, :2], turned[..., 2].min()]


def lift(
  track: Track,
  clip: Clip,
  *,
  weights,
  smooth: str = "savgol",
  world: bool = True,
  flip: bool = False,
  progress: str | None = None,
) -> Person:
  """A track in 3D.

  Args:
    track: its frames may have gaps, which are filled.
    clip: of the video.
    weights: see `predict.lift`.
    smooth: one of `SMOOTHINGS`, for the poses and their path.
    world: put the motion upright on the ground.
    flip: average with the prediction of the mirrored input.
    progress: label of a progress bar; None shows none.

  Raises:
    ValueError: the skeleton is not known, or a joint is never seen.
  """
  if not track.skeleton:
    raise ValueError(
      f"got keypoints {', '.join(track.joints) or 'without names'}, expected those of "
      f"a known skeleton: {', '.join(skeletons.SKELETONS)}."
    )
  model = lifting.loaded(weights)
  points, confidence = dense(track)
  lifted = lifting.lift(
    points,
    image_size=clip.image_size,
    weights=model,
    skeleton=track.skeleton,
    confidence=confidence,
    fps=clip.fps,
    flip=flip,
    focal=clip.focal,
    min_confidence=MIN_CONFIDENCE,
    progress=progress,
  )
  report = [lifted.report]
  if track.frames[0]:
    report.append(f"Frame 0 of the files is frame {track.frames[0]} of the video.")
  joints, told = _smoothed(lifted.joints_3d, clip.fps, smooth)
  report += told
  points[confidence < MIN_CONFIDENCE] = np.nan
  path = trajectory.fit(
    joints,
    skeleton_maps.convert(points, track.skeleton, lifted.skeleton.name),
    trajectory.guess_intrinsics(clip.image_size, clip.focal),
    clip.fps,
    weights=skeleton_maps.convert_confidence(
      confidence, track.skeleton, lifted.skeleton.name
    ),
  )
  report.append(path.report)
  way, told = _smoothed_path(path.translation, clip.fps, smooth)
  report += told
  joints = joints + way[:, None]
  placed = None
  if world:
    try:
      placed = placing.place(joints, lifted.skeleton, clip.fps)
      report.append(placed.report)
    except ValueError as error:
      report.append(
        f"Not placed upright on the ground, but left before the camera: {error}"
      )
  return Person(
    name=track.name or "0",
    clip=clip,
    first=int(track.frames[0]),
    keypoints_2d=np.float32(points),
    confidence=confidence,
    keypoints_skeleton=skeletons.get(track.skeleton),
    joints_3d=np.float32(joints),
    skeleton=lifted.skeleton,
    valid=lifted.valid & path.valid,
    world=placed,
    report="\n".join(report),
  )


def dense(
  track: Track,
) -> tuple[Float[np.ndarray, "t k 2"], Float[np.ndarray, "t k"]]:
  """Keypoints and confidence of every frame from the first to the last; 0 in gaps."""
  at = track.frames - track.frames[0]
  points = np.zeros((at[-1] + 1, *track.keypoints.shape[1:]))
  confidence = np.zeros(points.shape[:2], np.float32)
  points[at], confidence[at] = track.keypoints, track.confidence
  return points, confidence


def _smoothed(joints, fps: float, method: str):
  """(joints, sentences)."""
  joints = np.float64(joints)
  if method == "none" or len(joints) < 3:
    return joints, _rough(joints, fps, "The poses:")
  done = smoothing.smooth(joints, fps, method)
  return done.points, [f"The poses: {done.report[0].lower()}{done.report[1:]}"]


def _smoothed_path(path, fps: float, method: str):
  """(path, sentences); the direction it is seen in and the distance by themselves."""
  if method == "none" or len(path) < 3:
    return path, _rough(path[:, None], fps, "The path:")
  far = path[:, 2:]
  seen = smoothing.smooth((path / far)[:, None], fps, method).points[:, 0]
  ahead = np.concatenate([0 * far, far], -1)[:, None]  # a point on a line
  moved = smoothing.smooth(ahead, fps, _DEPTH[method]).points[:, 0, 1:] * seen
  before, after = (
    1000 * smoothing.acceleration(points[:, None], fps) for points in (path, moved)
  )
  return moved, [
    f"The path: mean acceleration {before:,.0f} mm/s² before smoothing, {after:,.0f} "
    "mm/s² after."
  ]


def _rough(points, fps: float, what: str) -> list[str]:
  if len(points) < 3:
    return []
  size = 1000 * smoothing.acceleration(points, fps)
  return [f"{what} mean acceleration {size:,.0f} mm/s², not smoothed."]
