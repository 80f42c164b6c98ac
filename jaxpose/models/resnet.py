"""ResNet-50: image crops to one feature vector each.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, in the layout that
torchvision and SPIN use: the stride sits on the 3x3 convolution of a block. It is the
frozen extractor in front of GLoT: batch norm always uses its running statistics.
"""

import dataclasses
import difflib
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array
from jaxtyping import Float

EPSILON = 1e-5


class ConvNorm(nn.Module):
  """A square convolution without bias, zero-padded, and the norm after it.

  Attributes:
    features: channels of the output.
    size: of the kernel, in pixels.
    stride: in pixels, both ways.
  """

  features: int
  size: int = 1
  stride: int = 1

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j f"]:
    """Convolves and normalises with the running statistics."""
    zeros, ones = nn.initializers.zeros, nn.initializers.ones
    size, width = self.size, (self.features,)
    kernel = self.param(
      "kernel", nn.initializers.he_normal(), (size, size, x.shape[-1], *width)
    )
    scale, bias = self.param("scale", ones, width), self.param("bias", zeros, width)
    mean = self.variable("batch_stats", "mean", jnp.zeros, width, jnp.float32).value
    var = self.variable("batch_stats", "var", jnp.ones, width, jnp.float32).value
    gain = scale * lax.rsqrt(var + EPSILON)
    shift = (bias - mean * gain).astype(x.dtype).reshape(1, 1, 1, -1)
    # After the convolution the gain is free, fused with the shift; multiplied into the
    # kernels it would cost 3 % of the time.
    gain = gain.astype(x.dtype).reshape(1, 1, 1, -1)
    return convolve(x, kernel.astype(x.dtype), self.stride) * gain + shift


def convolve(
  x: Float[Array, "b h w c"], kernel: Float[Array, "k k c f"], stride: int
) -> Float[Array, "b i j f"]:
  """2-D convolution, zero-padded by half the kernel on every side."""
  size = kernel.shape[0]
  if size == 1:  # a matrix product over all pixels
    x = x[:, ::stride, ::stride]
    return (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:3], -1)
  edge = (size // 2, size // 2)
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    (edge, edge),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


class Bottleneck(nn.Module):
  """1x1 to fewer channels, 3x3, 1x1 to four times as many, and the skip.

  Attributes:
    width: channels inside; the output has four times as many.
    stride: of the 3x3 convolution and of the skip.
    project: whether the skip is a 1x1 convolution.
  """

  width: int
  stride: int = 1
  project: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j f"]:
    """One residual block."""
    y = nn.relu(ConvNorm(self.width, name="reduce")(x))
    y = nn.relu(ConvNorm(self.width, 3, self.stride, name="spatial")(y))
    y = ConvNorm(4 * self.width, name="expand")(y)
    if self.project:
      x = ConvNorm(4 * self.width, 1, self.stride, name="skip")(x)
    return nn.relu(x + y)


class ResNet(nn.Module):
  """Images to features.

  Attributes:
    blocks: of each of the four stages.
    width: channels of the stem; the features are 32 times as many.
    dtype: of the convolutions; parameters and features are float32.
  """

  blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
  width: int = 64
  dtype: Any = jnp.float32

  @property
  def num_features(self) -> int:
    """Width of the output."""
    return 32 * self.width

  @nn.compact
  def __call__(self, images: Float[Array, "b h w 3"]) -> dict:
    """The mean over the last map, as a dict.

    Args:
      images: RGB, normalised as `jaxpose.geometry.crops.normalize` does.

    Returns:
      features: (b, 32 width) float32.
    """
    if min(images.shape[1:3]) < 32:
      raise ValueError(
        f"got images of {images.shape[1]} x {images.shape[2]} pixels, expected at "
        "least 32 x 32; crop them to 224 x 224 with jaxpose.geometry.crops.crop."
      )
    x = images.astype(self.dtype)
    x = nn.relu(ConvNorm(self.width, 7, 2, name="stem")(x))
    x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
    for stage, count in enumerate(self.blocks):
      for i in range(count):
        x = Bottleneck(
          self.width * 2**stage,
          stride=2 if stage and not i else 1,
          project=not i,
          name=f"stage{stage + 1}_{i}",
        )(x)
    return {"features": x.astype(jnp.float32).mean((1, 2))}


VARIANTS: dict[str, dict] = {"resnet50": {}}


def build(variant: str = "resnet50", **overrides) -> ResNet:
  """The named configuration, with any field of `ResNet` overridden.

  Raises:
    ValueError: unknown variant or field, with the nearest names.
  """
  if variant not in VARIANTS:
    near = ", ".join(difflib.get_close_matches(variant, VARIANTS, 3, 0.0))
    raise ValueError(f"unknown ResNet variant {variant!r}; nearest: {near}.")
  known = [
    f.name for f in dataclasses.fields(ResNet) if f.name not in ("parent", "name")
  ]
  for key in overrides:
    if key not in known:
      near = ", ".join(difflib.get_close_matches(key, known, 3, 0.0))
      raise ValueError(f"ResNet has no field {key!r}; nearest: {near}.")
  fields = {**VARIANTS[variant], **overrides}
  if "blocks" in fields:
    fields["blocks"] = tuple(fields["blocks"])
  if "dtype" in fields:
    fields["dtype"] = jnp.dtype(fields["dtype"])
  return ResNet(**fields)
