import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse

from jaxpose import body as bodies
from jaxpose.body import PARENTS
from jaxpose.body import body_files
from jaxpose.files import smpl_pickle

M = body_files.NUM_VERTICES


@pytest.fixture(scope="module")
def arrays():
  """Random numbers in the layout of SMPL's files."""
  rng = np.random.default_rng(0)
  regressor = np.zeros((24, M))
  for row in regressor:
    row[rng.integers(0, M, 8)] = 0.125
  weights = rng.random((M, 24)) ** 8
  parents = np.asarray([2**32 - 1, *PARENTS[1:]], np.uint32)
  return dict(
    v_template=rng.normal(size=(M, 3)),
    shapedirs=rng.normal(size=(M, 3, 12)),
    posedirs=1e-3 * rng.normal(size=(M, 3, 207)).astype("f4"),
    J_regressor=regressor,
    weights=weights / weights.sum(1, keepdims=True),
    f=rng.integers(0, M, (20, 3)).astype(np.uint32),
    kintree_table=np.stack([parents, np.arange(24, dtype=np.uint32)]),
  )


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.delenv("JAXPOSE_SMPL_DIR", raising=False)
  for name, rows in (("extra", 9), ("h36m", 17)):
    np.save(tmp_path / f"J_regressor_{name}.npy", np.eye(rows, M))
  return tmp_path


def in_module(monkeypatch, module, name):
  """A class that pickles as `module.name`, as chumpy's do."""
  kind = type(name, (), {"__module__": module})
  made = types.ModuleType(module)
  setattr(made, name, kind)
  for i in range(module.count(".") + 1):
    parent = module.rsplit(".", i)[0]
    monkeypatch.setitem(
      sys.modules, parent, made if i == 0 else types.ModuleType(parent)
    )
  return kind


def write_npz(path, arrays, **changes):
  np.savez(path, **{**arrays, **changes})
  return path


def refused(path, match):
  with pytest.raises(ValueError, match=match) as info:
    body_files.load(path)
  assert "\n" not in str(info.value)
  assert str(info.value).startswith(str(path))


def assert_is_body_of(arrays, body):
  np.testing.assert_allclose(body.template, arrays["v_template"], rtol=1e-6)
  np.testing.assert_allclose(body.shape_dirs, arrays["shapedirs"][..., :10], rtol=1e-6)
  np.testing.assert_array_equal(body.pose_dirs[5], arrays["posedirs"][..., 5])
  np.testing.assert_array_equal(body.faces, arrays["f"])
  joints = arrays["J_regressor"] @ arrays["v_template"]
  np.testing.assert_allclose(body.joint_template, joints, atol=1e-6)
  moved = arrays["v_template"] + arrays["shapedirs"][..., 3]
  got = body.joint_template + body.joint_shape_dirs[..., 3]
  np.testing.assert_allclose(got, arrays["J_regressor"] @ moved, atol=1e-5)
  assert all(a.dtype in (np.float32, np.int32) for a in body)


def test_a_pickle_as_distributed_loads_without_chumpy(folder, arrays, monkeypatch):
  ch = in_module(monkeypatch, "chumpy.ch", "Ch")()
  ch.__dict__["x"] = arrays["shapedirs"]
  select = in_module(monkeypatch, "chumpy.reordering", "Select")()
  inner = type(ch)()
  inner.x = np.asfortranarray(np.append(arrays["v_template"].ravel(), [7.0]))
  select.__dict__.update(a=inner, idxs=np.arange(3 * M), preferred_shape=(M, 3))
  content = dict(
    arrays,
    shapedirs=ch,
    v_template=select,
    J_regressor=scipy.sparse.csc_matrix(arrays["J_regressor"]),
    posedirs=np.asfortranarray(arrays["posedirs"]),
    weights=arrays["weights"].astype(">f8"),
    bs_style="lbs",
  )
  (folder / "smpl.pkl").write_bytes(pickle.dumps(content, protocol=2))
  for name in ("chumpy.ch", "chumpy.reordering", "chumpy"):
    monkeypatch.setitem(sys.modules, name, None)
  body = body_files.load(folder / "smpl.pkl")
  assert_is_body_of(arrays, body)
  np.testing.assert_allclose(body.weights, arrays["weights"], rtol=1e-6, atol=1e-9)


def test_python_2_wrote_arrays_as_text():
  # numpy.dtype("f8"), then an array of [1.0, -2.0] whose bytes are a Python 2 string.
  raw = b"\x80\x02}q\x00U\x01aq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02"
  raw += b"cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87Rq\x04(K\x01K\x02\x85"
  raw += (
    b"cnumpy\ndtype\nq\x05U\x02f8K\x00K\x01\x87Rq\x06(K\x03U\x01<NNNJ\xff\xff\xff\xff"
  )
  raw += b"J\xff\xff\xff\xffK\x00tb\x89U\x10" + np.float64([1, -2]).tobytes() + b"tbs."
  np.testing.assert_array_equal(smpl_pickle.read(raw)["a"], [1.0, -2.0])


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "csc_array"])
def test_sparse_matrices_become_dense(kind):
  dense = np.asarray([[0.0, 2, 0], [3, 0, 4]])
  raw = pickle.dumps({"m": getattr(scipy.sparse, kind)(dense)}, protocol=2)
  np.testing.assert_array_equal(smpl_pickle.read(raw)["m"], dense)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (dict(indptr=np.asarray([0, 2**40, 2**40, 2**40])), "with other entries"),
    (dict(indptr=np.asarray([0, 9, 2, 3])), "a sparse matrix of shape"),
    (dict(_shape=(0, 2**40)), "a sparse matrix of shape"),
    (dict(_shape=(2**40, 3)), "declares more data than the file holds"),
    (dict(_shape=(2, 3, 1)), "a sparse matrix of shape"),
    (dict(indices=np.asarray([0, 1, 99])), "out of bounds"),
  ],
)
def test_sparse_matrices_that_contradict_themselves_are_refused(changes, message):
  matrix = scipy.sparse.csc_matrix(np.asarray([[0.0, 2, 0], [3, 0, 4]]))
  vars(matrix).update(changes)
  with pytest.raises(ValueError, match=f"truncated or damaged: .*{message}"):
    smpl_pickle.read(pickle.dumps({"m": matrix}, protocol=2))


def test_npz_loads_like_the_pickle(folder, arrays):
  body = body_files.load(write_npz(folder / "smpl.npz", arrays))
  assert_is_body_of(arrays, body)
  assert body_files.load(str(folder / "smpl.npz")) is body
  rotations = np.broadcast_to(np.eye(3, dtype=np.float32), (24, 3, 3))
  posed = bodies.pose(body, rotations, np.zeros(10, np.float32))
  np.testing.assert_allclose(
    bodies.joints_49(body, posed)[0], body.template[332], atol=1e-5
  )
  assert bodies.joints_14(body, posed).shape == (14, 3)


def test_regressors_are_found_in_the_named_folder(folder, arrays, monkeypatch):
  (folder / "models").mkdir()
  path = write_npz(folder / "models" / "smpl.npz", arrays)
  with pytest.raises(FileNotFoundError, match=r"got no J_regressor_extra\.npy in"):
    body_files.load(path)
  monkeypatch.setenv("JAXPOSE_SMPL_DIR", str(folder))
  assert body_files.load(path).h36m_regressor.shape == (17, M)


def test_smpl_is_the_neutral_body_of_the_named_folder(folder, arrays, monkeypatch):
  monkeypatch.delenv("JAXPOSE_SMPL_DIR", raising=False)
  with pytest.raises(FileNotFoundError, match="'smpl' with no folder in JAXPOSE_SMPL"):
    body_files.load("smpl")
  monkeypatch.setenv("JAXPOSE_SMPL_DIR", str(folder))
  with pytest.raises(FileNotFoundError, match="expected a folder with one of SM"):
    body_files.load("smpl")
  write_npz(folder / "SMPL_NEUTRAL.npz", arrays)
  assert_is_body_of(arrays, body_files.load("smpl"))


def test_without_human36m_regressor_there_is_none(folder, arrays):
  (folder / "J_regressor_h36m.npy").unlink()
  assert body_files.load(write_npz(folder / "a.npz", arrays)).h36m_regressor is None


def test_a_hostile_array_of_objects_is_refused(folder):
  path = folder / "smpl.pkl"
  path.write_bytes(pickle.dumps({"f": np.asarray([{}, None])}, protocol=2))
  refused(path, "refused: it holds a numpy array of type 'O8', expected numbers")


def test_damaged_pickles_are_one_sentence(folder):
  path = folder / "smpl.pkl"
  raw = pickle.dumps({"v_template": np.zeros((40, 3))}, protocol=2)
  for cut in (
    b"",
    raw[:30],
    raw[:-50],
    raw[:40] + b"\xff" + raw[41:],
    pickle.dumps([1]),
  ):
    with pytest.raises(
      ValueError, match="truncated or damaged: it is no pickle"
    ) as info:
      smpl_pickle.read(cut)
    assert "\n" not in str(info.value)
  path.write_bytes(raw[:-50])
  refused(path, "truncated or damaged: it is no pickle")


def test_damaged_npz_is_one_sentence(folder, arrays):
  path = write_npz(folder / "smpl.npz", {"f": arrays["f"]})
  path.write_bytes(path.read_bytes()[:200])
  refused(path, "truncated or damaged, or not plain arrays; copy")


def smplx_arrays(m=60, seed=0):
  """Random numbers in the layout of the package smplx, as GLoT's checkpoints hold."""
  rng = np.random.default_rng(seed)

  def convex(rows, columns):
    a = rng.random((rows, columns)).astype("f4") ** 4
    return a / a.sum(1, keepdims=True)

  return {
    "betas": np.zeros((64, 10), "f4"),
    "faces_tensor": rng.integers(0, m, (30, 3)),
    "v_template": rng.normal(size=(m, 3)).astype("f4"),
    "shapedirs": rng.normal(size=(m, 3, 10)).astype("f4"),
    "J_regressor": convex(24, m),
    "posedirs": 1e-2 * rng.normal(size=(207, 3 * m)).astype("f4"),
    "parents": np.asarray(PARENTS),
    "lbs_weights": convex(m, 24),
    "J_regressor_extra": convex(9, m),
    "vertex_joint_selector.extra_joints_idxs": rng.integers(0, m, 21),
  }


def test_the_body_of_a_checkpoint_loads_by_smplx_names(folder):
  arrays = smplx_arrays()
  for name in ("extra", "h36m"):
    (folder / f"J_regressor_{name}.npy").unlink()
  body = body_files.load(write_npz(folder / "body.npz", arrays))
  assert body.h36m_regressor is None
  np.testing.assert_array_equal(body.extra_regressor, arrays["J_regressor_extra"])
  np.testing.assert_array_equal(body.faces, arrays["faces_tensor"])
  # The first entry of `R - I` of joint 1 moves vertex 7 by its own three numbers.
  np.testing.assert_array_equal(
    body.pose_dirs[9, 7], arrays["posedirs"][9].reshape(-1, 3)[7]
  )
  rest = np.broadcast_to(np.eye(3, dtype=np.float32), (24, 3, 3))
  posed = bodies.pose(body, rest, np.zeros(10, np.float32))
  np.testing.assert_allclose(
    posed.joints, arrays["J_regressor"] @ arrays["v_template"], atol=1e-5
  )
  selected = arrays["vertex_joint_selector.extra_joints_idxs"]
  np.testing.assert_allclose(
    bodies.joints_49(body, posed)[0], body.template[selected[0]], atol=1e-5
  )


def test_human36m_regressor_beside_the_body_of_a_checkpoint_is_taken(folder):
  np.save(folder / "J_regressor_h36m.npy", np.eye(17, 60))
  body = body_files.load(write_npz(folder / "body.npz", smplx_arrays()))
  assert body.h36m_regressor.shape == (17, 60)


def test_both_layouts_of_one_body_are_the_same(folder, arrays):
  changes = {
    "lbs_weights": arrays["weights"],
    "faces_tensor": arrays["f"].astype(int),
    "posedirs": np.moveaxis(arrays["posedirs"], -1, 0).reshape(207, -1),
    "parents": np.asarray(PARENTS),
    "J_regressor_extra": np.eye(9, M),
  }
  own = body_files.load(write_npz(folder / "own.npz", arrays))
  other = {k: v for k, v in arrays.items() if k not in ("weights", "f")}
  other = body_files.load(write_npz(folder / "other.npz", other, **changes))
  for one, two in zip(own, other, strict=True):
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
  ("changes", "match"),
  [
    (
      dict(posedirs=np.zeros((207, 60))),
      r"'posedirs' of shape .* \(207, 180\) of SMPL",
    ),
    (dict(lbs_weights=np.zeros((60, 55))), r"'lbs_weights' of shape \(60, 55\), expec"),
    (dict(v_template=np.zeros(())), r"got 'v_template' of shape \(\), expected \(1, 3"),
    (
      dict(J_regressor_extra=np.asarray(["a"])),
      "no array 'J_regressor_extra', expected",
    ),
    (dict(parents=np.arange(24)), "got a tree of 24 joints that is not SMPL's"),
    (
      {"vertex_joint_selector.extra_joints_idxs": np.full(21, 60)},
      "got selected joints with vertices 60 to 60, expected 0 to 59; copy",
    ),
    (
      {"vertex_joint_selector.extra_joints_idxs": np.arange(20)},
      r"'vertex_joint_selector.extra_joints_idxs' of shape \(20,\), expected \(21\)",
    ),
  ],
)
def test_other_shapes_by_smplx_names_are_refused(folder, changes, match):
  refused(write_npz(folder / "body.npz", smplx_arrays(), **changes), match)


@pytest.mark.parametrize(
  ("changes", "match"),
  [
    (dict(weights=np.zeros((M, 52))), r"got 'weights' of shape \(6890, 52\), expected"),
    (dict(v_template=np.zeros((10475, 3))), r"'v_template' of shape \(10475, 3\)"),
    (dict(f=np.zeros((5, 4), int)), r"got 'f' of shape \(5, 4\), expected \(any, 3\)"),
    (dict(f=np.full((5, 3), M)), "got faces with vertices 6890 to 6890, expected"),
    (dict(f=np.asarray(["a"])), r"got no array 'f', expected SMPL's v_template"),
    (
      dict(shapedirs=np.zeros((M, 3, 4))),
      "got 4 shape components, expected at least",
    ),
    (dict(kintree_table=np.zeros((2, 52), int)), "got a tree of 52 joints that is not"),
  ],
)
def test_other_shapes_are_refused(folder, arrays, changes, match):
  refused(write_npz(folder / "smpl.npz", arrays, **changes), match)


def test_regressors_of_other_bodies_are_refused(folder, arrays):
  np.save(folder / "J_regressor_h36m.npy", np.zeros((17, 9)))
  refused(
    write_npz(folder / "smpl.npz", arrays), r"J_regressor_h36m.npy of shape \(17, 9"
  )


def test_a_missing_file_says_where_to_get_one(folder):
  with pytest.raises(
    FileNotFoundError,
    match=r"'free_small', 'smpl' or the path of a file .*registration",
  ):
    body_files.load(folder / "SMPL_NEUTRAL.pkl")
  (folder / "smpl.obj").touch()
  refused(folder / "smpl.obj", r"got the ending '\.obj', expected \.pkl or \.npz")
