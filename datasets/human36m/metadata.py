"""Cameras from the release's own metadata.xml."""

import pathlib
import re

import numpy as np

from jaxpose import geometry
from jaxpose.geometry.cameras import Camera

from . import protocol

_SUBJECTS = 11  # S1 to S11


def cameras(path: pathlib.Path) -> dict[str, list[Camera]]:
  """The four cameras of each subject, in the order of `protocol.CAMERAS`.

  The element w0 holds 300 numbers: for each camera and, within it, each subject, three
  angles and a position in millimetres; then for each camera fx, fy, cx, cy, k1, k2, k3
  and the two tangential coefficients, that of y before that of x.

  Raises:
    ValueError: the file does not hold them.
  """
  text = path.read_text(encoding="utf-8", errors="replace")
  found = re.search(r"<w0>\s*\[?([^\]<]*)\]?\s*</w0>", text)
  try:
    numbers = np.asarray(found[1].split(), np.float64)
  except (TypeError, ValueError):
    numbers = np.zeros(0)
  if numbers.shape != (300,) or not np.isfinite(numbers).all():
    raise ValueError(
      f"{path}: got {len(numbers)} camera parameters in <w0>, expected 300 numbers; "
      "take metadata.xml from the official code release of Human3.6M."
    )
  split = len(protocol.CAMERAS) * _SUBJECTS * 6
  outer = numbers[:split].reshape(len(protocol.CAMERAS), _SUBJECTS, 6)
  lenses = numbers[split:].reshape(len(protocol.CAMERAS), 9)[:, [*range(7), 8, 7]]
  rigs = {}
  for subject in protocol.SUBJECTS:
    placed = outer[:, int(subject[1:]) - 1]
    rotations = geometry.euler_to_matrix(placed[:, :3], "xyz")
    rigs[subject] = [
      Camera(
        rotation.astype(np.float32),
        (position / 1000).astype(np.float32),
        lens.astype(np.float32),
        size,
        name,
      )
      for rotation, position, lens, size, name in zip(
        rotations,
        placed[:, 3:],
        lenses,
        protocol.IMAGE_SIZES,
        protocol.CAMERAS,
        strict=True,
      )
    ]
  return rigs
