import warnings

import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.skeletons import proportions

ADULT = dict(torso=0.6, forearm=0.32, upper_arm=0.34, shoulders=0.44, hips=0.22)
# Measured on ASF/AMC takes of CMU's subjects, three of them the least or most of 18.
CMU = {
  "05": (0.597, 0.254, 0.379, 0.459, 0.222),
  "16": (0.621, 0.380, 0.353, 0.430, 0.207),
  "35": (0.574, 0.348, 0.337, 0.444, 0.217),
  "38": (0.656, 0.346, 0.399, 0.504, 0.275),
  "39": (0.670, 0.334, 0.323, 0.387, 0.197),
  "43": (0.658, 0.348, 0.358, 0.438, 0.279),
}
# The same people in the conversion that lost two bones.
LOST = {
  "01": (0.471, 0.234, 0.346, 0.439, 0.180),
  "02": (0.454, 0.226, 0.333, 0.475, 0.220),
  "06": (0.462, 0.217, 0.341, 0.403, 0.215),
  "07": (0.504, 0.235, 0.356, 0.456, 0.247),
  "16": (0.477, 0.254, 0.353, 0.430, 0.207),
  "131": (0.495, 0.237, 0.307, 0.415, 0.171),
}
SKELETONS = [
  name
  for name, s in skeletons.SKELETONS.items()
  if {"left_hip", "left_knee", "left_shoulder", "left_elbow", "left_wrist"}
  <= set(s.joints)
]


def person(skeleton="h36m17", leg=0.8, frames=3, **changes):
  """Somebody who stands with the arms out, in the lengths of an adult but for some."""
  names = skeletons.get(skeleton)
  at = ADULT | changes
  out = at["shoulders"] / 2
  x = dict(hip=at["hips"] / 2, knee=at["hips"] / 2, shoulder=out, elbow=out)
  x |= dict(ankle=at["hips"] / 2, foot=at["hips"] / 2)
  x["elbow"] += at["upper_arm"]
  x["wrist"] = x["elbow"] + at["forearm"]
  y = dict(knee=0.5, ankle=0.0, foot=0.0, hip=1.0)
  joints = np.zeros((frames, names.num_joints, 3))
  for i, joint in enumerate(names.joints):
    side, _, part = joint.partition("_")
    if part in x:
      sign = 1 if side == "left" else -1
      joints[:, i] = sign * x[part], y.get(part, 1 + at["torso"]), 0
  return leg * joints


def of_cmu(ratios):
  return dict(zip(proportions.USUAL, ratios, strict=True))


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_ratios_are_measured_in_every_skeleton(skeleton):
  found = proportions.measure(person(skeleton), skeleton)
  assert found == pytest.approx(ADULT)
  assert list(found) == list(proportions.USUAL) == list(proportions.POSSIBLE)


def test_ratios_ignore_unit_place_and_direction():
  rng = np.random.default_rng(0)
  turn = geometry.axis_angle_to_matrix(rng.normal(size=(1, 3)))[0]
  moved = 1000 * person() @ turn.T + rng.normal(size=3)
  assert proportions.measure(moved, "h36m17") == pytest.approx(ADULT)


def test_ratios_see_each_length():
  for name in ADULT:
    found = proportions.measure(person(**{name: 0.3}), "h36m17")
    assert found == pytest.approx(ADULT | {name: 0.3})


def test_half_of_the_frames_may_be_wrong():
  joints = person(frames=9)
  joints[:2] *= np.random.default_rng(0).uniform(0, 3, joints[:2].shape)
  joints[3, 12] = np.nan
  joints[4, 8] = np.nan  # of no limb
  assert proportions.measure(joints, "h36m17") == pytest.approx(ADULT)


def test_nothing_is_said_of_nothing():
  empty = np.full((2, 17, 3), np.nan)
  assert proportions.measure(empty, "h36m17") == {}
  assert proportions.check(empty, "h36m17", "a") == ""


def test_the_usual_lies_within_the_possible():
  for name, (low, high) in proportions.USUAL.items():
    least, most = proportions.POSSIBLE[name]
    assert least < low < high < most


@pytest.mark.parametrize("subject", CMU)
def test_real_people_pass(subject):
  ratios = of_cmu(CMU[subject])
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    told = proportions.check(person(**ratios), "h36m17", subject)
  assert bool(told) == (subject == "05")  # whose forearms CMU has at 20 cm


def test_children_pass():
  four = dict(torso=0.68, forearm=0.33, upper_arm=0.36, shoulders=0.48, hips=0.24)
  assert proportions.check(person(leg=0.45, **four), "h36m17", "a child") == ""
  proportions.require_metres(person(leg=0.45), "h36m17", "a child")


@pytest.mark.parametrize("subject", LOST)
def test_people_with_lost_bones_are_refused(subject):
  joints = person(**of_cmu(LOST[subject]))
  message = rf"^subject '{subject}': got an? \w+.* of the leg .*, expected 0\.\d+ to .*"
  with pytest.raises(ValueError, match=message) as error:
    proportions.check(joints, "h36m17", f"subject '{subject}'")
  assert "correct the file or the map" in str(error.value)
  assert "\n" not in str(error.value)
  with pytest.warns(UserWarning, match="got a torso of about"):  # of a benchmark
    assert proportions.warn(joints, "h36m17", subject)


@pytest.mark.parametrize("name", list(ADULT))
def test_outside_is_warned_of_and_far_outside_is_refused(name):
  for side in (0, 1):
    usual, possible = proportions.USUAL[name][side], proportions.POSSIBLE[name][side]
    beyond = 0.01 if side else -0.01
    for ratio in (usual - beyond, usual, (usual + possible) / 2, possible + beyond):
      joints = person(**{name: ratio + 1e-9 * (1 - 2 * side)})
      if ratio == possible + beyond:
        with pytest.raises(
          ValueError, match=f"b: got an? .* of {ratio:.3g} of the leg"
        ):
          proportions.check(joints, "h36m17", "b")
      elif ratio == (usual + possible) / 2:
        low, high = proportions.USUAL[name]
        message = f"b: got .* of the leg .*, expected {low} to {high}, as most"
        with pytest.warns(UserWarning, match=message):
          told = proportions.check(joints, "h36m17", "b")
        assert told.startswith("b: got")
      else:
        assert proportions.check(joints, "h36m17", "b") == ""


def test_bodies_of_common_shapes_pass():
  for name in ("free", "free_small"):
    body = body_files.load(name)
    for betas in (np.zeros(10), *(2.0 * np.eye(10)), *(-2.0 * np.eye(10))):
      rest = np.asarray(bodies.rest_joints(body, betas.astype(np.float32)))
      assert proportions.check(rest[None], "smpl24", name) == ""


@pytest.mark.parametrize("skeleton", ["h36m17", "coco17", "smpl24", "spin49"])
def test_metres_pass_and_other_units_do_not(skeleton):
  proportions.require_metres(person(skeleton), skeleton, "a")
  for leg, told in ((800.0, "800"), (80.0, "80"), (0.0008, "0.0008")):
    message = f"a: got legs of {told} m, expected about 0.8 m; the unit"
    with pytest.raises(ValueError, match=message):
      proportions.require_metres(person(skeleton, leg), skeleton, "a")


def test_missing_frames_do_not_count():
  joints = person("coco17")
  joints[0] = np.nan
  proportions.require_metres(joints, "coco17", "a")
  proportions.require_metres(np.full((2, 17, 3), np.nan), "coco17", "nothing to tell")
