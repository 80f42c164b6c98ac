"""A run's folder and its config: named on the command line, kept as config.json."""

import difflib
import json
import os
import pathlib
import signal
import sys
import time

import ml_collections

from jaxpose import resources
from jaxpose import whole_files
from jaxpose.config import base_config

# What may differ between the start of a run and its continuation.
_FREE = (
  "total_steps",
  "total_epochs",
  "log_every",
  "eval_every",
  "save_every",
  "evals",
)
_FREE_DATA = ("data_dir", "manual_dir", "device_resident")


def config_path(name: str) -> str:
  """`path.py[:variant]` of a config given by path, or by a bundled config's name.

  Raises:
    ValueError: neither a file nor a bundled name.
  """
  path, _, variant = name.partition(":")
  if not pathlib.Path(path).is_file():
    folder = resources.folder("configs")
    known = sorted(
      p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.py")
    )
    bundled = path.removeprefix("configs/").removesuffix(".py")
    if bundled not in known:
      near = ", ".join(difflib.get_close_matches(bundled, known, 3, 0.0))
      raise ValueError(
        f"no config {path!r}: expected a file or one of {', '.join(known)} (nearest: "
        f"{near})."
      )
    path = str(folder / f"{bundled}.py")
  return f"{path}:{variant}" if variant else path


def default_workdir(config_name: str) -> str:
  """`runs/NAME-DATE-TIME`, for a run that was given no folder."""
  stem = pathlib.Path(config_name.partition(":")[0]).stem
  return os.path.join("runs", f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}")


def claim_workdir(
  workdir: str | os.PathLike, config: ml_collections.ConfigDict, **facts
) -> pathlib.Path:
  """Makes the folder, or checks that it holds a run of the same config.

  `config.json` is written once, with `facts` added; a continued run adds its own as
  `config.resumed.json` if a free knob (steps, cadence, folders) changed.

  Raises:
    ValueError: the folder holds a run of another config.
  """
  workdir = pathlib.Path(workdir).expanduser()
  workdir.mkdir(parents=True, exist_ok=True)
  new = json.loads(config.to_json_best_effort()) | facts
  new["command"] = " ".join(sys.argv)
  path = workdir / "config.json"
  text = json.dumps(new, indent=2, sort_keys=True) + "\n"
  if not path.exists():
    whole_files.write(path, lambda file: file.write(text.encode()), overwrite=True)
    return workdir
  old = json.loads(path.read_text())
  differ = [
    f"{key} {json.dumps(a)} here, {json.dumps(b)} asked for"
    for key, a, b in _differences(old, new)
  ]
  if differ:
    raise ValueError(
      f"{workdir} holds a run of another config ({'; '.join(differ[:4])}); choose "
      "another --workdir, or the same config to go on."
    )
  if _without_command(old) != _without_command(new):
    (workdir / "config.resumed.json").write_text(text)
  return workdir


def _without_command(config: dict) -> dict:
  return {key: value for key, value in config.items() if key != "command"}


def _differences(old: dict, new: dict):
  base = json.loads(base_config().to_json_best_effort())
  # Runs older than a knob had its default.
  knobs = _flat({key: base[key] for key in ("data", "augment", "augment_views")})
  a, b = knobs | _flat(old), knobs | _flat(new)
  if "fps" not in a:  # nor did they say the frame rate of their data
    b.pop("fps", None)
  for key in sorted(a.keys() | b.keys()):
    top, _, rest = key.partition(".")
    if top in _FREE or top == "command" or (top == "data" and rest in _FREE_DATA):
      continue
    if a.get(key) != b.get(key):
      yield key, a.get(key), b.get(key)


def _flat(tree: dict, prefix: str = "") -> dict:
  flat = {}
  for key, value in tree.items():
    if isinstance(value, dict) and value:
      flat |= _flat(value, f"{prefix}{key}.")
    else:
      flat[prefix + key] = value
  return flat


class Interrupt:
  """Notes Ctrl-C and SIGTERM instead of dying; a second one kills as usual."""

  def __init__(self):
    self.received = False

  def __enter__(self) -> "Interrupt":
    self._old = {}
    for number in (signal.SIGINT, signal.SIGTERM):
      try:
        self._old[number] = signal.signal(number, self._note)
      except ValueError:  # not in the main thread, as in some notebooks
        break
    return self

  def __exit__(self, *_) -> None:
    for number, handler in self._old.items():
      signal.signal(number, handler)

  def _note(self, number, _) -> None:
    self.received = True
    signal.signal(number, self._old[number])
