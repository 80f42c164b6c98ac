import numpy as np

from jaxpose.skeletons import head_points
from tests.acclaim import turn

BASE = np.asarray([[1.0, 2, 3]])


def test_an_upright_head_has_its_nose_before_and_its_crown_above():
  (points,) = head_points.nose_and_crown(BASE, 0.1, np.eye(3)[None])
  np.testing.assert_allclose(points, [[1, 2.06, 3.115], [1, 2.19, 3.02]])


def test_points_turn_and_move_with_the_head_and_grow_with_its_bone():
  rotation = np.asarray(turn("y", 35)) @ turn("x", 20)
  (plain,) = head_points.nose_and_crown(0 * BASE, 0.1, np.eye(3)[None])
  (moved,) = head_points.nose_and_crown(BASE, 0.2, rotation[None])
  np.testing.assert_allclose(moved, BASE + 2 * plain @ rotation.T)


def test_other_axes_at_rest_give_the_same_head():
  z_up = np.asarray(((1, 0, 0), (0, 0, -1), (0, 1, 0)), float)
  rotation = np.asarray(turn("y", 35)) @ turn("x", 20)
  (y,) = head_points.nose_and_crown(BASE, 0.1, rotation[None])
  (z,) = head_points.nose_and_crown(
    BASE @ z_up.T,
    0.1,
    (z_up @ rotation @ z_up.T)[None],
    (0.0, 0.0, 1.0),
    (0.0, -1.0, 0.0),
  )
  np.testing.assert_allclose(z, y @ z_up.T)


def test_a_nod_moves_the_nose_down_and_the_crown_forward():
  rotations = np.stack([np.eye(3), turn("x", 30)])
  points = head_points.nose_and_crown(np.repeat(BASE, 2, 0), 0.1, rotations)
  nose, crown = points[1] - points[0]
  assert nose[1] < -0.05
  assert crown[2] > 0.05


def test_the_middle_of_the_ears_is_found_from_nose_and_crown():
  rotation = np.asarray(turn("z", 15)) @ turn("y", -70) @ turn("x", 40)
  ((nose, crown),) = head_points.nose_and_crown(BASE, 0.1, rotation[None])
  along, across = head_points.ears_from_nose_and_crown()
  left = rotation @ [1, 0, 0]
  ears = nose + along * (crown - nose) + across * np.cross(left, crown - nose)
  up, forward = head_points.EARS
  expected = BASE[0] + 0.1 * rotation @ [0, up, forward]
  np.testing.assert_allclose(ears, expected, atol=1e-12)


def test_the_face_of_a_person_has_a_persons_size():
  ((nose, crown),) = head_points.nose_and_crown(BASE, 0.1, np.eye(3)[None])
  assert 0.1 < np.linalg.norm(crown - nose) < 0.2  # metres
