"""From a video to keypoints: the interface and its command, with a made-up detector."""

import pathlib
import sys

import numpy as np
import pytest

from jaxpose import detect
from jaxpose.detect import blazepose_weights
from jaxpose.detect import detect_tracks
from jaxpose.files import video_files
from jaxpose.formats import keypoint_files
from jaxpose.predict import lifting
from tests.detect_chunks_test import person
from tests.frames_test import pictures


class Brightness:
  """Sees person 0 always, at the mean colour, and 1 in bright frames; counts frames."""

  frames_seen: list[float]

  def __init__(self, rate, *, weights, threads, people):
    self.options = (rate, weights, threads, people)
    self.sum = 0.0
    type(self).frames_seen = []

  def update(self, frame):
    self.frames_seen.append(float(frame[0, 0, 0]))
    self.sum += float(frame[0, 0, 0])
    return [person(0, self.sum + 1)] + [person(1, 5.0)] * int(frame[0, 0, 0] >= 50)

  def state(self):
    return {"sum": np.asarray(self.sum)}

  def restore(self, state):
    self.sum = float(state["sum"])


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
  kind = detect._Detector("blazepose33", Brightness)
  monkeypatch.setitem(detect.DETECTORS, "brightness", kind)


@pytest.fixture
def folder(tmp_path):
  return pictures(tmp_path / "walk", 12)


def found(folder, **options):
  options = dict(detector="brightness", fps=20.0, progress=False) | options
  return detect.video(folder, **options)


def test_tracks_are_as_keypoint_files_gives_them_and_carry_the_facts(folder):
  tracks = found(folder)
  assert [t.name for t in tracks] == ["0", "1"]
  assert (tracks.image_size, tracks.fps) == ((64, 48), 20.0)
  assert "12 frames, 2 people." in tracks.report
  assert tracks.speed > 0
  np.testing.assert_array_equal(tracks[1].frames, np.arange(5, 12))
  assert tracks[0].keypoints.shape == (12, 33, 2)


def test_saved_tracks_are_read_back(folder, tmp_path):
  tracks = found(folder)
  path = detect.save(tmp_path / "out" / "keypoints.npz", tracks)
  back = keypoint_files.load(path)
  assert [t.name for t in back] == ["0", "1"]
  for a, b in zip(tracks, back, strict=True):
    np.testing.assert_array_equal(a.keypoints, b.keypoints)
    np.testing.assert_array_equal(a.confidence, b.confidence)
    np.testing.assert_array_equal(a.frames, b.frames)
    assert (a.skeleton, a.joints) == (b.skeleton, b.joints)
  with np.load(path) as file:
    assert file["image_size"].tolist() == [64, 48]
    assert float(file["fps"]) == 20
  assert [p.name for p in path.parent.iterdir()] == ["keypoints.npz"]


def test_predict_takes_the_tracks(folder):
  from jaxpose import skeletons

  (track,) = found(folder, person=0)
  points = lifting.points_2d(track.keypoints, skeletons.get(track.skeleton))
  assert points.shape == (12, 33, 2)
  lifting.confidences(track.confidence, points.shape[:2])


def test_one_person_is_chosen(folder):
  (track,) = found(folder, person="1")
  np.testing.assert_allclose(track.keypoints[:, 0], 5, rtol=1e-6)
  with pytest.raises(ValueError, match="got the person '3', expected one of 0, 1"):
    found(folder, person=3)


def test_an_interrupted_call_goes_on_and_ends_the_same(folder, tmp_path, monkeypatch):
  monkeypatch.setattr(detect_tracks, "CHUNK", 5)
  whole = found(folder)
  work = tmp_path / "work"
  update, count = Brightness.update, []

  def stops(self, frame):
    count.append(0)
    if len(count) == 8:
      raise KeyboardInterrupt
    return update(self, frame)

  monkeypatch.setattr(Brightness, "update", stops)
  with pytest.raises(KeyboardInterrupt):
    found(folder, work=work)
  monkeypatch.setattr(Brightness, "update", update)
  again = found(folder, work=work)
  assert len(Brightness.frames_seen) == 7  # from frame 5 on
  for a, b in zip(whole, again, strict=True):
    np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_work_of_another_call_is_refused(folder, tmp_path):
  found(folder, work=tmp_path / "work")
  with pytest.raises(ValueError, match=r"another detection \(another fps\)"):
    found(folder, work=tmp_path / "work", fps=25.0)


def test_unknown_detector_is_refused(folder):
  with pytest.raises(ValueError, match="got the detector 'openpose', expected blazepo"):
    found(folder, detector="openpose")


def test_a_file_is_never_overwritten_and_ends_in_npz(folder, tmp_path):
  tracks = found(folder)
  path = detect.save(tmp_path / "a.npz", tracks)
  before = path.read_bytes()
  with pytest.raises(FileExistsError, match="exists and is never overwritten; choose"):
    detect.save(path, tracks)
  assert path.read_bytes() == before
  with pytest.raises(
    ValueError, match=r"got the file name 'a.json', expected one that"
  ):
    detect.save(tmp_path / "a.json", tracks)


def test_the_command_writes_the_file_and_says_the_speed(folder, tmp_path, capsys):
  out = tmp_path / "keypoints.npz"
  arguments = [str(folder), f"--out={out}", "--detector=brightness", "--fps=20"]
  detect.main([*arguments, "--person=1"])
  (track,) = keypoint_files.load(out)
  assert len(track.frames) == 7
  said = capsys.readouterr().out
  assert "12 frames, 2 people." in said
  assert "frames/s" in said.splitlines()[-1]
  assert not out.with_name("keypoints.npz.unfinished").exists()
  with pytest.raises(SystemExit, match=r"error: .* exists and is never overwritten"):
    detect.main(arguments)


def test_the_command_ends_with_one_sentence(tmp_path):
  with pytest.raises(SystemExit, match=r"error: .*absent.mp4: no such file; expected"):
    detect.main([str(tmp_path / "absent.mp4"), f"--out={tmp_path / 'a.npz'}"])


def test_a_stopped_command_says_that_it_goes_on(folder, tmp_path, monkeypatch, capsys):
  def stops(self, frame):
    raise KeyboardInterrupt

  monkeypatch.setattr(Brightness, "update", stops)
  options = [f"--out={tmp_path / 'a.npz'}", "--detector=brightness", "--fps=20"]
  with pytest.raises(SystemExit) as stopped:
    detect.main([str(folder), *options])
  assert stopped.value.code == 130
  assert "stopped; the same command goes on" in capsys.readouterr().err


def test_weights_that_are_not_there_are_told(folder):
  with pytest.raises(FileNotFoundError, match="nothing is there; expected a folder wi"):
    detect.video(folder, fps=20.0, weights="absent", progress=False)


def test_a_missing_runtime_is_told(folder, monkeypatch):
  monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
  monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
  files = lambda source: (pathlib.Path("a"), pathlib.Path("b"))  # noqa: E731
  monkeypatch.setattr(blazepose_weights, "files", files)
  with pytest.raises(ImportError, match=r"pip install 'jaxpose\[video\]'"):
    detect.video(folder, fps=20.0, progress=False)


def test_a_video_is_taken_like_a_folder(tmp_path):
  from tests.frames_test import video

  path = video(tmp_path / "walk.mp4", count=12, fps=20)
  tracks = detect.video(path, "brightness", progress=False)
  assert tracks.fps == video_files.open_source(path).fps == 20
  assert len(tracks[0].frames) == 12


def test_a_rate_that_varies_is_evened_and_told(tmp_path):
  from tests.frames_test import uneven

  path = uneven(tmp_path / "walk.mp4")
  tracks = detect.video(path, "brightness", progress=False)
  assert len(tracks[0].frames) == 12
  assert "walk.mp4 varies" in tracks.report
  plain = detect.video(path, "brightness", progress=False, even=False)
  assert len(plain[0].frames) == 8
  assert "varies" not in plain.report
