"""Windows seen by cameras of their own."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.predict import lifting
from jaxpose.skeletons import framing
from jaxpose.weights import pretrained
from tests import small_data
from tests import small_runs

H36M = skeletons.get("h36m17")


def clip(frames=9):
  """(1, frames, 17, 3): a cloud of joints before a camera, 5 m away."""
  joints = small_data.motion(frames) - np.float32([0, 0, 0.9])
  return (joints[:, :, [0, 2, 1]] * [1, -1, 1] + [0, 0, 5]).astype(np.float32)[None]


def seen(joints, focal):
  return (focal * joints[..., :2] / joints[..., 2:]).astype(np.float32)


def length(points):
  parents, children = np.asarray(H36M.bones).T
  bones = points[..., children, :] - points[..., parents, :]
  return np.linalg.norm(bones, axis=-1).sum(-1).mean()


@pytest.mark.parametrize("focal", [0.8, 2.3, 9.0])
def test_bones_are_as_long_as_in_training_whatever_the_lens(focal):
  made = framing.windows(seen(clip(), focal), H36M, focal)
  assert length(made.points) == pytest.approx(framing.LENGTH, rel=1e-5)
  other = framing.windows(seen(clip(), 2.3), H36M, 2.3)
  np.testing.assert_allclose(made.points, other.points, atol=1e-5)
  assert made.points.dtype == np.float32


def test_the_root_lies_in_the_middle():
  joints = clip() + np.float32([2.0, -1.0, 0])
  made = framing.windows(seen(joints, 2.3), H36M, 2.3)
  # Of the turned camera's picture, not of the mean before it was turned.
  np.testing.assert_allclose(made.points[:, :, 0].mean((0, 1)), 0, atol=0.01)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_a_turned_camera_sees_is_framed_alike_and_turned_back(axis):
  """Panning or tilting changes the picture, and nothing of what is answered."""
  joints = clip()
  turn = geometry.axis_angle_to_matrix(np.eye(3, dtype=np.float32)[axis] * 0.25)
  plain = framing.windows(seen(joints, 2.3), H36M)
  turned = framing.windows(seen(joints @ turn.T, 2.3), H36M)
  # The mean of projections is not the projection of a mean: to a fraction of a degree.
  np.testing.assert_allclose(turned.points, plain.points, atol=0.02)
  poses = joints[:, 4] - joints[:, 4, :1]
  np.testing.assert_allclose(turned.back(poses), plain.back(poses) @ turn.T, atol=0.01)


def test_rays_stay_what_they_are():
  joints = clip() + np.float32([1.0, 0.5, 0])
  made = framing.windows(seen(joints, 1.7), H36M, 1.7)
  zoom = made.points / seen(np.einsum("bij,btkj->btki", made.rotation, joints), 2.3)
  np.testing.assert_allclose(zoom, zoom.mean(), rtol=1e-3)
  identity = made.rotation @ made.rotation.swapaxes(-1, -2)
  np.testing.assert_allclose(identity, np.eye(3)[None], atol=1e-6)
  assert np.linalg.det(made.rotation) == pytest.approx(1, abs=1e-5)


def test_each_window_may_have_a_lens_of_its_own_on_jax_as_well():
  focal = np.float32([0.8, 4.0])
  points = np.concatenate([seen(clip(), f) for f in focal])
  made = framing.windows(points, H36M, focal)
  np.testing.assert_allclose(made.points[0], made.points[1], atol=1e-5)
  traced = framing.windows(jnp.asarray(points), H36M, jnp.asarray(focal))
  np.testing.assert_allclose(traced.points, made.points, atol=1e-5)
  joints = np.concatenate([clip(), clip()])
  np.testing.assert_allclose(traced.turn(joints), made.turn(joints), atol=1e-5)
  np.testing.assert_allclose(made.back(made.turn(joints)), joints, atol=1e-5)


def test_a_window_without_any_size_stays_finite():
  made = framing.windows(np.zeros((1, 3, 17, 2), np.float32), H36M)
  assert np.isfinite(made.points).all()


def weights(data="cmu_mocap", skeleton=H36M, **info):
  module, info = small_runs.Lifter(), dict(data=data, **info)
  return pretrained.Pretrained(module, {}, {}, skeleton, 3, info=info)


def test_weights_of_our_cameras_are_framed_unless_said_otherwise():
  def focal(model, framed, value=None):
    return lifting.framing_focal(model, framed, (1000.0, 500.0), value)

  assert focal(weights(), None) == pytest.approx(2.3)
  assert focal(weights(), None, 800) == pytest.approx(1.6)
  assert focal(weights(), False) is None
  assert focal(weights("human36m"), None) is None
  assert focal(weights("human36m"), True) == pytest.approx(2.3)
  humaneva = weights(skeleton=skeletons.get("humaneva15"))
  assert focal(humaneva, None) is None
  with pytest.raises(ValueError, match="framed=True with weights of 'humaneva15'"):
    focal(humaneva, True)
  for wrong in (0, -3.0, np.nan, "long"):
    with pytest.raises(ValueError, match=r"got focal=.*, expected a length in pixels"):
      focal(weights(), None, wrong)


def test_weights_of_framed_windows_know_nothing_else():
  size = (1000.0, 500.0)
  for model in (
    weights(framed=True),
    weights("human36m", framed=True),
    weights(skeleton=skeletons.get("humaneva15"), framed=True),
  ):
    for framed in (None, True):
      assert lifting.framing_focal(model, framed, size) == pytest.approx(2.3)
    assert lifting.framing_focal(model, None, size, 800) == pytest.approx(1.6)
    with pytest.raises(ValueError, match="got framed=False with weights that know"):
      lifting.framing_focal(model, False, size)
