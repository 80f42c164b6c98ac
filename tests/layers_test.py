import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxpose.models.layers import BatchNorm
from jaxpose.models.layers import Dropout
from jaxpose.models.layers import conv
from jaxpose.models.layers import mix

pytestmark = pytest.mark.numeric


def draw(*shape, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def value_and_pullback(function, args, cotangent):
  value, pull = jax.vjp(function, *args)
  return value, pull(cotangent)


@pytest.mark.parametrize(
  ("k", "stride", "padding"),
  [(1, 1, 0), (3, 1, 1), (9, 1, 4), (9, 3, 4), (9, 5, 4), (9, 9, 4), (3, 3, 1)],
)
def test_conv_and_its_gradients_equal_lax(k, stride, padding):
  b, v, t, c, d = 2, 3, 45, 4, 5
  args = draw(b, v, t, c), draw(k, c, d, seed=1), draw(d, seed=2)

  def ours(x, kernel, bias):
    return conv(x, kernel, bias, stride=stride, padding=padding)

  def plain(x, kernel, bias):
    y = lax.conv_general_dilated(
      x.reshape(b * v, t, c),
      kernel,
      (stride,),
      [(padding, padding)],
      dimension_numbers=("NWC", "WIO", "NWC"),
    )
    return y.reshape(b, v, -1, d) + bias.reshape(1, 1, 1, d)

  cotangent = draw(b, v, t // stride, d, seed=3)
  got = jax.jit(lambda *a: value_and_pullback(ours, a, cotangent))(*args)
  want = jax.jit(lambda *a: value_and_pullback(plain, a, cotangent))(*args)
  jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, atol=2e-4), got, want)
  assert got[0].shape == (b, v, t // stride, d)


@pytest.mark.parametrize("stride", [3, 5])
def test_stride_that_does_not_divide_the_frames_is_refused(stride):
  with pytest.raises(ValueError, match=f"got 28 frames, expected .* stride {stride}"):
    conv(draw(1, 1, 28, 2), draw(9, 2, 2), stride=stride, padding=4)


def test_conv_computes_in_the_type_of_its_input():
  x = draw(2, 3, 9, 4).astype(jnp.bfloat16)
  y = conv(x, draw(9, 4, 5), draw(5), stride=3, padding=4)
  assert y.dtype == jnp.bfloat16


def test_mix_and_its_gradients_equal_matrix_products():
  x = draw(2, 3, 7, 4)
  kernels = [draw(4, d, seed=d) for d in (1, 5, 6)]
  cotangent = [draw(2, 3, 7, d, seed=d + 9) for d in (1, 5, 6)]

  def plain(x, kernels):
    return [x @ kernel for kernel in kernels]

  got = jax.jit(lambda *a: value_and_pullback(mix, a, cotangent))(x, kernels)
  want = jax.jit(lambda *a: value_and_pullback(plain, a, cotangent))(x, kernels)
  jax.tree.map(lambda g, w: np.testing.assert_allclose(g, w, atol=1e-5), got, want)


def norm(x, variables=None, **call):
  module = BatchNorm()
  if variables is None:
    variables = module.init(jax.random.key(0), x, train=False)
  return module.apply(variables, x, mutable=["batch_stats"], **call)


def test_batch_norm_in_training_standardises_each_channel():
  x = 3 * draw(4, 5, 6) + 2
  y, _ = norm(x, train=True)
  np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-6)
  np.testing.assert_allclose(y.std((0, 1)), 1, atol=1e-4)


def test_batch_norm_keeps_the_unbiased_variance():
  x = 3 * draw(4, 2, 6) + 2
  _, state = norm(x, train=True, momentum=0.25)
  flat = np.asarray(x).reshape(-1, 6)
  stats = state["batch_stats"]
  np.testing.assert_allclose(stats["mean"], 0.25 * flat.mean(0), rtol=1e-5)
  expected = 0.75 + 0.25 * flat.var(0, ddof=1)
  np.testing.assert_allclose(stats["var"], expected, rtol=1e-5)


def test_batch_norm_in_evaluation_uses_and_keeps_the_running_statistics():
  x = draw(4, 5, 3)
  stats = {"mean": jnp.asarray([1.0, 2, 3]), "var": jnp.asarray([4.0, 9, 16])}
  params = {"scale": jnp.asarray([1.0, 2, 3]), "bias": jnp.asarray([0.0, 1, 2])}
  y, state = norm(x, {"params": params, "batch_stats": stats}, train=False)
  numpy = jax.tree.map(np.asarray, params | stats)
  root = np.sqrt(numpy["var"] + 1e-5)
  expected = (np.asarray(x) - numpy["mean"]) / root * numpy["scale"] + numpy["bias"]
  np.testing.assert_allclose(y, expected, atol=1e-5)
  jax.tree.map(np.testing.assert_array_equal, state["batch_stats"], stats)


def test_batch_norm_keeps_float32_statistics_of_a_large_mean():
  x = (draw(64, 32, 1) + 1000).astype(jnp.bfloat16)
  y, state = norm(x, train=True, momentum=1.0)
  assert y.dtype == jnp.bfloat16
  variance = state["batch_stats"]["var"]
  assert variance.dtype == jnp.float32
  expected = np.asarray(x, np.float64).var(ddof=1)
  np.testing.assert_allclose(variance, expected, rtol=1e-4)


def drop(x, rate=0.25, train=True, seed=0):
  key = jax.random.key(seed)
  return Dropout(rate).apply({}, x, train=train, rngs={"dropout": key})


def test_dropout_scales_what_it_keeps():
  x = jnp.ones((101, 99))  # an odd number of entries
  y = np.asarray(drop(x))
  np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75], rtol=1e-6)
  share, sigma = (y == 0).mean(), (0.25 * 0.75 / y.size) ** 0.5
  assert abs(share - 0.25) < 4 * sigma
  neighbours = np.corrcoef(y[:, ::2][:, :49].ravel(), y[:, 1::2].ravel())[0, 1]
  assert abs(neighbours) < 4 / (y.size / 2) ** 0.5


def test_dropout_depends_on_the_key_alone():
  x = draw(20, 30)
  np.testing.assert_array_equal(drop(x), drop(x))
  assert (np.asarray(drop(x)) != np.asarray(drop(x, seed=1))).any()


@pytest.mark.parametrize("call", [dict(train=False), dict(rate=0.0)])
def test_dropout_is_the_identity_outside_training_and_at_rate_0(call):
  x = draw(20, 30)
  np.testing.assert_array_equal(drop(x, **call), x)


def test_dropout_passes_gradients_where_it_passes_values():
  x = jnp.ones((20, 30))
  slope = jax.grad(lambda x: drop(x).sum())(x)
  np.testing.assert_array_equal(slope, drop(x))
