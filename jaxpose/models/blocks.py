"""A stack of transformer blocks, and the drop-path rates along it."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.models.attention import GLOROT
from jaxpose.models.attention import TransformerBlock
from jaxpose.models.attention import layer_norm


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
