"""How the benchmarks measure; the scripts beside this file import it as a neighbour."""

import time

import jax
import jax.numpy as jnp


def seconds(function, *args, repeat: int) -> float:
  """Best of several calls."""
  jax.block_until_ready(function(*args))
  best = float("inf")
  for _ in range(repeat):
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    best = min(best, time.perf_counter() - start)
  return best


def matmul_peak(size: int = 2048, repeat: int = 8) -> float:
  """FLOP per second of a float32 product of two square matrices."""
  a = jnp.ones((size, size), jnp.float32)
  return 2 * size**3 / seconds(jax.jit(lambda a: a @ a), a, repeat=repeat)


def flop(function, args) -> float:
  """What XLA counts for one call."""
  return jax.jit(function).lower(*args).compile().cost_analysis()["flops"]
