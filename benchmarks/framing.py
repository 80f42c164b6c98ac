"""How a lifter does with people of any size, and cameras that stand anywhere.

Run: python benchmarks/framing.py [--weights=lift-27] [--manual_dir=RAW]

Every eighth clip of the test split of cmu_mocap, its first 150 frames, exact keypoints,
shrunk together with the focal length: the same people filmed with a wider lens. Then
the same motion filmed by a camera drawn from a wide range for each clip
(jaxpose.geometry.rigs).
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.data import pose_data
from jaxpose.data import transforms
from jaxpose.geometry import cameras
from jaxpose.predict import lifting
from jaxpose.weights import pretrained

SIZES = (1.0, 0.5, 0.3)


def main() -> None:
  """Prints MPJPE in mm as Markdown."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--weights", default="lift-27")
  parser.add_argument("--manual_dir", help="raw files, if the data must be built")
  args = parser.parse_args()
  folder = pose_data.prepare("cmu_mocap", manual_dir=args.manual_dir)
  test = pose_data.load(folder, "test")
  print(f"| MPJPE (mm), {args.weights} | {' | '.join(f'{s} x' for s in SIZES)} |")
  print("|---|" + "---:|" * len(SIZES))
  ways = (True,) if pretrained.load(args.weights).framed else (True, False)
  clips, filmed = list(each_clip(test)), list(each_clip(test, wide=True))
  for framed in ways:
    cells = [f"{error(clips, args.weights, s, framed):.1f}" for s in SIZES]
    print(f"| {'framed' if framed else 'not framed'} | {' | '.join(cells)} |")
  print(f"\ncameras anywhere, framed: {error(filmed, args.weights, 1.0, True):.1f} mm")


def each_clip(test: pose_data.PoseData, wide: bool = False):
  """Normalised keypoints, joints relative to the root, and the focal length in pixels.

  Args:
    test: the split.
    wide: filmed by another camera than that of the data.
  """
  root = test.skeleton.root
  for run in range(0, len(test.runs["first"]), 8):
    first, last = int(test.runs["first"][run]), int(test.runs["last"][run])
    frames = slice(first, min(last + 1, first + 150))
    points, joints = (test.frames[k][frames] for k in ("keypoints_2d", "joints_3d"))
    focal = 1150.0
    if wide:
      camera = (test.runs[f"camera_{k}"][run][None] for k in ("rotation", "position"))
      made = transforms.virtual_camera(
        jax.random.key(run), *map(jnp.asarray, (joints[None], *camera)), wide=True
      )
      points, joints = (np.asarray(array)[0] for array in made[:2])
      focal = 500 * float(cameras.fit_focal(points[None], joints[None])[0])
    yield points, joints - joints[:, root : root + 1], focal


def error(clips, weights: str, size: float, framed: bool) -> float:
  """Mean over clips of MPJPE in mm, of people `size` times as large."""
  found = []
  for points, truth, focal in clips:
    poses = lifting.lift(
      500 * (size * points + 1),
      image_size=(1000, 1000),
      weights=weights,
      focal=focal * size,
      framed=framed,
    )
    found.append(1000 * np.linalg.norm(poses.joints_3d - truth, axis=-1).mean())
  return float(np.mean(found))


if __name__ == "__main__":
  main()
