"""Optimisers and learning-rate schedules by name; Ranger as GLA-GCN trains with it.

A schedule is a function of the integer optimiser step and works under jit. Those that
change once per epoch take the number of optimiser steps in an epoch.
"""

import difflib
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class RangerState(NamedTuple):
  """Adam's moments and the slow weights of the look-ahead."""

  count: jax.Array
  mu: optax.Updates
  nu: optax.Updates
  slow: optax.Params


def ranger(
  learning_rate: optax.ScalarOrSchedule,
  b1: float = 0.95,
  b2: float = 0.999,
  eps: float = 1e-5,
  alpha: float = 0.5,
  k: int = 6,
  threshold: float = 5.0,
) -> optax.GradientTransformation:
  """RAdam with look-ahead (Liu et al. 2020; Zhang et al. 2019).

  optax has both parts; this composition differs in where `eps` stands (after the root
  of the second moment, which is not bias-corrected), in the threshold and in keeping
  the slow weights in the optimiser's state. `update` needs the parameters.

  Args:
    learning_rate: number, or function of the step.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: added to the root of the second moment.
    alpha: share of the way that the slow weights go to the fast ones.
    k: steps between two look-ahead synchronisations.
    threshold: length of the approximated average above which the step is rectified
      and divided by the second moment's root.
  """

  def init(params):
    return RangerState(
      jnp.zeros([], jnp.int32),
      jax.tree.map(jnp.zeros_like, params),
      jax.tree.map(jnp.zeros_like, params),
      # A copy: params and state may both be donated to a jitted step.
      jax.tree.map(lambda p: jnp.array(p, copy=True), params),
    )

  def update(updates, state, params=None):
    if params is None:
      raise ValueError(
        "ranger got params=None, expected the parameters: its look-ahead reads them; "
        "call update(grads, state, params)."
      )
    lr = learning_rate(state.count) if callable(learning_rate) else learning_rate
    count = state.count + 1
    mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
    nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)
    length = _average_length(count, b2)
    rectified = length > threshold
    factor = _rectification(jnp.maximum(length, threshold), count, b2)
    debias = _one_minus_power(b1, count)
    sync = count % k == 0

    def fast(p, m, v):
      by_root = factor * m / (jnp.sqrt(v) + eps)
      return p - lr / debias * jnp.where(rectified, by_root, m)

    new = jax.tree.map(fast, params, mu, nu)
    slow = jax.tree.map(
      lambda s, p: jnp.where(sync, s + alpha * (p - s), s), state.slow, new
    )
    steps = jax.tree.map(
      lambda p, n, s: (jnp.where(sync, s, n) - p).astype(p.dtype), params, new, slow
    )
    return steps, RangerState(count, mu, nu, slow)

  return optax.GradientTransformation(init, update)


def _one_minus_power(b: float, count) -> jax.Array:
  """1 - b^count without the cancellation that float32 suffers for b near 1."""
  return -jnp.expm1(count * math.log(b))


def _average_length(count, b2: float) -> jax.Array:
  """RAdam's N = Nmax - 2 t b2^t / (1 - b2^t), exact to float32 from the first step on.

  With x = -t log b2 the subtrahend is (2 / -log b2) (x / (e^x - 1)), close to Nmax for
  small t; there the series of x / (e^x - 1) is used, whose first terms cancel by hand.
  """
  a = -math.log(b2)
  n_max = 2 / (1 - b2) - 1
  x = count * a
  tail = x**2 * (1 / 12 - x**2 * (1 / 720 - x**2 * (1 / 30240 - x**2 / 1209600)))
  series = (n_max - 2 / a) + count - (2 / a) * tail
  direct = n_max - 2 * count / jnp.expm1(x)
  return jnp.where(x < 1, series, direct)


def _rectification(length, count, b2: float) -> jax.Array:
  n_max = 2 / (1 - b2) - 1
  ratio = (length - 4) / (n_max - 4) * (length - 2) / length * n_max / (n_max - 2)
  return jnp.sqrt(_one_minus_power(b2, count) * ratio)


def _epoch(step, epochs: int, steps_per_epoch: int):
  return jnp.minimum(step // steps_per_epoch, epochs)


def cosine_per_epoch(
  base: float, final: float, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
  """Half a cosine from `base` to `final`, constant within an epoch (GLA-GCN)."""

  def schedule(step):
    share = _epoch(step, epochs, steps_per_epoch) / epochs
    return final + (base - final) * (1 + jnp.cos(jnp.pi * share)) / 2

  return schedule


def bn_momentum_decay(
  start: float, end: float, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
  """Exponential decay per epoch of batch norm's momentum in PyTorch's sense.

  Flax's momentum is one minus this.
  """

  def schedule(step):
    share = _epoch(step, epochs, steps_per_epoch) / epochs
    return start * jnp.exp(-share * math.log(start / end))

  return schedule


def warmup_cosine(
  base: float, final: float, total_steps: int, warmup_steps: int = 0
) -> optax.Schedule:
  """Linear from 0 to `base`, then half a cosine to `final` at `total_steps`."""
  if not 0 <= warmup_steps < total_steps:
    raise ValueError(
      f"got warmup_steps={warmup_steps} of total_steps={total_steps}, expected fewer."
    )
  return optax.warmup_cosine_decay_schedule(0.0, base, warmup_steps, total_steps, final)


def warmup_cosine_per_epoch(
  base: float, final: float, warmup_epochs: int, epochs: int, steps_per_epoch: int
) -> optax.Schedule:
  """Linear from `final` to `base`, then half a cosine back; constant within an epoch.

  GLoT's: the first epoch runs at `final`, and so does what comes after `epochs`.

  Raises:
    ValueError: the warm-up is not shorter than the run.
  """
  if not 0 <= warmup_epochs < epochs:
    raise ValueError(
      f"got warmup_epochs={warmup_epochs} of epochs={epochs}, expected fewer."
    )

  def schedule(step):
    epoch = _epoch(step, epochs, steps_per_epoch)
    rise = epoch / max(warmup_epochs, 1)
    fall = jnp.maximum(epoch - warmup_epochs, 0) / (epochs - warmup_epochs)
    share = jnp.where(epoch < warmup_epochs, rise, (1 + jnp.cos(jnp.pi * fall)) / 2)
    return final + (base - final) * share

  return schedule


def mpi3dhp_decay(base: float, steps_per_epoch: int) -> optax.Schedule:
  """Times 0.95 after each epoch, 0.5 instead after every fifth (MPI-INF-3DHP)."""

  def schedule(step):
    epoch = step // steps_per_epoch
    fifths = epoch // 5
    return base * 0.95 ** (epoch - fifths) * 0.5**fifths

  return schedule


def adam_l2(
  learning_rate: optax.ScalarOrSchedule, weight_decay: float = 0.0, **options
) -> optax.GradientTransformation:
  """Adam whose decay is part of the gradient, as PyTorch's Adam has it (GLoT).

  Unlike `adamw`, the decay goes through the moments.
  """
  return optax.chain(
    optax.add_decayed_weights(weight_decay), optax.adam(learning_rate, **options)
  )


OPTIMIZERS = dict(
  adam=optax.adam,
  adam_l2=adam_l2,
  adamw=optax.adamw,
  amsgrad=optax.amsgrad,
  ranger=ranger,
)

SCHEDULES = dict(
  constant=optax.constant_schedule,
  cosine_per_epoch=cosine_per_epoch,
  bn_momentum_decay=bn_momentum_decay,
  warmup_cosine=warmup_cosine,
  warmup_cosine_per_epoch=warmup_cosine_per_epoch,
  mpi3dhp_decay=mpi3dhp_decay,
)


def build(
  name: str,
  learning_rate: optax.ScalarOrSchedule,
  *,
  clip: float | None = None,
  **options,
) -> optax.GradientTransformation:
  """The optimiser of that name in `OPTIMIZERS`.

  Args:
    name: "adam", "adam_l2", "adamw", "amsgrad" or "ranger".
    learning_rate: number, or function of the step.
    clip: largest global norm of the gradient; None does not clip.
    **options: of the optimiser, such as `b1`, `eps` or `weight_decay`.
  """
  optimizer = _find(name, OPTIMIZERS, "optimizer")(learning_rate, **options)
  if clip is None:
    return optimizer
  return optax.chain(optax.clip_by_global_norm(clip), optimizer)


def with_factors(
  tx: optax.GradientTransformation, factors: dict[str, float]
) -> optax.GradientTransformation:
  """The optimiser with its steps in some parts of the model multiplied.

  Args:
    tx: whatever the gradient is, its updates are what is multiplied.
    factors: top-level name of a part -> factor; 0 freezes it.

  Raises:
    ValueError: at the first step, if the model has no such part.
  """
  if not factors:
    return tx

  def update(updates, state, params=None):
    unknown = [part for part in factors if part not in updates]
    if unknown:
      raise ValueError(
        f"got lr_factors with {', '.join(unknown)}, expected parts of the model: "
        f"{', '.join(updates)}."
      )
    updates, state = tx.update(updates, state, params)
    scaled = {
      part: optax.tree.scale(factors.get(part, 1.0), tree)
      for part, tree in updates.items()
    }
    return scaled, state

  return optax.GradientTransformation(tx.init, update)


def build_schedule(name: str, **options) -> optax.Schedule:
  """The learning-rate schedule of that name in `SCHEDULES`."""
  return _find(name, SCHEDULES, "schedule")(**options)


def _find(name: str, table: dict, kind: str):
  if name not in table:
    near = ", ".join(difflib.get_close_matches(name, table, 3, 0.0))
    raise ValueError(
      f"unknown {kind} {name!r}; nearest: {near}; known: {', '.join(table)}."
    )
  return table[name]
