"""A body in motion: what follows from its parameters, and its file."""

import dataclasses
import re

import numpy as np
import pytest

from jaxpose import body as smpl
from jaxpose import geometry
from jaxpose.body import body_files
from jaxpose.body import meshes
from jaxpose.body.meshes import Mesh


def motion(frames: int = 5, body: str = "free_small", seed: int = 0) -> Mesh:
  """A random, upright body that walks; each frame has its own shape."""
  rng = np.random.default_rng(seed)
  vectors = 0.3 * rng.normal(size=(frames, 24, 3))
  vectors[:, 0] = [np.pi, 0, 0] + 0.1 * rng.normal(size=(frames, 3))
  t = np.arange(frames, dtype=np.float32)
  return Mesh(
    rotations=np.float32(geometry.axis_angle_to_matrix(vectors)),
    betas=np.float32(0.5 * rng.normal(size=(frames, 10))),
    translation=np.stack([0.1 * t, 0.3 + 0 * t, 4 + 0.2 * t], -1),
    camera=np.float32(rng.normal(size=(frames, 3))),
    crops=np.float32(rng.uniform(50, 200, size=(frames, 3))),
    valid=t != 3,
    report="somebody",
    body=body,
    image_size=(640.0, 480.0),
    focal=736.0,
    frame_rate=25.0,
  )


def one_shape(frames: int = 5) -> Mesh:
  mesh = motion(frames)
  return dataclasses.replace(mesh, betas=np.tile(mesh.betas[:1], (frames, 1)))


def test_vertices_are_those_of_the_body_moved():
  mesh = motion(20)
  body = body_files.load("free_small")
  want = smpl.pose(body, mesh.rotations, mesh.betas).vertices
  want = want + mesh.translation[:, None]
  np.testing.assert_allclose(mesh.vertices(), want, atol=1e-5)
  some = mesh.vertices(slice(3, 19, 2))
  np.testing.assert_allclose(some, want[3:19:2], atol=1e-5)
  assert mesh.vertices(slice(0)).shape == (0, 1500, 3)
  np.testing.assert_array_equal(mesh.faces, body.faces)


def test_poses_are_axis_times_angle():
  mesh = motion()
  matrices = geometry.axis_angle_to_matrix(mesh.poses.reshape(-1, 24, 3))
  np.testing.assert_allclose(matrices, mesh.rotations, atol=1e-5)
  assert mesh.poses.dtype == np.float32


def test_a_slice_is_a_clip():
  mesh = motion()
  part = mesh[1:3]
  assert len(part) == 2
  np.testing.assert_array_equal(part.joints_3d, mesh.joints_3d[1:3])
  with pytest.raises(ValueError, match=r"got the index 2, expected a slice such as"):
    mesh[2]


@pytest.mark.parametrize("axes", meshes.AXES)
@pytest.mark.parametrize("make", [motion, one_shape])
def test_a_file_gives_back_what_was_saved(tmp_path, axes, make):
  mesh = make()
  path = mesh.save(tmp_path / "new" / "clip.npz", axes=axes)
  again = Mesh.load(path)
  for field in dataclasses.fields(Mesh):
    before, after = getattr(mesh, field.name), getattr(again, field.name)
    if field.name == "rotations":
      np.testing.assert_allclose(after, before, atol=1e-6)
      assert after.dtype == np.float32
    elif isinstance(before, np.ndarray):
      np.testing.assert_array_equal(after, before)
      assert after.dtype == before.dtype
    else:
      assert after == before
  assert [p.name for p in path.parent.iterdir()] == ["clip.npz"]


def test_what_no_camera_is_known_of_is_saved_too(tmp_path):
  mesh = dataclasses.replace(motion(), image_size=None, focal=None)
  again = Mesh.load(mesh.save(tmp_path / "clip.npz"))
  assert (again.image_size, again.focal) == (None, None)


@pytest.mark.parametrize(("axes", "up"), [("z_up", 2), ("y_up", 1)])
def test_other_programs_find_the_body_upright_and_in_its_place(tmp_path, axes, up):
  mesh = one_shape()
  with np.load(mesh.save(tmp_path / "clip.npz", axes=axes)) as file:
    assert file["poses"].shape == (5, 72)
    assert file["betas"].shape == (10,)
    assert file["trans"].shape == (5, 3)
    assert (str(file["gender"]), float(file["mocap_framerate"])) == ("neutral", 25)
    # As a reader of AMASS poses SMPL.
    body = body_files.load(str(file["body"]))
    rotations = geometry.axis_angle_to_matrix(file["poses"].reshape(-1, 24, 3))
    betas = np.tile(file["betas"], (5, 1))
    posed = smpl.pose(body, np.float32(rotations), betas).vertices
    found = posed + file["trans"][:, None]
  turned = mesh.vertices() @ meshes.axes_matrix(axes).T
  np.testing.assert_allclose(found, turned, atol=1e-5)
  np.testing.assert_allclose(found[..., up], -mesh.vertices()[..., 1], atol=1e-5)
  head, foot = (int(np.argmax(s * body.template[:, 1])) for s in (1, -1))
  assert (found[:, head, up] > found[:, foot, up] + 1).all()


def test_a_file_with_many_shapes_keeps_the_root_in_place(tmp_path):
  mesh = motion()
  body = body_files.load("free_small")
  with np.load(mesh.save(tmp_path / "clip.npz", axes="camera")) as file:
    rest = smpl.rest_joints(body, file["betas"][None])[:, 0]
    np.testing.assert_allclose(file["betas"], mesh.betas.mean(0), atol=1e-6)
    np.testing.assert_allclose(rest + file["trans"], mesh.joints_smpl[:, 0], atol=1e-5)


@pytest.mark.parametrize("axes", meshes.AXES)
def test_axes_are_rotations(axes):
  turn = meshes.axes_matrix(axes)
  np.testing.assert_array_equal(turn @ turn.T, np.eye(3))
  assert np.linalg.det(turn) == 1


def test_nothing_is_overwritten(tmp_path):
  path = motion().save(tmp_path / "clip.npz")
  before = path.read_bytes()
  with pytest.raises(FileExistsError, match="never overwritten; choose another name"):
    motion(3).save(path)
  assert path.read_bytes() == before


def test_files_that_cannot_be_written_are_refused(tmp_path):
  with pytest.raises(ValueError, match=r"expected the ending \.npz"):
    motion().save(tmp_path / "clip.npy")
  with pytest.raises(ValueError, match="got axes 'up', expected 'camera', 'y_up', 'z"):
    motion().save(tmp_path / "clip.npz", axes="up")
  assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_read_are_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"expected one that Mesh\.save wrote"):
    Mesh.load(tmp_path / "no.npz")
  path = motion().save(tmp_path / "clip.npz")
  path.write_bytes(path.read_bytes()[:200])
  with pytest.raises(ValueError, match=r"cannot be read .* truncated or not an \.npz"):
    Mesh.load(path)
  other = tmp_path / "amass.npz"
  np.savez(other, poses=np.zeros((2, 72)), trans=np.zeros((2, 3)))
  sentence = "has no betas, mocap_framerate, gender, axes, frame_betas"
  with pytest.raises(ValueError, match=re.escape(sentence)):
    Mesh.load(other)
