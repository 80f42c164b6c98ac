"""Jobs for tests/build_jobs_test.py, which other processes can import in no time."""

import os
import pathlib
import time

import numpy as np

from jaxpose.data import build_jobs


def numbered(first: int, count: int, log: pathlib.Path | str):
  """`count` examples with a number; notes who made them."""
  with open(log, "a") as file:
    file.write(f"{first} {os.getpid()}\n")
  time.sleep(0.02 * (first % 3))  # later jobs may be ready first
  for i in range(count):
    yield i, dict(value=np.arange(first, first + 2, dtype=np.float32), text=f"{first}")


def named(name: str):
  """One example under a name."""
  yield name, dict(value=len(name))


def whole(path: pathlib.Path):
  """What a file, or all files of a folder, say."""
  files = sorted(path.iterdir()) if path.is_dir() else [path]
  yield 0, "".join(file.read_text() for file in files)


def interrupted(number: int, log: str, switch: str):
  """As `numbered`, but Ctrl-C is pressed in job 5 while the switch is there."""
  for key, example in numbered(number, 3, log):
    yield key, example
    if number == 5 and os.path.exists(switch):
      raise KeyboardInterrupt


def ends(number: int):
  """The process is killed in job 3."""
  if number == 3:
    os._exit(9)
  yield 0, number


def wrong(number: int):
  """A mistake of the user's, found after one example."""
  yield 0, number
  raise ValueError(f"got recording {number}, expected another.")


def sleeps(folder: str):
  """Says who it is, and goes on for a minute."""
  pathlib.Path(folder, str(os.getpid())).touch()
  for i in range(600):
    time.sleep(0.1)
    yield i, i


def threaded(number: int):
  """Says how many threads it may start."""
  yield 0, build_jobs.threads()
