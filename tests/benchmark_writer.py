"""Made-up bodies and cameras for the tests of benchmark builders."""

import dataclasses

import numpy as np

from jaxpose import skeletons
from jaxpose.geometry import cameras


def body(name: str, frames: int, seed=0) -> np.ndarray:
  """(t, j, 3) float32 metres: someone of grown size who moves about, z up."""
  skeleton = skeletons.get(name)
  rng = np.random.default_rng([11, *np.atleast_1d(seed)])
  time = np.arange(frames)[:, None]
  joints = np.zeros((frames, skeleton.num_joints, 3))
  start = rng.uniform(-1, 1, 3) * [1, 1, 0.1]
  joints[:, skeleton.root] = start + [0, 0, 0.9] + 0.02 * time * rng.normal(size=3)
  done = {skeleton.root}
  while len(done) < skeleton.num_joints:
    for parent, child in skeleton.bones:
      if parent not in done or child in done:
        continue
      leg = any(x in skeleton.joints[child] for x in ("knee", "ankle", "foot"))
      way = np.array([0, 0, -1.0]) if leg else rng.normal(size=3)
      way = way + 0.3 * np.sin(0.3 * time + rng.uniform(0, 6, 3))
      length = 0.43 if leg else 0.2
      bone = length * way / np.linalg.norm(way, axis=-1, keepdims=True)
      joints[:, child] = joints[:, parent] + bone
      done.add(child)
  return joints.astype(np.float32)


def rig(names, image_sizes, seed=0) -> list[cameras.Camera]:
  """Distorting cameras around the origin, one for each name and image size."""
  rng = np.random.default_rng([12, seed])
  ring = cameras.camera_ring(rng, np.array([0, 0, 0.9]), len(image_sizes))
  made = []
  for i, (camera, name, size) in enumerate(zip(ring, names, image_sizes, strict=True)):
    width, height = size  # the lenses are the same for every seed
    lens = np.asarray([1.14, 1.15, 0.5, 0.5, -0.2, 0.24, -0.003, -0.001, -0.0014])
    lens[:4] = lens[:4] * [width, width, width, height] + i
    made.append(
      dataclasses.replace(
        camera, intrinsics=lens.astype(np.float32), image_size=tuple(size), name=name
      )
    )
  return made


def seen(world: np.ndarray, camera: cameras.Camera):
  """Camera-frame joints and pixels, float32."""
  view = cameras.world_to_camera(world, camera.rotation, camera.position)
  return view, cameras.project(view, camera.intrinsics)
