import re
import zipfile

import numpy as np
import pytest
from cmu_mocap import dummy

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.formats import asf_amc
from jaxpose.formats import asf_maps
from jaxpose.motion import motion_pieces
from tests.acclaim import turn

H36M, SMPL = skeletons.get("h36m17"), skeletons.get("smpl24")
SKELETON = asf_amc.parse_asf(dummy.asf_text())
REST = "1\nroot 0 0 0 0 0 0\n"


def posed(text, skeleton=SKELETON):
  return asf_amc.pose(skeleton, asf_amc.parse_amc(text, skeleton))


def test_joints_stand_in_the_order_of_h36m17():
  (joints,) = asf_maps.to_h36m17(SKELETON, posed(REST))
  # It looks along +z of the file, which is -y of the world; its left is +x.
  at = {name: joints[i] for i, name in enumerate(H36M.joints)}
  expected = dict(
    hip=[0, -0.01, -0.08],
    left_hip=[0.1, -0.01, -0.08],
    left_knee=[0.2113, -0.01, -0.4953],
    right_foot=[-0.3174, -0.01, -0.8913],
    spine=[0, 0.01, 0.11],
    thorax=[0, 0, 0.44],
    neck=[0, -0.125, 0.59],
    head=[0, -0.03, 0.72],
    left_shoulder=[0.17, 0, 0.44],
    left_elbow=[0.46, 0, 0.44],
    right_wrist=[-0.745, 0, 0.44],
  )
  for name, place in expected.items():
    np.testing.assert_allclose(at[name], place, atol=1e-5, err_msg=name)
  np.testing.assert_allclose(joints[H36M.mirror] * [-1, 1, 1], joints, atol=1e-6)


def test_the_world_has_z_up():
  text = "1\nroot 1 2 3 0 0 0\n"
  moved = asf_maps.to_h36m17(SKELETON, posed(text))
  still = asf_maps.to_h36m17(SKELETON, posed(REST))
  step = np.broadcast_to(np.multiply([1, -3, 2], dummy.UNIT), (1, 17, 3))
  np.testing.assert_allclose(moved - still, step, atol=1e-12)


def test_a_person_who_turns_is_turned_about_the_vertical():
  text = "1\nroot 0 0 0 0 40 0\n"
  moved = asf_maps.to_h36m17(SKELETON, posed(text))[0]
  still = asf_maps.to_h36m17(SKELETON, posed(REST))[0]
  np.testing.assert_allclose(moved, still @ np.transpose(turn("z", 40)), atol=1e-12)


def test_the_face_follows_the_head_and_nothing_else_does():
  text = REST + "head 0 90 0\n"  # to its left
  moved, still = (asf_maps.to_h36m17(SKELETON, posed(t))[0] for t in (text, REST))
  others = [i for i in range(17) if H36M.joints[i] not in ("neck", "head")]
  np.testing.assert_allclose(moved[others], still[others], atol=1e-12)
  nose = H36M.index("neck")
  base = [0, -0.01, 0.53]  # where the neck ends
  np.testing.assert_allclose(moved[nose] - base, [0.115, 0, 0.06], atol=1e-6)


def test_rotations_at_rest_turn_the_root_up_and_nothing_else():
  (found,) = asf_maps.to_smpl(SKELETON, posed(REST))
  np.testing.assert_allclose(found[0], [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-12)
  rest = np.broadcast_to(np.eye(3), (21, 3, 3))
  np.testing.assert_allclose(found[1:], rest, atol=1e-12)


def test_rotations_down_the_tree_of_smpl_are_those_of_the_bones():
  rng = np.random.default_rng(0)
  motion = [rng.normal(size=(5, len(bone.dof))) for bone in SKELETON.bones]
  moved = asf_amc.pose(SKELETON, motion)
  local = asf_maps.to_smpl(SKELETON, moved)
  world = {}
  for i, parent in enumerate(SMPL.parents[:22]):
    world[i] = local[:, i] if parent < 0 else world[parent] @ local[:, i]
  up = np.asarray([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
  cases = dict(
    pelvis="root",
    left_hip="lfemur",
    right_knee="rtibia",
    spine1="lowerback",
    spine2="upperback",
    spine3="thorax",
    neck="upperneck",
    head="head",
    left_collar="lclavicle",
    right_shoulder="rhumerus",
    left_elbow="lradius",
    right_wrist="rhand",
    left_foot="ltoes",
  )
  for joint, bone in cases.items():
    expected = up @ moved.rotations[:, SKELETON.index(bone)]
    found = world[SMPL.index(joint)]
    np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=joint)


@pytest.mark.parametrize("bone", ["lwrist", "lowerback", "rclavicle"])
def test_a_skeleton_without_one_of_cmus_bones_is_refused(bone):
  skeleton = asf_amc.parse_asf(dummy.asf_text().replace(bone, "other"))
  message = f"got a skeleton without the bone '{bone}', expected CMU's bones among its"
  with pytest.raises(ValueError, match=message):
    asf_maps.to_h36m17(skeleton, posed(REST, skeleton))


def test_rotations_need_the_hands_and_joints_do_not():
  text = re.sub(r"lhand", "lpaw", dummy.asf_text())
  skeleton = asf_amc.parse_asf(text)
  moved = posed(REST, skeleton)
  assert asf_maps.to_h36m17(skeleton, moved).shape == (1, 17, 3)
  with pytest.raises(ValueError, match="got a skeleton without the bone 'lhand'"):
    asf_maps.to_smpl(skeleton, moved)


@pytest.mark.parametrize(("length", "legs"), [("1.0", "0.378"), ("0.045", "8.4")])
def test_a_wrong_unit_is_caught_by_the_legs(length, legs):
  skeleton = asf_amc.parse_asf(dummy.asf_text().replace("0.45", length))
  message = (
    f"got legs of {legs} m, expected about 0.8 m; correct the length under :unit"
  )
  with pytest.raises(ValueError, match=message):
    asf_maps.to_h36m17(skeleton, posed(REST, skeleton))


@pytest.fixture(scope="module")
def published(shared):
  path = shared / "data" / "cmu_asfamc" / "allasfamc_subset.zip"
  return zipfile.Path(zipfile.ZipFile(path), "all_asfamc/subjects/")


def read(published, take):
  skeleton = asf_amc.read_asf(published / take[:2] / f"{take[:2]}.asf")
  motion = asf_amc.read_amc(published / take[:2] / f"{take}.amc", skeleton)
  return skeleton, asf_amc.pose(skeleton, motion)


@pytest.mark.parametrize(
  "take",
  """02_03 03_02 05_03 06_01 07_10 08_08 09_03 14_37 16_49 17_03 29_01 32_02 35_17 38_01
  39_08 43_01 49_05 55_04""".split(),
)
def test_real_people_have_the_proportions_of_people(published, take):
  joints = asf_maps.to_h36m17(*read(published, take))

  def length(*names):
    a, b = (joints[:, H36M.index(name)] for name in names)
    return np.linalg.norm(a - b, axis=-1)

  for side in ("left", "right"):
    leg = length(f"{side}_hip", f"{side}_knee") + length(f"{side}_knee", f"{side}_foot")
    assert 0.75 < leg[0] < 0.9
    arms = [
      length(f"{side}_shoulder", f"{side}_elbow"),
      length(f"{side}_elbow", f"{side}_wrist"),
    ]
    for limb in (leg, *arms):
      assert np.ptp(limb) < 1e-9
    assert 0.25 < arms[1][0] / leg[0] < 0.39
  # The trunk bends. 0.457 and a forearm of 0.226 have files that lost bones.
  assert 0.56 < np.median(length("hip", "thorax")) / leg[0] < 0.67
  assert 0.13 < np.median(length("neck", "head")) < 0.18  # nose and crown


@pytest.mark.parametrize("take", ["02_01", "02_04"])
def test_legs_and_spine_are_those_of_the_earlier_conversion(shared, published, take):
  with np.load(shared / "data" / "cmu_mocap" / "cmu_test.npz") as data:
    i = list(data["clip_name"]).index(take)
    frames = slice(data["clip_start"][i], data["clip_start"][i] + data["clip_len"][i])
    expected, theta = data["joints3d"][frames], np.float32(data["theta"][frames])
  skeleton, moved = read(published, take)
  joints = asf_maps.to_h36m17(skeleton, moved)
  joints = motion_pieces.resample(joints, 120.0)
  assert len(joints) == len(expected)
  error_mm = 1000 * np.linalg.norm(joints - expected, axis=-1)
  assert error_mm[:, :8].max() < 0.1  # the npz rounds to a tenth
  # The shoulders are higher by the bone that was lost.
  assert np.abs(np.median(error_mm[:, [8, 11, 14]]) - 117) < 1
  # So are the rotations of root and trunk; of the limbs the rest pose differs.
  turns = geometry.project_to_rotation(
    motion_pieces.resample(asf_maps.to_smpl(skeleton, moved), 120.0)
  )
  for joint in ("pelvis", "spine1", "spine2", "spine3", "left_collar"):
    i = SMPL.index(joint)
    matrices = geometry.axis_angle_to_matrix(theta[:, i])
    np.testing.assert_allclose(turns[:, i], matrices, atol=0.01, err_msg=joint)
