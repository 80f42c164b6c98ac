"""2D keypoints of a clip to 3D poses or a moving body; several views' video to poses.

from jaxpose import predict
poses = predict.lift(keypoints_2d, image_size=(1920, 1080), weights="weights.npz")
np.asarray(poses)  # (frames, joints, 3), metres
print(poses.report)

body = predict.mesh(keypoints_2d, image_size=(1920, 1080), weights="glot.npz")
body.poses, body.betas, body.translation  # SMPL's parameters
body.vertices(), body.joints_3d  # metres, camera frame

poses = predict.multiview("recordings/walk", weights="multiview.npz")
poses.keypoints_2d, poses.joints_3d_world  # pixels of each view; metres

predict.video("walk.mp4", "walk_3d")  # all of it, as files

Run: python -m jaxpose.predict VIDEO_OR_FOLDER --out=FOLDER
"""

import dataclasses
import os
from typing import Any

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import crops
from jaxpose import frame_rates
from jaxpose import lift_network
from jaxpose import mesh_inputs
from jaxpose import predict_inputs
from jaxpose import predict_mesh
from jaxpose import skeleton_maps
from jaxpose import skeletons
from jaxpose.gaps import fill_gaps
from jaxpose.gaps import gap_lengths
from jaxpose.gaps import gap_report
from jaxpose.gaps import stretches
from jaxpose.lift_stream import LiftStream
from jaxpose.mesh_stream import MeshStream
from jaxpose.meshes import Mesh
from jaxpose.multiview_poses import MultiviewPoses
from jaxpose.multiview_stream import MultiviewStream
from jaxpose.predict_multiview import multiview
from jaxpose.skeletons import Skeleton

__all__ = [
  "LiftStream",
  "Lifted",
  "Mesh",
  "MeshStream",
  "MultiviewPoses",
  "MultiviewStream",
  "fill_gaps",
  "gap_lengths",
  "lift",
  "mesh",
  "multiview",
  "video",
]


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
      sees each frame in a window of that rate (`jaxpose.frame_rates`). None: as if the
      keypoints had the rate of training.
    flip: average with the prediction of the mirrored input: twice the time.
    focal: length of the camera in pixels. None: as `cameras.guess_focal` says.
    framed: see each window as if the camera had been turned to the person and zoomed
      until he or she is as large as in training (`jaxpose.framing`). None: with
      weights that were trained on virtual cameras of this project.
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
  width, height = predict_inputs.image_size(image_size)
  points = predict_inputs.points_2d(keypoints_2d, source)
  for name, value, least in (("batch_size", batch_size, 1), ("max_gap", max_gap, 0)):
    if value < least:
      raise ValueError(f"got {name}={value}, expected at least {least}.")
  fps, model = frame_rates.checked(fps), predict_inputs.lifter(weights)
  made_of = skeleton_maps.joint_map(skeleton, model.skeleton.name) != 0
  needed = made_of.any(0)

  missing = ~np.isfinite(points).all(-1) | (points == 0).all(-1)
  if confidence is not None:
    missing |= ~(
      predict_inputs.confidences(confidence, points.shape[:2]) >= min_confidence
    )
  points[:, ~needed], missing[:, ~needed] = 0, False
  predict_inputs.refuse_unseen(missing, needed, source)
  outside = predict_inputs.share_outside(points[~missing & needed], width, height)
  points, gaps = fill_gaps(points, missing), gap_lengths(missing)

  points = predict_inputs.on_screen(points, width, height).astype(np.float32)
  points = skeleton_maps.convert(points, skeleton, model.skeleton.name)
  focal = lift_network.framing_focal(model, framed, (width, height), focal)
  joints = lift_network.poses(model, points, flip, batch_size, progress, focal, fps)
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
  known = predict_mesh.setup(
    weights,
    image_size=image_size,
    focal=focal,
    body=body,
    fps=fps,
    box_scale=box_scale,
    boxes=boxes is not None,
  )
  frames, report = mesh_inputs.clip_frames(
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
  found = predict_mesh.estimate_clip(known, frames, batch_size, progress)
  if not found.valid.all():
    report += (
      f"\n{(~found.valid).sum()} frames lie far from those in which somebody was seen "
      f"and are not valid: {stretches(~found.valid)}."
    )
  found = predict_mesh.hold(found)
  betas = found.betas
  if shape == "mean":
    betas = np.tile(predict_mesh.mean_betas(found), (len(betas), 1))
  return predict_mesh.put_together(known, found, betas, report)


def video(path: str | os.PathLike, out: str | os.PathLike, **options):
  """The people of a video in 3D, as files in a folder: `predict_video.video`."""
  from jaxpose import predict_video  # it imports this module

  return predict_video.video(path, out, **options)


if __name__ == "__main__":
  from jaxpose import predict_command

  predict_command.main()
