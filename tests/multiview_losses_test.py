"""Laws of the multi-view losses, against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import multiview_losses as losses
from tests import triangulation_test

SHAPE = (2, 3, 4, 5)  # b v t j


def draw(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def example():
  weight = np.random.default_rng(3).random(SHAPE) < 0.6
  return draw(*SHAPE, 2), draw(*SHAPE, 2, seed=1), jnp.asarray(weight)


def test_keypoints_are_compared_where_they_count():
  pred, target, weight = example()
  error = np.abs(np.asarray(pred) - np.asarray(target))[np.asarray(weight)]
  got = losses.keypoints_2d(pred, target, weight)
  np.testing.assert_allclose(got, error.mean(), rtol=1e-5)
  got = losses.keypoints_2d_pixels(pred, target, weight, image_size=48)
  np.testing.assert_allclose(got, ((24 * error) ** 2).mean(), rtol=1e-5)


def test_what_counts_nothing_is_0_with_a_finite_slope():
  pred, target, weight = example()
  none = jnp.zeros_like(weight)
  for term in (losses.keypoints_2d, losses.keypoints_2d_pixels):
    value, slope = jax.value_and_grad(lambda p, f=term: f(p, target, none))(pred)
    assert value == 0
    np.testing.assert_array_equal(slope, np.zeros(pred.shape))


def test_relevance_target_marks_the_patches_under_a_bone():
  # 4 x 5 patches; the bone goes along the second row from the first patch to the last.
  points = jnp.zeros((1, 1, 1, 3, 2))
  points = points.at[0, 0, 0, :2].set(jnp.asarray([[-0.9, -0.3], [0.9, -0.3]]))
  weight = jnp.ones((1, 1, 1, 3))
  got = losses.relevance_target(points, weight, [(0, 1)], (4, 5))
  expected = np.zeros((4, 5))
  expected[1] = 1
  np.testing.assert_array_equal(got.reshape(4, 5), expected)
  # A joint without weight takes its bones along; so does one outside, but its part
  # inside stays.
  got = losses.relevance_target(points, weight.at[..., 1].set(0), [(0, 1)], (4, 5))
  assert not got.any()
  far = points.at[0, 0, 0, 1, 0].set(2.7)
  got = losses.relevance_target(far, weight, [(0, 1)], (4, 5))
  np.testing.assert_array_equal(got.reshape(4, 5).sum(0), [1, 0, 1, 0, 1])


def test_relevance_target_keeps_images_apart():
  points, _, _ = example()
  points = 0.4 * points
  ones = jnp.ones(SHAPE)
  bones = [(0, 1), (1, 2), (3, 4)]
  got = losses.relevance_target(points, ones, bones, (6, 6))
  assert got.shape == (2, 3, 4, 36)
  alone = losses.relevance_target(points[1:, 2:, 3:], ones[1:, 2:, 3:], bones, (6, 6))
  np.testing.assert_array_equal(got[1:, 2:, 3:], alone)
  assert 0 < got.mean() < 0.5


def test_relevance_is_the_cross_entropy_of_the_patches_asked_for():
  logits, weight = draw(2, 3, 4, 3), jnp.asarray(np.arange(24).reshape(2, 3, 4) % 2)
  rng = np.random.default_rng(0)
  target = rng.integers(0, 2, (2, 3, 4, 9)).astype(np.float32)
  patches = rng.integers(0, 9, (2, 3, 4, 3)).astype(np.int32)
  p = 1 / (1 + np.exp(-np.float64(logits)))
  wanted = np.take_along_axis(target, patches, -1)
  error = -(wanted * np.log(p) + (1 - wanted) * np.log(1 - p)).mean(-1)
  expected = error[np.asarray(weight) == 1].mean()
  got = losses.relevance(
    logits, jnp.asarray(patches), jnp.asarray(target), weight.astype(jnp.float32)
  )
  np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize(("error_of_box", "right"), [(0.049, 1), (0.051, 0)])
def test_confidence_is_asked_for_an_error_below_a_share_of_the_box(error_of_box, right):
  # The crop is 1.25 boxes wide and spans 2 crop units.
  target = jnp.zeros((1, 1, 1, 1, 2))
  pred = target.at[..., 0].set(error_of_box * 2 / 1.25)
  logits, weight = jnp.full((1, 1, 1, 1), 2.0), jnp.ones((1, 1, 1, 1))

  def term(pred):
    return losses.confidence(logits, pred, target, weight, scale=1.25)

  chance = 1 / (1 + np.exp(-2))
  expected = -np.log(chance if right else 1 - chance)
  value, slope = jax.value_and_grad(term)(pred)
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  assert not slope.any()


def test_velocity_ignores_a_constant_offset_and_invalid_frames():
  pred, target = draw(2, 4, 5, 3), draw(2, 4, 5, 3, seed=1)
  offset = draw(2, 1, 5, 3, seed=2)
  got = losses.velocity_3d(pred, target)
  expected = np.abs(np.diff(np.asarray(pred - target), axis=1)).mean()
  np.testing.assert_allclose(got, expected, rtol=1e-5)
  moved = pred + jnp.broadcast_to(offset, pred.shape)
  np.testing.assert_allclose(losses.velocity_3d(moved, target), expected, rtol=1e-4)
  valid = jnp.ones((2, 4, 5), bool).at[:, 3].set(False)
  cut = losses.velocity_3d(pred[:, :3], target[:, :3])
  np.testing.assert_allclose(losses.velocity_3d(pred, target, valid), cut, rtol=1e-5)
  assert losses.velocity_3d(pred[:, :1], target[:, :1]) == 0


def test_reprojection_of_the_truth_is_0_and_of_another_pose_not():
  points, rays, rotation, position = triangulation_test.scene(3)
  intrinsics = jnp.asarray([2.0, 2.5, 0.1, -0.2])
  crop = jnp.asarray(rays * [2.0, 2.5] + [0.1, -0.2], jnp.float32)[:, :, None]
  root = jnp.asarray(points[:, None, 0], jnp.float32)
  pose = jnp.asarray(points[:, None], jnp.float32) - root[:, :, None]
  rig = [
    jnp.broadcast_to(jnp.asarray(a, jnp.float32), (2, *a.shape[1:]))
    for a in (rotation, position)
  ]
  rest = (
    crop,
    *rig,
    jnp.broadcast_to(intrinsics, (2, 3, 1, 4)),
    jnp.ones((2, 3, 1, 5)),
  )
  assert losses.reprojection(pose, root, *rest) < 1e-6
  assert losses.reprojection(pose + 0.1, root, *rest) > 0.01
