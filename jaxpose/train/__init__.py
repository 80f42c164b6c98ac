"""Trains a model: the loop and its command.

Run: python -m jaxpose.train --config=configs/quickstart.py [--workdir=RUN]
     python -m jaxpose.train --config=gla_gcn_cmu --config.data.batch_size=64

A bare config name is one of those that ship with the package; NAME:VARIANT picks a
variant. Ctrl-C or SIGTERM saves and stops. Started again with the same workdir, the run
resumes and ends where an uninterrupted one would.
"""

import functools
import math
import pathlib

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec

from jaxpose import models
from jaxpose import tasks
from jaxpose.tasks.scoring import Evaluation
from jaxpose.train import optimizers
from jaxpose.train import training_data
from jaxpose.train.rundir import Clock
from jaxpose.train.rundir import Interrupt
from jaxpose.train.rundir import RunLog
from jaxpose.train.rundir import claim_workdir
from jaxpose.train.training import TrainState
from jaxpose.train.training import init_state
from jaxpose.train.training import make_batch
from jaxpose.train.training import schedule
from jaxpose.train.training import start_from
from jaxpose.train.training import start_from_parts
from jaxpose.train.training import start_from_spin
from jaxpose.train.training import train_step
from jaxpose.weights.checkpoint import Checkpoints
from jaxpose.weights.checkpoint import has_checkpoint


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
  d = config.data
  if d.batch_size % mesh.size:
    raise ValueError(
      f"got data.batch_size={d.batch_size} on {mesh.size} devices, expected a multiple "
      "of their number."
    )
  if (config.total_steps is None) == (config.total_epochs is None):
    raise ValueError(
      f"got total_steps={config.total_steps} and total_epochs={config.total_epochs}, "
      "expected exactly one of them; set the other to None."
    )

  # Data: a batch is a function of the step.
  load = training_data.loader(d)
  data, order = training_data.training_data(config, load)
  kind, frames, runs = tasks.of(data.frames), data.frames, data.runs
  if d.device_resident:
    frames, runs = jax.device_put((frames, runs), replicated)

  # Model, optimiser and step.
  module = models.build(**config.model.to_dict())
  per_epoch = order.steps_per_epoch
  total = config.total_steps or config.total_epochs * per_epoch
  lengths = dict(
    total_steps=total, steps_per_epoch=per_epoch, epochs=math.ceil(total / per_epoch)
  )
  lr = schedule(config.schedule.to_dict(), **lengths)
  optimizer = config.optimizer.to_dict()
  tx = optimizers.build(optimizer.pop("name"), lr, **optimizer)
  tx = optimizers.with_factors(tx, config.lr_factors.to_dict())
  pipeline = dict(
    window=d.window,
    lookahead=d.lookahead,
    skeleton=data.skeleton,
    augmentation=kind.augmentation(config),
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
  evals = {name: Evaluation(**fields) for name, fields in config.evals.items()}
  options = dict(window=d.window, inputs=config.inputs, mesh=mesh)
  if kind is tasks.POSES:
    options |= dict(lookahead=d.lookahead, framed=d.framed)
  elif d.lookahead is not None or d.framed:
    raise ValueError(
      f"got data.lookahead={d.lookahead} and data.framed={d.framed} with {d.name}, "
      "expected None and False: only models of one camera's joints predict another "
      "frame than the centre, or see windows framed."
    )
  scorer = kind.scorer(module, load, **options)

  # State: as initialised, from other weights, or where the run stopped.
  one = tasks.gather(order(0), data.frames, data.runs, d.window)
  one = make_batch(
    jax.tree.map(jnp.asarray, one), jax.random.key(0), data.skeleton, kind.plain
  )
  example = tuple(one[key][:1] for key in config.inputs)
  init = functools.partial(init_state, module, tx, seed=config.seed)
  state = jax.jit(init, out_shardings=replicated)(example)
  if config.init_from is not None and not has_checkpoint(workdir):
    state = start_from(state, tx, config.init_from, new=config.init_new)
  if config.init_parts and not has_checkpoint(workdir):
    state = start_from_parts(state, tx, config.init_parts.to_dict())
  if config.init_spin is not None and not has_checkpoint(workdir):
    state = start_from_spin(state, tx, config.init_spin)
  rng = jax.random.key(config.seed + 1)
  facts = dict(skeleton=data.skeleton.name, fps=tasks.frame_rate(data))
  workdir = claim_workdir(workdir, config, **facts)

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
      clock, pending = Clock(d.batch_size), None
      for step in range(first + 1, total + 1):
        with clock.data():
          windows = order(step - 1)
          if not d.device_resident:
            windows = tasks.gather(windows, frames, runs, d.window, d.lookahead)
        resident = (frames, runs) if d.device_resident else (None, None)
        state, numbers = step_fn(state, windows, *resident, rng)
        # One step behind: the host prepares the next batch while the device computes.
        if pending is not None:
          report(log, clock, *pending, lr, config.log_every, total)
        pending = step, numbers
        last = step == total
        stop = interrupt.received and not last
        chosen = {
          name: e
          for name, e in evals.items()
          if last or (step % config.eval_every == 0 and e.when == "always" and not stop)
        }
        save = last or stop or step % config.save_every == 0
        if not (chosen or save):
          continue
        report(log, clock, *pending, lr, config.log_every, total)
        pending = None
        scores = {}
        for name, e in chosen.items():
          variables = {"params": state.params, **state.model_state}
          baselines = d.split if last else None
          label = config.model.get("variant", config.model.name)
          scored = scorer(variables, e, label=label, baselines=baselines)
          scores |= {f"{name}/{p}": value for p, (value, _) in scored.numbers.items()}
          if last:
            conclude(log, workdir, name, f"{d.name} {e.split}", scored)
          else:
            line = ", ".join(
              f"{p} {value:.1f} {unit}" for p, (value, unit) in scored.numbers.items()
            )
            log.say(f"step {step:,}, {name} ({e.split}): {line}")
        if scores:
          log.write(step, scores)
        if save:
          checkpoints.save(step, state._asdict(), ranking(evals, scores))
        clock.restart()
        if stop:
          log.say(f"stopped at step {step:,} and saved; run again to go on.")
          return {}
      if first >= total:
        log.say(f"{workdir} is finished; score it with python -m jaxpose.evaluate.")
  return scores


def report(
  log: RunLog, clock: Clock, step: int, numbers: dict, lr, log_every: int, total: int
) -> None:
  """Waits for a step's numbers; shows and records them. Refuses a loss of NaN."""
  loss = float(numbers["loss"])
  bad = [k for k, v in numbers.items() if not math.isfinite(float(v))]
  if bad:  # the gradient too: the parameters are spoilt before the loss is
    raise ValueError(
      f"step {step}: the loss is {loss} (not finite: {', '.join(bad)}); lower "
      "schedule.base or clip the gradient with optimizer.clip. The last checkpoint is "
      "unharmed."
    )
  rate, data_share, eta = clock.tick(total - step)
  log.progress(step, f"loss {loss:.4f}, {rate:,.0f} windows/s")
  if step % log_every == 0 or step == total:
    record = {key: float(value) for key, value in numbers.items()}
    record["lr"] = float(lr(step - 1))
    record["windows_per_s"] = rate
    record["data_share"] = data_share
    minutes, seconds = divmod(round(eta), 60)
    log.write(
      step,
      record,
      f"step {step:,}/{total:,}  loss {loss:.4f}  {rate:,.0f} windows/s  "
      f"data {100 * data_share:.1f} %  ETA {minutes}:{seconds:02d}",
    )


def conclude(log: RunLog, workdir: pathlib.Path, name: str, title: str, scored) -> None:
  """Shows and writes the table of a finished run, and its picture."""
  table = scored.table()
  log.say(f"\n{title}, {scored.num_frames:,} frames\n{table}\n")
  (workdir / f"{name}.md").write_text(table + "\n")
  picture = workdir / f"{name}.png"
  scored.draw(picture, title=title)
  log.say(f"picture: {picture}")


def ranking(evals: dict[str, Evaluation], scores: dict[str, float]) -> float | None:
  """What the best checkpoint is chosen by: the first score that is taken regularly."""
  for name, e in evals.items():
    if e.when == "always":
      return next((v for k, v in scores.items() if k.startswith(f"{name}/")), None)
  return None
