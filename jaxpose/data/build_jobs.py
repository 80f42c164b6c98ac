"""Jobs of a dataset build: on all cores, kept when interrupted, or in Apache Beam.

A builder returns `examples(function, jobs)` from `_generate_examples`;
`datasets/build.py` chooses with `building` how the jobs are run.

* A job writes its examples to a file of its own, whole or not at all. TFDS reads these
  files in the order of the jobs, so at most one example is in memory.
* The file's name is a hash of all that the examples depend on: the code, the versions
  of libraries, the function with its arguments, and the files that these name. A build
  that follows an interrupted one takes the files that are there.
* Large splits are sorted on disk in bounded memory, as TFDS does, without TensorFlow.
* A missing package that a builder needs is named with the extra that installs it.
"""

import collections
import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import importlib.util
import multiprocessing
import os
import pathlib
import pickle
import shutil
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import tqdm

_LIBRARIES = ("numpy", "pillow", "scipy")  # whose versions may change an example
_PACKAGE = pathlib.Path(__file__).resolve().parent.parent


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


def task_state(code: Iterable[os.PathLike]) -> str:
  """Hash of jaxpose, more folders of code, and the libraries."""
  found = hashlib.sha256(repr(sys.version_info[:2]).encode())
  for name in _LIBRARIES:
    found.update(f"{name} {importlib.metadata.version(name)}\n".encode())
  for folder in (_PACKAGE, *map(pathlib.Path, code)):
    for path in sorted(folder.rglob("*.py")):
      if not path.name.endswith("_test.py"):
        found.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
  return found.hexdigest()


def make_task(
  folder: pathlib.Path, state: str, index: int, function, job: tuple
) -> Task:
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


def require_unique(index: int, key):
  """A key that counts within a job, made to count among all jobs."""
  return (index << 32) + key if isinstance(key, int) else key


def run_task(task: Task, stopped: Callable[[], bool] = lambda: False) -> None:
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


def read_task(task: Task) -> Iterator:
  """The pairs of a finished job, one after the other."""
  size = os.path.getsize(task.path)
  with open(task.path, "rb") as file:
    while file.tell() < size:
      key, example = pickle.load(file)
      yield require_unique(task.index, key), example


_EXTRAS = {  # package -> the extra of jaxpose that brings it
  "av": "video",
  "apache_beam": "beam",
  "cdflib": "h36m",
  "h5py": "hdf5",
}


@contextlib.contextmanager
def named_package(dataset: str) -> Iterator[None]:
  """Turns the error of a package that is not installed into a sentence.

  Raises:
    ValueError: one is not; it says how to get it.
  """
  try:
    yield
  except ImportError as error:
    if "pip install" in str(error):
      raise ValueError(f"dataset {dataset!r}: {error}") from error
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package in ("", "jaxpose"):
      raise  # nothing that installing would mend
    wanted = f"'jaxpose[{_EXTRAS[package]}]'" if package in _EXTRAS else package
    raise ValueError(
      f"dataset {dataset!r}: needs the package {package}, which is not installed; pip "
      f"install {wanted}."
    ) from error


SHUFFLE_MEMORY = 256 * 2**20  # bytes of a split that TFDS sorts in memory, not on disk


class _Appended:
  """A file that is open only while it is written: TFDS keeps a thousand of them."""

  def __init__(self, path: os.PathLike):
    self.path = path

  def write(self, data: bytes) -> None:
    with open(self.path, "ab") as file:
      file.write(data)

  def flush(self) -> None:
    pass

  close = flush


@contextlib.contextmanager
def shuffle_on_disk() -> Iterator[None]:
  """Lets TFDS sort large splits on disk, where it would ask TensorFlow for files.

  Splits that keep their order all go to the first of TFDS's files, which it would read
  at once to sort it; here it is read record by record.
  """
  from tensorflow_datasets.core import shuffle

  def open_file(path, mode):
    return _Appended(path) if mode == "wb" else open(path, mode)

  gfile = types.SimpleNamespace(
    GFile=open_file, exists=os.path.exists, remove=os.remove
  )
  errors = types.SimpleNamespace(ResourceExhaustedError=())  # catches nothing
  sort = shuffle.Shuffler._iter_buckets

  def iter_buckets(self):
    if not self._disable_shuffling:
      yield from sort(self)
      return
    last = -1
    for bucket in self._buckets:
      for key, data in bucket.read_values():
        assert key >= last, "a builder without shuffling counts upward"
        yield key, data
        last = key
      bucket.del_file()

  before = shuffle.tf, shuffle.MAX_MEM_BUFFER_SIZE
  shuffle.tf = types.SimpleNamespace(
    io=types.SimpleNamespace(gfile=gfile), errors=errors
  )
  shuffle.MAX_MEM_BUFFER_SIZE = SHUFFLE_MEMORY
  shuffle.Shuffler._iter_buckets = iter_buckets
  try:
    yield
  finally:
    shuffle.tf, shuffle.MAX_MEM_BUFFER_SIZE = before
    shuffle.Shuffler._iter_buckets = sort


_ALONE = 3.0  # seconds of quick jobs before other processes are worth their start
_AHEAD = 16  # jobs of each process that may wait in files for their turn


@dataclasses.dataclass
class _Build:
  """A build that is going on; `pool` is made when there is work for it."""

  folder: pathlib.Path
  state: str
  processes: int
  beam: bool
  start: float
  used: bool = False
  pool: futures.ProcessPoolExecutor | None = None
  stop: Any = None


_BUILD: _Build | None = None
_STOP = None  # in a worker: the event that ends it
_SHARED = False  # whether other processes do jobs beside this one


def cores() -> int:
  """Cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def threads() -> int:
  """Threads that a job may start: one for each core that no other job is on."""
  return 1 if _SHARED else cores()


def examples(
  function: Callable[..., Iterable], jobs: Iterable[tuple], *, quick: bool = False
):
  """All examples of all jobs, for TFDS to write; in the order of the jobs.

  Args:
    function: of a module, not of a class or another function; `function(*job)` gives
      (key, example) pairs. Whole numbers as keys count within the job.
    jobs: arguments that can be pickled. Files and folders that are in them as
      `pathlib.Path` count as they are now: if they change, the job is done again.
    quick: jobs take well under a second, so a small build starts no processes.

  Returns:
    A generator, or Beam's transform if the build runs in Beam.
  """
  jobs = list(jobs)
  if _BUILD is None:
    return (
      (require_unique(i, key), example)
      for i, job in enumerate(jobs)
      for key, example in function(*job)
    )
  _BUILD.used = True
  tasks = [
    make_task(_BUILD.folder, _BUILD.state, i, function, job)
    for i, job in enumerate(jobs)
  ]
  if _BUILD.beam:
    import apache_beam as beam

    return beam.Create(tasks) | beam.FlatMap(_examples_of)
  return _local(_BUILD, tasks, quick)


@contextlib.contextmanager
def building(
  folder: os.PathLike,
  *,
  code: Iterable[os.PathLike] = (),
  processes: int | None = None,
  beam: bool = False,
) -> Iterator[_Build]:
  """Says how `examples` does its jobs inside.

  Args:
    folder: for the files of finished jobs; removed if all goes well.
    code: folders of Python files that the examples depend on, besides jaxpose's.
    processes: that work side by side; None for one on each core.
    beam: leave the jobs to Apache Beam.

  Raises:
    ValueError: no process.
  """
  global _BUILD
  if processes is not None and processes < 1:
    raise ValueError(f"got {processes} processes, expected at least 1.")
  folder = pathlib.Path(folder)
  build = _Build(
    folder=folder,
    state=task_state(code),
    processes=processes or cores(),
    beam=beam,
    start=time.monotonic(),
  )
  before, _BUILD = _BUILD, build
  try:
    yield build
    shutil.rmtree(folder, ignore_errors=True)
  finally:
    _BUILD = before
    if build.pool is not None:
      build.stop.set()  # after the example that is being made
      build.pool.shutdown(cancel_futures=True)


def require(builder, build: _Build) -> None:
  """Lets a TFDS builder refuse to be built, before it reads much, if it has no jobs."""
  split_generators = builder._split_generators

  @functools.wraps(split_generators)
  def checked(*args, **kwargs):
    found = split_generators(*args, **kwargs)
    if not build.used:
      raise ValueError(
        f"dataset {builder.info.full_name!r}: got --beam, expected a builder with jobs "
        "for it: this one holds numbers only and is built in one process; leave --beam "
        "away."
      )
    return found

  builder._split_generators = checked


def _local(build: _Build, tasks: list[Task], quick: bool) -> Iterator:
  done = sum(task.is_done for task in tasks)
  if done:
    tqdm.tqdm.write(f"{done} of {len(tasks)} jobs were done before.", sys.stderr)
  with tqdm.tqdm(
    total=len(tasks), initial=done, desc="Jobs", unit=" jobs", leave=False
  ) as bar:
    for task, is_new in _finished(build, tasks, quick):
      yield from read_task(task)
      bar.update(is_new)


def _finished(build: _Build, tasks: list[Task], quick: bool):
  """Each job in order once its file is there, and whether it was made just now."""
  alone = build.processes == 1 or len(tasks) == 1
  waiting = collections.deque()
  for task in tasks:
    if task.is_done:
      waiting.append((task, None))
    elif alone or (quick and time.monotonic() - build.start < _ALONE):
      run_task(task)
      yield task, True  # nothing waits: what came before was done here as well
      continue
    else:
      waiting.append((task, _submit(build, task)))
    while waiting and (
      waiting[0][1] is None or len(waiting) > _AHEAD * build.processes
    ):
      yield _taken(*waiting.popleft())
  while waiting:
    yield _taken(*waiting.popleft())


def _taken(task: Task, future: futures.Future | None) -> tuple[Task, bool]:
  try:
    if future is not None:
      future.result()
    return task, future is not None
  except futures.process.BrokenProcessPool as error:
    raise ChildProcessError(
      "a process of the build was ended from outside, as happens when memory runs out; "
      "run the same command again, with fewer --processes: finished jobs are kept."
    ) from error


def _submit(build: _Build, task: Task) -> futures.Future:
  if build.pool is None:
    # Forked processes may hang where JAX has threads.
    context = multiprocessing.get_context("spawn")
    build.stop = context.Event()
    build.pool = futures.ProcessPoolExecutor(
      build.processes, context, _start_worker, (build.stop,)
    )
  # New processes would run the user's script again, were they told what it is.
  main = sys.modules["__main__"]
  sys.modules["__main__"] = types.ModuleType("__main__")
  try:
    return build.pool.submit(_work, task)
  finally:
    sys.modules["__main__"] = main


def _start_worker(stop) -> None:
  global _STOP, _SHARED
  _STOP, _SHARED = stop, True
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to stop
  threading.Thread(target=_follow_parent, daemon=True).start()


def _work(task: Task) -> None:
  run_task(task, _STOP.is_set)


def _follow_parent() -> None:
  multiprocessing.parent_process().join()
  os._exit(1)  # the parent was killed


def _examples_of(task: Task) -> Iterator:
  """For Beam: a job's examples, made or found."""
  global _SHARED
  _SHARED = True
  run_task(task)
  yield from read_task(task)
