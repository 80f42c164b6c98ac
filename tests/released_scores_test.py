"""Released lifters on the motion capture that their scores are of."""

import pytest

from jaxpose.data import pose_data
from jaxpose.tasks import scoring
from jaxpose.weights import pretrained


@pytest.fixture(scope="module")
def cmu(shared, tmp_path_factory):
  folder = tmp_path_factory.mktemp("cmu")
  return pose_data.prepare(
    "cmu_mocap", data_dir=folder, manual_dir=shared / "data/cmu_asfamc"
  )


@pytest.mark.parametrize(
  ("name", "detector", "mpjpe", "pa_mpjpe"),
  [
    ("lift-27", False, 41.2, 31.5),
    ("lift-27", True, 72.0, 55.5),
    ("lift-27-causal", True, 83.6, 64.3),
  ],
)
def test_lifters_score_what_they_claim(cmu, name, detector, mpjpe, pa_mpjpe):
  weights = pretrained.load(name)
  scorer = scoring.Scorer(
    weights.module,
    lambda split: pose_data.load(cmu, split),
    window=weights.window,
    framed=weights.framed,
    lookahead=weights.lookahead,
  )
  # Every 40th frame: a share of the split, hence within a few percent.
  evaluation = scoring.Evaluation(
    "test", protocols=("cmu_p1", "cmu_p2"), every=40, detector=detector
  )
  (row,) = scorer(weights.variables, evaluation).rows.values()
  assert row["cmu_p1"].total == pytest.approx(mpjpe, rel=0.05)
  assert row["cmu_p2"].total == pytest.approx(pa_mpjpe, rel=0.05)
