"""Equality with tensors of the authors' PyTorch implementation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose import convert
from jaxpose import metrics
from jaxpose import skeletons
from jaxpose.data import transforms
from jaxpose.files import torch_file
from jaxpose.models import gla_gcn
from jaxpose.train import optimizers
from tests import gla_gcn_reference

pytestmark = pytest.mark.numeric

# Name, variant, skeletons of the input and of the output.
EVALUATIONS = [
  ("h36m_rf27_c16", "s_agcn", "h36m17", "h36m17"),
  ("humaneva15_gt_rf27_c20", "s_agcn_humaneva", "humaneva15", "humaneva15"),
  ("humaneva15_mrcnn_rf27_c16", "s_agcn_humaneva_mrcnn", "coco17", "humaneva15"),
]
each_evaluation = pytest.mark.parametrize("case", EVALUATIONS, ids=lambda c: c[1])


@functools.cache
def load(path):
  with np.load(path) as file:
    return dict(file)


def parts(data, prefix):
  return {k.removeprefix(prefix): v for k, v in data.items() if k.startswith(prefix)}


def read(shared, name):
  return load(shared / "golden/gla_gcn" / f"{name}.npz")


@functools.cache
def compiled(module):
  return jax.jit(
    lambda variables, x: module.apply(variables, x, capture_intermediates=True)
  )


def network(data, variant):
  module, variables = convert.from_torch(
    "gla_gcn", parts(data, "param/"), variant=variant
  )

  def predict(x):
    return np.asarray(compiled(module)(variables, x)[0]["joints_3d"])

  return module, variables, predict


@each_evaluation
def test_outputs(shared, case):
  data = read(shared, f"{case[0]}_eval")
  _, _, predict = network(data, case[1])
  got = predict(data["input"])
  np.testing.assert_allclose(got, data["output"], atol=2e-5, rtol=0)
  np.testing.assert_allclose(got, data["output_from_float64"], atol=2e-5, rtol=0)


@each_evaluation
def test_flip_averaging(shared, case):
  name, variant, *names = case
  source, target = map(skeletons.get, names)
  data = read(shared, f"{name}_eval")
  _, _, predict = network(data, variant)
  flipped = transforms.flip(data["input"], source)
  np.testing.assert_array_equal(flipped, data["input_flipped"])
  other = predict(flipped)
  np.testing.assert_allclose(other, data["output_flipped"], atol=2e-5, rtol=0)
  mean = (predict(data["input"]) + transforms.flip(other, target)) / 2
  np.testing.assert_allclose(mean, data["output_tta"], atol=2e-5, rtol=0)


def test_windows_of_two_receptive_fields_are_averaged(shared):
  data = read(shared, "h36m_rf27_c16_eval")
  _, _, predict = network(data, "s_agcn")
  got = predict(data["input_long"])
  np.testing.assert_allclose(got, data["output_long"], atol=2e-5, rtol=0)


@each_evaluation
def test_activations_of_every_block(shared, case):
  data = read(shared, f"{case[0]}_eval")
  module, variables, _ = network(data, case[1])
  _, state = compiled(module)(variables, data["input"])
  seen = state["intermediates"]
  ours = {"expand_gcn": seen["expand"]}
  for i in range(3):
    ours[f"layers_tcngcn.{2 * i}"] = seen[f"flat_{i}"]
    ours[f"layers_tcngcn.{2 * i + 1}"] = seen[f"strided_{i}"]
  blocks = {k: v for k, v in parts(data, "act/").items() if "softmax" not in k}
  assert len(blocks) == 8
  for name, expected in blocks.items():
    block = ours[name.removesuffix(".gcn1")]
    (got,) = (block["graph"] if name.endswith(".gcn1") else block)["__call__"]
    got = np.asarray(got).transpose(0, 3, 2, 1)
    np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())


@each_evaluation
def test_numpy_reference_that_the_other_tests_trust(shared, case):
  data = read(shared, f"{case[0]}_eval")
  x = data["input"]
  if case[2] == "coco17":
    half = [x[:, :, 11:13].mean(2), x[:, :, 5:7].mean(2)]
    rest = x[:, :, [5, 7, 9, 6, 8, 10, 11, 13, 15, 12, 14, 16, 0]]
    x = np.concatenate([np.stack(half, 2), rest], 2)
  got, seen = gla_gcn_reference.forward(
    parts(data, "param/"), x, (3, 3, 3), data["adjacency"], case[2] != "coco17"
  )
  np.testing.assert_allclose(got, data["output_from_float64"], atol=1e-6)
  for name, expected in parts(data, "act/").items():
    np.testing.assert_allclose(seen[name], expected, atol=1e-5 * expected.max())


@each_evaluation
def test_graph_of_the_variant(shared, case):
  data = read(shared, f"{case[0]}_eval")
  graph = gla_gcn.build(case[1]).graph
  np.testing.assert_array_equal(gla_gcn.constant_graph(graph), data["adjacency"])


def test_checkpoint_file_end_to_end(shared):
  path = shared / "golden/gla_gcn/checkpoint_layout_h36m_rf27_c8.bin"
  weights = torch_file.find_state_dict(torch_file.load(path))
  module, variables = convert.from_torch("gla_gcn", weights)
  data = read(shared, "checkpoint_layout_h36m_rf27_c8_io")
  got = jax.jit(module.apply)(variables, data["input"])["joints_3d"]
  np.testing.assert_allclose(got, data["output"], atol=2e-5, rtol=0)


# Training.

# Only rounding noise: a shift before a softmax over columns or before a batch norm.
ZERO = ("tcn1.conv.bias", "residual.conv.bias", "down.0.bias")


def has_zero_gradient(name):
  return name.endswith(ZERO) or (
    name.endswith(".bias") and (".conv_a." in name or ".conv_d." in name)
  )


@pytest.fixture(scope="module")
def training(shared):
  """Golden data, module, variables and the jitted loss, state and gradient."""
  data = read(shared, "h36m_rf27_c16_train")
  module, variables = convert.from_torch(
    "gla_gcn", parts(data, "param/"), dropout=0.0, graph_dropout=0.0
  )

  def loss(params, stats):
    out, state = module.apply(
      {"params": params, "batch_stats": stats},
      jnp.asarray(data["input"]),
      train=True,
      bn_momentum=0.1,
      mutable=["batch_stats"],
    )
    pose, target = out["joints_3d"], jnp.asarray(data["target"])
    return metrics.mpjpe(pose, target).mean(), (pose, state["batch_stats"])

  step = jax.jit(jax.value_and_grad(loss, has_aux=True))
  return data, module, variables, step


def test_training_output_loss_and_statistics(training):
  data, module, variables, step = training
  (loss, (pose, stats)), _ = step(variables["params"], variables["batch_stats"])
  np.testing.assert_allclose(pose, data["output_train"], atol=2e-5, rtol=0)
  np.testing.assert_allclose(loss, data["loss"], rtol=1e-5)
  after = convert.to_torch("gla_gcn", module, variables | {"batch_stats": stats})
  buffers = parts(data, "buffer_after_1_forward/")
  running = {k: v for k, v in buffers.items() if "num_batches" not in k}
  assert len(running) == 2 * 17
  for name, expected in running.items():
    np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-6)


def test_every_gradient(training):
  data, module, variables, step = training
  _, grads = step(variables["params"], variables["batch_stats"])
  got = convert.to_torch("gla_gcn", module, variables | {"params": grads})
  expected = parts(data, "grad/")
  assert len(expected) > 150
  for name, want in expected.items():
    size = np.abs(want).max()
    if has_zero_gradient(name):
      assert size < 1e-6
      np.testing.assert_allclose(got[name], 0, atol=1e-6)
    else:
      np.testing.assert_allclose(got[name], want, atol=1e-4 * size, rtol=0)


def test_ranger_trajectory(training):
  data, module, variables, step = training
  tx = optimizers.ranger(0.01)
  params, stats = variables["params"], variables["batch_stats"]
  state = tx.init(params)
  losses = []
  update = jax.jit(tx.update)
  for i in range(8):
    (loss, (_, stats)), grads = step(params, stats)
    losses.append(float(loss))
    updates, state = update(grads, state, params)
    params = optax.apply_updates(params, updates)
    if i == 0:
      after = convert.to_torch("gla_gcn", module, variables | {"params": params})
      for name, expected in parts(data, "param_after_step_1/").items():
        np.testing.assert_allclose(after[name], expected, atol=1e-6, rtol=1e-5)
  np.testing.assert_allclose(losses, data["ranger_losses"], rtol=1e-4)
  assert losses[-1] < losses[0]
