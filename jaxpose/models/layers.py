"""Layers that more than one model uses."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array
from jaxtyping import Float


class BatchNorm(nn.Module):
  """Batch norm over all axes but the last, with PyTorch's running statistics.

  Differs from `nn.BatchNorm` where the original models do: the running variance takes
  the unbiased batch variance, and the momentum (weight of the *new* value, PyTorch's
  convention) is an argument of the call, so that a schedule can move it without
  recompiling. Statistics are float32 whatever the compute type. Under `jit` over a
  sharded batch they are those of the whole batch.

  Attributes:
    scale_init: initial scale.
    epsilon: added to the variance.
  """

  scale_init: Callable = nn.initializers.ones
  epsilon: float = 1e-5

  @nn.compact
  def __call__(
    self, x: Float[Array, "*b c"], *, train: bool, momentum: ArrayLike = 0.1
  ) -> Float[Array, "*b c"]:
    """Normalises `x`; in training also moves the `batch_stats` collection."""
    width = x.shape[-1]
    mean = self.variable("batch_stats", "mean", jnp.zeros, (width,), jnp.float32)
    var = self.variable("batch_stats", "var", jnp.ones, (width,), jnp.float32)
    scale = self.param("scale", self.scale_init, (width,), jnp.float32)
    bias = self.param("bias", nn.initializers.zeros, (width,), jnp.float32)
    if train:
      axes = tuple(range(x.ndim - 1))
      x32 = x.astype(jnp.float32)
      batch_mean = x32.mean(axes)
      # Two passes: E[x^2] - E[x]^2 cancels where the mean is large.
      centred = x32 - jnp.expand_dims(batch_mean, axes)
      batch_var = (centred * centred).mean(axes)
      if not self.is_initializing():
        count = x.size // width
        unbiased = batch_var * (count / max(count - 1, 1))
        mean.value = (1 - momentum) * mean.value + momentum * batch_mean
        var.value = (1 - momentum) * var.value + momentum * unbiased
    else:
      batch_mean, batch_var = mean.value, var.value
    gain = scale * lax.rsqrt(batch_var + self.epsilon)
    shift = bias - batch_mean * gain
    axes = tuple(range(x.ndim - 1))
    gain, shift = jnp.expand_dims(gain, axes), jnp.expand_dims(shift, axes)
    return x * gain.astype(x.dtype) + shift.astype(x.dtype)


def conv(
  x: Float[Array, "b v t c"],
  kernel: Float[Array, "k c d"],
  bias: Float[Array, " d"] | None = None,
  *,
  stride: int = 1,
  padding: int = 0,
) -> Float[Array, "b v s d"]:
  """1-D convolution along `t`, zero-padded on both sides, the same for every `v`.

  A kernel of length 1 mixes channels. With a stride, `t` must be a multiple of it and
  shrinks by exactly that factor.
  """
  b, v, t, c = x.shape
  kernel = kernel.astype(x.dtype)
  if stride > 1:
    # The stride folded into channels, (t, c) -> (t / stride, stride * c): the gradient
    # of a strided convolution is a dilated one, which CPUs do slowly.
    if t % stride:
      raise ValueError(f"got {t} frames, expected a multiple of the stride {stride}.")
    taps = -(-kernel.shape[0] // stride)
    kernel = jnp.pad(kernel, ((0, taps * stride - kernel.shape[0]), (0, 0), (0, 0)))
    kernel = kernel.reshape(taps, stride * c, -1)
    steps = t // stride + taps - 1
    edges = ((0, 0, 0),) * 2 + ((padding, steps * stride - t - padding, 0), (0, 0, 0))
    x = lax.pad(x, jnp.zeros((), x.dtype), edges).reshape(b, v, steps, stride * c)
    padding = 0
  y = _conv(x, kernel, padding)
  if bias is None:
    return y
  return y + bias.astype(x.dtype).reshape(1, 1, 1, -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x, kernel, padding):
  """Unstrided convolution, with a gradient that is fast on CPU too.

  There the gradient of the kernel reads its inputs transposed, and the compiler, left
  alone, fuses the layers before into that transposed copy: they are computed again in
  the wrong memory order, which took a third of a training step. A loop over `v` cuts
  the fusion and keeps each piece in cache.
  """
  b, v, t, c = x.shape
  if kernel.shape[0] == 1 and jax.default_backend() != "cpu":
    return x @ kernel[0]
  y = _conv1d(x.reshape(b * v, t, c), kernel, padding)
  return y.reshape(b, v, *y.shape[1:])


def _conv1d(x, kernel, padding):
  return lax.conv_general_dilated(
    x, kernel, (1,), [(padding, padding)], dimension_numbers=("NWC", "WIO", "NWC")
  )


def _conv_forward(x, kernel, padding):
  return _conv(x, kernel, padding), (x, kernel)


def _conv_backward(padding, saved, dy):
  x, kernel = saved
  k = kernel.shape[0]
  dx = _conv(dy, jnp.flip(kernel, 0).swapaxes(1, 2), k - 1 - padding)

  if jax.default_backend() != "cpu":
    flat = x.reshape(-1, *x.shape[2:]), dy.reshape(-1, *dy.shape[2:])
    pull = jax.vjp(lambda kernel: _conv1d(flat[0], kernel, padding), kernel)[1]
    return dx, pull(flat[1])[0]

  def kernel_gradient(x, dy):
    x = jnp.pad(x, ((0, 0), (padding, padding), (0, 0)))
    taps = jnp.concatenate([x[:, i : i + dy.shape[1]] for i in range(k)], -1)
    return jnp.einsum("btc,btd->cd", taps, dy).reshape(kernel.shape)

  def add(total, joint):
    at = functools.partial(
      lax.dynamic_index_in_dim, index=joint, axis=1, keepdims=False
    )
    return total + kernel_gradient(at(x), at(dy)), None

  total, _ = lax.scan(add, jnp.zeros_like(kernel), jnp.arange(x.shape[1]))
  return dx, total


_conv.defvjp(_conv_forward, _conv_backward)
