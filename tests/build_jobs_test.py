"""Jobs of a build: the same examples whoever does them, and none done twice."""

import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxpose.data import build_jobs
from tests import build_jobs_work as work

ROOT = pathlib.Path(__file__).resolve().parent.parent


def done(folder, function, jobs, **options):
  """All examples of a build, and how often each job was begun."""
  quick = options.pop("quick", False)
  with build_jobs.building(folder, **options):
    return list(build_jobs.examples(function, jobs, quick=quick))


def logged(log):
  """(first, process) of each job that was begun."""
  return [tuple(map(int, line.split())) for line in log.read_text().splitlines()]


def same(one, other):
  return pickle.dumps(one) == pickle.dumps(other)


@pytest.mark.parametrize("processes", [1, 2])
def test_examples_and_order_do_not_depend_on_the_processes(tmp_path, processes):
  log = tmp_path / "log"
  jobs = [(i, i % 4, str(log)) for i in range(40)]
  plain = list(build_jobs.examples(work.numbered, jobs))
  log.unlink()
  found = done(tmp_path / "jobs", work.numbered, jobs, processes=processes)
  assert len(found) == 60
  assert [key for key, _ in found] == sorted({key for key, _ in found})
  assert len(found) == len(plain)
  for (key, example), (expected, other) in zip(found, plain, strict=True):
    assert key == expected
    assert example["text"] == other["text"]
    assert example["value"].dtype == np.float32
    np.testing.assert_array_equal(example["value"], other["value"])
  assert sorted(first for first, _ in logged(log)) == list(range(40))
  others = {process for _, process in logged(log)} - {os.getpid()}
  assert len(others) == (0 if processes == 1 else 2)


def test_names_stay_and_numbers_count_among_all_jobs():
  named = list(build_jobs.examples(work.named, [("walk",), ("jump",)]))
  assert [key for key, _ in named] == ["walk", "jump"]
  numbered = build_jobs.examples(work.numbered, [(0, 2, os.devnull)] * 2)
  assert [key for key, _ in numbered] == [0, 1, 2**32, 2**32 + 1]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupted_build_does_each_finished_job_once(tmp_path, processes, capsys):
  log, switch = tmp_path / "log", tmp_path / "switch"
  switch.touch()
  jobs = [(i, str(log), str(switch)) for i in range(12)]
  with pytest.raises(KeyboardInterrupt):
    done(tmp_path / "jobs", work.interrupted, jobs, processes=processes)
  kept = list((tmp_path / "jobs").iterdir())
  assert 5 <= len(kept) <= 11
  assert not [path for path in kept if path.name.startswith("part_")]
  switch.unlink()
  log.rename(tmp_path / "log_before")
  found = done(tmp_path / "jobs", work.interrupted, jobs, processes=processes)
  assert f"{len(kept)} of 12 jobs were done before" in capsys.readouterr().err
  assert len(logged(log)) == 12 - len(kept)
  assert not (tmp_path / "jobs").exists()
  jobs = [(i, os.devnull, str(switch)) for i in range(12)]
  assert same(found, done(tmp_path / "new", work.interrupted, jobs, processes=1))


def test_small_builds_of_quick_jobs_start_no_process(tmp_path, monkeypatch):
  log = tmp_path / "log"
  jobs = [(i, 1, str(log)) for i in range(4)]
  done(tmp_path / "jobs", work.numbered, jobs, processes=2, quick=True)
  assert {process for _, process in logged(log)} == {os.getpid()}
  monkeypatch.setattr(build_jobs, "_ALONE", 0.0)
  log.unlink()
  done(tmp_path / "jobs", work.numbered, jobs, processes=2, quick=True)
  assert os.getpid() not in {process for _, process in logged(log)}


def test_one_job_starts_no_process(tmp_path):
  log = tmp_path / "log"
  done(tmp_path / "jobs", work.numbered, [(0, 1, str(log))], processes=2)
  assert logged(log) == [(0, os.getpid())]


def test_jobs_that_share_the_cores_start_one_thread_each(tmp_path):
  for count, expected in ((1, build_jobs.cores()), (2, 1)):
    found = done(
      tmp_path / "jobs", work.threaded, [(i,) for i in range(count)], processes=2
    )
    assert [threads for _, threads in found] == [expected] * count


def test_a_mistake_in_another_process_is_told_as_it_is(tmp_path):
  with pytest.raises(ValueError, match=r"got recording \d, expected another"):
    done(tmp_path / "jobs", work.wrong, [(1,), (2,)], processes=2)
  assert not list((tmp_path / "jobs").iterdir())


def test_a_process_that_is_ended_from_outside_is_told(tmp_path):
  with pytest.raises(ChildProcessError, match="was ended from outside, as happens"):
    done(tmp_path / "jobs", work.ends, [(i,) for i in range(6)], processes=2)


def test_progress_says_how_much_is_left(tmp_path, capsys):
  done(tmp_path / "jobs", work.named, [("walk",), ("jump",)], processes=1)
  error = capsys.readouterr().err
  assert "Jobs:   0%" in error
  assert "0/2" in error


def test_a_build_without_processes_is_refused(tmp_path):
  with (
    pytest.raises(ValueError, match="got 0 processes, expected at least 1"),
    build_jobs.building(tmp_path, processes=0),
  ):
    pass


def test_other_processes_neither_run_the_users_script_nor_outlive_it(tmp_path):
  script = tmp_path / "script.py"  # without the usual guard
  script.write_text(
    "from jaxpose.data import build_jobs\n"
    "from tests import build_jobs_work\n"
    f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
    f"with build_jobs.building({str(tmp_path / 'jobs')!r}, processes=2):\n"
    f"  jobs = [({str(tmp_path / 'pids')!r},), ({str(tmp_path / 'pids')!r},)]\n"
    "  print(list(build_jobs.examples(build_jobs_work.sleeps, jobs)))\n"
  )
  (tmp_path / "pids").mkdir()
  env = {**os.environ, "PYTHONPATH": str(ROOT)}
  process = subprocess.Popen([sys.executable, str(script)], env=env)
  try:
    wait_for(lambda: len(os.listdir(tmp_path / "pids")) == 2)
  finally:
    process.send_signal(signal.SIGKILL)
    process.wait()
  assert (tmp_path / "runs").read_text() == "x"
  wait_for(lambda: not any(map(lives, os.listdir(tmp_path / "pids"))))


def wait_for(condition):
  end = time.monotonic() + 120
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.1)


def lives(process):
  """Whether there is such a process, other than as a zombie."""
  try:
    os.kill(int(process), 0)
  except ProcessLookupError:
    return False
  about = pathlib.Path("/proc", process, "stat")
  return not about.exists() or about.read_text().rsplit(")", 1)[1].split()[0] != "Z"
