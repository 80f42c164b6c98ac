"""Following people from frame to frame, with networks that know where they are."""

import numpy as np
import pytest

from jaxpose.detect import blazepose
from jaxpose.detect.blazepose import Landmarks
from jaxpose.geometry import turned_crops

FRAME = np.zeros((4, 4, 3), np.uint8)
RADIUS = 100.0


def body(x, y):
  """The 35 points of an upright person."""
  rng = np.random.default_rng(3)
  points = np.asarray([x, y]) + rng.uniform(-0.8, 0.8, (35, 2)) * RADIUS
  points[33:] = (x, y), (x, y - RADIUS)
  return points


class Scene:
  """Networks that see people at given places: frame -> list of (x, y)."""

  def __init__(self, people, blind=()):
    self.people, self.blind, self.at = people, blind, -1
    self.looks: list[int] = []

  def find(self, frame, *, parts=False):
    self.looks.append(self.at)
    return [
      turned_crops.around(*np.asarray([(x, y), (x, y - RADIUS)], float))
      for x, y in self.people(self.at)
    ]

  def landmarks(self, frame, region):
    places = np.asarray(self.people(self.at), float).reshape(-1, 2)
    away = np.linalg.norm(places - region[:2], axis=-1)
    if not len(away) or away.min() > 0.5 * RADIUS or self.at in self.blind:
      return Landmarks(np.zeros((35, 2)), np.zeros(35, np.float32), 0.1)
    points = body(*places[away.argmin()])
    return Landmarks(points, np.full(35, 0.9, np.float32), 0.99)


def run(scene, count, tracker=None, rate=20.0, **options):
  tracker = tracker or blazepose.Tracker(scene, rate=rate, **options)
  found = []
  for _ in range(count):
    scene.at += 1
    found.append(tracker.update(FRAME))
  return found


def test_one_person_keeps_the_number_and_the_detector_runs_once():
  scene = Scene(lambda t: [(300 + 5 * t, 300)])
  found = run(scene, 30, people=1)
  assert [[p.number for p in frame] for frame in found] == [[0]] * 30
  assert scene.looks == [0]
  np.testing.assert_allclose(
    found[7][0].keypoints, body(335, 300)[:33].astype(np.float32)
  )
  np.testing.assert_allclose(found[7][0].scale, 2 * RADIUS)


def test_two_people_side_by_side_are_two():
  scene = Scene(lambda t: [(300 + 2 * t, 300), (480 - t, 310)])
  found = run(scene, 40)
  assert [[p.number for p in frame] for frame in found] == [[0, 1]] * 40
  np.testing.assert_allclose(found[39][1].keypoints[0], body(441, 310)[0], rtol=1e-6)


def test_who_comes_in_is_found_within_half_a_second_and_gets_a_new_number():
  scene = Scene(lambda t: [(300, 300)] + [(900, 300)] * (t >= 15))
  found = run(scene, 40)
  first = next(t for t, frame in enumerate(found) if len(frame) == 2)
  assert 15 <= first <= 25
  assert [p.number for p in found[first]] == [0, 1]


def test_no_more_people_than_wanted_are_followed():
  scene = Scene(lambda t: [(300, 300), (900, 300), (1500, 300)])
  assert {len(frame) for frame in run(scene, 10, people=2)} == {2}


def test_who_is_lost_for_a_moment_keeps_the_number():
  scene = Scene(lambda t: [(300, 300)], blind=range(5, 12))
  numbers = [[p.number for p in frame] for frame in run(scene, 30)]
  assert numbers == [[0]] * 5 + [[]] * 7 + [[0]] * 18


def test_who_is_lost_for_longer_than_a_second_is_somebody_new():
  scene = Scene(lambda t: [(300, 300)], blind=range(5, 40))
  numbers = [[p.number for p in frame] for frame in run(scene, 45)]
  assert numbers[4] == [0]
  assert numbers[44] == [1]


def test_who_appears_elsewhere_is_somebody_new():
  scene = Scene(lambda t: [(300, 300) if t < 10 else (1500, 300)])
  numbers = [[p.number for p in frame] for frame in run(scene, 20)]
  assert numbers == [[0]] * 10 + [[1]] * 10


def test_lost_and_found_in_the_same_frame_leaves_no_gap():
  """Faster than the region: the detector helps at once."""
  scene = Scene(lambda t: [(300 + 60 * (t >= 10), 300)])
  found = run(scene, 20, people=1)
  assert [[p.number for p in frame] for frame in found] == [[0]] * 20
  assert scene.looks == [0, 10]


def test_of_two_who_have_become_one_the_first_stays():
  scene = Scene(lambda t: [(300, 300), (max(300, 500 - 10 * t), 300)])
  found = run(scene, 40)
  assert [p.number for p in found[5]] == [0, 1]
  assert [p.number for p in found[39]] == [0]


def test_frames_with_nobody_are_empty():
  assert run(Scene(lambda t: []), 3) == [[], [], []]


def test_a_restored_tracker_goes_on_as_if_never_stopped():
  def people(t):
    second = [(900 - 4 * t, 320)] if t >= 8 else []
    return [(300 + 9 * np.sin(t), 300 + 2 * t), *second]

  whole = run(Scene(people, blind=(13, 14)), 30)
  scene = Scene(people, blind=(13, 14))
  before = blazepose.Tracker(scene, rate=20.0)
  parts = run(scene, 14, before)
  after = blazepose.Tracker(scene, rate=20.0)
  after.restore(before.state())
  parts += run(scene, 16, after)
  for a, b in zip(whole, parts, strict=True):
    assert [p.number for p in a] == [p.number for p in b]
    for p, q in zip(a, b, strict=True):
      np.testing.assert_array_equal(p.keypoints, q.keypoints)


def test_overlap_of_trunks():
  region = np.asarray([100.0, 100.0, 80.0, 0.3])
  assert blazepose.overlap(region, region) == pytest.approx(1)
  moved = np.asarray([120.0, 100.0, 80.0, 0.0])
  assert blazepose.overlap(region, moved) == pytest.approx(1 / 3)
  assert blazepose.overlap(region, np.asarray([200.0, 100.0, 80.0, 0.0])) == 0


@pytest.mark.parametrize("options", [{"rate": 0.0}, {"rate": 20.0, "people": 0}])
def test_rates_and_people_that_cannot_be_are_refused(options):
  with pytest.raises(ValueError, match=r"got rate=.* expected positive numbers"):
    blazepose.Tracker(Scene(lambda t: []), **options)
