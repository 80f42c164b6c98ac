"""Transformer layers: attention, its block, stochastic depth."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array
from jaxtyping import Float

from jaxpose.models.layers import Dropout


def gelu(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
  """Exact GELU. `jax.nn.gelu` takes erfc for it, which CPUs do 2 to 8 times slower."""
  return 0.5 * x * (1 + lax.erf(x * 0.5**0.5))


def dense(features: int, name: str, dtype: Any, bias: bool = True) -> nn.Dense:
  """A linear layer with Glorot's uniform weights, parameters in float32."""
  init = nn.initializers.xavier_uniform()
  return nn.Dense(features, bias, dtype=dtype, kernel_init=init, name=name)


def layer_norm(name: str, dtype: Any) -> nn.LayerNorm:
  """Norm of the last axis, epsilon 1e-6; statistics are float32 in two passes."""
  return nn.LayerNorm(1e-6, dtype=dtype, use_fast_variance=False, name=name)


def attend(
  query: Float[Array, "b q c"],
  key: Float[Array, "b k c"],
  value: Float[Array, "b k c"],
  heads: int,
  drop: Callable | None = None,
) -> Float[Array, "b q c"]:
  """Softmax attention; head i owns channels [i c / heads, (i + 1) c / heads).

  The softmax is float32 whatever the type of the arguments. `drop` acts on the weights.
  """
  # Heads before tokens: on CPU as fast as or faster than tokens before heads and
  # `jax.nn.dot_product_attention`, at 9 tokens and at 243.
  q, k, v = (
    x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)
    for x in (query, key, value)
  )
  scores = jnp.einsum("bhqd,bhkd->bhqk", q, k, preferred_element_type=jnp.float32)
  weights = nn.softmax(scores * q.shape[-1] ** -0.5)
  if drop is not None:
    weights = drop(weights)
  out = jnp.einsum("bhqk,bhkd->bhqd", weights.astype(v.dtype), v)
  return out.transpose(0, 2, 1, 3).reshape(query.shape)


def _require_heads(width: int, heads: int):
  if heads < 1 or width % heads:
    raise ValueError(
      f"got {heads} heads for {width} channels, expected a number that divides them."
    )


class Attention(nn.Module):
  """Self-attention with one product for queries, keys and values.

  Attributes:
    heads: that share the channels.
    dropout: of the output.
    attention_dropout: of the attention weights.
    qkv_bias: whether that product has a bias.
    dtype: compute type; parameters and softmax stay float32.
  """

  heads: int
  dropout: float = 0.0
  attention_dropout: float = 0.0
  qkv_bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b t c"], *, train: bool) -> Float[Array, "b t c"]:
    """Every token looks at all tokens of its example."""
    width = x.shape[-1]
    _require_heads(width, self.heads)
    qkv = dense(3 * width, "qkv", self.dtype, self.qkv_bias)(x)
    weight_dropout = Dropout(self.attention_dropout, name="weight_dropout")
    out = attend(
      *jnp.split(qkv, 3, axis=-1),
      self.heads,
      lambda weights: weight_dropout(weights, train=train),
    )
    return Dropout(self.dropout)(dense(width, "proj", self.dtype)(out), train=train)


class CrossAttention(nn.Module):
  """Queries look at a memory of equal width; neither norm nor residual.

  Attributes:
    heads: that share the channels.
    qkv_bias: whether queries, keys and values have biases.
    dtype: compute type; parameters and softmax stay float32.
  """

  heads: int
  qkv_bias: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, x: Float[Array, "b q c"], memory: Float[Array, "b k c"]
  ) -> Float[Array, "b q c"]:
    """One token for each query; the queries do not see each other."""
    width = x.shape[-1]
    _require_heads(width, self.heads)
    query = dense(width, "q", self.dtype, self.qkv_bias)(x)
    keys_values = dense(2 * width, "kv", self.dtype, self.qkv_bias)(memory)
    out = attend(query, *jnp.split(keys_values, 2, axis=-1), self.heads)
    return dense(width, "proj", self.dtype)(out)


class Mlp(nn.Module):
  """Two linear layers with a GELU between, dropout after each.

  Attributes:
    hidden: channels between the layers.
    dropout: after the GELU and at the end.
    dtype: compute type; parameters stay float32.
  """

  hidden: int
  dropout: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "*b c"], *, train: bool) -> Float[Array, "*b c"]:
    """The same for every token."""
    h = gelu(dense(self.hidden, "fc1", self.dtype)(x))
    h = Dropout(self.dropout, name="hidden_dropout")(h, train=train)
    h = dense(x.shape[-1], "fc2", self.dtype)(h)
    return Dropout(self.dropout, name="dropout")(h, train=train)


class DropPath(nn.Module):
  """Stochastic depth: drops whole examples of a branch and scales up the others."""

  rate: float

  @nn.compact
  def __call__(self, x: Float[Array, "b ..."], *, train: bool) -> Float[Array, "b ..."]:
    """Drops in training, with the rng "dropout"; else returns `x`."""
    if not train or self.rate == 0:
      return x
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    keep = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.rate, shape)
    return jnp.where(keep, x / (1 - self.rate), jnp.zeros((), x.dtype))


class TransformerBlock(nn.Module):
  """`x += attention(norm(x))`, then `x += mlp(norm(x))`.

  Attributes:
    heads: of the attention.
    hidden: channels inside the MLP.
    dropout: of the attention's output and inside the MLP.
    attention_dropout: of the attention weights.
    drop_path: rate of stochastic depth of both branches.
    dtype: compute type; parameters, softmax and the statistics of norms stay float32.
  """

  heads: int
  hidden: int
  dropout: float = 0.0
  attention_dropout: float = 0.0
  drop_path: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: Float[Array, "b t c"], train: bool) -> Float[Array, "b t c"]:
    """Mixes tokens, then channels."""
    h = layer_norm("norm1", self.dtype)(x)
    h = Attention(
      self.heads,
      self.dropout,
      self.attention_dropout,
      dtype=self.dtype,
      name="attention",
    )(h, train=train)
    x = x + DropPath(self.drop_path, name="drop_path1")(h, train=train)
    h = layer_norm("norm2", self.dtype)(x)
    h = Mlp(self.hidden, self.dropout, self.dtype, name="mlp")(h, train=train)
    return x + DropPath(self.drop_path, name="drop_path2")(h, train=train)
