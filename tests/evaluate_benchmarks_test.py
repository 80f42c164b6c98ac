"""From files in a benchmark's true form to its table, by the evaluation command."""

import json

import jax
import jax.numpy as jnp
import pytest
from human36m import metadata_test
from human36m import videopose3d_test
from humaneva import humaneva_dataset_builder_test as humaneva_test
from mpi_inf_3dhp import pstmo_test

from jaxpose import evaluate
from jaxpose import models
from jaxpose import runtime
from jaxpose.metrics import protocols
from jaxpose.weights import pretrained
from tests import small_runs


def write_human36m(raw):
  held = videopose3d_test.content()
  videopose3d_test.write(raw, held["world"], held["exact"])
  metadata_test.write(raw / "metadata.xml", videopose3d_test.RIGS)


PEOPLE = [f"S{s} {action}" for action in ("Walking", "Jog", "Box") for s in (1, 2, 3)]
TESTS = [f"TS{i}" for i in range(1, 7)]
BENCHMARKS = {  # dataset -> what writes its files, config, skeleton, protocols, columns
  "human36m": (
    *(write_human36m, "videopose3d_gt", "h36m17"),
    ("h36m_p1", "h36m_p2", "h36m_p3", "h36m_mpjve"),
    [*("Directions", "Photo", "Größe"), "Avg."],
  ),
  "humaneva": (
    lambda raw: humaneva_test.write(raw, **humaneva_test.content()),
    *("gt", "humaneva15"),
    ("humaneva_p1", "humaneva_p2", "humaneva_p1_last_chunk"),
    [*PEOPLE, "Avg."],
  ),
  "mpi_inf_3dhp": (
    lambda raw: pstmo_test.write(raw, **pstmo_test.content()),
    *("pstmo", "mpi3dhp17"),
    ("mpi3dhp",),
    [*TESTS, "All"],
  ),
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_files_of_a_benchmark_become_its_table(name, tmp_path, monkeypatch, capsys):
  write, config, skeleton, names, columns = BENCHMARKS[name]
  write(tmp_path / "raw")
  monkeypatch.setitem(models.MODELS, "lifter", small_runs.Lifter)
  monkeypatch.setattr(runtime, "start", lambda: None)
  joints = len(protocols.get(names[0]).joints)
  model = dict(name="lifter", width=4)
  variables = models.build(**model).init(
    jax.random.key(0), jnp.zeros((1, 3, joints, 2))
  )
  made = pretrained.make(model, variables, skeleton=skeleton, window=3)
  weights = pretrained.save(tmp_path / "w.npz", made)
  evaluate.main(
    [
      *(f"--weights={weights}", f"--data={name}", f"--builder_config={config}"),
      *(f"--data_dir={tmp_path / 'data'}", f"--manual_dir={tmp_path / 'raw'}"),
      *(f"--protocol={','.join(names)}", f"--out={tmp_path / 'out'}"),
    ]
  )
  printed = capsys.readouterr().out
  text = (tmp_path / "out" / "scores.md").read_text()
  assert text in printed
  assert "Not to be compared" not in text
  numbers = json.loads((tmp_path / "out" / "scores.json").read_text())["lifter"]
  for protocol in names:
    told = protocols.describe(protocols.get(protocol))
    assert told in text
    assert f"| {protocol} | {' | '.join(columns)} |" in text
    assert numbers[protocol]["protocol"] == told
    assert list(numbers[protocol]["rows"]) == columns[:-1]
