"""TFDS builder of any folder of BVH files, filmed by virtual cameras."""

import dataclasses
import pathlib
import warnings
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from jaxpose import skeletons
from jaxpose.data import sequences
from jaxpose.files import user_folder
from jaxpose.formats import bvh
from jaxpose.formats import bvh_maps
from jaxpose.motion import motion_pieces
from jaxpose.skeletons import proportions

SKELETON = skeletons.get("h36m17")
SEED = 0  # of the virtual cameras
NUM_CAMERAS = 4
_OPTIONS = dict(
  fps=motion_pieces.FPS, num_cameras=NUM_CAMERAS, lost_bones=True, proportions=True
)


class Builder(tfds.core.GeneratorBasedBuilder):
  """One example is one virtual camera's view of one clip."""

  VERSION = tfds.core.Version("1.1.0")
  RELEASE_NOTES: ClassVar = {
    "1.0.0": "First release.",
    "1.1.0": "Bones that CMU's conversion lost are put back; proportions are checked.",
  }
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put BVH files in manual_dir, as SUBJECT/ACTION/FILE.bvh, and a skeleton.toml that "
    "maps their joints; README.md shows one."
  )

  @classmethod
  def config_named(cls, name: str) -> tfds.core.BuilderConfig:
    """A config of any name: the user's own for a folder of files."""
    if not name.isidentifier() or not name.isascii():
      raise ValueError(
        f"got the name {name!r} for a dataset, expected letters, digits and "
        "underscores only; choose another."
      )
    return tfds.core.BuilderConfig(name=name, description="Own BVH files.")

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(sequences.features(SKELETON))
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    dialect, options = read_map(raw)
    return {
      split: self._generate_examples(raw, paths, dialect, options)
      for split, paths in find(raw).items()
    }

  def _generate_examples(self, raw, paths, dialect, options):
    for name, subject, action, joints in read(raw, paths, dialect, options):
      yield from sequences.film(
        joints,
        sequences.clip_rng(SEED, name),
        num_cameras=options["num_cameras"],
        skeleton=SKELETON,
        fps=float(options["fps"]),
        sequence=name,
        subject=subject,
        action=action,
      )


def read_map(raw: pathlib.Path) -> tuple[bvh_maps.Dialect | None, dict]:
  """The dialect of skeleton.toml, None for the built-in ones, and the options.

  Raises:
    ValueError: the file is wrong.
  """
  found = user_folder.settings(raw, "skeleton") or {}
  options = _OPTIONS | {key: found.pop(key) for key in _OPTIONS if key in found}
  for key, value in options.items():
    if isinstance(_OPTIONS[key], bool):
      fine, expected = isinstance(value, bool), "true or false"
    else:
      numbers = int if key == "num_cameras" else int | float
      fine = not isinstance(value, bool) and isinstance(value, numbers) and value > 0
      expected = "a number above 0"
    if not fine:
      raise ValueError(
        f"{raw / 'skeleton.toml'}: got {key} = {value!r}, expected {expected}."
      )
  try:
    return bvh_maps.dialect_of(found) if found else None, options
  except ValueError as error:
    raise ValueError(f"{raw}: {error}") from None


def find(raw: pathlib.Path) -> dict[str, list[pathlib.Path]]:
  """The files of each split.

  Raises:
    ValueError: there are none, two have one name, or the splits file is wrong.
  """
  paths = sorted(p for p in raw.rglob("*") if p.suffix.lower() == ".bvh")
  if not paths:
    raise ValueError(
      f"{raw}: got no BVH files, expected some, as SUBJECT/ACTION/FILE.bvh."
    )
  names: dict[str, pathlib.Path] = {}
  for path in paths:
    name = user_folder.labels(path, raw)[2]
    if name in names:
      raise ValueError(
        f"{path}: got the sequence {name!r} a second time, first in {names[name]}; "
        "rename one."
      )
    names[name] = path
  rules = user_folder.settings(raw, "splits")
  subjects = {path: user_folder.labels(path, raw)[0] for path in paths}
  split_of = user_folder.splits(subjects.values(), rules, f"{raw}: splits")
  return {
    split: chosen
    for split in user_folder.SPLITS
    if (chosen := [path for path in paths if split_of[subjects[path]] == split])
  }


def read(
  raw: pathlib.Path, paths, dialect, options: dict
) -> Iterator[tuple[str, str, str, object]]:
  """(sequence, subject, action, joints) of each clip.

  Raises:
    ValueError: a file cannot be read or mapped, is of nobody, or none has a clip.
  """
  empty, whole_again = True, []
  for path in paths:
    subject, action, sequence = user_folder.labels(path, raw)
    take = bvh.read(path)
    try:
      kind = dialect or bvh_maps.find_dialect(take.names)
      kind = dataclasses.replace(kind, lost_bones=options["lost_bones"])
      pieces = bvh_maps.pieces(take, kind, float(options["fps"]))
    except ValueError as error:
      raise ValueError(f"{path}: {error}") from None
    if options["lost_bones"] and bvh.are_lost(take):
      whole_again.append(path.name)
    if options["proportions"]:
      _check(path, subject, pieces)
    for piece in pieces:
      empty = False
      yield sequence + piece.suffix, subject, action, piece.joints
  if empty:
    raise ValueError(
      f"{paths[0]}: got jumps faster than {motion_pieces.MAX_SPEED:g} m/s all through, "
      "here and in every other file of the split, expected human motion; replace the "
      "files."
    )
  if whole_again:
    more = len(whole_again) - 3
    warnings.warn(
      f"{raw}: thorax and wrists, which the cgspeed conversion of CMU's files lost, "
      f"are put back in {', '.join(whole_again[:3])}"
      + (f" and {more} more files" if more > 0 else "")
      + "; lost_bones = false in skeleton.toml leaves them.",
      stacklevel=2,
    )


def _check(path: pathlib.Path, subject: str, pieces: list[motion_pieces.Piece]) -> None:
  if not pieces:
    return
  joints = np.concatenate([piece.joints for piece in pieces])
  try:
    proportions.check(joints, SKELETON.name, f"subject {subject!r}")
  except ValueError as error:
    raise ValueError(
      f"{path}: {error} If they are right, set proportions = false in skeleton.toml."
    ) from None
