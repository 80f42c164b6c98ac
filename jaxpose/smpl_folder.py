"""SMPL's bodies by gender, under the names that their files have in the wild."""

import os
import pathlib
from collections.abc import Iterable
from collections.abc import Sequence

from jaxpose import body_files
from jaxpose.body import Body


def folders(manual_dir: str | os.PathLike) -> list[pathlib.Path]:
  """Where bodies may lie: a folder `smpl` of the raw files, or JAXPOSE_SMPL_DIR."""
  named = os.environ.get("JAXPOSE_SMPL_DIR")
  found = [pathlib.Path(manual_dir) / "smpl", *([pathlib.Path(named)] if named else [])]
  return [folder for folder in found if folder.is_dir()]


def load(
  places: Iterable[pathlib.Path], genders: Sequence[str]
) -> dict[str, Body] | None:
  """The body of each gender ("male", "female"), or None if no place has any of them.

  Raises:
    ValueError: only some are there, or a file is not SMPL.
    FileNotFoundError: J_regressor_extra.npy is missing.
  """
  for place in places:
    found = body_files.by_gender(place)
    missing = [gender for gender in genders if gender not in found]
    if len(missing) == len(genders):
      continue
    if missing:
      there = ", ".join(path.name for path in found.values())
      raise ValueError(
        f"{place}: got {there}, expected SMPL's {' and '.join(missing)} body too, such "
        f"as SMPL_{missing[0].upper()}.pkl; add it, or take the others away."
      )
    return {gender: body_files.load(found[gender]) for gender in genders}
  return None
