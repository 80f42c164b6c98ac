"""The CMU reader against CMU's files and BVH files whose joints are kept as npz."""

import collections
import csv
import dataclasses

import numpy as np
import pytest
from cmu_mocap import takes

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.body import body_fit
from jaxpose.formats import bvh
from jaxpose.formats import bvh_maps
from jaxpose.motion import motion_pieces
from tests import builder_testing

H36M, SMPL = skeletons.get("h36m17"), skeletons.get("smpl24")
TOLERANCE = 0.1  # mm; the npz rounds each coordinate to 0.1 mm, so 0.087 mm at most


def stored_clip(shared, split, name):
  """Joints and rotations that an earlier conversion found."""
  with np.load(shared / f"data/cmu_mocap/cmu_{split}.npz") as data:
    i = list(data["clip_name"]).index(name)
    frames = slice(data["clip_start"][i], data["clip_start"][i] + data["clip_len"][i])
    turns = geometry.axis_angle_to_matrix(np.float32(data["theta"][frames]))
    return data["joints3d"][frames], turns


def read(shared, file, stored):
  """Joints and rotations at 50 Hz of the part of a take that is stored.

  The stored joints lack bones that the files lack.
  """
  take = bvh.read(shared / "data/cmu_mocap/raw" / file)
  dialect = bvh_maps.find_dialect(take.names)
  dialect = dataclasses.replace(dialect, lost_bones=False)
  rate = round(1 / take.frame_time, 3)
  joints, turns = (
    motion_pieces.resample(found, rate)
    for found in (
      bvh_maps.to_h36m17(take, dialect),
      bvh_maps.to_smpl(take, dialect),
    )
  )
  starts = range(len(joints) - len(stored) + 1)
  errors = [np.abs(joints[i : i + len(stored), 0] - stored[:, 0]).max() for i in starts]
  part = slice(int(np.argmin(errors)), int(np.argmin(errors)) + len(stored))
  return joints[part], geometry.project_to_rotation(turns[part])


@pytest.mark.parametrize(
  ("file", "split", "name"),
  [
    ("131_01.bvh", "val", "131_01"),
    ("jumping_jacks.bvh", "train", "u_jumping_jacks"),
    ("60_10_daz.bvh", "train", "60_10_a"),
  ],
)
def test_limbs_and_spine_are_the_stored_ones_to_a_tenth_of_a_millimetre(
  shared, file, split, name
):
  expected, _ = stored_clip(shared, split, name)
  joints, _ = read(shared, file, expected)
  assert joints.shape == expected.shape
  others = [H36M.index(name) for name in ("thorax", "neck", "head")]  # made anew
  error_mm = 1000 * np.linalg.norm(joints - expected, axis=-1)
  error_mm = np.delete(error_mm, others, 1)
  assert error_mm.max() < TOLERANCE, f"{name}: {error_mm.max():.3f} mm"


def test_a_real_file_survives_a_rewrite(shared, tmp_path):
  motion = bvh.read(shared / "data/cmu_mocap/raw/60_10_daz.bvh")
  bvh.write(tmp_path / "again.bvh", motion)
  again = bvh.read(tmp_path / "again.bvh")
  assert again.names == motion.names
  positions, expected = (m.forward_kinematics()[0] for m in (again, motion))
  np.testing.assert_allclose(positions, expected, atol=1e-4)  # centimetres


@pytest.mark.parametrize(
  ("file", "split", "name"),
  [
    ("131_01.bvh", "val", "131_01"),  # arms hang at rest
    ("60_10_daz.bvh", "train", "60_10_a"),  # another dialect
  ],
)
def test_a_real_file_moves_the_body_as_the_stored_rotations_do(
  shared, file, split, name
):
  stored, theta = stored_clip(shared, split, name)
  own, turns, theta = (x[::5] for x in (*read(shared, file, stored), theta))
  body, found = body_files.load("free_small"), []
  for rotations in (turns, theta):
    fit = body_fit.fit_subject(body, own, rotations)
    motion = body_fit.retarget(body, fit, own, rotations)
    betas = np.broadcast_to(fit.betas, (len(own), 10))
    posed = bodies.pose(bodies.for_joints(body), motion.rotations, betas)
    found.append(posed.joints + motion.translation[:, None])
  # Limbs; feet, head and trunk have rest poses of their own in the stored files.
  for joint in (
    "left_knee",
    "right_ankle",
    "left_shoulder",
    "left_elbow",
    "right_wrist",
  ):
    distance = np.linalg.norm(found[0] - found[1], axis=-1)[:, SMPL.index(joint)]
    assert distance.mean() < 0.01, joint  # metres


def test_the_list_of_takes_is_that_of_the_published_files(shared):
  with (shared / "data/cmu_asfamc/index.csv").open(encoding="utf-8") as file:
    names = [row["take"] for row in csv.DictReader(file)]
  assert sorted(names) == sorted(f"{s:02d}_{t:02d}" for s, t in takes.ACTIONS)


def test_the_published_files_build_with_their_splits_apart(shared, tmp_path):
  raw = shared / "data" / "cmu_asfamc"
  splits = builder_testing.build_and_read("cmu_mocap", tmp_path, raw)
  counts = {name: len(records) for name, records in splits.items()}
  assert counts == {"train": 824, "validation": 48, "test": 124, "unusual": 36}
  names = collections.defaultdict(set)
  for split, records in splits.items():
    for record in records:
      sequence = builder_testing.text(record, "sequence")
      names[split].add(sequence[:5])
      assert builder_testing.text(record, "subject") == sequence[:2]
      action = takes.ACTIONS[int(sequence[:2]), int(sequence[3:5])]
      assert builder_testing.text(record, "action") == action
    for record in records[::20]:
      builder_testing.check_record(record, H36M)
    in_view = np.concatenate([record["frame_valid"] for record in records])
    assert in_view.mean() > 0.98, f"{split}: {in_view.mean():.4f}"
  assert sum(map(len, names.values())) == 240  # no take in two splits
  subjects = {split: {name[:2] for name in found} for split, found in names.items()}
  assert subjects["test"] == {"02", "35"}
  assert subjects["validation"] == {"03", "08"}
  assert not subjects["train"] & (subjects["test"] | subjects["validation"])
  assert names["unusual"] == {f"{s:02d}_{t:02d}" for s, t in takes.UNUSUAL}
