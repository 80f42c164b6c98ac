"""Equality with the original feature extractor, run with formula weights."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import convert
from tests import resnet_reference

pytestmark = pytest.mark.numeric

LAST_BLOCKS = {1: 2, 2: 3, 3: 5, 4: 2}


@pytest.fixture(scope="module")
def data(shared):
  with np.load(shared / "golden/glot/resnet50_hash_weights.npz") as file:
    return dict(file)


@pytest.fixture(scope="module")
def outputs(data):
  """Features, and the maps (b, h, w, c) after each stage."""
  weights = resnet_reference.golden_state_dict(data)
  module, variables = convert.from_torch("spin_resnet50", weights)
  images = (1.5 * resnet_reference.formula(1000, (2, 3, 224, 224))).astype(np.float32)
  run = jax.jit(lambda v, x: module.apply(v, x, capture_intermediates=True))
  out, state = run(variables, jnp.asarray(images.transpose(0, 2, 3, 1)))
  maps = state["intermediates"]
  stages = {s: maps[f"stage{s}_{i}"]["__call__"][0] for s, i in LAST_BLOCKS.items()}
  return out["features"], stages, maps["stem"]["__call__"][0]


def relative_error(got, want):
  return np.abs(np.asarray(got) - want).max() / np.abs(want).max()


def test_features_are_the_originals(data, outputs):
  assert relative_error(outputs[0], data["out/features"]) < 1e-5


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_every_stage_is_the_originals(data, outputs, stage):
  y = outputs[1][stage]
  assert relative_error(y.mean((1, 2)), data[f"mid/layer{stage}_mean"]) < 1e-5
  corner = y[:, :3, :3, :8].transpose(0, 3, 1, 2)
  assert relative_error(corner, data[f"mid/layer{stage}_corner"]) < 1e-5


def test_stem_is_the_originals(data, outputs):
  y = nn.max_pool(nn.relu(outputs[2]), (3, 3), (2, 2), ((1, 1), (1, 1)))
  assert relative_error(y.mean((1, 2)), data["mid/stem_mean"]) < 1e-5
