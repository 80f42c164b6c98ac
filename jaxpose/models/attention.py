"""Transformer layers: attention, the block, stacks of blocks, stochastic depth."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.models.layers import Dropout

GLOROT = nn.initializers.xavier_uniform()
POSITION = nn.initializers.normal(0.02)  # of learned tables of positions
# Of a pair that may not look: exp gives 0, and a row of nothing else stays finite.
_HIDDEN = float(np.finfo(np.float32).min / 2)


def gelu(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
  """Exact GELU. `jax.nn.gelu` takes erfc for it, which CPUs do 2 to 8 times slower."""
  return 0.5 * x * (1 + lax.erf(x * 0.5**0.5))


def dense(
  features: int, name: str, dtype: Any, bias: bool = True, init: Callable = GLOROT
) -> nn.Dense:
  """A linear layer, at first with Glorot's uniform weights; parameters in float32."""
  return nn.Dense(features, bias, dtype=dtype, kernel_init=init, name=name)


def layer_norm(name: str, dtype: Any, epsilon: float = 1e-6) -> nn.LayerNorm:
  """Norm of the last axis; statistics are float32 in two passes."""
  return nn.LayerNorm(epsilon, dtype=dtype, use_fast_variance=False, name=name)


def attention_weights(
  query: Float[Array, "b q c"],
  key: Float[Array, "b k c"],
  heads: int,
  *,
  bias: Float[Array, "#g #h #q #k"] | None = None,
  mask: Bool[Array, "#g #q #k"] | None = None,
) -> Float[Array, "b {heads} q k"]:
  """Softmax over the keys, float32 whatever the type of the arguments.

  Args:
    query: head i owns channels [i c / heads, (i + 1) c / heads).
    key: likewise.
    heads: that share the channels.
    bias: added to the scores. Its g divides b: example i takes entry i modulo g, so
      that the windows of an image, g of them, may differ and all images be alike.
    mask: which keys a query may look at, grouped likewise. A query without any looks
      at all alike.
  """
  # Heads before tokens: on CPU as fast as or faster than tokens before heads and
  # `jax.nn.dot_product_attention`, at 9 tokens and at 243.
  q, k = (_heads_first(x, heads) for x in (query, key))
  scores = jnp.einsum("bhqd,bhkd->bhqk", q, k, preferred_element_type=jnp.float32)
  scores = scores * q.shape[-1] ** -0.5
  if bias is not None:
    grouped = scores.reshape(-1, bias.shape[0], *scores.shape[1:])
    scores = (grouped + bias[None]).reshape(scores.shape)
  if mask is not None:
    grouped = scores.reshape(-1, mask.shape[0], *scores.shape[1:])
    scores = jnp.where(mask[None, :, None], grouped, _HIDDEN).reshape(scores.shape)
  return nn.softmax(scores)


def weigh(
  weights: Float[Array, "b h q k"], value: Float[Array, "b k c"]
) -> Float[Array, "b q c"]:
  """The values under the weights of their heads."""
  b, h, q, _ = weights.shape
  v = _heads_first(value, h)
  out = jnp.einsum("bhqk,bhkd->bhqd", weights.astype(v.dtype), v)
  return out.transpose(0, 2, 1, 3).reshape(b, q, -1)


def attend(
  query: Float[Array, "b q c"],
  key: Float[Array, "b k c"],
  value: Float[Array, "b k c"],
  heads: int,
  drop: Callable | None = None,
) -> Float[Array, "b q c"]:
  """Softmax attention; `drop` acts on the weights."""
  weights = attention_weights(query, key, heads)
  return weigh(weights if drop is None else drop(weights), value)


def rotate(
  x: Float[Array, "b t c"], position: Float[Array, " t"], heads: int
) -> Float[Array, "b t c"]:
  """Rotary positions: pairs of a head's channels turn by an angle that grows in time.

  Scores of rotated queries and keys depend on the difference of their positions alone.
  """
  width = x.shape[-1] // heads
  if width % 2:
    raise ValueError(
      f"got {width} channels a head, expected an even number for rotary positions; "
      "change the heads."
    )
  rate = 10000.0 ** (-np.arange(0, width, 2) / width)
  angle = position[:, None] * jnp.asarray(rate, jnp.float32)[None]
  cos, sin = (f(angle)[None, :, None] for f in (jnp.cos, jnp.sin))
  pairs = x.astype(jnp.float32).reshape(*x.shape[:2], heads, width // 2, 2)
  one, other = pairs[..., 0], pairs[..., 1]
  turned = jnp.stack([one * cos - other * sin, one * sin + other * cos], -1)
  return turned.reshape(x.shape).astype(x.dtype)


def _heads_first(x, heads: int):
  return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


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
    kernel_init: of the weights.
  """

  heads: int
  dropout: float = 0.0
  attention_dropout: float = 0.0
  qkv_bias: bool = True
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b t c"],
    *,
    train: bool,
    bias: Float[Array, "#g #h #t #t"] | None = None,
    mask: Bool[Array, "#g #t #t"] | None = None,
    position: Float[Array, " t"] | None = None,
    return_weights: bool = False,
  ) -> Array | tuple[Array, Array]:
    """Every token looks at the tokens of its example.

    Args:
      x: tokens.
      train: whether to drop.
      bias: added to the scores; see `attention_weights`.
      mask: who may look at whom; a token that may look at none gets 0.
      position: of the tokens in time, for rotary positions.
      return_weights: also return the weights (b, heads, t, t) before dropout.
    """
    width = x.shape[-1]
    _require_heads(width, self.heads)
    qkv = dense(3 * width, "qkv", self.dtype, self.qkv_bias, self.kernel_init)(x)
    q, k, v = jnp.split(qkv, 3, axis=-1)
    if position is not None:
      q, k = (rotate(a, position, self.heads) for a in (q, k))
    weights = attention_weights(q, k, self.heads, bias=bias, mask=mask)
    dropped = Dropout(self.attention_dropout, name="weight_dropout")(
      weights, train=train
    )
    out = dense(width, "proj", self.dtype, init=self.kernel_init)(weigh(dropped, v))
    if mask is not None:
      sees = mask.any(-1)[None, ..., None]
      grouped = out.reshape(-1, mask.shape[0], *out.shape[1:])
      out = jnp.where(sees, grouped, jnp.zeros((), out.dtype)).reshape(out.shape)
    out = Dropout(self.dropout)(out, train=train)
    return (out, weights) if return_weights else out


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
    kernel_init: of the weights.
  """

  hidden: int
  dropout: float = 0.0
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(self, x: Float[Array, "*b c"], *, train: bool) -> Float[Array, "*b c"]:
    """The same for every token."""
    h = gelu(dense(self.hidden, "fc1", self.dtype, init=self.kernel_init)(x))
    h = Dropout(self.dropout, name="hidden_dropout")(h, train=train)
    h = dense(x.shape[-1], "fc2", self.dtype, init=self.kernel_init)(h)
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
    kernel_init: of the weights.
  """

  heads: int
  hidden: int
  dropout: float = 0.0
  attention_dropout: float = 0.0
  drop_path: float = 0.0
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b t c"],
    train: bool,
    mask: Bool[Array, "#g #t #t"] | None = None,
    position: Float[Array, " t"] | None = None,
  ) -> Float[Array, "b t c"]:
    """Mixes tokens, then channels; `mask` and `position` as in `Attention`."""
    h = layer_norm("norm1", self.dtype)(x)
    h = Attention(
      self.heads,
      self.dropout,
      self.attention_dropout,
      dtype=self.dtype,
      kernel_init=self.kernel_init,
      name="attention",
    )(h, train=train, mask=mask, position=position)
    x = x + DropPath(self.drop_path, name="drop_path1")(h, train=train)
    h = layer_norm("norm2", self.dtype)(x)
    h = Mlp(self.hidden, self.dropout, self.dtype, self.kernel_init, name="mlp")(
      h, train=train
    )
    return x + DropPath(self.drop_path, name="drop_path2")(h, train=train)


class Blocks(nn.Module):
  """Transformer blocks whose drop-path rates grow evenly from 0, then a norm.

  Attributes:
    rates: drop-path rate of each block.
    heads: of the attention.
    mlp_ratio: hidden channels of the MLPs over the width.
    dropout: in the blocks.
    attention_dropout: of the attention weights.
    dtype: compute type.
    remat: recompute each block in the backward pass.
    kernel_init: of the weights.
  """

  rates: tuple[float, ...]
  heads: int
  mlp_ratio: int = 4
  dropout: float = 0.0
  attention_dropout: float = 0.0
  dtype: Any = jnp.float32
  remat: bool = False
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b t c"],
    *,
    train: bool,
    mask: Bool[Array, "#g #t #t"] | None = None,
    position: Float[Array, " t"] | None = None,
  ) -> Float[Array, "b t c"]:
    """Same shape out; `mask` and `position` as in `attention.Attention`."""
    block = TransformerBlock
    if self.remat:
      block = nn.remat(TransformerBlock, static_argnums=(2,))
    for i, rate in enumerate(self.rates):
      x = block(
        self.heads,
        self.mlp_ratio * x.shape[-1],
        self.dropout,
        self.attention_dropout,
        rate,
        self.dtype,
        self.kernel_init,
        name=f"block_{i}",
      )(x, train, mask, position)
    return layer_norm("norm", self.dtype)(x)


def drop_path_rates(most: float, depth: int) -> tuple[float, ...]:
  """From 0 to `most` in even steps."""
  return tuple(float(rate) for rate in np.linspace(0, most, depth))
