"""The CMU reader against the three public BVH files whose joints are kept as npz.

These joints were made before lost bones were put back, and have the neck as thorax.
"""

import collections
import dataclasses

import numpy as np
import pytest
from cmu_mocap import clips

from jaxpose import body as bodies
from jaxpose import body_files
from jaxpose import body_fit
from jaxpose import bvh
from jaxpose import bvh_dialects
from jaxpose import bvh_maps
from jaxpose import skeletons
from tests import builder_testing

H36M = skeletons.get("h36m17")
TOLERANCE = 0.1  # mm; the npz rounds each coordinate to 0.1 mm, so 0.087 mm at most


def pieces(shared, file, **options):
  take = bvh.read(shared / "data/cmu_mocap/raw" / file)
  dialect = bvh_dialects.find_dialect(take.names)
  dialect = dataclasses.replace(dialect, lost_bones=False)
  return bvh_maps.pieces(take, dialect, **options)


def stored_clip(shared, split, name):
  with np.load(shared / f"data/cmu_mocap/cmu_{split}.npz") as data:
    i = list(data["clip_name"]).index(name)
    start, length = data["clip_start"][i], data["clip_len"][i]
    return data["joints3d"][start : start + length]


@pytest.mark.parametrize(
  ("file", "split", "names"),
  [
    ("131_01.bvh", "val", ["131_01"]),
    ("jumping_jacks.bvh", "train", ["u_jumping_jacks"]),
    ("60_10_daz.bvh", "train", ["60_10_a", "60_10_b"]),
  ],
)
def test_a_real_file_gives_the_stored_joints_to_a_tenth_of_a_millimetre(
  shared, file, split, names
):
  found = pieces(shared, file)
  assert len(found) == len(names)
  for clip, name in zip(found, names, strict=True):
    expected = stored_clip(shared, split, name)
    assert clip.joints.shape == expected.shape
    error_mm = 1000 * np.linalg.norm(clip.joints - expected, axis=-1)
    error_mm = np.delete(error_mm, H36M.index("thorax"), 1)
    assert error_mm.max() < TOLERANCE, f"{name}: {error_mm.max():.3f} mm"


def test_a_real_file_survives_a_rewrite(shared, tmp_path):
  motion = bvh.read(shared / "data/cmu_mocap/raw/60_10_daz.bvh")
  bvh.write(tmp_path / "again.bvh", motion)
  again = bvh.read(tmp_path / "again.bvh")
  assert again.names == motion.names
  positions, expected = (m.forward_kinematics()[0] for m in (again, motion))
  np.testing.assert_allclose(positions, expected, atol=1e-4)  # centimetres


def test_the_prepared_set_builds_with_the_bodies_in_view(shared, tmp_path):
  splits = builder_testing.build_and_read(
    "cmu_mocap", tmp_path, shared / "data/cmu_mocap"
  )
  builder_testing.check_splits(splits, H36M)
  counts = {name: len(records) for name, records in splits.items()}
  assert counts == {"train": 4 * 99, "validation": 4 * 12, "test": 4 * 22}
  subjects = collections.defaultdict(set)
  for name, records in splits.items():
    subjects[name] = {builder_testing.text(record, "subject") for record in records}
    in_view = np.concatenate([record["frame_valid"] for record in records])
    assert in_view.mean() > 0.98, f"{name}: {in_view.mean():.4f}"
  assert subjects["test"] == {"02", "35"}
  assert subjects["validation"] == {"03", "08", "131"}


@pytest.mark.parametrize(
  ("file", "split", "name"),
  [
    ("131_01.bvh", "val", "131_01"),  # arms hang at rest
    ("60_10_daz.bvh", "train", "60_10_a"),  # another dialect
  ],
)
def test_a_real_file_moves_the_body_as_the_prepared_rotations_do(
  shared, file, split, name
):
  own = pieces(shared, file, with_rotations=True)[0]
  prepared = clips.read_prepared(shared / f"data/cmu_mocap/cmu_{split}.npz")
  prepared = next(clip for clip in prepared if clip.name == name)
  body, joints = body_files.load("free_small"), []
  for clip in (own, prepared):
    fit = body_fit.fit_subject(body, clip.joints, clip.rotations)
    motion = body_fit.retarget(body, fit, clip.joints, clip.rotations)
    betas = np.broadcast_to(fit.betas, (len(clip.joints), 10))
    posed = bodies.pose(bodies.for_joints(body), motion.rotations, betas)
    joints.append(posed.joints + motion.translation[:, None])
  # Limbs; feet, head and trunk have rest poses of their own in the prepared files.
  smpl = skeletons.get("smpl24")
  for joint in (
    "left_knee",
    "right_ankle",
    "left_shoulder",
    "left_elbow",
    "right_wrist",
  ):
    distance = np.linalg.norm(joints[0] - joints[1], axis=-1)[:, smpl.index(joint)]
    assert distance.mean() < 0.01, joint  # metres
