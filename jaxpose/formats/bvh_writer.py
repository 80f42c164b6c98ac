"""Motion as BVH files, for Blender and other programs: y up, a T-pose at rest.

motion = bvh_writer.from_joints(poses.joints_3d, poses.skeleton, fps=50)
print(motion.report)
bvh_writer.save("walk.bvh", motion.bvh)

A BVH file does not say its unit. Most programs count in centimetres, which is the
default here; Blender counts in metres: import such a file with the scale 0.01, or write
it with unit="m".
"""

import os
import pathlib
import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from jaxpose import body as smpl
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.body.meshes import Mesh
from jaxpose.files import whole_files
from jaxpose.formats import bvh
from jaxpose.formats.bvh import Bvh
from jaxpose.motion import bone_rotations
from jaxpose.skeletons import Skeleton

# From these axes to those of the file.
Y_UP = {
  "camera": np.diag([1.0, -1.0, -1.0]),
  "y_up": np.eye(3),
  "z_up": np.asarray([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
}
UNITS = {"cm": 100.0, "m": 1.0}
_END = 0.2  # length of an end site over that of the bone before it
_ROOT_CHANNELS = ("Xposition", "Yposition", "Zposition")

Number = int | float | np.number


class Motion(NamedTuple):
  """What `from_joints` returns.

  Attributes:
    bvh: of the fitted skeleton.
    distance: (t, j) metres between its joints and those that were given.
    report: this in words, and unit and axes of the file.
  """

  bvh: Bvh
  distance: np.ndarray
  report: str


def from_joints(
  joints_3d: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  fps: Number,
  *,
  axes: str = "camera",
  unit: str = "cm",
) -> Motion:
  """A skeleton with constant bones that follows these joints.

  Args:
    joints_3d: metres. Relative to the root they give a motion on the spot.
    skeleton: of the joints, one of `bone_rotations.SKELETONS`.
    fps: frames per second.
    axes: of the joints: "camera" (y down, z forward; the camera is taken for level),
      "z_up" or "y_up".
    unit: of the file, "cm" or "m".

  Raises:
    ValueError: what `bone_rotations.fit` raises, or unknown axes, unit or frame rate.
  """
  turn = _turn(axes)
  _check(fps, unit)
  joints = np.float64(joints_3d) @ turn.T
  fitted = bone_rotations.fit(joints, skeleton, float(fps))
  root = fitted.joints_3d[:, skeleton.root]
  motion = assemble(fitted.local, fitted.offsets, root, skeleton, fps, unit=unit)
  distance = np.linalg.norm(fitted.joints_3d - joints, axis=-1)
  worst = int(distance.mean(0).argmax())
  report = (
    f"The skeleton with constant bones lies {1000 * distance.mean():.1f} mm from the "
    f"given joints on average ({skeleton.joints[worst]} "
    f"{1000 * distance[:, worst].mean():.1f} mm), at most "
    f"{1000 * distance.max():.0f} mm. {_stated(unit)}"
  )
  return Motion(motion, distance, report)


def from_smpl(
  poses: Float[np.ndarray, "t 72"],
  rest_joints: Float[np.ndarray, "24 3"],
  translation: Float[np.ndarray, "n 3"],
  fps: Number,
  *,
  axes: str = "y_up",
  unit: str = "cm",
) -> Bvh:
  """The motion of SMPL's joints, exactly.

  Args:
    poses: axis times angle of each joint, radians.
    rest_joints: of the body in its rest pose, metres, see `body.rest_joints`.
    translation: what SMPL adds to the posed body, metres.
    fps: frames per second.
    axes: of the root's rotation and the translation, see `from_joints`.
    unit: of the file, "cm" or "m".

  Raises:
    ValueError: unknown axes, unit or frame rate, or arrays of unequal lengths.
  """
  turn = _turn(axes)
  _check(fps, unit)
  if len(poses) != len(translation) or not len(poses):
    raise ValueError(
      f"got {len(poses)} poses and {len(translation)} translations, expected one of "
      "each for every frame, and at least one."
    )
  rotations = geometry.axis_angle_to_matrix(np.float64(poses).reshape(-1, 24, 3))
  rotations[:, 0] = turn[None] @ rotations[:, 0]
  rest = np.float64(rest_joints)
  skeleton = skeletons.get("smpl24")
  offsets = rest - rest[np.maximum(skeleton.parents, 0)]
  root = (rest[:1] + np.float64(translation)) @ turn.T
  return assemble(rotations, offsets, root, skeleton, fps, unit=unit)


def from_mesh(mesh: Mesh, *, unit: str = "cm") -> Bvh:
  """The skeleton of a moving body; its shape is the mean of the frames'."""
  small = smpl.for_joints(body_files.load(mesh.body))
  betas = np.float32(mesh.betas.mean(0, dtype=np.float64))
  rotations, translation, betas = mesh.turned(np.float32(Y_UP["camera"]))
  rest = np.asarray(smpl.rest_joints(small, betas))
  poses = geometry.matrix_to_axis_angle(np.float64(rotations)).reshape(-1, 72)
  return from_smpl(poses, rest, translation, mesh.frame_rate, unit=unit)


def assemble(
  rotations: Float[np.ndarray, "t j 3 3"],
  offsets: Float[np.ndarray, "j 3"],
  root_position: Float[np.ndarray, "t 3"],
  skeleton: Skeleton,
  fps: Number,
  *,
  unit: str = "cm",
) -> Bvh:
  """A BVH motion of local rotations; joints without children get end sites.

  Args:
    rotations: relative to the parent's, the root's to the world; y up.
    offsets: from the parent at rest, metres.
    root_position: metres.
    skeleton: whose joints these are.
    fps: frames per second.
    unit: of the file, "cm" or "m".
  """
  scale = UNITS[unit]
  names, parents, places, channels, columns = [], [], [], [], []

  def add(name: str, parent: int, offset, kinds=()) -> int:
    names.append(name)
    parents.append(parent)
    places.append(np.float64(offset) * scale)
    channels.append(tuple(kinds))
    return len(names) - 1

  def visit(joint: int, parent: int) -> None:
    name = skeleton.joints[joint]
    order = _order(name)
    kinds = [f"{axis}rotation" for axis in order]
    if parent < 0:
      kinds = [*_ROOT_CHANNELS, *kinds]
      columns.append(np.float64(root_position) * scale)
    here = add(name, parent, offsets[joint] * (parent >= 0), kinds)
    columns.append(euler_degrees(rotations[:, joint], order))
    children = [c for c, p in enumerate(skeleton.parents) if p == joint]
    for child in children:
      visit(child, here)
    if not children:
      add(f"{name}_end", here, _END * offsets[joint])

  visit(skeleton.root, -1)
  visit = None  # it refers to itself, and would keep the arrays
  return Bvh(
    tuple(names),
    tuple(parents),
    np.asarray(places),
    tuple(channels),
    np.concatenate(columns, -1),
    1 / float(fps),
  )


def save(
  path: str | os.PathLike, motion: Bvh, *, overwrite: bool = False
) -> pathlib.Path:
  """Writes a .bvh file, whole or not at all.

  Raises:
    FileExistsError: the file is there, and `overwrite` is not said.
    ValueError: the path does not end in .bvh.
  """
  path = whole_files.check(path, (".bvh",), overwrite)
  with whole_files.unfinished(path, overwrite) as temporary:
    bvh.write(temporary, motion)
  return path


def euler_degrees(
  rotations: Float[np.ndarray, "t 3 3"], order: str
) -> Float[np.ndarray, "t 3"]:
  """Angles with `R = R_a R_b R_c` for the order "ABC", without jumps over time."""
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # of the pole; the angles are right
    angles = Rotation.from_matrix(rotations).as_euler(order, degrees=True)
  other = angles * [1, -1, 1] + 180  # the same rotation on the far side
  for i in range(1, len(angles)):
    both = np.stack([angles[i], other[i]])
    both += 360 * np.round((angles[i - 1] - both) / 360)
    angles[i] = both[np.abs(both - angles[i - 1]).sum(-1).argmin()]
  return angles


def _order(joint: str) -> str:
  """The middle axis is the one about which the joint turns least from rest."""
  legs = ("hip", "knee", "ankle", "foot")
  return "ZYX" if joint.partition("_")[2] in legs else "YXZ"


def _turn(axes: str) -> np.ndarray:
  if axes not in Y_UP:
    raise ValueError(f"got axes {axes!r}, expected {', '.join(map(repr, Y_UP))}.")
  return Y_UP[axes]


def _check(fps, unit: str) -> None:
  if not 0 < fps < np.inf:
    raise ValueError(f"got fps={fps}, expected frames per second, above 0.")
  if unit not in UNITS:
    raise ValueError(f"got the unit {unit!r}, expected 'cm' or 'm'.")


def _stated(unit: str) -> str:
  if unit == "m":
    return "The file is in metres, y up."
  return "The file is in centimetres, y up: in Blender, import it with the scale 0.01."
