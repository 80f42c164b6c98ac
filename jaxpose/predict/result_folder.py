"""The folder of a video's results: its source, what is finished, what may be replaced.

`prediction.json` states which video, detection and settings the files are of, and which
files are finished.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from jaxpose.files import whole_files

FILE = "prediction.json"
KEYPOINTS = "keypoints.npz"
WORK = "keypoints.npz.unfinished"  # of a detection, see `detect.video`
FORMAT = "jaxpose prediction 1"
BODY = "body."  # how names of bodies' files begin
_END = 1 << 20  # bytes that are looked at from either end of a file
_PARTS = ("source", "detection", "settings")


class Folder:
  """Results of one video.

  Attributes:
    path: of the folder.
    finished: names of the files that are done, relative to it.
  """

  def __init__(
    self,
    path: str | os.PathLike,
    *,
    source: Mapping[str, Any],
    detection: Mapping[str, Any],
    settings: Mapping[str, Any],
    mesh: str | None = None,
    overwrite: bool = False,
  ):
    """Claims the folder for results of this video with these settings.

    Args:
      path: of the folder; made if it is not there.
      source: identity of the video, in JSON's types.
      detection: how keypoints are found.
      settings: what else the results depend on.
      mesh: weights of the bodies, which may be added later; None for none now.
      overwrite: take a folder with other results, or other files.

    Raises:
      FileExistsError: it holds other results or files, and `overwrite` is not said.
      ValueError: its `prediction.json` is damaged.
    """
    self.path = pathlib.Path(path).expanduser()
    self._request = dict(source=source, detection=detection, settings=settings)
    self._request = json.loads(json.dumps(self._request))
    if self.path.exists() and not self.path.is_dir():
      raise FileExistsError(
        f"{self.path} is a file, expected a folder for the results."
      )
    before = asked(self.path)
    self.finished: list[str] = before.get("files", [])
    differ = [k for k in _PARTS if before and before.get(k) != self._request[k]]
    others = [] if before else self._others()
    if (others or (differ and self._holds_something())) and not overwrite:
      raise FileExistsError(self._refusal(before, differ, others))
    self._mesh = None if differ else before.get("mesh")
    bodies = [n for n in self.finished if pathlib.PurePath(n).name.startswith(BODY)]
    if mesh and self._mesh not in (None, mesh) and bodies and not overwrite:
      raise FileExistsError(
        f"{self.path} holds bodies of the weights {self._mesh}; choose another --out, "
        "or pass --overwrite."
      )
    if differ:
      self._clear(keypoints=differ != ["settings"])
    elif others:
      self.finished = []
      self._remove(KEYPOINTS, WORK)
    elif mesh and self._mesh not in (None, mesh):
      self._remove(*bodies)
      self.finished = [n for n in self.finished if n not in bodies]
    added = mesh and mesh != self._mesh
    self._mesh = mesh or self._mesh
    if differ or added or not before:
      self.path.mkdir(parents=True, exist_ok=True)
      self._save()

  def finish(self, name: str) -> None:
    """Takes down that a file is done."""
    if name not in self.finished:
      self.finished.append(name)
      self._save()

  def _holds_something(self) -> bool:
    """Whether more is there than the traces of a call that failed."""
    return bool(self.finished) or any((self.path / WORK).glob("*.npz"))

  def _others(self) -> list[str]:
    if not self.path.is_dir():
      return []
    return sorted(p.name for p in self.path.iterdir() if not p.name.startswith("."))

  def _refusal(self, before, differ, others) -> str:
    do = "choose another --out, or pass --overwrite"
    if others:
      more = ", ..." if len(others) > 3 else ""
      return (
        f"{self.path} holds files of something else ({', '.join(others[:3])}{more}); "
        f"choose another --out, or pass --overwrite to write among them."
      )
    if "source" in differ:
      name = before["source"].get("name", "?")
      if name == self._request["source"].get("name"):
        return f"{self.path} holds results of another {name}, or it has changed; {do}."
      return f"{self.path} holds the results of {name}; {do}."
    old = {**before["detection"], **before["settings"]}
    new = {**self._request["detection"], **self._request["settings"]}
    names = [k for k in {**old, **new} if old.get(k) != new.get(k)]
    told = ", ".join(f"{k}={_short(old.get(k))}" for k in names)
    return f"{self.path} holds results of the same video with {told}; {do}."

  def _clear(self, keypoints: bool) -> None:
    """Removes the files of the results that are replaced, and no others."""
    kept = [] if keypoints else [n for n in self.finished if n == KEYPOINTS]
    self._remove(*(n for n in self.finished if n not in kept))
    if keypoints:
      self._remove(KEYPOINTS, WORK)
    self.finished = kept

  def _remove(self, *names: str) -> None:
    for name in names:
      path = self.path / name
      if path.is_dir():
        shutil.rmtree(path)
      else:
        path.unlink(missing_ok=True)
      if path.parent != self.path and path.parent.is_dir():
        if not any(path.parent.iterdir()):
          path.parent.rmdir()

  def _save(self) -> None:
    content = dict(format=FORMAT, **self._request, mesh=self._mesh, files=self.finished)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    whole_files.write(
      self.path / FILE,
      lambda file: file.write(text.encode()),
      endings=(".json",),
      overwrite=True,
    )


def places(names: Iterable[str]) -> list[str]:
  """For each name one that a file may have, no two alike even where case is ignored."""
  found: list[str] = []
  for name in names:
    plain = place = re.sub(r"[^\w.-]", "_", name)
    count = 1
    while place.casefold() in map(str.casefold, found):
      count += 1
      place = f"{plain}_{count}"
    found.append(place)
  return found


def asked(folder: pathlib.Path) -> dict:
  """What `prediction.json` in a folder says; nothing where there is none.

  Raises:
    ValueError: it is damaged.
  """
  path = folder / FILE
  if not path.exists():
    return {}
  try:
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["format"] != FORMAT or not all(map(found.__contains__, _PARTS)):
      raise ValueError(f"format {found['format']!r}")
    # What somebody deleted is made again.
    found["files"] = [n for n in map(str, found["files"]) if (folder / n).exists()]
  except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f"{path} is damaged, or of another version of jaxpose ({type(error).__name__}: "
      f"{str(error)[:80]}); move it away, or choose another --out."
    ) from error
  return found


def identity(path: pathlib.Path) -> dict[str, Any]:
  """Name, bytes and a digest of a file's two ends, or of a folder's names and sizes."""
  digest = hashlib.sha256()
  if path.is_dir():
    files = sorted(p for p in path.iterdir() if p.is_file())
    for file in files:
      digest.update(f"{file.name} {file.stat().st_size}\n".encode())
    size = sum(file.stat().st_size for file in files)
  else:
    size = path.stat().st_size
    with path.open("rb") as file:
      digest.update(file.read(_END))
      file.seek(max(size - _END, 0))
      digest.update(file.read(_END))
  return dict(name=path.resolve().name, bytes=size, digest=digest.hexdigest()[:16])


def _short(value) -> str:
  return str(value.get("name", value)) if isinstance(value, Mapping) else str(value)
