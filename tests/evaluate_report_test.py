"""What evaluate writes of each published protocol: the table, and what it means."""

import json

import numpy as np
import pytest

from jaxpose import evaluate
from jaxpose.metrics import protocols
from jaxpose.tasks import scoring
from tests import small_data

PEOPLE = {  # protocol -> who did what, and the columns of its table
  "h36m_p1": ([("S9", "Walking 1"), ("S11", "Eating")], ["Eating", "Walking"]),
  "h36m_p2": ([("S9", "Walking 1"), ("S11", "Eating")], ["Eating", "Walking"]),
  "h36m_p3": ([("S9", "Walking 1"), ("S11", "Eating")], ["Eating", "Walking"]),
  "h36m_mpjve": ([("S9", "Walking 1"), ("S11", "Eating")], ["Eating", "Walking"]),
  "humaneva_p1": (
    [("S1", "Jog 1 chunk0"), ("S2", "Jog 1 chunk1")],
    ["S1 Jog", "S2 Jog"],
  ),
  "humaneva_p1_last_chunk": ([("S1", "Jog 1 chunk0")], ["S1 Jog"]),
  "mpi3dhp": ([("TS1", ""), ("TS5", "")], ["TS1", "TS5"]),
  "glot_3dpw": ([("0", "downtown_cafe")], ["downtown_cafe"]),
  "glot_h36m": ([("S9", "Photo"), ("S9", "Eating")], ["Eating", "Photo"]),
}


def report(name, folder, data, split="test"):
  """scores.md and the model's part of scores.json."""
  rng = np.random.default_rng(0)
  shape = (5, len(protocols.get(name).joints), 3)
  parts = [
    protocols.SequencePrediction(
      rng.normal(0, 0.2, shape),
      rng.normal(0, 0.2, shape),
      *person,
      vertex_error=np.full(5, 0.1),
    )
    for person in PEOPLE[name][0]
  ]
  rows = {label: {name: protocols.score(name, parts)} for label in ("mean", "net")}
  poses = small_data.pose_data()
  scored = scoring.Scored(
    rows, poses, np.zeros(shape), np.arange(5), lambda path, title: path.touch()
  )
  evaluation = scoring.Evaluation(split, (name,))
  evaluate.write_report(folder, scored, evaluation, "title", data)
  numbers = json.loads((folder / "scores.json").read_text())
  assert list(numbers) == ["mean", "net"]
  text = (folder / "scores.md").read_text()
  assert text == evaluate.report_text(scored, evaluation, "title", data)
  return text, numbers["net"][name], rows["net"][name]


@pytest.mark.parametrize("name", PEOPLE)
def test_the_table_and_the_protocol_in_full_are_printed_and_saved(name, tmp_path):
  protocol = protocols.get(name)
  text, saved, result = report(name, tmp_path, protocol.data)
  last = "All" if protocol.averaging == "frames" else "Avg."
  assert f"| {name} | {' | '.join(PEOPLE[name][1])} | {last} |\n" in text
  assert protocols.describe(protocol) in text
  assert saved["protocol"] == protocols.describe(protocol)
  assert saved["total"] == saved["totals"][protocol.metrics[0]] == result.total
  assert list(saved["rows"]) == list(saved["frames"]) == PEOPLE[name][1]
  assert all(set(row) == set(protocol.metrics) for row in saved["rows"].values())
  assert saved["joint_groups"] == result.joint_table
  assert ("| mpi3dhp | head | neck |" in text) == (name == "mpi3dhp")
  assert "Not to be compared" not in text


@pytest.mark.parametrize(
  ("data", "split"), [("cmu_mocap", "test"), ("human36m", "test[:10%]")]
)
def test_scores_on_other_data_are_said_to_be_others(tmp_path, data, split):
  text, *_ = report("h36m_p1", tmp_path, data, split)
  told = "Not to be compared with published numbers: h36m_p1 is defined on test of "
  assert f"{told}human36m, and this is {split} of {data}.\n" in text
