"""CMU takes as BVH files -> clips of h36m17 joints in metres at 50 Hz, z up.

On demand also the rotations of SMPL's joints.
"""

import pathlib
import re
from collections.abc import Iterator

from jaxpose import bvh
from jaxpose import bvh_maps

from .clips import Clip

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
    pieces = bvh_maps.pieces(take, with_rotations=with_rotations)
  except ValueError as error:
    raise ValueError(f"{path}: {error}") from None
  for piece in pieces:
    yield Clip(
      name=path.stem + piece.suffix,
      subject=f"{subject:02d}",
      action=action,
      joints=piece.joints,
      fps=bvh_maps.FPS,
      rotations=piece.rotations,
    )
