"""A camera or a stream in 3D while it runs, and as files when it ends.

from jaxpose import predict_live
done = predict_live.live("0", "me_3d")  # the first webcam, until Ctrl-C

Each picture is the newest there is: what comes while the last one is worked on is left
out, so that the delay does not grow. The keypoints are stored all the time; at the end
they become files as those of a video do, with the pictures left out filled over time.
"""

import os
import shutil
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpose import blazepose
from jaxpose import detect
from jaxpose import detect_tracks
from jaxpose import live_numbers
from jaxpose import live_recording
from jaxpose import live_view
from jaxpose import predict_folder
from jaxpose import predict_inputs
from jaxpose import predict_outputs
from jaxpose import predict_people
from jaxpose import predict_person
from jaxpose import predict_source
from jaxpose import predict_video
from jaxpose import skeletons
from jaxpose.detect_tracks import Tracks
from jaxpose.lift_stream import LiftStream
from jaxpose.live_draw import Scene
from jaxpose.live_page import PORT
from jaxpose.live_person import LivePerson
from jaxpose.live_source import Stream
from jaxpose.predict_folder import Folder
from jaxpose.predict_person import Clip
from jaxpose.predict_source import Log
from jaxpose.smoothing import METHODS

VIEW = "lift-27-causal"  # weights of the view; files are made by those of a video
FORMATS = ("npz", "csv", "bvh", "html")  # a stream's pictures are not kept for an mp4
_FORGET = 1.0  # seconds unseen, after which somebody starts anew
_GAP = 0.25  # seconds of left out pictures that the keypoints' filter outlasts
_TELL = 10.0  # seconds between two lines of progress
_DETECTOR = "blazepose"

Number = int | float | np.number


def live(
  source: str,
  out: str | os.PathLike,
  *,
  weights: Any = None,
  smooth: str = predict_video.SMOOTH,
  world: bool = True,
  focal: Number | None = None,
  formats: Sequence[str] | None = None,
  fps: float | None = None,
  flip: bool = True,
  people: int | None = None,
  detector_weights: str | os.PathLike | None = None,
  threads: int | None = None,
  overwrite: bool = False,
  progress: bool = True,
  port: int | None = PORT,
  seconds: Number | None = None,
) -> predict_video.Outcome:
  """What a camera sees in 3D, until Ctrl-C, the end, or for some seconds.

  Args:
    source: see `live_source.Stream`; empty: only write what a recording that was cut
      off left in `out`.
    out: folder for the files.
    weights: for `predict.lift`; None: `VIEW` for the view, and for the files what
      videos are lifted with.
    smooth: of the files; the view has the one-euro filter, or none with "none".
    world: put csv and bvh upright on the ground, where that can be told.
    focal: length of the camera in pixels; None: assumed.
    formats: of `FORMATS`; None for all that can be written.
    fps: frames per second; None: as the stream says.
    flip: average the files' poses with those of the mirrored input; the view's are
      not, to be there sooner.
    people: at most so many at a time are followed; one alone is the fastest.
    detector_weights: see `detect.video`; so is the next.
    threads: of the CPU.
    overwrite: replace results in the folder.
    progress: print what is done.
    port: of the page with the live view, see `live_page`; None: no page.
    seconds: to stop after.

  Raises:
    FileNotFoundError: no such camera, file, weights or recording.
    FileExistsError: `out` holds something else, and `overwrite` is not said.
    ValueError: no picture comes, nobody was found, or an option is wrong.
    ImportError: a package that is needed is not installed.
    OSError: the port is taken.
  """
  wanted = _formats(formats)
  if smooth not in predict_person.SMOOTHINGS:
    raise ValueError(
      f"got the smoothing {smooth!r}, expected {', '.join(predict_person.SMOOTHINGS)}."
    )
  for name, value in (("focal", focal), ("fps", fps), ("seconds", seconds)):
    if value is not None and not 0 < value < np.inf:
      raise ValueError(f"got {name}={value}, expected a number above 0.")
  view_model = predict_inputs.lifter(weights or VIEW)
  model = predict_inputs.lifter(weights or predict_video.WEIGHTS)
  log = Log(progress)
  lifting = dict(weights=model, smooth=smooth, world=world, flip=flip)
  used = predict_video.named(weights or predict_video.WEIGHTS)
  settings = lifting | dict(weights=used)
  if not source:
    folder, chunks = live_recording.cut_off(out, settings)
    return _written(folder, chunks, lifting, wanted, log)
  detector = detect.DETECTORS[_DETECTOR]
  with Stream(source, fps) as stream:
    length, told = predict_source.focal_length(stream, focal)
    tracker = detector.open(
      stream.fps, weights=detector_weights, threads=threads, people=people
    )
    clip = Clip(stream.fps, tuple(stream.image_size), length)
    options = None if smooth == "none" else METHODS["one_euro"]

    def lifter() -> LivePerson:
      lifts = LiftStream(
        view_model,
        image_size=clip.image_size,
        skeleton=detector.skeleton,
        fps=clip.fps,
        focal=clip.focal,
      )
      return LivePerson(lifts, clip.fps, clip.image_size, clip.focal, options)

    followed = _Followed(lifter, clip.fps)
    shape = skeletons.get(detector.skeleton), view_model.skeleton
    with live_view.View(source, port, *shape) as view:
      # After all that may fail, for it may replace what is there.
      folder, chunks = live_recording.start(
        out, stream, length, fps, settings, overwrite
      )
      log.say(told)
      log.say(view.told)
      log.say("Recording; Ctrl-C ends it and writes the files.")
      _follow(stream, tracker, chunks, followed, view, seconds, log)
  return _written(folder, chunks, lifting, wanted, log)


class _Followed:
  """The people in front of the camera, each with a lifter."""

  def __init__(self, lifter, fps: float):
    self._lifter, self._fps = lifter, fps
    self._spare = [lifter()]  # compiled before the first picture
    self.latency = self._spare[0].latency
    self._known: dict[int, LivePerson] = {}
    self._seen: dict[int, int] = {}

  def push(self, frame: int, people: Sequence[blazepose.Person]) -> list[np.ndarray]:
    """The poses of those who are there and have one."""
    for number in [n for n, f in self._seen.items() if self._lost(frame - f)]:
      del self._known[number], self._seen[number]
    poses = []
    for person in people:
      if person.number not in self._known:
        new = self._spare.pop() if self._spare else self._lifter()
        self._known[person.number] = new
      self._seen[person.number] = frame
      known = self._known[person.number]
      if known.push(frame, person.keypoints, person.confidence):
        poses.append(known.joints_3d)
    return poses

  def _lost(self, frames: int) -> bool:
    return frames > _FORGET * self._fps


def _follow(stream, tracker, chunks, followed, view, seconds, log: Log) -> None:
  """The loop over the pictures, until the end or an interruption."""
  numbers = live_numbers.Numbers(stream.fps, followed.latency)
  last, told = -1, time.monotonic()
  first = None
  try:
    while found := stream.newest(
      last if first is None else last + first, _left(seconds, numbers.began)
    ):
      number, shot = found
      first = number if first is None else first
      if seconds is not None and shot.time - (numbers.began or shot.time) > seconds:
        break
      people = tracker.update(shot.frame)
      for _ in range(number - first - last - 1):
        chunks.add([])
      chunks.add(people)
      last = number - first
      poses = followed.push(last, people)
      now = time.monotonic()
      numbers.add(last, shot.time, now)
      view.show(Scene(shot.frame, [_drawn(p) for p in people], poses))
      if chunks.is_full:
        chunks.store(tracker.state() | dict(span=numbers.span))
      if now - told > _TELL:
        told = now
        view.tell(numbers.text())
        if log.show:
          print(numbers.text(), flush=True)
  except KeyboardInterrupt:
    pass  # the end that was asked for
  finally:  # what came is kept, whatever ends it
    chunks.store(tracker.state() | dict(span=numbers.span))
  log.say(numbers.text())
  if numbers.taken > 1:
    log.add("live", numbers.taken, numbers.span[0])


def _left(seconds: Number | None, began: float | None) -> float | None:
  """Of `seconds`; so that a stream that stands still ends too."""
  if seconds is None or began is None:
    return None
  return max(began + float(seconds) - time.monotonic(), 0.0)


def _drawn(person: blazepose.Person) -> np.ndarray:
  sure = person.confidence >= predict_person.MIN_CONFIDENCE
  return np.where(sure[:, None], person.keypoints, np.nan)


def _formats(wanted: Sequence[str] | None) -> list[str]:
  if wanted is not None and "mp4" in wanted:
    raise ValueError(
      "got the format 'mp4' for a live stream, whose pictures are not kept, expected "
      f"{', '.join(FORMATS)}; record the stream and give the file as VIDEO."
    )
  return [name for name in predict_outputs.formats(wanted) if name in FORMATS]


def _written(folder: Folder, chunks, lifting, wanted, log: Log):
  """Files of what was recorded."""
  asked = predict_folder.asked(folder.path)["source"]
  fps, told = live_recording.rate(asked, chunks.state)
  log.say(told)
  if not len(chunks.rows()["frames"]):
    shutil.rmtree(folder.path / predict_folder.WORK)  # there is nothing to go on with
  clip = Clip(fps, tuple(asked["image_size"]), float(asked["focal"]))
  detector = detect.DETECTORS[_DETECTOR]
  built = detect_tracks.build(
    chunks, detector.skeleton, fps, repair=True, smooth=True, gap=round(_GAP * fps)
  )
  tracks = Tracks(built.tracks)
  tracks.image_size, tracks.fps, tracks.report = clip.image_size, fps, built.report
  log.say(built.report)
  path = folder.path / predict_folder.KEYPOINTS
  path.unlink(missing_ok=True)
  detect.save(path, tracks)
  folder.finish(predict_folder.KEYPOINTS)
  names = predict_people.write(
    folder, tracks, tracks, None, clip, lifting, None, wanted, log
  )
  shutil.rmtree(folder.path / predict_folder.WORK, ignore_errors=True)
  return predict_video.Outcome(folder.path, names, "\n".join(log.lines), log.speeds())
