"""The command `python -m jaxpose.predict`: a video, several cameras or a live source.

`--views` has options of its own; all others are those of one video or of `--live`.
"""

import argparse
import errno
import signal
import sys
from collections.abc import Sequence

from jaxpose.formats import calibration as formats_calibration
from jaxpose.predict import camera_rig
from jaxpose.predict import films
from jaxpose.predict import live as predict_live
from jaxpose.predict import outputs
from jaxpose.predict import person
from jaxpose.predict import rig_poses

_STOPPED = "stopped; what is finished is kept, and the same command goes on from there."
_STOPPED_LIVE = "stopped; what was recorded is kept, --live alone writes its files."
_FULL = "What is finished is kept; make room, and the same command goes on from there."
_FULL_LIVE = "What was recorded is kept; make room, and --live alone writes its files."
_NOT_LIVE = ("person", "keypoints", "mesh")


def main(argv: Sequence[str] | None = None) -> None:
  """A mistake ends it with one sentence and exit code 1."""
  argv = sys.argv[1:] if argv is None else argv
  several = any(word.split("=")[0] == "--views" for word in argv)
  if several and {"-h", "--help"} & set(argv):
    argv = ["--help"]  # before --views, which wants its videos
  args = (rig_parser() if several else _parser()).parse_args(argv)
  live = getattr(args, "live", None) is not None
  stop_on_term = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    _tell(run_rig(args) if several else _run(args))
  except KeyboardInterrupt:
    print(_STOPPED_LIVE if live else _STOPPED, file=sys.stderr)
    sys.exit(130)
  except (ValueError, OSError, ImportError) as error:
    if getattr(error, "errno", None) == errno.ENOSPC:
      told = f"the disk is full ({error.filename or args.out})"
      sys.exit(f"error: {told}. {_FULL_LIVE if live else _FULL}")
    sys.exit(f"error: {error}")
  finally:
    signal.signal(signal.SIGTERM, stop_on_term)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m jaxpose.predict",
    description="Finds the people in a video and writes their motion in 3D.",
    epilog="Several cameras: --views A.mp4 B.mp4 --calib FILE --out DIR; see --views "
    "--help.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("video", nargs="?", help="video file, or folder of pictures")
  add("--out", required=True, help="folder for the results")
  add("--person", help="only this one, by name (0 is who was found first)")
  add("--keypoints", help="2D keypoints of another detector; default: detected here")
  add("--weights", help=f"a released name, or a path ({films.WEIGHTS})")
  add(
    "--smooth",
    default=films.SMOOTH,
    choices=person.SMOOTHINGS,
    help="over time (default: %(default)s)",
  )
  add(
    "--world",
    action=argparse.BooleanOptionalAction,
    default=True,
    help="csv and bvh upright on the ground instead of in the camera's frame",
  )
  add("--focal", type=float, help="pixels; default: as the file says, or assumed")
  add(
    "--mesh",
    nargs="?",
    const=films.MESH,
    metavar="WEIGHTS",
    help=f"body files too, with weights of GLoT ({films.MESH})",
  )
  add(
    "--formats",
    help=f"of {','.join(outputs.NAMES)}, with commas; default: all that the "
    "installed packages can write",
  )
  add("--fps", type=float, help="frames per second; a folder needs it")
  add(
    "--flip",
    action=argparse.BooleanOptionalAction,
    default=True,
    help="average with the mirror image, but for the live view; without, the lifter "
    "is twice as fast",
  )
  add("--people", type=int, help="at most so many at a time; 1 is the fastest")
  add("--detector_weights", help="folder or wheel with them; default: fetched once")
  add(
    "--live",
    nargs="?",
    const="",
    metavar="SOURCE",
    help="in the place of a video: number or path of a camera, address of a stream, or "
    "a file played at its speed; alone: write what a cut off recording left",
  )
  add("--port", type=int, help="of the page with the live view; 0 for any free one")
  add("--seconds", type=float, help="to stop the live view after")
  add("--threads", type=int, help="of the CPU; default: all, at most 4")
  add("--overwrite", action="store_true", help="replace other results in the folder")
  return parser


def _run(args: argparse.Namespace) -> films.Outcome:
  options = dict(vars(args))
  if args.formats is not None:
    options["formats"] = [name.strip() for name in args.formats.split(",")]
  live = {name: options.pop(name) for name in ("live", "port", "seconds")}
  given = [args.video is not None, live["live"] is not None]
  if sum(given) != 1:
    raise ValueError(
      f"got {'both a video and --live' if all(given) else 'no video'}, expected a "
      "video file or folder, or --live=0 for the first camera."
    )
  video = options.pop("video")
  for name in ("port", "seconds"):
    if video is not None and live[name] is not None:
      raise ValueError(f"got --{name} without --live, expected both or none of them.")
  if video is None:
    return _live(live, options)
  return films.video(video, options.pop("out"), **options)


def _tell(done: films.Outcome) -> None:
  if done.speeds:
    told = ", ".join(f"{stage} {speed:.1f}" for stage, speed in done.speeds.items())
    print(f"frames/s: {told}")
  print(f"{done.folder}: {len(done.people)} {_people(len(done.people))} in 3D")


def _live(live: dict, options: dict) -> films.Outcome:
  for name in _NOT_LIVE:
    if options.pop(name) is not None:
      raise ValueError(f"got --{name} with --live, expected it with a video alone.")
  if live["port"] is not None:
    options["port"] = live["port"]
  source, out = live["live"], options.pop("out")
  return predict_live.live(source, out, seconds=live["seconds"], **options)


def _people(count: int) -> str:
  return "person" if count == 1 else "people"


def rig_parser() -> argparse.ArgumentParser:
  """Of the options, with `--views` among them."""
  made = argparse.ArgumentParser(
    prog="python -m jaxpose.predict",
    description="Finds the people in synchronised videos of calibrated cameras and "
    "writes their motion in 3D.",
    allow_abbrev=False,
  )
  add = made.add_argument
  add("--views", nargs="+", required=True, help="a video for each camera")
  add("--calib", required=True, help=f"calibration: {formats_calibration.FILES}")
  add("--out", required=True, help="folder for the results")
  add(
    "--method",
    choices=rig_poses.METHODS,
    help="default: the lifter if there are --weights, else ransac",
  )
  add("--weights", help="of the lifter: a released name, or a path")
  add(
    "--unit",
    default="m",
    choices=tuple(formats_calibration.UNITS),
    help="of length in the calibration (default: m)",
  )
  add(
    "--up",
    default="z",
    choices=tuple(formats_calibration.UPS),
    help="axis of the calibration's world that points up (default: z)",
  )
  add("--person", help="only this one, by name (0 is who is seen the most)")
  add("--people", type=int, help="at most so many at a time in each view")
  add("--keypoints", nargs="+", help="a file of another detector for each video")
  add(
    "--smooth",
    default=camera_rig.SMOOTH,
    choices=person.SMOOTHINGS,
    help="over time (default: %(default)s)",
  )
  add(
    "--formats",
    help=f"of {','.join(outputs.NAMES)}, with commas; default: all that the "
    "installed packages can write",
  )
  add("--fps", type=float, help="frames per second; folders need it")
  add("--shortest", action="store_true", help="go as far as the shortest video")
  add("--detector_weights", help="folder or wheel with them; default: fetched once")
  add("--threads", type=int, help="of the CPU; default: all, at most 4")
  add("--overwrite", action="store_true", help="replace other results in the folder")
  return made


def run_rig(args: argparse.Namespace) -> films.Outcome:
  """What the options ask for."""
  options = dict(vars(args))
  if args.formats is not None:
    options["formats"] = [name.strip() for name in args.formats.split(",")]
  paths, calibration, out = (options.pop(key) for key in ("views", "calib", "out"))
  return camera_rig.views(paths, calibration, out, **options)
