"""Frames as they come; the streams are files played at their speed."""

import contextlib
import functools
import http.server
import pathlib
import threading
import time
import types

import numpy as np
import pytest

from jaxpose.files import video_files
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


def test_a_stream_from_an_address_is_read_as_it_comes(tmp_path):
  video(tmp_path / "walk.ts", 300, fps=30)
  serve = functools.partial(
    http.server.SimpleHTTPRequestHandler, directory=str(tmp_path)
  )
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Stream(f"http://127.0.0.1:{server.server_port}/walk.ts") as stream:
      assert (stream.fps, stream.image_size, stream.paced) == (30.0, SIZE, False)
      number = -1
      while found := stream.newest(number):
        number, shot = found
      assert 0 < number < 300  # what is looked at to know the stream is not kept
      assert shot.frame.mean() == pytest.approx(20 * (299 % 12), abs=5)
    server.shutdown()


def test_closing_leaves_no_thread_behind(tmp_path):
  stream = Stream(str(video(tmp_path / "walk.mp4", 60, fps=10)))
  stream.newest(-1)
  stream.close()
  assert not stream._thread.is_alive()
  assert stream.newest(stream.count) is None


def test_a_given_rate_is_taken(tmp_path):
  with Stream(str(video(tmp_path / "walk.mp4", 3)), fps=50) as stream:
    assert stream.fps == 50


def test_what_gives_no_picture_is_told_in_a_sentence(tmp_path, monkeypatch):
  pytest.importorskip("av", reason="needs jaxpose[video]")
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
  silent = types.SimpleNamespace(average_rate=None, base_rate=None)
  opened = contextlib.nullcontext(silent)
  frame = video_files.pyav().VideoFrame(*SIZE, "rgb24")
  monkeypatch.setattr(video_files, "opened", lambda **_: opened)
  monkeypatch.setattr(video_files, "decoded", lambda _: iter([frame]))
  with pytest.raises(ValueError, match="does not say its frame rate; give it with"):
    Stream(path)


def test_a_picture_of_another_size_ends_it(tmp_path):
  with Stream(str(video(tmp_path / "walk.mp4", 30))) as stream:
    stream.image_size = (10, 20)
    with pytest.raises(ValueError, match=r"got a picture of \(64, 48\) pixels, exp"):
      stream.newest(-1)


def test_each_system_has_its_way_to_a_camera(monkeypatch):
  av = pytest.importorskip("av", reason="needs jaxpose[video]")
  monkeypatch.setattr(pathlib.Path, "exists", lambda path: True)
  linux = input_options("1", "linux")
  assert (linux["format"], linux["name"]) == ("v4l2", "/dev/video1")
  mac = input_options("0", "darwin")
  assert (mac["format"], mac["name"]) == ("avfoundation", "0:none")
  listed = [
    av.device.DeviceInfo("@device_pnp_1", "Front Camera", False, ["video"]),
    av.device.DeviceInfo("@device_cm_1", "Microphone", True, ["audio"]),
    av.device.DeviceInfo("@device_pnp_2", "HD Webcam", False, ["video"]),
  ]
  monkeypatch.setattr(av.device, "enumerate_input_devices", lambda _: listed)
  windows = input_options("1", "win32")
  assert (windows["format"], windows["name"]) == ("dshow", "video=@device_pnp_2")
  with pytest.raises(FileNotFoundError, match="got the camera 2, expected one of"):
    input_options("2", "win32")


def test_addresses_devices_and_files_are_told_apart(tmp_path):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  address = input_options("rtsp://camera/1")
  assert address["name"] == "rtsp://camera/1"
  assert address["options"]["rtsp_transport"] == "tcp"
  assert address["options"]["fflags"] == "nobuffer"
  assert input_options("/dev/null")["format"] == "v4l2"
  (tmp_path / "walk.mp4").touch()
  file = tmp_path / "walk.mp4"
  assert input_options(str(file)) == dict(name=f"file:{file}")
  with pytest.raises(FileNotFoundError, match="/dev/video97: no such camera; expected"):
    input_options("97", "linux")
