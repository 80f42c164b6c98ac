import numpy as np
import pytest

from jaxpose.draw import render


def blank(colour=255):
  return np.full((60, 80, 3), colour, np.uint8)


def at(*xy):
  return np.asarray(xy, float)


def test_a_tube_covers_its_area_and_nothing_else():
  image = blank()
  render.tube(image, at(20, 30), at(60, 30), (5, 5), (0, 0, 0), lit=False)
  assert (image[30, 20:61] == 0).all()
  covered = (255 - image[..., 0].astype(float)).sum() / 255
  assert covered == pytest.approx(40 * 10 + np.pi * 25, rel=0.01)  # round ends
  assert (image[:24] == 255).all()
  assert (image[:, :14] == 255).all()


def test_radii_differ_along_a_tube():
  image = blank()
  render.tube(image, at(20, 30), at(60, 30), (2, 10), (0, 0, 0), lit=False)
  widths = [(image[:, x, 0] < 128).sum() for x in (22, 40, 58)]
  assert widths[0] < widths[1] < widths[2]


def test_edges_are_blended():
  image = blank()
  render.tube(image, at(20, 10), at(60, 45), (4, 4), (0, 0, 0), lit=False)
  assert 0.05 < ((image > 0) & (image < 255)).mean() / (image == 0).mean() < 0.5


def test_light_comes_from_the_upper_left():
  image = blank()
  render.disc(image, at(40, 30), 20, (40, 120, 200))
  assert image[20, 30].sum() > image[30, 40].sum() > image[42, 52].sum()
  render.disc(image, at(40, 30), 20, (40, 120, 200), lit=False)
  assert (image[20:40, 30:50] == [40, 120, 200]).all()


def test_opacity_mixes_with_what_is_below():
  image = blank(100)
  render.disc(image, at(40, 30), 10, (200, 0, 100), opacity=0.5, lit=False)
  np.testing.assert_allclose(image[30, 40], [150, 50, 100], atol=1)


@pytest.mark.parametrize(
  ("start", "end"),
  [
    ((-50, -50), (-40, -40)),
    ((200, 30), (300, 30)),
    ((np.nan, 10), (20, 20)),
    ((np.inf, 10), (20, 20)),
  ],
)
def test_what_is_outside_or_unknown_changes_nothing(start, end):
  image = blank()
  render.tube(image, at(*start), at(*end), (5, 5), (0, 0, 0))
  assert (image == 255).all()


def test_what_reaches_over_the_edge_is_cut():
  image = blank()
  render.tube(image, at(-30, 30), at(200, 30), (5, 5), (0, 0, 0), lit=False)
  assert (image[30] == 0).all()
