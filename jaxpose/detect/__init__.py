"""2D keypoints of the people in a video.

Run: python -m jaxpose.detect VIDEO_OR_FOLDER --out=keypoints.npz [--person=0]

from jaxpose import detect
people = detect.video("walk.mp4")
people[0].keypoints  # (t, 33, 2) pixels, as `keypoint_files.load` gives them
people.image_size, people.fps, people.report

`keypoint_files.load` reads the file back. Rerun an interrupted command to resume it.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from jaxpose.detect import blazepose
from jaxpose.detect import blazepose_weights
from jaxpose.detect import detect_tracks
from jaxpose.detect.detect_tracks import Chunks
from jaxpose.detect.detect_tracks import Tracks
from jaxpose.files import video_files
from jaxpose.files import whole_files


class _Detector(NamedTuple):
  """Attributes: the skeleton of its keypoints; how it is opened for one video."""

  skeleton: str
  open: Callable[..., blazepose.Tracker]


def _blazepose(rate, *, weights, threads, people) -> blazepose.Tracker:
  files = blazepose_weights.files(weights)
  networks = blazepose.Networks(*files, threads)
  return blazepose.Tracker(networks, rate=rate, people=people)


# Each follows people through the frames of a video: `update(frame)` gives the people,
# `state()` and `restore(state)` are for going on after an interruption.
DETECTORS = dict(blazepose=_Detector(blazepose.SKELETON, _blazepose))


def video(
  path: str | os.PathLike,
  detector: str = "blazepose",
  *,
  person: str | int | None = None,
  people: int | None = None,
  fps: float | None = None,
  weights: str | os.PathLike | None = None,
  threads: int | None = None,
  smooth: bool = True,
  repair: bool = True,
  even: bool = True,
  work: str | os.PathLike | None = None,
  progress: bool = True,
) -> Tracks:
  """The people in a video, or in a folder of frames; who is seen longest comes first.

  Every track has all frames from its first to its last; where the person was lost, the
  keypoints and their confidence are 0.

  Args:
    path: of the video or folder.
    detector: a key of `DETECTORS`.
    person: only this one, by name ("0" is who was found first); None for all.
    people: at most so many at a time; None for all that are found. One alone is the
      fastest.
    fps: frames per second; needed for a folder, else the file's own.
    weights: folder or wheel with the detector's weights; None for the cache, which is
      filled if it has to be.
    threads: of the CPU; None for all, at most 4.
    smooth: over time, by a one-euro filter.
    repair: put left and right limbs right that change places for a short time.
    even: make a frame rate that varies constant, unless `fps` is given: keypoints are
      then of the frames of `video_files.open_source(path, even=True)`.
    work: folder for what is finished, from which an interrupted call goes on; it is
      left for the caller to delete. None keeps everything in memory.
    progress: show a bar.

  Raises:
    FileNotFoundError: no such video or weights.
    ValueError: it cannot be read, nobody is in it, or not that person; or the folder
      `work` is of another call.
    ImportError: a package that is needed is not installed.
    ConnectionError: the weights could not be fetched.
  """
  if detector not in DETECTORS:
    raise ValueError(f"got the detector {detector!r}, expected {', '.join(DETECTORS)}.")
  skeleton, open_detector = DETECTORS[detector]
  source = video_files.open_source(path, fps, even=even)
  tracker = open_detector(source.fps, weights=weights, threads=threads, people=people)
  request = dict(
    video=source.path.name,
    bytes=_bytes(source.path),
    fps=source.fps,
    image_size=list(source.image_size),
    detector=detector,
    people=people,
  )
  chunks = Chunks(None if work is None else pathlib.Path(work).expanduser(), request)
  if chunks.state is not None:
    tracker.restore(chunks.state)
  began, first = time.monotonic(), chunks.frames
  with tqdm(
    total=source.count(),
    initial=first,
    desc=source.path.name,
    unit=" frames",
    dynamic_ncols=True,
    mininterval=0.5 if sys.stderr.isatty() else 30,
    disable=not progress,
  ) as bar:
    for number, frame in source.read():
      if number < first:
        continue
      chunks.add(tracker.update(frame))
      if chunks.is_full:
        chunks.store(tracker.state())
      bar.update()
    chunks.store(tracker.state())
  speed = (chunks.frames - first) / max(time.monotonic() - began, 1e-9)
  found = detect_tracks.build(
    chunks, skeleton, source.fps, repair=repair, smooth=smooth
  )
  tracks = Tracks(found.tracks)
  tracks.image_size, tracks.fps = tuple(source.image_size), source.fps
  told = getattr(source, "evened", "")  # of videos
  tracks.report = "\n".join(text for text in (told, found.report) if text)
  tracks.speed = speed
  return tracks if person is None else tracks.only(str(person))


def _bytes(path: pathlib.Path) -> int:
  parts = sorted(path.iterdir()) if path.is_dir() else [path]
  return sum(part.stat().st_size for part in parts)


def save(path: str | os.PathLike, tracks: Tracks) -> pathlib.Path:
  """Writes an npz that `keypoint_files.load` reads, whole or not at all.

  Besides, it holds `image_size`, `fps` and `report`.

  Raises:
    FileExistsError: the file is there; it is never overwritten.
    ValueError: the name does not end in .npz.
  """
  arrays = tracks.arrays()
  return whole_files.write(
    _free(path), lambda file: np.savez_compressed(file, **arrays)
  )


def _free(path: str | os.PathLike) -> pathlib.Path:
  path = pathlib.Path(path).expanduser()
  if path.suffix != ".npz":
    raise ValueError(
      f"got the file name {path.name!r}, expected one that ends in .npz."
    )
  if path.exists():
    raise FileExistsError(
      f"{path} exists and is never overwritten; choose another --out or move it away."
    )
  return path


def main(argv: Sequence[str] | None = None) -> None:
  """The command; a mistake ends it with one sentence and exit code 1."""
  parser = argparse.ArgumentParser(
    prog="python -m jaxpose.detect",
    description="Finds people in a video and follows their 2D keypoints.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("video", help="video file, or folder of frames")
  add("--out", required=True, help="npz file for the keypoints")
  add("--detector", default="blazepose", choices=sorted(DETECTORS))
  add("--person", help="only this one, by name (0 is who was found first)")
  add("--people", type=int, help="at most so many at a time; 1 is the fastest")
  add("--fps", type=float, help="frames per second; a folder needs it")
  add("--weights", help="folder or wheel with the weights; default: fetched once")
  add("--threads", type=int, help="of the CPU; default: all, at most 4")
  add("--raw", action="store_true", help="no smoothing over time")
  add("--keep_sides", action="store_true", help="left and right as the detector has it")
  args = parser.parse_args(argv)
  stop_on_term = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    _run(args)
  except KeyboardInterrupt:
    print("stopped; the same command goes on from the finished parts.", file=sys.stderr)
    sys.exit(130)
  except (ValueError, OSError, ImportError) as error:
    sys.exit(f"error: {error}")
  finally:
    signal.signal(signal.SIGTERM, stop_on_term)


def _run(args: argparse.Namespace) -> None:
  out = _free(args.out)
  work = out.with_name(f"{out.name}.unfinished")
  tracks = video(
    args.video,
    args.detector,
    people=args.people,
    fps=args.fps,
    weights=args.weights,
    threads=args.threads,
    smooth=not args.raw,
    repair=not args.keep_sides,
    work=work,
  )
  print(tracks.report)
  save(out, tracks if args.person is None else tracks.only(args.person))
  shutil.rmtree(work)
  print(f"{out}: {tracks.speed:.1f} frames/s")
