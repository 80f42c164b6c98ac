"""GLoT with tiny, random weights, and a person for it to look at."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import models
from jaxpose.weights import pretrained

SIZE = (640, 480)
TINY = dict(
  name="glot",
  width=16,
  depth=1,
  heads=4,
  decoder_width=8,
  mask_hidden=(6, 10),
  local_width=8,
  local_heads=2,
  local_depth=1,
  cross_heads=2,
  regressor_hidden=10,
  regressor_iterations=2,
  hscr_hidden=14,
  body="free_small",
)
CHANNELS = 12


@functools.cache
def weights(encoder: str = "keypoints", seed: int = 0) -> pretrained.Pretrained:
  """Random weights; the poses that they give move with the input."""
  model = TINY | dict(encoder=encoder, feat_dim=CHANNELS, keypoint_hidden=8)
  module = models.build(**model)
  shape = jax.ShapeDtypeStruct((1, *module.input_shape), jnp.float32)
  shapes = jax.eval_shape(module.init, jax.random.key(0), shape)
  rng = np.random.default_rng(seed)

  def random(path, s):
    # Large, so that neighbouring frames differ; smaller where poses are made.
    gain = dict(hscr=1.0, global_regressor=0.3).get(path[1].key, 2.0)
    scale = 0.5 if len(s.shape) < 2 else gain * s.shape[-2] ** -0.5
    return np.asarray(rng.normal(size=s.shape) * scale, s.dtype)

  constants = dict(
    pose_6d=np.asarray([1, 0, 0, 1, 0, 0] * 24, np.float32),
    betas=np.zeros(10, np.float32),
    camera=np.asarray([0.9, 0, 0], np.float32),
  )
  params = jax.tree_util.tree_map_with_path(random, dict(params=shapes["params"]))
  return pretrained.make(
    model,
    dict(params, constants=constants),
    skeleton="spin49",
    window=16,
    inputs=("features",),
  )


def keypoints(frames: int, joints: int = 17) -> np.ndarray:
  """Pixels of smoothly moving points inside the image."""
  rng = np.random.default_rng(5)
  phase, speed = rng.uniform(0, 6, (joints, 2)), rng.uniform(0.1, 0.4, (joints, 2))
  wave = np.sin(phase + speed * np.arange(frames)[:, None, None])
  return np.asarray(SIZE) * (0.5 + 0.3 * wave)


def features(frames: int) -> np.ndarray:
  """Random features, (frames, CHANNELS)."""
  rng = np.random.default_rng(6)
  return rng.normal(size=(frames, CHANNELS)).astype(np.float32)


def boxes(frames: int) -> np.ndarray:
  """Boxes of a person who walks to the right."""
  t = np.arange(frames)
  return np.stack([200 + 3.0 * t, 250 + 0 * t, 80 + t, 200 + 0 * t], -1)
