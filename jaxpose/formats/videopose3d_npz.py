"""VideoPose3D's prepared files: 3D joints of the world, 2D keypoints of every camera.

`data_3d_*.npz` holds {subject: {action: (t, j, 3) metres}}, `data_2d_*.npz` of the same
subjects and actions a list with the keypoints (t, j, 2 or more) of each camera. The
cameras are in neither; the exact projections of `data_2d_*_gt.npz` determine them.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np

from jaxpose.files import object_npz
from jaxpose.geometry import cameras
from jaxpose.geometry.cameras import Camera

_FRAMES = 40  # of each action, to calibrate from

Poses = dict[str, dict[str, np.ndarray]]
Views = dict[str, dict[str, list[np.ndarray]]]


@dataclasses.dataclass(frozen=True)
class Rig:
  """The cameras of a dataset, in the order of the 2D lists.

  Attributes:
    names: of the cameras.
    sizes: width, height of each one's images.
  """

  names: tuple[str, ...]
  sizes: tuple[tuple[int, int], ...]


def require(folder: pathlib.Path, *names: str) -> list[pathlib.Path]:
  """The files of that name in a folder.

  Raises:
    ValueError: one is missing.
  """
  missing = [name for name in names if not (folder / name).is_file()]
  if missing:
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise ValueError(
      f"{folder}: got {found}, expected {', '.join(missing)} too; the README of the "
      "dataset says where to get the files."
    )
  return [folder / name for name in names]


def poses(path: pathlib.Path, joints: int) -> Poses:
  """3D joints of each subject and action.

  Raises:
    ValueError: the file is damaged or holds something else.
  """
  (held,) = object_npz.load(path, "positions_3d")
  for subject, action, array in _entries(path, held):
    _check(path, subject, action, array, (joints, 3), exact=True)
  return held


def views(path: pathlib.Path, joints: int, rig: Rig) -> Views:
  """2D keypoints of each subject, action and camera, pixels.

  Raises:
    ValueError: the file is damaged or holds something else.
  """
  (held,) = object_npz.load(path, "positions_2d")
  for subject, action, arrays in _entries(path, held):
    if not isinstance(arrays, list | np.ndarray) or len(arrays) < len(rig.names):
      count = len(arrays) if isinstance(arrays, list | np.ndarray) else arrays
      raise ValueError(
        f"{path}: {subject} {action!r}: got {count!r:.60} cameras, expected "
        f"{len(rig.names)}; get the file again."
      )
    for array in arrays:
      _check(path, subject, action, array, (joints, 2), exact=False)
  return held


def view(path, found: Views, subject: str, action: str, camera: int) -> np.ndarray:
  """(t, j, 2) keypoints that go with a motion.

  Raises:
    ValueError: the file has none.
  """
  if action not in found.get(subject, {}):
    known = ", ".join(found.get(subject, {})) or "nothing"
    raise ValueError(
      f"{path}: got {known[:120]} of {subject}, expected {action!r} too, of which "
      "there is 3D; the files do not belong together."
    )
  return found[subject][action][camera][..., :2]


def calibrate(
  motions: Mapping[str, np.ndarray],
  seen: Mapping[str, list[np.ndarray]],
  rig: Rig,
  label: str,
) -> list[Camera]:
  """The cameras that make one person's projections.

  Args:
    motions: name -> (t, j, 3) joints, world, metres.
    seen: the same names -> exact projections (t, j, 2) of each camera.
    rig: names and sizes.
    label: of files and person, for messages.

  Raises:
    ValueError: no camera does.
  """
  found = []
  for i, (name, size) in enumerate(zip(rig.names, rig.sizes, strict=True)):
    points, pixels = [], []
    for action, joints in motions.items():
      frames = min(len(joints), len(seen[action][i]))
      chosen = np.unique(np.linspace(0, frames - 1, min(frames, _FRAMES)).astype(int))
      points.append(joints[chosen].reshape(-1, 3))
      pixels.append(seen[action][i][chosen, :, :2].reshape(-1, 2))
    world, image = np.concatenate(points), np.concatenate(pixels)
    finite = np.isfinite(world).all(1) & np.isfinite(image).all(1)
    try:
      found.append(cameras.calibrate(world[finite], image[finite], size, name))
    except ValueError as error:
      raise ValueError(f"{label}: {error}") from None
  return found


def _entries(path, held):
  """(subject, action, value) of a file's nested dict."""
  named = isinstance(held, dict) and all(isinstance(key, str) for key in held)
  if not named or not held:
    raise ValueError(
      f"{path}: got a {type(held).__name__}, expected a dict of subjects; is it the "
      "file of another dataset?"
    )
  for subject, actions in held.items():
    if not isinstance(actions, dict):
      raise ValueError(
        f"{path}: got a {type(actions).__name__} for {subject!r}, expected a dict of "
        "actions; is it the file of another dataset?"
      )
    for action, value in actions.items():
      yield subject, action, value


def _check(path, subject, action, array, shape, *, exact: bool) -> None:
  numbers = isinstance(array, np.ndarray) and array.dtype.kind == "f"
  channels = array.shape[-1] if numbers and array.ndim == 3 else 0
  fits = channels and array.shape[1] == shape[0]
  if not fits or channels < shape[1] or (exact and channels != shape[1]):
    got = array.shape if numbers else type(array).__name__
    raise ValueError(
      f"{path}: {subject} {action!r}: got {got}, expected numbers of shape (frames, "
      f"{shape[0]}, {shape[1]}); is it the file of another dataset?"
    )
