"""Orbax checkpoints of a run: asynchronous, atomic, the best and the last kept.

A run's folder holds `checkpoints/STEP/`, whose tree is that of `TrainState` as a
dictionary. A checkpoint appears under its name only when it is whole; what a killed
process left half written is removed before the next save.
"""

import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from orbax.checkpoint import v1 as ocp

FOLDER = "checkpoints"
BEST_METRIC = "score"  # lower is better


def has_checkpoint(workdir: str | os.PathLike) -> bool:
  """Whether a run's folder holds a finished checkpoint; creates nothing."""
  folder = pathlib.Path(workdir).expanduser() / FOLDER
  return any(path.name.isdigit() for path in folder.glob("*"))


class Checkpoints:
  """The checkpoints of one run; a context manager that waits for the last write."""

  def __init__(
    self, workdir: str | os.PathLike, keep: int = 2, read_only: bool = False
  ):
    """Opens or creates `workdir/checkpoints`.

    Args:
      workdir: folder of the run.
      keep: newest checkpoints to keep; the one with the lowest score is kept besides.
      read_only: leave unfinished writes alone; a run may be at work in the folder.
    """
    policies = ocp.training.preservation_policies
    self._folder = pathlib.Path(workdir).expanduser().resolve() / FOLDER
    self._folder.mkdir(parents=True, exist_ok=True)
    self._pending = None
    self._checkpointer = ocp.training.Checkpointer(
      self._folder,
      preservation_policy=policies.AnyPreservationPolicy(
        [
          policies.LatestN(keep),
          policies.BestN(
            get_metric_fn=lambda metrics: metrics[BEST_METRIC],
            reverse=True,
            n=1,
            keep_checkpoints_without_metrics=False,
          ),
        ]
      ),
      cleanup_tmp_directories=not read_only,
    )

  def __enter__(self) -> "Checkpoints":
    """Itself."""
    return self

  def __exit__(self, *_) -> None:
    """Waits for the last write."""
    if self._pending is not None:
      self._pending.result()
    self._checkpointer.close()

  @property
  def steps(self) -> list[int]:
    """Steps that are saved, ascending."""
    return sorted(c.step for c in self._checkpointer.checkpoints)

  @property
  def best_step(self) -> int | None:
    """Step with the lowest score, None if none was scored."""
    scored = [
      (c.metrics[BEST_METRIC], -c.step)
      for c in self._checkpointer.checkpoints
      if c.metrics and BEST_METRIC in c.metrics
    ]
    return -min(scored)[1] if scored else None

  def save(self, step: int, state: Any, score: float | None = None) -> None:
    """Writes in the background; a step that is saved already is left as it is."""
    if step in self.steps:
      return
    if self._pending is not None:
      self._pending.result()
    # A copy: the training step donates its buffers while the writer reads.
    self._pending = self._checkpointer.save_async(
      step,
      jax.tree.map(jnp.copy, state),
      force=True,
      metrics=None if score is None else {BEST_METRIC: float(score)},
    )

  def load(self, step: int, like: Any = None) -> Any:
    """The state of a step.

    Args:
      step: one of `steps`.
      like: tree of arrays or `jax.ShapeDtypeStruct` with the shapes, types and
        shardings wanted; None restores all of it to one device.

    Raises:
      ValueError: the files are damaged, or hold another tree than `like`.
    """
    try:
      if like is None:
        here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        saved = self._checkpointer.metadata(step).metadata
        abstract = jax.tree.map(
          lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), saved
        )
      else:
        abstract = jax.tree.map(_abstract, like)
      return self._checkpointer.load(step, abstract)
    except Exception as error:
      others = [s for s in self.steps if s != step]
      advice = f"the run can go on from step {max(others)}" if others else "start anew"
      reason = str(error).strip().splitlines() or [type(error).__name__]
      raise ValueError(
        f"checkpoint {self._folder / str(step)} cannot be read, it is truncated or of "
        f"another model ({reason[0][:200]}); move it away and {advice}."
      ) from error


def _abstract(x):
  return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None))
