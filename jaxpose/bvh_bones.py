"""Puts back the bones that the popular BVH conversion of CMU's motion capture lost.

The conversion by B. Hahne (cgspeed, 2010; "MotionBuilder-friendly", "3dsMax-friendly")
dropped two bones of CMU's own skeletons, the ASF files: `thorax`, so that neck and
shoulders hang at its lower end, 11.7 cm too low, and `lwrist` and `rwrist`, the last
third of the forearms. Rotations are right. Measured on the ASF files of 18 subjects:

  thorax   the vector of the bone below it, `upperback`: lengths differ by 1 % in the
           median and 4 % at most, end points by 1 to 11 mm
  wrists   exactly 0.5 of the forearm before it, and in its direction
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from jaxpose.bvh import Bvh

FOREARM = 1.5  # length with the wrist's bone, of what the conversion left


class _Marks(NamedTuple):
  """What tells the conversion from other files with the same joint names.

  Attributes:
    top: joint at the upper end of the spine; what hangs on it should be higher.
    hung: all that hangs on it, without an offset.
    hips: all that hangs on the root, without an offset.
    hands: (wrist, what hangs on it without an offset) of both sides.
  """

  top: str
  hung: frozenset[str]
  hips: frozenset[str]
  hands: tuple[tuple[str, frozenset[str]], ...]


def _marks(top: str, hung: str, hips: str, *hands: str) -> _Marks:
  sides = [hand.split() for hand in hands]
  return _Marks(
    top,
    frozenset(hung.split()),
    frozenset(hips.split()),
    tuple((wrist, frozenset(held)) for wrist, *held in sides),
  )


_CONVERSIONS = (
  _marks(
    "Spine1",
    "Neck LeftShoulder RightShoulder",
    "LHipJoint RHipJoint LowerBack",
    "LeftHand LeftFingerBase LThumb",
    "RightHand RightFingerBase RThumb",
  ),
  _marks(
    "Chest2",
    "lowerneck LeftCollar RightCollar",
    "LHipJoint RHipJoint lowerback",
    "LeftWrist lhand LThumb",
    "RightWrist rhand RThumb",
  ),
)


def are_lost(take: Bvh) -> bool:
  """Whether the file bears the marks of the conversion, in any unit of length.

  Its marks are the nine joints of both sides and the trunk that lie where their parent
  does, under its names and with nothing beside them. Other files with such names, of
  MotionBuilder or Mixamo, have offsets there.
  """
  return _conversion(take) is not None


def put_back(take: Bvh) -> Bvh:
  """The take with the lost bones, by the rule above; any other take as it is."""
  marks = _conversion(take)
  if marks is None:
    return take
  offsets = np.array(take.offsets, np.float64)
  top = take.index(marks.top)
  for joint in marks.hung:
    offsets[take.index(joint)] = offsets[top]
  for wrist, _ in marks.hands:
    offsets[take.index(wrist)] *= FOREARM
  return dataclasses.replace(take, offsets=offsets)


def _conversion(take: Bvh) -> _Marks | None:
  return next((m for m in _CONVERSIONS if _bears(take, m)), None)


def _bears(take: Bvh, marks: _Marks) -> bool:
  pairs = ((take.names[0], marks.hips), (marks.top, marks.hung), *marks.hands)
  return all(_hang_without_offset(take, *pair) for pair in pairs)


def _hang_without_offset(take: Bvh, parent: str, joints: frozenset[str]) -> bool:
  if parent not in take.names:
    return False
  at = take.index(parent)
  found = [i for i, above in enumerate(take.parents) if above == at]
  same = {take.names[i] for i in found} == joints
  return same and not take.offsets[found].any()
