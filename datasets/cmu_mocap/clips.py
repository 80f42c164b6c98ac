"""What a clip is, and the reader of the prepared npz files."""

import dataclasses
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np

from jaxpose import geometry

KEYS = ("joints3d", "clip_start", "clip_len", "clip_name", "subject", "action", "fps")
ROTATIONS = "theta"  # needed for bodies alone


@dataclasses.dataclass(frozen=True)
class Clip:
  """One uninterrupted piece of motion.

  Attributes:
    name: unique in the data set.
    subject: CMU subject number, or "u" where it is not known.
    action: what is done, in words.
    joints: (t, 17, 3) metres, world with z up, h36m17 order.
    fps: frames per second.
    rotations: (t, 22, 3, 3) of SMPL's joints without the hands, relative to the parent
      joint, from a T-pose with y up, the root's to the world; None where unknown.
  """

  name: str
  subject: str
  action: str
  joints: np.ndarray
  fps: float
  rotations: np.ndarray | None = None


def read_prepared(path: pathlib.Path) -> Iterator[Clip]:
  """The clips of one npz that already holds h36m17 joints, in the order of the file."""
  try:
    with np.load(path, allow_pickle=False) as arrays:
      data = {key: arrays[key] for key in (*KEYS, ROTATIONS) if key in arrays}
  except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
    raise ValueError(
      f"{path}: got a damaged npz ({error}), expected NumPy arrays; get the file again."
    ) from None
  missing = [key for key in KEYS if key not in data]
  if missing:
    raise ValueError(
      f"{path}: got no {', '.join(missing)}, expected the arrays {', '.join(KEYS)}; "
      "put the prepared CMU files, or BVH files, in manual_dir."
    )
  joints = data["joints3d"]
  if joints.ndim != 3 or joints.shape[1:] != (17, 3):
    raise ValueError(
      f"{path}: got joints3d of shape {joints.shape}, expected (frames, 17, 3) in the "
      "order of the skeleton h36m17."
    )
  theta = data.get(ROTATIONS)
  if theta is not None and theta.shape != (len(joints), 22, 3):
    raise ValueError(
      f"{path}: got theta of shape {theta.shape}, expected ({len(joints)}, 22, 3): "
      "axis-angle of SMPL's joints without the hands."
    )
  for i, name in enumerate(data["clip_name"]):
    start, length = int(data["clip_start"][i]), int(data["clip_len"][i])
    if start < 0 or length < 1 or start + length > len(joints):
      raise ValueError(
        f"{path}: clip {name} spans the frames {start} to {start + length}, expected "
        f"frames within the {len(joints)} of joints3d; get the file again."
      )
    frames = slice(start, start + length)
    yield Clip(
      name=str(name),
      subject=str(data["subject"][i]),
      action=str(data["action"][i]),
      joints=joints[frames],
      fps=float(data["fps"]),
      rotations=None
      if theta is None
      else geometry.axis_angle_to_matrix(np.float32(theta[frames])),
    )
