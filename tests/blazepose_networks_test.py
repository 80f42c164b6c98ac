"""Running BlazePose's networks; the pictures themselves in blazepose_mediapipe_test."""

import pathlib
import sys

import numpy as np
import pytest

from jaxpose.detect import blazepose


def test_a_long_picture_is_looked_at_whole_and_in_squares_that_cover_it():
  views = blazepose.views(1000, 300)
  np.testing.assert_array_equal(views[0], [500, 150, 1000, 300])
  starts = [view[0] - view[2] / 2 for view in views[1:]]
  assert starts[0] == 0
  assert starts[-1] == 700
  assert max(np.diff(starts)) <= 150
  tall = [view[[1, 0, 3, 2]] for view in blazepose.views(300, 1000)]
  np.testing.assert_array_equal(tall, views)


def test_a_square_picture_is_looked_at_once():
  assert len(blazepose.views(500, 500)) == 1


def test_missing_runtime_is_told_with_the_pip_line(monkeypatch):
  monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
  monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
  with pytest.raises(ImportError, match=r"pip install 'jaxpose\[video\]'"):
    blazepose.Networks(pathlib.Path("a"), pathlib.Path("b"))


def test_no_thread_is_refused():
  with pytest.raises(ValueError, match="got threads=0, expected at least 1"):
    blazepose.Networks(pathlib.Path("a"), pathlib.Path("b"), threads=0)
