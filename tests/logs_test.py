"""metrics.jsonl, TensorBoard events and the clock."""

import pytest

from jaxpose.train import rundir
from tests import small_runs


def test_numbers_go_to_lines_and_events(tmp_path, capsys):
  with rundir.RunLog(tmp_path, 0, 3) as log:
    log.write(1, {"loss": 0.5, "lr": 0.25}, "step 1/3")
    log.write(2, {"loss": 0.125})
    log.progress(2, "loss")
    log.say("done")
  assert small_runs.metrics(tmp_path) == [
    dict(step=1, loss=0.5, lr=0.25),
    dict(step=2, loss=0.125),
  ]
  expected = {("loss", 1): 0.5, ("lr", 1): 0.25, ("loss", 2): 0.125}
  assert small_runs.scalars(tmp_path) == expected
  assert capsys.readouterr().out == "step 1/3\ndone\n"  # not a terminal: no bar


def test_a_line_is_on_disk_when_it_is_written(tmp_path):
  with rundir.RunLog(tmp_path, 0, 3) as log:
    log.write(1, {"loss": 0.5})
    assert small_runs.metrics(tmp_path) == [dict(step=1, loss=0.5)]


def test_a_resumed_log_has_each_step_once(tmp_path):
  with rundir.RunLog(tmp_path, 0, 9) as log:
    for step in (1, 2, 3, 4):
      log.write(step, {"loss": float(step)})
  with (tmp_path / "metrics.jsonl").open("a") as file:
    file.write('not a record\n{"no_step": 1}\n{"step": 5, "lo')  # cut by a kill
  with rundir.RunLog(tmp_path, 2, 9) as log:
    log.write(3, {"loss": 30.0})
  assert [(r["step"], r["loss"]) for r in small_runs.metrics(tmp_path)] == [
    (1, 1.0),
    (2, 2.0),
    (3, 30.0),
  ]
  # TensorBoard drops what a restarted writer says is to be dropped.
  restarts = [e for e in small_runs.events(tmp_path) if e.HasField("session_log")]
  assert restarts[-1].step == 3
  assert {p.name for p in tmp_path.iterdir()} == {"metrics.jsonl", "events"}


def test_on_a_terminal_there_is_a_bar_and_no_lines(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(rundir.sys.stderr, "isatty", lambda: True, raising=False)
  with rundir.RunLog(tmp_path, 2, 4) as log:
    log.write(3, {"loss": 0.5}, "step 3/4")
    log.progress(4, "loss 0.5000")
    log.say("picture")
  captured = capsys.readouterr()
  assert "step 3/4" not in captured.out
  assert "picture" in captured.out + captured.err
  assert "4/4" in captured.err
  assert "loss 0.5000" in captured.err


class FakeTime:
  """A clock that stands still until it is moved."""

  now = 100.0

  def perf_counter(self):
    return self.now


def test_the_clock_says_rate_data_share_and_time_left(monkeypatch):
  time = FakeTime()
  monkeypatch.setattr(rundir, "time", time)
  clock = rundir.Clock(batch_size=8)
  assert clock.tick(10) == (0.0, 0.0, 0.0)  # nothing is known yet

  def step(data, compute):
    with clock.data():
      time.now += data
    time.now += compute

  step(0.5, 1.5)
  assert clock.tick(9) == pytest.approx((4.0, 0.25, 18.0))
  step(0.5, 1.5)
  assert clock.tick(8) == pytest.approx((4.0, 0.25, 16.0))
  step(0.0, 4.0)  # one slow step moves the smoothed rate a little
  rate, share, left = clock.tick(7)
  assert rate == pytest.approx(8 / 2.1)
  assert share == pytest.approx(0.25 * 0.95)
  assert left == pytest.approx(7 * 2.1)
  time.now += 1000  # an evaluation
  clock.restart()
  clock.tick(6)
  step(0.0, 1.0)
  assert clock.tick(5) == pytest.approx((8.0, 0.0, 5.0))
