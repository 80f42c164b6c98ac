r"""What the body costs: vertices per second of a mesh of SMPL's size.

Run: python benchmarks/body.py [--batch_sizes=1,32,512] [--body=NAME_OR_PATH]

Random arrays in SMPL's layout unless a body is given. Machines differ and are noisy, so
speeds are also shares of what the same process reaches right before and after each
timing. Of the float32 matrix-product peak: the FLOP of the two products alone, the
blend shapes, 2 (s + 207) 3 m, and the blended transforms, 2 * 24 * 12 m, for each body.
Of the memory bandwidth (of x + 1 that moves as much): the bytes that must move, which
are all arrays of the body once, the parameters in and the vertices out.
"""

import argparse
import os

from jaxpose import runtime

runtime.keep_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from measure import matmul_peak  # noqa: E402
from measure import seconds  # noqa: E402

from jaxpose import body as bodies  # noqa: E402
from jaxpose import geometry  # noqa: E402
from jaxpose.body import body_files  # noqa: E402


def bandwidth(moved: float, repeat: int = 12) -> float:
  """Bytes per second of adding 1 to an array, which reads and writes `moved` bytes."""
  x = jnp.ones(int(moved / 8), jnp.float32)
  return 2 * x.nbytes / seconds(jax.jit(lambda x: x + 1), x, repeat=repeat)


def random_body(m: int = body_files.NUM_VERTICES, s: int = 10) -> bodies.Body:
  """Random arrays in SMPL's layout, `m` vertices and `s` shape components."""
  rng = np.random.default_rng(0)

  def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)

  weights = rng.random((m, 24)).astype(np.float32)
  return bodies.Body(
    template=normal(m, 3),
    shape_dirs=normal(m, 3, s),
    pose_dirs=normal(207, m, 3),
    joint_template=normal(24, 3),
    joint_shape_dirs=normal(24, 3, s),
    weights=weights / weights.sum(1, keepdims=True),
    faces=np.zeros((0, 3), np.int32),
    extra_vertices=np.arange(21, dtype=np.int32),
    extra_regressor=normal(9, m),
  )


def work(body: bodies.Body, batch: int) -> tuple[float, float]:
  """(FLOP of the products, bytes that must move) of one call."""
  m, s = len(body.template), body.num_betas
  flop = batch * 2 * m * (3 * (s + 207) + 24 * 12)
  numbers = m * (3 * (s + 207) + 24 + 3) + batch * (24 * 9 + s + 3 * m)
  return flop, 4 * numbers


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
  parser.add_argument("--batch_sizes", default="1,32,512")
  parser.add_argument("--body", help="name or path; default random arrays")
  parser.add_argument("--repeat", type=int, default=10)
  args = parser.parse_args()
  body = body_files.load(args.body) if args.body else random_body()
  m, rng = len(body.template), np.random.default_rng(1)
  device = jax.devices()[0]
  print(
    f"{device.platform} {device.device_kind}, jax {jax.__version__}, "
    f"{os.cpu_count()} cores; float32 matmul peak {matmul_peak() / 1e9:.0f} GFLOP/s, "
    f"memory {bandwidth(2**28) / 1e9:.0f} GB/s; {m:,} vertices\n"
  )
  print("| batch | ms | vertices/s | share of matmul peak | share of bandwidth |")
  print("|---:|---:|---:|---:|---:|")
  forward = jax.jit(lambda rotations, betas: bodies.pose(body, rotations, betas))
  for batch in map(int, args.batch_sizes.split(",")):
    angles = 0.5 * rng.normal(size=(batch, 24, 3)).astype(np.float32)
    rotations = jnp.asarray(geometry.axis_angle_to_matrix(angles))
    betas = jnp.asarray(rng.normal(size=(batch, body.num_betas)), jnp.float32)
    flop, moved = work(body, batch)
    # Peaks on both sides of each timing: the machine may be busier at one of them.
    peak, memory = matmul_peak(), bandwidth(moved)
    t = seconds(forward, rotations, betas, repeat=args.repeat)
    peak, memory = max(peak, matmul_peak()), max(memory, bandwidth(moved))
    print(
      f"| {batch} | {1e3 * t:.1f} | {batch * m / t / 1e6:,.1f} M "
      f"| {100 * flop / t / peak:.0f} % | {100 * moved / t / memory:.0f} % |",
      flush=True,
    )


if __name__ == "__main__":
  main()
