"""What a clip is, and how the files of a take become clips."""

import dataclasses
import pathlib
import re
import zipfile
from collections.abc import Iterator

import numpy as np

from jaxpose.formats import asf_amc
from jaxpose.formats import asf_maps
from jaxpose.formats import bvh
from jaxpose.formats import bvh_maps
from jaxpose.motion import motion_pieces

RATE = 120.0  # frames per second of CMU's AMC files, which do not say so

_NAME = re.compile(r"(\d+)_(\d+)\w*")

# A file in a folder or in a zip archive.
Path = pathlib.Path | zipfile.Path


@dataclasses.dataclass(frozen=True)
class Clip:
  """One uninterrupted piece of motion.

  Attributes:
    name: unique in the data set.
    subject: CMU subject number.
    action: what is done, in words.
    joints: (t, 17, 3) metres, world with z up, h36m17 order.
    fps: frames per second.
    rotations: (t, 22, 3, 3) of SMPL's joints without the hands, relative to the parent
      joint, from a T-pose with y up, the root's to the world; None where not asked for.
    mended: whether bones that a BVH conversion lost were put back.
  """

  name: str
  subject: str
  action: str
  joints: np.ndarray
  fps: float
  rotations: np.ndarray | None = None
  mended: bool = False


def take_name(path: Path) -> tuple[int, int]:
  """(subject, trial) of a CMU file name such as `02_03.amc` or `60_10_daz.bvh`."""
  stem = path.name.rpartition(".")[0]
  match = _NAME.fullmatch(stem)
  if not match:
    raise ValueError(
      f"{path}: got a name without a CMU number, expected SUBJECT_TRIAL such as "
      "02_03.amc; the splits are made by subject, so rename the file."
    )
  return int(match[1]), int(match[2])


def read(
  path: Path,
  skeleton: Path | None,
  action: str = "unknown",
  *,
  with_rotations: bool = False,
) -> Iterator[Clip]:
  """The clips of one take; several (`_a`, `_b`, ...) where it had to be cut.

  Args:
    path: an AMC or BVH file.
    skeleton: the ASF file of an AMC file's subject; None for a BVH file.
    action: of the take.
    with_rotations: also those of SMPL's joints.

  Raises:
    ValueError: a file is damaged, or of another kind of skeleton.
  """
  subject, _ = take_name(path)
  mended = False
  if skeleton is not None:
    captured = asf_amc.read_asf(skeleton)
    posed = asf_amc.pose(captured, asf_amc.read_amc(path, captured))
    try:
      joints = asf_maps.to_h36m17(captured, posed)
      turns = asf_maps.to_smpl(captured, posed) if with_rotations else None
    except ValueError as error:
      raise ValueError(f"{skeleton}: {error}") from None
    found = motion_pieces.pieces(joints, turns, RATE)
  else:
    text = asf_amc.read_text(path)  # `bvh.read` knows no files in archives
    try:
      take = bvh.parse(text)
      mended = bvh.are_lost(take)
      found = bvh_maps.pieces(take, with_rotations=with_rotations)
    except ValueError as error:
      raise ValueError(f"{path}: {error}") from None
  for piece in found:
    yield Clip(
      name=path.name.rpartition(".")[0] + piece.suffix,
      subject=f"{subject:02d}",
      action=action,
      joints=piece.joints,
      fps=motion_pieces.FPS,
      rotations=piece.rotations,
      mended=mended,
    )
