"""The multi-view network through the whole loop: trained, resumed, scored again."""

import os
import signal

import numpy as np
import pytest

from jaxpose import evaluate
from jaxpose import train
from jaxpose.data import pose_data
from tests import small_runs


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("tensorflow_datasets")
  pose_data.prepare("synthetic_multiview", builder_config="tiny", data_dir=folder)
  return folder


def config(data_dir, **knobs):
  """The smoke run of the quick start with every augmentation."""
  config = small_runs.get_config("mpstrt_quickstart", "smoke")
  config.data.data_dir = str(data_dir)
  config.data.update(knobs)
  config.augment_views.update(mirror=True, turn=True, erase=0.5, drop_views=0.3)
  return config


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
  """An unbroken run: its folder and its scores."""
  workdir = tmp_path_factory.mktemp("run") / "multiview"
  with pytest.MonkeyPatch.context() as patch:
    return workdir, small_runs.run(config(data_dir), workdir, patch)


def test_a_run_is_scored_beside_triangulation_and_the_mean_pose(run):
  workdir, scores = run
  assert {"test/keypoints_box", "test/cmu_p1_1_views", "test/cmu_p2"} <= set(scores)
  assert all(np.isfinite(value) for value in scores.values())
  rows = [line.split("|")[1].strip() for line in (workdir / "test.md").open()]
  baselines = ["mean pose", "DLT on the same 2D", "lifter on noisy true 2D"]
  assert rows[2:] == [*baselines, "tiny"]
  assert (workdir / "test.png").exists()
  terms = {key for line in small_runs.metrics(workdir) for key in line}
  assert {"loss/points", "loss/relevance", "loss/joints", "loss/joints_direct"} <= terms


def test_an_interrupted_run_with_data_on_the_host_ends_bit_equal(
  run, data_dir, tmp_path, monkeypatch, capsys
):
  report = train.report

  def report_and_interrupt(log, clock, step, *args):
    report(log, clock, step, *args)
    if step == 1:
      os.kill(os.getpid(), signal.SIGINT)

  broken = config(data_dir, device_resident=False)
  with monkeypatch.context() as patch:
    patch.setattr(train, "report", report_and_interrupt)
    assert small_runs.run(broken, tmp_path, monkeypatch) == {}
  small_runs.run(broken, tmp_path, monkeypatch)
  assert "going on from step 2" in capsys.readouterr().out
  small_runs.assert_bit_equal(small_runs.arrays(tmp_path), small_runs.arrays(run[0]))


def test_saved_weights_score_as_they_did(run, tmp_path):
  workdir, scores = run
  evaluate.main(
    [f"--workdir={workdir}", "--step=last", "--protocol=cmu_p1", f"--out={tmp_path}"]
  )
  assert f"{scores['test/cmu_p1']:.1f}" in (tmp_path / "scores.md").read_text()
