"""A live view from a made-up camera and detector to files, by the released lifter."""

import dataclasses
import functools
import socket
import time

import numpy as np
import pytest

from jaxpose import detect
from jaxpose.detect import blazepose
from jaxpose.formats import keypoint_files
from jaxpose.formats import pose_files
from jaxpose.predict import films
from jaxpose.predict import lifting
from jaxpose.predict import live
from jaxpose.predict import live_source
from jaxpose.predict import outputs
from jaxpose.predict import result_folder
from jaxpose.weights import pretrained
from tests import small_video

FPS = 50.0
MANY = 90  # pictures


@pytest.fixture(scope="module")
def scene(tiny_data_dir, tmp_path_factory):
  found = small_video.scene(tiny_data_dir, tmp_path_factory.mktemp("scene") / "walk")
  there_and_back = np.concatenate([found.pixels, found.pixels[::-1]])
  return found._replace(pixels=np.tile(there_and_back, (4, 1, 1)))


class Camera(live_source.Stream):
  """In the place of `live_source.Stream`; a picture's number is in its corner."""

  paced = False
  fps, image_size = FPS, small_video.SIZE

  def __init__(self, source, fps=None, count=MANY, stop=None):
    self.name, self._count, self._stop, self._began = source, count, stop, None

  def newest(self, after, seconds=None):
    now = time.monotonic()
    self._began = self._began or now
    number = max(after + 1, min(int((now - self._began) * FPS), self._count - 1))
    if after + 1 == self._stop:
      raise KeyboardInterrupt
    if self._stop:
      number = after + 1
    if number >= self._count:
      return None
    came = self._began + number / FPS
    time.sleep(max(came - now, 0))
    frame = np.zeros((*small_video.SIZE[::-1], 3), np.uint8)
    frame[0, 0, 0] = number
    return number, live_source.Shot(came, frame)

  def __enter__(self):
    return self

  def __exit__(self, *_):
    pass


class Tracker:
  """Finds who is in the scene, slowly."""

  def __init__(self, pixels, seconds):
    self._pixels, self._seconds, self.taken = pixels, seconds, []

  def update(self, frame):
    time.sleep(self._seconds)
    self.taken.append(int(frame[0, 0, 0]))
    if self._pixels is None:
      return []
    points = np.float32(self._pixels[self.taken[-1]])
    return [blazepose.Person(0, points, np.full(17, 0.9, np.float32), 200.0)]

  def state(self):
    return {}


@pytest.fixture
def run(scene, tmp_path, monkeypatch):
  def run(slow=0.0, seen=True, camera=Camera, source="0", **options):
    tracker = Tracker(scene.pixels if seen else None, slow)
    opened = detect._Detector("h36m17", lambda *_, **__: tracker)
    monkeypatch.setitem(detect.DETECTORS, "blazepose", opened)
    monkeypatch.setattr(live, "Stream", camera)
    options = dict(formats=["npz", "csv"], progress=False, port=None) | options
    return live.live(source, tmp_path / "out", **options), tracker

  return run


def test_weights_that_answer_late_say_so(run):
  done, _ = run(slow=0.1, weights="lift-27")
  assert "The pose is of 13 pictures before, for which these" in done.report


def test_weights_of_another_frame_rate_are_late_by_as_much_time(run):
  weights = pretrained.load("lift-27")
  weights = dataclasses.replace(weights, info=weights.info | dict(fps=100.0))
  done, _ = run(slow=0.1, weights=weights)
  assert "The pose is of 7 pictures before, for which these" in done.report


def test_a_slow_detector_leaves_pictures_out_and_is_never_late(run, tmp_path):
  done, tracker = run(slow=0.1)
  assert done.people == ["0"]
  taken = tracker.taken
  assert taken[0] == 0
  assert len(taken) < MANY / 3  # 5 pictures come while one is worked on
  poses = pose_files.load(tmp_path / "out/person_0/poses.npz")
  assert len(poses.joints_3d) == taken[-1] + 1
  assert (tmp_path / "out/person_0/poses.csv").exists()
  assert f"{len(taken)} were taken" in done.report
  assert f"{taken[-1] + 1 - len(taken)} left out" in done.report
  # With a queue the last of 90 pictures would be late by 7 s.
  told = done.report.partition("were there ")[2]
  assert 100 <= float(told.split()[0]) < 1500
  assert "pictures before" not in done.report  # the view's weights are causal
  assert {"live", "3D", "npz"} <= set(done.speeds)
  # Where a picture was taken, its keypoints are kept; the others are filled over time.
  kept = keypoint_files.load(tmp_path / "out/keypoints.npz")[0]
  assert set(kept.frames[(kept.confidence > 0).all(1)]) == set(taken)
  assert not (tmp_path / "out" / result_folder.WORK).exists()


def test_files_are_averaged_with_the_mirror_image_and_the_view_is_not(
  run, scene, tmp_path, monkeypatch
):
  made = []

  def view(*args, **options):
    made.append(options)
    return lifting.LiftStream(*args, **options)

  monkeypatch.setattr(live, "LiftStream", view)
  run(camera=functools.partial(Camera, stop=30), smooth="none")
  found = pose_files.load(tmp_path / "out/person_0/poses.npz").joints_3d
  keypoints = keypoint_files.load(tmp_path / "out/keypoints.npz")[0]
  lifted = lifting.lift(
    keypoints.keypoints,
    image_size=small_video.SIZE,
    weights=films.WEIGHTS,
    skeleton="h36m17",
    confidence=keypoints.confidence,
    flip=True,
  )
  np.testing.assert_allclose(found - found[:, :1], lifted.joints_3d, atol=1e-5)
  assert made
  assert not any(options.get("flip") for options in made)


def test_the_poses_are_those_of_the_scene(run, scene, tmp_path):
  run(camera=functools.partial(Camera, count=60), smooth="none")
  poses = pose_files.load(tmp_path / "out/person_0/poses.npz")
  relative = poses.joints_3d[:24] - poses.joints_3d[:24, :1]
  error = np.linalg.norm(relative - scene.truth[: len(relative)], axis=-1).mean()
  assert error < 0.25 * np.linalg.norm(scene.truth, axis=-1).mean()


def test_an_interruption_ends_it_and_the_files_are_written(run, tmp_path):
  done, tracker = run(camera=functools.partial(Camera, stop=40))
  assert done.people == ["0"]
  poses = pose_files.load(tmp_path / "out/person_0/poses.npz")
  assert len(poses.joints_3d) == tracker.taken[-1] + 1 == 40


def test_some_seconds_are_enough(run):
  _, tracker = run(seconds=0.6)
  assert 0.3 * FPS < tracker.taken[-1] <= 0.6 * FPS + 1


def test_a_stream_that_stands_still_ends_with_the_seconds(run):
  class Still(Camera):
    def newest(self, after, seconds=None):
      if after + 1 < 30:
        return super().newest(after)
      assert 0 < seconds < 1
      time.sleep(seconds)

  _, tracker = run(camera=Still, seconds=1.0)
  assert tracker.taken[-1] >= 29


def test_what_came_before_a_stream_failed_becomes_files(run):
  class Turned(Camera):
    def newest(self, after, seconds=None):
      if after + 1 >= 40:
        raise ValueError("got a picture of another size.")
      return super().newest(after, seconds)

  with pytest.raises(ValueError, match="of another size"):
    run(camera=Turned)
  assert run(source="")[0].people == ["0"]


def test_a_port_that_is_taken_replaces_nothing(run, tmp_path):
  run(camera=functools.partial(Camera, count=30))
  before = (tmp_path / "out/person_0/poses.npz").read_bytes()
  with socket.socket() as other:
    other.bind(("127.0.0.1", 0))
    other.listen()
    with pytest.raises(OSError, match="cannot be used for the live page"):
      run(port=other.getsockname()[1], overwrite=True)
  assert (tmp_path / "out/person_0/poses.npz").read_bytes() == before


def test_a_recording_that_was_cut_off_becomes_files_later(run, tmp_path, monkeypatch):
  monkeypatch.setattr("jaxpose.detect.detect_tracks.CHUNK", 20)

  def power_cut(*_):
    raise SystemExit

  follow = live._written
  monkeypatch.setattr(live, "_written", power_cut)
  with pytest.raises(SystemExit):
    run()
  monkeypatch.setattr(live, "_written", follow)
  assert any((tmp_path / "out" / result_folder.WORK).glob("0*.npz"))
  assert not (tmp_path / "out/person_0").exists()
  with pytest.raises(
    FileExistsError, match="a recording that was cut off; write its f"
  ):
    run()
  done, tracker = run(source="")
  assert not tracker.taken
  assert done.people == ["0"]
  assert len(pose_files.load(tmp_path / "out/person_0/poses.npz").joints_3d) > 60
  with pytest.raises(
    FileNotFoundError, match="no recording that was cut off, expected"
  ):
    run(source="")
  with pytest.raises(FileExistsError, match="or it has changed; choose another --out"):
    run()
  assert run(overwrite=True)[0].people == ["0"]


def test_files_of_other_options_are_made_again_when_going_on(
  run, tmp_path, monkeypatch
):
  write = outputs.write

  def stopped(path, person, form, *rest):
    if form == "csv":
      raise KeyboardInterrupt
    return write(path, person, form, *rest)

  monkeypatch.setattr(outputs, "write", stopped)
  camera = functools.partial(Camera, stop=30)
  with pytest.raises(KeyboardInterrupt):
    run(camera=camera, smooth="none", flip=False)
  monkeypatch.setattr(outputs, "write", write)
  poses, folder = tmp_path / "out/person_0/poses.npz", tmp_path / "out"
  before = pose_files.load(poses).joints_3d
  settings = result_folder.asked(folder)["settings"]
  assert settings == dict(weights="lift-27", smooth="none", world=True, flip=False)
  run(source="", smooth="none")
  assert np.abs(pose_files.load(poses).joints_3d - before).max() > 1e-4
  assert result_folder.asked(folder)["settings"] == settings | dict(flip=True)
  assert (folder / "person_0/poses.csv").exists()


def test_nobody_is_told_and_the_folder_is_free_again(run, tmp_path):
  with pytest.raises(
    ValueError, match="frames without a person, expected at least one"
  ):
    run(seen=False)
  assert not (tmp_path / "out" / result_folder.WORK).exists()
  assert run()[0].people == ["0"]


@pytest.mark.parametrize(
  ("options", "sentence"),
  [
    (dict(formats=["mp4"]), "got the format 'mp4' for a live stream, whose pictures"),
    (dict(formats=["c3d"]), "got the format 'c3d', expected npz, csv, bvh, mp4, html"),
    (dict(smooth="much"), "got the smoothing 'much', expected one_euro, one_euro_str"),
    (dict(focal=-1.0), "got focal=-1.0, expected a number above 0"),
  ],
)
def test_wrong_options_are_refused(run, tmp_path, options, sentence):
  with pytest.raises(ValueError, match=sentence):
    run(**options)
  assert not (tmp_path / "out").exists()


def test_a_camera_that_is_slower_than_it_says_is_found_out():
  asked = dict(fps=30.0, fixed_fps=False)
  rate, told = live.recorded_rate(asked, dict(span=np.asarray([10.0, 150])))
  assert rate == 15
  assert "The stream says 30 frames a second, 15.00 came" in told
  assert live.recorded_rate(asked, dict(span=np.asarray([10.0, 297]))) == (30, "")
  assert live.recorded_rate(asked, dict(span=np.asarray([1.0, 15]))) == (30, "")
  assert live.recorded_rate(asked, None) == (30, "")
  fixed = asked | dict(fixed_fps=True)
  assert live.recorded_rate(fixed, dict(span=np.asarray([10.0, 150]))) == (30, "")
