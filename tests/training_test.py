"""The pure part of training."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose.data import pose_data
from jaxpose.tasks import batches
from jaxpose.train import training
from jaxpose.weights import pretrained
from tests import small_data
from tests import small_runs


def test_a_loss_term_is_a_weighted_mean():
  target = jnp.zeros((3, 1, 17, 3))
  out, batch = (
    dict(joints_3d=target + jnp.asarray([3.0, 4.0, 0.0]).reshape(1, 1, 1, 3)),
    dict(joints_3d=target),
  )
  value = training.loss_term(out, batch, fn="mpjpe", key="joints_3d", weight=0.5)
  np.testing.assert_allclose(value, 2.5, rtol=1e-6)


def test_a_loss_of_a_missing_key_is_refused():
  pose = jnp.zeros((1, 1, 17, 3))
  with pytest.raises(
    ValueError, match="'joints', expected one of the model's outputs: j"
  ):
    training.loss_term(
      dict(joints_3d=pose), dict(joints=pose), fn="mpjpe", key="joints"
    )
  with pytest.raises(
    ValueError, match="'extra', expected one of the model's targets: j"
  ):
    training.loss_term(dict(extra=pose), dict(joints_3d=pose), fn="mpjpe", key="extra")


def test_a_schedule_takes_the_lengths_that_it_needs():
  lengths = dict(total_steps=10, steps_per_epoch=5, epochs=2)
  cosine = training.schedule(
    dict(name="warmup_cosine", base=1.0, final=0.1, warmup_steps=2), **lengths
  )
  np.testing.assert_allclose([cosine(0), cosine(2), cosine(10)], [0, 1, 0.1], atol=1e-6)
  shorter = training.schedule(
    dict(name="warmup_cosine", base=1.0, final=0.1, warmup_steps=2, total_steps=4),
    **lengths,
  )
  np.testing.assert_allclose(shorter(4), 0.1, atol=1e-6)
  epochs = training.schedule(
    dict(name="cosine_per_epoch", base=1.0, final=0.0), **lengths
  )
  np.testing.assert_allclose([epochs(4), epochs(5)], [1, 0.5], atol=1e-6)
  with pytest.raises(
    ValueError, match="unknown schedule 'warmup_cosin'; nearest: warm"
  ):
    training.schedule(dict(name="warmup_cosin"), **lengths)


def test_saved_weights_replace_the_fresh_ones(monkeypatch):
  tx = optax.adam(1e-3)
  params = dict(head=dict(kernel=jnp.zeros((2, 3))))
  stats = dict(batch_stats=dict(bn=dict(mean=jnp.zeros(3))))
  fresh = training.TrainState(jnp.zeros((), jnp.int32), params, stats, tx.init(params))
  loaded = dict(
    params=dict(head=dict(kernel=np.ones((2, 3)))),
    batch_stats=dict(bn=dict(mean=np.arange(3.0))),
  )

  class Loaded:
    variables = loaded

  monkeypatch.setattr(pretrained, "load", lambda name: Loaded)
  state = training.start_from(fresh, tx, "w")
  np.testing.assert_array_equal(state.params["head"]["kernel"], 1)
  np.testing.assert_array_equal(
    state.model_state["batch_stats"]["bn"]["mean"], [0, 1, 2]
  )
  assert state.params["head"]["kernel"].dtype == jnp.float32
  assert int(state.step) == 0
  loaded["params"]["head"]["kernel"] = np.ones((2, 4))
  with pytest.raises(ValueError, match=r"'kernel'.* is \(2, 4\), expected \(2, 3\)"):
    training.start_from(fresh, tx, "w")
  del loaded["batch_stats"]
  loaded["params"]["head"]["kernel"] = np.ones((2, 3))
  with pytest.raises(ValueError, match=r"'mean'.* is missing, expected \(3,\)"):
    training.start_from(fresh, tx, "w")


@pytest.mark.parametrize("part", ["dropout", "label_jitter"])
def test_each_step_draws_anew_and_a_step_always_alike(part):
  poses = small_data.pose_data()
  windows = pose_data.TrainingOrder(poses, 8)(0)
  module = small_runs.Lifter(dropout=0.5 if part == "dropout" else 0.0)
  tx = optax.sgd(0.1)
  pipeline = dict(
    window=3,
    lookahead=None,
    skeleton=poses.skeleton,
    augmentation=batches.Augmentation(label_jitter=part == "label_jitter"),
    inputs=("keypoints_2d",),
    losses=dict(joints=dict(fn="mpjpe", key="joints_3d")),
    call_schedules=dict(bn_momentum=lambda step: 0.1 * (step + 1)),
  )
  step = jax.jit(
    functools.partial(training.train_step, module=module, tx=tx, pipeline=pipeline)
  )
  state = training.init_state(module, tx, (jnp.zeros((1, 3, 17, 2)),), seed=0)
  rng = jax.random.key(0)

  def at(number):
    now = state._replace(step=jnp.asarray(number, jnp.int32))
    return step(now, windows, poses.frames, poses.runs, rng)

  (first, a), (again, b), (second, c) = at(0), at(0), at(1)
  assert a["loss"] == b["loss"] != c["loss"]
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert (int(first.step), int(second.step)) == (1, 2)
  # The scheduled argument reaches the model: the same batch, twice the weight.
  one, two = (s.model_state["batch_stats"]["bn"]["mean"] for s in (first, second))
  np.testing.assert_allclose(2 * one, two, rtol=1e-5)


def parts_state(tx):
  """A model of two parts, fresh: all zeros."""
  params = {
    part: dict(kernel=jnp.zeros((2, 3)), bias=jnp.zeros(3))
    for part in ("trunk", "lifting")
  }
  return training.TrainState(jnp.zeros((), jnp.int32), params, {}, tx.init(params))


def ones(params):
  """Weights of these shapes."""
  made = jax.tree.map(np.ones, params, is_leaf=lambda x: isinstance(x, tuple))
  return types.SimpleNamespace(variables=dict(params=made))


def test_new_parts_stay_as_they_are(monkeypatch):
  tx = optax.adam(1e-3)
  fresh = parts_state(tx)
  loaded = ones(dict(trunk=dict(kernel=(2, 3), bias=(3,))))
  monkeypatch.setattr(pretrained, "load", lambda name: loaded)
  state = training.start_from(fresh, tx, "w", new=("lifting",))
  np.testing.assert_array_equal(state.params["trunk"]["kernel"], 1)
  np.testing.assert_array_equal(state.params["lifting"]["kernel"], 0)
  with pytest.raises(ValueError, match=r"'lifting'.* is missing, expected"):
    training.start_from(fresh, tx, "w")
  with pytest.raises(ValueError, match="init_new with head, expected parts of the"):
    training.start_from(fresh, tx, "w", new=("head",))


def test_a_part_starts_from_weights_of_its_own(monkeypatch):
  tx = optax.adam(1e-3)
  loaded = ones(dict(kernel=(2, 3), bias=(3,)))
  monkeypatch.setattr(pretrained, "load", lambda name: loaded)
  state = training.start_from_parts(parts_state(tx), tx, dict(lifting="w"))
  np.testing.assert_array_equal(state.params["lifting"]["bias"], 1)
  np.testing.assert_array_equal(state.params["trunk"]["bias"], 0)
  with pytest.raises(ValueError, match="init_parts with 'head', expected parts of the"):
    training.start_from_parts(parts_state(tx), tx, dict(head="w"))
