"""A camera or a stream in 3D while it runs, and as files when it ends.

from jaxpose.predict import live
done = live.live("0", "me_3d")  # the first webcam, until Ctrl-C

Each picture is the newest there is: what arrives while the last one is processed is
left out and counted, so that the delay does not grow. Keypoints are stored all the
time; at the end they become files as those of a video do, with the pictures left out
filled over time. After a power cut, `cut_off_recording` finds what was stored.
"""

import array
import datetime
import json
import os
import pathlib
import shutil
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxpose import detect
from jaxpose import skeletons
from jaxpose.detect import blazepose
from jaxpose.detect import detect_tracks
from jaxpose.detect.detect_tracks import Chunks
from jaxpose.detect.detect_tracks import Tracks
from jaxpose.geometry import cameras
from jaxpose.geometry import placement
from jaxpose.motion import smoothing
from jaxpose.motion import trajectory
from jaxpose.motion.smoothing import METHODS
from jaxpose.predict import films
from jaxpose.predict import keypoint_source
from jaxpose.predict import lifting
from jaxpose.predict import lifting as predict_lifting
from jaxpose.predict import live_draw
from jaxpose.predict import outputs
from jaxpose.predict import people as predict_people
from jaxpose.predict import person as predict_person
from jaxpose.predict import result_folder
from jaxpose.predict.keypoint_source import Log
from jaxpose.predict.lifting import LiftStream
from jaxpose.predict.live_draw import Scene
from jaxpose.predict.live_page import PORT
from jaxpose.predict.live_source import Stream
from jaxpose.predict.person import Clip
from jaxpose.predict.result_folder import Folder

Number = int | float | np.number


class Numbers:
  """Rates and delays of the pictures that were taken so far.

  Attributes:
    began: when the first picture came; None before.
  """

  def __init__(self, fps: Number, late: int):
    """Nothing was taken yet.

    Args:
      fps: frames per second of the stream.
      late: frames between the newest one and that of the pose.
    """
    self._fps, self._late, self._last = float(fps), late, -1
    self._delays = array.array("d")
    self.began: float | None = None
    self._end = 0.0

  @property
  def taken(self) -> int:
    """Number of pictures."""
    return len(self._delays)

  @property
  def span(self) -> np.ndarray:
    """Seconds from the first picture to the last, and the number of that."""
    return np.asarray([self._end - (self.began or self._end), self._last])

  def add(self, number: int, came: float, done: float) -> None:
    """A picture: its number from 0, when it came, and when its pose was there."""
    self.began = came if self.began is None else self.began
    self._end, self._last = came, number
    self._delays.append(done - came)

  def delays(self) -> tuple[float, float]:
    """Seconds from a picture to its pose: the median, and what 95 % stay below."""
    middle, most = np.percentile(self._delays, [50, 95])
    return float(middle), float(most)

  def text(self) -> str:
    """All of it in words."""
    if self.taken < 2:
      return f"{self.taken} pictures were taken."
    spent, came = max(float(self.span[0]), 1e-9), self._last + 1
    middle, most = (1000 * delay for delay in self.delays())
    text = (
      f"{came} pictures came in {spent:.1f} s ({self._last / spent:.1f} a second); "
      f"{self.taken} were taken ({(self.taken - 1) / spent:.1f} a second), "
      f"{came - self.taken} left out. Keypoints and pose were there {middle:.0f} ms "
      f"after a picture came (median; 95 %: {most:.0f} ms)."
    )
    if self._late:
      late = 1000 * self._late / self._fps
      text += (
        f" The pose is of {self._late} pictures before, for which these weights answer:"
        f" it is {middle + late:.0f} ms old."
      )
    return text


_NEAR, _FAR = 1.0, 15.0  # metres; between them a first guess of the distance lies
_HEIGHT = 1.7  # metres of somebody standing

# Of the distance from the camera, which a few pixels decide.
_DEPTH = smoothing.OneEuro(min_cutoff=0.5, beta=0.5)


class LivePerson:
  """One person, frame by frame; all of it from the frames so far.

  Attributes:
    latency: frames between the newest one and that of the pose.
    frame: number of the frame that the pose is of; None before the first pose.
    joints_3d: (j, 3) metres in the camera's frame, not relative to the root.
  """

  def __init__(
    self,
    stream: lifting.LiftStream,
    fps: float | int,
    image_size: tuple[int, int],
    focal: float | int,
    options: smoothing.OneEuro | None,
  ):
    """Somebody who was not seen yet.

    Args:
      stream: the lifter, for this person alone.
      fps: frames per second of the numbers that `push` is told.
      image_size: width and height in pixels.
      focal: length of the camera in pixels.
      options: of the smoothing; None for none.
    """
    self._stream, self._fps, self._options = stream, float(fps), options
    self._camera = trajectory.guess_intrinsics(image_size, focal)
    self.latency, joints = stream.latency, stream.skeleton.num_joints
    self._pose = smoothing.start((joints, 3))
    self._direction, self._depth = (smoothing.start((1, 3)) for _ in range(2))
    self._place: np.ndarray | None = None
    self.frame: int | None = None
    self.joints_3d: np.ndarray | None = None

  def push(
    self,
    frame: int,
    keypoints: Float[np.ndarray, "k 2"],
    confidence: Float[np.ndarray, " k"],
  ) -> bool:
    """Takes what is seen in a frame; says whether there is a new pose."""
    pose = self._stream.push(keypoints, confidence=confidence, frame=frame)
    if pose is None:
      return False
    passed = 1 if self.frame is None else pose.frame - self.frame
    self.frame, rate = pose.frame, self._fps / max(passed, 1)
    joints = np.float64(pose.joints_3d)
    place = self._found(joints, np.float64(pose.keypoints_2d), np.float64(pose.seen))
    if self._options is not None:
      self._pose, joints = smoothing.step(self._pose, joints, rate, self._options)
      far = np.asarray([[0, 0, place[2]]])
      self._direction, seen = smoothing.step(
        self._direction, place[None] / place[2], rate, self._options
      )
      self._depth, far = smoothing.step(self._depth, far, rate, _DEPTH)
      place = far[0, 2] * seen[0]
    self.joints_3d = joints + place
    return True

  def _found(self, joints, points, seen) -> np.ndarray:
    """Where the root is."""
    rays = cameras.unproject(points, self._camera)
    expected = self._place
    if expected is None:
      tall = np.ptp(rays[:, 1]) + 1e-6
      expected = np.asarray([0, 0, np.clip(_HEIGHT / tall, _NEAR, _FAR)])
    found, _ = placement.fit_robust(
      joints[None], rays[None], seen[None], expected[None]
    )
    self._place = found[0]
    return self._place


_OTHER_RATE = 0.05  # share by which a camera may miss the rate that it says
_SHORT = 2.0  # seconds that do not tell the rate


def start_recording(
  out: str | os.PathLike,
  stream: Stream,
  focal: float | int,
  fps: float | int | None,
  settings: dict,
  overwrite: bool,
) -> tuple[Folder, Chunks]:
  """A folder for a new recording, and its parts.

  Args:
    out: path of the folder.
    stream: what is recorded.
    focal: length of the camera in pixels.
    fps: frames per second that were given; None: as the stream says, or as they come.
    settings: that its files are to be made with.
    overwrite: replace results in the folder.

  Raises:
    FileExistsError: it holds something else, and `overwrite` is not said.
  """
  out = pathlib.Path(out).expanduser()
  now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
  about = dict(
    name=f"live {stream.name}",
    started=now,
    fps=stream.fps,
    fixed_fps=fps is not None or stream.paced,
    image_size=list(stream.image_size),
    focal=focal,
  )
  left = result_folder.asked(out)
  if not overwrite and _is_cut_off(out, left):
    raise FileExistsError(
      f"{out} holds a recording that was cut off; write its files with --live alone "
      f"(python -m jaxpose.predict --live --out={out}), choose another --out, or pass "
      "--overwrite."
    )
  folder = Folder(
    out, source=about, detection={}, settings=settings, overwrite=overwrite
  )
  return folder, Chunks(folder.path / result_folder.WORK, about)


def cut_off_recording(out: str | os.PathLike, settings: dict) -> tuple[Folder, Chunks]:
  """A recording whose files are not all written.

  Args:
    out: path of the folder.
    settings: that its files are to be made with; those that were made with others are
      removed.

  Raises:
    FileNotFoundError: there is none in the folder.
  """
  out = pathlib.Path(out).expanduser()
  asked = result_folder.asked(out)
  if not _is_cut_off(out, asked):
    raise FileNotFoundError(
      f"{out} holds no recording that was cut off, expected one to write the files of; "
      "to record say what, such as --live=0 for the first camera."
    )
  parts = {key: asked[key] for key in ("source", "detection")}
  work = out / result_folder.WORK
  request = json.loads((work / detect_tracks.REQUEST_FILE).read_text())
  folder = Folder(out, **parts, settings=settings, overwrite=True)
  return folder, Chunks(work, request)


def recorded_rate(
  asked: Mapping, state: Mapping[str, np.ndarray] | None
) -> tuple[float, str]:
  """Frames per second as the camera says, or as they came; and that in words.

  Args:
    asked: the source in `prediction.json`, as `start` wrote it.
    state: of the parts; `span` is seconds and number of the last frame.
  """
  said = float(asked["fps"])
  if asked["fixed_fps"] or state is None or "span" not in state:
    return said, ""
  spent, last = map(float, state["span"])
  if spent < _SHORT or abs(last / spent / said - 1) < _OTHER_RATE:
    return said, ""
  came = last / spent
  return came, (
    f"The stream says {said:g} frames a second, {came:.2f} came: the files have these."
  )


def _is_cut_off(out: pathlib.Path, asked: dict) -> bool:
  work = out / result_folder.WORK
  return "started" in asked.get("source", {}) and any(work.glob("[0-9]*.npz"))


VIEW = "lift-27-causal"  # weights of the view; files are made by those of a video
FORMATS = ("npz", "csv", "bvh", "html")  # a stream's pictures are not kept for an mp4
_FORGET = 1.0  # seconds unseen, after which somebody starts anew
_GAP = 0.25  # seconds of left out pictures that the keypoints' filter outlasts
_TELL = 10.0  # seconds between two lines of progress
_DETECTOR = "blazepose"


def live(
  source: str,
  out: str | os.PathLike,
  *,
  weights: Any = None,
  smooth: str = films.SMOOTH,
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
) -> films.Outcome:
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
  view_model = predict_lifting.lifter(weights or VIEW)
  model = predict_lifting.lifter(weights or films.WEIGHTS)
  log = Log(progress)
  lifting = dict(weights=model, smooth=smooth, world=world, flip=flip)
  used = films.named(weights or films.WEIGHTS)
  settings = lifting | dict(weights=used)
  if not source:
    folder, chunks = cut_off_recording(out, settings)
    return _written(folder, chunks, lifting, wanted, log)
  detector = detect.DETECTORS[_DETECTOR]
  with Stream(source, fps) as stream:
    length, told = keypoint_source.focal_length(stream, focal)
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
    with live_draw.View(source, port, *shape) as view:
      # After all that may fail, for it may replace what is there.
      folder, chunks = start_recording(out, stream, length, fps, settings, overwrite)
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
  numbers = Numbers(stream.fps, followed.latency)
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
  return [name for name in outputs.formats(wanted) if name in FORMATS]


def _written(folder: Folder, chunks, lifting, wanted, log: Log):
  """Files of what was recorded."""
  asked = result_folder.asked(folder.path)["source"]
  fps, told = recorded_rate(asked, chunks.state)
  log.say(told)
  if not len(chunks.rows()["frames"]):
    shutil.rmtree(folder.path / result_folder.WORK)  # there is nothing to go on with
  clip = Clip(fps, tuple(asked["image_size"]), float(asked["focal"]))
  detector = detect.DETECTORS[_DETECTOR]
  built = detect_tracks.build(
    chunks, detector.skeleton, fps, repair=True, smooth=True, gap=round(_GAP * fps)
  )
  tracks = Tracks(built.tracks)
  tracks.image_size, tracks.fps, tracks.report = clip.image_size, fps, built.report
  log.say(built.report)
  path = folder.path / result_folder.KEYPOINTS
  path.unlink(missing_ok=True)
  detect.save(path, tracks)
  folder.finish(result_folder.KEYPOINTS)
  names = predict_people.write_people(
    folder, tracks, tracks, None, clip, lifting, None, wanted, log
  )
  shutil.rmtree(folder.path / result_folder.WORK, ignore_errors=True)
  return films.Outcome(folder.path, names, "\n".join(log.lines), log.speeds())
