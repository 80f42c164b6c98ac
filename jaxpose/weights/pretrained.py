"""Weights on disk: one `.npz` of arrays and metadata, loaded by name or path.

A weights file holds the arrays of the variables under their paths (`params/expand/...`)
and a JSON text `metadata` that says how to build the module and what it eats. There are
no pickled objects in it.
"""

import dataclasses
import difflib
import hashlib
import json
import os
import pathlib
import zipfile
from typing import Any

import flax.linen as nn
import numpy as np
from flax import traverse_util

from jaxpose import models
from jaxpose import skeletons
from jaxpose.files import resources
from jaxpose.files import whole_files
from jaxpose.weights import checkpoint

FILE = "weights.npz"


@dataclasses.dataclass(frozen=True)
class Pretrained:
  """A model that is ready to use.

  Attributes:
    module: the linen module.
    variables: its collections, NumPy arrays.
    model: fields for `models.build` that give the module.
    skeleton: of the output joints.
    window: frames of the input.
    inputs: batch keys, in the order of the module's arguments.
    info: where the weights come from: data, steps, scores, command.
  """

  module: nn.Module
  variables: dict
  model: dict
  skeleton: skeletons.Skeleton
  window: int
  inputs: tuple[str, ...] = ("keypoints_2d",)
  info: dict = dataclasses.field(default_factory=dict)

  @property
  def input_skeleton(self) -> skeletons.Skeleton:
    """Of the keypoints: that of the output, unless the model maps another one to it."""
    mapped = getattr(self.module, "input_map", None)
    return skeletons.get(mapped) if mapped else self.skeleton

  @property
  def lookahead(self) -> int | None:
    """Frames of the window after the predicted one; None for the half of it."""
    return self.info.get("lookahead")

  @property
  def fps(self) -> float | None:
    """Frames per second of the windows in training; None if they are not known."""
    fps = self.info.get("fps")
    return None if fps is None else float(fps)

  @property
  def framed(self) -> bool:
    """Whether the model knows windows that are framed alone (`config.data.framed`)."""
    return bool(self.info.get("framed"))


def make(
  model: dict,
  variables: dict,
  *,
  skeleton: str,
  window: int,
  inputs=("keypoints_2d",),
  info: dict | None = None,
) -> Pretrained:
  """`Pretrained` with the module built from `model`."""
  return Pretrained(
    models.build(**model),
    variables,
    dict(model),
    skeletons.get(skeleton),
    int(window),
    tuple(inputs),
    info or {},
  )


def save(
  path: str | os.PathLike, pretrained: Pretrained, *, half: bool = False
) -> pathlib.Path:
  """Writes a weights file; a path without `.npz` is a folder for `weights.npz`.

  Args:
    path: of the file.
    pretrained: the weights.
    half: store them in half precision (they are float32 again when loaded).

  Raises:
    FileExistsError: the file is there; saved weights are never overwritten.
    ValueError: a number is too large for half precision.
  """
  path = pathlib.Path(path).expanduser()
  if path.suffix != ".npz":
    path = path / FILE
  if path.exists():
    raise FileExistsError(
      f"{path} exists and is never overwritten; choose another folder or move it away."
    )
  flat = traverse_util.flatten_dict(pretrained.variables, sep="/")
  arrays = {key: np.asarray(value) for key, value in flat.items()}
  if half:
    large = [k for k, v in arrays.items() if np.abs(v).max(initial=0) > 65504]
    if large:
      raise ValueError(
        f"got numbers over 65504 in {large[0]}, expected smaller ones; save these "
        "weights with half=False."
      )
    arrays = {key: value.astype(np.float16) for key, value in arrays.items()}
  arrays["metadata"] = np.asarray(json.dumps(describe(pretrained)))
  return whole_files.write(path, lambda file: np.savez_compressed(file, **arrays))


def describe(pretrained: Pretrained) -> dict:
  """What a weights file says about its arrays, as plain JSON types."""
  return dict(
    format=1,
    model=_plain(pretrained.model),
    skeleton=pretrained.skeleton.name,
    window=pretrained.window,
    inputs=list(pretrained.inputs),
    info=_plain(pretrained.info),
  )


def released() -> dict[str, dict]:
  """Name -> description of the weights that travel with the package."""
  path = resources.folder("weights") / "index.json"
  return json.loads(path.read_text()) if path.exists() else {}


def load(
  name_or_path: str | os.PathLike, *, step: int | str | None = None
) -> Pretrained:
  """Weights by released name, weights file, folder of one, or folder of a run.

  Args:
    name_or_path: a key of `released()`, or a path.
    step: of a run: its number, "best" (default) or "last".

  Raises:
    FileNotFoundError: no such name or path.
    ValueError: the file is damaged, not a weights file, or does not fit its model.
  """
  name = os.fspath(name_or_path)
  index = released()
  if name in index:
    path = resources.folder("weights") / index[name]["file"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != index[name]["sha256"]:
      raise ValueError(
        f"released weights {name!r}: got sha256 {digest[:12]}..., expected "
        f"{index[name]['sha256'][:12]}...; the file is damaged, install jaxpose again."
      )
    return _read(path)
  path = pathlib.Path(name).expanduser()
  if path.is_dir() and (path / FILE).exists():
    path = path / FILE
  if path.is_dir() and (path / checkpoint.FOLDER).is_dir():
    return _from_run(path, step)
  if path.is_file():
    return _read(path)
  near = ", ".join(difflib.get_close_matches(name, index, 3, 0.0)) or "none"
  raise FileNotFoundError(
    f"no weights at {name!r}: expected a released name (nearest: {near}), a weights "
    f"file (.npz), a folder with {FILE}, or the workdir of a run with "
    f"{checkpoint.FOLDER}/."
  )


def _read(path: pathlib.Path) -> Pretrained:
  try:
    with np.load(path, allow_pickle=False) as file:
      arrays = {key: file[key] for key in file.files}
  except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
    raise ValueError(
      f"{path} cannot be read as weights ({error}); it is truncated or not an .npz "
      "file; get it again, or convert a PyTorch file with python -m jaxpose.convert."
    ) from error
  try:
    metadata = json.loads(str(arrays.pop("metadata")))
    keys = ("model", "skeleton", "window", "inputs", "info")
    found = {key: metadata[key] for key in keys}
  except (KeyError, ValueError, TypeError) as error:
    raise ValueError(
      f"{path} is an .npz file without jaxpose's metadata, expected one written by "
      "jaxpose.weights.pretrained.save or python -m jaxpose.convert."
    ) from error
  arrays = {
    key: value.astype(np.float32) if value.dtype == np.float16 else value
    for key, value in arrays.items()
  }
  variables = traverse_util.unflatten_dict(arrays, sep="/")
  result = make(variables=variables, **found)
  check(result.module, variables, result.window, result.input_skeleton, str(path))
  return result


def _from_run(workdir: pathlib.Path, step) -> Pretrained:
  config_path = workdir / "config.json"
  if not config_path.exists():
    raise FileNotFoundError(f"{workdir} has checkpoints but no config.json.")
  config = json.loads(config_path.read_text())
  with checkpoint.Checkpoints(workdir, read_only=True) as checkpoints:
    steps = checkpoints.steps
    if not steps:
      raise FileNotFoundError(f"{workdir} holds no finished checkpoint yet.")
    best = checkpoints.best_step
    last = steps[-1]
    chosen = {None: best or last, "best": best or last, "last": last}.get(step, step)
    if str(chosen) not in map(str, steps):
      raise ValueError(f"{workdir} has no checkpoint {chosen}; it has {steps}.")
    state = checkpoints.load(int(chosen))
  variables = {"params": state["params"], **state["model_state"]}
  info = dict(data=config["data"]["name"], step=int(chosen), seed=config["seed"])
  for key in ("builder_config", "data_dir", "manual_dir"):
    info[key] = config["data"][key]
  # Older runs have none.
  if config.get("fps"):
    info["fps"] = config["fps"]
  for key in ("views", "crop_size", "stride", "lookahead", "framed"):
    if key in config["data"]:
      info[key] = config["data"][key]
  return make(
    config["model"],
    {k: _to_numpy(v) for k, v in variables.items()},
    skeleton=config["skeleton"],
    window=config["data"]["window"],
    inputs=config["inputs"],
    info=info,
  )


def check(module, variables, window, skeleton, origin: str) -> None:
  """ValueError unless `variables` has the names and shapes that `module` expects."""
  import jax
  import jax.numpy as jnp

  if isinstance(module, models.multiview.MODULES):
    example = models.multiview.example(module, window)
    expected = jax.eval_shape(module.init, jax.random.key(0), **example)
  else:
    example = getattr(module, "input_shape", (window, skeleton.num_joints, 2))
    shape = jax.ShapeDtypeStruct((1, *example), jnp.float32)
    expected = jax.eval_shape(module.init, jax.random.key(0), shape)
  want = traverse_util.flatten_dict(expected, sep="/")
  have = traverse_util.flatten_dict(variables, sep="/")
  missing = [k for k in want if k not in have]
  wrong = [k for k in want if k in have and have[k].shape != want[k].shape]
  if missing or wrong:
    one = (missing + wrong)[0]
    got = have[one].shape if one in have else "nothing"
    raise ValueError(
      f"{origin} does not fit its model: {len(missing)} arrays missing, {len(wrong)} "
      f"of another shape; {one}: got {got}, expected {want[one].shape}."
    )


def _to_numpy(tree):
  import jax

  return jax.tree.map(np.asarray, tree)


def _plain(value: Any):
  """JSON types only: tuples become lists, dtypes their names."""
  if isinstance(value, dict):
    return {str(k): _plain(v) for k, v in value.items()}
  if isinstance(value, (list, tuple)):
    return [_plain(v) for v in value]
  if isinstance(value, (str, int, float, bool)) or value is None:
    return value
  return str(np.dtype(value))
