"""The pure part of training: the state, its start, and one step."""

import inspect
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxpose import metrics
from jaxpose import tasks
from jaxpose.features import spin
from jaxpose.tasks import mesh_losses
from jaxpose.tasks import view_losses
from jaxpose.train import optimizers
from jaxpose.weights import pretrained


class TrainState(NamedTuple):
  """Everything that a step changes."""

  step: jax.Array
  params: Any
  model_state: Any  # batch statistics; may be empty
  opt_state: Any


def init_state(module, tx, example: tuple, *, seed: int) -> TrainState:
  """Fresh state; `example` are inputs of the module in shape and type."""
  variables = dict(module.init(jax.random.key(seed), *example))
  params = variables.pop("params")
  return TrainState(jnp.zeros((), jnp.int32), params, variables, tx.init(params))


def train_step(
  state: TrainState, windows, frames, runs, rng, *, module, tx, pipeline
) -> tuple[TrainState, dict[str, jax.Array]]:
  """One update; pure. `windows` is an index into `frames`, or a gathered batch."""
  windows = tasks.gather(
    windows, frames, runs, pipeline["window"], pipeline["lookahead"]
  )
  key_batch, key_dropout = jax.random.split(jax.random.fold_in(rng, state.step))
  batch = make_batch(windows, key_batch, pipeline["skeleton"], pipeline["augmentation"])
  scheduled = {name: f(state.step) for name, f in pipeline["call_schedules"].items()}

  def loss_fn(params):
    out, model_state = module.apply(
      {"params": params, **state.model_state},
      *(batch[key] for key in pipeline["inputs"]),
      train=True,
      rngs={"dropout": key_dropout, "mask": jax.random.fold_in(key_dropout, 1)},
      mutable=list(state.model_state),
      **scheduled,
    )
    terms = {
      name: loss_term(out, batch, **term) for name, term in pipeline["losses"].items()
    }
    return sum(terms.values()), (terms, model_state)

  (loss, (terms, model_state)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
    state.params
  )
  updates, opt_state = tx.update(grads, state.opt_state, state.params)
  params = optax.apply_updates(state.params, updates)
  numbers = {"loss": loss, **{f"loss/{k}": v for k, v in terms.items()}}
  numbers["grad_norm"] = optax.tree.norm(grads)
  return TrainState(state.step + 1, params, model_state, opt_state), numbers


def make_batch(windows: dict, key, skeleton, augmentation) -> dict[str, jax.Array]:
  """The augmented batch with inputs and targets, of windows of any kind of data."""
  return tasks.of(windows).training_batch(windows, key, skeleton, augmentation)


def loss_term(
  out: dict, batch: dict, *, fn: str, key: str, weight: float = 1.0, **options
):
  """`weight` times the mean of a metric, or a term of a model's losses.

  Args:
    out: of the model.
    batch: with a target of the same key.
    fn: name in `metrics.METRICS`, `mesh_losses.TERMS` or `view_losses.TERMS`.
    key: of the prediction.
    weight: factor.
    **options: of `mesh_losses.term` or `view_losses.term`.
  """
  if fn in view_losses.TERMS:
    return weight * view_losses.term(out, batch, fn, key, **options)
  if fn in mesh_losses.TERMS:
    return weight * mesh_losses.term(out, batch, fn, key, **options)
  if fn not in metrics.METRICS or options:
    raise ValueError(
      f"loss term: got the function {fn!r} with the options {sorted(options)}, "
      f"expected one of {', '.join(metrics.METRICS)} without any, or one of "
      f"{', '.join([*mesh_losses.TERMS, *view_losses.TERMS])}."
    )
  for where, name in ((out, "output"), (batch, "target")):
    if key not in where:
      raise ValueError(
        f"loss term: got the key {key!r}, expected one of the model's {name}s: "
        f"{', '.join(sorted(where))}."
      )
  return weight * metrics.METRICS[fn](out[key], batch[key]).mean()


def schedule(fields: dict, **known) -> optax.Schedule:
  """A schedule from its config; lengths that it needs and lacks are filled in."""
  fields = dict(fields)
  function = optimizers.SCHEDULES.get(fields["name"])
  if function is not None:
    wanted = inspect.signature(function).parameters
    fields = {k: v for k, v in known.items() if k in wanted} | fields
  return optimizers.build_schedule(**fields)


def start_from(
  state: TrainState, tx, name_or_path: str, *, new: Sequence[str] = ()
) -> TrainState:
  """The state with saved weights in it; the optimiser starts anew.

  Args:
    state: of the model.
    tx: optimiser.
    name_or_path: of the weights; what they have beyond the model is left out.
    new: parts of the model, top-level names, that stay as they are.

  Raises:
    ValueError: the weights are of another model, or it has no such part.
  """
  unknown = [part for part in new if part not in state.params]
  if unknown:
    raise ValueError(
      f"got init_new with {', '.join(unknown)}, expected parts of the model: "
      f"{', '.join(state.params)}."
    )
  loaded = pretrained.load(name_or_path).variables
  params, model_state = {"params": state.params}, state.model_state
  taken = []
  for tree in (params, model_state):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
      if path[1].key in new:
        taken.append(leaf)
        continue
      node = loaded
      for key in path:
        node = node.get(key.key, {})
      if not hasattr(node, "shape") or node.shape != leaf.shape:
        raise ValueError(
          f"init_from {name_or_path!r}: {jax.tree_util.keystr(path)} is "
          f"{getattr(node, 'shape', 'missing')}, expected {leaf.shape}; set "
          "config.model to the model of these weights."
        )
      taken.append(jnp.asarray(node, leaf.dtype))
  flat, tree = jax.tree.flatten((params, model_state))
  params, model_state = jax.tree.unflatten(tree, taken[: len(flat)])
  params = params["params"]
  return TrainState(state.step, params, model_state, tx.init(params))


def start_from_parts(state: TrainState, tx, parts: dict[str, str]) -> TrainState:
  """The state with parts of the model from weights of these parts alone.

  Args:
    state: of the whole model.
    tx: optimiser; starts anew.
    parts: top-level name of the part -> name or path of its weights.

  Raises:
    ValueError: the model has no such part, or one of another shape.
  """
  params = dict(state.params)
  for part, name_or_path in parts.items():
    if part not in params:
      raise ValueError(
        f"got init_parts with {part!r}, expected parts of the model: "
        f"{', '.join(params)}."
      )
    alone = TrainState(state.step, params[part], {}, None)
    params[part] = start_from(alone, tx, name_or_path).params
  return TrainState(state.step, params, state.model_state, tx.init(params))


def start_from_spin(state: TrainState, tx, path: str) -> TrainState:
  """The state with SPIN's regressor as the global one; the optimiser starts anew.

  Raises:
    ValueError: the model has no such regressor, or one of another size.
  """
  if "global_regressor" not in state.params:
    raise ValueError(
      f"init_spin {path!r}: got a model without a regressor like SPIN's, expected "
      "GLoT; leave init_spin out."
    )
  started = spin.start_regressor({"params": state.params, **state.model_state}, path)
  started = jax.tree.map(jnp.asarray, started)
  params = started.pop("params")
  return TrainState(state.step, params, started, tx.init(params))
