"""Resamples a captured take to an even frame rate and cuts it where it jumps."""

import itertools
import string
from typing import NamedTuple

import numpy as np

from jaxpose import geometry

FPS = 50.0
# m/s between two captured frames. Ankles of runners reach 10, fists 13; lost markers
# that are found again make 20 and more.
MAX_SPEED = 15.0
MIN_PIECE = 0.6  # seconds; a window of 27 frames is 0.54


class Piece(NamedTuple):
  """A part of a take without jumps.

  Attributes:
    suffix: "" if it is the whole take, else "_a", "_b", ...
    joints: (t, 17, 3) float32 metres, h36m17, world with z up.
    rotations: (t, 22, 3, 3) float32 of SMPL's joints without the hands, relative to the
      parent, the root's to the world; or None.
  """

  suffix: str
  joints: np.ndarray
  rotations: np.ndarray | None


def pieces(
  joints: np.ndarray,
  rotations: np.ndarray | None,
  rate: float,
  fps: float = FPS,
) -> list[Piece]:
  """The pieces of a take that was captured at `rate` frames per second, at `fps`.

  Args:
    joints: (t, 17, 3) metres.
    rotations: (t, 22, 3, 3) of the same frames, or None.
    rate: of the take.
    fps: of the pieces.
  """
  parts = cut(joints, rate)
  # One that lost less than MIN_PIECE, such as a rest pose at its start, keeps its name.
  whole = len(parts) == 1
  made = []
  for i, part in enumerate(parts):
    suffix = "" if whole else f"_{letters(i)}"
    points = resample(joints[part], rate, fps).astype(np.float32)
    turns = None
    if rotations is not None:
      turns = resample(rotations[part], rate, fps)
      turns = geometry.project_to_rotation(turns).astype(np.float32)
    made.append(Piece(suffix, points, turns))
  return made


def resample(values: np.ndarray, rate: float, fps: float = FPS) -> np.ndarray:
  """Frames at `fps` by linear interpolation; the first frame stays."""
  frames = len(values)
  at = np.arange(0, (frames - 1) / rate + 1e-9, 1 / fps) * rate
  before = np.minimum(at.astype(int), max(frames - 2, 0))
  after = np.minimum(before + 1, frames - 1)
  weight = (at - before).reshape(-1, *[1] * (values.ndim - 1))
  return values[before] * (1 - weight) + values[after] * weight


def cut(joints: np.ndarray, rate: float = FPS) -> list[slice]:
  """The pieces between frames where a joint moves faster than a person can.

  Pieces under `MIN_PIECE` are dropped; a take without such a jump stays whole.
  """
  speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max(-1) * rate
  jumps = np.flatnonzero(speed > MAX_SPEED) + 1
  if not len(jumps):
    return [slice(0, len(joints))]
  ends = itertools.pairwise([0, *jumps.tolist(), len(joints)])
  return [slice(a, b) for a, b in ends if b - a >= MIN_PIECE * rate]


def letters(i: int) -> str:
  """A, b, ..., z, aa, ab, ..."""
  head, tail = divmod(i, 26)
  return (letters(head - 1) if head else "") + string.ascii_lowercase[tail]
