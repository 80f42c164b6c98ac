"""The options of `python -m jaxpose.predict --views`: several cameras' videos to 3D."""

import argparse

from jaxpose import multiview_calibration
from jaxpose import predict_outputs
from jaxpose import predict_person
from jaxpose import predict_rig
from jaxpose import predict_video
from jaxpose import views_poses


def parser() -> argparse.ArgumentParser:
  """Of the options, with `--views` among them."""
  made = argparse.ArgumentParser(
    prog="python -m jaxpose.predict",
    description="Finds the people in synchronised videos of calibrated cameras and "
    "writes their motion in 3D.",
    allow_abbrev=False,
  )
  add = made.add_argument
  add("--views", nargs="+", required=True, help="a video for each camera")
  add("--calib", required=True, help=f"calibration: {multiview_calibration.FILES}")
  add("--out", required=True, help="folder for the results")
  add(
    "--method",
    choices=views_poses.METHODS,
    help="default: the lifter if there are --weights, else ransac",
  )
  add("--weights", help="of the lifter: a released name, or a path")
  add(
    "--unit",
    default="m",
    choices=tuple(multiview_calibration.UNITS),
    help="of length in the calibration (default: m)",
  )
  add(
    "--up",
    default="z",
    choices=tuple(multiview_calibration.UPS),
    help="axis of the calibration's world that points up (default: z)",
  )
  add("--person", help="only this one, by name (0 is who is seen the most)")
  add("--people", type=int, help="at most so many at a time in each view")
  add("--keypoints", nargs="+", help="a file of another detector for each video")
  add(
    "--smooth",
    default=predict_rig.SMOOTH,
    choices=predict_person.SMOOTHINGS,
    help="over time (default: %(default)s)",
  )
  add(
    "--formats",
    help=f"of {','.join(predict_outputs.NAMES)}, with commas; default: all that the "
    "installed packages can write",
  )
  add("--fps", type=float, help="frames per second; folders need it")
  add("--shortest", action="store_true", help="go as far as the shortest video")
  add("--detector_weights", help="folder or wheel with them; default: fetched once")
  add("--threads", type=int, help="of the CPU; default: all, at most 4")
  add("--overwrite", action="store_true", help="replace other results in the folder")
  return made


def run(args: argparse.Namespace) -> predict_video.Outcome:
  """What the options ask for."""
  options = dict(vars(args))
  if args.formats is not None:
    options["formats"] = [name.strip() for name in args.formats.split(",")]
  paths, calibration, out = (options.pop(key) for key in ("views", "calib", "out"))
  return predict_rig.views(paths, calibration, out, **options)
