"""One run: trained as by `jaxpose.train`, scored on the test split, kept as JSON."""

import functools
import json
import os
import pathlib
import statistics
import time

import jax
import ml_collections

from jaxpose import tasks
from jaxpose import train
from jaxpose.tasks.scoring import Evaluation
from jaxpose.train.training_data import loader
from jaxpose.weights import pretrained
from jaxpose.weights.checkpoint import Checkpoints

from . import occlusion

SPLIT = "test"
PROTOCOLS = ("cmu_p1", "cmu_p2")
OCCLUDED = "occluded"


def prepared(base: ml_collections.ConfigDict, steps: int | None):
  """The base config with as many steps, scored at the end only, outside the loop."""
  config = base.copy_and_resolve_references()
  if steps is not None:
    config.total_steps, config.total_epochs = steps, None
  if config.total_steps is None:
    raise ValueError("got a config without total_steps, expected it; set --steps.")
  config.evals = dict()
  config.log_every = min(config.log_every, max(config.total_steps // 10, 1))
  config.eval_every = config.save_every = config.total_steps
  return config


def test_data(base: ml_collections.ConfigDict):
  """`load(split)` of what is scored, once for all runs: also the occluded test split.

  Raises:
    ValueError: the data have no pictures.
  """
  load = loader(base.data)

  @functools.cache
  def load_split(split: str):
    if split == OCCLUDED:
      return occlusion.occluded(load(SPLIT))
    data = load(split)
    if "view_mask" not in data.frames or not data.clips["images"].size:
      raise ValueError(
        f"got the data set {base.data.name!r}, expected pictures of several views such "
        "as synthetic_multiview."
      )
    return data

  return load_split


def claim(out: pathlib.Path, base: ml_collections.ConfigDict) -> None:
  """Makes the folder of all runs, or checks that its runs have the same base config.

  Raises:
    ValueError: they have not.
  """
  path = out / "config.json"
  if path.exists():
    _require_same(json.loads(path.read_text()), base, out)
  else:
    _write(path, plain(base))


def result_path(out: pathlib.Path, arm: str, seed: int) -> pathlib.Path:
  """Where the result of a run is kept."""
  return out / "results" / f"{arm}-seed{seed}.json"


def read(path: pathlib.Path, config: ml_collections.ConfigDict) -> dict | None:
  """The result of a run that is finished; None if it is not.

  Raises:
    ValueError: it is of another config.
  """
  if not path.exists():
    return None
  result = json.loads(path.read_text())
  _require_same(result["config"], config, path)
  return result


def _require_same(old: dict, config: ml_collections.ConfigDict, path) -> None:
  new = plain(config)
  differ = sorted(
    key for key in old.keys() | new.keys() if old.get(key) != new.get(key)
  )
  if differ:
    raise ValueError(
      f"{path} is of another config ({', '.join(differ)} differ); choose another "
      "--out, or the same config and steps to go on."
    )


def _write(path: pathlib.Path, fields: dict) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  unfinished = path.with_suffix(".unfinished")
  unfinished.write_text(json.dumps(fields, indent=2) + "\n")
  unfinished.rename(path)


def plain(config: ml_collections.ConfigDict) -> dict:
  """A config as JSON gives it back, without what says where data are."""
  fields = json.loads(config.to_json_best_effort())
  for key in ("data_dir", "manual_dir"):
    del fields["data"][key]
  return fields


def run(
  config: ml_collections.ConfigDict, folder: pathlib.Path, path: pathlib.Path, load
) -> dict | None:
  """Trains in a folder, or goes on there, and scores; None if it was interrupted."""
  start = time.perf_counter()
  train.train(config, str(folder))
  with Checkpoints(folder, read_only=True) as checkpoints:
    if checkpoints.steps[-1] < config.total_steps:
      return None
  trained = time.perf_counter()
  loaded = pretrained.load(folder, step="last")
  scorer = tasks.VIEWS.scorer(
    loaded.module, load, window=loaded.window, inputs=loaded.inputs
  )
  scores = {
    name: scorer(
      loaded.variables, Evaluation(name, PROTOCOLS), label="model", baselines="train"
    ).rows
    for name in (SPLIT, OCCLUDED)
  }
  leaves = jax.tree.leaves(loaded.variables["params"])
  result = dict(
    config=plain(config),
    scores=scores,
    seconds_per_step=seconds_per_step(folder, config.data.batch_size),
    parameters=sum(int(leaf.size) for leaf in leaves),
    mflop_per_image=flop_per_image(loaded, load(SPLIT)) / 1e6,
    training_seconds=trained - start,
    scoring_seconds=time.perf_counter() - trained,
    cores=len(os.sched_getaffinity(0)),
    platform=jax.devices()[0].platform,
  )
  _write(path, result)
  jax.clear_caches()
  return result


def seconds_per_step(folder: pathlib.Path, batch_size: int) -> float | None:
  """Median of what a run's log says; None of a run that was too short to tell."""
  lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
  rates = [line.get("windows_per_s", 0) for line in lines]
  rates = [rate for rate in rates if rate]
  return batch_size / statistics.median(rates) if rates else None


def flop_per_image(loaded: pretrained.Pretrained, data) -> float:
  """Of the 2D network and the 3D stage, for a window of all views."""
  views, frames, size = data.num_views, loaded.window, data.size
  shapes = dict(
    images=((views, frames, size, size, 3), "uint8"),
    view_mask=((views, frames), bool),
    camera_rotation=((views, 3, 3), "float32"),
    camera_position=((views, 3), "float32"),
    crop_intrinsics=((views, frames, 4), "float32"),
  )
  inputs = [
    jax.ShapeDtypeStruct((1, *shapes[key][0]), shapes[key][1]) for key in loaded.inputs
  ]
  lowered = jax.jit(loaded.module.apply).lower(loaded.variables, *inputs)
  return lowered.cost_analysis()["flops"] / (views * frames)
