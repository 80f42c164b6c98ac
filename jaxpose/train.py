"""Trains a model: the loop and its command.

Run: python -m jaxpose.train --config=configs/quickstart.py [--workdir=RUN]
     python -m jaxpose.train --config=gla_gcn_cmu --config.data.batch_size=64

A bare config name is one of those that travel with the package; NAME:VARIANT picks a
variant. Interrupted by Ctrl-C or SIGTERM, a run saves and stops; started again with the
same workdir it goes on and ends where an unbroken one would.
"""

import functools
import inspect
import math
import sys
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from absl import logging
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

from jaxpose import batches
from jaxpose import data as pose_data
from jaxpose import draw
from jaxpose import evaluate
from jaxpose import metrics
from jaxpose import models
from jaxpose import optimizers
from jaxpose import pretrained
from jaxpose import runtime
from jaxpose.checkpoint import Checkpoints
from jaxpose.logs import Clock
from jaxpose.logs import RunLog
from jaxpose.rundir import Interrupt
from jaxpose.rundir import claim_workdir
from jaxpose.rundir import config_path
from jaxpose.rundir import default_workdir


class TrainState(NamedTuple):
  """Everything that a step changes."""

  step: jax.Array
  params: Any
  model_state: Any  # batch statistics; may be empty
  opt_state: Any


def init_state(module, tx, example: tuple, seed: int) -> TrainState:
  """Fresh state; `example` are inputs of the module in shape and type."""
  variables = dict(module.init(jax.random.key(seed), *example))
  params = variables.pop("params")
  return TrainState(jnp.zeros((), jnp.int32), params, variables, tx.init(params))


def train_step(
  state: TrainState, windows, frames, runs, rng, *, module, tx, pipeline
) -> tuple[TrainState, dict[str, jax.Array]]:
  """One update; pure. `windows` is an index into `frames`, or a gathered batch."""
  if isinstance(windows, pose_data.Index):
    windows = pose_data.gather(frames, runs, windows, pipeline["window"])
  key_batch, key_dropout = jax.random.split(jax.random.fold_in(rng, state.step))
  batch = batches.training_batch(
    windows, key_batch, pipeline["skeleton"], pipeline["augmentation"]
  )
  scheduled = {name: f(state.step) for name, f in pipeline["call_schedules"].items()}

  def loss_fn(params):
    out, model_state = module.apply(
      {"params": params, **state.model_state},
      *(batch[key] for key in pipeline["inputs"]),
      train=True,
      rngs={"dropout": key_dropout},
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


def loss_term(out: dict, batch: dict, *, fn: str, key: str, weight: float = 1.0):
  """`weight` times the mean of a metric between a prediction and its target."""
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


def train(config: ml_collections.ConfigDict, workdir: str) -> dict[str, float]:
  """Runs a config in a folder, resuming what is there; returns the last scores.

  Raises:
    ValueError: something in the config does not fit the data or the model, the folder
      holds a run of another config, or the loss stops being finite.
  """
  mesh = Mesh(np.asarray(jax.devices()), ("data",))
  sharded, replicated = (
    NamedSharding(mesh, spec) for spec in (PartitionSpec("data"), PartitionSpec())
  )
  if config.data.batch_size % mesh.size:
    raise ValueError(
      f"got data.batch_size={config.data.batch_size} on {mesh.size} devices, "
      "expected a multiple of their number."
    )

  # Data and model.
  d = config.data
  folder = pose_data.prepare(
    d.name,
    builder_config=d.builder_config,
    data_dir=d.data_dir,
    manual_dir=d.manual_dir,
  )
  load = functools.lru_cache(functools.partial(pose_data.load, folder))
  data = load(d.split)
  order = pose_data.TrainingOrder(
    data, d.batch_size, seed=config.seed, flip=config.augment.flip, sampling=d.sampling
  )
  evals = {name: evaluate.Evaluation(**fields) for name, fields in config.evals.items()}
  module = models.build(**config.model.to_dict())

  # Optimiser and step.
  per_epoch = order.steps_per_epoch
  if (config.total_steps is None) == (config.total_epochs is None):
    raise ValueError("set exactly one of total_steps and total_epochs in the config.")
  total = config.total_steps or config.total_epochs * per_epoch
  lengths = dict(
    total_steps=total, steps_per_epoch=per_epoch, epochs=math.ceil(total / per_epoch)
  )
  lr = schedule(config.schedule.to_dict(), **lengths)
  optimizer = config.optimizer.to_dict()
  tx = optimizers.build(optimizer.pop("name"), lr, **optimizer)
  pipeline = dict(
    window=d.window,
    skeleton=data.skeleton,
    augmentation=batches.Augmentation(**config.augment.to_dict()),
    inputs=tuple(config.inputs),
    losses=config.losses.to_dict(),
    call_schedules={
      name: schedule(fields, **lengths)
      for name, fields in config.call_schedules.to_dict().items()
    },
  )
  step_fn = jax.jit(
    functools.partial(train_step, module=module, tx=tx, pipeline=pipeline),
    donate_argnums=0,
    in_shardings=(replicated, sharded, replicated, replicated, replicated),
    out_shardings=replicated,
  )

  # State, as initialised, from other weights, or where the run stopped.
  probe = pose_data.gather(data.frames, data.runs, order(0), d.window)
  probe = batches.with_targets(probe, data.skeleton) | {
    "confidence": np.ones(probe["keypoints_2d"].shape[:-1], np.float32)
  }
  example = tuple(jnp.asarray(probe[key][:1]) for key in config.inputs)
  init = functools.partial(init_state, module, tx)
  state = jax.jit(init, static_argnums=1, out_shardings=replicated)(
    example, config.seed
  )
  if config.init_from is not None:
    state = start_from(state, tx, config.init_from)
  rng = jax.random.key(config.seed + 1)

  workdir = claim_workdir(workdir, config, skeleton=data.skeleton.name)
  ranked = [name for name, e in evals.items() if e.when == "always"]
  scores: dict[str, float] = {}
  with Checkpoints(workdir) as checkpoints, Interrupt() as interrupt:
    if checkpoints.steps:
      state = TrainState(**checkpoints.load(checkpoints.steps[-1], state._asdict()))
    first = int(state.step)
    with RunLog(workdir, first, total) as log:
      count = sum(p.size for p in jax.tree.leaves(state.params))
      log.say(
        f"{config.model.name}: {count:,} parameters; {d.name} {d.split}: "
        f"{data.num_frames:,} frames; {total:,} steps ({total / per_epoch:.1f} epochs) "
        f"on {mesh.size} {jax.devices()[0].platform}"
        + (f"; going on from step {first:,}" if first else "")
      )
      if first >= total:
        log.say(f"{workdir} is finished; score it with python -m jaxpose.evaluate.")
      frames, runs = data.frames, data.runs
      if d.device_resident:
        frames, runs = jax.device_put((frames, runs), replicated)
      clock, pending = Clock(d.batch_size), None
      for step in range(first, total):
        with clock.data():
          windows = order(step)
          if not d.device_resident:
            windows = pose_data.gather(frames, runs, windows, d.window)
          windows = jax.device_put(windows, sharded)
        resident = (frames, runs) if d.device_resident else (None, None)
        state, numbers = step_fn(state, windows, *resident, rng)
        # One step behind: the host prepares the next batch while the device computes.
        if pending is not None:
          report(log, clock, *pending, lr, config.log_every, total)
        pending = (step + 1, numbers)
        last = step + 1 == total
        stop = interrupt.received and not last
        due = last or stop or (step + 1) % config.save_every == 0
        chosen = {
          name: e
          for name, e in evals.items()
          if last or (e.when == "always" and (step + 1) % config.eval_every == 0)
        }
        if due or (chosen and not stop):
          report(log, clock, *pending, lr, config.log_every, total)
          pending = None
        if chosen and not stop:
          scores = run_evals(
            chosen, module, state, load, d, config, mesh, log, step + 1, workdir, last
          )
          clock.restart()
        if due:
          score = [v for k, v in scores.items() if k.split("/")[0] in ranked[:1]]
          checkpoints.save(step + 1, state._asdict(), score[0] if score else None)
          scores = scores if last else {}
        if stop:
          log.say(f"stopped at step {step + 1:,} and saved; run again to go on.")
          return {}
  return scores


def report(
  log, clock, step: int, numbers: dict, lr, log_every: int, total: int
) -> None:
  """Waits for a step's numbers; shows and records them. Refuses a loss of NaN."""
  loss = float(numbers["loss"])
  if not math.isfinite(loss):
    bad = [k for k, v in numbers.items() if not math.isfinite(float(v))]
    raise ValueError(
      f"step {step}: the loss is {loss} (not finite: {', '.join(bad)}); lower "
      "schedule.base or clip the gradient with optimizer.clip. The last checkpoint is "
      "unharmed."
    )
  rate, data_share, eta = clock.tick(total - step)
  log.progress(step, f"loss {loss:.4f}, {rate:,.0f} windows/s")
  if step % log_every == 0 or step == total:
    record = {key: float(value) for key, value in numbers.items()}
    record |= {
      "lr": float(lr(step - 1)),
      "windows_per_s": rate,
      "data_share": data_share,
    }
    minutes, seconds = divmod(round(eta), 60)
    log.write(
      step,
      record,
      f"step {step:,}/{total:,}  loss {loss:.4f}  {rate:,.0f} windows/s  "
      f"data {100 * data_share:.1f} %  ETA {minutes}:{seconds:02d}",
    )


def run_evals(
  chosen, module, state, load, d, config, mesh, log, step, workdir, last
) -> dict[str, float]:
  """Scores the given evaluations; after the last step with table and picture."""
  variables = {"params": state.params, **state.model_state}
  scores = {}
  for name, e in chosen.items():
    data = load(e.split)
    predict = evaluate.make_predict(
      module, data.skeleton, inputs=tuple(config.inputs), flip=e.flip
    )
    poses, frames = evaluate.predict_frames(
      predict, variables, data, d.window, every=e.every, mesh=mesh, progress=e.split
    )
    train_data = load(d.split) if last else None
    rows = evaluate.compare(
      poses, frames, data, train_data, e.protocols, config.model.variant
    )
    results = rows[config.model.variant]
    scores |= {f"{name}/{p}": r.total for p, r in results.items()}
    line = ", ".join(f"{p} {r.total:.1f} {r.protocol.unit}" for p, r in results.items())
    log.say(f"step {step:,}, {name} ({e.split}): {line}")
    if last:
      table = evaluate.comparison_table(rows, e.protocols)
      log.say(f"\n{d.name} {e.split}, {len(frames):,} frames\n{table}\n")
      (workdir / f"{name}.md").write_text(table + "\n")
      picture = workdir / f"{name}.png"
      draw.comparison(picture, data, poses, frames, title=f"{d.name} {e.split}")
      log.say(f"picture: {picture}")
  log.write(step, scores)
  return scores


def start_from(state: TrainState, tx, name_or_path: str) -> TrainState:
  """The state with saved weights in it; the optimiser starts anew.

  Raises:
    ValueError: the weights are of another model.
  """
  loaded = pretrained.load(name_or_path).variables
  params, model_state = {"params": state.params}, state.model_state
  taken = []
  for tree in (params, model_state):
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
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


def main(argv: list[str]) -> None:
  """The command."""
  del argv
  logging.set_verbosity(logging.WARNING)
  runtime.start()
  config = _CONFIG.value
  workdir = _WORKDIR.value or default_workdir(_config_name(sys.argv))
  try:
    train(config, workdir)
  except (ValueError, OSError) as error:
    sys.exit(f"error: {error}")
  print(f"run: {workdir}")


def _config_name(argv: list[str]) -> str:
  """Value of --config=... or --config ...; empty if absent."""
  for i, word in enumerate(argv):
    if word.startswith(("--config=", "-config=")):
      return word.partition("=")[2]
    if word in ("--config", "-config") and i + 1 < len(argv):
      return argv[i + 1]
  return ""


if __name__ == "__main__":
  from absl import app
  from absl import flags
  from ml_collections import config_flags

  name = _config_name(sys.argv)
  if name:
    try:
      path = config_path(name)
    except ValueError as error:
      sys.exit(f"error: {error}")
    sys.argv = [
      w.replace(name, path) if "config" in w or w == name else w for w in sys.argv
    ]
  _CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="Config file or name."
  )
  _WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; runs/... if not given."
  )
  flags.mark_flag_as_required("config")
  app.run(main)
