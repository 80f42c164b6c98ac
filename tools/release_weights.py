r"""Puts the weights of a finished run into `weights/` under a name.

Run: python tools/release_weights.py NAME --workdir=runs/lift_27 --scores=SCORES \
       --about="GLA-GCN, 27 frames, ..." [--file=lift_27.npz] [--half] [--replace]

`--scores` are folders that `python -m jaxpose.evaluate --out` wrote for this run and
the same --step. What the file says of itself comes from there and the run's config.
"""

import argparse
import dataclasses
import hashlib
import json
import pathlib

from jaxpose.weights import pretrained

WEIGHTS = pathlib.Path(__file__).resolve().parent.parent / "weights"


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("name")
  parser.add_argument("--workdir", type=pathlib.Path, required=True)
  parser.add_argument("--step", default="best", help="that was scored")
  parser.add_argument("--scores", type=pathlib.Path, nargs="+", required=True)
  parser.add_argument("--about", required=True)
  parser.add_argument("--file", help="default: the name, with _ for -")
  parser.add_argument("--half", action="store_true", help="store half precision")
  parser.add_argument("--replace", action="store_true", help="the file of that name")
  args = parser.parse_args()
  index = pretrained.released()
  if args.name in index and not args.replace:
    parser.error(
      f"{args.name} is released already; a better file gets a new name, or replaces it "
      "with --replace."
    )
  names = [folder.name for folder in args.scores]
  if len(set(names)) < len(names):
    parser.error(f"got the scores {', '.join(names)}, expected folders of other names.")
  loaded = pretrained.load(args.workdir, step=args.step)
  config = json.loads((args.workdir / "config.json").read_text())
  info = dict(
    data=config["data"]["name"],
    builder_config=config["data"]["builder_config"],
    split=config["data"]["split"],
    steps=loaded.info["step"],
    seed=config["seed"],
    **_commands(args.workdir),
    test={folder.name: _scores(folder) for folder in args.scores},
  )
  knobs = ("views", "crop_size", "stride", "lookahead", "framed", "fps")
  info |= {key: loaded.info[key] for key in knobs if loaded.info.get(key) is not None}
  path = WEIGHTS / (args.file or f"{args.name.replace('-', '_')}.npz")
  released = dataclasses.replace(loaded, info=info)
  if args.replace:  # the old file stays until the new one is whole
    new = path.with_name(f"new_{path.name}")
    pretrained.save(new, released, half=args.half)
    new.replace(path)
  else:
    pretrained.save(path, released, half=args.half)
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  index[args.name] = dict(file=path.name, sha256=digest, about=args.about)
  (WEIGHTS / "index.json").write_text(json.dumps(index, indent=2) + "\n")
  print(
    f"{path.name}: {path.stat().st_size / 1e6:.1f} MB\n{json.dumps(info, indent=2)}"
  )


def _commands(workdir: pathlib.Path) -> dict:
  """The run's command, and those of the runs that it went on from, the first first."""
  config, before = json.loads((workdir / "config.json").read_text()), []
  for start in (config.get("init_from"), *(config.get("init_parts") or {}).values()):
    folder = pathlib.Path(start or "")
    if (folder / "config.json").is_file():
      earlier = _commands(folder)
      before += [*earlier.get("before", ()), earlier["command"]]
  found = dict(command=_command(config["command"]))
  return found | dict(before=before) if before else found


def _command(command: str) -> str:
  """As a user types it: without the folders of this machine."""
  words = command.split()[1:]
  hidden = ("--workdir", "--config.data.manual_dir", "--config.data.data_dir")
  kept = []
  for word in words:
    name, _, value = word.partition("=")
    if name == "--config.init_from" and pathlib.Path(value).is_absolute():
      word = f"{name}=runs/{pathlib.Path(value).name}"
    if not word.startswith(hidden):
      kept.append(word)
  return " ".join(["python -m jaxpose.train", *kept])


def _scores(folder: pathlib.Path) -> dict[str, float]:
  """Protocol to total, of the model."""
  rows = json.loads((folder / "scores.json").read_text())
  model = rows[list(rows)[-1]]
  return {name: round(result["total"], 2) for name, result in model.items()}


if __name__ == "__main__":
  main()
