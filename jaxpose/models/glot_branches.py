"""The token networks of GLoT: keypoint encoder, global motion, local motion."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.models.attention import POSITION
from jaxpose.models.attention import CrossAttention
from jaxpose.models.attention import Mlp
from jaxpose.models.attention import dense
from jaxpose.models.attention import layer_norm
from jaxpose.models.blocks import Blocks
from jaxpose.models.blocks import drop_path_rates

# x, y in the crop; x, y in the picture; confidence.
KEYPOINT_CHANNELS = 5


class KeypointEncoder(nn.Module):
  """Tokens from 2D keypoints, frame by frame; ours, instead of image features.

  A keypoint of confidence 0 counts as absent: its coordinates are not seen.

  Attributes:
    features: channels of a token.
    hidden: channels between.
    dropout: in the MLP between.
    dtype: compute type; parameters stay float32.
  """

  features: int
  hidden: int
  dropout: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, keypoints: Float[Array, "b t j 5"], *, train: bool
  ) -> Float[Array, "b t {self.features}"]:
    """From places in the crop and in the picture, and the confidence."""
    seen = keypoints[..., -1:] > 0
    x = jnp.where(seen, keypoints, 0).astype(self.dtype)
    x = dense(self.hidden, "embed", self.dtype)(x.reshape(*x.shape[:2], -1))
    h = layer_norm("norm", self.dtype)(x)
    x = x + Mlp(2 * self.hidden, self.dropout, self.dtype, name="mlp")(h, train=train)
    x = dense(self.features, "out", self.dtype)(x)
    return layer_norm("out_norm", self.dtype)(x)


class MaskToken(nn.Module):
  """The token that stands for every hidden frame, made of the mean parameters.

  Attributes:
    features: channels of the token.
    hidden: channels of the layers between, with ReLU.
  """

  features: int
  hidden: tuple[int, ...]

  @nn.compact
  def __call__(self, mean: Float[Array, " c"]) -> Float[Array, " {self.features}"]:
    """One vector; float32."""
    for i, width in enumerate(self.hidden):
      mean = nn.relu(dense(width, f"fc{i}", jnp.float32)(mean))
    return dense(self.features, f"fc{len(self.hidden)}", jnp.float32)(mean)


def mask_order(noise: Float[Array, "b t"], keep: int) -> tuple[Array, Array, Array]:
  """Which frames to keep, in shuffled order; how to undo the order; what is hidden."""
  order = jnp.argsort(noise, axis=1)
  back = jnp.argsort(order, axis=1)
  return order[:, :keep], back, back >= keep


def _take(x, index):
  return jnp.take_along_axis(x, index[..., None], axis=1)


class GlobalMotion(nn.Module):
  """Global Motion Modeling: masked encoder over all frames, and its decoder.

  In training the frames with the largest noise are dropped before the encoder, which
  so sees fewer tokens; before the decoder the mask token stands in for them.

  Attributes: as in `Glot`; `keep` is the number of frames that the encoder sees.
  """

  width: int
  depth: int
  heads: int
  decoder_width: int
  decoder_depth: int
  keep: int
  mask_hidden: tuple[int, ...]
  mlp_ratio: int = 4
  dropout: float = 0.0
  attention_dropout: float = 0.0
  drop_path: float = 0.0
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b t c"],
    mean: Float[Array, " p"],
    noise: Float[Array, "b t"] | None,
    *,
    train: bool,
  ) -> tuple[Float[Array, "b n c"], Float[Array, "b k d"], Bool[Array, "b t"] | None]:
    """Features to regress, encoder memory, hidden frames.

    Training (`noise` given): of all frames; else of the middle one, without a mask.
    """
    b, t, c = x.shape
    rates = drop_path_rates(self.drop_path, self.depth)
    blocks = dict(
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
      dropout=self.dropout,
      attention_dropout=self.attention_dropout,
      dtype=self.dtype,
      remat=self.remat,
    )
    position = self.param("position", POSITION, (t, self.width))
    decoder_position = self.param("decoder_position", POSITION, (t, self.decoder_width))
    hidden = None
    x = dense(self.width, "proj", self.dtype)(x) + position.astype(self.dtype)[None]
    if noise is not None:
      kept, back, hidden = mask_order(noise, self.keep)
      x = _take(x, kept)
    memory = Blocks(rates, **blocks, name="encoder")(x, train=train)
    y = dense(self.decoder_width, "decoder_embed", self.dtype)(memory)
    if noise is not None or self.is_initializing():
      token = MaskToken(self.decoder_width, self.mask_hidden, name="mask_token")(mean)
    if noise is not None:
      filled = (b, t - self.keep, self.decoder_width)
      y = jnp.concatenate([y, jnp.broadcast_to(token.astype(y.dtype), filled)], 1)
      y = _take(y, back)
    y = y + decoder_position.astype(self.dtype)[None]
    # The original's decoder takes the first rates of the encoder's list.
    rates = rates[: self.decoder_depth]
    y = Blocks(rates, **blocks, name="decoder")(y, train=train)
    if noise is None:
      y = y[:, t // 2 : t // 2 + 1]
    return dense(c, "out_proj", self.dtype)(y), memory, hidden


class LocalMotion(nn.Module):
  """Local Parameter Correction: nearby frames look at the global memory.

  Attributes: as in `Glot`, without the prefix `local_`.
  """

  width: int
  depth: int
  heads: int
  cross_heads: int
  mlp_ratio: int = 4
  dropout: float = 0.0
  attention_dropout: float = 0.0
  drop_path: float = 0.0
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(
    self, x: Float[Array, "b t c"], memory: Float[Array, "b k d"], *, train: bool
  ) -> Float[Array, "b n {self.width}"]:
    """Tokens of the middle frame; in training also of the frames beside it."""
    t = x.shape[1]
    position = self.param("position", POSITION, (t, self.width))
    x = dense(self.width, "proj", self.dtype)(x) + position.astype(self.dtype)[None]
    x = Blocks(
      drop_path_rates(self.drop_path, self.depth),
      self.heads,
      self.mlp_ratio,
      self.dropout,
      self.attention_dropout,
      self.dtype,
      self.remat,
      name="encoder",
    )(x, train=train)
    side = 1 if train else 0
    x = x[:, t // 2 - side : t // 2 + side + 1]
    memory = dense(self.width, "memory_proj", self.dtype)(memory)
    return CrossAttention(self.cross_heads, dtype=self.dtype, name="cross")(x, memory)
