"""Predicting every frame, the baselines, the table."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxpose import skeletons
from jaxpose.data import pose_data
from jaxpose.data import transforms
from jaxpose.metrics import protocols
from jaxpose.skeletons import framing
from jaxpose.tasks import scoring
from jaxpose.tasks.scoring import Evaluation
from tests import small_data
from tests import small_runs

H36M = skeletons.get("h36m17")


@pytest.fixture(scope="module")
def poses():
  return small_data.pose_data((30, 17))


@pytest.fixture(scope="module")
def lifter():
  """(module, variables) of a small model with weights that mean nothing."""
  module = small_runs.Lifter(dropout=0.0)
  return module, jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 3, 17, 2)))


@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_every_frame_is_predicted_once_from_its_own_window(every, batch_size):
  poses = small_data.of_runs([5, 1, 9])  # keypoint x is the frame's number

  def predict(variables, batch):
    middle = batch["keypoints_2d"][:, 1, :, :1]
    return np.broadcast_to(middle, (*middle.shape[:2], 3))

  got, frames = scoring.predict_frames(
    predict, {}, poses, 3, batch_size=batch_size, every=every
  )
  np.testing.assert_array_equal(frames, np.arange(0, 15, every))
  np.testing.assert_array_equal(got[:, 0, 0], frames)


def test_scores_do_not_depend_on_the_batch_size_or_the_devices(poses, lifter):
  module, variables = lifter
  predict = scoring.make_predict(module, H36M)
  mesh = Mesh(np.asarray(jax.devices()), ("data",))
  few, _ = scoring.predict_frames(predict, variables, poses, 3, batch_size=7)
  for kwargs in (dict(batch_size=64), dict(batch_size=7, mesh=mesh)):
    many, frames = scoring.predict_frames(predict, variables, poses, 3, **kwargs)
    assert len(frames) == poses.num_frames
    np.testing.assert_allclose(few, many, atol=1e-6)


class PerJoint(nn.Module):
  """Maps each joint alike to (x + shift, y, x^2); symmetric if `shift` is 0."""

  shift: float = 0.0

  @nn.compact
  def __call__(self, keypoints_2d, confidence=None):
    x, y = keypoints_2d[..., 0], keypoints_2d[..., 1]
    if confidence is not None:
      y = y + confidence
    joints = jnp.stack([x + self.shift, y, x * x], -1)
    return dict(joints_3d=joints[:, joints.shape[1] // 2][:, None])


def test_flip_averaging_leaves_a_symmetric_predictor_alone():
  points = np.random.default_rng(0).normal(size=(6, 3, 17, 2)).astype(np.float32)
  batch = dict(keypoints_2d=points)
  plain = scoring.make_predict(PerJoint(), H36M)({}, batch)
  flipped = scoring.make_predict(PerJoint(), H36M, flip=True)({}, batch)
  np.testing.assert_array_equal(plain, flipped)
  # It takes out what is not symmetric: a shift to one side.
  shifted = scoring.make_predict(PerJoint(0.5), H36M)({}, batch)
  assert np.abs(shifted - plain).max() == pytest.approx(0.5, abs=1e-6)
  averaged = scoring.make_predict(PerJoint(0.5), H36M, flip=True)({}, batch)
  np.testing.assert_allclose(averaged, plain, atol=1e-6)


def test_flip_averaging_makes_any_predictor_symmetric(lifter):
  module, variables = lifter
  points = np.random.default_rng(0).normal(size=(6, 3, 17, 2)).astype(np.float32)
  predict = scoring.make_predict(module, H36M, flip=True)
  a = np.asarray(predict(variables, dict(keypoints_2d=points)))
  b = predict(variables, dict(keypoints_2d=transforms.flip(points, H36M)))
  np.testing.assert_allclose(a, transforms.flip(np.asarray(b), H36M), atol=1e-5)
  plain = scoring.make_predict(module, H36M)(variables, dict(keypoints_2d=points))
  assert np.abs(a - plain).max() > 1e-3


def test_inputs_are_given_in_their_order():
  points = np.zeros((2, 1, 17, 2), np.float32)
  batch = dict(keypoints_2d=points, confidence=np.ones((2, 1, 17), np.float32))
  predict = scoring.make_predict(
    PerJoint(), H36M, inputs=("keypoints_2d", "confidence")
  )
  np.testing.assert_array_equal(predict({}, batch)[..., 1], 1)


def linear_world(frames: int, seed: int) -> pose_data.PoseData:
  """Poses that are an affine function of the keypoints, the same for every seed."""
  matrix = np.random.default_rng(9).normal(size=(35, 51))
  points = np.random.default_rng(seed).normal(size=(frames, 34))
  joints = np.c_[points, np.ones(frames)] @ matrix
  made = dict(
    keypoints_2d=points.reshape(-1, 17, 2).astype(np.float32),
    joints_3d=joints.reshape(-1, 17, 3).astype(np.float32),
  )
  runs = dict(first=np.asarray([0], np.int32), last=np.asarray([frames - 1], np.int32))
  return pose_data.PoseData(
    made, runs, (pose_data.View("s", "S1", "walk", "0", 50.0),), H36M
  )


def test_the_linear_lifter_recovers_a_linear_world():
  train, test = linear_world(200, 0), linear_world(50, 1)
  predicted = scoring.linear_baseline(train, test)
  truth = scoring.relative_joints(test)
  assert predicted.dtype == np.float32
  np.testing.assert_allclose(predicted, truth, atol=1e-3)
  assert np.abs(truth).mean() > 1


class Last(nn.Module):
  """Answers with the horizontal place of the window's last frame."""

  @nn.compact
  def __call__(self, keypoints_2d, train=False):
    x = keypoints_2d[:, -1:, :, :1]
    return {"joints_3d": jnp.concatenate([x, x, x], -1)}


@pytest.mark.parametrize("lookahead", [0, 2])
def test_every_frame_is_predicted_from_its_place_in_the_window(lookahead):
  poses = small_data.pose_data((12, 7))
  predict = scoring.make_predict(Last(), H36M)
  out, frames = scoring.predict_frames(predict, {}, poses, 5, lookahead=lookahead)
  last = poses.runs["last"][poses.run_of_frame]
  expected = np.asarray(poses.frames["keypoints_2d"])[
    np.minimum(frames + lookahead, last)
  ]
  np.testing.assert_array_equal(out[..., 0], expected[..., 0])


def test_the_scorer_gives_models_and_baselines_a_detectors_input(poses, lifter):
  module, variables = lifter
  scorer = scoring.Scorer(module, lambda split: poses, window=3, batch_size=8)
  exact, erring = (
    scorer(variables, Evaluation("test", detector=detector), baselines="train")
    for detector in (False, True)
  )
  assert erring.data.frames["joints_3d"] is exact.data.frames["joints_3d"]
  change = erring.data.frames["keypoints_2d"] - exact.data.frames["keypoints_2d"]
  assert (np.abs(change).max((1, 2)) > 0).all()
  assert np.abs(erring.poses - exact.poses).max() > 1e-3
  linear = [s.rows["linear lifter, 1 frame"]["cmu_p1"].total for s in (exact, erring)]
  assert linear[0] < linear[1]
  again = scorer(variables, Evaluation("test", detector=True))
  np.testing.assert_array_equal(again.poses, erring.poses)


def test_the_mean_pose_is_that_of_the_training_split():
  train, test = small_data.pose_data((30,), actions=("walk",)), linear_world(7, 1)
  predicted = scoring.mean_pose_baseline(train, test)
  assert predicted.shape == (7, 17, 3)
  joints = train.frames["joints_3d"]
  mean = (joints - joints[:, :1]).mean(0)
  np.testing.assert_allclose(predicted, np.broadcast_to(mean, (7, 17, 3)), atol=1e-6)


def test_velocities_do_not_cross_runs():
  poses = small_data.of_runs([4, 3], ["walk", "sit"])
  frames = np.arange(7)
  items = scoring.sequence_predictions(poses, poses.frames["joints_3d"], frames)
  assert [len(item.pred) for item in items] == [4, 3]
  assert [item.action for item in items] == ["walk", "sit"]
  # A jump between the runs costs nothing.
  shifted = scoring.relative_joints(poses).copy()
  shifted[4:, 3] += 1
  results = scoring.score(poses, shifted, frames, ("cmu_mpjve", "cmu_p1"))
  assert results["cmu_mpjve"].total == pytest.approx(0, abs=1e-3)
  assert results["cmu_p1"].total == pytest.approx(1000 * 3**0.5 * 3 / 7 / 17, rel=1e-5)


def test_the_scorer_puts_the_model_beside_the_baselines(poses, lifter):
  module, variables = lifter
  loaded = []

  def load(split):
    loaded.append(split)
    return poses

  scorer = scoring.Scorer(module, load, window=3, batch_size=8)
  evaluation = Evaluation("validation", ("cmu_p1", "cmu_p2"), every=3)
  alone = scorer(variables, evaluation)
  assert list(alone.rows) == ["model"]
  assert loaded == ["validation"]
  scored = scorer(variables, evaluation, label="lifter", baselines="train")
  assert list(scored.rows) == ["mean pose", "linear lifter, 1 frame", "lifter"]
  np.testing.assert_array_equal(scored.frames, np.arange(0, poses.num_frames, 3))
  totals = {name: row["cmu_p1"].total for name, row in scored.rows.items()}
  assert totals["lifter"] == alone.rows["model"]["cmu_p1"].total
  # Fitted and scored on the same frames, the richer baseline is the better one.
  assert totals["linear lifter, 1 frame"] < totals["mean pose"]
  assert np.abs(scored.poses - alone.poses).max() == 0


def test_the_table_has_a_row_per_predictor_and_a_column_per_protocol():
  def result(name, value):
    protocol = protocols.get(name)
    return protocols.ProtocolResult(protocol, {protocol.metrics[0]: value}, {}, {})

  rows = {
    label: dict(cmu_p2=result("cmu_p2", a), cmu_mpjve=result("cmu_mpjve", b))
    for label, a, b in (("mean pose", 123.456, 7.0), ("gla_gcn", 45.65, 10.04))
  }
  assert scoring.comparison_table(rows, ("cmu_p2", "cmu_mpjve")).splitlines() == [
    "|           | PA-MPJPE (mm) | MPJVE (mm/frame) |",
    "|-----------|--------------:|-----------------:|",
    "| mean pose |         123.5 |              7.0 |",
    "| gla_gcn   |          45.6 |             10.0 |",
  ]


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    (dict(protocols=("cmu_p11",)), "unknown protocol 'cmu_p11'; nearest: cmu_p1"),
    (dict(every=2), "every=2 with the protocol 'cmu_mpjve', expected 1: velocities"),
    (
      dict(every=2, protocols=("mesh14_accel",)),
      "every=2 with the protocol 'mesh14_accel', expected 1: velocities",
    ),
    (dict(every=0), "got every=0 and when='always', expected every >= 1"),
    (dict(when="often"), "when='often', expected every >= 1 and when 'always' or"),
  ],
)
def test_an_impossible_evaluation_is_refused(fields, message):
  with pytest.raises(ValueError, match=message):
    Evaluation("test", **fields)


def test_a_scorer_frames_windows_and_turns_poses_back(poses):
  class Rays(nn.Module):
    @nn.compact
    def __call__(self, points):
      return dict(joints_3d=jnp.concatenate([points, 1 + 0 * points[..., :1]], -1))

  found = scoring.Scorer(Rays(), lambda split: poses, window=1, framed=True)(
    {}, Evaluation("test", ("cmu_p1",))
  )
  points = poses.frames["keypoints_2d"][:, None]
  seen = framing.windows(points, H36M)
  rays = np.concatenate([seen.points, np.ones_like(points[..., :1])], -1)
  np.testing.assert_allclose(found.poses, seen.back(rays)[:, 0], atol=1e-4)
