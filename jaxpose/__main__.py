"""The command `jaxpose VERB ...`, which is `python -m jaxpose.VERB ...`."""

import runpy
import sys

VERBS = {
  "train": (
    "train a model by a config file",
    "jaxpose train --config=quickstart",
  ),
  "evaluate": (
    "score saved weights by published protocols",
    "jaxpose evaluate --weights=lift-27 --data=cmu_mocap",
  ),
  "predict": (
    "a video, several cameras or a live source to 3D",
    "jaxpose predict walk.mp4 --out=walk_3d",
  ),
  "detect": (
    "2D keypoints of the people in a video",
    "jaxpose detect walk.mp4 --out=walk.npz",
  ),
  "features": (
    "image features of videos as a dataset",
    "jaxpose features walk.mp4 --weights=spin.pt --name=walks",
  ),
  "convert": (
    "the authors' PyTorch checkpoints to weights",
    "jaxpose convert --model=gla_gcn --torch=model.bin --out=weights",
  ),
}


def usage() -> str:
  """A line and an example for each verb."""
  lines = ["usage: jaxpose VERB [OPTIONS]; jaxpose VERB --help lists the options", ""]
  for verb, (what, example) in VERBS.items():
    lines += [f"  {verb:<10}{what}", f"  {'':<10}  {example}"]
  return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
  """Runs a verb, or says which there are."""
  argv = sys.argv[1:] if argv is None else argv
  if not argv or argv[0] in ("-h", "--help", "help"):
    print(usage())
    return
  if argv[0] not in VERBS:
    sys.exit(f"error: got the verb {argv[0]!r}, expected one of {', '.join(VERBS)}.")
  sys.argv = [f"jaxpose {argv[0]}", *argv[1:]]
  runpy.run_module(f"jaxpose.{argv[0]}", run_name="__main__")


if __name__ == "__main__":
  main()
