"""Frames as they come; the streams are files played at their speed."""

import pathlib
import subprocess
import time

import numpy as np
import pytest

from jaxpose.predict import live_source
from jaxpose.predict.live_source import Stream
from jaxpose.predict.live_source import input_options
from tests.frames_test import SIZE
from tests.frames_test import video


def test_a_file_is_played_at_its_speed_and_a_slow_reader_is_never_behind(tmp_path):
  path = video(tmp_path / "walk.mp4", 60, fps=30)
  with Stream(str(path)) as stream:
    assert (stream.fps, stream.image_size, stream.paced) == (30.0, SIZE, True)
    time.sleep(0.3)  # who opens a file and then loads a network misses nothing
    numbers, ages, began = [], [], time.monotonic()
    while found := stream.newest(numbers[-1] if numbers else -1):
      number, shot = found
      ages.append(time.monotonic() - shot.time)
      assert abs(shot.frame.mean() - 20 * (number % 12)) < 5
      numbers.append(number)
      time.sleep(0.15)
    assert 59 / 30 <= time.monotonic() - began < 20
    assert stream.ended
    assert stream.count == 60
  assert numbers[0] == 0
  assert numbers[-1] == 59
  assert len(numbers) < 30
  # All frames in a queue would be seconds late at the end.
  assert np.median(ages[-5:]) < 0.15


def test_closing_leaves_no_process_behind(tmp_path):
  stream = Stream(str(video(tmp_path / "walk.mp4", 60, fps=10)))
  stream.newest(-1)
  stream.close()
  assert stream._process.poll() is not None
  assert not any(thread.is_alive() for thread in stream._threads)
  assert stream.newest(stream.count) is None


def test_a_given_rate_is_taken(tmp_path):
  with Stream(str(video(tmp_path / "walk.mp4", 3)), fps=50) as stream:
    assert stream.fps == 50


def test_what_gives_no_picture_is_told_in_a_sentence(tmp_path, monkeypatch):
  pytest.importorskip("imageio_ffmpeg", reason="needs jaxpose[video]")
  with pytest.raises(FileNotFoundError, match="no such file or camera; expected the n"):
    Stream(str(tmp_path / "walk.mp4"))
  (tmp_path / "notes.mp4").write_text("no video at all")
  with pytest.raises(ValueError, match=r"ffmpeg got no picture from it \(.*Invalid"):
    Stream(str(tmp_path / "notes.mp4"))


def test_a_silent_stream_is_told(tmp_path, monkeypatch):
  monkeypatch.setattr(live_source, "_PATIENCE", 0.3)
  monkeypatch.setattr(Stream, "_read", lambda self: None)
  with pytest.raises(ValueError, match="got no picture within 0 seconds, expected a s"):
    Stream(str(video(tmp_path / "walk.mp4", 3)))


def test_a_stream_without_a_rate_is_refused(tmp_path, monkeypatch):
  path = str(video(tmp_path / "walk.mp4", 3))
  monkeypatch.setattr(Stream, "_listen", lambda self: self._told.set())
  with pytest.raises(ValueError, match="does not say its frame rate; give it with"):
    Stream(path)


def test_a_picture_of_another_size_ends_it(tmp_path):
  with Stream(str(video(tmp_path / "walk.mp4", 30))) as stream:
    stream.image_size = (10, 20)
    with pytest.raises(ValueError, match=r"got a picture of \(64, 48\) pixels, exp"):
      stream.newest(-1)


def test_each_system_has_its_way_to_a_camera(tmp_path, monkeypatch):
  monkeypatch.setattr(pathlib.Path, "exists", lambda path: True)
  linux = input_options("1", "ffmpeg", "linux")
  assert linux[:2] == ["-f", "v4l2"]
  assert linux[-2:] == ["-i", "/dev/video1"]
  mac = input_options("0", "ffmpeg", "darwin")
  assert mac[:2] == ["-f", "avfoundation"]
  assert mac[-1] == "0:none"
  listed = b"""[dshow @ 1] "Front Camera" (video)
[dshow @ 1]   Alternative name "@device_pnp_1"
[dshow @ 1] "Microphone" (audio)
[dshow @ 1] "HD Webcam" (video)
"""
  told = subprocess.CompletedProcess([], 1, b"", listed)
  monkeypatch.setattr(subprocess, "run", lambda *_, **__: told)
  windows = input_options("1", "ffmpeg", "win32")
  assert windows[:2] == ["-f", "dshow"]
  assert windows[-1] == "video=HD Webcam"
  with pytest.raises(FileNotFoundError, match="got the camera 2, expected one of"):
    input_options("2", "ffmpeg", "win32")


def test_addresses_devices_and_files_are_told_apart(tmp_path):
  address = input_options("rtsp://camera/1", "ffmpeg")
  assert address[-1] == "rtsp://camera/1"
  assert "tcp" in address
  assert "nobuffer" in address
  assert input_options("/dev/null", "ffmpeg")[:2] == ["-f", "v4l2"]
  (tmp_path / "walk.mp4").touch()
  file = str(tmp_path / "walk.mp4")
  assert input_options(file, "ffmpeg") == ["-i", file]
  with pytest.raises(FileNotFoundError, match="/dev/video97: no such camera; expected"):
    input_options("97", "ffmpeg", "linux")
