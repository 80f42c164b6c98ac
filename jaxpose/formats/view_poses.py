"""`MultiviewPoses`, the result of `predict.multiview`, and its npz file."""

import dataclasses
import os
import pathlib

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.files import whole_files
from jaxpose.skeletons import Skeleton

_ARRAYS = ("keypoints_2d", "scores", "present", "joints_3d", "root_3d", "valid")
_WORDS = ("skeleton", "axes", "report")


@dataclasses.dataclass(frozen=True, eq=False)
class MultiviewPoses:
  """Poses of one person in every frame of a recording.

  Attributes:
    keypoints_2d: pixels of the recorded pictures, x right, y down, pixel centres at
      whole numbers; lens distortion included. NaN where a view is missing.
    scores: confidence of each, in (0, 1); 0 where a view is missing.
    present: False where a view is missing: no box, or no picture.
    joints_3d: metres, relative to the root joint (itself 0), in `axes`. NaN where
      unknown.
    root_3d: where the root is in the world, metres. NaN without a calibration, and in
      frames in which it could not be placed.
    valid: frames whose 3D to trust: a view was there and, where `axes` are a camera's,
      that one.
    skeleton: of the joint axis.
    cameras: names, of the view axis.
    axes: "world" (z up), or "camera NAME": x right, y down, z forward.
    fps: frames per second; 0 if unknown.
    report: what was missing or assumed, in words.
  """

  keypoints_2d: Float[np.ndarray, "t v j 2"]
  scores: Float[np.ndarray, "t v j"]
  present: Bool[np.ndarray, "t v"]
  joints_3d: Float[np.ndarray, "t j 3"]
  root_3d: Float[np.ndarray, "t 3"]
  valid: Bool[np.ndarray, " t"]
  skeleton: Skeleton
  cameras: tuple[str, ...]
  axes: str
  fps: float
  report: str

  def __len__(self) -> int:
    return len(self.joints_3d)

  @property
  def calibrated(self) -> bool:
    """Whether 3D joints have a place in the world."""
    return self.axes == "world"

  @property
  def joints_3d_world(self) -> Float[np.ndarray, "t j 3"]:
    """Joints in the world, metres; NaN where they could not be placed.

    Raises:
      ValueError: the recording has no calibration.
    """
    if not self.calibrated:
      raise ValueError(
        "got poses of a recording without calibration, expected one for "
        "joints_3d_world; joints_3d are relative to the root, in the axes of the "
        f"{self.axes}."
      )
    return self.joints_3d + self.root_3d[:, None]

  def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> pathlib.Path:
    """Writes an npz file; docs/multiview.md says what is in it.

    Raises:
      ValueError: the name does not end in .npz.
      FileExistsError: the file is there and `overwrite` is not said.
    """
    path = whole_files.check(path, (".npz",), overwrite)
    arrays = {name: getattr(self, name) for name in _ARRAYS}
    if self.calibrated:
      arrays["joints_3d_world"] = self.joints_3d_world
    words = dict(
      skeleton=self.skeleton.name,
      joints=list(self.skeleton.joints),
      cameras=list(self.cameras),
      axes=self.axes,
      fps=self.fps,
      report=self.report,
    )
    arrays |= {name: np.asarray(value) for name, value in words.items()}
    return whole_files.write(
      path, lambda file: np.savez_compressed(file, **arrays), overwrite=overwrite
    )

  @classmethod
  def load(cls, path: str | os.PathLike) -> "MultiviewPoses":
    """What `save` wrote.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is damaged, or another one.
    """
    found = whole_files.load_npz(path, "MultiviewPoses.save")
    lacking = [key for key in (*_ARRAYS, *_WORDS, "cameras", "fps") if key not in found]
    if lacking:
      raise ValueError(
        f"{path} has no {', '.join(lacking)}, expected a file that MultiviewPoses.save "
        "wrote."
      )
    words = {key: str(found[key]) for key in _WORDS}
    return cls(
      **{key: found[key] for key in _ARRAYS},
      **words | dict(skeleton=skeletons.get(words["skeleton"])),
      cameras=tuple(map(str, found["cameras"])),
      fps=float(found["fps"]),
    )
