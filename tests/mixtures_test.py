"""Joined data keep their runs; mixed batches hold the share of each part."""

import numpy as np
import pytest

from jaxpose.data import pose_data
from tests import small_data


def parts():
  return [small_data.of_runs([5, 3]), small_data.of_runs([4])]


def test_joined_data_are_the_parts_one_after_the_other():
  first, second = parts()
  joined = pose_data.join_sources([first, second])
  assert joined.num_frames == 12
  np.testing.assert_array_equal(joined.runs["first"], [0, 5, 8])
  np.testing.assert_array_equal(joined.runs["last"], [4, 7, 11])
  assert joined.views == first.views + second.views
  np.testing.assert_array_equal(
    joined.frames["joints_3d"][8:], second.frames["joints_3d"]
  )


def test_one_part_is_itself():
  only = small_data.mesh_data((5,))
  joined = pose_data.join_sources([only])
  for key, value in only.runs.items():
    np.testing.assert_array_equal(joined.runs[key], value)


def test_what_a_part_does_not_deny_it_has():
  first, second = parts()
  second.runs["has_smpl"] = np.zeros(1, np.float32)
  joined = pose_data.join_sources([first, second])
  np.testing.assert_array_equal(joined.runs["has_smpl"], [1, 1, 0])


def test_cameras_are_kept_where_all_are_known():
  a, b = (small_data.pose_data((n,), actions=("walk",)) for n in (6, 7))
  joined = pose_data.join_sources([a, b])
  assert joined.runs["camera_rotation"].shape == (len(joined.views), 3, 3)
  del b.runs["camera_rotation"]
  assert "camera_rotation" not in pose_data.join_sources([a, b]).runs


def test_mixed_batches_hold_the_share_of_each_part_in_order():
  found = parts()
  orders = [pose_data.TrainingOrder(p, n) for p, n in zip(found, (3, 2), strict=True)]
  mixed = pose_data.MixedOrder(found, orders)
  joined = pose_data.join_sources(found)
  seen = []
  for step in range(8):
    index = mixed(step)
    assert (index.centre[:3] < 8).all()
    assert (index.centre[3:] >= 8).all()
    np.testing.assert_array_equal(joined.run_of_frame[index.centre], index.run)
    seen.append(index.centre)
  # Each part keeps its own epochs: 24 windows of 8 frames, 16 of 4.
  counts = np.bincount(np.concatenate(seen), minlength=12)
  np.testing.assert_array_equal(counts, [3] * 8 + [4] * 4)
  assert mixed.steps_per_epoch == 2


def test_data_of_another_kind_are_refused():
  with pytest.raises(ValueError, match="mix only data of one kind"):
    pose_data.join_sources([small_data.of_runs([3]), small_data.mesh_data((5,))])
