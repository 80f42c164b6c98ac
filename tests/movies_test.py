"""Figures that move."""

import re
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxpose.draw import pose_draw
from jaxpose.files import video_files

FRAMES = 6


def shades(width: float = 1.6, height: float = 0.9):
  """A figure of one grey, frame k that of 40 k, and what sets it."""
  figure = Figure(figsize=(width, height), dpi=100)

  def show(frame: int) -> None:
    figure.set_facecolor(str(40 * frame / 255))

  return figure, show


def test_an_mp4_gets_every_frame_with_even_sides(tmp_path):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  pose_draw.write_movie(tmp_path / "a.mp4", *shades(1.61, 0.91), FRAMES, 30.0)
  video = video_files.open_source(tmp_path / "a.mp4")
  assert (video.fps, video.image_size) == (30.0, (160, 90))
  found = [picture.mean() for _, picture in video.read()]
  np.testing.assert_allclose(found, 40 * np.arange(FRAMES), atol=4)


def test_what_cannot_be_written_is_refused(tmp_path, monkeypatch):
  pose_draw.check_movie(tmp_path / "a.gif")
  sentence = "got the file 'a.avi', expected one ending in .gif or .mp4."
  with pytest.raises(ValueError, match=re.escape(sentence)):
    pose_draw.check_movie(tmp_path / "a.avi")
  monkeypatch.setitem(sys.modules, "av", None)
  with pytest.raises(ImportError, match=r"run pip install 'jaxpose\[video\]'"):
    pose_draw.check_movie(tmp_path / "a.mp4")
