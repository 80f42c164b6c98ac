import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import transforms
from jaxpose.skeletons import skeleton_maps

JOINED = [("smpl24", "humaneva15"), ("mpi3dhp28", "lsp14"), ("mpi3dhp17", "humaneva15")]
PAIRS = [*skeleton_maps.MAPS, *JOINED, ("h36m17", "h36m17"), ("smpl24", "smpl24")]


def points(skeleton, *batch, coordinates=3):
  shape = (*batch, skeletons.get(skeleton).num_joints, coordinates)
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def at(skeleton, pose, joint):
  return pose[..., skeletons.get(skeleton).index(joint), :]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_map_is_affine(source, target):
  matrix = skeleton_maps.joint_map(source, target)
  shape = (skeletons.get(target).num_joints, skeletons.get(source).num_joints)
  assert matrix.shape == shape
  assert matrix.dtype == np.float32
  np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
  pose = points(source, 2)
  moved = skeleton_maps.convert(pose + 3, source, target)
  np.testing.assert_allclose(
    moved, skeleton_maps.convert(pose, source, target) + 3, atol=1e-5
  )


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_the_mirrored_body_maps_to_the_mirrored_body(source, target):
  pose = points(source, 2)
  mirrored = transforms.flip(pose, skeletons.get(source))
  expected = transforms.flip(
    skeleton_maps.convert(pose, source, target), skeletons.get(target)
  )
  np.testing.assert_allclose(
    skeleton_maps.convert(mirrored, source, target), expected, atol=1e-6
  )


@pytest.mark.parametrize("name", list(skeletons.SKELETONS))
def test_a_skeleton_maps_to_itself_unchanged(name):
  pose = points(name, 2, 3)
  np.testing.assert_array_equal(skeleton_maps.convert(pose, name, name), pose)


def test_mpi3dhp17_and_h36m17_hold_the_same_joints():
  pose = points("mpi3dhp17")
  there = skeleton_maps.convert(pose, "mpi3dhp17", "h36m17")
  np.testing.assert_array_equal(
    skeleton_maps.convert(there, "h36m17", "mpi3dhp17"), pose
  )
  np.testing.assert_array_equal(there[0], pose[14])
  np.testing.assert_array_equal(there[10], pose[0])


def test_mpi3dhp28_follows_the_published_indices():
  order = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]
  pose = points("mpi3dhp28")
  mapped = skeleton_maps.convert(pose, "mpi3dhp28", "mpi3dhp17")
  np.testing.assert_array_equal(mapped, pose[order])


@pytest.mark.parametrize("source", ["coco17", "blazepose33"])
def test_humaneva15_follows_the_published_remapping(source):
  pose = points(source, 4, coordinates=2)
  coco = skeleton_maps.convert(pose, source, "coco17")
  mapped = skeleton_maps.convert(pose, source, "humaneva15")
  middle = [(coco[:, 11] + coco[:, 12]) / 2, (coco[:, 5] + coco[:, 6]) / 2]
  rest = coco[:, [5, 7, 9, 6, 8, 10, 11, 13, 15, 12, 14, 16, 0]]
  expected = np.concatenate([np.stack(middle, 1), rest], 1)
  np.testing.assert_allclose(mapped, expected, atol=1e-6)


def test_blazepose33_to_h36m17_by_landmark_numbers():
  pose = points("blazepose33", coordinates=2)
  mapped = skeleton_maps.convert(pose, "blazepose33", "h36m17")
  limbs = {1: 24, 2: 26, 3: 28, 4: 23, 5: 25, 6: 27, 9: 0}
  limbs |= {11: 11, 12: 13, 13: 15, 14: 12, 15: 14, 16: 16}
  for joint, landmark in limbs.items():
    np.testing.assert_array_equal(mapped[joint], pose[landmark])
  hip, thorax = (pose[23] + pose[24]) / 2, (pose[11] + pose[12]) / 2
  ears = (pose[7] + pose[8]) / 2
  np.testing.assert_allclose(mapped[0], hip, atol=1e-6)
  np.testing.assert_allclose(mapped[8], thorax, atol=1e-6)
  np.testing.assert_allclose(mapped[7], (hip + thorax) / 2, atol=1e-6)
  np.testing.assert_allclose(mapped[10], ears + 0.6 * (ears - thorax), atol=1e-6)
  coco = skeleton_maps.convert(pose, "blazepose33", "coco17")
  np.testing.assert_allclose(
    skeleton_maps.convert(coco, "coco17", "h36m17"), mapped, atol=1e-6
  )


@pytest.mark.parametrize(
  ("source", "numbers", "hip", "neck"),
  [
    ("openpose18", [8, 9, 10, 11, 12, 13, 0, 5, 6, 7, 2, 3, 4], (8, 11), (2, 5)),
    ("openpose25", [9, 10, 11, 12, 13, 14, 0, 5, 6, 7, 2, 3, 4], (8, 8), (1, 1)),
    ("halpe26", [12, 14, 16, 11, 13, 15, 0, 5, 7, 9, 6, 8, 10], (19, 19), (18, 18)),
  ],
)
def test_detectors_joints_to_h36m17_by_their_numbers(source, numbers, hip, neck):
  pose = points(source, coordinates=2)
  mapped = skeleton_maps.convert(pose, source, "h36m17")
  np.testing.assert_array_equal(
    mapped[[1, 2, 3, 4, 5, 6, 9, 11, 12, 13, 14, 15, 16]], pose[numbers]
  )
  hip, neck = pose[list(hip)].mean(0), pose[list(neck)].mean(0)
  np.testing.assert_allclose(mapped[[0, 8]], [hip, neck], atol=1e-6)
  np.testing.assert_allclose(mapped[7], (hip + neck) / 2, atol=1e-6)
  coco = skeleton_maps.convert(pose, source, "coco17")
  order = {
    "openpose18": [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10],
    "openpose25": [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11],
    "halpe26": list(range(17)),
  }[source]
  np.testing.assert_array_equal(coco, pose[order])


def test_the_crown_of_halpe26_is_its_head():
  pose = points("halpe26")
  for target, joint in (("h36m17", "head"), ("lsp14", "head_top")):
    mapped = skeleton_maps.convert(pose, "halpe26", target)
    np.testing.assert_array_equal(at(target, mapped, joint), pose[17])


def test_the_crown_lies_above_the_head_of_an_upright_smpl_body():
  pose = np.zeros((24, 3), np.float32)
  smpl = skeletons.get("smpl24")
  heights = dict(pelvis=0.92, spine3=1.23, neck=1.44, head=1.53)
  for joint, height in heights.items():
    pose[smpl.index(joint), 1] = height
  lsp = skeleton_maps.convert(pose, "smpl24", "lsp14")
  assert at("lsp14", lsp, "head_top")[1] == pytest.approx(1.71, abs=0.01)
  h36m = skeleton_maps.convert(pose, "smpl24", "h36m17")
  np.testing.assert_array_equal(
    at("h36m17", h36m, "head"), at("lsp14", lsp, "head_top")
  )
  assert at("h36m17", h36m, "thorax")[1] == pytest.approx(1.44)


def test_maps_without_a_rule_go_through_h36m17():
  pose = points("smpl24")
  h36m = skeleton_maps.convert(pose, "smpl24", "h36m17")
  np.testing.assert_allclose(
    skeleton_maps.convert(pose, "smpl24", "humaneva15"),
    skeleton_maps.convert(h36m, "h36m17", "humaneva15"),
    atol=1e-6,
  )


def test_missing_points_spoil_only_what_is_made_of_them():
  pose = points("coco17", 2, coordinates=2)
  pose[1, 4] = np.nan
  for array in (pose, jnp.asarray(pose)):
    mapped = np.asarray(skeleton_maps.convert(array, "coco17", "h36m17"))
    spoilt = np.isnan(mapped).any(-1)
    assert [tuple(i) for i in np.argwhere(spoilt)] == [(1, 10)]


def test_confidence_is_that_of_the_least_sure_part():
  confidence = np.linspace(0.1, 0.9, 17)
  mapped = skeleton_maps.convert_confidence(confidence, "coco17", "h36m17")
  assert mapped[0] == confidence[11]
  assert mapped[7] == confidence[5]
  assert mapped[10] == confidence[3]
  assert mapped[16] == confidence[10]


def test_convert_keeps_the_kind_of_array():
  pose = points("coco17", 2, 3)
  assert isinstance(skeleton_maps.convert(pose, "coco17", "lsp14"), np.ndarray)
  on_jax = skeleton_maps.convert(jnp.asarray(pose), "coco17", "lsp14")
  assert isinstance(on_jax, jnp.ndarray)
  np.testing.assert_allclose(
    on_jax, skeleton_maps.convert(pose, "coco17", "lsp14"), atol=1e-6
  )


def test_impossible_maps_are_refused_naming_the_joints():
  with pytest.raises(ValueError, match="no map from 'h36m17' to 'coco17'") as error:
    skeleton_maps.joint_map("h36m17", "coco17")
  words = str(error.value)
  assert "cannot make nose, left_eye, right_eye, left_ear, right_ear;" in words
  assert "maps from 'h36m17': mpi3dhp17, humaneva15, lsp14" in words
  assert "maps to 'coco17': blazepose33" in words
  with pytest.raises(ValueError, match=r"cannot make spine, neck; maps from .*: none"):
    skeleton_maps.joint_map("humaneva15", "h36m17")


@pytest.mark.parametrize("source", list(skeletons.SKELETONS))
@pytest.mark.parametrize("target", list(skeletons.SKELETONS))
def test_a_pair_without_a_map_is_refused_and_the_rest_is_not(source, target):
  hub = (source, "h36m17") in skeleton_maps.MAPS and (
    "h36m17",
    target,
  ) in skeleton_maps.MAPS
  if source == target or (source, target) in skeleton_maps.MAPS or hub:
    assert np.isfinite(skeleton_maps.joint_map(source, target)).all()
    return
  with pytest.raises(ValueError, match=f"no map from '{source}' to '{target}': "):
    skeleton_maps.joint_map(source, target)


def test_maps_cannot_be_changed_by_a_caller():
  with pytest.raises(ValueError, match="read-only"):
    skeleton_maps.joint_map("coco17", "h36m17")[0, 0] = 1


def test_unknown_skeletons_are_refused():
  with pytest.raises(ValueError, match="unknown skeleton 'coco'; nearest: coco17"):
    skeleton_maps.convert(points("coco17"), "coco", "h36m17")
