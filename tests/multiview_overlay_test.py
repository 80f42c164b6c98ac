"""Poses are drawn where they are, on the pictures of their frames."""

import dataclasses
import sys

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from jaxpose.draw import pose_draw
from jaxpose.draw import view_draw
from jaxpose.formats import view_poses
from tests import small_multiview

FRAMES = 6


def poses(**changes) -> view_poses.MultiviewPoses:
  joints, ring = small_multiview.joints(FRAMES), small_multiview.rig()
  points = np.stack([small_multiview.project(c, joints) for c in ring], 1)
  found = view_poses.MultiviewPoses(
    keypoints_2d=np.float32(points),
    scores=np.ones((FRAMES, 3, 17), np.float32),
    present=np.ones((FRAMES, 3), bool),
    joints_3d=np.float32(joints - joints[:, :1]),
    root_3d=np.float32(joints[:, 0]),
    valid=np.ones(FRAMES, bool),
    skeleton=small_multiview.SKELETON,
    cameras=("cam0", "cam1", "cam2"),
    axes="world",
    fps=25.0,
    report="",
  )
  return dataclasses.replace(found, **changes)


class Reader:
  """Pictures, each frame in a grey of its own."""

  def __init__(self):
    self.asked = []

  def __call__(self, wanted):
    for frame in np.flatnonzero(wanted):
      self.asked.append(int(frame))
      yield [np.full((60, 80, 3), 20 * frame, np.uint8)] * 3


def share(pixels, color) -> float:
  near = np.abs(pixels[..., :3].astype(int) - np.rint(255 * np.array(color))) < 12
  return float(near.all(-1).mean())


def drawn(path) -> np.ndarray:
  with Image.open(path) as picture:
    return np.asarray(picture.convert("RGB"))


def test_a_picture_shows_frames_from_first_to_last(tmp_path):
  reader = Reader()
  view_draw.overlay_picture(tmp_path / "a.png", poses(), reader, columns=3)
  assert reader.asked == [0, 2, 5]
  pixels = drawn(tmp_path / "a.png")
  for frame in reader.asked:
    assert share(pixels, [20 * frame / 255] * 3) > 0.02
  for color in (pose_draw.LEFT, pose_draw.RIGHT):
    assert share(pixels, mpl.colors.to_rgb(color)) > 1e-3


def test_2d_poses_lie_on_their_joints_and_missing_views_have_none(tmp_path):
  present = np.ones((FRAMES, 3), bool)
  present[:, 1] = False
  unknown = np.full((FRAMES, 17, 3), np.nan, np.float32)
  keypoints = np.full((FRAMES, 3, 17, 2), 70.0, np.float32)
  keypoints[:, 0] = [8.0, 50.0] + 3 * np.random.default_rng(0).random((17, 2))
  found = poses(present=present, keypoints_2d=keypoints, joints_3d=unknown)
  view_draw.overlay_picture(tmp_path / "a.png", found, Reader(), columns=1)
  pixels = drawn(tmp_path / "a.png")
  left = (
    np.abs(pixels.astype(int) - 255 * np.array(mpl.colors.to_rgb(pose_draw.LEFT))) < 12
  )
  rows, columns = np.nonzero(left.all(-1))
  height, width, _ = pixels.shape
  # The first of five rows of panels: low in the picture, at its left.
  assert 0.12 * height < rows.min()
  assert rows.max() < 0.2 * height
  assert columns.max() < 0.35 * width


def test_an_animation_shows_every_frame_on_its_picture(tmp_path):
  reader = Reader()
  view_draw.overlay_animation(tmp_path / "a.gif", poses(axes="camera cam0"), reader)
  assert reader.asked == list(range(FRAMES))
  with Image.open(tmp_path / "a.gif") as movie:
    assert movie.n_frames == FRAMES
    for frame in (0, 3):
      movie.seek(frame)
      assert share(np.asarray(movie.convert("RGB")), [20 * frame / 255] * 3) > 0.05


def test_files_that_cannot_be_written_are_refused_before_the_work(
  tmp_path, monkeypatch
):
  view_draw.require_writer(tmp_path / "a.png")
  with pytest.raises(ValueError, match=r"expected one ending in \.gif or \.mp4"):
    view_draw.require_writer(tmp_path / "a.avi")
  monkeypatch.setitem(sys.modules, "av", None)
  with pytest.raises(ImportError, match="written by PyAV, which is not installed"):
    view_draw.require_writer(tmp_path / "a.mp4")
