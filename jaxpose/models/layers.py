"""Layers that more than one model uses."""

import functools
from collections.abc import Callable
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
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
  if stride > 1 and t % stride:
    raise ValueError(f"got {t} frames, expected a multiple of the stride {stride}.")
  if 1 < t <= kernel.shape[0]:
    # No longer than the kernel: one matrix product, of no more FLOP, over all frames.
    matrix = _as_matrix(kernel, t, stride, padding)
    (y,) = mix(x.reshape(b, v, 1, t * c), [matrix])
    y = y.reshape(b, v, t // stride, -1)
    return y if bias is None else y + bias.astype(x.dtype).reshape(1, 1, 1, -1)
  if stride > 1:
    # The stride folded into channels, (t, c) -> (t / stride, stride * c): the gradient
    # of a strided convolution is a dilated one, which CPUs do slowly.
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


def _as_matrix(kernel, t: int, stride: int, padding: int):
  """(t c, t/stride d): the convolution of `t` frames as a block Toeplitz matrix."""
  k, c, _ = kernel.shape
  tap = np.arange(t)[:, None] + padding - stride * np.arange(t // stride)[None]
  blocks = kernel[np.clip(tap, 0, k - 1)]
  inside = ((tap >= 0) & (tap < k))[..., None, None]
  blocks = jnp.where(inside, blocks, jnp.zeros((), kernel.dtype))
  return blocks.transpose(0, 2, 1, 3).reshape(t * c, -1)


def mix(
  x: Float[Array, "b v t c"], kernels: Sequence[Float[Array, "c _"]]
) -> list[Float[Array, "b v t _"]]:
  """`x @ kernel` for several kernels at once."""
  return _mix(x, tuple(kernel.astype(x.dtype) for kernel in kernels))


# On CPU the gradient of a kernel reads its input transposed, and the compiler, left
# alone, fuses the layers before into that transposed copy: they are computed again in
# the wrong memory order, which took a third of a training step. A loop over `v` cuts
# the fusion and keeps each piece in cache; arrays that fit in cache as a whole need
# none, and on other backends nothing of this applies.
_LOOP_SIZE = 1 << 18


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x, kernel, padding):
  b, v, t, c = x.shape
  y = lax.conv_general_dilated(
    x.reshape(b * v, t, c),
    kernel,
    (1,),
    [(padding, padding)],
    dimension_numbers=("NWC", "WIO", "NWC"),
  )
  return y.reshape(b, v, *y.shape[1:])


def _conv_forward(x, kernel, padding):
  return _conv(x, kernel, padding), (x, kernel)


def _conv_backward(padding, saved, dy):
  x, kernel = saved
  k, _, d = kernel.shape
  dx = _conv(dy, jnp.flip(kernel, 0).swapaxes(1, 2), k - 1 - padding)

  def kernel_gradient(x, dy):
    x = jnp.pad(x, ((0, 0), (padding, padding), (0, 0)))
    taps = jnp.concatenate([x[:, i : i + dy.shape[1]] for i in range(k)], -1)
    return jnp.einsum("btd,btc->dc", dy, taps)  # transposes the smaller of the two

  dk = _sum_over_v(kernel_gradient, x, dy)
  return dx, dk.reshape(d, k, -1).transpose(1, 2, 0)


_conv.defvjp(_conv_forward, _conv_backward)


@jax.custom_vjp
def _mix(x, kernels):
  if jax.default_backend() != "cpu":
    return [x @ kernel for kernel in kernels]
  # There a convolution of length 1 is faster than a matrix product.
  return [_conv(x, kernel[None], 0) for kernel in kernels]


def _mix_forward(x, kernels):
  return _mix(x, kernels), (x, kernels)


def _mix_backward(saved, dys):
  x, kernels = saved
  dx = sum(_mix(dy, (k.T,))[0] for dy, k in zip(dys, kernels, strict=True))

  def kernel_gradients(x, *dys):
    return tuple(jnp.einsum("btc,btd->cd", x, dy) for dy in dys)

  return dx, _sum_over_v(kernel_gradients, x, *dys)


_mix.defvjp(_mix_forward, _mix_backward)


def _sum_over_v(function, *arrays):
  """Sum of `function` of (b, t, c) arrays over the axis `v` of (b, v, t, c) arrays."""
  if jax.default_backend() != "cpu" or arrays[0].size < _LOOP_SIZE:
    return function(*(a.reshape(-1, *a.shape[2:]) for a in arrays))

  def at(v):
    index = functools.partial(lax.dynamic_index_in_dim, axis=1, keepdims=False)
    return function(*(index(a, v) for a in arrays))

  def add(total, v):
    return jax.tree.map(jnp.add, total, at(v)), None

  zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(at, 0))
  return lax.scan(add, zero, jnp.arange(arrays[0].shape[1]))[0]


class Dropout(nn.Module):
  """Sets entries to 0 with probability `rate` and scales up the others.

  Unlike `nn.Dropout` it draws 16 bits an entry instead of 32, which on CPU halves the
  cost; the rate is exact to 1 / 65536.
  """

  rate: float

  @nn.compact
  def __call__(self, x: Float[Array, "*b"], *, train: bool) -> Float[Array, "*b"]:
    """Drops in training, with the rng "dropout"; else returns `x`."""
    if not train or self.rate == 0:
      return x
    half = -(-x.size // 2)
    bits = jax.random.bits(self.make_rng("dropout"), (half,), jnp.uint32)
    bits = lax.bitcast_convert_type(bits, jnp.uint16).reshape(-1)[: x.size]
    threshold = round(self.rate * 2**16)
    keep = bits.reshape(x.shape) >= threshold
    return jnp.where(keep, x / (1 - threshold / 2**16), 0)
