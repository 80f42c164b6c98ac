import dataclasses

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.formats import bvh_maps

H36M = skeletons.get("h36m17")
DIALECTS = list(bvh_maps.DIALECTS)


def as_settings(dialect):
  joints = zip(H36M.joints, map(list, dialect.joints), strict=True)
  sizes = dict(unit=dialect.unit, head_bone=dialect.head_bone)
  return dict(joints=dict(joints), head=list(dialect.head), **sizes)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_map_file_describes_every_dialect(name):
  dialect = bvh_maps.DIALECTS[name]
  assert bvh_maps.dialect_of(dict(dialect=name)) == dialect
  again = bvh_maps.dialect_of(as_settings(dialect) | dict(t_pose=True))
  assert dataclasses.replace(again, rotations=dialect.rotations) == dialect


def test_a_map_file_changes_a_dialect():
  joints = dict(spine="Chest2", hip=["Hips"])
  settings = dict(dialect="3dsmax", joints=joints, unit="cm", up="-z")
  dialect = bvh_maps.dialect_of(settings)
  assert dialect.joints[0] == ("Hips",)
  assert dialect.joints[7] == ("Chest2",)
  assert dialect.joints[8] == ("LeftShoulder", "RightShoulder")
  assert (dialect.unit, dialect.up) == (0.01, "-z")


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({}, "got 'no hip, right_hip, .*', expected joints to hold all of h36m17"),
    (dict(dialect="maya"), "got 'maya', expected dialect to be in"),
    (dict(dialect="daz", units="cm"), r"got \['dialect', 'units'\], expected only"),
    (dict(dialect="daz", unit="km"), r"got 'km', expected unit to be in \['m', 'cm'"),
    (dict(dialect="daz", unit=-1), "got -1, expected unit to be in"),
    (dict(dialect="daz", up="w"), "got 'w', expected up to be in"),
    (dict(dialect="daz", head=[1, 2]), r"got \[1, 2\], expected head to be x, y, z"),
    (dict(dialect="daz", t_pose=1), "got 1, expected t_pose to be true or false"),
    (dict(dialect="daz", joints=dict(hip=[])), r"got \[\], expected joints\.hip to be"),
    (dict(dialect="daz", joints=dict(tail="t")), "got 'tail', expected joints to hold"),
  ],
)
def test_a_wrong_map_file_is_one_sentence(settings, message):
  with pytest.raises(ValueError, match=f"skeleton map: {message}") as error:
    bvh_maps.dialect_of(settings)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("up", list(bvh_maps.UP))
def test_the_axis_that_points_up_becomes_z(up):
  turn = np.asarray(bvh_maps.UP[up], float)
  axis = np.zeros(3)
  axis["xyz".index(up[-1])] = -1 if up[0] == "-" else 1
  np.testing.assert_array_equal(turn @ axis, [0, 0, 1])
  np.testing.assert_array_equal(turn @ turn.T, np.eye(3))
  assert np.linalg.det(turn) == pytest.approx(1)  # left stays left
