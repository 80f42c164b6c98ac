import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from jaxpose import skeletons
from jaxpose.draw import pose_draw
from tests import small_data

H36M = skeletons.get("h36m17")
GREY = pose_draw.GHOST["color"]


@pytest.fixture
def motion() -> np.ndarray:
  """(10, 17, 3) camera-frame joints: y down."""
  return small_data.motion(10)[..., [0, 2, 1]] * np.float32([1, -1, 1])


def pixels(path, frame: int = 0) -> np.ndarray:
  with Image.open(path) as image:
    image.seek(frame)
    return np.asarray(image.convert("RGB"), int)


def share_of(color: str, picture: np.ndarray) -> float:
  distance = np.abs(picture - 255 * np.asarray(to_rgb(color))).max(-1)
  return float((distance < 12).mean())


def axes_of(width: float = 4.0):
  figure = Figure(figsize=(width, 4))
  ax = figure.add_axes((0, 0, 1, 1))
  ax.set(xlim=(-2, 2), ylim=(-2, 2))
  return figure, ax


def test_bones_are_blue_at_the_left_and_orange_at_the_right():
  colors = dict(zip(H36M.bones, pose_draw.bone_colors(H36M), strict=True))
  bone = {child: color for (_, child), color in colors.items()}
  assert bone[H36M.index("left_knee")] == pose_draw.LEFT
  assert bone[H36M.index("right_wrist")] == pose_draw.RIGHT
  assert bone[H36M.index("spine")] == pose_draw.MIDDLE


def test_projection_keeps_up_up_and_turns_about_the_body():
  axes = np.eye(3)  # x right, y down, z forward
  front = pose_draw.project(axes, 0.0)
  np.testing.assert_allclose(front[0], [1, 0, 0], atol=1e-12)
  assert front[1, 1] < -0.9  # down on the page
  assert front[2, 2] > 0.9  # away from the eye
  side = pose_draw.project(axes, 90.0)
  np.testing.assert_allclose(side[2], [1, 0, 0], atol=1e-12)
  assert side[0, 2] < -0.9  # the camera's right is near
  for azimuth in (0.0, 37.0):
    page = pose_draw.project(axes, azimuth)
    np.testing.assert_allclose(page @ page.T, np.eye(3), atol=1e-12)


def test_near_bones_cover_far_ones(motion):
  pose = motion[0].copy()
  left, right = list(H36M.left), list(H36M.right)
  pose[left], pose[right] = pose[right], pose[right] + np.float32([0, 0, 1])
  pose[left, 2] -= 1
  shown = {}
  for azimuth in (0.0, 180.0):
    _, ax = axes_of()
    pose_draw.skeleton_3d(ax, pose, H36M, azimuth=azimuth)
    colors = np.round(ax.collections[-1].get_colors()[:, :3], 3).tolist()
    shown[azimuth] = colors
    assert len(colors) == len(H36M.bones)
  blue = np.round(to_rgb(pose_draw.LEFT), 3).tolist()
  last = {a: len(c) - 1 - c[::-1].index(blue) for a, c in shown.items()}
  first = {a: c.index(blue) for a, c in shown.items()}
  assert last[0.0] == len(H36M.bones) - 1  # the left side is near: drawn last
  assert first[180.0] == 0  # and far from behind: drawn first


def test_image_points_are_drawn_with_y_down_and_without_nan(tmp_path):
  points = np.zeros((17, 2))
  points[H36M.index("head")] = [0.5, -1.0]
  points[H36M.index("left_foot")] = np.nan
  figure, ax = axes_of()
  pose_draw.skeleton_2d(ax, points, H36M)
  ends = np.concatenate(ax.collections[0].get_segments())
  assert [0.5, 1.0] in ends.tolist()
  figure.savefig(tmp_path / "a.png")
  assert share_of(pose_draw.MIDDLE, pixels(tmp_path / "a.png")) > 1e-3
  assert share_of(pose_draw.LEFT, pixels(tmp_path / "a.png")) == 0


def test_an_animation_plays_at_the_speed_of_life(motion, tmp_path):
  path = tmp_path / "motion.gif"
  clip = np.tile(motion, (3, 1, 1))
  for fps, frames, delay in ((50.0, 15, 40), (30.0, 25, 40), (10.0, 30, 100)):
    pose_draw.animation(path, clip, H36M, fps=fps)
    with Image.open(path) as image:
      lengths = []
      for frame in range(image.n_frames):
        image.seek(frame)
        lengths.append(image.info["duration"])
    # Neighbours that look alike may be stored as one longer frame.
    assert sum(lengths) == frames * delay, fps
    assert sum(lengths) / 1000 == pytest.approx(len(clip) / fps, abs=0.04)


def test_an_animation_moves_and_shows_what_it_is_given(motion, tmp_path):
  path = tmp_path / "motion.gif"
  pose_draw.animation(path, motion, H36M, title="walk", fps=25.0)
  first, later = pixels(path), pixels(path, 5)
  assert first.shape == (390, 640, 3)
  assert (first != later).mean() > 1e-3
  assert share_of(pose_draw.LEFT, first) > 1e-3
  points = motion[..., :2] * 100
  points[2:4, 5] = np.nan
  truth = motion + np.float32(0.1)
  pose_draw.animation(path, motion, H36M, keypoints_2d=points, truth=truth, fps=25.0)
  picture = pixels(path)
  assert picture.shape == (390, 960, 3)
  assert share_of(pose_draw.LEFT, picture[:, :320]) > 1e-3
  dashes, none = share_of(GREY, picture[:340, 320:]), share_of(GREY, first[:340])
  assert dashes > none + 1e-3


def test_keypoints_may_be_of_another_skeleton(motion, tmp_path):
  coco = skeletons.get("coco17")
  lsp = skeletons.get("lsp14")
  points = np.random.default_rng(0).uniform(0, 500, (10, 14, 2))
  path = tmp_path / "motion.gif"
  pose_draw.animation(path, motion, H36M, keypoints_2d=points, keypoints_skeleton=lsp)
  assert share_of(pose_draw.RIGHT, pixels(path)[:, :320]) > 1e-3
  with pytest.raises(
    ValueError, match=r"expected \(10, 17, 2\) for the skeleton 'coco"
  ):
    pose_draw.animation(
      path, motion, H36M, keypoints_2d=points, keypoints_skeleton=coco
    )


def test_one_frame_and_a_still_body_can_be_animated(motion, tmp_path):
  pose_draw.animation(tmp_path / "one.gif", motion[:1], H36M)
  assert share_of(pose_draw.LEFT, pixels(tmp_path / "one.gif")) > 1e-3
  pose_draw.animation(
    tmp_path / "flat.gif", 0 * motion, H36M, keypoints_2d=0 * motion[..., 1:]
  )
  assert share_of("white", pixels(tmp_path / "flat.gif")) > 0.8


def test_an_animation_takes_the_place_of_the_old_one_when_it_is_whole(
  motion, tmp_path, monkeypatch
):
  path = tmp_path / "motion.gif"
  path.write_bytes(b"old")

  def cut(path, *arguments):
    path.write_bytes(b"half")
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(pose_draw, "write_movie", cut)
    with pytest.raises(KeyboardInterrupt):
      pose_draw.animation(path, motion, H36M)
  assert path.read_bytes() == b"old"
  assert list(tmp_path.iterdir()) == [path]
  pose_draw.animation(path, motion, H36M)
  assert share_of(pose_draw.LEFT, pixels(path)) > 1e-3


def test_animations_that_cannot_be_written_are_refused(motion, tmp_path):
  def refused(sentence, joints=motion, name="a.gif", **kwargs):
    with pytest.raises(ValueError, match=re.escape(sentence)):
      pose_draw.animation(tmp_path / name, joints, H36M, **kwargs)
    assert not list(tmp_path.iterdir())

  refused("got the file 'a.avi', expected one ending in .gif or .mp4", name="a.avi")
  refused("got fps=0, expected a positive frame rate", fps=0)
  refused("expected (frames, 17, 3) for the skeleton 'h36m17'", motion[:, :15])
  refused("with at least one frame", motion[:0])
  refused("got NaN or infinite joints", motion * np.nan)
  refused("(9, 17, 2), expected (10, 17, 2)", keypoints_2d=motion[:9, :, :2])
  refused("(9, 17, 3), expected (10, 17, 3)", truth=motion[:9])
  refused("got NaN or infinite joints", keypoints_2d=motion[..., :2] * np.nan)
