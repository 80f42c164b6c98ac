"""The image-relations module: the frame tokens of a clip look at each other.

Temporal and spatial relations between compact image tokens are the paper's; four
pre-norm blocks over one sequence are the released code's (`layout="joint"`). There the
batch is that sequence: feed one clip with all images in a row for the same. Masks,
causal attention and the other layouts are ours.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.models.attention import GLOROT
from jaxpose.models.attention import Attention
from jaxpose.models.attention import DropPath
from jaxpose.models.attention import Mlp
from jaxpose.models.attention import layer_norm
from jaxpose.models.blocks import Blocks

LAYOUTS = ("joint", "factorised", "time_only", "view_only", "off")


def key_mask(
  present: Bool[Array, "b n"], time: np.ndarray, causal: bool
) -> Bool[Array, "b n n"]:
  """Who may look at whom: at what is present and, if `causal`, not later."""
  n = len(time)
  allowed = time[None] <= time[:, None] if causal else np.ones((n, n), bool)
  return present[:, None] & jnp.asarray(allowed)[None]


class FactorisedBlock(nn.Module):
  """Attention over the views of a frame, then over the frames of a view, then an MLP.

  Attributes: as in `Relations`; `drop_path` is the rate of all three branches.
  """

  heads: int
  mlp_ratio: int
  drop_path: float
  causal: bool
  rotary: bool
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], present: Bool[Array, "b v t"], train: bool
  ) -> Float[Array, "b v t c"]:
    """Same shape out."""
    b, v, t, c = x.shape
    common = dict(dtype=self.dtype, kernel_init=self.kernel_init)
    y = layer_norm("view_norm", self.dtype)(x).swapaxes(1, 2).reshape(b * t, v, c)
    seen = present.swapaxes(1, 2).reshape(b * t, v)
    y = Attention(self.heads, **common, name="view")(
      y, train=train, mask=key_mask(seen, np.zeros(v), False)
    )
    y = y.reshape(b, t, v, c).swapaxes(1, 2)
    x = x + DropPath(self.drop_path, name="drop_path1")(y, train=train)

    y = layer_norm("time_norm", self.dtype)(x).reshape(b * v, t, c)
    time = np.arange(t)
    y = Attention(self.heads, **common, name="time")(
      y,
      train=train,
      mask=key_mask(present.reshape(b * v, t), time, self.causal),
      position=jnp.asarray(time, jnp.float32) if self.rotary else None,
    ).reshape(b, v, t, c)
    x = x + DropPath(self.drop_path, name="drop_path2")(y, train=train)

    y = layer_norm("norm", self.dtype)(x)
    y = Mlp(self.mlp_ratio * c, **common, name="mlp")(y, train=train)
    return x + DropPath(self.drop_path, name="drop_path3")(y, train=train)


class Relations(nn.Module):
  """Blocks over the images of a clip, then a norm. An image may look at itself.

  An image that is not present is looked at by none, itself included; it still looks at
  the others. Where nothing can be looked at, attention adds nothing.

  Attributes:
    layout: "joint", all images of a clip together, up to some 128 of them; beyond,
      "factorised" (views, then frames) costs less; "time_only", "view_only" and "off"
      are for ablations.
    rates: drop-path rate of each block.
    heads: of the attention.
    mlp_ratio: hidden channels of the MLPs over the width.
    causal: images look at no later frame.
    rotary: turn queries and keys by their frame.
    dtype: compute type; parameters, softmax and the statistics of norms stay float32.
    remat: recompute each block in the backward pass.
    kernel_init: of the linear layers.
  """

  layout: str
  rates: tuple[float, ...]
  heads: int
  mlp_ratio: int = 2
  causal: bool = False
  rotary: bool = False
  dtype: Any = jnp.float32
  remat: bool = False
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], present: Bool[Array, "b v t"], *, train: bool
  ) -> Float[Array, "b v t c"]:
    """Same shape out; `x` holds the embeddings already."""
    b, v, t, c = x.shape
    if self.layout == "off":
      return layer_norm("norm", self.dtype)(x)
    common = dict(dtype=self.dtype, kernel_init=self.kernel_init)
    if self.layout == "factorised":
      block = FactorisedBlock
      if self.remat:
        block = nn.remat(FactorisedBlock, static_argnums=(3,))
      for i, rate in enumerate(self.rates):
        x = block(
          self.heads,
          self.mlp_ratio,
          rate,
          self.causal,
          self.rotary,
          **common,
          name=f"block_{i}",
        )(x, present, train)
      return layer_norm("norm", self.dtype)(x)

    by_frame = self.layout == "view_only"
    if by_frame:
      x, present = x.swapaxes(1, 2), present.swapaxes(1, 2)
    rows = b if self.layout == "joint" else x.shape[0] * x.shape[1]
    time = {
      "joint": np.tile(np.arange(t), v),
      "time_only": np.arange(t),
      "view_only": np.zeros(v, int),
    }[self.layout]
    shape = x.shape
    x = Blocks(
      self.rates, self.heads, self.mlp_ratio, remat=self.remat, **common, name="blocks"
    )(
      x.reshape(rows, -1, c),
      train=train,
      mask=key_mask(present.reshape(rows, -1), time, self.causal),
      position=jnp.asarray(time, jnp.float32) if self.rotary else None,
    ).reshape(shape)
    return x.swapaxes(1, 2) if by_frame else x


def drop_views(
  present: Bool[Array, "b v t"],
  noise: Float[Array, "b v"],
  rate: float,
  keep: Bool[Array, "b v"] | None = None,
) -> Bool[Array, "b v t"]:
  """Hides whole views, each with probability `rate`, but never all that are present.

  Args:
    present: before.
    noise: uniform in [0, 1); a view goes where it is below `rate`. The one with the
      most, of those present, stays in any case.
    rate: of dropping.
    keep: views that stay in any case.
  """
  noise = jnp.where(present.any(2), noise, -1)
  stays = (noise >= rate) | (noise == lax.stop_gradient(noise.max(1, keepdims=True)))
  if keep is not None:
    stays = stays | keep
  return present & stays[..., None]
