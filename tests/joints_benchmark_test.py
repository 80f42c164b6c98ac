"""The benchmark of where joints lie."""

import numpy as np
import pytest

from benchmarks import goal_people
from benchmarks import joints
from jaxpose import geometry
from jaxpose.skeletons import skeleton_maps

H36M = goal_people.H36M


def test_offsets_are_in_the_axes_of_the_trunk():
  person = goal_people.upright()  # faces x, with y to the left
  moved = person.copy()
  moved[:, H36M.index("left_knee")] += [0.01, 0.02, 0.03]
  moved[:, H36M.index("right_knee")] += [0.01, -0.02, 0.03]
  turn = geometry.axis_angle_to_matrix(np.asarray([[0.4, 1.0, -2.0]]))[0]
  mean, distance = joints.offsets(moved @ turn.T, person @ turn.T)
  for side, sign in (("left", 1), ("right", -1)):
    j = H36M.index(f"{side}_knee")
    np.testing.assert_allclose(mean[j], [sign * 0.02, 0.03, 0.01], atol=1e-9)
    assert distance[j] == pytest.approx(np.sqrt(0.0014))
  assert distance.sum() == pytest.approx(2 * np.sqrt(0.0014))


def test_the_fourteen_are_those_of_the_map():
  person = goal_people.upright()
  there = skeleton_maps.convert(person, "h36m17", "lsp14")
  back = joints.from_lsp14(there)
  known = np.isfinite(back).all((0, 2))
  assert [n for n, k in zip(H36M.joints, known, strict=True) if not k] == [
    *("hip", "spine", "neck")
  ]
  np.testing.assert_array_equal(back[:, known], person[:, known])


def test_free_bodies_let_their_arms_hang():
  found = joints.free_bodies(3)
  seen = skeleton_maps.convert(found["spin49"], "spin49", "coco17")
  person = skeleton_maps.convert(seen, "coco17", "h36m17")

  def at(name):
    return person[:, H36M.index(name)]

  for side in ("left", "right"):
    assert (at(f"{side}_wrist") < at(f"{side}_shoulder"))[:, 1].all()
    assert (np.abs(at(f"{side}_wrist")) > np.abs(at(f"{side}_shoulder")))[:, 0].all()


def test_lengths_of_the_upright_person():
  coco = goal_people.as_coco17(goal_people.upright())
  unknown = np.full_like(coco, np.nan)
  found = joints.lengths(np.concatenate([coco, unknown]))
  assert found["leg_m"] == pytest.approx(0.84)
  assert found["torso"] == pytest.approx(0.619)
  assert found["nose up"] * 0.84 == pytest.approx(0.13 + 0.06)
  assert found["nose forward"] * 0.84 == pytest.approx(0.115)
