"""The baseline of temporal convolutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import models

FIELDS = dict(name="temporal_convolution", channels=6)


def made(**fields):
  module = models.build(**{**FIELDS, **fields})
  frames = int(np.prod(module.filter_widths))
  points = jax.random.normal(jax.random.key(1), (4, frames, 17, 2))
  return module, points, module.init(jax.random.key(0), points)


def count(variables):
  return sum(x.size for x in jax.tree.leaves(variables["params"]))


def test_the_network_has_the_size_of_the_paper():
  """16.95 million parameters at 243 frames (section 5.1 of the paper)."""
  module = models.build(**FIELDS | dict(channels=1024, filter_widths=(3,) * 5))
  points = jnp.zeros((1, 243, 17, 2))
  variables = jax.eval_shape(module.init, jax.random.key(0), points)
  assert count(variables) == pytest.approx(16.95e6, rel=0.001)


def test_it_is_as_large_as_the_lifter_that_it_is_compared_with():
  points = jnp.zeros((1, 27, 17, 2))
  ours = models.build(
    name="gla_gcn",
    variant="gla_gcn",
    width=64,
    filter_widths=(3, 3, 3),
    global_blocks=0,
    linear_skip=True,
  )
  theirs = models.build(**FIELDS | dict(channels=210))
  sizes = [
    count(jax.eval_shape(m.init, jax.random.key(0), points)) for m in (ours, theirs)
  ]
  assert sizes[1] == pytest.approx(sizes[0], rel=0.02)


def test_it_equals_a_dilated_convolution_over_the_window():
  """The strided form against convolutions with growing dilation, as published."""
  module, points, variables = made(filter_widths=(3, 3))
  out = module.apply(variables, points)["joints_3d"]
  p, width = variables["params"], 6

  def conv(x, kernel, taps, dilation):
    kernel = kernel.reshape(taps, -1, width)
    length = x.shape[1] - dilation * (taps - 1)
    return sum(
      x[:, i * dilation : i * dilation + length] @ kernel[i] for i in range(taps)
    )

  def norm(x):
    return jax.nn.relu(x / np.sqrt(1 + 1e-5))  # statistics as initialised

  x = norm(conv(points.reshape(4, 9, -1), p["expand"]["kernel"], 3, 1))
  skip = x[:, 3:-3]
  x = norm(conv(x, p["shrink_1"]["kernel"], 3, 3))
  x = skip + norm(conv(x, p["mix_1"]["kernel"], 1, 1))
  expected = x @ p["joints"]["kernel"]  # the bias starts at 0
  np.testing.assert_allclose(
    out.reshape(4, 51), expected.reshape(4, 51), rtol=1e-4, atol=1e-5
  )


def test_training_drops_and_moves_the_statistics():
  module, points, variables = made(dropout=0.5)
  out, moved = module.apply(
    variables,
    points,
    train=True,
    rngs={"dropout": jax.random.key(2)},
    mutable=["batch_stats"],
  )
  again = module.apply(variables, points)["joints_3d"]
  assert np.abs(out["joints_3d"] - again).max() > 1e-3
  before, after = (jax.tree.leaves(v["batch_stats"]) for v in (variables, moved))
  assert all(np.abs(a - b).max() > 0 for a, b in zip(before, after, strict=True))


def test_windows_of_another_length_are_refused():
  module, points, variables = made()
  with pytest.raises(ValueError, match="got windows of 26 frames, expected 27"):
    module.apply(variables, points[:, :26])
