"""The evaluation command on a small run."""

import json

import pytest

from jaxpose import evaluate
from jaxpose import models
from jaxpose import runtime
from jaxpose import tasks
from jaxpose.weights import pretrained
from tests import small_runs

PROTOCOLS = ("cmu_p1", "cmu_p2")


@pytest.fixture(scope="module")
def run(tiny_data_dir, tmp_path_factory):
  """(workdir, scores) of a run on one device, scored at its end."""
  workdir = tmp_path_factory.mktemp("runs") / "run"
  config = small_runs.small(tiny_data_dir)
  config.evals = dict(test=dict(split="test", protocols=PROTOCOLS, when="end"))
  with pytest.MonkeyPatch.context() as patch:
    return workdir, small_runs.run(config, workdir, patch)


@pytest.fixture(autouse=True)
def _small_models(monkeypatch):
  monkeypatch.setitem(models.MODELS, "lifter", small_runs.Lifter)
  monkeypatch.setattr(runtime, "start", lambda: None)


def refused(*arguments) -> str:
  with pytest.raises(SystemExit) as error:
    evaluate.main([*map(str, arguments)])
  assert str(error.value).startswith("error: ")
  assert "\n" not in str(error.value)
  return str(error.value)


def test_a_run_scores_again_what_it_scored_at_its_end(run, tmp_path, capsys):
  workdir, scores = run
  evaluate.main(
    [f"--workdir={workdir}", f"--protocol={','.join(PROTOCOLS)}", f"--out={tmp_path}/o"]
  )
  out = capsys.readouterr().out
  numbers = json.loads((tmp_path / "o" / "scores.json").read_text())
  assert list(numbers) == ["mean pose", "linear lifter, 1 frame", "lifter"]
  for name in PROTOCOLS:
    again = numbers["lifter"][name]
    assert again["unit"] == "mm"
    # Eight devices share the batch here, one did in the run.
    assert again["total"] == pytest.approx(scores[f"test/{name}"], rel=1e-4)
  text = (tmp_path / "o" / "scores.md").read_text()
  assert text in out
  assert "cmu_p2: 17 joints (h36m17), root re-centred, aligned: PA-MPJPE by a" in text
  assert "| cmu_p1 | " in text  # the table by action
  assert (tmp_path / "o" / "scores.png").stat().st_size > 1000
  assert (workdir / "test.md").read_text() in text


def test_scores_are_never_overwritten(run, tmp_path):
  (tmp_path / "scores.json").write_text("mine")
  message = refused(
    f"--workdir={run[0]}", "--protocol=cmu_p1", "--split=test[:2]", f"--out={tmp_path}"
  )
  assert (
    "has scores already, which are never overwritten; name another --out" in message
  )
  assert (tmp_path / "scores.json").read_text() == "mine"
  assert not (tmp_path / "scores.md").exists()


def test_a_weights_file_is_scored_like_its_run(run, tmp_path, capsys):
  file = pretrained.save(tmp_path / "w.npz", pretrained.load(run[0]))
  outputs = []
  for source in (f"--workdir={run[0]}", f"--weights={file}"):
    evaluate.main([source, "--protocol=cmu_p1", "--split=test[:2]", "--flip"])
    outputs.append(capsys.readouterr().out)
  assert outputs[0] == outputs[1]
  assert "frames, flip averaging" in outputs[0]


def test_weights_that_name_no_dataset_need_one(run, tmp_path, tiny_data_dir, capsys):
  loaded = pretrained.load(run[0])
  loaded.info.clear()
  file = pretrained.save(tmp_path / "w.npz", loaded)
  assert "say which with --data=NAME" in refused(f"--weights={file}")
  evaluate.main(
    [
      *(f"--weights={file}", "--data=synthetic_motion", "--builder_config=tiny"),
      *(f"--data_dir={tiny_data_dir}", "--split=test[:2]", "--protocol=cmu_p1"),
    ]
  )
  assert "synthetic_motion test[:2]" in capsys.readouterr().out


def test_data_without_a_split_to_train_on_has_no_baselines(run, monkeypatch, capsys):
  monkeypatch.setattr(tasks, "splits", lambda folder: ("test",))
  evaluate.main([f"--workdir={run[0]}", "--protocol=cmu_p1", "--split=test[:2]"])
  out = capsys.readouterr().out
  assert "| lifter |" in out
  assert "mean pose" not in out


def test_mistakes_are_refused_in_one_sentence(run, tmp_path):
  workdir = f"--workdir={run[0]}"
  assert "nearest: cmu_p1" in refused(workdir, "--protocol=cmu_p11")
  assert "has no split 'tset'" in refused(workdir, "--split=tset")
  assert "has no checkpoint 9" in refused(workdir, "--step=9")
  assert "no weights at" in refused(f"--weights={tmp_path}/none.npz")
  with pytest.raises(SystemExit):
    evaluate.main([])
