"""Small multi-view networks with random weights, and inputs for them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.geometry import cameras
from jaxpose.models import multiview

SMALL = dict(
  num_joints=5,
  image_size=24,
  stem=((12, 4, 4),),
  depths=(2,),
  window_heads=(2,),
  window=4,
  global_depth=2,
  global_heads=2,
  keep=(0.5, 0.7),
  keep_at=(0, 1),
  score=("head", "mix"),
  drop_path=0.0,
  width=16,
  depth=1,
  heads=2,
  relation_drop_path=0.0,
  max_frames=8,
  max_views=5,
  lifter_width=16,
  lifter_depth=1,
  lifter_heads=2,
  lifter_drop_path=0.0,
  dtype="float32",
  remat=False,
)
REGRESSION = dict(joint_tokens=False, global_depth=0, keep=(), keep_at=(), score=())
POSES = ("joints_3d", "joints_3d_direct")  # of clips, not of their views
CAMERAS = ("camera_rotation", "camera_position", "crop_intrinsics")


def build(**fields):
  return multiview.build("base", **{**SMALL, **fields})


def inputs(b=2, v=3, t=4, size=24, seed=0) -> dict:
  """Images, their mask (all there) and a ring of cameras for each clip."""
  rng = np.random.default_rng(seed)
  rings = [cameras.camera_ring(rng, np.asarray([0, 0, 1.0]), v) for _ in range(b)]
  rotation, position = (
    jnp.asarray([[getattr(camera, name) for camera in ring] for ring in rings])
    for name in ("rotation", "position")
  )
  intrinsics = rng.normal(size=(b, v, t, 4)) * 0.1 + [4, 4, 0, 0]
  return dict(
    images=jnp.asarray(rng.integers(0, 256, (b, v, t, size, size, 3)), jnp.uint8),
    view_mask=jnp.ones((b, v, t), bool),
    camera_rotation=rotation,
    camera_position=position,
    crop_intrinsics=jnp.asarray(intrinsics, jnp.float32),
  )


def randomised(shapes, seed=0):
  """Variables of useful sizes, biases and norms included."""
  rng = np.random.default_rng(seed)

  def random(path, s):
    scale = 0.5 if len(s.shape) < 2 else s.shape[-2] ** -0.5
    values = rng.normal(size=s.shape) * scale
    return jnp.asarray(values + ("scale" in str(path[-1])), s.dtype)

  return jax.tree_util.tree_map_with_path(random, shapes)


@functools.cache
def start(module, **sizes):
  x = inputs(**sizes)
  return randomised(jax.eval_shape(module.init, jax.random.key(0), **x))


# Half the time to compile; these networks take no time to run.
QUICK = {"xla_backend_optimization_level": 0}


@functools.cache
def compiled(module, **options):
  return jax.jit(functools.partial(module.apply, **options), compiler_options=QUICK)


def run(module, x, variables=None, **options) -> dict[str, np.ndarray]:
  """Outputs of the compiled module, by default with weights of `start`."""
  variables = start(module) if variables is None else variables
  return jax.tree.map(np.asarray, compiled(module, **options)(variables, **x))


def train(module, x, seed=0):
  apply = compiled(module, train=True)
  out = apply(start(module), **x, rngs={"dropout": jax.random.key(seed)})
  return jax.tree.map(np.asarray, out)


def without_cameras(x):
  return {key: a for key, a in x.items() if key not in CAMERAS}


def difference(one, other, at=()):
  """The largest difference of any output."""
  assert one.keys() == other.keys()
  return max(np.abs(1.0 * one[k][at] - 1.0 * other[k][at]).max() for k in one)
