import dataclasses

import numpy as np
import pytest

from jaxpose import metrics
from jaxpose import skeletons
from jaxpose.metrics import protocols
from jaxpose.metrics.protocols import SequencePrediction


def item(error, subject="S9", action="Walking", frames=4, joints=17, **kw):
  """A sequence whose predictions are off by `error` metres along x, the root by 0."""
  rng = np.random.default_rng(frames)
  target = rng.normal(size=(frames, joints, 3)).astype(np.float32)
  pred = target - target[:, :1]
  pred[:, 1:, 0] += error
  return SequencePrediction(pred, target, subject, action, **kw)


def moved(part, **kw):
  return dataclasses.replace(part, **kw)


@pytest.mark.parametrize("name", list(protocols.PROTOCOLS))
def test_every_protocol_says_what_its_number_means(name):
  protocol = protocols.get(name)
  assert protocol.name == name
  assert protocol.source
  assert protocol.note
  assert protocol.unit in ("mm", "mm/frame", "mm/frame²")
  assert protocol.joints == skeletons.get(protocol.skeleton).joints
  roots = ("as predicted", "zeroed", "re-centred", "hips re-centred")
  assert protocol.root in roots
  assert protocol.averaging in ("frames", "actions", "subjects_actions")
  assert set(protocol.metrics) <= {*metrics.METRICS, "mpvpe", "absolute_mpjpe"}


@pytest.mark.parametrize("name", list(protocols.PROTOCOLS))
def test_a_perfect_prediction_scores_zero_error(name):
  protocol = protocols.get(name)
  rng = np.random.default_rng(0)
  target = rng.normal(size=(5, len(protocol.joints), 3)).astype(np.float32)
  root = skeletons.get(protocol.skeleton).root
  pred = target - target[:, root : root + 1]
  perfect = SequencePrediction(
    pred, target, "S1", "Jog 1", vertex_error=np.zeros(5), absolute=target
  )
  result = protocols.score(protocol, [perfect])
  assert result.total == pytest.approx(0, abs=1e-3)
  if "pck" in protocol.metrics:
    assert result.totals["pck"] == 100
    assert result.totals["auc"] == pytest.approx(100 * 30 / 31)


def test_alignment_follows_the_metric():
  fitted = {
    name: protocols.get(f"h36m_{name}").alignment for name in ("p1", "p2", "p3")
  }
  assert fitted == dict(p1="none", p2="similarity", p3="scale")


def test_human36m_averages_actions_unweighted_and_pools_takes_by_frames():
  parts = [
    item(0.017, action="Walking", frames=4),
    item(0.034, action="Walking 1", frames=12),
    item(0.085, action="Photo 2", frames=2, subject="S11"),
  ]
  result = protocols.score("h36m_p1", iter(parts))
  # 16 of the 17 joints are off.
  walking, photo = 16 * (4 * 1 + 12 * 2) / 16, 16 * 5
  assert result.table["Walking"]["mpjpe"] == pytest.approx(walking, rel=1e-4)
  assert result.table["Photo"]["mpjpe"] == pytest.approx(photo, rel=1e-4)
  assert result.total == pytest.approx((walking + photo) / 2, rel=1e-4)
  assert result.frames == dict(Walking=16, Photo=2)


def test_several_views_are_scored_relative_and_where_the_person_is():
  """Off by 34 mm at one of 17 joints, and by 100 mm altogether."""
  target = np.random.default_rng(0).normal(size=(6, 17, 3))
  pred = target - target[:, :1]
  pred[:, 5, 2] += 0.034
  where = target + np.asarray([0.1, 0, 0])
  part = SequencePrediction(pred, target, "S9", "Photo 1", absolute=where)
  still = moved(part, action="Eating", pred=target - target[:, :1], absolute=target)
  result = protocols.score("h36m_multiview", [part, still])
  assert result.table["Photo"]["mpjpe"] == pytest.approx(2)
  assert result.table["Photo"]["absolute_mpjpe"] == pytest.approx(100)
  assert result.table["Photo"]["velocity_error"] == pytest.approx(0, abs=1e-9)
  # One of two actions; a root that is off as the rest is does not matter.
  assert result.totals["mpjpe"] == pytest.approx(1)
  assert result.totals["absolute_mpjpe"] == pytest.approx(50)
  shifted = protocols.score("h36m_multiview", [moved(part, pred=pred + 7)])
  assert shifted.totals["mpjpe"] == pytest.approx(2)


def test_scale_is_fitted_for_n_mpjpe_alone():
  target = np.random.default_rng(0).normal(size=(4, 17, 3))
  pred = 2 * (target - target[:, :1])
  part = SequencePrediction(pred, target, "S9", "Photo", absolute=target)
  result = protocols.score("h36m_multiview", [part])
  length = np.linalg.norm(target - target[:, :1], axis=-1).mean()
  assert result.totals["n_mpjpe"] == pytest.approx(0, abs=1e-9)
  assert result.totals["pa_mpjpe"] == pytest.approx(0, abs=1e-3)
  assert result.totals["mpjpe"] == pytest.approx(1000 * length)


def test_frames_or_actions_weigh_alike():
  parts = [
    moved(item(e, action=a, frames=n), absolute=np.zeros((n, 17, 3)))
    for e, a, n in ((0.017, "Eating", 30), (0.034, "Eating 1", 10), (0.17, "Photo", 10))
  ]
  actions = protocols.score("h36m_multiview", parts)
  frames = protocols.score("h36m_multiview_by_frames", parts)
  assert actions.total == pytest.approx((16 * 1.25 + 160) / 2, rel=1e-4)
  assert frames.total == pytest.approx(16 * (30 + 2 * 10 + 10 * 10) / 50, rel=1e-4)


def test_takes_with_shifted_ground_truth_can_be_left_out():
  names = ("Greeting", "Greeting 1", "SittingDown", "SittingDown 1", "Waiting 1")
  parts = [
    moved(item(0.017, s, a), absolute=np.zeros((4, 17, 3)))
    for s in ("S9", "S11")
    for a in names
  ]
  whole = protocols.score("h36m_multiview", parts)
  without = protocols.score("h36m_multiview_without_damaged", parts)
  assert whole.frames == dict(Greeting=16, SittingDown=16, Waiting=8)
  assert without.frames == dict(Greeting=12, SittingDown=12, Waiting=4)
  assert "Greeting-2, SittingDown-2 and Waiting-1" in without.protocol.note


def test_every_64th_frame_is_one_of_the_recording():
  part = moved(item(0.0, frames=40), absolute=np.zeros((40, 17, 3)))
  part = moved(part, frame_ids=4 * np.arange(3, 43))  # 12 to 168: 64 and 128
  part.pred[[13, 29], 1:, 0] += 0.017
  result = protocols.score("h36m_multiview_every64", [part])
  assert result.frames == {"Walking": 2}
  assert result.total == pytest.approx(16, rel=1e-4)
  assert "velocity_error" not in result.totals
  valid = np.arange(40) != 29
  assert protocols.score(
    "h36m_multiview_every64", [moved(part, valid=valid)]
  ).frames == {"Walking": 1}


def test_frames_between_those_of_a_protocol_are_refused():
  part = moved(item(0.0, frames=40), frame_ids=5 * np.arange(40))
  message = "got every 5th frame of the recording, expected a step that divides 64"
  with pytest.raises(ValueError, match=message):
    protocols.score("h36m_multiview_every64", [part])


def test_an_absolute_error_needs_absolute_predictions():
  message = "got poses relative to the root alone, expected absolute ones too"
  with pytest.raises(ValueError, match=message):
    protocols.score("h36m_multiview", [item(0.0)])
  lost = np.zeros((4, 17, 3))
  lost[1:3] = np.nan
  with pytest.raises(ValueError, match="2 of 4 absolute poses are NaN or infinite"):
    protocols.score("h36m_multiview", [moved(item(0.0), absolute=lost)])


def test_cmu_weighs_every_frame_alike():
  parts = [item(0.017, action="run", frames=9), item(0.034, action="jump", frames=3)]
  result = protocols.score("cmu_p1", parts)
  assert result.total == pytest.approx(16 * (9 * 1 + 3 * 2) / 12, rel=1e-4)


def test_root_handling_differs_by_protocol():
  part = item(0.0)
  part.pred[:, 0, 0] += 0.017
  scores = {n: protocols.score(n, [part]).total for n in ("h36m_p1", "cmu_p1")}
  # As predicted, one joint of 17 is off; re-centred, the 16 others are.
  assert scores["h36m_p1"] == pytest.approx(1, rel=5e-4)
  assert scores["cmu_p1"] == pytest.approx(16, rel=1e-4)
  target = np.random.default_rng(1).normal(size=(3, 17, 3))
  pred = target - target[:, 14:15]
  pred[:, 14] += 7
  zeroed = protocols.score("mpi3dhp", [SequencePrediction(pred, target, "TS1", "")])
  assert zeroed.total == pytest.approx(0, abs=1e-9)


def test_scores_equal_the_published_metrics(golden):
  data = np.load(golden / "metrics_17j.npz")
  pred, gt = data["pred"], data["gt"].copy()
  gt -= gt[:, :1]
  part = SequencePrediction(pred, gt, "S9", "Eating 1")
  expected = dict(
    h36m_p1=metrics.mpjpe(pred, gt).mean(),
    h36m_p2=data["p_mpjpe"],
    h36m_p3=metrics.n_mpjpe(pred, gt).mean(),
    h36m_mpjve=metrics.velocity_error(pred, gt),
  )
  for name, value in expected.items():
    score = protocols.score(name, [part]).total
    assert score == pytest.approx(1000 * value, rel=1e-5), name


def test_mpi3dhp_groups_weigh_by_their_joints_and_skip_three_joints():
  rng = np.random.default_rng(2)
  target = rng.normal(size=(50, 17, 3))
  pred = target - target[:, 14:15] + 0.12 * rng.normal(size=(50, 17, 3))
  pred[:, [15, 16]] += 5
  result = protocols.score("mpi3dhp", [SequencePrediction(pred, target, "TS2", "")])
  relative = target - target[:, 14:15]
  weighted = sum(
    len(group)
    * (np.linalg.norm((pred - relative)[:, list(group)], axis=-1) < 0.15).mean()
    for group in metrics.MPI3DHP_GROUPS.values()
  )
  assert result.totals["pck"] == pytest.approx(100 * weighted / 14)
  assert 5 < result.totals["auc"] < result.totals["pck"] < 95


def test_velocity_is_taken_within_sequences_and_not_across_invalid_frames():
  still = item(0.0, frames=6)
  shifted = moved(still, pred=still.pred + 1)
  assert protocols.score("h36m_mpjve", [still, shifted]).total == pytest.approx(
    0, abs=1e-2
  )
  jump = still.pred.copy()
  jump[3] += 1
  valid = np.arange(6) != 3
  masked = moved(still, pred=jump, valid=valid)
  assert protocols.score("h36m_mpjve", [masked]).total == pytest.approx(0, abs=1e-3)
  result = protocols.score("h36m_mpjve", [moved(still, pred=jump)])
  assert result.total == pytest.approx(1000 * np.sqrt(3) * 2 / 5, rel=1e-3)


def test_vertex_errors_are_averaged_over_valid_frames():
  joints = np.zeros((4, 14, 3), np.float32)
  error = np.asarray([0.01, 0.02, 0.06, np.nan])
  valid = np.asarray([1, 1, 1, 0], bool)
  part = SequencePrediction(joints, joints, "S1", "walk", valid, error)
  result = protocols.score("mesh_vertices", [part])
  assert result.total == pytest.approx(30)
  assert result.protocol.unit == "mm"
  strided = dataclasses.replace(protocols.get("mesh_vertices"), frame_stride=2)
  part = dataclasses.replace(part, valid=None)
  result = protocols.score(strided, [part])
  assert result.total == pytest.approx(1000 * part.vertex_error[::2].mean())
  with pytest.raises(ValueError, match="got joints alone, expected vertex errors"):
    protocols.score("mesh_vertices", [dataclasses.replace(part, vertex_error=None)])


def test_invalid_frames_do_not_count_even_if_nan():
  part = item(0.017, frames=6, valid=np.arange(6) < 4)
  part.pred[4:] = np.nan
  result = protocols.score("cmu_p1", [part])
  assert result.total == pytest.approx(16, rel=1e-4)
  assert result.frames == {"Walking": 4}


def test_frame_stride_scores_every_nth_frame():
  part = item(0.0, frames=6)
  part.pred[1::2, 1:, 0] += 1
  halved = dataclasses.replace(protocols.get("cmu_p1"), frame_stride=2)
  assert protocols.score(halved, [part]).total == pytest.approx(0, abs=1e-3)
  assert protocols.score("cmu_p1", [part]).total > 100


def humaneva_parts():
  chunks = [
    ("S1", "Walking 1 chunk0", 0.015, 8),
    ("S1", "Walking 1 chunk0", 0.015, 8),
    ("S1", "Walking 1 chunk3", 0.03, 4),
    ("S1", "Walking 1 chunk3", 0.06, 4),
    ("S2", "Jog 1 chunk0", 0.15, 2),
  ]
  return [item(e, s, a, f, joints=15) for s, a, e, f in chunks]


def test_humaneva_pools_all_chunks_per_subject_and_action():
  result = protocols.score("humaneva_p1", humaneva_parts())
  walking = 14 * (16 * 1 + 4 * 2 + 4 * 4) / 24
  assert result.table["S1 Walking"]["mpjpe"] == pytest.approx(walking, rel=1e-4)
  assert result.table["S2 Jog"]["mpjpe"] == pytest.approx(140, rel=1e-4)
  assert result.total == pytest.approx((walking + 140) / 2, rel=1e-4)


def test_the_compatibility_option_scores_only_the_last_chunk_of_all_cameras():
  result = protocols.score("humaneva_p1_last_chunk", humaneva_parts())
  assert result.table["S1 Walking"]["mpjpe"] == pytest.approx(14 * 3, rel=1e-4)
  assert "not a fair score" in result.protocol.note


def test_action_names_lose_take_and_chunk_numbers():
  names = ["Walking 1", "Walking", "Walking 1 chunk12", "Sitting Down 2", "07_01"]
  stripped = [protocols.action_name(name) for name in names]
  assert stripped == ["Walking", "Walking", "Walking", "Sitting Down", "07_01"]


def test_table_prints_like_a_paper():
  parts = [item(0.017), item(0.034, action="Photo", subject="S11")]
  table = protocols.format_table(protocols.score("h36m_p1", parts))
  assert table.splitlines() == [
    "| h36m_p1 | Photo | Walking | Avg. |",
    "|---|---:|---:|---:|",
    "| MPJPE (mm) | 32.0 | 16.0 | 24.0 |",
  ]
  frames = protocols.format_table(protocols.score("cmu_p1", parts), decimals=0)
  assert frames.splitlines()[0].endswith("| All |")
  assert frames.splitlines()[2] == "| MPJPE (mm) | 16 | 32 | 24 |"


def test_scoring_is_fast_enough_to_use_after_every_epoch():
  import time

  part = item(0.01, frames=20_000)
  start = time.perf_counter()
  protocols.score("cmu_p2", [part])
  assert time.perf_counter() - start < 5


def test_unknown_protocol_is_refused_with_the_nearest():
  with pytest.raises(ValueError, match="unknown protocol 'h36m_p4'; nearest: h36m_p"):
    protocols.score("h36m_p4", [])


@pytest.mark.parametrize("parts", [[], [item(0.0, valid=np.zeros(4, bool))]])
def test_nothing_to_score_is_refused(parts):
  with pytest.raises(
    ValueError, match="got no valid frame to score, expected at least"
  ):
    protocols.score("cmu_p1", parts)


@pytest.mark.parametrize("which", ["predictions", "targets"])
def test_poses_that_are_not_finite_are_refused(which):
  part = item(0.0)
  (part.pred if which == "predictions" else part.target)[2, 3, 1] = np.inf
  with pytest.raises(ValueError, match=f"'Walking': 1 of 4 frames of the {which} are"):
    protocols.score("cmu_p1", [part])


def test_wrong_joints_are_refused():
  with pytest.raises(ValueError, match=r"expected both \(frames, 17, 3\) .* 'h36m17'"):
    protocols.score("cmu_p1", [item(0.0, joints=15)])


def glot_metrics(shared):
  with np.load(shared / "golden/glot/metrics.npz") as file:
    return dict(file)


def test_fourteen_joint_scores_are_glots(shared):
  data = glot_metrics(shared)
  part = protocols.SequencePrediction(
    data["in/pred14"], data["in/gt14"], "courtyard", "courtyard"
  )
  names = ("mesh14_p1", "mesh14_p2", "mesh14_accel")
  found = [protocols.score(name, [part]).total for name in names]
  np.testing.assert_allclose(found, data["out/summary_mpjpe_pa_accel"], rtol=2e-6)


def test_mpi3dhp_scores_of_a_mesh_are_glots(shared):
  data = glot_metrics(shared)
  order = [38, 37, 33, 32, 31, 34, 35, 36, 27, 26, 25, 28, 29, 30, 39, 41, 43]
  part = protocols.SequencePrediction(
    data["in/pred49"][:, order],
    data["in/gt49"][:, order],
    "TS1",
    "TS1",
    data["in/valid_i"][:, 0] > 0,
  )
  for name, key in dict(p1="mpjpe", p2="pa", accel="accel").items():
    expected = data[f"out/mpii3d_{key}_mm"].mean()
    found = protocols.score(f"mpi3dhp_mesh_{name}", [part]).total
    np.testing.assert_allclose(found, expected, rtol=2e-6)
