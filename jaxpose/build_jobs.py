"""Jobs of a dataset build: on all cores, kept when interrupted, or in Apache Beam.

A builder returns `examples(function, jobs)` from `_generate_examples`, and
`datasets/build.py` says with `building` how they are done. A job writes its examples to
a file of its own, which TFDS reads in the order of the jobs. So nobody holds more than
one example, and the build that follows an interrupted one takes the files that are
there; see `jaxpose.build_tasks` for when they count.
"""

import collections
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import pathlib
import shutil
import signal
import sys
import threading
import time
import types
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import tqdm

from jaxpose import build_tasks

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
      (build_tasks.unique(i, key), example)
      for i, job in enumerate(jobs)
      for key, example in function(*job)
    )
  _BUILD.used = True
  tasks = [
    build_tasks.make(_BUILD.folder, _BUILD.state, i, function, job)
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
    state=build_tasks.state(code),
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


def _local(build: _Build, tasks: list[build_tasks.Task], quick: bool) -> Iterator:
  done = sum(task.is_done for task in tasks)
  if done:
    tqdm.tqdm.write(f"{done} of {len(tasks)} jobs were done before.", sys.stderr)
  with tqdm.tqdm(
    total=len(tasks), initial=done, desc="Jobs", unit=" jobs", leave=False
  ) as bar:
    for task, is_new in _finished(build, tasks, quick):
      yield from build_tasks.read(task)
      bar.update(is_new)


def _finished(build: _Build, tasks: list[build_tasks.Task], quick: bool):
  """Each job in order once its file is there, and whether it was made just now."""
  alone = build.processes == 1 or len(tasks) == 1
  waiting = collections.deque()
  for task in tasks:
    if task.is_done:
      waiting.append((task, None))
    elif alone or (quick and time.monotonic() - build.start < _ALONE):
      build_tasks.run(task)
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


def _taken(
  task: build_tasks.Task, future: futures.Future | None
) -> tuple[build_tasks.Task, bool]:
  try:
    if future is not None:
      future.result()
    return task, future is not None
  except futures.process.BrokenProcessPool as error:
    raise ChildProcessError(
      "a process of the build was ended from outside, as happens when memory runs out; "
      "run the same command again, with fewer --processes: finished jobs are kept."
    ) from error


def _submit(build: _Build, task: build_tasks.Task) -> futures.Future:
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


def _work(task: build_tasks.Task) -> None:
  build_tasks.run(task, _STOP.is_set)


def _follow_parent() -> None:
  multiprocessing.parent_process().join()
  os._exit(1)  # the parent was killed


def _examples_of(task: build_tasks.Task) -> Iterator:
  """For Beam: a job's examples, made or found."""
  global _SHARED
  _SHARED = True
  build_tasks.run(task)
  yield from build_tasks.read(task)
