import numpy as np
import pytest

from jaxpose.motion import motion_pieces
from tests.acclaim import turn


@pytest.mark.parametrize("rate", [120.0, 30.003, 60.0, 50.0])
def test_resampling_keeps_a_straight_line_at_its_times(rate):
  speed = np.asarray([1.0, -2.0, 0.5])
  joints = (np.arange(200) / rate)[:, None, None] * speed + np.zeros((1, 17, 1))
  out = motion_pieces.resample(joints, rate)
  np.testing.assert_allclose(out[:, 3], (np.arange(len(out)) / 50)[:, None] * speed)
  assert len(out) == int(199 / rate * 50 + 1e-6) + 1


def test_a_take_of_one_frame_stays_one_frame():
  joints = np.ones((1, 17, 3))
  np.testing.assert_array_equal(motion_pieces.resample(joints, 120.0), joints)
  assert motion_pieces.cut(joints) == [slice(0, 1)]
  (piece,) = motion_pieces.pieces(joints, None, 120.0)
  assert (piece.suffix, len(piece.joints)) == ("", 1)


@pytest.mark.parametrize("rate", [50.0, 120.0])
def test_takes_are_cut_at_jumps_and_short_pieces_dropped(rate):
  joints = np.zeros((400, 17, 3))
  jump = 16 / rate  # metres in a frame, at 16 m/s
  joints[100:, 4, 1] += jump
  joints[100 + int(0.5 * rate) :, 9, 0] += jump
  joints[300:, 9, 0] += 14 / rate  # 14 m/s is still a person
  expected = [slice(0, 100), slice(100 + int(0.5 * rate), 400)]
  assert motion_pieces.cut(joints, rate) == expected
  # An uncut take stays whole.
  assert motion_pieces.cut(joints[:20], rate) == [slice(0, 20)]


def test_a_rest_pose_at_the_start_is_cut_and_the_name_kept():
  joints = np.zeros((240, 17, 3))
  joints[1:] += 1
  (piece,) = motion_pieces.pieces(joints, None, 120.0)
  assert piece.suffix == ""
  assert piece.joints.shape == (100, 17, 3)
  assert piece.joints.dtype == np.float32
  assert piece.joints.min() == 1  # nothing is blended across the jump


def test_pieces_of_one_take_are_named_by_letters():
  joints = np.zeros((300, 17, 3))
  joints[100:200] += 1
  found = motion_pieces.pieces(joints, None, 120.0)
  assert [piece.suffix for piece in found] == ["_a", "_b", "_c"]
  assert [piece.joints.max() for piece in found] == [0, 1, 0]
  letters = [motion_pieces.letters(i) for i in (0, 25, 26, 52)]
  assert letters == ["a", "z", "aa", "ba"]


def test_a_take_of_nothing_but_jumps_has_no_piece():
  joints = np.zeros((300, 17, 3))
  joints[::2] += 1
  assert motion_pieces.pieces(joints, None, 120.0) == []


def test_rotations_follow_the_joints_and_stay_rotations():
  angles = np.arange(241) / 240 * 150  # degrees in two seconds
  turns = np.asarray([turn("y", a) for a in angles])
  rotations = np.repeat(turns[:, None], 22, 1)
  (piece,) = motion_pieces.pieces(np.zeros((241, 17, 3)), rotations, 120.0)
  assert piece.rotations.shape == (len(piece.joints), 22, 3, 3) == (101, 22, 3, 3)
  assert piece.rotations.dtype == np.float32
  expected = [turn("y", a) for a in np.arange(101) / 50 * 75]
  np.testing.assert_allclose(piece.rotations[:, 7], expected, atol=1e-5)
  np.testing.assert_allclose(np.linalg.det(piece.rotations), 1, atol=1e-5)


def test_rotations_are_cut_where_the_joints_are():
  joints = np.zeros((240, 17, 3))
  joints[120:] += 1
  rotations = np.repeat(np.asarray([[turn("x", 0)]]), 240, 0).repeat(22, 1)
  rotations[120:] = turn("x", 90)
  one, two = motion_pieces.pieces(joints, rotations, 120.0)
  np.testing.assert_allclose(one.rotations, rotations[: len(one.joints)], atol=1e-6)
  np.testing.assert_allclose(two.rotations, rotations[-len(two.joints) :], atol=1e-6)
