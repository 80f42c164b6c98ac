"""How a lifter does with people who are small in the picture, framed and not.

Run: python benchmarks/framing.py [--weights=lift-27] [--manual_dir=RAW]

Every eighth clip of the test split of cmu_mocap, its first 150 frames, exact keypoints,
shrunk together with the focal length: the same people filmed with a wider lens.
"""

import argparse

import numpy as np

from jaxpose import data
from jaxpose import predict
from jaxpose import scoring

SIZES = (1.0, 0.5, 0.3)


def main() -> None:
  """Prints MPJPE in mm as Markdown."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--weights", default="lift-27")
  parser.add_argument("--manual_dir", help="raw files, if the data must be built")
  args = parser.parse_args()
  folder = data.prepare("cmu_mocap", manual_dir=args.manual_dir)
  test = data.load(folder, "test")
  truth = scoring.relative_joints(test)
  print(f"| MPJPE (mm), {args.weights} | {' | '.join(f'{s} x' for s in SIZES)} |")
  print("|---|" + "---:|" * len(SIZES))
  for framed in (True, False):
    cells = [f"{error(test, truth, args.weights, s, framed):.1f}" for s in SIZES]
    print(f"| {'framed' if framed else 'not framed'} | {' | '.join(cells)} |")


def error(test: data.PoseData, truth, weights: str, size: float, framed: bool) -> float:
  """Mean over clips of MPJPE in mm, of people `size` times as large."""
  found = []
  for first, last in zip(test.runs["first"][::8], test.runs["last"][::8], strict=True):
    frames = slice(int(first), min(int(last) + 1, int(first) + 150))
    poses = predict.lift(
      500 * (size * test.frames["keypoints_2d"][frames] + 1),
      image_size=(1000, 1000),
      weights=weights,
      focal=1150 * size,
      framed=framed,
    )
    apart = np.linalg.norm(poses.joints_3d - truth[frames], axis=-1)
    found.append(1000 * apart.mean())
  return float(np.mean(found))


if __name__ == "__main__":
  main()
