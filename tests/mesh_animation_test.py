"""The animated glTF file, skinned by hand from what is in it."""

import dataclasses
import json
import struct

import numpy as np
import pytest

from jaxpose import body as smpl
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.body import meshes
from tests import meshes_test

trimesh = pytest.importorskip("trimesh", reason="needs pip install 'jaxpose[mesh]'")
pytest.importorskip("pygltflib", reason="needs pip install 'jaxpose[mesh]'")

SMPL = skeletons.get("smpl24")
DTYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = dict(SCALAR=1, VEC3=3, VEC4=4, MAT4=16)


class File:
  """A .glb file, taken apart by its format's words alone."""

  def __init__(self, raw: bytes):
    magic, version, length = struct.unpack_from("<4sII", raw)
    assert (magic, version, length) == (b"glTF", 2, len(raw))
    size, kind = struct.unpack_from("<I4s", raw, 12)
    assert (kind, size % 4) == (b"JSON", 0)
    self.json = json.loads(raw[20 : 20 + size])
    rest, kind = struct.unpack_from("<I4s", raw, 20 + size)
    assert kind == b"BIN\0"
    self.data = raw[28 + size :]
    assert len(self.data) == rest

  def array(self, accessor: int) -> np.ndarray:
    accessor = self.json["accessors"][accessor]
    view = self.json["bufferViews"][accessor["bufferView"]]
    assert view["byteOffset"] % 4 == 0
    dtype = np.dtype(DTYPES[accessor["componentType"]])
    count = accessor["count"] * WIDTHS[accessor["type"]]
    assert count * dtype.itemsize == view["byteLength"]
    array = np.frombuffer(self.data, dtype, count, view["byteOffset"])
    array = array.reshape(accessor["count"], -1)
    for name, bound in (("min", array.min(0)), ("max", array.max(0))):
      if name in accessor:
        np.testing.assert_allclose(accessor[name], bound, atol=1e-6)
    return array

  @property
  def attributes(self) -> dict[str, np.ndarray]:
    found = self.json["meshes"][0]["primitives"][0]["attributes"]
    return {key: self.array(index) for key, index in found.items()}

  def tracks(self) -> dict[tuple[int, str], np.ndarray]:
    animation = self.json["animations"][0]
    found = {}
    for channel in animation["channels"]:
      target, sampler = channel["target"], animation["samplers"][channel["sampler"]]
      found[target["node"], target["path"]] = self.array(sampler["output"])
    return found

  def vertices(self, frame: int) -> np.ndarray:
    """The skinned mesh: parents turn their children, weights mix the joints."""
    nodes, skin, tracks = self.json["nodes"], self.json["skins"][0], self.tracks()
    parent = {c: i for i, n in enumerate(nodes) for c in n.get("children", ())}
    world: dict[int, np.ndarray] = {}
    for i in skin["joints"]:
      own = np.eye(4)
      x, y, z, w = np.float64(tracks[i, "rotation"][frame])
      own[:3, :3] = geometry.quaternion_to_matrix(np.asarray([w, x, y, z]))
      moved = tracks.get((i, "translation"))
      own[:3, 3] = nodes[i]["translation"] if moved is None else moved[frame]
      world[i] = world[parent[i]] @ own if i in parent else own
    unbind = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
    matrices = np.stack([world[i] for i in skin["joints"]]) @ unbind
    at = self.attributes
    mixed = np.einsum("mk,mkab->mab", at["WEIGHTS_0"], matrices[at["JOINTS_0"]])
    points = np.concatenate([at["POSITION"], np.ones((len(mixed), 1))], -1)
    return np.einsum("mab,mb->ma", mixed, points)[:, :3]


@pytest.fixture(scope="module", params=["free_small", "free"])
def mesh(request):
  mesh = meshes_test.one_shape()
  return dataclasses.replace(mesh, body=request.param)


@pytest.fixture(scope="module")
def file(mesh) -> File:
  return File(meshes.skinned(mesh))


@pytest.mark.parametrize("frame", [0, 4])
def test_skinning_the_file_gives_the_bodys_vertices(file, mesh, frame):
  body = body_files.load(mesh.body)
  plain = body._replace(pose_dirs=np.zeros_like(body.pose_dirs))
  part = mesh.rotations[frame : frame + 1], mesh.betas[frame : frame + 1]
  want = smpl.pose(plain, *part).vertices[0] + mesh.translation[frame]
  found = file.vertices(frame)
  np.testing.assert_allclose(found, want * [1, -1, -1], atol=1e-5)
  # What glTF leaves out are millimetres.
  left_out = found - mesh.vertices()[frame] * [1, -1, -1]
  assert np.linalg.norm(left_out, axis=-1).mean() < 5e-3


def test_the_file_is_a_skeleton_with_a_skin_that_moves(file, mesh):
  nodes = file.json["nodes"]
  assert [node["name"] for node in nodes] == [*SMPL.joints, "body"]
  assert (nodes[24]["mesh"], nodes[24]["skin"]) == (0, 0)
  for j, parent in enumerate(SMPL.parents):
    if parent >= 0:
      assert j in nodes[parent]["children"]
  sampler = file.json["animations"][0]["samplers"][0]
  np.testing.assert_allclose(file.array(sampler["input"])[:, 0], np.arange(5) / 25)
  tracks = file.tracks()
  assert tracks.keys() == {*((j, "rotation") for j in range(24)), (0, "translation")}
  for track in tracks.values():
    assert len(track) == len(mesh)
  faces = file.array(file.json["meshes"][0]["primitives"][0]["indices"])
  np.testing.assert_array_equal(faces.reshape(-1, 3), mesh.faces)


def test_another_reader_agrees(mesh, tmp_path):
  (path,) = mesh.export(tmp_path / "walk.glb")
  scene = trimesh.load(path, process=False)
  (shape,) = scene.geometry.values()
  np.testing.assert_array_equal(shape.faces, mesh.faces)
  assert {*SMPL.joints, "body"} <= set(scene.graph.nodes)
  body = body_files.load(mesh.body)
  rest = body.template + body.shape_dirs @ mesh.betas[0]
  np.testing.assert_allclose(shape.vertices, rest, atol=1e-6)


def test_a_frame_takes_400_bytes():
  sizes = [len(meshes.skinned(meshes_test.one_shape(t))) for t in (10, 110)]
  assert sizes[1] - sizes[0] == pytest.approx(100 * (24 * 16 + 12 + 4), abs=200)
  assert sizes[0] < 120_000


def test_many_shapes_become_their_mean():
  mesh = meshes_test.motion()
  file = File(meshes.skinned(mesh))
  one = dataclasses.replace(mesh, betas=np.tile(mesh.betas.mean(0), (5, 1)))
  rest = file.attributes["POSITION"]
  body = body_files.load("free_small")
  np.testing.assert_allclose(
    rest, body.template + body.shape_dirs @ one.betas[0], atol=1e-5
  )
  root = file.tracks()[0, "translation"]
  np.testing.assert_allclose(root, mesh.joints_smpl[:, 0] * [1, -1, -1], atol=1e-5)


def test_quaternions_do_not_jump():
  angle = np.linspace(0, 4 * np.pi, 50)
  vectors = np.stack([angle, 0 * angle, 0 * angle], -1)
  matrices = geometry.axis_angle_to_matrix(vectors)
  q = meshes.quaternions(matrices)
  assert (np.linalg.norm(np.diff(q, axis=0), axis=-1) < 0.2).all()
  again = geometry.quaternion_to_matrix(np.float64(q[:, [3, 0, 1, 2]]))
  np.testing.assert_allclose(again, matrices, atol=1e-6)


def test_weights_keep_the_largest_four_and_sum_to_one():
  rng = np.random.default_rng(0)
  weights = np.float32(rng.dirichlet(np.ones(24), 6))
  weights[0] = np.eye(24)[5]
  joints, chosen = meshes.strongest(weights)
  np.testing.assert_allclose(chosen.sum(1), 1, atol=1e-6)
  np.testing.assert_array_equal(joints[0], [5, 0, 0, 0])
  for row, (j, w) in enumerate(zip(joints[1:], chosen[1:], strict=True), 1):
    largest = np.sort(weights[row])[::-1][:4]
    np.testing.assert_allclose(w, largest / largest.sum(), atol=1e-6)
    np.testing.assert_array_equal(weights[row, j], largest)


def test_normals_look_outwards():
  box = trimesh.creation.icosphere(3)
  found = meshes.normals(np.float64(box.vertices), box.faces)
  np.testing.assert_allclose(found, box.vertices, atol=0.02)
  lonely = np.concatenate([box.vertices, [[0, 0, 9.0]]])
  assert np.isfinite(meshes.normals(lonely, box.faces)).all()
