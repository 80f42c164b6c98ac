"""A run's folder: the config it was started with, its metrics, and how it is stopped.

A config is named on the command line and kept as config.json. `metrics.jsonl` has one
JSON object per line with its `step`; the same numbers go to TensorBoard event files in
`events/`. On a terminal the state is a progress bar, elsewhere a line per record.
"""

import difflib
import json
import math
import os
import pathlib
import signal
import sys
import time

import ml_collections
from tensorboardX import SummaryWriter
from tqdm import tqdm

from jaxpose.config import base_config
from jaxpose.files import resources
from jaxpose.files import whole_files

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
  new["command"] = " ".join([_program(sys.argv[0]), *sys.argv[1:]])
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


def _program(path: str) -> str:
  """The module for the command line `jaxpose train` and its `python -m`."""
  ours = path == "jaxpose train" or path.endswith("train/__main__.py")
  return "jaxpose.train" if ours else path


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


class RunLog:
  """Writes a run's numbers; a context manager."""

  def __init__(self, workdir: str | os.PathLike, first_step: int, total_steps: int):
    """Opens the files for appending and shows the bar.

    Records at or after `first_step` that an interrupted run left are dropped, so that a
    resumed run has each step once.
    """
    workdir = pathlib.Path(workdir)
    path = workdir / "metrics.jsonl"
    if path.exists():
      _drop_after(path, first_step)
    self._file = path.open("a")
    self._events = SummaryWriter(
      str(workdir / "events"), purge_step=first_step + 1, write_to_disk=True
    )
    self._bar = tqdm(
      total=total_steps,
      initial=first_step,
      unit="step",
      dynamic_ncols=True,
      disable=not sys.stderr.isatty(),
    )

  def __enter__(self) -> "RunLog":
    """Itself."""
    return self

  def __exit__(self, *_) -> None:
    """Closes the files and the bar."""
    self._bar.close()
    self._file.close()
    self._events.close()

  def progress(self, step: int, text: str) -> None:
    """Moves the bar to `step` with a text behind it."""
    self._bar.set_postfix_str(text, refresh=False)
    self._bar.update(step - self._bar.n)

  def write(
    self, step: int, numbers: dict[str, float], line: str | None = None
  ) -> None:
    """Records numbers of a step; `line` is printed where there is no bar."""
    self._file.write(json.dumps({"step": step, **numbers}) + "\n")
    self._file.flush()
    for key, value in numbers.items():
      self._events.add_scalar(key, value, step)
    if line and self._bar.disable:
      print(line, flush=True)

  def say(self, text: str) -> None:
    """Prints without tearing the bar."""
    if self._bar.disable:
      print(text, flush=True)
    else:
      self._bar.write(text)


def _drop_after(path: pathlib.Path, step: int) -> None:
  kept = []
  for line in path.read_text().splitlines():
    try:
      if json.loads(line)["step"] <= step:
        kept.append(line + "\n")
    except (ValueError, KeyError):
      continue  # the last line of a killed run may be cut
  content = "".join(kept).encode()
  whole_files.write(path, lambda file: file.write(content), overwrite=True)


class Clock:
  """Windows per second, the host's data share of a step, and the time left."""

  def __init__(self, batch_size: int):
    self._batch_size = batch_size
    self.restart()

  def restart(self) -> None:
    """Forgets the past, after a pause for evaluation."""
    self._last, self._data, self._step_time, self._share = None, 0.0, None, 0.0
    self._start = 0.0

  def __enter__(self) -> None:
    self._start = time.perf_counter()

  def __exit__(self, *_) -> None:
    self._data += time.perf_counter() - self._start

  def data(self) -> "Clock":
    """Context in which the host prepares a batch."""
    return self

  def tick(self, steps_left: int) -> tuple[float, float, float]:
    """(windows per second, data share, seconds left), smoothed over about 20 steps."""
    now = time.perf_counter()
    if self._last is not None:
      taken, share = now - self._last, self._data / max(now - self._last, 1e-9)
      keep = 0.0 if self._step_time is None else 0.95
      self._step_time = keep * (self._step_time or 0.0) + (1 - keep) * taken
      self._share = keep * self._share + (1 - keep) * share
    self._last, self._data = now, 0.0
    step_time = self._step_time or math.inf
    rate = self._batch_size / step_time
    return rate, self._share, (0.0 if step_time == math.inf else steps_left * step_time)
