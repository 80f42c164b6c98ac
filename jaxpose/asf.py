"""Acclaim motion capture: ASF skeletons and AMC motion, as the CMU database has them.

The format is that of Acclaim's "ASF/AMC file specifications" as the CMU database and
Vicon BodyBuilder write it. A bone turns about its start by C M C^-1, where C comes from
its `axis` and M from its degrees of freedom, both about fixed axes in the order that
the file names, and hangs at the end of its parent.
"""

import dataclasses
import pathlib

import numpy as np
from scipy.spatial.transform import Rotation

INCH = 0.0254  # metres; a file's unit of length is 1 / `:units length` inch
ROOT = "root"
_ANGLES = ("rx", "ry", "rz")
_PLACES = ("tx", "ty", "tz")


@dataclasses.dataclass(frozen=True)
class Bone:
  """A bone of an ASF file; `root` is one without length.

  Attributes:
    name: as in the file.
    parent: index of the bone at whose end it starts, -1 for the root.
    offset: (3,) from its start to its end in the rest pose, metres.
    axis: (3, 3) C, the frame in which its angles are given.
    dof: its degrees of freedom, in the order of the AMC file: rx, ry, rz, and of the
      root tx, ty, tz.
  """

  name: str
  parent: int
  offset: np.ndarray
  axis: np.ndarray
  dof: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Asf:
  """A skeleton in its rest pose.

  Attributes:
    bones: parents before their children, the root first.
    unit: metres in one unit of length of the files.
    position: (3,) metres, of the root in the rest pose.
    degrees: whether angles are in degrees where the AMC file does not say.
  """

  bones: tuple[Bone, ...]
  unit: float
  position: np.ndarray
  degrees: bool

  @property
  def names(self) -> tuple[str, ...]:
    """Of the bones."""
    return tuple(bone.name for bone in self.bones)

  def index(self, name: str) -> int:
    """Position of a bone; ValueError with the names there are if it is absent."""
    if name not in self.names:
      raise ValueError(
        f"got a skeleton without the bone {name!r}, expected CMU's bones; it has "
        f"{', '.join(self.names)}."
      )
    return self.names.index(name)


@dataclasses.dataclass(frozen=True)
class Posed:
  """A skeleton in motion, in the axes of the file (CMU's have y up).

  Attributes:
    ends: (t, bones, 3) metres; of the root its position.
    rotations: (t, bones, 3, 3) from the rest pose, in the world.
  """

  ends: np.ndarray
  rotations: np.ndarray


def read_asf(path: pathlib.Path) -> Asf:
  """The skeleton of an ASF file.

  Raises:
    ValueError: a section, bone or number is missing or cannot be read.
  """
  try:
    return parse_asf(_text(path))
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None


def read_amc(path: pathlib.Path, skeleton: Asf) -> list[np.ndarray]:
  """The motion of an AMC file, see `parse_amc`; errors name the file."""
  try:
    return parse_amc(_text(path), skeleton)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None


def parse_asf(text: str) -> Asf:
  """As `read_asf`, of the file's text."""
  sections = _sections(text)
  units = {line[0]: line[1:] for line in sections["units"] if len(line) > 1}
  scale = _numbers(units.get("length", ["1"]), 1, "the length of :units")[0]
  if scale <= 0:
    raise ValueError(f"got a :units length of {scale:g}, expected more than 0.")
  unit, degrees = INCH / scale, _is_degrees(units.get("angle", ["deg"])[0])
  root = {line[0]: line[1:] for line in sections["root"]}
  axes = root.get("axis", ["XYZ"])[0]
  orientation = _numbers(
    root.get("orientation", ["0"] * 3), 3, "the root's orientation"
  )
  position = _numbers(root.get("position", ["0"] * 3), 3, "the root's position")
  dof = tuple(word.lower() for word in root.get("order", ()))
  if sorted(dof) != sorted((*_ANGLES, *_PLACES)):
    raise ValueError(
      f"got the root's order {' '.join(dof)!r}, expected TX TY TZ RX RY RZ in some "
      "order."
    )
  turn = _turn(axes, orientation, degrees)
  bones = [Bone(ROOT, -1, np.zeros(3), turn, dof)]
  parents, described = _hierarchy(sections["hierarchy"]), {}
  for block in _blocks(sections["bonedata"]):
    bone = _bone(block, unit, degrees)
    if bone.name in described or bone.name == ROOT:
      raise ValueError(f"got the bone {bone.name!r} twice, expected each once.")
    described[bone.name] = bone
  unknown = sorted(set(parents) - set(described))
  if unknown:
    raise ValueError(
      f"got no :bonedata for {', '.join(unknown)} of the :hierarchy, expected all "
      "bones."
    )
  index = {ROOT: 0}
  for name, parent in parents.items():  # parents come before their children
    index[name] = len(bones)
    bones.append(dataclasses.replace(described[name], parent=index[parent]))
  return Asf(tuple(bones), unit, unit * np.asarray(position), degrees)


def parse_amc(text: str, skeleton: Asf) -> list[np.ndarray]:
  """(t, degrees of freedom) of each bone: radians, and metres of the root's position.

  A bone that a frame does not name rests; a bone without degrees of freedom has none.

  Raises:
    ValueError: no frame, an unknown bone, numbers missing or not finite, or frames that
      are not numbered on.
  """
  degrees, body = _amc_head(text, skeleton.degrees)
  values = _even_frames(body.split(), skeleton)
  if values is None:
    values = _any_frames(body, skeleton)
  made = []
  for bone, array in zip(skeleton.bones, values, strict=True):
    if not np.isfinite(array).all():
      frame = int(np.flatnonzero(~np.isfinite(array).all(-1))[0])
      raise ValueError(
        f"got a number of {bone.name} that is not finite in frame {frame + 1}, "
        "expected angles and positions; cut the frame or get the file again."
      )
    is_angle = np.isin(bone.dof, _ANGLES) if bone.dof else np.zeros(0, bool)
    factor = np.where(is_angle, np.pi / 180 if degrees else 1.0, skeleton.unit)
    made.append(array * factor)
  return made


def pose(skeleton: Asf, motion: list[np.ndarray]) -> Posed:
  """Forward kinematics.

  Args:
    skeleton: whose bones move.
    motion: as `parse_amc` returns it.
  """
  frames = len(motion[0])
  ends = np.empty((frames, len(skeleton.bones), 3))
  rotations = np.empty((frames, len(skeleton.bones), 3, 3))
  for i, (bone, values) in enumerate(zip(skeleton.bones, motion, strict=True)):
    at = [k for k, name in enumerate(bone.dof) if name in _ANGLES]
    own = bone.axis @ bone.axis.T
    if at:
      order = "".join(bone.dof[k][1] for k in at)
      turn = Rotation.from_euler(order, values[:, at]).as_matrix()
      own = bone.axis @ turn.reshape(frames, 3, 3) @ bone.axis.T
    if bone.parent < 0:
      places = [bone.dof.index(name) for name in _PLACES]
      rotations[:, i] = own
      ends[:, i] = skeleton.position + values[:, places]
    else:
      rotations[:, i] = rotations[:, bone.parent] @ own
      ends[:, i] = ends[:, bone.parent] + rotations[:, i] @ bone.offset
  return Posed(ends, rotations)


def _text(path: pathlib.Path) -> str:
  return path.read_bytes().decode("utf-8-sig", errors="replace")


def _sections(text: str) -> dict[str, list[list[str]]]:
  """Words of each line by section, without comments; all sections are there."""
  sections: dict[str, list[list[str]]] = {}
  current = None
  for line in text.splitlines():
    words = line.partition("#")[0].split()
    if not words:
      continue
    if words[0].startswith(":"):
      current = sections.setdefault(words[0][1:].lower(), [])
    elif current is not None:
      current.append(words)
  lacking = [
    name for name in ("units", "root", "bonedata", "hierarchy") if name not in sections
  ]
  if lacking:
    raise ValueError(
      f"got no section :{', :'.join(lacking)}, expected an ASF file with :units, "
      ":root, :bonedata and :hierarchy; the file is cut short or of another format."
    )
  return sections


def _blocks(lines: list[list[str]]) -> list[list[list[str]]]:
  """Lines between each `begin` and its `end`."""
  blocks, block = [], None
  for words in lines:
    if words[0] == "begin":
      block = []
    elif words[0] == "end" and block is not None:
      blocks.append(block)
      block = None
    elif block is not None:
      block.append(words)
  if block is not None:
    raise ValueError("got a bone without its `end`, expected `begin` and `end`.")
  return blocks


def _bone(block: list[list[str]], unit: float, degrees: bool) -> Bone:
  """A bone of :bonedata; its parent is not known yet."""
  fields = {words[0]: words[1:] for words in block}
  name = " ".join(fields.get("name", ["?"]))
  lacking = [f for f in ("name", "direction", "length", "axis") if not fields.get(f)]
  if lacking:
    raise ValueError(f"bone {name!r}: got no {', '.join(lacking)}, expected all four.")
  direction = _numbers(fields["direction"], 3, f"the direction of {name!r}")
  (length,) = _numbers(fields["length"], 1, f"the length of {name!r}")
  size = np.linalg.norm(direction)
  if not 0.99 < size < 1.01 and length:
    raise ValueError(
      f"bone {name!r}: got a direction of length {size:.3g}, expected a unit vector."
    )
  *angles, axes = (
    fields["axis"] if len(fields["axis"]) > 3 else [*fields["axis"], "XYZ"]
  )
  turn = _turn(axes, _numbers(angles, 3, f"the axis of {name!r}"), degrees)
  dof = tuple(word.lower() for word in fields.get("dof", ()))
  foreign = [word for word in dof if word not in _ANGLES]
  if foreign or len(set(dof)) < len(dof):
    raise ValueError(
      f"bone {name!r}: got the degrees of freedom {' '.join(dof)!r}, expected rx, ry "
      "and rz, each at most once: bones keep their length and hang at their parents."
    )
  return Bone(name, 0, unit * length * np.asarray(direction), turn, dof)


def _hierarchy(lines: list[list[str]]) -> dict[str, str]:
  """Each bone's parent; parents before their children."""
  parents: dict[str, str] = {}
  for parent, *children in (w for w in lines if w[0] not in ("begin", "end")):
    if parent != ROOT and parent not in parents:
      raise ValueError(
        f":hierarchy: got children of {parent!r} before its own line, expected parents "
        "first, from the root on."
      )
    for child in children:
      if child in parents or child == ROOT:
        raise ValueError(f":hierarchy: got {child!r} twice, expected one parent each.")
      parents[child] = parent
  if not parents:
    raise ValueError(":hierarchy: got no bone, expected at least one child of root.")
  return parents


def _numbers(words, count: int, what: str) -> list[float]:
  try:
    found = [float(word) for word in words]
  except ValueError:
    found = []
  if len(found) != count or not np.isfinite(found).all():
    raise ValueError(
      f"got {' '.join(words)!r} for {what}, expected {count} finite "
      f"number{'s' if count > 1 else ''}."
    )
  return found


def _is_degrees(word: str) -> bool:
  kind = word.lower().lstrip(":")
  if not kind.startswith(("deg", "rad")):
    raise ValueError(f"got the angle unit {word!r}, expected deg or rad.")
  return kind.startswith("deg")


def _turn(axes: str, angles: list[float], degrees: bool) -> np.ndarray:
  """About the fixed axes in their order: XYZ is x first."""
  if sorted(axes.lower()) != ["x", "y", "z"]:
    raise ValueError(f"got the axis order {axes!r}, expected XYZ in some order.")
  by_name = dict(zip("xyz", angles, strict=True))
  # ASF gives the angles as x, y, z whatever the order in which they are applied.
  ordered = [by_name[letter] for letter in axes.lower()]
  return Rotation.from_euler(axes.lower(), ordered, degrees=degrees).as_matrix()


def _amc_head(text: str, degrees: bool) -> tuple[bool, str]:
  """Whether angles are in degrees, and the frames without comments."""
  lines = text.splitlines()
  if "#" in text:
    lines = [line.partition("#")[0] for line in lines]
  start = 0
  while start < len(lines) and lines[start].strip()[:1] in ("", ":"):
    word = lines[start].strip().lower()
    if word in (":degrees", ":radians"):
      degrees = _is_degrees(word)
    start += 1
  return degrees, "\n".join(lines[start:])


def _even_frames(tokens: list[str], skeleton: Asf) -> list[np.ndarray] | None:
  """The numbers if all frames name the same bones in the same order, else None."""
  dof = {bone.name: len(bone.dof) for bone in skeleton.bones}
  at, columns = 1, {}
  while at < len(tokens) and tokens[at] in dof and tokens[at] not in columns:
    columns[tokens[at]] = slice(at + 1, at + 1 + dof[tokens[at]])
    at += 1 + dof[tokens[at]]
  if ROOT not in columns or len(tokens) % at:
    return None
  table = np.asarray(tokens, dtype=object).reshape(-1, at)
  for name, column in columns.items():
    if (table[:, column.start - 1] != name).any():
      return None
  values = []
  try:
    if (np.diff(table[:, 0].astype(int)) != 1).any():
      return None
    for bone in skeleton.bones:
      part = table[:, columns[bone.name]] if bone.name in columns else None
      zeros = np.zeros((len(table), len(bone.dof)))
      values.append(zeros if part is None else part.astype(np.float64))
  except ValueError:
    return None
  return values


def _any_frames(body: str, skeleton: Asf) -> list[np.ndarray]:
  """The numbers line by line; says which line is wrong."""
  bones = {bone.name: (i, len(bone.dof)) for i, bone in enumerate(skeleton.bones)}
  rest = [np.zeros(len(bone.dof)) for bone in skeleton.bones]
  frames: list[list[np.ndarray]] = []
  number = None  # of the frame; takes that were cut do not start at 1
  for line in body.splitlines():
    words = line.split()
    if not words:
      continue
    if len(words) == 1 and words[0].isdigit():
      if frames and int(words[0]) != number + 1:
        raise ValueError(
          f"got frame {words[0]} after frame {number}, expected {number + 1}; frames "
          "are missing, get the file again."
        )
      number = int(words[0])
      frames.append(list(rest))
      continue
    name, *numbers = words
    where = f"frame {number}, {name}"
    if name not in bones:
      raise ValueError(
        f"{where}: got a bone that the ASF file does not have, expected one of "
        f"{', '.join(bones)}; the two files are of different subjects."
      )
    if not frames:
      raise ValueError(f"got {name} before the number of a frame, expected it first.")
    index, count = bones[name]
    frames[-1][index] = (
      np.asarray(_numbers(numbers, count, where)) if count else rest[index]
    )
  if not frames:
    raise ValueError("got no frame, expected frames with their numbers.")
  return [np.stack(column) for column in zip(*frames, strict=True)]
