r"""What GLoT costs: parameters by part, FLOP, windows per second.

Run: python benchmarks/glot.py [--batch_sizes=1,32] [--mesh]

Speeds are also given as a share of the float32 matrix-product peak measured in the same
process, because machines differ and are noisy; FLOP are those that XLA counts for one
forward pass. A training step masks frames and regresses all of them; it is taken as
three of its own forward passes. Its loss is the sum of squares of the outputs, so that
neither body nor data is part of the time; --body adds the body's joints, and --mesh to
the forward pass all 6,890 vertices of a random body of SMPL's size.
"""

import argparse
import os

from jaxpose import runtime

runtime.keep_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from body import random_body  # noqa: E402
from measure import flop  # noqa: E402
from measure import matmul_peak  # noqa: E402
from measure import seconds  # noqa: E402

from jaxpose import body as bodies  # noqa: E402
from jaxpose import models  # noqa: E402


def setup(module, batch_size: int, body=None):
  """Variables, then forward pass, training forward pass and step with arguments."""
  rng = np.random.default_rng(0)
  shape = (batch_size, *module.input_shape)
  x = jnp.asarray(rng.uniform(size=shape), jnp.float32)
  variables = jax.jit(module.init)(jax.random.key(0), x[:1])
  params, constants = variables["params"], {"constants": variables["constants"]}
  tx = optax.adam(1e-4)

  def forward(variables, x):
    out = module.apply(variables, x)
    if body is not None:
      out["vertices"] = bodies.pose(body, out["rotations"], out["betas"]).vertices
    return out

  def training_forward(params, x, key):
    mask, dropout = jax.random.split(key)
    rngs = {"mask": mask, "dropout": dropout}
    out = module.apply({"params": params, **constants}, x, train=True, rngs=rngs)
    out.pop("mask")
    return sum((value**2).mean() for value in out.values())

  def step(params, state, x, key):
    grads = jax.grad(training_forward)(params, x, key)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  key = jax.random.key(1)
  return (
    variables,
    (forward, (variables, x)),
    (training_forward, (params, x, key)),
    (step, (params, tx.init(params), x, key)),
  )


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  parser.add_argument("--batch_sizes", default="1,32")
  parser.add_argument("--variant", default="glot")
  parser.add_argument("--dtype", default="float32")
  parser.add_argument("--body", help="name or path; default none")
  parser.add_argument("--mesh", action="store_true")
  parser.add_argument("--remat", action="store_true")
  parser.add_argument("--repeat", type=int, default=10)
  args = parser.parse_args()
  module = models.build(
    "glot", variant=args.variant, dtype=args.dtype, body=args.body, remat=args.remat
  )
  body = random_body() if args.mesh else None
  device = jax.devices()[0]
  print(
    f"{device.platform} {device.device_kind}, jax {jax.__version__}, "
    f"{os.cpu_count()} cores; float32 matmul peak {matmul_peak() / 1e9:.0f} GFLOP/s; "
    f"{args.variant}, {args.dtype}, windows of {module.window} frames, body {args.body}"
    f"{', 6,890 vertices' * args.mesh}"
  )
  variables, *_ = setup(module, 1)
  sizes = {
    name: sum(a.size for a in jax.tree.leaves(part))
    for name, part in variables["params"].items()
  }
  parts = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
  print(f"parameters: {sum(sizes.values()):,}: {parts}\n")
  print(
    "| batch | GFLOP/window | forward (ms) | windows/s | share of peak "
    "| training step (ms) | windows/s | share of peak |"
  )
  print("|---:|---:|---:|---:|---:|---:|---:|---:|")
  for batch in map(int, args.batch_sizes.split(",")):
    _, (forward, x), training, (step, y) = setup(module, batch, body)
    work, training_work = flop(forward, x), 3 * flop(*training)
    # Peak next to each timing: the machine may be busier now than at the start.
    peak = matmul_peak(repeat=3)
    f = seconds(jax.jit(forward), *x, repeat=args.repeat)
    peak = max(peak, matmul_peak(repeat=3))
    t = seconds(jax.jit(step), *y, repeat=args.repeat)
    peak = max(peak, matmul_peak(repeat=3))
    print(
      f"| {batch} | {work / batch / 1e9:.3f} | {1e3 * f:.1f} | {batch / f:,.0f} "
      f"| {100 * work / f / peak:.0f} % | {1e3 * t:.0f} | {batch / t:,.0f} "
      f"| {100 * training_work / t / peak:.0f} % |",
      flush=True,
    )


if __name__ == "__main__":
  main()
