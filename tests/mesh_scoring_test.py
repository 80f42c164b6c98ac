"""Scores of bodies: the truth has no error, known errors are found, rows are there."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose.body import body_files
from jaxpose.tasks import mesh_scoring
from jaxpose.tasks import scoring
from jaxpose.tasks.scoring import Evaluation
from tests import small_data

BODY = body_files.load("free_small")
NAMES = mesh_scoring.DEFAULT_PROTOCOLS


@pytest.fixture(scope="module")
def poses():
  return small_data.mesh_data(num_cameras=1)


@pytest.fixture(scope="module")
def truth(poses):
  return mesh_scoring.known_bodies(poses, np.arange(poses.num_frames))


class Constant(nn.Module):
  """Predicts one body for every window: upright, of mean shape."""

  @nn.compact
  def __call__(self, keypoints, train: bool = False):
    b = len(keypoints)
    pose = jnp.zeros((b, 1, 24, 3)).at[:, :, 0, 0].set(np.pi)
    betas = jnp.zeros((b, 1, 10)) + self.param("shift", nn.initializers.zeros, ())
    both = dict(rotations=geometry.axis_angle_to_matrix(pose), betas=betas)
    worse = both | dict(betas=betas + 3)
    return both | {f"global_{key}": value for key, value in worse.items()}


def scorer(load):
  return mesh_scoring.MeshScorer(
    Constant(),
    load,
    window=4,
    inputs=("keypoints_crop",),
    body="free_small",
    batch_size=8,
  )


def test_the_truth_has_no_error(poses, truth):
  joints, errors = mesh_scoring.compare(BODY, dict(model=truth), truth)
  np.testing.assert_allclose(errors["model"], 0, atol=1e-6)
  np.testing.assert_array_equal(joints["model"], joints["truth"])
  frames = np.arange(poses.num_frames)
  scored = mesh_scoring.joint_data(poses, frames, joints["truth"], "lsp14")
  results = scoring.score(scored, joints["model"], frames, NAMES, errors["model"])
  for name in NAMES:
    assert results[name].total == pytest.approx(0, abs=1e-3)


def test_vertex_errors_are_mean_distances_without_alignment(truth):
  rotations, betas = truth
  turn = geometry.axis_angle_to_matrix(np.asarray([0, 0.4, 0], np.float32))
  turned = rotations.copy()
  turned[:, 0] = turn @ rotations[:, 0]
  joints, errors = mesh_scoring.compare(BODY, dict(model=(turned, betas)), truth)
  there, here = (bodies.pose(BODY, r, betas).vertices for r in (turned, rotations))
  expected = np.linalg.norm(there - here, axis=-1).mean(-1)
  np.testing.assert_allclose(errors["model"], expected, rtol=1e-4)
  h36m = BODY.h36m_regressor[bodies.H36M_TO_14]
  np.testing.assert_allclose(joints["model"], h36m @ there, atol=1e-5)


def test_many_chunks_are_as_good_as_one(truth, monkeypatch):
  whole = mesh_scoring.compare(BODY, dict(a=truth), truth)
  monkeypatch.setattr(mesh_scoring, "_CHUNK", 7)
  parts = mesh_scoring.compare(BODY, dict(a=truth), truth)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), whole, parts)


def test_the_mean_body_is_the_chordal_mean(poses, truth):
  rotations, betas = mesh_scoring.mean_body(poses, 5)
  assert rotations.shape == (5, 24, 3, 3)
  np.testing.assert_allclose(betas[2], truth[1].mean(0), atol=1e-5)
  mean = truth[0].mean(0)

  def badness(r):
    return ((r - mean) ** 2).sum((-1, -2))

  rng = np.random.default_rng(0)
  for _ in range(5):
    small = geometry.axis_angle_to_matrix(rng.normal(0, 0.05, (24, 3)))
    assert (badness(rotations[0] @ small) > badness(rotations[0]) - 1e-6).all()


def test_a_model_is_scored_beside_its_global_branch_and_the_mean(poses):
  module = Constant()
  variables = module.init(jax.random.key(0), jnp.zeros((1, 4, 17, 5)))
  evaluation = Evaluation("test", NAMES)
  scored = scorer(lambda split: poses)(
    variables, evaluation, label="constant", baselines="train"
  )
  assert list(scored.rows) == ["mean pose", "global branch alone", "constant"]
  assert scored.poses.shape == (poses.num_frames, 14, 3)
  assert scored.data.skeleton.name == "lsp14"
  own, branch = scored.rows["constant"], scored.rows["global branch alone"]
  assert own["mesh_vertices"].total != branch["mesh_vertices"].total
  assert own["mesh14_p2"].total <= own["mesh14_p1"].total
  upright = geometry.axis_angle_to_matrix(
    np.zeros((1, 24, 3), np.float32) + np.eye(24, 1, dtype=np.float32) * [np.pi, 0, 0]
  ).astype(np.float32)
  joints = bodies.joints_14(
    BODY, bodies.pose(BODY, upright, np.zeros((1, 10), np.float32))
  )
  np.testing.assert_allclose(scored.poses[0], joints[0], atol=1e-5)


def test_without_true_bodies_the_stored_joints_are_the_target(poses):
  runs = poses.runs | dict(has_smpl=np.asarray([True, False]))
  some = poses.__class__(poses.frames, runs, poses.views, poses.skeleton)
  assert mesh_scoring.known_bodies(some, np.arange(3)) is None
  module = Constant()
  variables = module.init(jax.random.key(0), jnp.zeros((1, 4, 17, 5)))
  scored = scorer(lambda split: some)(variables, Evaluation("test", ("mesh14_p2",)))
  np.testing.assert_array_equal(
    scored.data.frames["joints_3d"], some.frames["joints_3d"][:, 25:39]
  )
  with pytest.raises(ValueError, match="joints alone, expected vertex errors too"):
    scorer(lambda split: some)(variables, Evaluation("test", ("mesh_vertices",)))


def test_joints_of_another_skeleton_come_from_the_49(poses, truth):
  joints, _ = mesh_scoring.compare(BODY, dict(model=truth), None, "mpi3dhp17")
  frames = np.arange(poses.num_frames)
  stored = mesh_scoring.joint_data(poses, frames, None, "mpi3dhp17")
  pelvis = stored.skeleton.index("pelvis")
  np.testing.assert_allclose(
    joints["model"] - joints["model"][:, pelvis : pelvis + 1],
    stored.frames["joints_3d"] - stored.frames["joints_3d"][:, pelvis : pelvis + 1],
    atol=1e-4,
  )


def test_two_skeletons_in_one_evaluation_are_refused(poses):
  evaluation = Evaluation("test", ("mesh14_p1", "mpi3dhp_mesh_p1"))
  with pytest.raises(ValueError, match="skeletons lsp14 and mpi3dhp17 in one evalu"):
    scorer(lambda split: poses)({}, evaluation)


def test_tails_are_reversed_within_each_run():
  run = np.asarray([0, 0, 0, 0, 1, 1, 2])
  at = mesh_scoring.with_reversed_tails(run, 2)
  np.testing.assert_array_equal(at, [0, 1, 3, 2, 5, 4, 6])


def test_a_detectors_errors_reach_the_network_and_not_the_truth(poses):
  class Seen(Constant):
    """Tells by its betas how wide the keypoints it is given are, and how sure."""

    @nn.compact
    def __call__(self, keypoints):
      out = super().__call__(keypoints)
      width = keypoints[..., 0].std((1, 2)) + keypoints[..., -1].mean((1, 2))
      return out | dict(betas=out["betas"] + width[:, None, None])

  module = Seen()
  variables = module.init(jax.random.key(0), jnp.zeros((1, 4, 17, 5)))
  score = mesh_scoring.MeshScorer(
    module,
    lambda split: poses,
    window=4,
    inputs=("keypoints_crop",),
    body="free_small",
    batch_size=8,
  )
  exact, erring = (
    score(variables, Evaluation("test", NAMES, detector=detector))
    for detector in (False, True)
  )
  np.testing.assert_array_equal(
    exact.data.frames["joints_3d"], erring.data.frames["joints_3d"]
  )
  assert np.abs(exact.poses - erring.poses).max() > 1e-4
  same = [s.rows["global branch alone"]["mesh14_p1"].total for s in (exact, erring)]
  assert same[0] == same[1]


def test_a_detector_has_nothing_to_do_with_image_features(poses):
  frames = poses.frames | dict(features=np.zeros((poses.num_frames, 2), np.float32))
  some = poses.__class__(frames, poses.runs, poses.views, poses.skeleton)
  with pytest.raises(ValueError, match="got detector=True with image features"):
    scorer(lambda split: some)({}, Evaluation("test", NAMES, detector=True))


def test_flip_averaging_is_refused(poses):
  with pytest.raises(ValueError, match="got flip=True, expected False: bodies"):
    scorer(lambda split: poses)({}, Evaluation("test", NAMES, flip=True))
