"""Tiny multi-view networks with random weights, and drawn recordings for them."""

import functools
import json

import jax
import numpy as np
import pytest
from PIL import Image
from PIL import ImageDraw

from jaxpose import models
from jaxpose import skeletons
from jaxpose.geometry import cameras
from jaxpose.models import multiview
from jaxpose.weights import pretrained
from tests import multiview_testing

SKELETON = skeletons.get("h36m17")
WINDOW = 4
SIZE = (80, 60)
VIEWS = 3
CAMERAS = ("camera_rotation", "camera_position", "crop_intrinsics")
# A person of 1.7 m who looks along -y, joint by joint.
STANDING = np.asarray(
  [
    *([0, 0, 0.9], [-0.13, 0, 0.9], [-0.13, 0, 0.5], [-0.13, 0, 0.1]),
    *([0.13, 0, 0.9], [0.13, 0, 0.5], [0.13, 0, 0.1], [0, 0, 1.15]),
    *([0, 0, 1.4], [0, -0.05, 1.5], [0, 0, 1.65], [0.15, 0, 1.4]),
    *([0.25, 0, 1.15], [0.25, -0.1, 0.9], [-0.15, 0, 1.4], [-0.25, 0, 1.15]),
    *([-0.25, -0.1, 0.9],),
  ]
)


def quick_compilation():
  """Meanwhile `jax.jit` compiles in half the time; these networks take none to run."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(
      jax, "jit", functools.partial(jax.jit, compiler_options=multiview_testing.QUICK)
    )
    yield


@functools.cache
def weights(calibrated=True, seed=0, **fields) -> pretrained.Pretrained:
  """Random weights of a tiny network, as `pretrained.load` gives them."""
  model = dict(name="multiview", variant="base")
  model |= multiview_testing.SMALL | dict(num_joints=17)
  model |= {} if calibrated else dict(view_embedding="reference")
  model |= fields
  module = models.build(**model)
  example = multiview.example(module, WINDOW)
  inputs = ("images", "view_mask", *(CAMERAS if calibrated else ()))
  shapes = jax.eval_shape(module.init, jax.random.key(0), **example)
  variables = jax.tree.map(np.asarray, multiview_testing.randomised(shapes, seed))
  return pretrained.make(
    model, variables, skeleton="h36m17", window=WINDOW, inputs=inputs
  )


def joints(frames: int) -> np.ndarray:
  """(t, 17, 3) of somebody who walks and swings, world, metres."""
  phase = np.arange(frames)[:, None, None] * 0.4
  sway = 0.05 * np.sin(phase + np.arange(17)[None, :, None] + np.arange(3) * 2)
  return STANDING + sway + np.arange(frames)[:, None, None] * [0.02, 0.01, 0]


def rig(views: int = VIEWS) -> list[cameras.Camera]:
  ring = cameras.camera_ring(
    np.random.default_rng(1), np.asarray([0, 0, 0.9]), views, SIZE
  )
  return [
    cameras.Camera(
      np.float64(c.rotation),
      np.float64(c.position),
      np.float64(c.intrinsics),
      SIZE,
      f"cam{i}",
    )
    for i, c in enumerate(ring)
  ]


def project(camera, points) -> np.ndarray:
  """Pixels of points of the world, (..., 2)."""
  inside = cameras.world_to_camera(points, camera.rotation, camera.position)
  return cameras.project(inside, camera.intrinsics)


def boxes(frames: int, views: int = VIEWS) -> np.ndarray:
  """(t, v, 4) round the true joints."""
  points = np.stack([project(c, joints(frames)) for c in rig(views)], 1)
  low, high = points.min(2), points.max(2)
  return np.float32(np.concatenate([(low + high) / 2, high - low + 4], -1))


@functools.cache
def pictures(frames: int, views: int = VIEWS) -> np.ndarray:
  """(t, v, h, w, 3) uint8: the bones on noise."""
  rng = np.random.default_rng(2)
  width, height = SIZE
  found = rng.integers(0, 60, (frames, views, height, width, 3), np.uint8)
  for v, camera in enumerate(rig(views)):
    for t, points in enumerate(project(camera, joints(frames))):
      image = Image.fromarray(found[t, v])
      brush = ImageDraw.Draw(image)
      for i, (a, b) in enumerate(SKELETON.bones):
        color = (200, 40 + 12 * i, 255 - 12 * i)
        brush.line([tuple(points[a]), tuple(points[b])], color, 2)
      found[t, v] = np.asarray(image)
  return found


def as_json(ring) -> list[dict]:
  found = []
  for camera in ring:
    fx, fy, cx, cy = camera.intrinsics[:4].tolist()
    found.append(
      dict(
        name=camera.name,
        K=[[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
        R=camera.rotation.tolist(),
        t=(-camera.rotation @ camera.position).tolist(),
        image_size=list(camera.image_size),
      )
    )
  return found


def write(folder, frames=6, *, change=None, calibrated=True, with_boxes=True):
  """A recording as users have them, in folders of pictures."""
  folder.mkdir(parents=True)
  (folder / "recording.json").write_text(json.dumps(dict(fps=25)))
  cameras_json = as_json(rig())
  if change:
    change(cameras_json)
  if calibrated:
    (folder / "calibration.json").write_text(json.dumps(dict(cameras=cameras_json)))
  for v, camera in enumerate(rig()):
    (folder / camera.name).mkdir()
    for t in range(frames):
      image = Image.fromarray(pictures(frames)[t, v])
      image.save(folder / camera.name / f"{t}.png")
    if with_boxes:
      (folder / "boxes").mkdir(exist_ok=True)
      path = folder / "boxes" / f"{camera.name}.json"
      path.write_text(json.dumps(boxes(frames)[:, v].tolist()))
  return folder
