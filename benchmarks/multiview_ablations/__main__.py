r"""Trains and scores the ablations of the multi-view network, and writes their table.

Run: python -m benchmarks.multiview_ablations --config=configs/mpstrt_quickstart.py
       --out=DIR [--seeds=2] [--steps=500] [--only=keep,relations]
       [--skip='keep-0.9-*'] [--list]

from the root of a checkout. Seed by seed, so that an early stop leaves whole tables.
Runs that are finished are kept in DIR/results and skipped when the command starts
again; one that was interrupted goes on where it stopped. DIR/ablations.md and .png are
written anew after every run.
"""

import argparse
import importlib.util
import pathlib
import platform
import statistics
import sys
from collections.abc import Callable
from collections.abc import Sequence

import jax
import ml_collections
from absl import logging

from jaxpose import runtime
from jaxpose.train.rundir import config_path

from . import arms
from . import plot
from . import report
from . import runs


def main(argv: Sequence[str] | None = None) -> None:
  """The command."""
  argv = sys.argv[1:] if argv is None else list(argv)
  parser = argparse.ArgumentParser(
    prog="python -m benchmarks.multiview_ablations",
    description=__doc__.partition("\n")[0],
  )
  parser.add_argument("--config", required=True, help="base config, NAME[:VARIANT]")
  parser.add_argument("--out", required=True, help="folder of runs and tables")
  parser.add_argument("--seeds", type=int, default=2, help="how many, from 0")
  parser.add_argument("--steps", type=int, help="of each run; default: the config's")
  parser.add_argument("--only", default="", help=f"of: {', '.join(arms.GROUPS)}")
  parser.add_argument("--skip", default="", help="arms to leave out, by pattern")
  parser.add_argument("--data_dir", help="of built datasets; default: as TFDS has it")
  parser.add_argument("--list", action="store_true", help="show the arms and stop")
  args = parser.parse_args(argv)
  runtime.start()
  logging.set_verbosity(logging.WARNING)
  try:
    if args.seeds < 1:
      raise ValueError(f"got --seeds={args.seeds}, expected at least 1.")
    config = read_config(args.config)
    config.data.data_dir = args.data_dir or config.data.data_dir
    only, skip = (
      tuple(filter(None, words.split(","))) for words in (args.only, args.skip)
    )
    plan = arms.plan(runs.prepared(config, args.steps), only, skip)
    out = pathlib.Path(args.out).expanduser()
    if args.list:
      print(listed(plan, out, args.seeds))
      return
    # The command without folders, which differ from machine to machine.
    words = [w for w in argv if not w.startswith(("--out", "--data_dir"))]
    failed = ablate(plan, out, args.seeds, command=" ".join([*words, "--out=DIR"]))
  except KeyboardInterrupt:
    sys.exit("stopped and saved; run again to go on.")
  except (ValueError, OSError) as error:
    sys.exit(f"error: {error}")
  print(f"table: {out / 'ablations.md'}")
  if failed:
    sys.exit(f"error: {len(failed)} runs failed: {', '.join(failed)}.")


def read_config(name: str) -> ml_collections.ConfigDict:
  """A config by file or bundled name, NAME:VARIANT for a variant."""
  path, _, variant = config_path(name).partition(":")
  spec = importlib.util.spec_from_file_location("ablated_config", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config(variant) if variant else module.get_config()


def listed(plan: arms.Plan, out: pathlib.Path, seeds: int) -> str:
  """The arms by group, and how many runs there are and are left."""
  lines = []
  for group, rows in plan.groups.items():
    lines.append(f"{group}: {arms.GROUPS[group]}")
    lines += [f"  {label:24} {name}" for label, name in rows]
  results = finished(plan, out, seeds)
  done = [result for found in results.values() for result in found]
  left = len(plan.arms) * seeds - len(done)
  lines.append(
    f"{len(plan.arms)} arms x {seeds} seeds of {plan.base.total_steps} steps: "
    f"{len(done)} runs finished, {left} left"
    + (f", about {left * _seconds(done) / 60:.0f} minutes" if done else "")
  )
  return "\n".join(lines)


def finished(plan: arms.Plan, out: pathlib.Path, seeds: int) -> report.Results:
  """The results that are there."""
  results: report.Results = {arm.name: [] for arm in plan.arms}
  for arm in plan.arms:
    for seed in range(seeds):
      config = arms.configured(plan.base, arm.overrides, seed)
      result = runs.read(runs.result_path(out, arm.name, seed), config)
      if result is not None:
        results[arm.name].append(result)
  return results


def ablate(
  plan: arms.Plan,
  out: pathlib.Path,
  seeds: int,
  *,
  command: str = "",
  run: Callable = runs.run,
) -> list[str]:
  """Runs what is not there yet and writes the table; returns the runs that failed.

  A run that fails, such as one whose loss is not finite, does not stop the others; it
  is tried again at the next start.

  Raises:
    ValueError: the folder holds runs of another config, or the data do not fit.
    KeyboardInterrupt: a run was interrupted, and saved what it had.
  """
  runs.claim(out, plan.base)
  finished(plan, out, seeds)  # refuses other configs before anything is trained
  load = runs.test_data(plan.base)
  load(runs.SPLIT)
  failed = []
  for seed in range(seeds):
    for number, arm in enumerate(plan.arms, 1):
      path, name = runs.result_path(out, arm.name, seed), f"{arm.name}-seed{seed}"
      if path.exists():
        continue
      print(f"\n[seed {seed}, arm {number} of {len(plan.arms)}] {arm.name}", flush=True)
      config = arms.configured(plan.base, arm.overrides, seed)
      try:
        result = run(config, out / "runs" / name, path, load)
      except ValueError as error:
        print(f"error: {name}: {error}", file=sys.stderr, flush=True)
        failed.append(name)
        continue
      if result is None:
        raise KeyboardInterrupt
      write(plan, out, seeds, command)
  write(plan, out, seeds, command)
  return failed


def write(plan: arms.Plan, out: pathlib.Path, seeds: int, command: str) -> None:
  """The table and the picture of the results so far."""
  results = finished(plan, out, seeds)
  done = [result for found in results.values() for result in found]
  base, lines = plan.base, []
  variant = base.model.get("variant", "base")
  cores = ", ".join(sorted({f"{r['cores']} cores, {r['platform']}" for r in done}))
  seconds = sum(r["training_seconds"] + r["scoring_seconds"] for r in done)
  lines += [
    f"    python -m benchmarks.multiview_ablations {command}",
    "",
    f"- network `{variant}`, {base.total_steps:,} steps of {base.data.batch_size} "
    f"windows of {base.data.window} frames, {seeds} seeds",
    f"- data `{base.data.name}`, trained on `{base.data.split}`, scored on "
    f"`{runs.SPLIT}`",
    f"- {len(done)} of {len(plan.arms) * seeds} runs finished, {seconds / 60:.0f} "
    f"minutes in all; {cores}, {platform.machine()}, JAX {jax.__version__}",
  ]
  unfinished = out / "ablations.md.unfinished"
  unfinished.write_text(report.markdown(plan, results, lines))
  unfinished.rename(out / "ablations.md")
  title = f"Ablations, {variant}, {base.total_steps:,} steps, {seeds} seeds"
  plot.draw(out / "ablations.png", plan, results, title)


def _seconds(done: Sequence[dict]) -> float:
  return statistics.fmean(r["training_seconds"] + r["scoring_seconds"] for r in done)


if __name__ == "__main__":
  main()
