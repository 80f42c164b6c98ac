r"""What the feature extractor costs: frames per second of the network and of the crops.

Run: python benchmarks/features.py [--batch_size=8] [--dtype=float32]

The network's speed is also given as a share of the float32 matrix-product peak measured
right before and after it in the same process, because machines differ and are noisy;
FLOP are those that XLA counts.
"""

import argparse
import os
import time

from jaxpose import runtime

runtime.keep_memory()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from measure import matmul_peak  # noqa: E402
from measure import seconds  # noqa: E402

from jaxpose import models  # noqa: E402
from jaxpose.geometry import crops  # noqa: E402


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  parser.add_argument("--batch_size", type=int, default=8)
  parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
  parser.add_argument("--repeat", type=int, default=5)
  args = parser.parse_args()
  b = args.batch_size
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (b, crops.SIZE, crops.SIZE, 3)).astype(np.uint8)
  module = models.build("spin_resnet50", dtype=args.dtype)
  variables = jax.jit(module.init)(jax.random.key(0), crops.normalize(images[:1]))

  @jax.jit
  def forward(variables, images):
    return module.apply(variables, crops.normalize(images))["features"]

  flop = forward.lower(variables, images).compile().cost_analysis()["flops"]
  # Peak on both sides of the timing: the machine may be busier at one of them.
  peak = matmul_peak()
  time_network = seconds(forward, variables, images, repeat=args.repeat)
  peak = max(peak, matmul_peak())
  frame = rng.integers(0, 256, (1080, 1920, 3)).astype(np.uint8)
  box = np.asarray([960, 540, 300, 600], np.float32)
  start = time.perf_counter()
  for _ in range(10):
    crops.crop(frame, box)
  time_crop = (time.perf_counter() - start) / 10
  device = jax.devices()[0]
  print(
    f"{device.platform} {device.device_kind}, jax {jax.__version__}, "
    f"{os.cpu_count()} cores; float32 matmul peak {peak / 1e9:.0f} GFLOP/s; "
    f"{args.dtype}, batch {b}\n"
  )
  print("| part | GFLOP/frame | frames/s | share of peak |")
  print("|---|---:|---:|---:|")
  print(
    f"| network | {flop / b / 1e9:.2f} | {b / time_network:,.1f} "
    f"| {100 * flop / time_network / peak:.0f} % |"
  )
  print(f"| crop of a 1920 x 1080 frame | - | {1 / time_crop:,.0f} | - |")


if __name__ == "__main__":
  main()
