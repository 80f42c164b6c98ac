"""Joint positions to rotations of a skeleton with bones of constant length.

Positions leave the turn of a bone about itself open. Here it is known for the pelvis
and the chest (the line of the hips and of the shoulders), and for upper legs and arms
from the plane in which knee and elbow bend, as far as they bend. All others turn with
their parents, by no more than their bone's direction asks for.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
from jaxtyping import Float

from jaxpose import geometry
from jaxpose.skeletons import Skeleton

SKELETONS = ("h36m17", "smpl24", "humaneva15")

# From the parent, in a T-pose that faces +z with y up; x is mirrored on the right.
_SIDE = dict(
  hip=(1, 0, 0),
  knee=(0, -1, 0),
  ankle=(0, -1, 0),
  foot=(0, -1, 0),
  collar=(1, 1, 0),
  shoulder=(1, 0, 0),
  elbow=(1, 0, 0),
  wrist=(1, 0, 0),
  hand=(1, 0, 0),
)
_FOOT_OF_ANKLE = (0, -0.4, 1)
_UP = (0.0, 1.0, 0.0)
# The axis about which a joint bends, of the left side; y is mirrored on the right.
_BENDS = dict(hip=("knee", (1.0, 0, 0)), shoulder=("elbow", (0, -1.0, 0)))
_STRAIGHT, _BENT = 0.15, 0.45  # sine of the bend: its plane counts not, and fully
_TWIST_SECONDS = 0.1


class Rotations(NamedTuple):
  """What `fit` returns.

  Attributes:
    local: (t, j, 3, 3) relative to the parent's; the root's to the world.
    offsets: (j, 3) of each joint from its parent in the T-pose, metres; 0 for the root.
    joints_3d: (t, j, 3) of the fitted skeleton.
  """

  local: np.ndarray
  offsets: np.ndarray
  joints_3d: np.ndarray


def fit(
  joints_3d: Float[np.ndarray, "t j 3"], skeleton: Skeleton, fps: float
) -> Rotations:
  """The skeleton with median bone lengths that follows the joints.

  From the root on, each bone points from where its fitted joint is to where the next
  joint was given, so that differences of length do not add up along a limb.

  Args:
    joints_3d: metres, y up.
    skeleton: of the joints, one of `SKELETONS`.
    fps: frames per second.

  Raises:
    ValueError: another skeleton, missing joints, or a shape that does not fit.
  """
  joints = _checked(joints_3d, skeleton)
  children = [
    [c for c, p in enumerate(skeleton.parents) if p == j]
    for j in range(skeleton.num_joints)
  ]
  trunks = {
    j: _trunk(joints, skeleton, j, children[j])
    for j in range(skeleton.num_joints)
    if len(children[j]) > 1
  }
  offsets = _offsets(joints, skeleton, trunks)
  fitted, world = np.empty_like(joints), np.empty((*joints.shape, 3))
  fitted[:, skeleton.root] = joints[:, skeleton.root]
  for j, parent in enumerate(skeleton.parents):
    above = np.eye(3)[None] if parent < 0 else world[:, parent]
    if parent >= 0:
      fitted[:, j] = fitted[:, parent] + above @ offsets[j]
    if j in trunks:
      world[:, j] = trunks[j]
    elif not children[j]:
      world[:, j] = above
    else:
      (child,) = children[j]
      along = joints[:, child] - fitted[:, j]
      world[:, j] = _swing(above @ offsets[child], along) @ above
      bend = _bend(skeleton, j)
      if bend:
        next_along = joints[:, bend[1]] - joints[:, child]
        turn = _twist(world[:, j] @ bend[0], along, next_along, fps)
        world[:, j] = turn @ world[:, j]
  parents = np.asarray(skeleton.parents)
  local = np.swapaxes(world[:, parents], -1, -2) @ world
  local[:, skeleton.root] = world[:, skeleton.root]
  return Rotations(local, offsets, fitted)


def t_pose(skeleton: Skeleton) -> Float[np.ndarray, "j 3"]:
  """Unit direction of each joint from its parent in the T-pose; 0 for the root."""
  result = np.zeros((skeleton.num_joints, 3))
  for j, (name, parent) in enumerate(
    zip(skeleton.joints, skeleton.parents, strict=True)
  ):
    side, _, part = name.partition("_")
    if parent < 0:
      continue
    direction = np.asarray(_SIDE[part] if part in _SIDE else _UP, float)
    if part == "foot" and skeleton.joints[parent].endswith("ankle"):
      direction = np.asarray(_FOOT_OF_ANKLE)
    direction = direction * [-1 if side == "right" else 1, 1, 1]
    result[j] = direction / np.linalg.norm(direction)
  return result


def _trunk(joints, skeleton: Skeleton, j: int, children: list[int]) -> np.ndarray:
  """(t, 3, 3): x from the right to the left child, y along the trunk."""
  (left,) = (c for c in children if c in skeleton.left)
  (middle,) = (c for c in children if c not in (*skeleton.left, *skeleton.right))
  across = joints[:, left] - joints[:, int(skeleton.mirror[left])]
  parent = skeleton.parents[j]
  # The head moves apart from the chest, the spine with it.
  up = (
    joints[:, middle] - joints[:, j] if parent < 0 else joints[:, j] - joints[:, parent]
  )
  x = _unit(across)
  z = _unit(np.cross(x, up))
  return np.stack([x, np.cross(z, x), z], -1)


def _offsets(joints, skeleton: Skeleton, trunks) -> np.ndarray:
  """Rest offsets; those of the trunk's joints where they mostly are."""
  rest = t_pose(skeleton)
  for parent, j in skeleton.bones:
    bone = joints[:, j] - joints[:, parent]
    if parent in trunks:
      rest[j] = _unit(np.einsum("tij,ti->j", trunks[parent], bone))
    rest[j] *= np.median(np.linalg.norm(bone, axis=-1))
  return rest


def _bend(skeleton: Skeleton, j: int):
  """Rest axis about which the next joint bends, and the joint after it; or None."""
  side, _, part = skeleton.joints[j].partition("_")
  if part not in _BENDS:
    return None
  after, axis = _BENDS[part]
  middle = skeleton.index(f"{side}_{after}")
  end = skeleton.parents.index(middle)
  return np.asarray(axis) * [1, -1 if side == "right" else 1, 1], end


def _twist(axis, along, next_along, fps: float) -> np.ndarray:
  """(t, 3, 3) turns about `along` that bring `axis` to where the limb bends about."""
  along, next_along = _unit(along), _unit(next_along)
  normal = np.cross(along, next_along)
  sine = np.linalg.norm(normal, axis=-1)
  axis = axis - (axis * along).sum(-1, keepdims=True) * along
  angle = np.arctan2((np.cross(axis, normal) * along).sum(-1), (axis * normal).sum(-1))
  share = np.clip((sine - _STRAIGHT) / (_BENT - _STRAIGHT), 0, 1)
  share = share**2 * (3 - 2 * share)
  # As points of a circle, so that frames average; little known leaves the axis alone.
  sigma = _TWIST_SECONDS * fps
  parts = [share * np.cos(angle), share * np.sin(angle)]
  x, y = (scipy.ndimage.gaussian_filter1d(p, sigma, mode="nearest") for p in parts)
  return geometry.axis_angle_to_matrix(np.arctan2(y, x + 0.05)[:, None] * along)


def _swing(source, target) -> np.ndarray:
  """(t, 3, 3) the least rotation that takes one direction to another."""
  a, b = _unit(source), _unit(target)
  b = np.where(np.linalg.norm(b, axis=-1, keepdims=True) > 0, b, a)
  cosine = (a * b).sum(-1)[:, None]
  # Half a turn is about any axis that is at right angles.
  least = np.eye(3)[np.abs(a).argmin(-1)]
  away = _unit(np.cross(a, least))
  axis = np.where(cosine > -1 + 1e-9, np.cross(a, b), 0)
  sine = np.linalg.norm(axis, axis=-1, keepdims=True)
  angle = np.arctan2(sine, cosine)
  axis = np.where(sine > 0, axis / np.where(sine > 0, sine, 1), away)
  return geometry.axis_angle_to_matrix(angle * axis)


def _unit(vectors):
  length = np.linalg.norm(vectors, axis=-1, keepdims=True)
  return np.where(length > 1e-9, vectors / np.where(length > 1e-9, length, 1), 0)


def _checked(joints_3d, skeleton: Skeleton) -> np.ndarray:
  if skeleton.name not in SKELETONS:
    raise ValueError(
      f"got the skeleton {skeleton.name!r}, expected one whose bones can rotate: "
      f"{', '.join(SKELETONS)}; convert the joints first, see "
      "jaxpose.skeletons.skeleton_maps."
    )
  joints = np.asarray(joints_3d, np.float64)
  if joints.shape[1] != skeleton.num_joints or not len(joints):
    raise ValueError(
      f"got joints of shape {joints.shape}, expected (frames, {skeleton.num_joints}, "
      f"3) for the skeleton {skeleton.name!r}, with at least one frame."
    )
  if not np.isfinite(joints).all():
    frames = np.flatnonzero(~np.isfinite(joints).all((1, 2)))
    raise ValueError(
      f"got NaN or infinite joints in {len(frames)} frames (the first is {frames[0]}), "
      "expected all of them; fill them first, see jaxpose.motion.gaps.fill_gaps."
    )
  return joints
