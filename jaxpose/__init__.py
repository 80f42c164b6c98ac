"""3D human pose in JAX and Flax: models, data, training, evaluation and use.

import jaxpose
poses = jaxpose.lift(keypoints_2d, image_size=(1920, 1080), weights="lift-27")
body = jaxpose.mesh(keypoints_2d, image_size=(1920, 1080), weights="mesh-16")
jaxpose.video("walk.mp4", "walk_3d")
jaxpose.views(["left.mp4", "right.mp4"], "calibration.toml", "walk_3d")
weights = jaxpose.load("lift-27")

Public names are imported on first use, so `import jaxpose` alone is quick. The packages
and their order are in docs/architecture.md.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
  "LiftStream": "jaxpose.predict.lifting:LiftStream",
  "MeshStream": "jaxpose.predict.bodies:MeshStream",
  "ViewsStream": "jaxpose.predict.views_network:MultiviewStream",
  "lift": "jaxpose.predict.lifting:lift",
  "load": "jaxpose.weights.pretrained:load",
  "mesh": "jaxpose.predict.lifting:mesh",
  "metrics": "jaxpose.metrics",
  "skeletons": "jaxpose.skeletons",
  "video": "jaxpose.predict.films:video",
  "views": "jaxpose.predict.camera_rig:views",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str):
  """Imports a public name when it is first used (PEP 562)."""
  if name not in _PUBLIC:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  module, _, attribute = _PUBLIC[name].partition(":")
  found = importlib.import_module(module)
  return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
  return sorted([*globals(), *_PUBLIC])
