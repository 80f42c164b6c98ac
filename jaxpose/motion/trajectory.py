"""The root's trajectory: places root-relative poses in the camera's frame.

path = trajectory.fit(poses.joints_3d, keypoints_2d, intrinsics, fps=50)
path.joints_3d  # (frames, joints, 3), metres, camera frame

The lengths of the bones tell the distance: a person predicted 5 % too tall stands 5 %
too far away. So does a focal length 5 % too long.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
from jaxtyping import Float

from jaxpose.geometry import cameras
from jaxpose.geometry import placement
from jaxpose.motion.gaps import fill_gaps
from jaxpose.motion.gaps import stretches

_NEAR_SECONDS = 0.5  # to either side, what a frame is compared with
_FAR_OFF = 0.3  # metres from its neighbours' median at which a frame may be refused
_TRUSTED = 0.5  # of a joint that counts as on its ray

Number = int | float | np.number


class Path(NamedTuple):
  """What `fit` returns.

  Attributes:
    joints_3d: (t, j, 3) metres in the camera's frame, not relative to the root.
    translation: (t, 3) that was added.
    valid: (t,) frames whose own keypoints gave their place; the others lie on the line
      between their neighbours.
    trust: (t, j) 1 for joints on their rays to 0 for those far off; 0 where not seen.
    report: in words.
  """

  joints_3d: np.ndarray
  translation: np.ndarray
  valid: np.ndarray
  trust: np.ndarray
  report: str


def fit(
  joints_3d: Float[np.ndarray, "t j 3"],
  keypoints_2d: Float[np.ndarray, "n k 2"],
  intrinsics: Float[np.ndarray, "9"],
  fps: Number,
  *,
  weights: Float[np.ndarray, "n k"] | None = None,
) -> Path:
  """The place of each pose, robust to keypoints and to frames that are wrong.

  Args:
    joints_3d: root-relative, metres, camera frame.
    keypoints_2d: pixels of the same joints, NaN where missing.
    intrinsics: of the camera, see `jaxpose.geometry.cameras`; guess a focal length with
      `guess_intrinsics`.
    fps: frames per second.
    weights: of the keypoints, such as their confidence.

  Raises:
    ValueError: shapes or the frame rate do not fit, joints are missing, or too little
      is seen.
  """
  joints = np.float64(joints_3d)
  _check(joints, keypoints_2d, fps)
  seen = np.isfinite(keypoints_2d).all(-1)
  weights = np.where(seen, 1.0 if weights is None else np.float64(weights), 0)
  points = np.where(seen[..., None], np.float64(keypoints_2d), intrinsics[2:4])
  rays = cameras.unproject(points, np.float64(intrinsics))
  enough = (weights > 0).sum(1) >= 3
  if not enough.any():
    raise ValueError(
      "got no frame with three keypoints, expected those of a person; check the "
      "detector's output."
    )
  first = np.tile([0, 0, _distance(joints, rays, weights)], (len(joints), 1))
  place, _ = placement.fit_robust(joints, rays, weights, first)
  # What most frames around say is a better guess, where a frame shows little.
  expected = _median(fill_gaps(place[:, None], ~enough[:, None])[:, 0], fps)
  place, trust = placement.fit_robust(joints, rays, weights, expected)
  off = np.linalg.norm(place - expected, axis=-1)
  usual = _median(off[:, None], fps)[:, 0]
  agree = ((trust > _TRUSTED) & (weights > 0)).sum(1)
  agree = (agree >= 3) & (2 * agree >= (weights > 0).sum(1))
  valid = enough & agree & (off <= np.maximum(_FAR_OFF, 6 * usual))
  if not valid.any():
    raise ValueError(
      "got keypoints that fit the poses in no frame, expected those that the poses "
      "were predicted from, in pixels of the camera that intrinsics describe."
    )
  place = fill_gaps(place[:, None], ~valid[:, None])[:, 0]
  trust = np.where(weights > 0, trust, 0)
  wrong = (trust < _TRUSTED) & (weights > 0)
  report = (
    f"The person is {place[:, 2].min():.1f} to {place[:, 2].max():.1f} m from the "
    f"camera. {wrong.sum() / max((weights > 0).sum(), 1):.1%} of the keypoints lie off "
    "their joints and were left out of this."
  )
  if not valid.all():
    report += (
      f"\n{(~valid).sum()} frames were put between their neighbours: "
      f"{stretches(~valid)}."
    )
  return Path(joints + place[:, None], place, valid, trust, report)


def guess_intrinsics(
  image_size: tuple[Number, Number], focal: Number | None = None
) -> Float[np.ndarray, "9"]:
  """A camera without distortion; without `focal`, of `cameras.guess_focal`."""
  width, height = map(float, image_size)
  length = cameras.guess_focal(image_size) if focal is None else float(focal)
  return np.asarray([length, length, width / 2, height / 2, 0, 0, 0, 0, 0])


def _distance(joints, rays, weights) -> float:
  """A first guess for the clip: how much wider the joints spread than their rays."""
  total = np.maximum(weights.sum(1), 1e-9)[:, None]
  spreads = []
  for points in (joints[..., :2], rays):
    middle = (weights[..., None] * points).sum(1) / total
    away = np.linalg.norm(points - middle[:, None], axis=-1)
    spreads.append(np.where(weights > 0, away, np.nan))
  usable = (weights > 0).sum(1) >= 3
  a, b = (np.nanmedian(spread[usable], 1) for spread in spreads)
  return float(np.clip(np.median(a / np.maximum(b, 1e-6)), 0.5, 100))


def _median(values, fps) -> np.ndarray:
  """Over the frames around each."""
  size = (2 * round(_NEAR_SECONDS * float(fps)) + 1, 1)
  return scipy.ndimage.median_filter(values, size, mode="nearest")


def _check(joints, keypoints_2d, fps) -> None:
  if joints.shape[:2] != keypoints_2d.shape[:2] or not len(joints):
    raise ValueError(
      f"got joints {joints.shape} and keypoints {keypoints_2d.shape}, expected a "
      "keypoint for each joint of each frame; see "
      "jaxpose.skeletons.skeleton_maps.convert."
    )
  if not np.isfinite(joints).all():
    raise ValueError(
      "got NaN or infinite joints, expected all of them; fill them first, see "
      "jaxpose.motion.gaps.fill_gaps."
    )
  if not 0 < fps < np.inf:
    raise ValueError(f"got fps={fps}, expected frames per second, above 0.")
