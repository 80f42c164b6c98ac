"""Depths along the rays of the keypoints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import models

FIELDS = dict(name="ray_lifter", channels=8, blocks=1, block_width=8)


def made(**fields):
  module = models.build(**{**FIELDS, **fields})
  frames = int(np.prod(module.filter_widths))
  points = 0.3 * jax.random.normal(jax.random.key(1), (4, frames, 17, 2))
  return module, points, module.init(jax.random.key(0), points)


def pinned(variables, **parts):
  """The variables with zeros in the output layers, and the biases that are given."""
  params = dict(variables["params"])
  for name in ("joints", "camera", "taps"):
    params[name] = jax.tree.map(jnp.zeros_like, params[name])
    if name in parts:
      params[name] = params[name] | dict(bias=parts[name])
  return dict(variables, params=params)


def test_joints_lie_on_the_rays_of_their_keypoints():
  """X = (Z0 + z) x - Z0 x_root in a unit of scale, whatever the depths are."""
  module, points, variables = made()
  depths = 0.4 * jax.random.normal(jax.random.key(2), (17,))
  bias = jnp.zeros((17, 3)).at[:, 2].set(depths).reshape(-1)
  out = module.apply(pinned(variables, joints=bias), points)["joints_3d"][:, 0]
  depth = np.asarray(depths - depths[0])
  np.testing.assert_allclose(out[..., 2], np.broadcast_to(depth, (4, 17)), atol=1e-6)
  scale = np.log1p(np.exp(2.4))
  near = 0.2 * np.log1p(np.exp(0.54))
  seen = np.asarray(points[:, 13])
  expected = scale * (seen * (1 + near * depth)[:, None] - seen[:, :1])
  np.testing.assert_allclose(out[..., :2], expected, atol=1e-5)


def test_the_root_is_the_origin():
  module, points, variables = made()
  out = module.apply(variables, points)["joints_3d"]
  assert out.shape == (4, 1, 17, 3)
  np.testing.assert_allclose(out[:, :, 0], 0, atol=1e-6)


def test_the_frame_that_is_predicted_can_be_the_last():
  module, points, variables = made(frame=26)
  moved = points.at[:, 26].add(0.5 * jnp.arange(17)[:, None] / 17)
  out, other = (
    module.apply(pinned(variables), x)["joints_3d"] for x in (points, moved)
  )
  scale = np.log1p(np.exp(2.4))
  np.testing.assert_allclose(
    (other - out)[0, 0, :, :2] / scale,
    np.repeat(0.5 * np.arange(17)[:, None] / 17, 2, 1),
    atol=1e-5,
  )


def test_taps_filter_the_keypoints_over_time():
  module, points, variables = made()
  taps = jnp.zeros((27, 17)).at[:, 5].set(1 / 27).reshape(-1)  # the mean, of one joint
  out = module.apply(pinned(variables, taps=taps), points)["joints_3d"][:, 0]
  plain = module.apply(pinned(variables), points)["joints_3d"][:, 0]
  scale = np.log1p(np.exp(2.4))
  mean = points[:, :, 5].mean(1) - points[:, 13, 5]
  np.testing.assert_allclose(out[:, 5, :2] - plain[:, 5, :2], scale * mean, atol=1e-5)
  np.testing.assert_array_equal(out[:, :5], plain[:, :5])


def test_windows_of_another_length_are_refused():
  module, points, variables = made()
  with pytest.raises(ValueError, match="got windows of 26 frames, expected 27"):
    module.apply(variables, points[:, :26])
