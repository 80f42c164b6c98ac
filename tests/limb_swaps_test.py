"""Left and right that change places."""

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.motion import limb_swaps

SKELETON = skeletons.get("blazepose33")
RATE = 30.0


def walker(count=90):
  """A person seen from the front who moves a little; left is right in the picture."""
  rng = np.random.default_rng(0)
  points = np.zeros((33, 2))
  for j, name in enumerate(SKELETON.joints):
    height = 0 if "shoulder" in name else 150 if "hip" in name else 80
    height = 300 if any(p in name for p in ("ankle", "heel", "foot")) else height
    side = 60 if name.startswith("left") else -60 if name.startswith("right") else 0
    points[j] = 400 + side + 5 * rng.normal(), 100 + height + 5 * rng.normal()
  way = np.linspace(0, 60, count)[:, None, None] * (1, 0)
  return points + way, np.full((count, 33), 0.9)


def pairs(group):
  names = [p for p in limb_swaps.GROUPS[group] if f"left_{p}" in SKELETON.joints]
  return np.asarray(
    [[SKELETON.index(f"{s}_{p}") for p in names] for s in ("left", "right")]
  )


def swap(points, group, frames):
  wrong = points.copy()
  a, b = pairs(group)
  rows = np.asarray(frames)[:, None]
  wrong[rows, a], wrong[rows, b] = points[rows, b], points[rows, a]
  return wrong


@pytest.mark.parametrize("group", limb_swaps.GROUPS)
def test_a_short_exchange_is_undone_and_counted(group):
  points, sure = walker()
  frames = range(20, 31)
  done = limb_swaps.repair(swap(points, group, frames), sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, points)
  assert np.flatnonzero(done.swapped[group]).tolist() == list(frames)
  assert f"put right: {group} in 11 frames (20-30)." in done.report()


def test_confidence_goes_with_its_point():
  points, sure = walker()
  sure[:, SKELETON.index("left_knee")] = 0.5
  wrong = swap(points, "legs", [40, 41])
  shown = swap(sure[..., None], "legs", [40, 41])[..., 0]
  done = limb_swaps.repair(wrong, shown, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.confidence, sure)


def test_single_frames_back_and_forth_are_undone():
  points, sure = walker()
  wrong = swap(points, "arms", [10, 12, 14])
  done = limb_swaps.repair(wrong, sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, points)


def test_what_is_right_is_left_alone():
  points, sure = walker()
  done = limb_swaps.repair(points, sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, points)
  assert done.report() == "No short exchange of left and right was found."


def test_a_lasting_change_is_left_and_said():
  points, sure = walker(120)
  wrong = swap(points, "legs", range(40, 120))
  wrong = swap(wrong, "arms", range(40, 120))  # the whole body turned round
  done = limb_swaps.repair(wrong, sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, wrong)
  text = done.report(first=1000)
  assert (
    "Sides change for longer, and were left, at frame: arms 1040; legs 1040." in text
  )


def test_a_stretch_longer_than_what_is_round_it_is_put_right_by_the_shoulders():
  points, sure = walker(40)
  wrong = swap(points, "legs", range(8, 33))
  done = limb_swaps.repair(wrong, sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, points)
  assert done.left["legs"] == []


def test_a_stretch_of_the_whole_body_longer_than_what_is_round_it_is_left():
  points, sure = walker(40)
  wrong = swap(swap(points, "legs", range(8, 33)), "arms", range(8, 33))
  done = limb_swaps.repair(wrong, sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, wrong)
  assert done.left["legs"] == [8, 33]


def test_legs_wrong_until_they_cross_are_put_right_by_the_shoulders():
  points, sure = walker()
  a, b = pairs("legs")
  middle = (points[:, a] + points[:, b]) / 2
  # The legs close, cross in the picture at frame 60 and open to their own sides again.
  width = np.abs(np.linspace(-1, 0.5, 90))[:, None, None]
  for legs in (a, b):
    points[:, legs] = middle + width * (points[:, legs] - middle)
  wrong = swap(points, "legs", range(40, 60))
  assert len(limb_swaps.changes(wrong, sure, a, b)) == 1
  done = limb_swaps.repair(wrong, sure, SKELETON.name, RATE)
  np.testing.assert_allclose(done.keypoints, points, atol=10)
  assert not done.left["legs"]
  mirrored = limb_swaps.repair(wrong[::-1], sure, SKELETON.name, RATE)
  np.testing.assert_allclose(mirrored.keypoints[::-1], points, atol=10)


def test_limbs_that_pass_each_other_are_no_change():
  points, sure = walker()
  a, b = pairs("legs")
  way = np.linspace(0, 120, 90)[:, None, None] * (1, 0)
  points[:, a] -= way
  points[:, b] += way
  done = limb_swaps.repair(points, sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, points)


def test_frames_in_which_nothing_is_seen_are_no_change():
  points, sure = walker()
  sure[30:35], points[30:35] = 0, 0
  done = limb_swaps.repair(points, sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, points)
  assert not any(done.left.values())


def test_one_frame_and_skeletons_with_fewer_joints_are_taken():
  points, sure = walker(1)
  done = limb_swaps.repair(points, sure, SKELETON.name, RATE)
  np.testing.assert_array_equal(done.keypoints, points)
  done = limb_swaps.repair(np.ones((5, 14, 2)), np.ones((5, 14)), "lsp14", RATE)
  assert set(done.swapped) == {"arms", "legs"}
