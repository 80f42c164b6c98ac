"""Image to a grid of patch tokens: a convolutional stem and windowed attention.

That windows are used is the paper's claim; their form (stages, shifts, relative
positions, merging) is that of the released code, a Swin transformer. Windows see the
whole grid, before any patch is dropped: our choice, for a window needs its raster.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Float

from jaxpose.models.attention import GLOROT
from jaxpose.models.attention import POSITION
from jaxpose.models.attention import Attention
from jaxpose.models.attention import DropPath
from jaxpose.models.attention import Mlp
from jaxpose.models.attention import dense
from jaxpose.models.attention import gelu
from jaxpose.models.attention import layer_norm


def partition(x: Float[Array, "n h w c"], window: int) -> Float[Array, "m t c"]:
  """Square windows in raster order, image by image; each is a sequence of tokens."""
  n, h, w, c = x.shape
  x = x.reshape(n, h // window, window, w // window, window, c)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, window * window, c)


def unpartition(
  x: Float[Array, "m t c"], window: int, height: int, width: int
) -> Float[Array, "n {height} {width} c"]:
  """Inverse of `partition`."""
  c = x.shape[-1]
  x = x.reshape(-1, height // window, width // window, window, window, c)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, height, width, c)


@functools.cache
def window_mask(
  height: int, width: int, window: int, shift: int, valid: tuple[int, int]
) -> np.ndarray | None:
  """(windows, tokens, tokens) bool: who may look at whom; None if all may.

  A shifted grid wraps round its edge: tokens that come from opposite sides do not mix.
  Nobody looks at padding.

  Args:
    height: of the grid with its padding.
    width: likewise.
    window: side of a window.
    shift: by which the grid was rolled up and to the left.
    valid: rows and columns of the grid without padding.
  """
  labels, real = [], []
  for size, kept in zip((height, width), valid, strict=True):
    at = np.arange(size) + shift
    labels.append(at >= size)  # wrapped
    real.append(at % size < kept)
  label = 2 * labels[0][:, None] + labels[1][None]
  real = real[0][:, None] & real[1][None]
  label, real = (
    a.reshape(height // window, window, width // window, window)
    .transpose(0, 2, 1, 3)
    .reshape(-1, window * window)
    for a in (label, real)
  )
  mask = (label[:, :, None] == label[:, None, :]) & real[:, None, :]
  return None if mask.all() else mask


@functools.cache
def relative_index(window: int, largest: int) -> np.ndarray:
  """(tokens, tokens): row of the table for each offset between two tokens.

  The table is for windows of side `largest`; smaller ones read its middle.
  """
  at = np.stack(np.meshgrid(*[np.arange(window)] * 2, indexing="ij"), -1).reshape(-1, 2)
  offset = at[:, None] - at[None] + largest - 1
  return offset[..., 0] * (2 * largest - 1) + offset[..., 1]


class WindowBlock(nn.Module):
  """A transformer block whose tokens see their window alone.

  Attributes:
    heads: of the attention.
    window: side of a window, in tokens.
    shift: of the grid before it is cut into windows.
    mlp_ratio: hidden channels of the MLP over the width.
    drop_path: rate of stochastic depth.
    epsilon: of the norms.
    dtype: compute type.
    kernel_init: of the weights.
  """

  heads: int
  window: int
  shift: int = 0
  mlp_ratio: int = 4
  drop_path: float = 0.0
  epsilon: float = 1e-6
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self, x: Float[Array, "n h w c"], train: bool
  ) -> Float[Array, "n h w c"]:
    """Same shape out; a grid that windows do not fill is padded meanwhile."""
    _, h, w, c = x.shape
    window, shift = self.window, self.shift
    if min(h, w) <= window:
      window, shift = min(h, w), 0
    height, width = (-(-size // window) * window for size in (h, w))
    table = self.param(
      "relative_position",
      nn.initializers.truncated_normal(0.02),
      ((2 * self.window - 1) ** 2, self.heads),
    )
    bias = table[relative_index(window, self.window)].transpose(2, 0, 1)[None]
    mask = window_mask(height, width, window, shift, (h, w))

    y = layer_norm("norm1", self.dtype, self.epsilon)(x)
    y = jnp.pad(y, ((0, 0), (0, height - h), (0, width - w), (0, 0)))
    y = jnp.roll(y, (-shift, -shift), (1, 2)) if shift else y
    y = Attention(
      self.heads, dtype=self.dtype, kernel_init=self.kernel_init, name="attention"
    )(
      partition(y, window),
      train=train,
      bias=bias,
      mask=None if mask is None else jnp.asarray(mask),
    )
    y = unpartition(y, window, height, width)
    y = jnp.roll(y, (shift, shift), (1, 2)) if shift else y
    x = x + DropPath(self.drop_path, name="drop_path1")(y[:, :h, :w], train=train)
    y = layer_norm("norm2", self.dtype, self.epsilon)(x)
    y = Mlp(
      self.mlp_ratio * c, dtype=self.dtype, kernel_init=self.kernel_init, name="mlp"
    )(y, train=train)
    return x + DropPath(self.drop_path, name="drop_path2")(y, train=train)


class PatchMerging(nn.Module):
  """Each square of 2 x 2 tokens becomes one of twice the width."""

  epsilon: float = 1e-6
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n i j d"]:
    """Half the rows and columns, which must be even."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 4, 2, 5)
    x = x.reshape(n, h // 2, w // 2, 4 * c)
    x = layer_norm("norm", self.dtype, self.epsilon)(x)
    return dense(2 * c, "reduction", self.dtype, False, self.kernel_init)(x)


class Trunk(nn.Module):
  """Images to a grid of tokens.

  Attributes:
    stem: (channels, kernel, stride) of each convolution; norm and GELU between them.
    grid: rows and columns of the table of positions, added after the stem and resized
      where a grid differs; None for no table, as in the released code.
    depths: window blocks of each stage; between stages 2 x 2 tokens merge.
    heads: of each stage.
    window: side of a window, in tokens; every other block shifts by half of it.
    mlp_ratio: hidden channels of the MLPs over the width.
    rates: drop-path rate of each block.
    epsilon: of the norms.
    dtype: compute type; parameters, softmax and the statistics of norms stay float32.
    remat: recompute each block in the backward pass.
    kernel_init: of the linear layers.
  """

  stem: tuple[tuple[int, int, int], ...]
  grid: tuple[int, int] | None
  depths: tuple[int, ...]
  heads: tuple[int, ...]
  window: int
  rates: tuple[float, ...]
  mlp_ratio: int = 4
  epsilon: float = 1e-6
  dtype: Any = jnp.float32
  remat: bool = False
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self, images: Float[Array, "n y x 3"], *, train: bool
  ) -> Float[Array, "n h w c"]:
    """Tokens after a last norm; n images, h x w tokens each."""
    x = images.astype(self.dtype)
    for i, (features, kernel, stride) in enumerate(self.stem):
      x = gelu(x) if i else x
      edge = 0 if kernel == stride else kernel // 2
      x = nn.Conv(
        features,
        (kernel, kernel),
        (stride, stride),
        [(edge, edge)] * 2,
        dtype=self.dtype,
        name=f"stem_{i}",
      )(x)
      x = layer_norm(f"stem_norm_{i}", self.dtype, self.epsilon)(x)
    if self.grid is not None:
      table = self.param("position", POSITION, (*self.grid, x.shape[-1]))
      if table.shape[:2] != x.shape[1:3]:
        table = jax.image.resize(table, x.shape[1:], "bilinear")
      x = x + table.astype(x.dtype)[None]
    block = WindowBlock
    if self.remat:
      block = nn.remat(WindowBlock, static_argnums=(2,))
    rates = iter(self.rates)
    common = dict(epsilon=self.epsilon, dtype=self.dtype, kernel_init=self.kernel_init)
    for stage, (depth, heads) in enumerate(zip(self.depths, self.heads, strict=True)):
      if stage:
        x = PatchMerging(**common, name=f"merge_{stage}")(x)
      for i in range(depth):
        x = block(
          heads,
          self.window,
          self.window // 2 if i % 2 else 0,
          self.mlp_ratio,
          next(rates),
          **common,
          name=f"stage{stage}_{i}",
        )(x, train)
    return layer_norm("norm", self.dtype, self.epsilon)(x)
