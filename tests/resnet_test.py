"""The image network's laws, and its weights from PyTorch's layout and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import convert
from jaxpose import models
from jaxpose.convert import resnet_torch
from jaxpose.models import resnet
from tests import resnet_reference

pytestmark = pytest.mark.numeric

TINY = dict(blocks=(1, 2, 1, 1), width=8)


@pytest.fixture(scope="module")
def tiny():
  return models.build("spin_resnet50", **TINY)


@pytest.fixture(scope="module")
def state_dict(tiny):
  return resnet_reference.random_state_dict(tiny, regressor=True)


def images(size=64, count=2):
  rng = np.random.default_rng(1)
  return jnp.asarray(rng.normal(size=(count, size, size, 3)), jnp.float32)


def features(state_dict, x, **options):
  module, variables = convert.from_torch("spin_resnet50", state_dict, **options)
  return np.asarray(jax.jit(module.apply)(variables, x)["features"])


def test_full_network_has_its_parameters_and_2048_features():
  module = models.build("spin_resnet50")
  x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
  out, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), x)
  assert out["features"].shape == (1, module.num_features) == (1, 2048)
  count = sum(np.prod(p.shape) for p in jax.tree.leaves(variables["params"]))
  assert count == 23_508_032  # torchvision's 25,557,032 without the classifier


def test_images_of_a_batch_do_not_mix(state_dict):
  x = images(count=3)
  whole = features(state_dict, x)
  np.testing.assert_allclose(features(state_dict, x[1:2])[0], whole[1], atol=1e-4)
  assert np.abs(whole[0] - whole[1]).max() > 1e-3


def test_convolution_of_one_pixel_is_that_of_any_size():
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(2, 7, 6, 5)), jnp.float32)
  kernel = jnp.asarray(rng.normal(size=(1, 1, 5, 4)), jnp.float32)
  for stride in (1, 2):
    padded = jnp.pad(kernel, ((1, 1), (1, 1), (0, 0), (0, 0)))
    np.testing.assert_allclose(
      resnet.convolve(x, kernel, stride),
      resnet.convolve(x, padded, stride),
      atol=1e-5,
    )


def test_norm_is_that_of_the_running_statistics():
  rng = np.random.default_rng(0)
  module = resnet.ConvNorm(4)
  x = jnp.asarray(rng.normal(size=(1, 3, 3, 2)), jnp.float32)
  values = {n: jnp.asarray(rng.uniform(0.5, 2, 4), jnp.float32) for n in "abcd"}
  kernel = jnp.asarray(rng.normal(size=(1, 1, 2, 4)), jnp.float32)
  variables = {
    "params": {"kernel": kernel, "scale": values["a"], "bias": values["b"]},
    "batch_stats": {"mean": values["c"], "var": values["d"]},
  }
  a, b, mean, var = (np.asarray(values[n], np.float64) for n in "abcd")
  y = np.asarray(x, np.float64) @ np.asarray(kernel[0, 0], np.float64)
  want = a * (y - mean) / np.sqrt(var + 1e-5) + b
  np.testing.assert_allclose(module.apply(variables, x), want, atol=1e-5)


def test_bfloat16_stays_close_and_answers_in_float32(state_dict):
  exact = features(state_dict, images())
  rough = features(state_dict, images(), dtype="bfloat16")
  assert rough.dtype == np.float32
  assert 0 < np.abs(rough - exact).max() < 0.08 * np.abs(exact).max()


def test_round_trip_of_a_state_dict_is_lossless(tiny, state_dict):
  module, variables = convert.from_torch("spin_resnet50", state_dict)
  assert module == tiny
  after = convert.to_torch("spin_resnet50", module, variables)
  network = {
    k: v
    for k, v in state_dict.items()
    if k.split(".")[0] not in (*resnet_torch.REGRESSOR, *resnet_torch.MEANS)
  }
  assert after.keys() == network.keys()
  for name, array in network.items():
    np.testing.assert_array_equal(after[name], array)


def test_variables_have_the_shapes_of_a_fresh_network(tiny, state_dict):
  _, variables = convert.from_torch("spin_resnet50", state_dict)
  fresh = jax.eval_shape(tiny.init, jax.random.key(0), images())
  jax.tree.map(lambda a, b: np.testing.assert_equal(a.shape, b.shape), fresh, variables)


def test_regressor_comes_back_as_it_is(state_dict):
  regressor = resnet_torch.spin_regressor(state_dict)
  assert len(regressor) == 13
  for name, array in regressor.items():
    np.testing.assert_array_equal(array, state_dict[name])


def test_state_dict_without_regressor_is_refused(tiny):
  with pytest.raises(ValueError, match=r"without SPIN's regressor \('fc1.weight' is"):
    resnet_torch.spin_regressor(resnet_reference.random_state_dict(tiny))


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    (lambda w: w.clear() or w.update(a=np.zeros(3)), "not a ResNet-50 state dict: got"),
    (lambda w: w.pop("bn1.bias"), "1 tensors missing, 0 unexpected .*'bn1.bias'"),
    (lambda w: w.update({"fc.weight": np.zeros(3)}), "1 unexpected .*classifier `fc`"),
    (
      lambda w: w.update({"bn1.bias": np.zeros(3, np.float32)}),
      r"'bn1.bias': got shape \(3,\), expected \(8,\)",
    ),
    (
      lambda w: w.update({"bn1.bias": np.zeros(8, int)}),
      "'bn1.bias': got the type int64, expected a floating one",
    ),
    (
      lambda w: w.update({"bn1.bias": np.full(8, np.nan)}),
      "'bn1.bias': got NaN or infinite numbers",
    ),
  ],
)
def test_state_dict_that_does_not_fit_is_refused(state_dict, change, sentence):
  weights = dict(state_dict)
  change(weights)
  with pytest.raises(ValueError, match=sentence):
    convert.from_torch("spin_resnet50", weights)


def test_variables_of_another_network_are_not_written(tiny):
  with pytest.raises(ValueError, match="without a fitting params/stem/kernel"):
    convert.to_torch("spin_resnet50", tiny, {"params": {}})


def test_unknown_names_are_refused_with_the_nearest():
  with pytest.raises(ValueError, match="unknown ResNet variant 'resnet18'; nearest: "):
    models.build("spin_resnet50", variant="resnet18")
  with pytest.raises(ValueError, match="no field 'widht'; nearest: width"):
    models.build("spin_resnet50", widht=8)


def test_images_too_small_are_refused(state_dict):
  with pytest.raises(ValueError, match="got images of 16 x 16 pixels, expected at"):
    features(state_dict, images(16))


def test_command_says_that_the_checkpoint_needs_no_conversion(tmp_path):
  with pytest.raises(ValueError, match=r"features and no joints.*--weights=FILE reads"):
    convert.convert_file("spin_resnet50", tmp_path / "x.pt", tmp_path / "out")
