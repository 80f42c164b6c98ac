"""Anchors, decoding and suppression of BlazePose's person detector."""

import numpy as np

from jaxpose.detect import blazepose
from jaxpose.detect.blazepose import SIZE


def outputs(*people, count=2254):
  """The network's outputs: (anchor, logit, box in units, points in units) each."""
  raw = np.zeros((count, 12), np.float32)
  logits = np.full(count, -200, np.float32)
  for anchor, logit, box, points in people:
    centre = blazepose.anchors()[anchor]
    raw[anchor, :4] = (*(np.asarray(box[:2]) - centre), *box[2:])
    raw[anchor, 4:] = (np.asarray(points) - centre).ravel()
    logits[anchor] = logit
  return SIZE * raw, logits


POINTS = np.asarray([(0.5, 0.6), (0.5, 0.2), (0.5, 0.4), (0.5, 0.1)])


def test_there_are_2254_anchors_by_rows_of_each_grid():
  anchors = blazepose.anchors()
  assert anchors.shape == (2254, 2)
  half = 0.5 / 28
  np.testing.assert_allclose(
    anchors[:3], [(half, half), (half, half), (3 * half, half)]
  )
  first_of_16, first_of_32 = 28 * 28 * 2, 28 * 28 * 2 + 14 * 14 * 2
  np.testing.assert_allclose(anchors[first_of_16], 0.5 / 14)
  np.testing.assert_allclose(anchors[first_of_32 : first_of_32 + 6], 0.5 / 7)
  np.testing.assert_allclose(anchors[-1], 6.5 / 7)


def test_a_person_comes_back_as_it_was_put_in():
  found = blazepose.decode(*outputs((1000, 2.0, (0.5, 0.1, 0.1, 0.1), POINTS)))
  np.testing.assert_allclose(found.points, POINTS[None], atol=1e-6)
  np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-2)), rtol=1e-6)


def test_who_is_not_sure_enough_is_not_there():
  box = (0.5, 0.1, 0.1, 0.1)
  found = blazepose.decode(*outputs((1000, -0.1, box, POINTS)))
  assert found.points.shape == (0, 4, 2)
  found = blazepose.decode(*outputs((1000, -0.1, box, POINTS)), 0.4)
  assert found.points.shape == (1, 4, 2)


def test_one_face_found_twice_is_one_person_at_the_mean_by_score():
  box, moved = (0.5, 0.1, 0.1, 0.1), (0.51, 0.1, 0.1, 0.1)
  people = (1000, 3.0, box, POINTS), (1002, 1.0, moved, POINTS + 0.02)
  found = blazepose.decode(*outputs(*people))
  strong, weak = 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1))
  want = POINTS + 0.02 * weak / (strong + weak)
  np.testing.assert_allclose(found.points, want[None], atol=1e-6)
  np.testing.assert_allclose(found.scores, [strong], rtol=1e-6)


def test_two_faces_apart_are_two_people_surest_first():
  left, right = (0.2, 0.1, 0.1, 0.1), (0.8, 0.1, 0.1, 0.1)
  shift = np.asarray([0.3, 0])
  people = (900, 1.0, left, POINTS - shift), (1000, 4.0, right, POINTS + shift)
  found = blazepose.decode(*outputs(*people))
  np.testing.assert_allclose(found.points[:, 0, 0], [0.8, 0.2], atol=1e-6)


def test_boxes_without_area_do_not_hang_the_suppression():
  empty = np.zeros((3, 4))
  found = blazepose.suppress(np.asarray([0.9, 0.8, 0.7]), empty, np.zeros((3, 4, 2)))
  assert len(found.scores) == 3


def test_overlap_is_intersection_over_union():
  box = np.asarray([0.0, 0.0, 2.0, 2.0])
  others = np.asarray([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [0, 0, 1, 1]], float)
  want = [1, 1 / 3, 0, 1 / 4]
  np.testing.assert_allclose(blazepose.overlaps(box, others), want)


def test_sigmoid_of_large_numbers_is_finite():
  large = np.asarray([-1e4, 0, 1e4], np.float32)
  with np.errstate(over="raise"):
    got = blazepose.sigmoid(large)
  np.testing.assert_allclose(got, [0, 0.5, 1], atol=1e-9)
