"""The published protocols: what each fixes, and that its table is the papers'."""

import numpy as np
import pytest

from jaxpose import metrics
from jaxpose.metrics import protocols
from jaxpose.metrics.protocols import SequencePrediction
from tests import builder_testing

BENCHMARKS = {  # of each paper and benchmark: its protocols, and where it is scored
  "human36m": (
    *("h36m_p1", "h36m_p2", "h36m_p3", "h36m_mpjve", "glot_h36m"),
    *("h36m_multiview", "h36m_multiview_every64"),
  ),
  "humaneva": ("humaneva_p1", "humaneva_p2", "humaneva_p1_last_chunk"),
  "mpi_inf_3dhp": ("mpi3dhp", "glot_mpi3dhp"),
  "threedpw": ("glot_3dpw",),
}
NAMES = [name for names in BENCHMARKS.values() for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_a_published_protocol_fixes_everything(name):
  protocol = protocols.get(name)
  assert name in BENCHMARKS[protocol.data]
  assert (builder_testing.DATASETS / protocol.data / "README.md").is_file()
  told = protocols.describe(protocol)
  for said in (
    f"{protocol.title}, {name}: {len(protocol.joints)} joints ({protocol.skeleton})",
    f"root {protocol.root}, aligned: ",
    f"Split of {protocol.data}: {protocol.split}.",
    f"{protocol.valid}. Units: ",
    f"Source: {protocol.source}. {protocol.note}",
  ):
    assert said in told, said
  assert all(protocols.symbol(metric) in told for metric in protocol.metrics)
  benchmarks = ("Human3.6M", "HumanEva-I", "MPI-INF-3DHP", "3DPW")
  assert protocol.title.startswith(benchmarks)
  assert "\n" not in told


def test_stride_alignment_and_units_are_told_of_each_metric():
  told = protocols.describe(protocols.get("h36m_multiview_every64"))
  assert "PA-MPJPE by a similarity, N-MPJPE by scale; averaged over actions." in told
  assert "Frames: 1 in 64 with a whole 3D pose. Units: MPJPE mm," in told
  told = protocols.describe(protocols.get("mpi3dhp"))
  assert "Frames: all with valid_frame of the test set." in told
  assert "Units: MPJPE mm, PCK@150mm %, AUC %." in told
  assert "averaged over subjects and actions" in protocols.describe(
    protocols.get("humaneva_p1")
  )


def poses(joints, frames=4, seed=0):
  rng = np.random.default_rng(seed)
  target = rng.normal(0, 0.3, (frames, joints, 3))
  return target, target + rng.normal(0, 0.1, target.shape)


def scored(name, people, **kwargs):
  """Of (subject, action) pairs, in their order."""
  joints = len(protocols.get(name).joints)
  parts = []
  for i, (subject, action) in enumerate(people):
    target, pred = poses(joints, seed=i)
    parts.append(SequencePrediction(pred, target, subject, action, **kwargs))
  return protocols.score(name, parts)


def columns(result):
  return protocols.format_table(result).splitlines()[0].strip("| ").split(" | ")


@pytest.mark.parametrize("name", ["h36m_p1", "h36m_p2", "h36m_mpjve", "glot_h36m"])
def test_actions_stand_in_the_order_of_published_tables(name):
  actions = """
    WalkTogether Walking WalkDog Waiting Smoking SittingDown Sitting Purchases Posing
    Photo Phoning Greeting Eating Discussion Directions Dance
  """.split()
  result = scored(name, [("S9", f"{action} 1") for action in actions])
  expected = """
    Directions Discussion Eating Greeting Phoning Photo Posing Purchases Sitting
    SittingDown Smoking Waiting WalkDog Walking WalkTogether Dance
  """.split()
  assert list(result.table) == expected
  last = "All" if name.startswith("glot") else "Avg."
  assert columns(result) == [name, *expected, last]


def test_humaneva_has_a_column_for_each_person_of_each_action():
  people = [(f"S{s}", f"{a} 1 chunk{s}") for s in (3, 1, 2) for a in ("Box", "Walking")]
  result = scored("humaneva_p1", people)
  assert columns(result) == [
    *("humaneva_p1", "S1 Walking", "S2 Walking", "S3 Walking"),
    *("S1 Box", "S2 Box", "S3 Box", "Avg."),
  ]


def test_mpi3dhp_has_a_table_by_groups_of_joints():
  valid = np.asarray([1, 0, 1, 1], bool)
  people = [("TS1", ""), ("TS2", "")]
  result = scored("mpi3dhp", people, valid=valid)
  assert list(result.joint_table) == list(metrics.MPI3DHP_GROUPS)
  distances = []
  for i in range(2):
    target, pred = poses(17, seed=i)
    target, pred = target[valid], pred[valid].copy()
    target = target - target[:, 14:15]
    distances.append(np.linalg.norm(pred - target, axis=-1))
  apart = np.concatenate(distances)
  for group, joints in metrics.MPI3DHP_GROUPS.items():
    found = result.joint_table[group]
    assert found["pck"] == pytest.approx(100 * (apart[:, joints] < 0.15).mean())
    assert found["mpjpe"] == pytest.approx(1000 * apart[:, joints].mean())
  for metric in ("pck", "auc"):
    weighted = sum(
      len(joints) * result.joint_table[group][metric]
      for group, joints in metrics.MPI3DHP_GROUPS.items()
    )
    assert result.totals[metric] == pytest.approx(weighted / 14)
  by_test, by_group = protocols.format_table(result).split("\n\n")
  assert by_test.splitlines()[0] == "| mpi3dhp | TS1 | TS2 | All |"
  assert by_group.splitlines()[0] == (
    "| mpi3dhp | head | neck | shoulders | elbows | wrists | hips | knees | ankles | "
    "All |"
  )
  rows = [line.split(" | ")[0] for line in by_group.splitlines()[2:]]
  assert rows == ["| MPJPE (mm)", "| PCK@150mm (%)", "| AUC (%)"]
  assert scored("h36m_p1", people).joint_table == {}


def test_glots_protocols_are_its_single_metrics_together():
  people = [("0", "courtyard"), ("1", "downtown"), ("0", "downtown")]
  error = np.full(4, 0.09)
  whole = scored("glot_3dpw", people, vertex_error=error)
  singles = [
    scored(name, people, vertex_error=error).total
    for name in ("mesh14_p2", "mesh14_p1", "mesh_vertices", "mesh14_accel")
  ]
  assert list(whole.totals) == ["pa_mpjpe", "mpjpe", "mpvpe", "acceleration_error"]
  assert list(whole.totals.values()) == pytest.approx(singles)
  assert list(whole.table) == ["courtyard", "downtown"]
  tests = [("TS1", "")]
  whole = scored("glot_mpi3dhp", tests)
  assert list(whole.totals.values()) == pytest.approx(
    [scored(f"mpi3dhp_mesh_{name}", tests).total for name in ("p2", "p1", "accel")]
  )


def test_humaneva_scores_equal_the_published_metrics(golden):
  data = np.load(golden / "metrics_15j.npz")
  target = data["gt"] - data["gt"][:, :1]
  part = SequencePrediction(data["pred"], target, "S2", "Jog 1 chunk0")
  found = [protocols.score(f"humaneva_{name}", [part]).total for name in ("p1", "p2")]
  expected = [metrics.mpjpe(data["pred"], target).mean(), data["p_mpjpe"]]
  assert found == pytest.approx([1000 * float(x) for x in expected], rel=1e-5)


def test_glots_scores_equal_the_published_metrics(shared):
  data = np.load(shared / "golden" / "glot" / "metrics.npz")
  part = SequencePrediction(
    data["in/pred14"],
    data["in/gt14"],
    "0",
    "downtown",
    vertex_error=data["out/mpvpe_per_frame_mm"] / 1000,
  )
  mpjpe, pa_mpjpe, acceleration = data["out/summary_mpjpe_pa_accel"]
  mpvpe = data["out/mpvpe_per_frame_mm"].mean()
  found = protocols.score("glot_3dpw", [part]).totals.values()
  assert list(found) == pytest.approx([pa_mpjpe, mpjpe, mpvpe, acceleration], rel=2e-6)
  found = protocols.score("glot_h36m", [part]).totals.values()
  assert list(found) == pytest.approx([pa_mpjpe, mpjpe, acceleration], rel=2e-6)
