"""One job of a dataset build: its file of examples, written whole or not at all.

The file's name is a hash of all that the examples depend on: the code, the versions of
libraries, the function with its arguments, and the files that these name.
"""

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import pickle
import sys
import tempfile
import types
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

_LIBRARIES = ("numpy", "pillow", "scipy")  # whose versions may change an example
_PACKAGE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Task:
  """A job for any process.

  Attributes:
    index: of the job among those of its split.
    path: of the file with its examples.
    package: top package of the function's module, and where that is.
    payload: pickle of the function and its arguments.
  """

  index: int
  path: str
  package: tuple[str, tuple[str, ...]]
  payload: bytes

  @property
  def is_done(self) -> bool:
    """Whether the file is there."""
    return os.path.exists(self.path)


def state(code: Iterable[os.PathLike]) -> str:
  """Hash of jaxpose, more folders of code, and the libraries."""
  found = hashlib.sha256(repr(sys.version_info[:2]).encode())
  for name in _LIBRARIES:
    found.update(f"{name} {importlib.metadata.version(name)}\n".encode())
  for folder in (_PACKAGE, *map(pathlib.Path, code)):
    for path in sorted(folder.rglob("*.py")):
      if not path.name.endswith("_test.py"):
        found.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
  return found.hexdigest()


def make(folder: pathlib.Path, state: str, index: int, function, job: tuple) -> Task:
  """The task of `function(*job)`; its file will be in the folder."""
  payload = pickle.dumps((function, job), 5)
  found = hashlib.sha256(state.encode() + payload)
  for path in _paths(job):
    found.update(repr(_stamps(path)).encode())
  top = function.__module__.partition(".")[0]
  search = tuple(getattr(sys.modules[top], "__path__", ()))
  return Task(index, str(folder / found.hexdigest()[:32]), (top, search), payload)


def _paths(value) -> Iterator[pathlib.Path]:
  """The paths anywhere in the arguments."""
  if isinstance(value, pathlib.Path):
    yield value
  elif dataclasses.is_dataclass(value):
    yield from _paths([getattr(value, f.name) for f in dataclasses.fields(value)])
  elif isinstance(value, dict):
    yield from _paths(list(value.values()))
  elif isinstance(value, list | tuple):
    for one in value:
      yield from _paths(one)


def _stamps(path: pathlib.Path) -> list[tuple[str, int, int]]:
  """Name, bytes and time of change of a file, or of all in a folder."""
  files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
  found = [(file, file.stat()) for file in files if file.is_file()]
  return [(str(file), about.st_size, about.st_mtime_ns) for file, about in found]


def unique(index: int, key):
  """A key that counts within a job, made to count among all jobs."""
  return (index << 32) + key if isinstance(key, int) else key


def run(task: Task, stopped: Callable[[], bool] = lambda: False) -> None:
  """Does a job, unless its file is there; asks after each example whether to stop."""
  path = pathlib.Path(task.path)
  if path.exists():
    return
  top, search = task.package
  if search and top not in sys.modules and importlib.util.find_spec(top) is None:
    module = sys.modules[top] = types.ModuleType(top)  # as `datasets/build.py` does
    module.__path__ = list(search)
  function, job = pickle.loads(task.payload)
  path.parent.mkdir(parents=True, exist_ok=True)
  number, part = tempfile.mkstemp(dir=path.parent, prefix="part_")
  try:
    with os.fdopen(number, "wb") as file:
      for pair in function(*job):
        if stopped():
          raise InterruptedError("the build was interrupted")
        pickle.dump(pair, file, 5)
      file.flush()
      os.fsync(file.fileno())
    os.replace(part, path)
  except BaseException:
    pathlib.Path(part).unlink(missing_ok=True)
    raise


def read(task: Task) -> Iterator:
  """The pairs of a finished job, one after the other."""
  size = os.path.getsize(task.path)
  with open(task.path, "rb") as file:
    while file.tell() < size:
      key, example = pickle.load(file)
      yield unique(task.index, key), example
