"""Small training runs inside the tests' process."""

import json
import pathlib

import jax
import numpy as np

from jaxpose import resources
from jaxpose import train
from jaxpose.checkpoint import Checkpoints


def get_config(name: str, variant: str | None = None):
  """A config of `configs/`, by name or path."""
  path = pathlib.Path(name)
  if not path.is_file():
    path = resources.folder("configs") / f"{name}.py"
  scope: dict = {}
  exec(compile(path.read_text(), str(path), "exec"), scope)
  return scope["get_config"](variant) if variant else scope["get_config"]()


def small(data_dir, **knobs):
  """Four steps of the smallest GLA-GCN on `synthetic_motion/tiny`, not scored."""
  config = get_config("quickstart", "smoke")
  config.data.data_dir = str(data_dir)
  config.data.window = 3
  config.model.filter_widths = (3,)
  config.evals = dict()
  config.save_every = 100
  for key, value in knobs.items():
    if key in config.data:
      config.data[key] = value
    else:
      config[key] = value
  return config


def run(config, workdir, monkeypatch=None, devices: int = 1) -> dict[str, float]:
  """`train.train` on the first devices only; `monkeypatch` undoes that."""
  if monkeypatch is None:
    return train.train(config, str(workdir))
  chosen = jax.devices()[:devices]
  with monkeypatch.context() as patch:
    patch.setattr(jax, "devices", lambda *_: chosen)
    return train.train(config, str(workdir))


def arrays(workdir, step: int | None = None) -> dict[str, np.ndarray]:
  """The arrays of a run's checkpoint, its last if no step is given, by path."""
  with Checkpoints(workdir, read_only=True) as checkpoints:
    state = checkpoints.load(step or checkpoints.steps[-1])
  return {
    jax.tree_util.keystr(path): np.asarray(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state)
  }


def assert_bit_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
  """Same names, and every array the same bits."""
  assert a.keys() == b.keys()
  assert len(a) > 10
  for key in a:
    assert a[key].dtype == b[key].dtype, key
    np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def metrics(workdir) -> list[dict]:
  """The lines of metrics.jsonl."""
  return [json.loads(line) for line in (workdir / "metrics.jsonl").open()]
