"""Poses as a table for spreadsheets: a row for each frame, a column for each number."""

import csv
import io
import os
import pathlib

import numpy as np
from jaxtyping import Float

from jaxpose import whole_files
from jaxpose.skeletons import Skeleton

# Unit -> how many make a metre, and decimals that tell a micrometre.
UNITS = {"m": (1, 6), "cm": (100, 4), "mm": (1000, 3)}


def save(
  path: str | os.PathLike,
  joints_3d: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  fps: int | float | np.number,
  *,
  unit: str = "mm",
  overwrite: bool = False,
) -> pathlib.Path:
  """Writes frame, time_s, then x, y and z of each joint, such as left_knee_x_mm.

  Cells of missing joints (NaN) are empty. The axes stay as they are: x right, y down, z
  forward for joints in the camera's frame, z up for those in the world's.

  Args:
    path: ends in .csv.
    joints_3d: metres.
    skeleton: of the joints.
    fps: frames per second.
    unit: of the numbers in the file, "m", "cm" or "mm"; it is in the header.
    overwrite: write over a file that is there.

  Raises:
    FileExistsError: the file is there, and `overwrite` is not said.
    ValueError: another ending, unit or shape, or no frame rate.
  """
  if unit not in UNITS:
    raise ValueError(f"got the unit {unit!r}, expected {', '.join(map(repr, UNITS))}.")
  if not 0 < fps < np.inf:
    raise ValueError(f"got fps={fps}, expected frames per second, above 0.")
  if joints_3d.shape[1] != skeleton.num_joints:
    raise ValueError(
      f"got {joints_3d.shape[1]} joints, expected {skeleton.num_joints} for the "
      f"skeleton {skeleton.name!r}."
    )
  scale, digits = UNITS[unit]
  text = io.StringIO()
  table = csv.writer(text, lineterminator="\n")
  names = [f"{joint}_{axis}_{unit}" for joint in skeleton.joints for axis in "xyz"]
  table.writerow(["frame", "time_s", *names])
  for i, frame in enumerate(np.float64(joints_3d) * scale):
    values = [f"{x:.{digits}f}" if np.isfinite(x) else "" for x in frame.reshape(-1)]
    table.writerow([i, f"{i / float(fps):.6f}", *values])
  content = text.getvalue().encode()
  return whole_files.write(
    path, lambda file: file.write(content), endings=(".csv",), overwrite=overwrite
  )
