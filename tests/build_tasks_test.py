"""A job's file: whole or not there, and never taken for another job's."""

import dataclasses
import os
import pathlib
import pickle

import pytest

from jaxpose.data import build_jobs
from tests import build_jobs_work as work


@dataclasses.dataclass
class Take:
  name: str
  file: pathlib.Path


def task(folder, *job, function=work.whole, state="1"):
  return build_jobs.make_task(folder, state, 0, function, job)


def test_the_same_job_has_the_same_file(tmp_path):
  (tmp_path / "a").write_text("a")
  path = tmp_path / "a"
  assert task(tmp_path, path).path == task(tmp_path, pathlib.Path(path)).path


@pytest.mark.parametrize(
  "within",
  [lambda p: [p], lambda p: [{"a": [None, (p,)]}], lambda p: [Take("walk", p)]],
  ids=["itself", "in a dict", "in a dataclass"],
)
@pytest.mark.parametrize(
  "change", ["argument", "function", "code", "file", "time", "folder", "new file"]
)
def test_a_job_that_changed_has_another_file(tmp_path, change, within):
  raw = tmp_path / "raw"
  raw.mkdir()
  (raw / "a").write_text("a")
  file = change in ("file", "time")
  before = task(tmp_path, *within(raw / "a" if file else raw), 1)
  options = {}
  if change in ("file", "folder"):
    (raw / "a").write_text("other")
  elif change == "time":
    os.utime(raw / "a", ns=(1, 1))
  elif change == "new file":
    (raw / "b").write_text("b")
  elif change == "function":
    options = dict(function=work.named)
  elif change == "code":
    options = dict(state="2")
  job = (*within(raw / "a" if file else raw), 2 if change == "argument" else 1)
  assert task(tmp_path, *job, **options).path != before.path


def test_the_state_follows_the_code_but_not_its_tests(tmp_path):
  (tmp_path / "a.py").write_text("x = 1")
  before = build_jobs.task_state([tmp_path])
  (tmp_path / "a_test.py").write_text("x = 1")
  (tmp_path / "README.md").write_text("x = 1")
  assert build_jobs.task_state([tmp_path]) == before
  (tmp_path / "a.py").write_text("x = 2")
  assert build_jobs.task_state([tmp_path]) != before


def test_a_job_that_fails_leaves_no_file(tmp_path):
  one = task(tmp_path / "jobs", 3, function=work.wrong)
  with pytest.raises(ValueError, match="got recording 3"):
    build_jobs.run_task(one)
  assert not one.is_done
  assert not list((tmp_path / "jobs").iterdir())


def test_a_job_is_stopped_between_two_examples(tmp_path):
  answers = iter([False, False, True])
  one = task(tmp_path / "jobs", 0, 9, os.devnull, function=work.numbered)
  with pytest.raises(InterruptedError, match="the build was interrupted"):
    build_jobs.run_task(one, lambda: next(answers))
  assert not list((tmp_path / "jobs").iterdir())


def test_a_finished_job_is_not_done_again(tmp_path):
  log = tmp_path / "log"
  one = task(tmp_path / "jobs", 0, 2, str(log), function=work.numbered)
  build_jobs.run_task(one)
  build_jobs.run_task(one)
  assert len(log.read_text().splitlines()) == 1


def test_examples_are_read_one_after_the_other(tmp_path):
  one = task(tmp_path / "jobs", 0, 3, os.devnull, function=work.numbered)
  build_jobs.run_task(one)
  assert [key for key, _ in build_jobs.read_task(one)] == [0, 1, 2]
  path = pathlib.Path(one.path)
  path.write_bytes(path.read_bytes()[:-5])
  found = build_jobs.read_task(one)
  assert [next(found)[0], next(found)[0]] == [0, 1]  # what follows is not looked at
  with pytest.raises(pickle.UnpicklingError, match="truncated"):
    next(found)
