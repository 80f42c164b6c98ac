"""Laws of the transformer layers, against a second implementation in NumPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.models import attention

pytestmark = pytest.mark.numeric


def normal(*shape, seed=0):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


def start(module, *inputs, **kw):
  """Random variables, biases and norms included."""
  variables = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, **kw))
  rng = np.random.default_rng(1)
  return jax.tree.map(
    lambda a: jnp.asarray(rng.normal(size=a.shape) / math.sqrt(a.shape[0]), a.dtype),
    variables,
  )


def call(module, variables, *inputs, train=None, rngs=None):
  """The compiled output."""
  given = {} if train is None else {"train": train}
  run = jax.jit(lambda v, *x: module.apply(v, *x, **given, rngs=rngs))
  return np.asarray(run(variables, *inputs))


# The same in NumPy, float64.


def linear(x, p):
  return np.float64(x) @ np.float64(p["kernel"]) + np.float64(p.get("bias", 0.0))


def softmax_attention(q, k, v, heads):
  out = np.zeros_like(q)
  d = q.shape[-1] // heads
  for b in range(len(q)):
    for h in range(heads):
      own = slice(h * d, (h + 1) * d)
      weights = np.exp(q[b, :, own] @ k[b, :, own].T / math.sqrt(d))
      weights /= weights.sum(-1, keepdims=True)
      out[b, :, own] = weights @ v[b, :, own]
  return out


def normed(x, p):
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
  return x * np.float64(p["scale"]) + np.float64(p["bias"])


def self_attention(x, p, heads):
  qkv = np.split(linear(x, p["qkv"]), 3, axis=-1)
  return linear(softmax_attention(*qkv, heads), p["proj"])


def mlp(x, p):
  h = linear(x, p["fc1"])
  h = h * 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))
  return linear(h, p["fc2"])


def block(x, p, heads):
  x = x + self_attention(normed(x, p["norm1"]), p["attention"], heads)
  return x + mlp(normed(x, p["norm2"]), p["mlp"])


def test_gelu_is_the_exact_one():
  x = np.linspace(-8, 8, 1001, dtype=np.float32)
  expected = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()]
  np.testing.assert_allclose(attention.gelu(jnp.asarray(x)), expected, atol=5e-6)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_self_attention_is_the_formula(heads):
  x = normal(2, 5, 8)
  module = attention.Attention(heads)
  variables = start(module, x, train=False)
  got = call(module, variables, x, train=False)
  expected = self_attention(x, variables["params"], heads)
  np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("qkv_bias", [False, True])
def test_cross_attention_is_the_formula(qkv_bias):
  x, memory = normal(2, 3, 8), normal(2, 5, 8, seed=2)
  module = attention.CrossAttention(4, qkv_bias)
  variables = start(module, x, memory)
  p = variables["params"]
  assert ("bias" in p["q"], "bias" in p["kv"]) == (qkv_bias, qkv_bias)
  assert "bias" in p["proj"]
  keys_values = np.split(linear(memory, p["kv"]), 2, axis=-1)
  expected = softmax_attention(linear(x, p["q"]), *keys_values, 4)
  expected = linear(expected, p["proj"])
  np.testing.assert_allclose(call(module, variables, x, memory), expected, atol=1e-5)


def test_block_is_the_formula():
  x = normal(2, 5, 8)
  module = attention.TransformerBlock(2, 16)
  variables = start(module, x, False)
  got = call(module, variables, x, train=False)
  expected = block(np.float64(x), variables["params"], 2)
  np.testing.assert_allclose(got, expected, atol=1e-5)


def test_queries_do_not_see_each_other():
  x, memory = normal(1, 3, 8), normal(1, 5, 8, seed=2)
  module = attention.CrossAttention(2)
  variables = start(module, x, memory)
  together = call(module, variables, x, memory)
  alone = call(module, variables, x[:, 1:2], memory)
  np.testing.assert_allclose(together[:, 1:2], alone, atol=1e-6)


def test_order_of_the_memory_is_not_seen():
  x, memory = normal(1, 3, 8), normal(1, 5, 8, seed=2)
  module = attention.CrossAttention(2)
  variables = start(module, x, memory)
  one, other = (call(module, variables, x, m) for m in (memory, memory[:, ::-1]))
  np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("heads", [0, 3])
def test_heads_that_do_not_divide_the_channels_are_refused(heads):
  x = normal(1, 3, 8)
  sentence = f"got {heads} heads for 8 channels, expected a number that divides them"
  with pytest.raises(ValueError, match=sentence):
    attention.Attention(heads).init(jax.random.key(0), x, train=False)
  with pytest.raises(ValueError, match=sentence):
    attention.CrossAttention(heads).init(jax.random.key(0), x, x)


def test_bfloat16_computes_in_it_but_keeps_parameters_and_softmax_in_float32():
  x = normal(2, 5, 8)
  module = attention.TransformerBlock(2, 16, dtype=jnp.bfloat16)
  variables = start(module, x, False)
  assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
  low = jnp.asarray(x, jnp.bfloat16)
  got = call(module, variables, low, train=False)
  assert got.dtype == jnp.bfloat16
  exact = block(np.float64(low), variables["params"], 2)
  np.testing.assert_allclose(np.float64(got), exact, atol=0.05 * np.abs(exact).max())
  program = str(jax.make_jaxpr(lambda x: module.apply(variables, x, False))(low))
  exponentials = [line for line in program.splitlines() if "= exp " in line]
  assert exponentials
  assert all("f32[" in line.split("=")[0] for line in exponentials)


# Training.


def test_drop_path_drops_whole_examples_and_scales_up_the_others():
  x = jnp.ones((400, 3, 2))
  module = attention.DropPath(0.25)
  got = module.apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
  per_example = np.asarray(got).reshape(400, -1)
  np.testing.assert_allclose(per_example, per_example[:, :1].repeat(6, 1))
  kept = per_example[:, 0] > 0
  np.testing.assert_allclose(per_example[kept], 1 / 0.75, rtol=1e-6)
  assert 0.68 < kept.mean() < 0.82


@pytest.mark.parametrize(("rate", "train"), [(0.5, False), (0.0, True)])
def test_drop_path_is_nothing_without_training_or_rate(rate, train):
  x = normal(4, 3, 2)
  np.testing.assert_array_equal(attention.DropPath(rate).apply({}, x, train=train), x)


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout", "drop_path"])
def test_each_rate_acts_in_training_only(rate):
  x = normal(4, 5, 8)
  plain = attention.TransformerBlock(2, 16)
  module = attention.TransformerBlock(2, 16, **{rate: 0.5})
  variables = start(plain, x, False)
  expected = call(plain, variables, x, train=False)
  got = call(module, variables, x, train=False)
  np.testing.assert_array_equal(got, expected)
  draws = [
    call(module, variables, x, train=True, rngs={"dropout": jax.random.key(seed)})
    for seed in range(2)
  ]
  assert np.abs(draws[0] - expected).max() > 1e-2
  assert np.abs(draws[0] - draws[1]).max() > 1e-2


def test_dropout_of_the_mlp_acts_after_both_layers():
  x = normal(50, 4, 8)
  module = attention.Mlp(16, 0.5)
  variables = start(module, x, train=False)
  got = module.apply(variables, x, train=True, rngs={"dropout": jax.random.key(0)})
  assert 0.4 < (np.asarray(got) == 0).mean() < 0.6
  kept = np.asarray(got) != 0
  double = 2 * mlp(np.float64(x), variables["params"])
  assert np.abs(np.asarray(got) - double)[kept].max() > 1e-2  # hidden ones dropped too


def test_initial_weights_are_glorot_uniform_and_biases_zero():
  x = normal(1, 3, 64)
  params = attention.Attention(2).init(jax.random.key(0), x, train=False)["params"]
  bound = math.sqrt(6 / (64 + 192))
  kernel = np.asarray(params["qkv"]["kernel"])
  assert 0.98 * bound < np.abs(kernel).max() <= bound
  assert not np.any(params["qkv"]["bias"])
