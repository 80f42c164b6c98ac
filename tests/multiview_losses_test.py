"""Laws of the multi-view losses, against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.tasks import view_losses as losses
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


def named():
  """An output and a batch with all that the terms compare: 17 joints, 4 x 4 patches."""
  b, v, t, j = shape = (2, 3, 4, 17)
  rng = np.random.default_rng(5)
  present = jnp.asarray(rng.random((b, v, t)) < 0.7)
  batch = dict(
    keypoints_2d=draw(*shape, 2) / 2,
    keypoints_known=jnp.asarray(rng.random(shape) < 0.8),
    keypoints_visible=jnp.asarray(rng.random(shape) < 0.4),
    joints_3d=draw(b, t, j, 3, seed=1),
    joints_3d_reference=draw(b, t, j, 3, seed=2),
    joints_3d_valid=jnp.asarray(rng.random((b, t, j)) < 0.8),
    root_3d=draw(b, t, 3, seed=3),
    view_mask=jnp.ones((b, v, t), bool),
    camera_rotation=jnp.broadcast_to(jnp.eye(3), (b, v, 3, 3)),
    camera_position=jnp.broadcast_to(jnp.asarray([0.0, 0, -9]), (b, v, 3)),
    crop_intrinsics=jnp.broadcast_to(jnp.asarray([4.0, 4, 0, 0]), (b, v, t, 4)),
  )
  patches = jnp.broadcast_to(jnp.arange(16), (b, v, t, 16))
  out = dict(
    keypoints_2d=draw(*shape, 2, seed=6),
    keypoints_2d_spatial=draw(*shape, 2, seed=7),
    score_logits=draw(*shape, seed=8),
    joints_3d=draw(b, t, j, 3, seed=9),
    relevance_0=draw(b, v, t, 16, seed=10),
    relevance_patches_0=patches,
    relevance_1=draw(b, v, t, 8, seed=11),
    relevance_patches_1=patches[..., 4:12],
    present=present,
  )
  return out, batch


def test_terms_are_found_by_name():
  out, batch = named()
  points, known = batch["keypoints_2d"], batch["keypoints_known"]
  visible, valid = batch["keypoints_visible"], batch["joints_3d_valid"]
  distance = np.linalg.norm(out["joints_3d"] - batch["joints_3d"], axis=-1)
  reference = np.linalg.norm(out["joints_3d"] - batch["joints_3d_reference"], axis=-1)
  bones = losses.BONES
  target = losses.relevance_target(points, known, bones, (4, 4))
  rig = [batch[k] for k in ("camera_rotation", "camera_position", "crop_intrinsics")]
  expected = {
    ("views_2d", "keypoints_2d"): losses.keypoints_2d(
      out["keypoints_2d"], points, known
    ),
    ("views_2d", "keypoints_2d_spatial"): losses.keypoints_2d(
      out["keypoints_2d_spatial"], points, known
    ),
    ("views_2d_either", "keypoints_2d"): losses.keypoints_2d_either(
      out["keypoints_2d"], points, known
    ),
    ("views_2d_pixels", "keypoints_2d"): losses.keypoints_2d_pixels(
      out["keypoints_2d"], points, known
    ),
    ("relevance", "relevance_1"): losses.relevance(
      out["relevance_1"], out["relevance_patches_1"], target, out["present"]
    ),
    ("confidence", "score_logits"): losses.confidence(
      out["score_logits"], out["keypoints_2d"], points, known
    ),
    ("views_3d", "joints_3d"): distance[np.asarray(valid)].mean(),
    ("views_3d", "joints_3d_reference"): reference[np.asarray(valid)].mean(),
    ("views_velocity_3d", "joints_3d"): losses.velocity_3d(
      out["joints_3d"], batch["joints_3d"], valid
    ),
    ("reprojection", "joints_3d"): losses.reprojection(
      out["joints_3d"], batch["root_3d"], points, *rig, known
    ),
  }
  assert {fn for fn, _ in expected} == set(losses.TERMS)
  for (fn, key), value in expected.items():
    got = losses.term(out, batch, fn, key)
    np.testing.assert_allclose(got, value, rtol=1e-5, err_msg=f"{fn} {key}")
  got = losses.term(out, batch, "views_2d", "keypoints_2d", joints="visible")
  value = losses.keypoints_2d(out["keypoints_2d"], points, visible)
  np.testing.assert_allclose(got, value, rtol=1e-6)


def test_exchanged_sides_count_as_right_in_whole_images():
  rng = np.random.default_rng(0)
  target = rng.normal(size=(1, 1, 3, 17, 2)).astype(np.float32)
  weight = rng.random((1, 1, 3, 17)) < 0.8

  def either(pred, joints=slice(None)):
    arrays = pred[..., joints, :], target[..., joints, :], weight[..., joints]
    return losses.keypoints_2d_either(*map(jnp.asarray, arrays))

  pred, mirror = target.copy(), losses.MIRROR
  pred[:, :, 1] = pred[:, :, 1, mirror]
  assert either(pred) == pytest.approx(0)
  arms = np.isin(np.arange(17), range(11, 17))
  pred[:, :, 2] = np.where(arms[:, None], pred[:, :, 2, mirror], pred[:, :, 2])
  assert either(pred) > 0.05
  np.testing.assert_allclose(either(target + np.float32(0.3)), 0.3, rtol=1e-5)
  with pytest.raises(ValueError, match="got 16 joints, expected the 17 of 'h36m17'"):
    either(pred, slice(1, None))


def test_mistakes_in_terms_are_refused():
  out, batch = named()
  with pytest.raises(ValueError, match="key 'joints', expected one of the model's out"):
    losses.term(out, batch, "views_3d", "joints")
  with pytest.raises(ValueError, match="joints='all', expected 'known' or 'visible'"):
    losses.term(out, batch, "views_2d", "keypoints_2d", joints="all")
  with pytest.raises(ValueError, match=r"grid \(3, 4\) for 16 patches, expected its"):
    losses.term(out, batch, "relevance", "relevance_1", grid=(3, 4))
  del out["relevance_0"]
  with pytest.raises(ValueError, match="got no grid, expected its rows and columns"):
    losses.term(out, batch, "relevance", "relevance_1")
