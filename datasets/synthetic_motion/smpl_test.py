"""Generated motion as bodies: they do what the bare joints do."""

import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import skeletons
from synthetic_motion import motion
from synthetic_motion import smpl
from tests import builder_testing

SMPL, H36M = skeletons.get("smpl24"), skeletons.get("h36m17")
SPIN = skeletons.get("spin49")


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
  return builder_testing.build_and_read(
    "synthetic_motion", tmp_path_factory.mktemp("data"), config="mesh_tiny"
  )


@pytest.fixture(scope="module")
def solved():
  subject = motion.sample_subject(0, "S01")
  return {a: motion.solved_clip(subject, a, 0, (80, 100)) for a in motion.ACTIONS}


def test_records_keep_their_promises(splits):
  builder_testing.check_splits(splits, SPIN)
  assert {name: len(records) for name, records in splits.items()} == {
    "train": 32,
    "validation": 16,
    "test": 16,
  }


def test_a_subject_has_one_shape_and_another_has_another(splits):
  shapes = {}
  for record in splits["train"]:
    betas = record["betas"]
    np.testing.assert_array_equal(betas, np.broadcast_to(betas[:1], betas.shape))
    subject = builder_testing.text(record, "subject")
    np.testing.assert_array_equal(shapes.setdefault(subject, betas[0]), betas[0])
  assert len({tuple(betas) for betas in shapes.values()}) == 2


def directions(joints, skeleton, bones):
  """Unit vectors of bones given as (from, to)."""
  ends = [[skeleton.index(bone[i]) for bone in bones] for i in (0, 1)]
  bone = joints[:, ends[1]] - joints[:, ends[0]]
  return bone / np.linalg.norm(bone, axis=-1, keepdims=True)


@pytest.mark.parametrize("action", motion.ACTIONS)
def test_limbs_point_where_the_bare_joints_do(solved, action):
  clip = solved[action]
  rotations = smpl.rotations(clip)
  np.testing.assert_allclose(
    rotations @ np.swapaxes(rotations, -1, -2),
    np.broadcast_to(np.eye(3), rotations.shape),
    atol=1e-5,
  )
  small = bodies.for_joints(smpl.BODY)
  betas = np.zeros((len(rotations), 10), np.float32)
  joints = bodies.pose(small, rotations, betas).joints
  limbs = (
    ("hip", "knee"),
    ("knee", "ankle"),
    ("shoulder", "elbow"),
    ("elbow", "wrist"),
  )
  sides = ("left", "right")
  ours = [(f"{s}_{a}", f"{s}_{b}") for a, b in limbs for s in sides]
  theirs = [(a, b.replace("ankle", "foot")) for a, b in ours]
  found, expected = (
    directions(joints, SMPL, ours),
    directions(clip.joints, H36M, theirs),
  )
  angle = np.degrees(np.arccos(np.clip((found * expected).sum(-1), -1, 1)))
  # The body's rest pose has limbs a few degrees off the axes.
  assert angle.max() < 15
  assert angle.mean() < 6


def test_feet_are_about_where_they_were_planted(solved):
  subject = motion.sample_subject(0, "S01")
  for action in ("walking", "squatting", "sitting"):
    clip = solved[action]
    betas = smpl.sample_betas(0, "S01")
    shape = np.broadcast_to(betas, (len(clip.joints), 10))
    posed = bodies.pose(bodies.for_joints(smpl.BODY), smpl.rotations(clip), shape)
    hips = [SMPL.index(f"{side}_hip") for side in ("left", "right")]
    shift = smpl.hips(clip, subject, betas) - posed.joints[:, hips].mean(1)
    ankles = [SMPL.index(f"{side}_ankle") for side in ("left", "right")]
    height = (posed.joints[:, ankles] + shift[:, None])[..., 2].min(1)
    assert 0.0 < np.median(height) < 0.2, action
