"""The loop inside this process: resuming, equal results, and what is refused."""

import json
import os
import re
import signal

import numpy as np
import pytest

from jaxpose import evaluate
from jaxpose import metrics
from jaxpose import train
from jaxpose.weights import pretrained
from tests import small_runs


@pytest.fixture(scope="module")
def unbroken(tiny_data_dir, tmp_path_factory):
  """A run of six steps."""
  workdir = tmp_path_factory.mktemp("runs") / "unbroken"
  with pytest.MonkeyPatch.context() as patch:
    small_runs.run(small_runs.six_steps(tiny_data_dir), workdir, patch)
  return workdir


def losses(workdir) -> list[tuple[int, float]]:
  return [(r["step"], r["loss"]) for r in small_runs.metrics(workdir) if "loss" in r]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_and_ends_bit_equal(
  tiny_data_dir, tmp_path, monkeypatch, capsys, unbroken, number
):
  report = train.report

  def report_and_interrupt(log, clock, step, *args):
    report(log, clock, step, *args)
    if step == 2:
      os.kill(os.getpid(), number)

  config = small_runs.six_steps(tiny_data_dir)
  with monkeypatch.context() as patch:
    patch.setattr(train, "report", report_and_interrupt)
    assert small_runs.run(config, tmp_path, monkeypatch) == {}
  assert "stopped at step 3 and saved; run again to go on." in capsys.readouterr().out
  assert losses(tmp_path) == losses(unbroken)[:3]
  small_runs.run(config, tmp_path, monkeypatch)
  assert "going on from step 3" in capsys.readouterr().out
  small_runs.assert_bit_equal(
    small_runs.arrays(tmp_path, 6), small_runs.arrays(unbroken, 6)
  )
  assert losses(tmp_path) == losses(unbroken)


def test_data_on_the_host_or_the_device_give_bit_equal_runs(
  tiny_data_dir, tmp_path, monkeypatch, unbroken
):
  config = small_runs.six_steps(tiny_data_dir, device_resident=False)
  assert small_runs.get_config("quickstart").data.device_resident
  small_runs.run(config, tmp_path, monkeypatch)
  small_runs.assert_bit_equal(small_runs.arrays(tmp_path), small_runs.arrays(unbroken))


def test_training_changes_weights_and_statistics_and_the_seed_counts(
  tiny_data_dir, tmp_path, monkeypatch, unbroken
):
  small_runs.run(small_runs.six_steps(tiny_data_dir, seed=1), tmp_path, monkeypatch)
  ours, others = small_runs.arrays(unbroken), small_runs.arrays(tmp_path)
  assert np.abs(ours["['model_state']['batch_stats']['bn']['mean']"]).max() > 0
  for key in ours:
    if "kernel" in key or "batch_stats" in key:
      assert not np.array_equal(ours[key], others[key]), key


def test_metrics_say_loss_rate_and_schedule(unbroken):
  records = small_runs.metrics(unbroken)
  assert [r["step"] for r in records] == [1, 2, 3, 4, 5, 6]
  for r in records:
    assert r["loss"] == pytest.approx(r["loss/joints"] + r["loss/sequence"], rel=1e-5)
    assert 0 <= r["data_share"] <= 1
  assert records[0]["lr"] == 0  # the first step of the warm-up
  assert records[1]["lr"] == pytest.approx(4e-3)
  assert records[-1]["windows_per_s"] > 0


def test_a_run_says_the_frame_rate_of_its_data(unbroken):
  assert json.loads((unbroken / "config.json").read_text())["fps"] == 50.0


def test_a_finished_run_is_left_as_it_is(tiny_data_dir, tmp_path, monkeypatch, capsys):
  config = small_runs.small(tiny_data_dir)
  config.evals = dict(test=dict(split="test[:2]", protocols=("cmu_p1",), every=50))
  scores = small_runs.run(config, tmp_path, monkeypatch)
  assert list(scores) == ["test/cmu_p1"]
  table = (tmp_path / "test.md").read_text()
  assert "mean pose" in table
  assert f"{scores['test/cmu_p1']:.1f}" in table.splitlines()[-1]
  kept = {
    path: (path.read_bytes(), path.stat().st_ino)
    for path in [*tmp_path.glob("*.png"), *tmp_path.glob("*.md")]
  }
  lines = (tmp_path / "metrics.jsonl").read_bytes()
  saved = small_runs.arrays(tmp_path)
  capsys.readouterr()
  assert small_runs.run(config, tmp_path, monkeypatch) == {}
  assert f"{tmp_path} is finished; score it with" in capsys.readouterr().out
  assert kept == {path: (path.read_bytes(), path.stat().st_ino) for path in kept}
  assert len(kept) == 2
  assert (tmp_path / "metrics.jsonl").read_bytes() == lines
  small_runs.assert_bit_equal(small_runs.arrays(tmp_path), saved)


def test_the_best_checkpoint_has_the_lowest_regular_score(
  tiny_data_dir, tmp_path, monkeypatch
):
  config = small_runs.small(tiny_data_dir, eval_every=1, save_every=1)
  config.evals = dict(
    last=dict(split="test[:1]", protocols=("cmu_p2",), every=50, when="end"),
    regular=dict(split="test[:2]", protocols=("cmu_p2", "cmu_p1"), every=50),
  )
  small_runs.run(config, tmp_path, monkeypatch)
  scores = {
    r["step"]: r["regular/cmu_p2"]
    for r in small_runs.metrics(tmp_path)
    if "regular/cmu_p2" in r
  }
  assert list(scores) == [1, 2, 3, 4]
  with train.Checkpoints(tmp_path, read_only=True) as checkpoints:
    assert checkpoints.best_step == min(scores, key=scores.get)
    assert {3, 4} <= set(checkpoints.steps)


def test_a_folder_of_another_config_is_refused(tiny_data_dir, monkeypatch, unbroken):
  before = sorted(unbroken.rglob("*"))
  config = small_runs.six_steps(tiny_data_dir, seed=5)
  with pytest.raises(ValueError, match=r"another config .seed 0 here, 5 asked for"):
    small_runs.run(config, unbroken, monkeypatch)
  assert sorted(unbroken.rglob("*")) == before


def test_a_loss_of_nan_stops_the_run_and_spares_the_checkpoint(
  tiny_data_dir, tmp_path, monkeypatch
):
  config = small_runs.small(tiny_data_dir, save_every=1)
  config.optimizer = dict(name="adam")
  config.schedule = dict(name="constant", value=1e30)
  with pytest.raises(ValueError, match=r"step \d: .*not finite: .*loss") as error:
    small_runs.run(config, tmp_path, monkeypatch)
  step = int(re.match(r"step (\d)", str(error.value)).group(1))
  assert "lower schedule.base or clip" in str(error.value)
  assert step > 1
  saved = small_runs.arrays(tmp_path)
  assert saved["['step']"] == step - 1
  assert all(np.isfinite(array).all() for array in saved.values())
  assert [s for s, _ in losses(tmp_path)] == list(range(1, step))


def test_a_gradient_of_nan_stops_the_run_before_it_is_saved(
  tiny_data_dir, tmp_path, monkeypatch
):
  # The loss is finite (0 everywhere), its slope is not.
  def steep(pred, target):
    zero = 0 * (pred - target).sum((-1, -2))
    return zero + (0 * zero) ** 0.5

  monkeypatch.setitem(metrics.METRICS, "steep", steep)
  config = small_runs.small(tiny_data_dir, save_every=1)
  config.losses = dict(joints=dict(fn="steep", key="joints_3d"))
  with pytest.raises(ValueError, match=r"step 1: the loss is 0.0 .*grad_norm"):
    small_runs.run(config, tmp_path, monkeypatch)
  with train.Checkpoints(tmp_path, read_only=True) as checkpoints:
    assert checkpoints.steps == []


def test_weights_are_taken_from_a_run_and_from_a_file(
  tiny_data_dir, tmp_path, monkeypatch, unbroken
):
  monkeypatch.setitem(train.models.MODELS, "lifter", small_runs.Lifter)
  file = pretrained.save(tmp_path / "lifter.npz", pretrained.load(unbroken))
  start = small_runs.arrays(unbroken)
  for i, source in enumerate((unbroken, file)):
    config = small_runs.small(tiny_data_dir, init_from=str(source), total_steps=1)
    config.schedule = dict(name="constant", value=0.0)  # steps of length 0
    small_runs.run(config, tmp_path / str(i), monkeypatch)
    end = small_runs.arrays(tmp_path / str(i))
    params = [key for key in start if "'params'" in key]
    assert len(params) == 6
    for key in params:
      np.testing.assert_array_equal(start[key], end[key])
    # The statistics go on from those of the weights: a tenth of the way or so.
    key = "['model_state']['batch_stats']['bn']['var']"
    assert np.abs(end[key] - start[key]).max() < 0.5 * np.abs(start[key] - 1).max()
    assert end["['step']"] == 1


def test_a_run_of_framed_windows_with_another_lookahead_is_scored_alike(
  tiny_data_dir, tmp_path, monkeypatch
):
  monkeypatch.setitem(train.models.MODELS, "lifter", small_runs.Lifter)
  losses = dict(joints=dict(fn="mpjpe", key="joints_3d"))
  config = small_runs.small(tiny_data_dir, lookahead=0, framed=True, losses=losses)
  config.evals = dict(test=dict(split="test", protocols=("cmu_p1",)))
  scores = small_runs.run(config, tmp_path, monkeypatch)
  weights = pretrained.load(tmp_path)
  assert weights.lookahead == 0
  assert weights.framed
  again = pretrained.load(pretrained.save(tmp_path / "weights.npz", weights))
  assert again.lookahead == 0
  assert again.framed
  evaluate.main(
    [
      "--weights",
      str(tmp_path / "weights.npz"),
      "--protocol",
      "cmu_p1",
      "--out",
      str(tmp_path / "scores"),
    ]
  )
  written = json.loads((tmp_path / "scores" / "scores.json").read_text())
  total = written["lifter"]["cmu_p1"]["total"]
  assert total == pytest.approx(scores["test/cmu_p1"], rel=1e-5)


def test_weights_of_another_model_are_refused(
  tiny_data_dir, tmp_path, monkeypatch, unbroken
):
  config = small_runs.small(tiny_data_dir, init_from=str(unbroken))
  config.model.width = 16
  with pytest.raises(ValueError, match=r"set config.model to the model of these"):
    small_runs.run(config, tmp_path / "new", monkeypatch)
  assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("steps", "epochs"), [(4, 1), (None, None)])
def test_the_length_is_given_exactly_once(
  tiny_data_dir, tmp_path, monkeypatch, steps, epochs
):
  config = small_runs.small(tiny_data_dir, total_steps=steps, total_epochs=epochs)
  with pytest.raises(ValueError, match=f"total_epochs={epochs}, expected exactly one"):
    small_runs.run(config, tmp_path / "new", monkeypatch)
  assert not (tmp_path / "new").exists()


def test_a_length_in_epochs(tiny_data_dir, tmp_path, monkeypatch, capsys):
  config = small_runs.small(
    tiny_data_dir, total_steps=None, total_epochs=2, batch_size=64, split="train[:2]"
  )
  small_runs.run(config, tmp_path, monkeypatch)
  out = capsys.readouterr().out
  frames = int(re.search(r"([\d,]+) frames", out).group(1).replace(",", ""))
  with train.Checkpoints(tmp_path, read_only=True) as checkpoints:
    assert checkpoints.steps[-1] == 2 * (2 * frames // 64)
  assert "(2.0 epochs)" in out


def test_a_batch_that_devices_cannot_share_is_refused(
  tiny_data_dir, tmp_path, monkeypatch
):
  config = small_runs.small(tiny_data_dir, batch_size=12)
  with pytest.raises(ValueError, match=r"data.batch_size=12 on 8 devices, expected a"):
    small_runs.run(config, tmp_path, monkeypatch, devices=8)
