"""Acclaim motion (AMC files), and forward kinematics of the skeletons that it moves.

A bone turns about its start by C M C^-1, where C comes from its `axis` and M from its
degrees of freedom, both about fixed axes in the order that the ASF file names, and
hangs at the end of its parent.
"""

import dataclasses
import pathlib
import re
import zipfile

import numpy as np

from jaxpose import asf
from jaxpose import geometry
from jaxpose.asf import Asf


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
  text = asf.read_text(path)
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
    turns = np.isin(bone.dof, asf.ANGLES) if bone.dof else np.zeros(0, bool)
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
    at = [k for k, name in enumerate(bone.dof) if name in asf.ANGLES]
    own = np.eye(3)
    if at:
      at.reverse()  # fixed axes: the first turn is the last factor
      order = "".join(bone.dof[k][1] for k in at)
      own = bone.axis @ geometry.euler_to_matrix(values[:, at], order) @ bone.axis.T
    if bone.parent < 0:
      places = [bone.dof.index(name) for name in asf.PLACES]
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
      degrees = asf.is_degrees(word)
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
  if asf.ROOT not in columns or len(words) % at:
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
    values = asf.finite(rest)
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
  if asf.ROOT not in frames[0]:
    raise ValueError(
      "got frames without root, expected its place in each; get the file again."
    )
  return [
    np.asarray([frame.get(bone.name, [0.0] * len(bone.dof)) for frame in frames])
    for bone in skeleton.bones
  ]
