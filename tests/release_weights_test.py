"""A run's weights under a released name."""

import dataclasses
import hashlib
import json

import pytest

from jaxpose.weights import pretrained
from tools import release_weights

COMMAND = (
  "train.py --config=configs/lift_27.py --workdir=runs/here --config.seed=1 "
  "--config.data.data_dir=elsewhere"
)


@pytest.fixture
def run(tmp_path, monkeypatch):
  """The tool with words, in a folder of weights of its own; gives the weights."""
  loaded = pretrained.load("gla_gcn_cmu_27")
  loaded = dataclasses.replace(loaded, info=dict(step=7, lookahead=0, fps=50.0))
  config = dict(
    data=dict(name="cmu_mocap", builder_config=None, split="train"),
    seed=1,
    command=COMMAND,
  )
  (tmp_path / "config.json").write_text(json.dumps(config))
  for name in ("exact", "detector", "other/exact"):
    (tmp_path / name).mkdir(parents=True)
    rows = dict(baseline={}, ours=dict(cmu_p1=dict(total=40.123), cmu_p2=dict(total=3)))
    (tmp_path / name / "scores.json").write_text(json.dumps(rows))
  monkeypatch.setattr(release_weights, "WEIGHTS", tmp_path / "weights")
  (tmp_path / "weights").mkdir()
  read = pretrained.load

  def run(*words, scores=("exact", "detector")):
    steps = []
    with monkeypatch.context() as patched:
      patched.setattr(pretrained, "load", lambda _, step: steps.append(step) or loaded)
      folders = [str(tmp_path / name) for name in scores]
      words = ["tool", *words, f"--workdir={tmp_path}", "--about=a", "--scores"]
      patched.setattr("sys.argv", [*words, *folders])
      release_weights.main()
    assert steps == ["best"]
    return read(tmp_path / "weights/a_b.npz")

  return run


def test_the_file_says_what_it_is_and_is_listed(run, tmp_path):
  info = run("a-b", "--half").info
  scores = dict(cmu_p1=40.12, cmu_p2=3)
  assert info == dict(
    data="cmu_mocap",
    builder_config=None,
    split="train",
    steps=7,
    seed=1,
    command="python -m jaxpose.train --config=configs/lift_27.py --config.seed=1",
    test=dict(exact=scores, detector=scores),
    lookahead=0,
    fps=50.0,
  )
  assert "before" not in info
  index = json.loads((tmp_path / "weights/index.json").read_text())
  digest = hashlib.sha256((tmp_path / "weights/a_b.npz").read_bytes()).hexdigest()
  assert index["a-b"] == dict(file="a_b.npz", sha256=digest, about="a")
  assert index.keys() > {"lift-27"}  # those before stay


def test_runs_that_were_gone_on_from_are_named(run, tmp_path):
  first, second = tmp_path / "first", tmp_path / "second"
  for place, start in ((first, "gla_gcn_cmu_27"), (second, first), (tmp_path, second)):
    place.mkdir(exist_ok=True)
    file = place / "config.json"
    config = json.loads((tmp_path / "config.json").read_text())
    config["init_from"] = str(start)
    config["command"] = f"train.py --config=c.py --config.init_from={start} --workdir=w"
    file.write_text(json.dumps(config))
  info = run("a-b").info
  train = "python -m jaxpose.train --config=c.py --config.init_from="
  assert info["before"] == [f"{train}gla_gcn_cmu_27", f"{train}runs/first"]
  assert info["command"] == f"{train}runs/second"


def test_runs_that_parts_were_taken_from_are_named(run, tmp_path):
  whole, part = tmp_path / "whole", tmp_path / "part"
  starts = {whole: {}, part: {}, tmp_path: dict(init_parts=dict(lifting=str(part)))}
  for place, more in starts.items():
    place.mkdir(exist_ok=True)
    file = place / "config.json"
    config = json.loads((tmp_path / "config.json").read_text()) | more
    config["init_from"] = str(whole) if place == tmp_path else None
    config["command"] = f"train.py --config={place.name}.py"
    file.write_text(json.dumps(config))
  assert run("a-b").info["before"] == [
    f"python -m jaxpose.train --config={name}.py" for name in ("whole", "part")
  ]


@pytest.mark.parametrize(
  ("name", "scores", "sentence"),
  [
    ("lift-27", ("exact",), "lift-27 is released already; a better file gets a new"),
    ("a-b", ("exact", "other/exact"), "got the scores exact, exact, expected folders"),
  ],
)
def test_what_would_be_lost_is_refused(run, tmp_path, capsys, name, scores, sentence):
  with pytest.raises(SystemExit):
    run(name, scores=scores)
  assert sentence in capsys.readouterr().err
  assert not any((tmp_path / "weights").iterdir())
