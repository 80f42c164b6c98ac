"""Boxes of the person: of the release's own masks, else round the 2D joints."""

import pathlib

import numpy as np

from .siblings import films

MASKS = "boxes of the release"
JOINTS = "2D joints"


def find(folder: pathlib.Path) -> dict[tuple[str, str], pathlib.Path]:
  """(subject, "TAKE.CAMERA") -> file of the release's boxes."""
  return {
    (path.parts[-4], path.stem): path
    for path in sorted(folder.rglob("MySegmentsMat/ground_truth_bb/*.mat"))
  }


def boxes(
  path: pathlib.Path | None, frames: np.ndarray, keypoints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """(t, 4) cx, cy, w, h of frames, and (t,) which of them are the release's.

  Args:
    path: of the release's boxes; None if there are none.
    frames: (t,) numbers.
    keypoints: (t, j, 2) pixels, for frames that the file does not have.
  """
  found = films.round_joints(keypoints)
  if path is None:
    return found, np.zeros(len(frames), bool)
  read = of_masks(path, frames)
  missing = np.isnan(read).any(-1)
  return np.where(missing[:, None], found, read), ~missing


def of_masks(path: pathlib.Path, frames: np.ndarray) -> np.ndarray:
  """(t, 4) boxes of a file of the release; NaN for frames that it does not have.

  The file is MATLAB's of version 7.3 and holds, in the cell array Masks, one picture
  for each frame that is 1 inside the box. One picture at a time is in memory.

  Raises:
    ValueError: it is no such file, or is damaged.
  """
  try:
    import h5py
  except ModuleNotFoundError as error:
    raise ValueError(
      f"{path}: got a MATLAB file of version 7.3, which needs h5py; pip install "
      "'jaxpose[hdf5]'."
    ) from error
  found = np.full((len(frames), 4), np.nan)
  try:
    with h5py.File(path, "r") as file:
      cells = file["Masks"][()].reshape(-1)
      for row, number in enumerate(frames):
        if number < len(cells):
          mask = np.asarray(file[cells[number]][()]) > 0  # MATLAB's axes: x, y
          x, y = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
          if len(x):
            low, high = np.array([x[0], y[0]]), np.array([x[-1], y[-1]])
            found[row] = [*(low + high) / 2, *(high - low + 1)]
  except Exception as error:  # damaged files raise anything
    raise ValueError(
      f"{path}: truncated or damaged, or no MATLAB file with the cell array Masks "
      f"({type(error).__name__}: {str(error)[:80]}); download it again, or take it "
      "away to use boxes round the 2D joints."
    ) from error
  return found
