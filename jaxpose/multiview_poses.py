"""The result of `predict.multiview`, and its file."""

import dataclasses
import os
import pathlib

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.skeletons import Skeleton

_ARRAYS = ("keypoints_2d", "scores", "present", "joints_3d", "root_3d", "valid")


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
    path = pathlib.Path(path).expanduser()
    if path.suffix != ".npz":
      raise ValueError(f"got the file {path}, expected the ending .npz.")
    refuse_existing(path, overwrite)
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
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("wb") as file:
      np.savez_compressed(file, **arrays)
    unfinished.replace(path)
    return path

  @classmethod
  def load(cls, path: str | os.PathLike) -> "MultiviewPoses":
    """What `save` wrote.

    Raises:
      ValueError: the file is another one.
    """
    try:
      with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in _ARRAYS}
        words = {name: str(file[name]) for name in ("skeleton", "axes", "report")}
        names, fps = tuple(map(str, file["cameras"])), float(file["fps"])
    except (KeyError, ValueError, EOFError) as error:
      raise ValueError(
        f"{path}: cannot be read as poses of several views ({error}), expected a file "
        "that MultiviewPoses.save wrote."
      ) from error
    words["skeleton"] = skeletons.get(words["skeleton"])
    return cls(**arrays, **words, cameras=names, fps=fps)


def refuse_existing(path: pathlib.Path, overwrite: bool) -> None:
  """FileExistsError where there is something, unless it may go."""
  if path.exists() and not overwrite:
    raise FileExistsError(
      f"{path} exists and is not overwritten; choose another name, or say overwrite."
    )
