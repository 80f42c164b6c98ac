"""Poses of a clip in files: one .npz with all that is known, or a CSV table.

The table (`save_csv`) has a row for each frame and a column for each number. Keys of
the .npz, of which those with a star may be absent:

  format               "jaxpose poses 1"
  joints_3d            (t, j, 3) float32, metres, in the frame that `axes` names
  joints_3d_world *    (t, j, 3) float32, metres, z up, the floor at z = 0
  keypoints_2d *       (t, k, 2) float32, pixels, x right, y down; NaN where not seen
  confidence *         (t, k) float32, of the keypoints
  valid                (t,) bool, frames to trust
  fps                  float64, frames per second
  skeleton             name; joint_names (j,) text; parents (j,) int32, -1 for the root
  keypoints_skeleton * name; keypoint_names (k,) text
  camera_intrinsics *  (9,) float64, pixels: fx fy cx cy k1 k2 k3 p1 p2
  camera_rotation *    (3, 3) float64, x_camera = rotation @ (x_world - position)
  camera_position *    (3,) float64, metres
  image_size *         (2,) int32, width and height in pixels
  units                "metres, pixels, seconds"
  axes                 "camera": x right, y down, z forward; or "z_up"
  root                 "relative": joints_3d are relative to the root joint; "absolute"
  report               what was missing or assumed, in words
"""

import csv
import dataclasses
import io
import os
import pathlib

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.files import whole_files
from jaxpose.geometry.cameras import Camera
from jaxpose.skeletons import Skeleton

FORMAT = "jaxpose poses 1"
_NEEDED = ("joints_3d", "valid", "fps", "skeleton", "joint_names", "parents")
_NEEDED += ("axes", "root", "report")
_CHOICES = dict(axes=("camera", "z_up"), root=("relative", "absolute"))
_CAMERA = ("camera_intrinsics", "camera_rotation", "camera_position", "image_size")


@dataclasses.dataclass(frozen=True, eq=False)
class Poses:
  """What a file holds; see the module's docstring for units and frames."""

  joints_3d: Float[np.ndarray, "t j 3"]
  skeleton: Skeleton
  fps: int | float | np.number
  joints_3d_world: Float[np.ndarray, "_ _ 3"] | None = None
  keypoints_2d: Float[np.ndarray, "_ _ 2"] | None = None
  keypoints_skeleton: Skeleton | None = None
  confidence: Float[np.ndarray, "_ _"] | None = None
  valid: Bool[np.ndarray, " _"] | None = None
  camera: Camera | None = None
  axes: str = "camera"
  root: str = "absolute"
  report: str = ""


def save(
  path: str | os.PathLike, poses: Poses, *, overwrite: bool = False
) -> pathlib.Path:
  """Writes the file, whole or not at all.

  Raises:
    FileExistsError: the file is there, and `overwrite` is not said.
    ValueError: the path does not end in .npz, or the poses do not fit together.
  """
  _check(poses)
  valid = np.ones(len(poses.joints_3d), bool) if poses.valid is None else poses.valid
  arrays = dict(
    format=FORMAT,
    joints_3d=np.float32(poses.joints_3d),
    valid=valid,
    fps=np.float64(poses.fps),
    skeleton=poses.skeleton.name,
    joint_names=np.asarray(poses.skeleton.joints),
    parents=np.int32(poses.skeleton.parents),
    units="metres, pixels, seconds",
    axes=poses.axes,
    root=poses.root,
    report=poses.report,
  )
  for name in ("joints_3d_world", "keypoints_2d", "confidence"):
    if getattr(poses, name) is not None:
      arrays[name] = np.float32(getattr(poses, name))
  if poses.keypoints_skeleton:
    arrays["keypoints_skeleton"] = poses.keypoints_skeleton.name
    arrays["keypoint_names"] = np.asarray(poses.keypoints_skeleton.joints)
  if poses.camera:
    camera = poses.camera
    values = (camera.intrinsics, camera.rotation, camera.position)
    arrays |= {k: np.float64(v) for k, v in zip(_CAMERA[:3], values, strict=True)}
    arrays["image_size"] = np.int32(camera.image_size)
  return whole_files.write(
    path,
    lambda file: np.savez_compressed(file, **arrays),
    endings=(".npz",),
    overwrite=overwrite,
  )


def load(path: str | os.PathLike) -> Poses:
  """What `save` wrote.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, not of ours, or of a newer version.
  """
  found = whole_files.load_npz(path, "pose_files.save")
  if str(found.get("format", "")) != FORMAT:
    said = f"the format {str(found['format'])!r}" if "format" in found else "no format"
    raise ValueError(
      f"{path}: got {said}, expected {FORMAT!r}; it is not a file of pose_files.save, "
      "or of a newer jaxpose."
    )
  needed = _NEEDED + (("keypoint_names",) if "keypoints_skeleton" in found else ())
  lacking = [key for key in needed if key not in found]
  if lacking:
    raise ValueError(f"{path} has no {', '.join(lacking)}; get it again.")
  camera = None
  if all(key in found for key in _CAMERA):
    intrinsics, rotation, position, size = (found[key] for key in _CAMERA)
    camera = Camera(rotation, position, intrinsics, (int(size[0]), int(size[1])))
  poses = Poses(
    found["joints_3d"],
    _skeleton(found, "skeleton", "joint_names", "parents"),
    float(found["fps"]),
    **{k: found.get(k) for k in ("joints_3d_world", "keypoints_2d", "confidence")},
    keypoints_skeleton=_skeleton(found, "keypoints_skeleton", "keypoint_names", None),
    valid=found["valid"],
    camera=camera,
    **{key: str(found[key]) for key in ("axes", "root", "report")},
  )
  try:
    _check(poses)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None
  return poses


def _skeleton(found, name: str, joints: str, parents: str | None) -> Skeleton | None:
  """By its name, or, where that is not ours, by what the file says of it."""
  if name not in found:
    return None
  text, names = str(found[name]), tuple(map(str, found[joints]))
  known = skeletons.SKELETONS.get(text)
  if known and known.joints == names:
    return known
  tree = found[parents] if parents else [-1] + [0] * (len(names) - 1)
  return Skeleton(text, names, tuple(map(int, tree)))


def _check(poses: Poses) -> None:
  frames, joints = poses.joints_3d.shape[:2]
  if not frames:
    raise ValueError("got poses without frames, expected at least one.")
  if joints != poses.skeleton.num_joints:
    raise ValueError(
      f"got {joints} joints, expected {poses.skeleton.num_joints} for the skeleton "
      f"{poses.skeleton.name!r}."
    )
  if not 0 < poses.fps < np.inf:
    raise ValueError(f"got fps={poses.fps}, expected frames per second, above 0.")
  for name in ("joints_3d_world", "keypoints_2d", "confidence", "valid"):
    value = getattr(poses, name)
    if value is not None and len(value) != frames:
      raise ValueError(
        f"got {name} of {len(value)} frames and joints_3d of {frames}, expected equal "
        "numbers."
      )
  if poses.keypoints_2d is not None:
    points = poses.keypoints_2d.shape[1]
    if poses.keypoints_skeleton is None or (
      points != poses.keypoints_skeleton.num_joints
    ):
      raise ValueError(
        f"got {points} keypoints, expected keypoints_skeleton to be the skeleton that "
        "they are of."
      )
  for name, choices in _CHOICES.items():
    value = getattr(poses, name)
    if value not in choices:
      wanted = " or ".join(map(repr, choices))
      raise ValueError(f"got {name} {value!r}, expected {wanted}.")


# Unit -> how many make a metre, and decimals that tell a micrometre.
CSV_UNITS = {"m": (1, 6), "cm": (100, 4), "mm": (1000, 3)}


def save_csv(
  path: str | os.PathLike,
  joints_3d: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  fps: int | float | np.number,
  *,
  unit: str = "mm",
  overwrite: bool = False,
) -> pathlib.Path:
  """Writes frame, time_s, then x, y and z of each joint, such as left_knee_x_mm.

  Cells of missing joints (NaN) are empty. The axes stay as they are: x right, y down, z
  forward for joints in the camera's frame, z up for those in the world's.

  Args:
    path: ends in .csv.
    joints_3d: metres.
    skeleton: of the joints.
    fps: frames per second.
    unit: of the numbers in the file, "m", "cm" or "mm"; it is in the header.
    overwrite: write over a file that is there.

  Raises:
    FileExistsError: the file is there, and `overwrite` is not said.
    ValueError: another ending, unit or shape, or no frame rate.
  """
  if unit not in CSV_UNITS:
    raise ValueError(
      f"got the unit {unit!r}, expected {', '.join(map(repr, CSV_UNITS))}."
    )
  if not 0 < fps < np.inf:
    raise ValueError(f"got fps={fps}, expected frames per second, above 0.")
  if joints_3d.shape[1] != skeleton.num_joints:
    raise ValueError(
      f"got {joints_3d.shape[1]} joints, expected {skeleton.num_joints} for the "
      f"skeleton {skeleton.name!r}."
    )
  scale, digits = CSV_UNITS[unit]
  text = io.StringIO()
  table = csv.writer(text, lineterminator="\n")
  names = [f"{joint}_{axis}_{unit}" for joint in skeleton.joints for axis in "xyz"]
  table.writerow(["frame", "time_s", *names])
  for i, frame in enumerate(np.float64(joints_3d) * scale):
    values = [f"{x:.{digits}f}" if np.isfinite(x) else "" for x in frame.reshape(-1)]
    table.writerow([i, f"{i / float(fps):.6f}", *values])
  content = text.getvalue().encode()
  return whole_files.write(
    path, lambda file: file.write(content), endings=(".csv",), overwrite=overwrite
  )
