"""Scores saved weights on a split of a dataset, by named protocols: the command.

Run: python -m jaxpose.evaluate --workdir=RUN
     python -m jaxpose.evaluate --weights=NAME_OR_PATH --data=cmu_mocap --split=test
"""

import argparse
import functools
import json
import os
import pathlib
import sys
from collections.abc import Sequence

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from jaxpose import runtime
from jaxpose import tasks
from jaxpose.data import pose_data
from jaxpose.files import whole_files
from jaxpose.metrics import protocols
from jaxpose.tasks.scoring import Evaluation
from jaxpose.tasks.scoring import Scored
from jaxpose.weights import pretrained


def main(argv: Sequence[str] | None = None) -> None:
  """The command."""
  parser = argparse.ArgumentParser(
    prog="python -m jaxpose.evaluate", description="Scores saved weights by protocol."
  )
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument("--workdir", help="folder of a run; scores its best checkpoint")
  source.add_argument("--weights", help="released name, weights file or folder")
  parser.add_argument("--step", help="of a run: a number, 'best' (default) or 'last'")
  parser.add_argument("--data", help="dataset; default: the one it was trained on")
  parser.add_argument("--builder_config", help="of the dataset")
  parser.add_argument("--data_dir", help="of built datasets; default: as TFDS has it")
  parser.add_argument("--manual_dir", help="raw files, if the dataset must be built")
  parser.add_argument("--split", default="test")
  parser.add_argument(
    "--protocol",
    help=f"comma-separated, of: {', '.join(protocols.PROTOCOLS)}; default: those of "
    "our own data, for joints or for bodies",
  )
  parser.add_argument("--flip", action="store_true", help="average with the mirror")
  parser.add_argument(
    "--detector", action="store_true", help="2D input with the errors of a detector"
  )
  parser.add_argument("--body", help="whose joints and vertices count; default: own")
  parser.add_argument(
    "--reversed_tail", type=int, default=0, help="7 for GLoT's published numbers"
  )
  parser.add_argument("--batch_size", type=int, help="windows at a time")
  parser.add_argument("--out", help="folder for scores.json, scores.md and a picture")
  args = parser.parse_args(argv)
  try:
    _run(args)
  except (ValueError, OSError) as error:
    sys.exit(f"error: {error}")


def _run(args: argparse.Namespace) -> None:
  runtime.start()
  logging.set_verbosity(logging.WARNING)
  loaded = pretrained.load(args.workdir or args.weights, step=args.step)
  info = loaded.info
  name = args.data or info.get("data")
  if name is None:
    raise ValueError("these weights name no dataset; say which with --data=NAME.")
  trained = info if name == info.get("data") else {}
  folder = pose_data.prepare(
    name,
    builder_config=args.builder_config or trained.get("builder_config"),
    data_dir=args.data_dir or trained.get("data_dir"),
    manual_dir=args.manual_dir or trained.get("manual_dir"),
  )
  knobs = {k: info[k] for k in ("views", "crop_size", "stride") if k in info}
  load = functools.cache(
    functools.partial(tasks.load, folder, window=loaded.window, **knobs)
  )
  kind = tasks.of(load(args.split).frames)
  names = kind.protocols
  if kind is not tasks.BODIES and (args.body or args.reversed_tail):
    raise ValueError(
      f"got --body or --reversed_tail with {name}, expected neither: its records are "
      "joints, not bodies."
    )
  if args.protocol:
    names = tuple(args.protocol.split(","))
  evaluation = Evaluation(
    args.split,
    names,
    flip=args.flip,
    detector=args.detector,
    reversed_tail=args.reversed_tail,
  )
  mesh = Mesh(np.asarray(jax.devices()), ("data",))
  options = dict(
    body=args.body,
    batch_size=args.batch_size,
    lookahead=loaded.lookahead,
    framed=loaded.framed or None,
  )
  options = {key: value for key, value in options.items() if value is not None}
  scorer = kind.scorer(
    loaded.module,
    load,
    window=loaded.window,
    inputs=loaded.inputs,
    mesh=mesh,
    **options,
  )
  label = loaded.model.get("variant", loaded.model["name"])
  # One's own data may be a test split alone.
  baselines = "train" if "train" in tasks.splits(folder) else None
  scored = scorer(loaded.variables, evaluation, label=label, baselines=baselines)
  told = dict(title=f"{name} {args.split}", data=name)
  print(report_text(scored, evaluation, **told))
  if args.out:
    write_report(args.out, scored, evaluation, **told)


def report_text(scored, evaluation: Evaluation, title: str, data: str = "") -> str:
  """Markdown: the comparison, then each protocol in full with its table.

  Args:
    scored: what the scorer of the data returns.
    evaluation: that was asked for.
    title: of the page.
    data: name of the dataset; where it is not a protocol's own, that is said.
  """
  model = list(scored.rows)[-1]
  parts = [
    f"# {title}: {scored.num_frames:,} frames"
    + (", 2D with a detector's errors" if evaluation.detector else "")
    + (", flip averaging" if evaluation.flip else ""),
    scored.table(),
  ]
  if not isinstance(scored, Scored):  # of several views
    for name in scored.results[model]:
      parts += [*_elsewhere(name, evaluation, data), scored.describe(name)]
    return "\n\n".join(parts) + "\n"
  for name in evaluation.protocols:
    described = protocols.describe(protocols.get(name))
    table = protocols.format_table(scored.rows[model][name])
    parts += [*_elsewhere(name, evaluation, data), described, table]
  return "\n\n".join(parts) + "\n"


def _elsewhere(name: str, evaluation: Evaluation, data: str) -> list[str]:
  """A sentence if the protocol is defined on other data than are scored."""
  protocol = protocols.get(name)
  own = protocol.data
  if not own or not data or (data == own and evaluation.split == "test"):
    return []
  return [
    f"Not to be compared with published numbers: {name} is defined on test of {own}, "
    f"and this is {evaluation.split} of {data}."
  ]


def write_report(
  folder: str | os.PathLike,
  scored,
  evaluation: Evaluation,
  title: str,
  data: str = "",
) -> pathlib.Path:
  """Writes `scores.json`, `scores.md` and `scores.png` into a new folder.

  Raises:
    FileExistsError: the folder has scores already; they are never overwritten.
  """
  folder = pathlib.Path(folder).expanduser()
  if (folder / "scores.json").exists():
    raise FileExistsError(
      f"{folder} has scores already, which are never overwritten; name another --out."
    )
  folder.mkdir(parents=True, exist_ok=True)
  if isinstance(scored, Scored):
    numbers = {
      label: {
        name: dict(
          total=r.total,
          unit=r.protocol.unit,
          totals=r.totals,
          rows=r.table,
          frames=r.frames,
          joint_groups=r.joint_table,
        )
        for name, r in results.items()
      }
      for label, results in scored.rows.items()
    }
    for name, result in scored.rows[list(scored.rows)[-1]].items():
      described = protocols.describe(result.protocol)
      numbers[list(scored.rows)[-1]][name] |= dict(protocol=described)
  else:
    numbers = {
      label: {
        name: dict(total=value, unit=scored.columns[name][1])
        for name, value in row.items()
      }
      for label, row in scored.rows.items()
    }
    for label, results in scored.results.items():
      for name, r in results.items():
        numbers[label][name] |= dict(rows=r.table, frames=r.frames)
    for name in scored.results[list(scored.rows)[-1]]:
      text = scored.describe(name)
      numbers[list(scored.rows)[-1]][name] |= dict(protocol=text.split("\n\n|")[0])
  (folder / "scores.md").write_text(report_text(scored, evaluation, title, data))
  scored.draw(folder / "scores.png", title=title)
  # Last, for it is what says that there are scores.
  content = (json.dumps(numbers, indent=2) + "\n").encode()
  whole_files.write(folder / "scores.json", lambda file: file.write(content))
  return folder


if __name__ == "__main__":
  main()
