"""Splits as a detector sees them."""

import numpy as np

from jaxpose.data import detector_errors
from jaxpose.data.detector_errors import Errors
from jaxpose.skeletons import skeleton_maps
from tests import small_data

NOISE = Errors(noise=1.0)


def test_the_input_errs_and_the_truth_stays():
  poses = small_data.pose_data((300, 40))
  made = detector_errors.with_errors(poses)
  change = made.frames["keypoints_2d"] - poses.frames["keypoints_2d"]
  assert 0.002 < np.abs(change).mean() < 0.1
  # In every frame of every run.
  assert (np.abs(change).max((1, 2)) > 0).all()
  np.testing.assert_array_equal(made.frames["joints_3d"], poses.frames["joints_3d"])
  assert made.runs is poses.runs


def test_a_seed_always_draws_the_same():
  poses = small_data.pose_data((60,), actions=("walk",))
  one, same, other = (
    detector_errors.with_errors(poses, NOISE, seed).frames["keypoints_2d"]
    for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(one, same)
  assert np.abs(one - other).max() > 1e-3


def test_long_runs_are_drawn_in_parts(monkeypatch):
  monkeypatch.setattr(detector_errors, "_LONGEST", 32)
  monkeypatch.setattr(detector_errors, "_BATCH", 2)
  poses = small_data.pose_data((100, 7, 33), actions=("walk", "sit", "run"))
  made = detector_errors.with_errors(poses, NOISE)
  change = made.frames["keypoints_2d"] - poses.frames["keypoints_2d"]
  assert (np.abs(change).max((1, 2)) > 0).all()
  # Runs, and parts of them, draw their own.
  first = poses.runs["first"]
  starts = np.r_[0, 32, 64, 96, first[1:]]
  drawn = change[starts].reshape(len(starts), -1)
  correlation = np.corrcoef(drawn) - np.eye(len(starts))
  assert np.abs(correlation).max() < 0.9


def test_bodies_keep_their_keypoints_and_get_those_of_a_detector():
  poses = small_data.mesh_data((20, 9))
  made = detector_errors.with_errors(poses).frames
  for key in poses.frames:
    assert made[key] is poses.frames[key]
  exact = skeleton_maps.convert(poses.frames["keypoints_2d"], "spin49", "coco17")
  assert made["detected_2d"].shape == exact.shape
  assert (np.abs(made["detected_2d"] - exact).max((1, 2)) > 0).all()
  hidden = made["detected_confidence"] == 0
  assert 0.01 < hidden.mean() < 0.1
