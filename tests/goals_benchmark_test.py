"""The benchmark of goals: its people, and a table of what could not be measured."""

import numpy as np
import pytest

from benchmarks import goal_people
from benchmarks import goals
from jaxpose import geometry
from jaxpose.geometry import cameras
from jaxpose.skeletons import proportions
from jaxpose.skeletons import skeleton_maps
from tests import small_views

SHARED = list(goal_people.SHARED)


def test_coco_maps_back_to_the_shared_joints():
  turn = geometry.axis_angle_to_matrix(np.asarray([[0.3, -0.5, 2.0]]))[0]
  upright = goal_people.upright()
  for joints in (upright, upright @ turn.T + 1.0):
    seen = goal_people.as_coco17(joints)
    back = skeleton_maps.convert(seen, "coco17", "h36m17")
    same = [*SHARED, goal_people.H36M.index("neck")]
    np.testing.assert_allclose(back[:, same], joints[:, same], atol=1e-6)


def test_coco_is_projected_as_h36m17_is():
  joints = goal_people.upright()
  limbs = [j for j in SHARED if goal_people.H36M.joints[j] not in ("hip", "thorax")]
  for camera in list(goal_people.ring(joints[0, 0]))[::17]:

    def pixels(points, camera=camera):
      view = cameras.world_to_camera(points, camera.rotation, camera.position)
      found = cameras.project(view, camera.intrinsics)
      assert cameras.in_view(view, found, camera.image_size).all()
      return found

    seen = skeleton_maps.convert(
      pixels(goal_people.as_coco17(joints)), "coco17", "h36m17"
    )
    true = pixels(joints)
    np.testing.assert_allclose(seen[:, limbs], true[:, limbs], atol=1e-3)
    # The middle of two points is not projected to the middle of two pixels.
    np.testing.assert_allclose(seen[:, SHARED], true[:, SHARED], atol=3.0)


def test_the_face_is_where_it_should_be():
  """Upright people face x, with y to their left: nose, ears and eyes in order."""
  at = dict(
    zip(
      goal_people.COCO.joints,
      goal_people.as_coco17(goal_people.upright())[0],
      strict=True,
    )
  )
  assert at["nose"][0] > at["left_eye"][0] > at["left_ear"][0] > 0
  assert at["left_ear"][1] == pytest.approx(0.075)
  assert at["right_eye"][1] == pytest.approx(-0.03)
  assert 0 < at["left_eye"][2] - at["nose"][2] < 0.06
  assert 1.5 < at["nose"][2] < 1.7


def test_the_upright_person_stands_straight_and_is_a_person():
  joints = goal_people.upright()
  np.testing.assert_allclose(goal_people.knee_flexion(joints), 0, atol=1e-9)
  assert proportions.measure(joints, "h36m17")
  assert not proportions.unusual(joints, "h36m17")
  proportions.require_metres(joints, "h36m17", "upright")


def test_a_bent_knee_is_measured():
  joints = goal_people.upright()
  foot = goal_people.H36M.index("left_foot")
  knee = goal_people.H36M.index("left_knee")
  shin = joints[0, knee, 2] - joints[0, foot, 2]
  joints[0, foot] = joints[0, knee] + shin * np.asarray(
    [-np.sin(np.radians(30)), 0, -np.cos(np.radians(30))]
  )
  np.testing.assert_allclose(goal_people.knee_flexion(joints), [[30, 0]], atol=1e-9)


def test_a_motion_seen_by_cameras_is_projected_back(tmp_path):
  rig = small_views.opened(small_views.scene(tmp_path))
  person = small_views.person(small_views.walker(), rig)
  clean = goals.projected(person, rig)
  assert clean.confidence.all()
  np.testing.assert_allclose(clean.pixels, person.pixels, atol=0.5)


def test_what_cannot_be_measured_is_a_dash_with_a_reason(capsys):
  goals.main(["--rows=5"])
  lines = capsys.readouterr().out.splitlines()
  table = [line for line in lines if line.startswith("|")]
  cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
  assert [row[0][0] for row in cells] == list("12333344567788")
  assert {row[2] for row in cells} == {"-"}
  assert "needs --views=WHEEL" in lines[-1]


def test_nonsense_is_refused():
  with pytest.raises(SystemExit, match="expected 1 or more"):
    goals.main(["--every=0"])
