"""Pictures of videos: which, and how they are straightened."""

import dataclasses
import pathlib
import types

import numpy as np
import pytest

from jaxpose.data import view_records
from jaxpose.geometry import cameras
from multiview_folder import films
from tests import benchmark_writer


def test_the_lens_is_the_releases_own_and_not_opencvs():
  """A point near the corner, 7 pixels off, and 14 by OpenCV's formula."""
  camera = benchmark_writer.rig(("a",), ((400, 400),))[0]
  lens = camera.intrinsics.astype(np.float64)
  lens[:2], lens[2:4], lens[7:] = 300, 200, [0.03, 0.05]
  source = types.SimpleNamespace(path=pathlib.Path("a.mp4"), image_size=(400, 400))
  new = films.lens(
    dataclasses.replace(camera, intrinsics=lens.astype(np.float32)), source, 400
  )
  point = np.array([[0.5, 0.45, 1.0]])
  bent, straight = cameras.project(point, lens)[0], 200 + 300 * point[0, :2]
  assert np.linalg.norm(bent - straight) > 7
  np.testing.assert_allclose(new.points(bent), straight, atol=1e-3)
  image = np.zeros((400, 400, 3), np.uint8)
  x, y = np.rint(bent).astype(int)
  image[y - 4 : y + 5, x - 4 : x + 5] = 255
  white = np.stack(np.nonzero(new.picture(image)[..., 0] > 127)[::-1], -1)
  assert len(white) > 50
  assert np.abs(white.mean(0) - straight).max() < 1


def test_a_video_that_ends_early_is_refused():
  class Short:
    path = pathlib.Path("a.mp4")

    def read(self, wanted):
      return iter([(0, np.zeros((4, 4, 3), np.uint8))])

  pictures = films._in_turn([Short()], [None], np.array([0, 5]))
  next(pictures)
  with pytest.raises(
    ValueError, match=r"a\.mp4: got fewer frames that can be decoded th"
  ):
    next(pictures)


def test_boxes_are_larger_than_the_joints_and_skip_unknown_ones():
  points = np.array([[[0.0, 0], [10, 40], [np.nan, np.nan]]])
  points = np.concatenate([points, np.full_like(points, np.nan)])
  expected = [[5, 20, 11.5, 46], [np.nan] * 4]
  np.testing.assert_allclose(films.round_joints(points), expected)


class Numbered:
  """Pictures of two pixels a side; each is as grey as its number."""

  path = pathlib.Path("a.mp4")

  def read(self, wanted):
    for i in np.flatnonzero(wanted):
      yield i, np.full((2, 2, 3), 5 * i, np.uint8)


class Straight:
  def picture(self, image):
    return image


def test_clips_of_a_take_are_about_equally_long_and_in_order():
  numbers = np.arange(0, 34, 2)
  sources, lenses = [Numbered(), Numbered()], [Straight(), Straight()]
  found = list(films.clips(sources, lenses, numbers, 8))
  assert [len(numbers[part]) for part, _ in found] == [6, 6, 5]
  grey = [
    view_records.decode(one).getpixel((0, 0))[0] for _, some in found for one in some
  ]
  np.testing.assert_allclose(grey, 5 * np.repeat(numbers, 2), atol=2)


@pytest.mark.parametrize(
  ("counts", "expected"), [((12, 9), 9), ((12, 30), 12), ((110, 2), 2)]
)
def test_what_all_have_is_taken(counts, expected):
  sources = [types.SimpleNamespace(count=lambda exact=False, n=n: n) for n in counts]
  assert films.count(12, sources, 50) == expected


@pytest.mark.parametrize("frames", [113, 1])
def test_other_numbers_of_frames_are_refused(frames):
  source = types.SimpleNamespace(path="a.mp4", count=lambda exact=False: frames)
  message = (
    rf"a\.mp4: got {frames} frames of video and 12 of poses, expected at most 10"
  )
  with pytest.raises(ValueError, match=message):
    films.count(12, [source], 50)
