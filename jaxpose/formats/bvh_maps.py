"""BVH motion as clips of h36m17 joints: metres, world with z up, an even frame rate.

A map says which joint of a BVH file is which. The maps of CMU's conversions are here;
those of other files are read from a map file.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jaxpose import skeletons
from jaxpose.formats import bvh
from jaxpose.motion import motion_pieces
from jaxpose.skeletons import head_points

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
CMU_UNIT = 0.0254 / 0.45  # The CMU database counts in 1/0.45 inch.
_CMU_HEAD = 0.098 / CMU_UNIT  # mean of 18 subjects' ASF files
# Axis of the file that points up -> rows of the turn to a world with z up.
UP = {
  "x": ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
  "y": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
  "z": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
  "-x": ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
  "-y": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
  "-z": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
}
_JOINTS = skeletons.get("h36m17").joints


@dataclasses.dataclass(frozen=True)
class Dialect:
  """Joint names and unit of one kind of BVH file.

  Attributes:
    unit: metres in one unit of length.
    joints: for each h36m17 joint the BVH joints whose mean it is.
    rotations: for each of SMPL's joints without the hands the BVH joint whose world
      rotation it has; empty if that is not known.
    head: offset of the h36m17 head in the frame of its BVH joint, file units.
    up: axis of the file that points up, a key of `UP`.
    t_pose: a first frame whose root rotation is exactly 0 is an inserted T-pose.
    head_bone: length of the head's bone, file units, to make nose and crown from its
      joint's frame (`head_points`), which are h36m17's neck and head then; 0 takes
      these as `joints` and `head` have them.
    lost_bones: put back the bones that `bvh` knows to be lost, where a file bears
      the marks of that.
  """

  unit: float
  joints: tuple[tuple[str, ...], ...]
  rotations: tuple[str, ...] = ()
  head: tuple[float, float, float] = (0.0, 0.0, 0.0)
  up: str = "y"
  t_pose: bool = True
  head_bone: float = 0.0
  lost_bones: bool = True


def _joints(text: str) -> tuple[tuple[str, ...], ...]:
  return tuple(tuple(word.split("+")) for word in text.split())


# In the order of the skeleton h36m17: hip, right leg, left leg, spine to head, left
# arm, right arm. The thorax is the middle of the shoulders, as detectors' keypoints are
# mapped. The first two are the same skeleton under other names.
DIALECTS = {
  "motionbuilder": Dialect(
    CMU_UNIT,
    _joints("""
      LeftUpLeg+RightUpLeg
      RightUpLeg RightLeg RightFoot
      LeftUpLeg LeftLeg LeftFoot
      Spine LeftArm+RightArm Head Head_end
      LeftArm LeftForeArm LeftHand
      RightArm RightForeArm RightHand
    """),
    tuple(
      """
      Hips LeftUpLeg RightUpLeg LowerBack LeftLeg RightLeg Spine LeftFoot RightFoot
      Spine1 LeftToeBase RightToeBase Neck1 LeftShoulder RightShoulder Head
      LeftArm RightArm LeftForeArm RightForeArm LeftHand RightHand
      """.split()
    ),
    head_bone=_CMU_HEAD,
  ),
  "3dsmax": Dialect(
    CMU_UNIT,
    _joints("""
      LeftHip+RightHip
      RightHip RightKnee RightAnkle
      LeftHip LeftKnee LeftAnkle
      Chest LeftShoulder+RightShoulder Head Head_end
      LeftShoulder LeftElbow LeftWrist
      RightShoulder RightElbow RightWrist
    """),
    tuple(
      """
      Hips LeftHip RightHip lowerback LeftKnee RightKnee Chest LeftAnkle RightAnkle
      Chest2 LeftToe RightToe Neck LeftCollar RightCollar Head
      LeftShoulder RightShoulder LeftElbow RightElbow LeftWrist RightWrist
      """.split()
    ),
    head_bone=_CMU_HEAD,
  ),
  "daz": Dialect(
    0.01,
    _joints("""
      lThigh+rThigh
      rThigh rShin rFoot
      lThigh lShin lFoot
      abdomen+chest lShldr+rShldr head head
      lShldr lForeArm lHand
      rShldr rForeArm rHand
    """),
    tuple(
      """
      hip lThigh rThigh abdomen lShin rShin abdomen lFoot rFoot
      chest lFoot rFoot neck lCollar rCollar head
      lShldr rShldr lForeArm rForeArm lHand rHand
      """.split()
    ),
    head_bone=9.8,
  ),
}


def dialect_of(settings: Mapping) -> Dialect:
  """The dialect that a skeleton map file describes.

  Args:
    settings: `joints`: h36m17 joint -> BVH joint or list of those whose mean it is;
      `unit`: a key of `UNITS` or metres; and, if wanted, `up`, `head`, `t_pose` and
      `head_bone` of `Dialect`. Or `dialect`, a key of `DIALECTS`, and what of it to
      change.

  Raises:
    ValueError: something is missing, unknown or of the wrong kind.
  """
  known = ("dialect", "joints", "unit", "up", "head", "t_pose", "head_bone")
  _require(not (set(settings) - set(known)), sorted(settings), f"only {known}")
  name = settings.get("dialect")
  _require(name is None or name in DIALECTS, name, f"dialect to be in {list(DIALECTS)}")
  base = DIALECTS.get(name)
  joints = dict(zip(_JOINTS, base.joints, strict=True)) if base else {}
  for joint, names in settings.get("joints", {}).items():
    names = [names] if isinstance(names, str) else names
    _require(joint in _JOINTS, joint, f"joints to hold h36m17's: {', '.join(_JOINTS)}")
    words = isinstance(names, list) and all(isinstance(n, str) for n in names)
    _require(words and bool(names), names, f"joints.{joint} to be BVH joints")
    joints[joint] = tuple(names)
  lacking = [joint for joint in _JOINTS if joint not in joints]
  _require(not lacking, f"no {', '.join(lacking)}", "joints to hold all of h36m17")
  unit = settings.get("unit", base.unit if base else None)
  unit = UNITS.get(unit, unit) if isinstance(unit, str) else unit
  number = isinstance(unit, int | float) and not isinstance(unit, bool) and unit > 0
  _require(number, unit, f"unit to be in {list(UNITS)} or metres above 0")
  up = settings.get("up", base.up if base else "y")
  _require(up in UP, up, f"up to be in {list(UP)}")
  head = settings.get("head", base.head if base else (0.0, 0.0, 0.0))
  three = isinstance(head, list | tuple) and len(head) == 3
  _require(
    three and all(isinstance(x, int | float) for x in head), head, "head to be x, y, z"
  )
  t_pose = settings.get("t_pose", base.t_pose if base else False)
  _require(isinstance(t_pose, bool), t_pose, "t_pose to be true or false")
  ordered = tuple(joints[joint] for joint in _JOINTS)
  rotations = base.rotations if base else ()
  made = "head" in settings or {"neck", "head"} & set(settings.get("joints", {}))
  bone = settings.get("head_bone", base.head_bone if base and not made else 0.0)
  number = isinstance(bone, int | float) and not isinstance(bone, bool) and bone >= 0
  _require(number, bone, "head_bone to be a length, or 0")
  head = tuple(map(float, head))
  return Dialect(float(unit), ordered, rotations, head, up, t_pose, float(bone))


def _require(fine: bool, got, expected: str) -> None:
  if not fine:
    raise ValueError(f"skeleton map: got {got!r}, expected {expected}.")


def find_dialect(names: tuple[str, ...]) -> Dialect:
  """The dialect whose joints are all there; ValueError with what is missing if none."""
  lacking = {name: missing(dialect, names) for name, dialect in DIALECTS.items()}
  for name, joints in lacking.items():
    if not joints:
      return DIALECTS[name]
  nearest = min(lacking, key=lambda name: len(lacking[name]))
  raise ValueError(
    f"got a skeleton that is none of {', '.join(DIALECTS)}; the nearest, {nearest}, "
    f"needs {', '.join(lacking[nearest])} as well."
  )


def missing(dialect: Dialect, names: tuple[str, ...]) -> list[str]:
  """Joints of the dialect that are not among the names."""
  return sorted({joint for group in dialect.joints for joint in group} - set(names))


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
    take = bvh.put_back(take)
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
