"""Figures that move."""

import os
import re
import stat
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxpose.draw import pose_draw
from jaxpose.files import frames

FRAMES = 6


def shades(width: float = 1.6, height: float = 0.9):
  """A figure of one grey, frame k that of 40 k, and what sets it."""
  figure = Figure(figsize=(width, height), dpi=100)

  def show(frame: int) -> None:
    figure.set_facecolor(str(40 * frame / 255))

  return figure, show


def fake_ffmpeg(folder, monkeypatch):
  """In ffmpeg's place: keeps its arguments and the raw pictures that it is given."""
  fake = folder / "ffmpeg"
  fake.write_text('#!/bin/sh\necho "$@" > "$0.arguments"\nexec cat > "$0.raw"\n')
  fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
  monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
  monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
  return fake


def test_an_mp4_gets_every_frame_with_even_sides(tmp_path, monkeypatch):
  fake = fake_ffmpeg(tmp_path, monkeypatch)
  pose_draw.write_movie(tmp_path / "a.mp4", *shades(1.61, 0.91), FRAMES, 30.0)
  arguments = fake.with_suffix(".arguments").read_text()
  assert "-s 160x90" in arguments
  assert "-r 30 " in arguments
  assert str(tmp_path / "a.mp4") in arguments
  raw = np.fromfile(fake.with_suffix(".raw"), np.uint8).reshape(FRAMES, 90, 160, 3)
  for frame, picture in enumerate(raw):
    np.testing.assert_array_equal(np.unique(picture), [40 * frame])


def test_an_mp4_can_be_read_again(tmp_path):
  pytest.importorskip("imageio_ffmpeg", reason="needs jaxpose[video]")
  pose_draw.write_movie(tmp_path / "a.mp4", *shades(), FRAMES, 30.0)
  video = frames.open_source(tmp_path / "a.mp4")
  assert (video.fps, video.image_size) == (30.0, (160, 90))
  found = [picture.mean() for _, picture in video.read()]
  np.testing.assert_allclose(found, 40 * np.arange(FRAMES), atol=4)


def test_what_cannot_be_written_is_refused(tmp_path, monkeypatch):
  pose_draw.check_movie(tmp_path / "a.gif")
  sentence = "got the file 'a.avi', expected one ending in .gif or .mp4."
  with pytest.raises(ValueError, match=re.escape(sentence)):
    pose_draw.check_movie(tmp_path / "a.avi")
  monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
  monkeypatch.setenv("PATH", str(tmp_path))
  with pytest.raises(ImportError, match=r"run pip install 'jaxpose\[video\]'"):
    pose_draw.check_movie(tmp_path / "a.mp4")
