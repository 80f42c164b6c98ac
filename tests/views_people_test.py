"""Who is who in several views."""

import dataclasses
import warnings

import numpy as np
import pytest

from jaxpose.detect.detect_tracks import Tracks
from jaxpose.predict import rig_people
from tests import small_views
from tests.small_views import track


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
  return small_views.opened(small_views.scene(tmp_path_factory.mktemp("views")))


@pytest.fixture(scope="module")
def pair(rig):
  """Recorded pixels of two people, of whom the second is seen a little less."""
  places = ((0.0, 0.0), (0.3, 1.2))
  return [small_views.seen(small_views.walker(p), rig, 0.5) for p in places]


def test_people_are_found_whatever_their_tracks_are_called(rig, pair):
  one, other = pair
  views = []
  for v in range(4):
    both = [track(one[:, v], "3"), track(other[2:, v], "7", 2)]
    views.append(Tracks(both if v % 2 else both[::-1]))
  found = rig_people.associate(views, rig)
  assert [p.name for p in found.people] == ["0", "1"]
  assert found.people[0].parts == (("3",),) * 4
  assert found.people[1].parts == (("7",),) * 4
  assert not found.people[1].confidence[:2].any()
  assert found.people[1].confidence[2:].all()
  assert "Person 1 is in the views: cam0 7, cam1 7, cam2 7, cam3 7." in found.report
  undistorted = rig.lenses[2].points(np.float64(one[:, 2]))
  np.testing.assert_allclose(found.people[0].pixels[:, 2], undistorted, atol=1e-3)


def test_a_track_of_somebody_else_is_left_out(rig, pair):
  views = small_views.tracks(pair[0])
  views[3] = Tracks([track(pair[1][:, 3])])
  found = rig_people.associate(views, rig)
  assert found.people[0].parts == (("0",), ("0",), ("0",), ())
  assert "Left out, as no other view shows the same: 1" in found.report
  assert "cam3 nobody" in found.report
  assert "cam3 shows nobody of them: see whether its calibration" in found.report
  forced = rig_people.alone(views, rig)
  other = rig.lenses[3].points(np.float64(pair[1][:, 3]))
  np.testing.assert_allclose(forced.pixels[:, 3], other, atol=1e-3)
  views[3].append(track(pair[1][:, 3] + 9, "1"))
  assert rig_people.alone(views, rig) is None


def test_pieces_of_one_person_in_a_view_are_put_together(rig, pair):
  views = small_views.tracks(pair[0])
  pieces = [track(pair[0][:6, 1], "0"), track(pair[0][8:, 1], "4", 8)]
  views[1] = Tracks(pieces)
  (person,) = rig_people.associate(views, rig).people
  assert person.parts[1] == ("0", "4")
  there = person.confidence[:, 1].any(-1)
  np.testing.assert_array_equal(np.flatnonzero(~there), [6, 7])


def test_two_people_of_one_view_are_never_one(rig, pair):
  views = small_views.tracks(pair[0])
  again = track(pair[0][:, 1] + 1.0, "9")  # a ghost beside the person
  views[1] = Tracks([track(pair[0][:, 1]), again])
  people = rig_people.associate(views, rig).people
  assert all(len(p.parts[1]) <= 1 for p in people)


def test_nobody_in_two_views_is_told(rig, pair):
  views = [Tracks([track(pair[0][:, 0])]), *(Tracks() for _ in range(3))]
  with pytest.raises(ValueError, match="got nobody whom two views agree on"):
    rig_people.associate(views, rig)


def test_views_of_several_skeletons_are_refused(rig, pair):
  views = small_views.tracks(pair[0])
  other = views[0][0].__class__(
    "0", np.arange(3), np.zeros((3, 17, 2)), np.ones((3, 17)), "coco17"
  )
  views[1] = Tracks([other])
  with pytest.raises(ValueError, match="keypoints of coco17, h36m17, expected those"):
    rig_people.associate(views, rig)


def test_a_wrong_unit_makes_giants_of_people_and_is_refused(rig, pair):
  lenses = []
  for lens in rig.lenses:
    one = 1000 * lens.camera.position
    copied = object.__new__(type(lens))
    copied.__dict__ |= lens.__dict__
    copied.camera = dataclasses.replace(lens.camera, position=one)
    lenses.append(copied)
  with pytest.raises(ValueError, match="its unit and the order of the cameras too"):
    rig_people.associate(small_views.tracks(pair[0]), rig._replace(lenses=lenses))


def test_size_is_that_of_the_keypoints_seen():
  pixels = np.zeros((1, 1, 6, 2))
  pixels[0, 0, :, 1] = [0, 10, 20, 30, 40, 500]
  sure = np.ones((1, 1, 6))
  sure[..., 5] = 0.1
  assert rig_people.sizes(pixels, sure) == [[40]]
  sure[..., :2] = 0
  assert rig_people.sizes(pixels, sure) == [[0]]


def test_views_that_share_few_keypoints_say_nothing(rig, pair):
  tracks = []
  for v, seen in enumerate((slice(0, 11), slice(7, 17))):
    confidence = np.zeros((small_views.FRAMES, 17))
    confidence[:, seen] = 0.9
    pixels = rig.lenses[v].points(np.float64(pair[0][:, v]))
    tracks.append((v, None, pixels, confidence))
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    assert rig_people.disagreement(*tracks, rig) == np.inf
