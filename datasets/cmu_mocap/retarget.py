"""CMU takes as BVH files -> clips of h36m17 joints in metres at 50 Hz, z up.

On demand also the rotations of SMPL's joints.
"""

import dataclasses
import itertools
import pathlib
import re
import string
from collections.abc import Iterator

import numpy as np

from jaxpose import geometry
from jaxpose import skeletons

from . import bvh
from .clips import Clip

FPS = 50.0
MAX_SPEED = 9.0  # m/s; no joint of a person moves faster, a lost marker does.
MIN_PIECE = 1.5  # seconds


@dataclasses.dataclass(frozen=True)
class Dialect:
  """Joint names and unit of one BVH conversion of the CMU takes.

  Attributes:
    unit: metres in one unit of length.
    joints: for each h36m17 joint the BVH joints whose mean it is.
    rotations: for each of SMPL's joints without the hands the BVH joint whose world
      rotation it has.
    head: offset of the h36m17 head in the frame of its BVH joint, file units.
  """

  unit: float
  joints: tuple[tuple[str, ...], ...]
  rotations: tuple[str, ...]
  head: tuple[float, float, float] = (0.0, 0.0, 0.0)


def _joints(text: str) -> tuple[tuple[str, ...], ...]:
  return tuple(tuple(word.split("+")) for word in text.split())


_SMPL_PARENTS = skeletons.get("smpl24").parents[1:22]
_Z_UP = np.asarray([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # of y up

CMU_UNIT = 0.0254 / 0.45  # The database counts in 1/0.45 inch.

# In the order of the skeleton h36m17: hip, right leg, left leg, spine to head, left
# arm, right arm. The first two are the same skeleton under other names.
DIALECTS = {
  "motionbuilder": Dialect(
    CMU_UNIT,
    _joints("""
      LeftUpLeg+RightUpLeg
      RightUpLeg RightLeg RightFoot
      LeftUpLeg LeftLeg LeftFoot
      Spine Neck1 Head Head_end
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
  ),
  "3dsmax": Dialect(
    CMU_UNIT,
    _joints("""
      LeftHip+RightHip
      RightHip RightKnee RightAnkle
      LeftHip LeftKnee LeftAnkle
      Chest Neck Head Head_end
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
  ),
  "daz": Dialect(
    0.01,
    _joints("""
      lThigh+rThigh
      rThigh rShin rFoot
      lThigh lShin lFoot
      abdomen+chest neck head head
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
    head=(0.0, 11.5, 2.0),
  ),
}


def find_dialect(names: tuple[str, ...]) -> Dialect:
  """The dialect whose joints are all there; ValueError with what is missing if none."""
  lacking = {}
  for name, dialect in DIALECTS.items():
    needed = {joint for group in dialect.joints for joint in group}
    lacking[name] = sorted(needed - set(names))
    if not lacking[name]:
      return dialect
  nearest = min(lacking, key=lambda name: len(lacking[name]))
  raise ValueError(
    f"got a skeleton that is none of {', '.join(DIALECTS)}; the nearest, {nearest}, "
    f"needs {', '.join(lacking[nearest])} as well."
  )


def to_h36m17(take: bvh.Bvh) -> np.ndarray:
  """(t, 17, 3) metres, world z up, of every frame but an inserted T-pose."""
  dialect = find_dialect(take.names)
  if _starts_with_t_pose(take):
    take = dataclasses.replace(take, motion=take.motion[1:])
  positions, rotations = take.forward_kinematics()
  joints = np.stack(
    [
      positions[:, [take.names.index(joint) for joint in group]].mean(1)
      for group in dialect.joints
    ],
    1,
  )
  head = take.names.index(dialect.joints[10][0])
  joints[:, 10] += rotations[:, head] @ np.asarray(dialect.head)
  joints = dialect.unit * joints
  leg = np.linalg.norm(np.diff(joints[:1, 1:4], axis=1), axis=-1).sum(-1)
  if not ((0.4 < leg) & (leg < 1.3)).all():
    raise ValueError(
      f"got legs of {leg[0]:.3g} m, expected about 0.8 m; the file's unit of length is "
      "not that of its conversion, rescale it."
    )
  x, y, z = np.moveaxis(joints, -1, 0)
  return np.stack([x, -z, y], -1)


def to_smpl(take: bvh.Bvh) -> np.ndarray:
  """(t, 22, 3, 3) rotations of SMPL's joints, of every frame but an inserted T-pose.

  Relative to the parent joint; the root's to the world, z up. The bones of the file's
  rest pose are not SMPL's: `body_fit.fit_subject` finds out by how much.
  """
  dialect = find_dialect(take.names)
  lacking = sorted(set(dialect.rotations) - set(take.names))
  if lacking:
    raise ValueError(
      f"got a skeleton without {', '.join(lacking)}, expected all joints of its "
      "dialect; only the config 'mesh' needs them."
    )
  if _starts_with_t_pose(take):
    take = dataclasses.replace(take, motion=take.motion[1:])
  _, world = take.forward_kinematics()
  world = world[:, [take.names.index(joint) for joint in dialect.rotations]]
  parents = np.asarray(_SMPL_PARENTS)
  local = np.swapaxes(world[:, parents], -1, -2) @ world[:, 1:]
  return np.concatenate([_Z_UP @ world[:, :1], local], 1)


def _starts_with_t_pose(take: bvh.Bvh) -> bool:
  # The conversions that insert one set the root's rotation to exactly 0, which a
  # captured frame never is.
  turns = [i for i, name in enumerate(take.channels[0]) if name in bvh.ROTATION]
  return len(take.motion) > 1 and not take.motion[0, turns].any()


def resample(joints: np.ndarray, rate: float, fps: float = FPS) -> np.ndarray:
  """Frames at `fps` by linear interpolation; the first frame stays."""
  frames = len(joints)
  at = np.arange(0, (frames - 1) / rate + 1e-9, 1 / fps) * rate
  before = np.minimum(at.astype(int), max(frames - 2, 0))
  after = np.minimum(before + 1, frames - 1)
  weight = (at - before).reshape(-1, *[1] * (joints.ndim - 1))
  return joints[before] * (1 - weight) + joints[after] * weight


def cut(joints: np.ndarray, fps: float = FPS) -> list[slice]:
  """The pieces between frames where a joint moves faster than a person can.

  Pieces under `MIN_PIECE` are dropped; a take without such a jump stays whole.
  """
  speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(-1) * fps
  jumps = np.flatnonzero(speed > MAX_SPEED) + 1
  if not len(jumps):
    return [slice(0, len(joints))]
  ends = itertools.pairwise([0, *jumps.tolist(), len(joints)])
  return [slice(a, b) for a, b in ends if b - a >= MIN_PIECE * fps]


_NAME = re.compile(r"(\d+)_(\d+)\w*")


def take_name(path: pathlib.Path) -> tuple[int, int]:
  """(subject, trial) of a CMU file name such as `02_03.bvh` or `60_10_daz.bvh`."""
  match = _NAME.fullmatch(path.stem)
  if not match:
    raise ValueError(
      f"{path}: got a name without a CMU number, expected SUBJECT_TRIAL.bvh such as "
      "02_03.bvh; the splits are made by subject, so rename the file."
    )
  return int(match[1]), int(match[2])


def read_take(
  path: pathlib.Path, action: str = "unknown", *, with_rotations: bool = False
) -> Iterator[Clip]:
  """The clips of one BVH file; several (`_a`, `_b`, ...) where it had to be cut."""
  subject, _ = take_name(path)
  take = bvh.read(path)
  try:
    joints = to_h36m17(take)
    turns = to_smpl(take) if with_rotations else None
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None
  # The files write 1/120 s as .0083333.
  rate = round(1 / take.frame_time, 3)
  joints = resample(joints, rate)
  if turns is not None:
    turns = geometry.project_to_rotation(resample(turns, rate)).astype(np.float32)
  pieces = cut(joints)
  for i, piece in enumerate(pieces):
    whole = piece == slice(0, len(joints))
    yield Clip(
      name=path.stem if whole else f"{path.stem}_{_letters(i)}",
      subject=f"{subject:02d}",
      action=action,
      joints=joints[piece].astype(np.float32),
      fps=FPS,
      rotations=None if turns is None else turns[piece],
    )


def _letters(i: int) -> str:
  """A, b, ..., z, aa, ab, ..."""
  head, tail = divmod(i, 26)
  return (_letters(head - 1) if head else "") + string.ascii_lowercase[tail]
