"""Selective patch preservation: global attention that drops patches on its way.

That patches which do not matter for the pose are cropped away is the paper's; the
authors' code has it as an EViT that is not connected (score: attention of the class
token, keep 0.9 in each layer, no fused token). The supervised score "head" and its
place before the first block are our choices. How many patches stay is a Python number,
so that every shape is static; gradients flow through the kept patches, not the choice.
"""

import math
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int

from jaxpose.models.attention import GLOROT
from jaxpose.models.attention import Attention
from jaxpose.models.attention import DropPath
from jaxpose.models.attention import Mlp
from jaxpose.models.attention import dense
from jaxpose.models.attention import layer_norm

SCORES = ("attn", "head", "mix", "rand", "none")


class Tokens(NamedTuple):
  """What the global blocks work on.

  Attributes:
    queries: (n, q, c) joint tokens (or one pose token), then any fused tokens.
    patches: (n, p, c), in raster order.
    kept: (n, k) which patches of the grid are still in use, ascending.
    mask: (n, p) the same for patches that are masked instead of dropped, else None.
  """

  queries: Float[Array, "n q c"]
  patches: Float[Array, "n p c"]
  kept: Int[Array, "n k"]
  mask: Bool[Array, "n p"] | None


class Relevance(NamedTuple):
  """Logits that a patch matters, and where these patches are in the grid."""

  logits: Float[Array, "n k"]
  patches: Int[Array, "n k"]


def keep_count(count: int, keep: float) -> int:
  """Patches that stay of `count`: the share `keep`, rounded up."""
  return math.ceil(count * keep - 1e-9)


def standardize(
  scores: Float[Array, "n p"], mask: Bool[Array, "n p"] | None
) -> Float[Array, "n p"]:
  """Mean 0 and deviation 1 over the patches in use."""
  weight = jnp.ones_like(scores) if mask is None else mask.astype(scores.dtype)
  weight = weight / weight.sum(-1, keepdims=True)
  centred = scores - (weight * scores).sum(-1, keepdims=True)
  variance = (weight * centred * centred).sum(-1, keepdims=True)
  return centred * lax.rsqrt(jnp.maximum(variance, 1e-20))


def select(
  tokens: Tokens, scores: Float[Array, "n p"], count: int, *, fuse: bool = False
) -> Tokens:
  """Keeps the `count` patches of the largest scores; of equals, the first.

  Args:
    tokens: with a mask, patches are masked; without, they are dropped.
    scores: of the patches.
    count: static.
    fuse: add one query token, the mean of the patches that go, weighted by the softmax
      of their standardised scores.
  """
  scores = lax.stop_gradient(scores.astype(jnp.float32))
  if fuse:
    likely = standardize(scores, tokens.mask)
  if tokens.mask is not None:
    scores = jnp.where(tokens.mask, scores, -jnp.inf)
  before = tokens.kept.shape[1]
  _, index = lax.top_k(scores, count)
  index = jnp.sort(index, axis=-1)
  rows = jnp.arange(scores.shape[0])[:, None]
  stays = jnp.zeros(scores.shape, bool).at[rows, index].set(True)
  queries = tokens.queries
  if fuse and count < before:
    gone = ~stays if tokens.mask is None else tokens.mask & ~stays
    weight = jnp.where(gone, jax.nn.softmax(likely, where=gone), 0)
    fused = jnp.einsum("np,npc->nc", weight.astype(queries.dtype), tokens.patches)
    queries = jnp.concatenate([queries, fused[:, None]], 1)
  if tokens.mask is not None:
    return Tokens(queries, tokens.patches, index, stays)
  patches = jnp.take_along_axis(tokens.patches, index[..., None], 1)
  return Tokens(queries, patches, jnp.take_along_axis(tokens.kept, index, 1), None)


class GlobalBlock(nn.Module):
  """A transformer block over queries and patches that may drop patches inside.

  Scores that need no attention drop them before the block. Those that do, drop them
  between its attention and its MLP, where EViT does.

  Attributes:
    heads: of the attention.
    mlp_ratio: hidden channels of the MLP over the width.
    drop_path: rate of stochastic depth.
    keep: share of the patches that stay; None keeps all and has no score.
    score: "head", one logit a patch, to be trained against where the body is; "attn",
      attention from the queries to the patch, its mean over queries and heads; "mix",
      the sum of the two, standardised; "rand", the same arbitrary patches always.
    num_queries: tokens whose attention counts; fused ones do not.
    fuse: see `select`.
    dtype: compute type; parameters, softmax, scores and norms' statistics are float32.
    kernel_init: of the weights.
  """

  heads: int
  num_queries: int
  mlp_ratio: int = 4
  drop_path: float = 0.0
  keep: float | None = None
  score: str = "head"
  fuse: bool = False
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(self, tokens: Tokens, train: bool) -> tuple[Tokens, Relevance | None]:
    """The tokens left, and the logits of scores "head" and "mix"."""
    drops = self.keep is not None and self.score != "none"
    relevance = None
    if drops and self.score in ("head", "rand"):
      scores, relevance = self._scores(tokens, None)
      tokens = self._select(tokens, scores)

    x, mask = jnp.concatenate(tokens[:2], 1), None
    if tokens.mask is not None:
      mask = jnp.pad(
        tokens.mask, ((0, 0), (tokens.queries.shape[1], 0)), constant_values=True
      )[:, None]
    y, weights = Attention(
      self.heads, dtype=self.dtype, kernel_init=self.kernel_init, name="attention"
    )(
      layer_norm("norm1", self.dtype)(x),
      train=train,
      mask=mask,
      return_weights=True,
    )
    x = x + DropPath(self.drop_path, name="drop_path1")(y, train=train)
    tokens = _replace(tokens, x)
    if drops and self.score in ("attn", "mix"):
      seen = weights[:, :, : self.num_queries, tokens.queries.shape[1] :].mean((1, 2))
      scores, relevance = self._scores(tokens, seen)
      tokens = self._select(tokens, scores)
      x = jnp.concatenate(tokens[:2], 1)

    y = layer_norm("norm2", self.dtype)(x)
    y = Mlp(
      self.mlp_ratio * x.shape[-1],
      dtype=self.dtype,
      kernel_init=self.kernel_init,
      name="mlp",
    )(y, train=train)
    x = x + DropPath(self.drop_path, name="drop_path2")(y, train=train)
    return _replace(tokens, x), relevance

  def _scores(self, tokens, seen):
    """Of all patches; and the logits of those in use, where there are any."""
    n, p = tokens.patches.shape[:2]
    if self.score == "attn":
      return seen, None
    if self.score == "rand":
      patches = jnp.arange(p)[None] if tokens.mask is not None else tokens.kept
      return jnp.broadcast_to(_arbitrary(patches), (n, p)), None
    logits = dense(1, "relevance", jnp.float32)(tokens.patches)[..., 0]
    inside = logits
    if tokens.mask is not None:
      inside = jnp.take_along_axis(logits, tokens.kept, 1)
    relevance = Relevance(inside, tokens.kept)
    if self.score == "head":
      return logits, relevance
    parts = (standardize(a, tokens.mask) for a in (logits, seen))
    return sum(parts), relevance

  def _select(self, tokens, scores):
    count = keep_count(tokens.kept.shape[1], self.keep)
    return select(tokens, scores, count, fuse=self.fuse)


def _arbitrary(index):
  """A number for each index that looks random and is always the same."""
  bits = index.astype(jnp.uint32) * np.uint32(0x9E3779B1)
  bits = (bits ^ (bits >> 15)) * np.uint32(0x85EBCA77)
  return (bits ^ (bits >> 13)).astype(jnp.float32)


def _replace(tokens: Tokens, x) -> Tokens:
  q = tokens.queries.shape[1]
  return tokens._replace(queries=x[:, :q], patches=x[:, q:])
