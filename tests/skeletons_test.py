import numpy as np
import pytest

from jaxpose import skeletons

ALL = list(skeletons.SKELETONS)

# The lists of the published code, 0-based.
LEFT_RIGHT = dict(
  h36m17=([4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]),
  humaneva15=([2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]),
  coco17=([1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]),
  mpi3dhp17=([5, 6, 7, 11, 12, 13], [2, 3, 4, 8, 9, 10]),
)

PARENTS = dict(
  h36m17=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
  humaneva15=(-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1),
  smpl24=(
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12),
    *(13, 14, 16, 17, 18, 19, 20, 21),
  ),
)


@pytest.mark.parametrize("name", ALL)
def test_a_skeleton_is_one_tree(name):
  skeleton = skeletons.get(name)
  assert skeleton.name == name
  assert skeleton.num_joints == int("".join(c for c in name[-2:] if c.isdigit()))
  assert len(set(skeleton.joints)) == skeleton.num_joints
  assert skeleton.parents.count(-1) == 1
  assert len(skeleton.bones) == skeleton.num_joints - 1
  for j in range(skeleton.num_joints):
    steps = 0
    while j != skeleton.root:
      j, steps = skeleton.parents[j], steps + 1
      assert steps < skeleton.num_joints


@pytest.mark.parametrize("name", ALL)
def test_mirror_is_its_own_inverse_and_keeps_the_tree(name):
  skeleton = skeletons.get(name)
  mirror = skeleton.mirror
  np.testing.assert_array_equal(mirror[mirror], np.arange(skeleton.num_joints))
  bones = set(skeleton.bones)
  if name != "lsp14":
    assert {(mirror[p], mirror[c]) for p, c in bones} == bones
  assert len(skeleton.left) == len(skeleton.right)
  centre = skeleton.num_joints - 2 * len(skeleton.left)
  assert (mirror == np.arange(skeleton.num_joints)).sum() == centre


@pytest.mark.parametrize("name", list(LEFT_RIGHT))
def test_left_and_right_equal_the_published_lists(name):
  skeleton = skeletons.get(name)
  assert (list(skeleton.left), list(skeleton.right)) == LEFT_RIGHT[name]


@pytest.mark.parametrize("name", list(PARENTS))
def test_parents_equal_the_published_lists(name):
  assert skeletons.get(name).parents == PARENTS[name]


def test_roots():
  roots = {name: s.joints[s.root] for name, s in skeletons.SKELETONS.items()}
  assert roots["h36m17"] == "hip"
  assert roots["smpl24"] == roots["humaneva15"] == roots["mpi3dhp17"] == "pelvis"
  assert skeletons.get("mpi3dhp17").root == 14


@pytest.mark.parametrize("name", ["h36m17", "humaneva15"])
def test_bones_are_the_edges_of_the_published_graph(golden, name):
  data = np.load(golden / "graphs.npz")
  adjacency = data[dict(h36m17="h36m", humaneva15="humaneva15_gt")[name]]
  linked = {tuple(sorted(e)) for e in np.argwhere(adjacency[1] > 0).tolist()}
  assert linked == {tuple(sorted(e)) for e in skeletons.get(name).bones}


def test_unknown_skeletons_and_joints_are_refused_with_the_nearest():
  with pytest.raises(
    ValueError, match=r"unknown skeleton 'h36m'; nearest: h36m17,.*known"
  ):
    skeletons.get("h36m")
  with pytest.raises(
    ValueError, match=r"'h36m17' has no joint 'left_ancle'; nearest: left"
  ):
    skeletons.get("h36m17").index("left_ancle")


def test_one_parent_per_joint_is_demanded():
  with pytest.raises(ValueError, match="got 1 parents for 2 joints, expected one per"):
    skeletons.Skeleton("x", ("a", "b"), (-1,))


def test_spin49_holds_the_joints_of_lsp14_in_their_order():
  assert skeletons.get("spin49").joints[25:39] == skeletons.get("lsp14").joints
  assert skeletons.get("spin49").root == 39
