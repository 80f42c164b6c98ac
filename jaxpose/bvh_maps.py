"""BVH motion as clips of h36m17 joints: metres, world with z up, an even frame rate."""

import dataclasses

import numpy as np

from jaxpose import bvh
from jaxpose import bvh_bones
from jaxpose import head_points
from jaxpose import motion_pieces
from jaxpose import skeletons
from jaxpose.bvh_dialects import DIALECTS
from jaxpose.bvh_dialects import UP
from jaxpose.bvh_dialects import Dialect
from jaxpose.bvh_dialects import find_dialect
from jaxpose.bvh_dialects import missing

_NECK, _HEAD = (skeletons.get("h36m17").index(name) for name in ("neck", "head"))
_SMPL_PARENTS = skeletons.get("smpl24").parents[1:22]


def to_h36m17(take: bvh.Bvh, dialect: Dialect | None = None) -> np.ndarray:
  """(t, 17, 3) metres, world z up, of every frame but an inserted T-pose.

  Bones that the file's conversion lost are put back, if the dialect wants it.

  Raises:
    ValueError: joints of the dialect (by default the one whose joints are all there)
      are missing, or the legs are not those of a person.
  """
  dialect = dialect or find_dialect(take.names)
  lacking = missing(dialect, take.names)
  if lacking:
    raise ValueError(
      f"got a skeleton without {', '.join(lacking)}, expected the joints of the "
      f"skeleton map; it has {', '.join(take.names)}."
    )
  if dialect.t_pose and _starts_with_t_pose(take):
    take = dataclasses.replace(take, motion=take.motion[1:])
  if dialect.lost_bones:
    take = bvh_bones.put_back(take)
  positions, rotations = take.forward_kinematics()
  joints = np.stack(
    [
      positions[:, [take.names.index(joint) for joint in group]].mean(1)
      for group in dialect.joints
    ],
    1,
  )
  head = take.names.index(dialect.joints[_HEAD][0])
  joints[:, _HEAD] += rotations[:, head] @ np.asarray(dialect.head)
  if dialect.head_bone:
    base = take.names.index(dialect.joints[_NECK][0])
    joints[:, [_NECK, _HEAD]] = head_points.nose_and_crown(
      positions[:, base], dialect.head_bone, rotations[:, base]
    )
  joints = dialect.unit * joints
  leg = np.linalg.norm(np.diff(joints[:1, 1:4], axis=1), axis=-1).sum(-1)
  if not ((0.4 < leg) & (leg < 1.3)).all():
    raise ValueError(
      f"got legs of {leg[0]:.3g} m, expected about 0.8 m; the file's unit of length is "
      "not that of its conversion, rescale it."
    )
  return joints @ np.asarray(UP[dialect.up], float).T


def to_smpl(take: bvh.Bvh, dialect: Dialect | None = None) -> np.ndarray:
  """(t, 22, 3, 3) rotations of SMPL's joints, of every frame but an inserted T-pose.

  Relative to the parent joint; the root's to the world, z up. The bones of the file's
  rest pose are not SMPL's: `body_fit.fit_subject` finds out by how much.

  Raises:
    ValueError: the dialect does not say whose rotations they are, or they are missing.
  """
  dialect = dialect or find_dialect(take.names)
  if not dialect.rotations:
    raise ValueError(
      f"got a skeleton map without rotations, expected one of {', '.join(DIALECTS)}."
    )
  lacking = sorted(set(dialect.rotations) - set(take.names))
  if lacking:
    raise ValueError(
      f"got a skeleton without {', '.join(lacking)}, expected all joints of its "
      "dialect; only the config 'mesh' needs them."
    )
  if dialect.t_pose and _starts_with_t_pose(take):
    take = dataclasses.replace(take, motion=take.motion[1:])
  _, world = take.forward_kinematics()
  world = world[:, [take.names.index(joint) for joint in dialect.rotations]]
  parents = np.asarray(_SMPL_PARENTS)
  local = np.swapaxes(world[:, parents], -1, -2) @ world[:, 1:]
  return np.concatenate([np.asarray(UP[dialect.up], float) @ world[:, :1], local], 1)


def _starts_with_t_pose(take: bvh.Bvh) -> bool:
  # The conversions that insert one set the root's rotation to exactly 0, which a
  # captured frame never is.
  turns = [i for i, name in enumerate(take.channels[0]) if name in bvh.ROTATION]
  return len(take.motion) > 1 and not take.motion[0, turns].any()


def pieces(
  take: bvh.Bvh,
  dialect: Dialect | None = None,
  fps: float = motion_pieces.FPS,
  *,
  with_rotations: bool = False,
) -> list[motion_pieces.Piece]:
  """The take at `fps`, cut where it jumps.

  Raises:
    ValueError: as `to_h36m17` and, with rotations, `to_smpl`.
  """
  joints = to_h36m17(take, dialect)
  turns = to_smpl(take, dialect) if with_rotations else None
  rate = round(1 / take.frame_time, 3)  # files write 1/120 s as .0083333
  return motion_pieces.pieces(joints, turns, rate, fps)
