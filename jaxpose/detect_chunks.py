"""What was detected so far, in small files, from which an interrupted video goes on.

A chunk holds the people of some successive frames and what the tracker remembers after
them. It is there whole or not at all.
"""

import json
import pathlib
import zipfile
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from jaxpose import whole_files

CHUNK = 200  # frames
REQUEST_FILE = "request.json"
_VALUES = ("keypoints", "confidence", "scale")  # of each person
_ROWS = ("frames", "numbers", *_VALUES)


class Chunks:
  """People by frame, in the order of the frames.

  Attributes:
    frames: number of frames that were added or found.
    state: of the tracker after the frames that were found; None at the start.
  """

  def __init__(self, folder: pathlib.Path | None, request: Mapping):
    """Finds what an interrupted call left.

    Args:
      folder: for the files; None keeps all in memory.
      request: what was asked for, in JSON's types.

    Raises:
      ValueError: the folder is of another request, or a file in it is damaged.
    """
    self._folder = folder
    self._parts: list[dict[str, np.ndarray]] = []
    self._new: list[tuple[int, Sequence]] = []
    self.frames, self.state = 0, None
    if folder is not None:
      self._claim(dict(request))
      for path in sorted(folder.glob("[0-9]*.npz")):
        self._find(path)

  @property
  def is_full(self) -> bool:
    """Whether it is time to store."""
    return len(self._new) >= CHUNK

  def add(self, people: Sequence) -> None:
    """The people in the next frame: each with `number` and _VALUES."""
    self._new.append((self.frames, people))
    self.frames += 1

  def store(self, state: Mapping[str, np.ndarray]) -> None:
    """Keeps what was added, and what the tracker remembers now."""
    if not self._new:
      return
    rows = [(frame, p) for frame, people in self._new for p in people]
    part = dict(
      frames=np.asarray([frame for frame, _ in rows], np.int64),
      numbers=np.asarray([p.number for _, p in rows], np.int64),
    )
    for key in _VALUES:
      values = [getattr(p, key) for _, p in rows]
      part[key] = np.asarray(values, np.float32)
    if self._folder is not None:
      path = self._folder / f"{self.frames:09d}.npz"
      memory = {f"state_{key}": value for key, value in state.items()}
      arrays = part | memory
      whole_files.write(path, lambda file: np.savez(file, **arrays), overwrite=True)
    self._parts.append(part)  # after the file, which may be interrupted and tried again
    self._new = []

  def rows(self) -> dict[str, np.ndarray]:
    """All that was stored, a row for each person in each frame."""
    parts = [part for part in self._parts if len(part["frames"])]
    if not parts:
      return dict(frames=np.zeros(0, np.int64), numbers=np.zeros(0, np.int64))
    return {key: np.concatenate([part[key] for part in parts]) for key in _ROWS}

  def _claim(self, request: dict) -> None:
    path = self._folder / REQUEST_FILE
    if not path.exists():
      content = (json.dumps(request, indent=2) + "\n").encode()
      whole_files.write(path, lambda file: file.write(content), overwrite=True)
      return
    found = json.loads(path.read_text())
    differ = sorted(k for k in {**found, **request} if found.get(k) != request.get(k))
    if differ:
      raise ValueError(
        f"{self._folder} holds the beginning of another detection (another "
        f"{', '.join(differ)}); go on with the same, delete that folder, or choose "
        "another --out."
      )

  def _find(self, path: pathlib.Path) -> None:
    try:
      with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
      part = {key: arrays[key] for key in _ROWS}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
      raise ValueError(
        f"{path} is damaged ({type(error).__name__}); delete the folder it is in, to "
        "start again."
      ) from error
    self._parts.append(part)
    self.frames = int(path.stem)
    self.state = {
      key.removeprefix("state_"): value
      for key, value in arrays.items()
      if key.startswith("state_")
    }
