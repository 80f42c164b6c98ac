"""Every config: locked, free of code, and its training step traces at full size."""

import ast
import dataclasses
import functools
import json
import re

import jax
import numpy as np
import pytest

from jaxpose import models
from jaxpose import skeletons
from jaxpose import tasks
from jaxpose.data import view_data
from jaxpose.files import resources
from jaxpose.skeletons import skeleton_maps
from jaxpose.tasks import scoring
from jaxpose.train import optimizers
from jaxpose.train import training
from tests import multiview_records_test as small_views
from tests import small_data
from tests import small_runs

FILES = sorted(resources.folder("configs").rglob("*.py"))


def variants(path) -> list[str]:
  """The names that a config compares its variant with."""
  found = {
    constant.value
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.Compare)
    and isinstance(node.left, ast.Name)
    and node.left.id == "variant"
    for constant in ast.walk(node.comparators[0])
    if isinstance(constant, ast.Constant)
  }
  return sorted(found)


CASES = [
  pytest.param(path, variant, id=f"{path.stem}:{variant}")
  for path in FILES
  for variant in variants(path)
]
EVERY_FILE = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
EVERY_CASE = pytest.mark.parametrize(("path", "variant"), CASES)


# Data set -> its skeleton, where keypoints are those of another than h36m17.
SKELETONS = {"humaneva": "humaneva15", "mpi_inf_3dhp": "mpi3dhp17"}


@functools.cache
def poses_for(inputs: tuple[str, ...], name: str, size: int):
  """Data of the kind that a model with these inputs is trained on."""
  if "view_mask" in inputs:
    return view_data.from_records([small_views.record(8, 4)] * 2, size)
  if inputs == ("keypoints_2d",):
    poses = small_data.pose_data((300, 40))
    if name not in SKELETONS:
      return poses
    frames = {
      key: skeleton_maps.convert(array, "h36m17", SKELETONS[name])
      for key, array in poses.frames.items()
    }
    skeleton = skeletons.get(SKELETONS[name])
    return dataclasses.replace(poses, frames=frames, skeleton=skeleton)
  poses = small_data.mesh_data((40, 20))
  if inputs == ("features",):
    n = poses.num_frames
    poses.frames["features"] = np.zeros((n, 2048), np.float32)
    poses.frames["confidence"] = np.ones((n, 49), np.float32)
  return poses


def test_there_are_configs_with_variants():
  assert {"quickstart", "gla_gcn_cmu"} <= {path.stem for path in FILES}
  assert all({"full", "smoke"} <= set(variants(path)) for path in FILES)


def trace(config) -> None:
  """Asserts that a training step of the config traces, at full size."""
  if config.model.get("body") == "smpl":
    config.model.body = "free_small"  # in place of licensed files
  poses = poses_for(tuple(config.inputs), config.data.name, config.data.crop_size)
  kind = tasks.of(poses.frames)
  module = models.build(**config.model.to_dict())
  lengths = dict(total_steps=config.total_steps or 100, steps_per_epoch=10, epochs=10)
  lr = training.schedule(config.schedule.to_dict(), **lengths)
  optimizer = config.optimizer.to_dict()
  tx = optimizers.build(optimizer.pop("name"), lr, **optimizer)
  tx = optimizers.with_factors(tx, config.lr_factors.to_dict())
  pipeline = dict(
    window=config.data.window,
    lookahead=config.data.lookahead,
    skeleton=poses.skeleton,
    augmentation=kind.augmentation(config),
    inputs=tuple(config.inputs),
    losses=config.losses.to_dict(),
    call_schedules={
      name: training.schedule(fields, **lengths)
      for name, fields in config.call_schedules.to_dict().items()
    },
  )
  order = kind.order(poses, config.data.batch_size, config)

  def inputs_of(index, frames, runs):
    d = config.data
    one = tasks.gather(index, frames, runs, d.window, d.lookahead)
    one = training.make_batch(one, jax.random.key(0), poses.skeleton, kind.plain)
    return tuple(one[key][:1] for key in config.inputs)

  example = jax.eval_shape(inputs_of, order(0), poses.frames, poses.runs)
  init = functools.partial(training.init_state, module, tx, seed=config.seed)
  state = jax.eval_shape(init, example)
  step = functools.partial(training.train_step, module=module, tx=tx, pipeline=pipeline)
  after, numbers = jax.eval_shape(
    step, state, order(0), poses.frames, poses.runs, jax.random.key(0)
  )
  assert set(numbers) == {"loss", "grad_norm"} | {f"loss/{k}" for k in config.losses}
  assert all(number.shape == () for number in numbers.values())
  assert len(config.losses) > 0
  before = jax.tree.map(lambda x: (x.shape, x.dtype), state)
  assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == before


@EVERY_CASE
def test_a_training_step_traces_at_full_size(path, variant):
  trace(small_runs.get_config(str(path), variant))


@EVERY_CASE
def test_a_config_is_locked_plain_and_scored(path, variant):
  config = small_runs.get_config(str(path), variant)
  assert config.is_locked
  with pytest.raises(AttributeError):
    config.data.batch_sise = 3
  json.loads(config.to_json())
  mixed = [name.split("/")[0] for _, names in config.data.mix for name in names]
  assert {config.data.name, *mixed} <= {
    folder.name for folder in resources.folder("datasets").iterdir()
  }
  assert sum(size for size, _ in config.data.mix) in (0, config.data.batch_size)
  evals = {k: scoring.Evaluation(**fields) for k, fields in config.evals.items()}
  assert evals
  # The test split is looked at once, when everything is decided.
  for e in evals.values():
    assert (e.when == "end") == (e.split == "test")
  assert (config.total_steps is None) != (config.total_epochs is None)


@EVERY_FILE
def test_an_unknown_variant_is_refused(path):
  with pytest.raises(ValueError, match="got the variant 'smok', expected"):
    small_runs.get_config(str(path), "smok")


@EVERY_FILE
def test_a_config_says_its_command(path):
  tree = ast.parse(path.read_text())
  name = path.relative_to(resources.folder("configs")).as_posix()
  command = rf"Run: python -m jaxpose\.train --config=configs/{name}\b"
  assert re.search(command, ast.get_docstring(tree))


@EVERY_FILE
def test_a_config_is_full_if_nothing_is_said(path):
  plain, full = (small_runs.get_config(str(path), v) for v in (None, "full"))
  assert plain.to_json() == full.to_json()


@EVERY_FILE
def test_a_smoke_run_is_small(path):
  config = small_runs.get_config(str(path), "smoke")
  assert config.total_steps <= 10
  assert config.model.get("width", 8) <= 16
  assert np.log2(config.data.batch_size) <= 4
