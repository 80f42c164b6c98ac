"""BVH motion files: reading, writing, kinematics, and the bones CMU's conversion lost.

Forward kinematics is in the file's own units.

The popular BVH conversion of CMU's motion capture (B. Hahne, cgspeed, 2010;
"MotionBuilder-friendly", "3dsMax-friendly") dropped two bones of CMU's ASF skeletons:
`thorax`, so that neck and shoulders hang at its lower end, 11.7 cm too low, and
`lwrist` and `rwrist`, the last third of the forearms. Rotations are right. `put_back`
restores the bones. Measured on the ASF files of 18 subjects:

  thorax   the vector of the bone below it, `upperback`: lengths differ by 1 % in the
           median and 4 % at most, end points by 1 to 11 mm
  wrists   exactly 0.5 of the forearm before it, and in its direction
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxpose import geometry

POSITION = ("Xposition", "Yposition", "Zposition")
ROTATION = ("Xrotation", "Yrotation", "Zrotation")


@dataclasses.dataclass(frozen=True)
class Bvh:
  """One motion file.

  End sites are joints without channels, named after their parent: `Head_end`.

  Attributes:
    names: of the joints in file order; parents come before children.
    parents: index of each joint's parent, -1 for the root.
    offsets: (j, 3) from the parent, in the parent's frame, file units.
    channels: of each joint, in file order, such as ("Zrotation", "Yrotation",
      "Xrotation"); rotations apply in that order, `R = Rz Ry Rx`.
    motion: (t, n) the channels of all joints side by side; angles in degrees.
    frame_time: seconds from one frame to the next.
  """

  names: tuple[str, ...]
  parents: tuple[int, ...]
  offsets: np.ndarray
  channels: tuple[tuple[str, ...], ...]
  motion: np.ndarray
  frame_time: float

  def index(self, joint: str) -> int:
    """Position of a joint on the joint axis."""
    return self.names.index(joint)

  def local_transforms(self) -> tuple[np.ndarray, np.ndarray]:
    """((t, j, 3, 3) rotations, (t, j, 3) steps), each relative to the parent.

    A step is the joint's offset, replaced by its position channels where it has any.
    """
    t, j = len(self.motion), len(self.names)
    rotations = np.broadcast_to(np.eye(3), (t, j, 3, 3)).copy()
    steps = np.broadcast_to(self.offsets, (t, j, 3)).copy()
    start = 0
    for i, channels in enumerate(self.channels):
      values = self.motion[:, start : start + len(channels)]
      start += len(channels)
      turns = [c for c, name in enumerate(channels) if name in ROTATION]
      if turns:
        order = "".join(channels[c][0].lower() for c in turns)
        rotations[:, i] = geometry.euler_to_matrix(np.radians(values[:, turns]), order)
      for c, name in enumerate(channels):
        if name in POSITION:
          steps[:, i, POSITION.index(name)] = values[:, c]
    return rotations, steps

  def forward_kinematics(self) -> tuple[np.ndarray, np.ndarray]:
    """((t, j, 3) positions in file units, (t, j, 3, 3) world rotations)."""
    rotations, steps = self.local_transforms()
    root = steps[:, 0]
    return geometry.forward_kinematics(rotations, steps, self.parents, root)


def read(path: pathlib.Path | str) -> Bvh:
  """The motion of a BVH file; ValueError with the file's name if it is damaged."""
  text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
  try:
    return parse(text)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None


def parse(text: str) -> Bvh:
  """The motion in the text of a BVH file."""
  header, found, body = text.partition("MOTION")
  words = header.split()
  if words[:1] != ["HIERARCHY"]:
    raise ValueError("got no HIERARCHY at the start, expected a BVH motion file.")
  if not found:
    raise ValueError("got no MOTION block, expected a complete BVH file; get it again.")
  names, parents, offsets, channels = _parse_hierarchy(iter(words[1:]))
  motion, frame_time = _parse_motion(body, sum(map(len, channels)))
  return Bvh(names, parents, offsets, channels, motion, frame_time)


def _parse_hierarchy(words: Iterator[str]):
  names, parents, offsets, channels = [], [], [], []
  open_joints: list[int] = []
  broken = ValueError(
    "got a HIERARCHY that stops early or has unbalanced braces, expected a complete "
    "tree; get the file again."
  )
  try:
    for word in words:
      if word in ("ROOT", "JOINT", "End"):
        label = next(words)
        if (word == "ROOT") != (not names) or (names and not open_joints):
          raise ValueError(
            f"got {word} {label} outside the tree, expected one ROOT that holds all "
            "joints."
          )
        parent = open_joints[-1] if open_joints else -1
        name = f"{names[parent]}_end" if word == "End" else label
        if word != "End" and name in names:
          raise ValueError(f"got two joints named {name}, expected distinct names.")
        names.append(name)
        parents.append(parent)
        offsets.append((0.0, 0.0, 0.0))
        channels.append(())
        open_joints.append(len(names) - 1)
        if next(words) != "{":
          raise broken
      elif word == "OFFSET":
        offsets[open_joints[-1]] = [_number(next(words), "OFFSET") for _ in range(3)]
      elif word == "CHANNELS":
        kinds = tuple(next(words) for _ in range(_number(next(words), word, int)))
        if not set(kinds) <= {*POSITION, *ROTATION} or len(set(kinds)) < len(kinds):
          raise ValueError(
            f"joint {names[open_joints[-1]]}: got the channels {' '.join(kinds)}, "
            f"expected each of {' '.join(POSITION + ROTATION)} at most once."
          )
        channels[open_joints[-1]] = kinds
      elif word == "}":
        open_joints.pop()
      else:
        raise ValueError(f"got {word!r} in the HIERARCHY, expected a BVH keyword.")
  except (StopIteration, IndexError):
    raise broken from None
  if open_joints or not names:
    raise broken
  return tuple(names), tuple(parents), np.asarray(offsets), tuple(channels)


def _number(word: str, where: str, kind: type = float):
  try:
    return kind(word)
  except ValueError:
    raise ValueError(f"got {word!r} after {where}, expected a number.") from None


_TIMING = re.compile(r"\s*Frames:\s*(\S+)\s+Frame\s+Time:\s*(\S+)")


def _parse_motion(body: str, num_channels: int) -> tuple[np.ndarray, float]:
  timing = _TIMING.match(body)
  if not timing:
    raise ValueError(
      "got a MOTION block without 'Frames:' and 'Frame Time:', expected both; get the "
      "file again."
    )
  frames = _number(timing[1], "Frames:", int)
  frame_time = _number(timing[2], "Frame Time:")
  if not (frames > 0 and 0 < frame_time < np.inf):
    raise ValueError(
      f"got {frames} frames of {frame_time:g} seconds, expected both above 0; without "
      "them the speed of the motion is not known."
    )
  try:
    values = np.array(body[timing.end() :].split(), np.float64)
  except ValueError as error:
    raise ValueError(
      f"got a motion value that is not a number ({error}), expected numbers only; get "
      "the file again."
    ) from None
  if not np.isfinite(values).all():
    raise ValueError("got NaN or infinite motion values, expected finite numbers.")
  if len(values) != frames * num_channels:
    raise ValueError(
      f"got {len(values)} motion values, expected {frames} frames x {num_channels} "
      f"channels = {frames * num_channels}; the file is cut short or damaged."
    )
  return values.reshape(frames, num_channels), frame_time


def write(path: pathlib.Path | str, motion: Bvh) -> None:
  """Writes a BVH file; leaves without channels become end sites."""
  children: dict[int, list[int]] = {}
  for joint, parent in enumerate(motion.parents):
    children.setdefault(parent, []).append(joint)
  lines = ["HIERARCHY"]

  def put(joint: int, depth: int):
    name, pad = motion.names[joint], "  " * depth
    is_end = not motion.channels[joint] and joint not in children
    kind = "ROOT" if depth == 0 else "JOINT"
    lines.append(f"{pad}End Site" if is_end else f"{pad}{kind} {name}")
    lines.append(f"{pad}{{")
    lines.append(
      f"{pad}  OFFSET " + " ".join(f"{x:.9g}" for x in motion.offsets[joint])
    )
    kinds = motion.channels[joint]
    if not is_end:
      lines.append(f"{pad}  CHANNELS {len(kinds)} {' '.join(kinds)}".rstrip())
    for child in children.get(joint, ()):
      put(child, depth + 1)
    lines.append(f"{pad}}}")

  put(0, 0)
  lines += ["MOTION", f"Frames: {len(motion.motion)}"]
  lines.append(f"Frame Time: {motion.frame_time:.9g}")
  lines += [" ".join(f"{x:.8g}" for x in frame) for frame in motion.motion]
  pathlib.Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


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
