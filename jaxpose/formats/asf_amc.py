"""Acclaim skeletons (ASF), their motion (AMC), and forward kinematics of both.

ASF is Acclaim's "Skeleton File Definition" 1.10 as the CMU database and Vicon
BodyBuilder write it.

A bone hangs at the end of its parent and turns about its own start by C M C^-1. C comes
from its `axis`, M from its degrees of freedom; both are rotations about fixed axes in
the order that the ASF file names.
"""

import dataclasses
import lzma
import pathlib
import re
import zipfile
import zlib

import numpy as np

from jaxpose import geometry

INCH = 0.0254  # metres; a file's unit of length is 1 / `:units length` inch
ROOT = "root"
ANGLES = ("rx", "ry", "rz")
PLACES = ("tx", "ty", "tz")
_WHITE_SPACE = str.maketrans("(),", "   ")  # so says the definition
# What reading from a zip archive raises besides OSError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


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
        f"got a skeleton without the bone {name!r}, expected CMU's bones among its "
        f"{', '.join(self.names)}; take an ASF file of the CMU database."
      )
    return self.names.index(name)


def read_asf(path: pathlib.Path | zipfile.Path) -> Asf:
  """The skeleton of an ASF file.

  Raises:
    ValueError: a section, bone or number is missing or cannot be read.
  """
  text = read_text(path)
  try:
    return parse_asf(text)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None


def read_text(path: pathlib.Path | zipfile.Path) -> str:
  """A motion file's text; ValueError if the archive that it lies in is damaged."""
  try:
    return path.read_bytes().decode("utf-8-sig", errors="replace")
  except _DAMAGE as error:
    raise ValueError(
      f"{path}: got a file that cannot be unpacked ({error}), expected a whole zip "
      "archive without a password; get the archive again."
    ) from None


def parse_asf(text: str) -> Asf:
  """As `read_asf`, of the file's text."""
  sections = _sections(text)
  units = _fields(sections.get("units", []))  # optional, and so is each of them
  scale = _numbers(units.get("length", ["1"]), 1, "the length of :units")[0]
  if scale <= 0:
    raise ValueError(
      f"got a :units length of {scale:g}, expected more than 0; CMU's files have 0.45."
    )
  unit, degrees = INCH / scale, is_degrees(units.get("angle", ["deg"])[0])
  root = _fields(sections["root"])
  orientation = _numbers(
    root.get("orientation", ["0"] * 3), 3, "the root's orientation"
  )
  position = _numbers(root.get("position", ["0"] * 3), 3, "the root's position")
  dof = tuple(word.lower() for word in root.get("order", ()))
  if sorted(dof) != sorted((*ANGLES, *PLACES)):
    raise ValueError(
      f"got the root's order {_short(dof)}, expected TX TY TZ RX RY RZ in some order; "
      "get the file again."
    )
  turn = _turn(root.get("axis", ["XYZ"])[0], orientation, degrees)
  bones = [Bone(ROOT, -1, np.zeros(3), turn, dof)]
  parents, described = _hierarchy(sections["hierarchy"]), {}
  for block in _blocks(sections["bonedata"]):
    bone = _bone(block, unit, degrees)
    if bone.name in described or bone.name == ROOT:
      raise ValueError(
        f"got the bone {bone.name!r} twice, expected each once; keep one of them."
      )
    described[bone.name] = bone
  unknown = sorted(set(parents) - set(described))
  if unknown:
    raise ValueError(
      f"got no :bonedata for {', '.join(unknown)} of the :hierarchy, expected all "
      "bones; the file is cut short or damaged, get it again."
    )
  index = {ROOT: 0}
  for name, parent in parents.items():  # parents come before their children
    index[name] = len(bones)
    bones.append(dataclasses.replace(described[name], parent=index[parent]))
  return Asf(tuple(bones), unit, unit * np.asarray(position), degrees)


def _sections(text: str) -> dict[str, list[list[str]]]:
  """Words of each line by section, without comments."""
  sections: dict[str, list[list[str]]] = {}
  current = None
  for line in text.splitlines():
    words = line.partition("#")[0].translate(_WHITE_SPACE).split()
    if not words:
      continue
    if words[0].startswith(":"):
      current = sections.setdefault(words[0][1:].lower(), [])
    elif current is not None:
      current.append(words)
  lacking = [name for name in ("root", "bonedata", "hierarchy") if name not in sections]
  if lacking:
    raise ValueError(
      f"got no section :{', :'.join(lacking)}, expected an ASF file with :root, "
      ":bonedata and :hierarchy; the file is cut short or of another format, get it "
      "again."
    )
  return sections


def _fields(lines: list[list[str]]) -> dict[str, list[str]]:
  """Values by key word; those of a key word without any are missing."""
  return {words[0].lower(): words[1:] for words in lines if len(words) > 1}


def _blocks(lines: list[list[str]]) -> list[list[list[str]]]:
  """Lines between each `begin` and its `end`."""
  blocks, block = [], None
  for words in [*lines, ["begin"]]:
    word = words[0].lower()
    if word == "begin" and block is not None:
      raise ValueError(
        f"got the bone {_name(block)!r} without its `end`, expected `begin` and `end` "
        "around each; the file is cut short or damaged, get it again."
      )
    if word == "begin":
      block = []
    elif word == "end" and block is not None:
      blocks.append(block)
      block = None
    elif block is not None:
      block.append(words)
  return blocks


def _name(block: list[list[str]]) -> str:
  return " ".join(_fields(block).get("name", ["?"]))[:40]


def _bone(block: list[list[str]], unit: float, degrees: bool) -> Bone:
  """A bone of :bonedata; its parent is not known yet."""
  fields, name = _fields(block), _name(block)
  lacking = [f for f in ("name", "direction", "length", "axis") if f not in fields]
  if lacking:
    raise ValueError(
      f"bone {name!r}: got no {', '.join(lacking)}, expected name, direction, length "
      "and axis; get the file again."
    )
  direction = _numbers(fields["direction"], 3, f"the direction of {name!r}")
  (length,) = _numbers(fields["length"], 1, f"the length of {name!r}")
  size = np.linalg.norm(direction)
  if length < 0 or (length and not 0.99 < size < 1.01):
    raise ValueError(
      f"bone {name!r}: got a length of {length:g} along a direction of length "
      f"{size:.3g}, expected a length of 0 or more along a unit vector; get the file "
      "again."
    )
  *angles, axes = (
    fields["axis"] if len(fields["axis"]) > 3 else [*fields["axis"], "XYZ"]
  )
  turn = _turn(axes, _numbers(angles, 3, f"the axis of {name!r}"), degrees)
  dof = tuple(word.lower() for word in fields.get("dof", ()))
  if not set(dof) <= set(ANGLES) or len(set(dof)) < len(dof):
    raise ValueError(
      f"bone {name!r}: got the degrees of freedom {_short(dof)}, expected rx, ry and "
      "rz, each at most once, as bones keep their length and hang at their parents; "
      "take a skeleton that only turns."
    )
  return Bone(name, 0, unit * length * np.asarray(direction), turn, dof)


def _hierarchy(lines: list[list[str]]) -> dict[str, str]:
  """Each bone's parent; parents before their children."""
  parents: dict[str, str] = {}
  for parent, *children in (w for w in lines if w[0].lower() not in ("begin", "end")):
    if parent != ROOT and parent not in parents:
      raise ValueError(
        f"got children of {parent!r} in :hierarchy before its own parent, expected "
        "parents first, from the root on; sort the lines."
      )
    for child in children:
      if child in parents or child == ROOT:
        raise ValueError(
          f"got {child!r} twice in :hierarchy, expected one parent each; take one away."
        )
      parents[child] = parent
  if not parents:
    raise ValueError(
      "got no bone in :hierarchy, expected at least one child of root; the file is cut "
      "short, get it again."
    )
  return parents


def _numbers(words, count: int, what: str) -> list[float]:
  found = finite(words)
  if found is None or len(found) != count:
    raise ValueError(
      f"got {_short(words)} for {what}, expected {count} finite "
      f"number{'s' if count > 1 else ''}; get the file again."
    )
  return found


def finite(words) -> list[float] | None:
  """The words as numbers; None if one is none or is not finite."""
  try:
    found = [float(word) for word in words]
  except ValueError:
    return None
  return found if np.isfinite(found).all() else None


def _short(words) -> str:
  text = " ".join(words)
  return repr(text if len(text) <= 60 else text[:60] + " ...")


def is_degrees(word: str) -> bool:
  """Of `deg` or `rad`, also in full and as the key word of an AMC file."""
  kind = word.lower().lstrip(":")
  if not kind.startswith(("deg", "rad")):
    raise ValueError(
      f"got the angle unit {word[:40]!r}, expected deg or rad; get the file again."
    )
  return kind.startswith("deg")


def _turn(axes: str, angles: list[float], degrees: bool) -> np.ndarray:
  """About the fixed axes in their order: XYZ is x first."""
  if sorted(axes.lower()) != ["x", "y", "z"]:
    raise ValueError(
      f"got the axis order {axes[:40]!r}, expected XYZ in some order; get the file "
      "again."
    )
  # ASF gives the angles as x, y, z whatever the order in which they are applied.
  by_name = dict(zip("xyz", np.radians(angles) if degrees else angles, strict=True))
  order = axes.lower()[::-1]  # fixed axes: the first turn is the last factor
  return geometry.euler_to_matrix(np.asarray([by_name[x] for x in order]), order)


@dataclasses.dataclass(frozen=True)
class Posed:
  """A skeleton in motion, in the axes of the file (CMU's have y up).

  Attributes:
    ends: (t, bones, 3) metres; of the root its position.
    rotations: (t, bones, 3, 3) from the rest pose, in the world.
  """

  ends: np.ndarray
  rotations: np.ndarray


def read_amc(path: pathlib.Path | zipfile.Path, skeleton: Asf) -> list[np.ndarray]:
  """The motion of an AMC file, see `parse_amc`; errors name the file."""
  text = read_text(path)
  try:
    return parse_amc(text, skeleton)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None


def parse_amc(text: str, skeleton: Asf) -> list[np.ndarray]:
  """(t, degrees of freedom) of each bone: radians, and metres of the root's position.

  All frames name the same bones. One that they leave out rests.

  Raises:
    ValueError: no frame, an unknown bone, numbers missing or not finite, frames that
      are not numbered on or name other bones than the first.
  """
  degrees, body = _head(text, skeleton.degrees)
  values = _even_frames(body.split(), skeleton)
  if values is None:
    values = _any_frames(body, skeleton)
  made = []
  for bone, array in zip(skeleton.bones, values, strict=True):
    turns = np.isin(bone.dof, ANGLES) if bone.dof else np.zeros(0, bool)
    made.append(array * np.where(turns, np.pi / 180 if degrees else 1.0, skeleton.unit))
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
    at = [k for k, name in enumerate(bone.dof) if name in ANGLES]
    own = np.eye(3)
    if at:
      at.reverse()  # fixed axes: the first turn is the last factor
      order = "".join(bone.dof[k][1] for k in at)
      own = bone.axis @ geometry.euler_to_matrix(values[:, at], order) @ bone.axis.T
    if bone.parent < 0:
      places = [bone.dof.index(name) for name in PLACES]
      rotations[:, i] = own
      ends[:, i] = skeleton.position + values[:, places]
    else:
      rotations[:, i] = rotations[:, bone.parent] @ own
      ends[:, i] = ends[:, bone.parent] + rotations[:, i] @ bone.offset
  return Posed(ends, rotations)


def _head(text: str, degrees: bool) -> tuple[bool, str]:
  """Whether angles are in degrees, and the frames without comments."""
  lines = text.splitlines()
  start = 0
  while start < len(lines) and lines[start].strip()[:1] in ("", ":", "#"):
    word = lines[start].strip().lower()
    if word.startswith((":deg", ":rad")):
      degrees = is_degrees(word)
    start += 1
  body = "\n".join(lines[start:])
  return degrees, re.sub("#.*", "", body) if "#" in body else body


def _even_frames(words: list[str], skeleton: Asf) -> list[np.ndarray] | None:
  """The numbers if all frames name the same bones in the same order, else None."""
  dof = {bone.name: len(bone.dof) for bone in skeleton.bones}
  at, columns = 1, {}  # words of a frame, and which of them are a bone's
  while at < len(words) and words[at] in dof and words[at] not in columns:
    columns[words[at]] = slice(at + 1, at + 1 + dof[words[at]])
    at += 1 + dof[words[at]]
  if ROOT not in columns or len(words) % at:
    return None
  table = np.asarray(words, dtype=object).reshape(-1, at)
  for name, column in columns.items():
    if (table[:, column.start - 1] != name).any():
      return None
  values = []
  try:
    if (np.diff(table[:, 0].astype(int)) != 1).any():
      return None
    for bone in skeleton.bones:
      part = np.zeros((len(table), len(bone.dof)))
      if bone.name in columns:
        part = table[:, columns[bone.name]].astype(np.float64)
      values.append(part)
  except (ValueError, OverflowError):
    return None
  return values if all(np.isfinite(part).all() for part in values) else None


def _any_frames(body: str, skeleton: Asf) -> list[np.ndarray]:
  """The numbers line by line; says which line is wrong."""
  dof = {bone.name: len(bone.dof) for bone in skeleton.bones}
  frames: list[dict[str, list[float]]] = []
  number = first = 0  # of a frame; takes that were cut do not start at 1
  for line in body.splitlines():
    words = line.split()
    if not words:
      continue
    if len(words) == 1 and words[0].isdecimal() and len(words[0]) < 19:
      if frames and int(words[0]) != number + 1:
        raise ValueError(
          f"got frame {words[0]} after frame {number}, expected {number + 1}; "
          "frames are missing, get the file again."
        )
      number = int(words[0])
      first = first if frames else number
      frames.append({})
      continue
    name, *rest = words
    if not frames:
      raise ValueError(
        f"got {name[:40]!r} where the number of the first frame belongs, expected an "
        "AMC file; get it again."
      )
    if name not in dof:
      raise ValueError(
        f"got the bone {name[:40]!r} in frame {number}, which the ASF file does not "
        f"have, expected some of {', '.join(dof)}; take the two files of one subject."
      )
    if name in frames[-1]:
      raise ValueError(
        f"got {name} twice in frame {number}, expected it once; the file is damaged, "
        "get it again."
      )
    values = finite(rest)
    if values is None or len(values) != dof[name]:
      raise ValueError(
        f"got {' '.join(rest)[:60]!r} for {name} in frame {number}, expected as many "
        f"finite numbers as its degrees of freedom, {dof[name]}; get the file again, "
        "or take the two files of one subject."
      )
    frames[-1][name] = values
  return _stacked(frames, first, skeleton)


def _stacked(frames, first: int, skeleton: Asf) -> list[np.ndarray]:
  """The numbers of each bone, once all frames are seen to name the same ones."""
  if not frames:
    raise ValueError("got no frame, expected an AMC file with some; get it again.")
  for number, frame in enumerate(frames, first):
    others = frames[0].keys() ^ frame.keys()
    if others:
      raise ValueError(
        f"got {', '.join(sorted(others))} in only one of the frames {first} and "
        f"{number}, expected the same bones in all; the file is cut short or damaged, "
        "get it again."
      )
  if ROOT not in frames[0]:
    raise ValueError(
      "got frames without root, expected its place in each; get the file again."
    )
  return [
    np.asarray([frame.get(bone.name, [0.0] * len(bone.dof)) for frame in frames])
    for bone in skeleton.bones
  ]
