"""What a run leaves behind besides its weights: metrics, events, and the progress bar.

`metrics.jsonl` has one JSON object per line with its `step`; the same numbers go to
TensorBoard event files in `events/`. On a terminal the state is a progress bar,
elsewhere a line per record.
"""

import json
import math
import os
import pathlib
import sys
import time

from tensorboardX import SummaryWriter
from tqdm import tqdm

from jaxpose import whole_files


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
