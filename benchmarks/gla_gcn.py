r"""What GLA-GCN costs: parameters, FLOP, compile times, windows per second.

Run: python benchmarks/gla_gcn.py [--frames=27,81,243] [--batch_size=128]

Speeds are also given as a share of the float32 matrix-product peak measured in the same
process, because machines differ and are noisy; FLOP are those that XLA counts for one
forward pass, and a training step is taken as three of them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

from jaxpose import runtime

runtime.keep_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from measure import matmul_peak  # noqa: E402
from measure import seconds  # noqa: E402

from jaxpose import models  # noqa: E402
from jaxpose import skeletons  # noqa: E402
from jaxpose.tasks import batches  # noqa: E402
from jaxpose.train import training  # noqa: E402


def setup(frames: int, batch_size: int, fields: dict):
  """Compiled-to-be forward pass and training step with their arguments."""
  threes = round(np.log(frames) / np.log(3))
  if 3**threes != frames:
    raise SystemExit(f"error: got {frames} frames, expected a power of 3.")
  module = models.build("gla_gcn", filter_widths=(3,) * threes, **fields)
  rng = np.random.default_rng(0)
  shape = (batch_size, frames, module.num_joints)
  windows = dict(
    keypoints_2d=jnp.asarray(rng.normal(size=(*shape, 2)), jnp.float32),
    joints_3d=jnp.asarray(rng.normal(size=(*shape, 3)), jnp.float32),
    flip=jnp.zeros(batch_size, bool),
  )
  tx = optax.adamw(1e-3)
  example = (windows["keypoints_2d"][:1],)
  state = jax.jit(lambda x: training.init_state(module, tx, x, seed=0))(example)
  losses = dict(joints=dict(fn="mpjpe", key="joints_3d"))
  if module.sequence_head:
    losses["sequence"] = dict(fn="mpjpe", key="joints_3d_sequence")
  pipeline = dict(
    window=frames,
    lookahead=None,
    skeleton=skeletons.get("h36m17"),
    augmentation=batches.PLAIN,
    inputs=("keypoints_2d",),
    losses=losses,
    call_schedules={},
  )
  variables = {"params": state.params, **state.model_state}
  forward = jax.jit(module.apply)

  def step(state, windows, rng):
    return training.train_step(
      state, windows, None, None, rng, module=module, tx=tx, pipeline=pipeline
    )

  return (
    (forward, (variables, windows["keypoints_2d"])),
    (jax.jit(step), (state, windows, jax.random.key(0))),
    sum(p.size for p in jax.tree.leaves(state.params)),
  )


def compile_seconds(function, args) -> float:
  """Time to trace and compile."""
  start = time.perf_counter()
  function.lower(*args).compile()
  return time.perf_counter() - start


def compile_twice(frames: int, batch_size: int, fields: dict) -> tuple[float, float]:
  """Compile time of a training step in two fresh processes that share a cache."""
  times = []
  with tempfile.TemporaryDirectory() as cache:
    code = (
      f"import sys; sys.path[:0] = [{os.path.dirname(os.path.abspath(__file__))!r}]\n"
      "import gla_gcn as b\n"
      f"_, (f, a), _ = b.setup({frames}, {batch_size}, {fields!r})\n"
      "print(b.compile_seconds(f, a))"
    )
    environment = os.environ | {
      "JAX_COMPILATION_CACHE_DIR": cache,
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    for _ in range(2):
      out = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
      )
      times.append(float(out.stdout.split()[-1]))
  return times[0], times[1]


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  parser.add_argument("--frames", default="27,81,243")
  parser.add_argument("--batch_size", type=int, default=128)
  parser.add_argument("--variant", default="s_agcn")
  parser.add_argument("--width", type=int, default=96)
  parser.add_argument("--dtype", default="float32")
  parser.add_argument("--remat", action="store_true")
  parser.add_argument("--repeat", type=int, default=5)
  parser.add_argument("--no_compile_times", action="store_true")
  args = parser.parse_args()
  fields = dict(
    variant=args.variant, width=args.width, dtype=args.dtype, remat=args.remat
  )
  device = jax.devices()[0]
  peak = matmul_peak()
  print(
    f"{device.platform} {device.device_kind}, jax {jax.__version__}, "
    f"{os.cpu_count()} cores; float32 matmul peak {peak / 1e9:.0f} GFLOP/s; "
    f"{args.variant}, width {args.width}, {args.dtype}, batch {args.batch_size}\n"
  )
  print(
    "| frames | parameters | GFLOP/window | compile cold / cached (s) "
    "| forward (windows/s) | share of peak | training (windows/s) | share of peak |"
  )
  print("|---:|---:|---:|---:|---:|---:|---:|---:|")
  for frames in map(int, args.frames.split(",")):
    # As many frames per batch as at 27 frames: memory, not speed, sets the limit.
    batch = max(args.batch_size * 27 // max(frames, 27), 1)
    (forward, x), (step, y), parameters = setup(frames, batch, fields)
    flop = forward.lower(*x).compile().cost_analysis()["flops"]
    # Peak next to each timing: the machine may be busier now than at the start.
    peak = matmul_peak(repeat=3)
    f = seconds(forward, *x, repeat=args.repeat)
    peak = max(peak, matmul_peak(repeat=3))
    t = seconds(step, *y, repeat=args.repeat)
    cold = "-"
    if not args.no_compile_times:
      cold = "{:.1f} / {:.1f}".format(*compile_twice(frames, batch, fields))
    print(
      f"| {frames} | {parameters:,} | {flop / batch / 1e9:.3f} | {cold} "
      f"| {batch / f:,.0f} | {100 * flop / f / peak:.0f} % "
      f"| {batch / t:,.0f} | {300 * flop / t / peak:.0f} % |",
      flush=True,
    )


if __name__ == "__main__":
  main()
