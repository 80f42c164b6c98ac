"""The picture of a live view."""

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.draw import stage
from jaxpose.predict.live_draw import LiveDrawing
from jaxpose.predict.live_draw import Scene
from jaxpose.predict.live_draw import View
from tests.stage_test import standing

H36M = skeletons.get("h36m17")
SIZE = (320, 180)
# From z up to the camera's frame.
TO_CAMERA = np.asarray([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def someone(x=0.0):
  return standing() @ TO_CAMERA + [x, 1.0, 4.0]


def frame():
  return np.full((90, 160, 3), 60, np.uint8)


def points():
  return np.random.default_rng(0).uniform(20, 70, (17, 2))


def test_the_frame_is_at_the_left_and_people_at_the_right():
  drawing = LiveDrawing(H36M, H36M, SIZE)
  plain = drawing.draw(Scene(frame(), [], []))
  assert plain.shape == (180, 320, 3)
  assert plain.dtype == np.uint8
  assert (plain[90, 20] == 60).all()
  assert (plain[:, 200:] == stage.BACKGROUND).all()
  drawn = drawing.draw(Scene(frame(), [points()], [someone(), someone(1.0)]))
  assert (drawn[:, :180] != plain[:, :180]).any()
  right = drawn[:, 190:].astype(int)
  blue = (right[..., 2] - right[..., 0] > 60).sum()
  orange = (right[..., 0] - right[..., 2] > 60).sum()
  assert min(blue, orange) > 20


def test_the_eye_stays_for_small_steps_and_follows_a_walk():
  drawing = LiveDrawing(H36M, H36M, SIZE)
  drawing.draw(Scene(frame(), [], [someone()]))
  first = drawing._view
  drawing.draw(Scene(frame(), [], [someone(0.3)]))
  assert drawing._view is first
  for _ in range(60):
    drawing.draw(Scene(frame(), [], [someone(2.0)]))
  moved = drawing._view.target - first.target
  assert 1.2 < moved[0] < 2.1
  # With nobody there the empty stage stays.
  empty = drawing.draw(Scene(frame(), [], []))
  assert (empty[:, 190:] == drawing._empty[:, 190 - 186 :]).all()


def test_feet_are_on_the_floor():
  drawing = LiveDrawing(H36M, H36M, SIZE)
  for lift in (0.0, 0.5, 0.5):
    placed = drawing._upright(someone()[None] - [0, lift, 0], 0.04)
  assert placed[..., 2].min() > 0.08 + 0.4  # a jump is seen
  for _ in range(30):
    placed = drawing._upright(someone()[None] + [0, 0.5, 0], 0.04)
  assert placed[..., 2].min() == pytest.approx(0.08, abs=0.01)


def test_nothing_is_drawn_while_nobody_looks():
  with View("camera", 0, H36M, H36M) as view:
    assert view.told.startswith("The live view is at http://127.0.0.1:")
    view.show(Scene(frame(), [], []))
    view.tell("a line")
    assert view._page.told == "a line"
    assert view._scenes.count == 0
  with View("camera", None, H36M, H36M) as view:
    view.show(Scene(frame(), [], []))
    view.tell("a line")
    assert view.told == ""
