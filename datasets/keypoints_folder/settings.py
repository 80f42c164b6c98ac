"""What the user's skeleton.toml says of a folder of keypoints."""

import dataclasses
import fnmatch
import pathlib

import numpy as np

from jaxpose import skeletons
from jaxpose.files import user_folder
from jaxpose.formats import keypoint_files
from jaxpose.skeletons import skeleton_maps

from . import calibrated

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}


@dataclasses.dataclass(frozen=True)
class Settings:
  """Of a folder; README.md says more.

  Attributes:
    image_size: width and height in pixels, or pattern of sequences -> these.
    fps: frames per second.
    to: skeleton of the records.
    format: of the files, None to tell by their content.
    skeleton: of the files, None where they say it.
    joints: joint of `to` -> joints of the files whose mean it is; empty for the maps
      of `jaxpose.skeletons.skeleton_maps`.
    unit: of 3D joints.
    min_confidence: a keypoint with less is missing.
    max_gap: frames that a missing keypoint is interpolated over.
    one_file_per_frame: folders are videos, also where names do not tell.
    cameras: pattern of sequences -> a table of `calibrated.KEYS`; empty if not known.
    up: axis of the cameras' world that points up.
    space: of 3D joints, "camera" or "world".
  """

  image_size: object
  fps: float
  to: str = "h36m17"
  format: str | None = None
  skeleton: str | None = None
  joints: dict = dataclasses.field(default_factory=dict)
  unit: str = "m"
  min_confidence: float = 0.3
  max_gap: int = 10
  one_file_per_frame: bool = False
  cameras: dict = dataclasses.field(default_factory=dict)
  up: str = "z"
  space: str = "camera"

  def size_of(self, sequence: str) -> tuple[int, int]:
    """Width and height of a sequence's images; ValueError if no pattern matches."""
    sizes = self.image_size
    if isinstance(sizes, dict):
      matching = [p for p in sizes if fnmatch.fnmatchcase(sequence, p)]
      if not matching:
        raise ValueError(
          f"got no image_size for {sequence!r}, expected one of the patterns "
          f'{", ".join(sizes)} to match; add one, such as "*"'
        )
      sizes = sizes[matching[0]]
    return int(sizes[0]), int(sizes[1])

  def matrix(self, skeleton: str, joints: tuple[str, ...], count: int) -> np.ndarray:
    """(target, count) weights that make the records' joints of a file's.

    Args:
      skeleton: of the file, empty if it does not say.
      joints: names in the file, as far as it says.
      count: number of joints in the file.

    Raises:
      ValueError: the joints are not known, or cannot be made.
    """
    target = skeletons.get(self.to)
    if not self.joints:
      source = self.skeleton or skeleton
      if not source:
        raise ValueError(
          f"got {count} joints of no known skeleton, expected skeleton or [joints] in "
          "skeleton.toml to say which they are"
        )
      if skeletons.get(source).num_joints != count:
        raise ValueError(
          f"got {count} joints, expected the {skeletons.get(source).num_joints} of "
          f"{source}; correct skeleton in skeleton.toml"
        )
      return skeleton_maps.joint_map(source, self.to)
    if self.skeleton:
      joints = skeletons.get(self.skeleton).joints
    matrix = np.zeros((target.num_joints, count), np.float32)
    for row, name in enumerate(target.joints):
      parts = self.joints[name]
      for part in parts:
        column = part if isinstance(part, int) else -1
        if isinstance(part, str) and part in joints:
          column = joints.index(part)
        if not 0 <= column < count:
          told = ", ".join(joints) or f"only the numbers 0 to {count - 1}"
          raise ValueError(
            f"got {part!r} for {name} in skeleton.toml, expected a joint of the file; "
            f"there are {told}"
          )
        matrix[row, column] += 1 / len(parts)
    return matrix


def read(raw: pathlib.Path) -> Settings:
  """The settings of a folder.

  Raises:
    ValueError: the file is missing or wrong.
  """
  found = user_folder.settings(raw, "skeleton")
  if found is None:
    raise ValueError(
      f"{raw}: got no skeleton.toml, expected one with image_size and fps at least; "
      "README.md of keypoints_folder shows one."
    )
  try:
    return _checked(found)
  except ValueError as error:
    raise ValueError(f"{raw}: skeleton.toml: {error}.") from error


def _checked(found: dict) -> Settings:
  known = [field.name for field in dataclasses.fields(Settings)]
  unknown = sorted(set(found) - set(known))
  if unknown:
    raise ValueError(f"got {unknown[0]!r}, expected {', '.join(known)}")
  missing = [key for key in ("image_size", "fps") if key not in found]
  if missing:
    raise ValueError(f"got no {missing[0]}, expected it: the files do not say")
  made = Settings(**found)
  sizes = made.image_size
  for size in sizes.values() if isinstance(sizes, dict) else [sizes]:
    numbers = isinstance(size, list) and [type(n) for n in size] == [int, int]
    _require(numbers and min(size) > 0, "image_size", size, "[width, height] in pixels")
  choices = dict(unit=UNITS, format=(None, *keypoint_files.FORMATS))
  choices |= dict(up=calibrated.UPS, space=("camera", "world"))
  choices |= dict(to=skeletons.SKELETONS, skeleton=(None, *skeletons.SKELETONS))
  for key, allowed in choices.items():
    value = getattr(made, key)
    fine = isinstance(value, str | None) and value in allowed
    _require(fine, key, value, ", ".join(a for a in allowed if a))
  for key, kind, least in (
    ("fps", int | float, 1e-9),
    ("min_confidence", int | float, 0),
    ("max_gap", int, 0),
  ):
    value = getattr(made, key)
    number = isinstance(value, kind) and not isinstance(value, bool)
    _require(number and value >= least, key, value, "a number, not negative")
  flag = made.one_file_per_frame
  _require(isinstance(flag, bool), "one_file_per_frame", flag, "true or false")
  _require(isinstance(made.joints, dict), "joints", made.joints, "a table")
  _require(isinstance(made.cameras, dict), "cameras", made.cameras, "a table")
  for pattern, table in made.cameras.items():
    keys = set(table) if isinstance(table, dict) else set()
    fine = {"K", "R", "t"} <= keys <= set(calibrated.KEYS)
    told = sorted(keys) or table
    _require(
      fine, f"cameras.{pattern}", told, "a table of K, R, t and, if wanted, dist"
    )
  if made.space == "world" and not made.cameras:
    raise ValueError(
      "got space = 'world' without [cameras], expected them: the records are in the "
      "camera's frame"
    )
  if not made.joints:
    return made
  wanted = skeletons.get(made.to).joints
  joints = {
    name: parts if isinstance(parts, list) else [parts]
    for name, parts in made.joints.items()
  }
  for name in {*wanted, *joints}:
    parts = joints.get(name, [])
    kinds = all(type(part) in (int, str) for part in parts)
    fine = name in wanted and bool(parts) and kinds
    _require(fine, f"joints.{name}", parts, f"joints for each of {made.to}, no more")
  return dataclasses.replace(made, joints=joints)


def _require(fine: bool, key: str, got, expected: str) -> None:
  if not fine:
    raise ValueError(f"got {key} = {got!r}, expected {expected}")
