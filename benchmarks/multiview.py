r"""What the multi-view network costs: patches kept, relations, a step, memory.

Run: python benchmarks/multiview.py [--variant=small] [--parts=keep,relations,step]

Ratios are of timings taken in turns, best of several each, so that a busy machine slows
all of them alike. FLOP are those that XLA counts before it optimises. Shares are of the
float32 matrix-product peak measured in the same process. A training step is taken as
three of its own forward passes; its loss is the sum of squares of the outputs, without
data or augmentation.
"""

import argparse
import os
import time
from collections.abc import Callable

from jaxpose import runtime

runtime.keep_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

from jaxpose import models  # noqa: E402
from jaxpose.models import multiview_network  # noqa: E402
from jaxpose.models.multiview import example  # noqa: E402

ALL_PATCHES = dict(keep=(), keep_at=(), score=())
SIZES = ((4, 8), (4, 16), (4, 32), (8, 32))  # views, frames

Call = tuple[Callable, tuple]  # a function and its arguments


def seconds(calls: dict, repeat: int) -> dict[object, float]:
  """Best of several rounds of each, in turns."""
  jitted = {name: (jax.jit(f), args) for name, (f, args) in calls.items()}
  best = dict.fromkeys(jitted, float("inf"))
  for number in range(repeat + 1):  # the first compiles
    for name, (function, args) in jitted.items():
      start = time.perf_counter()
      jax.block_until_ready(function(*args))
      if number:
        best[name] = min(best[name], time.perf_counter() - start)
  return best


def matmul_call(size: int = 2048) -> Call:
  """A float32 product of two square matrices, 2 size^3 FLOP."""
  return lambda a: a @ a, (jnp.ones((size, size), jnp.float32),)


def flop(call: Call) -> float:
  """Of one call."""
  function, args = call
  return jax.jit(function).lower(*args).cost_analysis()["flops"]


def build(args, **fields):
  """The module that is measured."""
  if args.image_size:
    fields["image_size"] = args.image_size
  return models.build(
    "multiview", variant=args.variant, **dict(dtype=args.dtype, remat=False) | fields
  )


def clip(module, views: int, frames: int) -> tuple[jax.Array, ...]:
  """Inputs of one clip; ones, for no time depends on their values."""
  shapes = example(module, frames)
  order = ("images", "view_mask", *("camera_rotation", "camera_position"))
  order = (*order, "crop_intrinsics")
  return tuple(
    jnp.ones((1, views, *shapes[key].shape[2:]), shapes[key].dtype) for key in order
  )


def kept(module, rate: float):
  """The module with another share of patches, the same each time some go."""
  if rate == 1:
    return module.clone(**ALL_PATCHES)
  return module.clone(keep=(rate,) * len(module.keep))


def spatial_calls(module, images: int) -> tuple[Call, Call]:
  """Images to frame tokens; and the global part of it alone."""
  x = jnp.ones((images, module.image_size, module.image_size, 3), jnp.float32)
  trunk, spatial = (
    multiview_network.make_trunk(module),
    multiview_network.make_spatial(module),
  )
  key = jax.random.key(0)
  grid, first = jax.jit(lambda x: trunk.init_with_output(key, x, train=False))(x)
  second = jax.jit(lambda g: spatial.init(key, g, train=False))(grid)

  def after(second, grid):
    return spatial.apply(second, grid, train=False)

  def both(first, second, x):
    return after(second, trunk.apply(first, x, train=False))

  return (both, (first, second, x)), (after, (second, grid))


def keep_table(args) -> None:
  """Patches kept: the spatial module and its global part, time beside FLOP."""
  module, rates = build(args), [float(r) for r in args.keep.split(",")]
  if not module.keep:
    print(f"{args.variant} drops no patches: no table of them.\n")
    return
  calls = {}
  for rate in rates:
    both, after = spatial_calls(kept(module, rate), args.images)
    calls |= {("whole", rate): both, ("global", rate): after}
  work = {name: flop(call) for name, call in calls.items()}
  took = seconds(calls | {"peak": matmul_call()}, args.repeat)
  peak = 2 * 2048**3 / took.pop("peak")
  first = rates[0]
  print(
    f"Spatial module, {args.images} images of {module.image_size} pixels, "
    f"{module.grid[0]} x {module.grid[1]} patches; ratios to keep {first:g}\n"
  )
  print(
    "| keep | images/s | GFLOP/image | time | FLOP | share of peak "
    "| global part (ms/image) | time | FLOP | share of peak |"
  )
  print("|---:" * 10 + "|")
  for rate in rates:
    cells = [f"{rate:g}", f"{args.images / took['whole', rate]:,.0f}"]
    cells.append(f"{work['whole', rate] / args.images / 1e9:.3f}")
    for part in ("whole", "global"):
      t, w = took[part, rate], work[part, rate]
      if part == "global":
        cells.append(f"{1e3 * t / args.images:.2f}")
      cells += [f"{t / took[part, first]:.2f}", f"{w / work[part, first]:.2f}"]
      cells.append(f"{100 * w / t / peak:.0f} %")
    print(f"| {' | '.join(cells)} |")
  print(flush=True)


def relations_table(args) -> None:
  """Relations of V x T tokens, all together and views, then frames."""
  layouts = ("joint", "factorised")
  calls = {}
  for layout in layouts:
    module = build(args, layout=layout)
    relations = multiview_network.make_relations(module)
    for views, frames in SIZES:
      x = jnp.ones((1, views, frames, module.width), module.dtype)
      there = jnp.ones((1, views, frames), bool)
      params = jax.jit(
        lambda x, p, r=relations: r.init(jax.random.key(0), x, p, train=False)
      )(x, there)

      def call(params, x, there, relations=relations):
        return relations.apply(params, x, there, train=False)

      calls[layout, views, frames] = call, (params, x, there)
  took = seconds(calls, 4 * args.repeat)
  print(
    "| views x frames | joint (ms) | GFLOP | factorised (ms) | GFLOP | time ratio |"
  )
  print("|---:" * 6 + "|")
  for size in SIZES:
    cells = [f"{size[0]} x {size[1]}"]
    for layout in layouts:
      cells.append(f"{1e3 * took[layout, *size]:.2f}")
      cells.append(f"{flop(calls[layout, *size]) / 1e9:.3f}")
    ratio = took["factorised", *size] / took["joint", *size]
    print(f"| {' | '.join([*cells, f'{ratio:.2f}'])} |")
  print(flush=True)


def step_call(module, inputs) -> tuple[Call, Call]:
  """The forward pass of training and the step, with their arguments."""
  key = jax.random.key(0)
  params = jax.jit(module.init)(key, *inputs)["params"]
  tx = optax.adamw(1e-4)

  def forward(params, inputs, key):
    out = module.apply({"params": params}, *inputs, train=True, rngs={"dropout": key})
    floats = (v for v in out.values() if jnp.issubdtype(v.dtype, jnp.floating))
    return sum((value.astype(jnp.float32) ** 2).mean() for value in floats)

  def step(params, state, inputs, key):
    grads = jax.grad(forward)(params, inputs, key)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), state

  state = jax.jit(tx.init)(params)
  return (forward, (params, inputs, key)), (step, (params, state, inputs, key))


def step_table(args) -> None:
  """The whole network on a clip: forward pass, training step, memory of the step."""
  views, frames = map(int, args.clip.split("x"))
  module = build(args)
  inputs = clip(module, views, frames)
  variables = jax.jit(module.init)(jax.random.key(0), *inputs)
  forward: Call = module.apply, (variables, *inputs)
  training, step = step_call(module, inputs)
  calls = {"forward": forward, "step": step, "peak": matmul_call()}
  took = seconds(calls, args.repeat)
  peak = 2 * 2048**3 / took["peak"]
  work = dict(forward=flop(forward), step=3 * flop(training))
  print(f"Whole network, one clip of {views} views x {frames} frames\n")
  print("| | ms | images/s | GFLOP | share of peak |")
  print("|---|---:|---:|---:|---:|")
  for name in ("forward", "step"):
    t, w = took[name], work[name]
    print(
      f"| {name} | {1e3 * t:.0f} | {views * frames / t:,.0f} | {w / 1e9:.2f} "
      f"| {100 * w / t / peak:.0f} % |"
    )
  print("\n| memory of a step besides weights | MB |")
  print("|---|---:|")
  for remat in (False, True):
    function, arguments = step_call(build(args, remat=remat), inputs)[1]
    compiled = jax.jit(function).lower(*arguments).compile()
    size = compiled.memory_analysis().temp_size_in_bytes
    print(f"| {'blocks recomputed' if remat else 'all kept'} | {size / 1e6:,.0f} |")
  print(flush=True)


TABLES = dict(keep=keep_table, relations=relations_table, step=step_table)


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  parser.add_argument("--variant", default="small")
  parser.add_argument("--image_size", type=int, help="default: the variant's")
  parser.add_argument("--dtype", default="float32")
  parser.add_argument("--images", type=int, default=32, help="of the spatial module")
  parser.add_argument("--keep", default="1,0.7,0.5,0.3", help="shares; the first is 1")
  parser.add_argument("--clip", default="4x8", help="views x frames of a step")
  parser.add_argument("--repeat", type=int, default=10)
  parser.add_argument("--parts", default=",".join(TABLES))
  args = parser.parse_args()
  device, module = jax.devices()[0], build(args)
  took = seconds({"peak": matmul_call()}, args.repeat)
  print(
    f"{device.platform} {device.device_kind}, jax {jax.__version__}, "
    f"{os.cpu_count()} cores; float32 matmul peak "
    f"{2 * 2048**3 / took['peak'] / 1e9:.0f} GFLOP/s; {args.variant}, {args.dtype}, "
    f"{module.image_size} pixels\n"
  )
  for part in args.parts.split(","):
    TABLES[part](args)


if __name__ == "__main__":
  main()
