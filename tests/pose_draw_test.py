"""The picture of predicted poses beside the true ones."""

import re

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.draw import pose_draw
from tests import small_data
from tests.draw_test import pixels
from tests.draw_test import share_of

H36M = skeletons.get("h36m17")
GREY = pose_draw.GHOST["color"]


@pytest.fixture(scope="module")
def data():
  return small_data.pose_data()


def test_comparison_draws_input_prediction_and_truth(data, tmp_path):
  frames = np.arange(data.num_frames)
  truth = np.asarray(data.frames["joints_3d"])
  poses = truth - truth[:, :1] + np.float32(0.02) * (frames[:, None, None] % 5)
  for columns in (1, 5):
    path = tmp_path / f"{columns}.png"
    pose_draw.comparison(path, data, poses, frames, title="small", columns=columns)
    picture = pixels(path)
    assert picture.shape == (912, round(120 * (2.1 * columns + 0.4)), 3)
    third = picture.shape[0] // 3
    for row in range(3):
      part = picture[row * third : (row + 1) * third]
      assert share_of(pose_draw.LEFT, part) > 1e-3
      assert share_of(pose_draw.RIGHT, part) > 1e-3
    assert share_of("white", picture) > 0.8


def test_comparison_shows_frames_from_best_to_worst(data, tmp_path, monkeypatch):
  frames = np.arange(0, data.num_frames, 2)
  truth = np.asarray(data.frames["joints_3d"])[frames]
  poses = truth - truth[:, :1]
  # The error of the n-th frame is n mm, for all joints but the root.
  poses[:, 1:, 2] += 1e-3 * np.arange(len(frames), dtype=np.float32)[:, None] * 17 / 16
  titles = []
  monkeypatch.setattr(
    "matplotlib.axes.Axes.set_title", lambda ax, text, **_: titles.append(text)
  )
  pose_draw.comparison(tmp_path / "a.png", data, poses, frames, columns=3)
  shown = [int(re.search(r"(\d+) mm", title)[1]) for title in titles]
  last = len(frames) - 1
  assert shown == [round(0.05 * last), round(0.5 * last), round(0.95 * last)]
  runs = data.run_of_frame[frames[shown]]
  assert [t.split("\n")[0] for t in titles] == [data.views[r].action for r in runs]


def test_comparison_survives_a_useless_prediction(data, tmp_path):
  frames = np.arange(data.num_frames)
  for scale in (0.0, 100.0):
    poses = np.full((len(frames), 17, 3), scale, np.float32)
    poses[:, ::2] *= -1
    pose_draw.comparison(tmp_path / f"{scale}.png", data, poses, frames)
    assert share_of(pose_draw.FLOOR, pixels(tmp_path / f"{scale}.png")) > 1e-3


def test_comparison_refuses_poses_of_other_frames_or_joints(data, tmp_path):
  frames = np.arange(4)
  for shape in ((3, 17, 3), (4, 15, 3)):
    with pytest.raises(ValueError, match=r"expected \(4, 17, 3\) for the skeleton"):
      pose_draw.comparison(tmp_path / "a.png", data, np.zeros(shape), frames)
  with pytest.raises(ValueError, match="got NaN or infinite joints"):
    pose_draw.comparison(tmp_path / "a.png", data, np.full((4, 17, 3), np.nan), frames)
  with pytest.raises(ValueError, match="with at least one frame"):
    pose_draw.comparison(tmp_path / "a.png", data, np.zeros((0, 17, 3)), frames[:0])
  assert not list(tmp_path.iterdir())
