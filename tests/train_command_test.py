"""`python -m jaxpose.train` as a user runs it: in processes of its own."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import jax
import matplotlib.image
import pytest

from jaxpose.weights import pretrained
from tests import small_runs

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEPS = 40
COMMAND = (
  *("--config=configs/quickstart.py:smoke", f"--config.total_steps={STEPS}"),
  *("--config.eval_every=1000", "--config.save_every=1000"),
)


@pytest.fixture(scope="module")
def environment(tiny_data_dir):
  """Of a user: one device, the data of the tests, ours first on the path."""
  env = dict(os.environ, TFDS_DATA_DIR=str(tiny_data_dir), PYTHONPATH=str(ROOT))
  env.pop("XLA_FLAGS")
  return env


def start(*arguments, environment, cwd=ROOT) -> subprocess.Popen:
  """The command with its flags, of which the last argument is the workdir."""
  *words, workdir = arguments
  return subprocess.Popen(
    [sys.executable, "-m", "jaxpose.train", *words, f"--workdir={workdir}"],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env=environment,
    cwd=cwd,
  )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
  out, err = process.communicate(timeout=300)
  return process.returncode, out, err


def test_the_command_trains_and_a_killed_run_ends_bit_equal(environment, tmp_path):
  # One test, because the first run is also what the second is compared with.
  whole = tmp_path / "whole"
  code, out, err = finish(start(*COMMAND, whole, environment=environment))
  assert code == 0, err
  check_run(whole, out)
  check_resuming(whole, tmp_path / "cut", environment)


def check_run(workdir, out) -> None:
  """What the command promises is there."""
  config = json.loads((workdir / "config.json").read_text())
  assert config["total_steps"] == STEPS
  assert config["model"]["width"] == 8
  assert config["skeleton"] == "h36m17"
  assert config["command"].startswith("jaxpose.train --config=")

  records = small_runs.metrics(workdir)
  steps = [r for r in records if "loss" in r]
  assert [r["step"] for r in steps] == list(range(1, STEPS + 1))
  assert steps[-1]["loss"] < steps[0]["loss"]
  events = small_runs.scalars(workdir)
  for r in records:
    for key, value in r.items():
      if key != "step":
        assert events[key, r["step"]] == pytest.approx(value, rel=1e-6)

  table = (workdir / "test.md").read_text()
  assert table in out
  lines = table.splitlines()
  head = [cell.strip() for cell in lines[0].split("|")[1:-1]]
  assert head == ["", "MPJPE (mm)", "PA-MPJPE (mm)", "N-MPJPE (mm)", "MPJVE (mm/frame)"]
  labels = [line.split("|")[1].strip() for line in lines[2:]]
  assert labels == ["mean pose", "linear lifter, 1 frame", config["model"]["variant"]]
  picture = matplotlib.image.imread(workdir / "test.png")
  assert min(picture.shape[:2]) > 100
  assert picture.std() > 0.01
  scores = records[-1]
  assert f"{scores['test/cmu_p1']:.1f}" in lines[-1]
  loaded = pretrained.load(workdir)
  assert loaded.info["step"] == STEPS
  assert re.search(rf"step {STEPS}/{STEPS}  loss [\d.]+  [\d,]+ windows/s  data", out)
  assert f"run: {workdir}" in out
  size = sum(p.size for p in jax.tree.leaves(loaded.variables["params"]))
  assert f"gla_gcn: {size:,} parameters" in out


def check_resuming(whole, workdir, environment) -> None:
  """SIGTERM after the first record, the same command again: as if nothing had been."""
  process = start(*COMMAND, workdir, environment=environment)
  metrics = workdir / "metrics.jsonl"
  deadline = time.monotonic() + 240
  while not (metrics.exists() and metrics.stat().st_size):
    assert process.poll() is None, process.stderr.read()
    assert time.monotonic() < deadline
    time.sleep(0.005)
  process.send_signal(signal.SIGTERM)
  code, out, err = finish(process)
  assert code == 0, err
  stopped = re.search(r"stopped at step (\d+) and saved; run again to go on", out)
  assert stopped, out
  step = int(stopped.group(1))
  assert 0 < step < STEPS
  assert not (workdir / "test.md").exists()

  code, out, err = finish(start(*COMMAND, workdir, environment=environment))
  assert code == 0, err
  assert f"going on from step {step}" in out
  small_runs.assert_bit_equal(
    small_runs.arrays(workdir, STEPS), small_runs.arrays(whole, STEPS)
  )
  assert (workdir / "test.md").read_text() == (whole / "test.md").read_text()
  for a, b in zip(small_runs.metrics(workdir), small_runs.metrics(whole), strict=True):
    for key in set(a) - {"windows_per_s", "data_share"}:
      assert a[key] == b[key], key


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--config=quickstart:smoke", "--config.data.batch_sise=3"], "batch_size"),
    (["--config=quickstrat"], "no config 'quickstrat': .*nearest: quickstart"),
    (
      ["--config=quickstart:smok"],
      "got the variant 'smok', expected 'full' or 'smoke'",
    ),
    (["--config=quickstart:smoke", "--config.data.batch_size=many"], "many"),
    ([], "--config"),
  ],
  ids=["knob", "config", "variant", "type", "nothing"],
)
def test_a_mistake_is_refused_in_one_line(environment, tmp_path, arguments, message):
  workdir = tmp_path / "run"
  process = start(*arguments, workdir, environment=environment, cwd=tmp_path)
  code, out, err = finish(process)
  assert code == 1
  assert re.search(message, err), err
  assert "Traceback" not in err
  assert err.count("\n") == 1, err
  assert err.startswith("error: ")
  assert out == ""
  assert not workdir.exists()
