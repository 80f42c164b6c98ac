"""OBJ and glTF files of single frames, read by trimesh."""

import sys

import numpy as np
import pytest

from jaxpose.body import meshes
from tests import meshes_test

trimesh = pytest.importorskip("trimesh", reason="needs pip install 'jaxpose[mesh]'")
pytest.importorskip("pygltflib", reason="needs pip install 'jaxpose[mesh]'")


def read(path) -> tuple[np.ndarray, np.ndarray]:
  """Vertices and faces."""
  mesh = trimesh.load(path, process=False, force="mesh")
  if path.suffix == ".glb":
    return mesh.vertices, mesh.faces
  # trimesh renumbers what it reads from OBJ: its triangles, and our own numbers.
  lines = [line.split() for line in path.read_text().splitlines()]
  vertices = np.asarray([line[1:] for line in lines if line[:1] == ["v"]], float)
  faces = [[v.split("/")[0] for v in line[1:]] for line in lines if line[:1] == ["f"]]
  faces = np.asarray(faces, int) - 1
  np.testing.assert_allclose(mesh.triangles, vertices[faces], atol=1e-6)
  return vertices, faces


def upright(points: np.ndarray) -> np.ndarray:
  return points * [1, -1, -1]


@pytest.mark.parametrize("ending", [".obj", ".glb"])
def test_a_frame_has_the_vertices_and_faces_of_the_body(tmp_path, ending):
  mesh = meshes_test.motion()
  for frame in (2, -1):
    (path,) = mesh.export(tmp_path / f"body{frame}{ending}", frame)
    vertices, faces = read(path)
    want = upright(mesh.vertices()[frame])
    np.testing.assert_allclose(vertices, want, atol=1e-5)
    np.testing.assert_array_equal(faces, mesh.faces)
  # Triangles look outwards: the volume is that of a person, in cubic metres.
  assert 0.03 < trimesh.Trimesh(vertices, faces).volume < 0.2


def test_a_motion_is_a_numbered_sequence_of_obj_files(tmp_path):
  mesh = meshes_test.motion(3)
  paths = mesh.export(tmp_path / "out" / "walk.obj")
  names = [f"walk_{i:06d}.obj" for i in range(3)]
  assert [path.name for path in paths] == names
  assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names
  for path, vertices in zip(paths, mesh.vertices(), strict=True):
    np.testing.assert_allclose(read(path)[0], upright(vertices), atol=1e-5)


def test_nothing_is_overwritten(tmp_path):
  mesh = meshes_test.motion(3)
  (tmp_path / "walk_000002.obj").write_text("mine")
  with pytest.raises(FileExistsError, match=r"walk_000002\.obj exists and is never"):
    mesh.export(tmp_path / "walk.obj")
  assert [p.name for p in tmp_path.iterdir()] == ["walk_000002.obj"]
  (tmp_path / "a.glb").write_text("mine")
  for frame in (0, None):
    with pytest.raises(FileExistsError, match="exists and is never overwritten"):
      mesh.export(tmp_path / "a.glb", frame)
  assert (tmp_path / "a.glb").read_text() == "mine"


def test_files_that_cannot_be_are_refused(tmp_path):
  mesh = meshes_test.motion(3)
  with pytest.raises(ValueError, match=r"expected the ending \.glb or \.obj"):
    mesh.export(tmp_path / "body.ply")
  for frame in (3, -4):
    with pytest.raises(ValueError, match=f"got frame {frame}, expected 0 to 2"):
      mesh.export(tmp_path / "body.glb", frame)


@pytest.mark.parametrize(("package", "frame"), [("trimesh", 0), ("pygltflib", None)])
def test_packages_that_are_not_installed_are_named(
  tmp_path, monkeypatch, package, frame
):
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(ImportError, match=rf"{package}: pip install 'jaxpose\[mesh\]'"):
    meshes.export_mesh(meshes_test.motion(2), tmp_path / "body.glb", frame)
  assert not list(tmp_path.iterdir())
