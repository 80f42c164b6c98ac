"""Checkpoints of both containers, whole, of another kind, and damaged."""

import io
import pickle
import tarfile
import zipfile

import hypothesis
import ml_dtypes
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxpose.files import torch_file
from jaxpose.files.pickles import InvalidFile
from jaxpose.files.pickles import Unread
from tests.torch_writer import CONTAINERS
from tests.torch_writer import STORAGE
from tests.torch_writer import Build
from tests.torch_writer import Name
from tests.torch_writer import Pid
from tests.torch_writer import Raw
from tests.torch_writer import Reduce
from tests.torch_writer import container_bytes
from tests.torch_writer import emit
from tests.torch_writer import legacy_bytes
from tests.torch_writer import small_checkpoint
from tests.torch_writer import storage
from tests.torch_writer import stream
from tests.torch_writer import tensor
from tests.torch_writer import whole
from tests.torch_writer import zip_bytes


@pytest.fixture
def read(tmp_path):
  """Loads the bytes of a file through a path."""

  def read(content: bytes):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return torch_file.load(path)

  return read


# Reading.


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", STORAGE)
def test_every_number_type_survives(read, container, name):
  dtype = np.dtype(getattr(ml_dtypes, name, name))
  array = np.arange(-3, 3).astype(dtype).reshape(2, 3)
  (loaded,) = read(container_bytes(container, [whole("0", array)], {"0": array}))
  assert loaded.dtype == dtype
  np.testing.assert_array_equal(loaded, array)


@pytest.mark.parametrize("container", CONTAINERS)
def test_checkpoint_gives_plain_containers(read, container):
  loaded = read(small_checkpoint(container))
  assert loaded["epoch"] == 3
  assert loaded["lr"] == 0.5
  weights = torch_file.find_state_dict(loaded)
  assert list(weights) == ["fc.weight", "bn.steps"]
  np.testing.assert_array_equal(weights["fc.weight"], [[0, 1, 2], [3, 4, 5]])
  assert weights["bn.steps"].shape == ()
  assert weights["bn.steps"] == 7


@pytest.mark.parametrize("container", CONTAINERS)
def test_views_follow_offset_and_stride_and_share_memory(read, container):
  array = np.arange(12, dtype=np.float32)
  source = storage("0", array)
  value = dict(
    turned=tensor(source, (4, 3), (1, 4)),
    slice=tensor(source, (2, 2), (4, 2), 5),
    stretched=tensor(source, (5, 2), (0, 1), 3),
    scalar=tensor(source, (), (), 11),
    empty=tensor(source, (0, 3), (3, 1), 12),
    v1=Reduce(Name("torch._utils _rebuild_tensor"), (source, 1, (2,), (3,))),
  )
  loaded = read(container_bytes(container, value, {"0": array}))
  np.testing.assert_array_equal(loaded["turned"], array.reshape(3, 4).T)
  np.testing.assert_array_equal(loaded["slice"], [[5, 7], [9, 11]])
  np.testing.assert_array_equal(loaded["stretched"], [[3, 4]] * 5)
  np.testing.assert_array_equal(loaded["scalar"], 11)
  np.testing.assert_array_equal(loaded["v1"], [1, 4])
  assert loaded["empty"].shape == (0, 3)
  assert np.shares_memory(loaded["turned"], loaded["slice"])


def test_early_legacy_files_name_views_of_storages(read):
  array = np.arange(8, dtype=np.float32)
  identity = ("storage", Name("torch FloatStorage"), "0", "cpu", 8, ("7", 2, 3))
  value = tensor(Pid(identity), (3,), (1,))
  np.testing.assert_array_equal(
    read(legacy_bytes(stream(value), {"0": array})), [2, 3, 4]
  )


@pytest.mark.parametrize("container", CONTAINERS)
def test_parameters_and_subclasses_are_their_tensors(read, container):
  array = np.arange(4, dtype=np.float32)
  hooks = Reduce(Name("collections OrderedDict"), ())
  made = whole("0", array)
  untyped = ("storage", Name("torch.storage UntypedStorage"), "1", "cpu", 8)
  v3 = (Pid(untyped), 1, (3,), (1,), False, hooks, Name("torch uint16"))
  subclass = (made.function, Name("torch Tensor"), made.args, {"tag": 1})
  value = [
    Reduce(Name("torch._utils _rebuild_parameter"), (made, True, hooks)),
    Reduce(Name("torch._utils _rebuild_parameter_with_state"), (made, True, hooks, {})),
    Reduce(Name("torch._tensor _rebuild_from_type_v2"), subclass),
    Reduce(Name("torch._utils _rebuild_tensor_v3"), v3),
  ]
  short = np.arange(8, dtype=np.uint8)
  *floats, shorts = read(container_bytes(container, value, {"0": array, "1": short}))
  assert len(floats) == 3
  for loaded in floats:
    np.testing.assert_array_equal(loaded, array)
  assert shorts.dtype == np.uint16
  np.testing.assert_array_equal(shorts, short.view(np.uint16)[1:])


def test_small_torch_and_collections_objects_become_plain_ones(read):
  ordered = Name("collections OrderedDict")
  factory = (Name("__builtin__ list"),)
  value = dict(
    metadata=Build(
      Raw(emit(Reduce(ordered, ())) + b"X\1\0\0\0aK\1s"), {"_metadata": 1}
    ),
    pairs=Reduce(ordered, ([["a", 1], ["b", 2]],)),
    counter=Reduce(Name("collections Counter"), ({8: 1},)),
    default=Reduce(Name("collections defaultdict"), factory),
    a_set=Reduce(Name("__builtin__ set"), ([1, 2],)),
    size=Reduce(Name("torch Size"), ((2, 3),)),
    gpu=Reduce(Name("torch device"), ("cuda", 1)),
    cpu=Reduce(Name("torch device"), ("cpu",)),
    dtype=Name("torch float16"),
    options=Build(Raw(emit(Name("argparse Namespace")) + b")\x81"), {"lr": 1}),
  )
  assert read(zip_bytes(stream(value))) == dict(
    metadata={"a": 1},
    pairs={"a": 1, "b": 2},
    counter={8: 1},
    default={},
    a_set=[1, 2],
    size=(2, 3),
    gpu="cuda:1",
    cpu="cpu",
    dtype=np.float16,
    options=Unread("argparse.Namespace"),
  )


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("numpy_1", [False, True])
def test_numpy_arrays_and_scalars_are_read(read, container, protocol, numpy_1):
  shared_dtype = np.arange(3.0)
  value = dict(
    c=np.arange(12).reshape(3, 4),
    fortran=np.arange(12).reshape(3, 4).T,
    big=np.arange(4, dtype=">i4"),
    bools=np.array([True, False]),
    empty=np.zeros((0, 2)),
    text=np.array(["ab", "c"]),
    again=[shared_dtype, shared_dtype, shared_dtype + 1],
    scalar=np.float32(2.5),
    flag=np.bool_(True),
    set={1},
    frozen=frozenset([2]) if protocol > 3 else (2,),
    raw=b"\x00\xff",
    ints=[2**70, -1, 70000, 1.5, None, True, False, (), (1,), (1, 2), (1, 2, 3)],
  )
  pickled = pickle.dumps(value, protocol)
  if numpy_1 and protocol < 4:
    pickled = pickled.replace(b"numpy._core.", b"numpy.core.")
  loaded = read((zip_bytes if container == "zip" else legacy_bytes)(pickled))
  assert loaded.pop("set") == [1]
  assert loaded.pop("frozen") == (2,)
  assert loaded["again"][0] is loaded["again"][1]
  for key in loaded:
    np.testing.assert_equal(loaded[key], value[key])
    assert type(loaded[key]) is type(value[key])


def test_arrays_pickled_by_python_2_are_read(read):
  dtype = Build(
    Reduce(Name("numpy dtype"), ("f8", 0, 1)), (3, "<", None, None, None, -1)
  )
  raw = np.array([1.5, -2.5]).tobytes()
  old_text = Raw(b"U" + bytes([len(raw)]) + raw)
  empty = Reduce(
    Name("numpy.core.multiarray _reconstruct"), (Name("numpy ndarray"), (0,), "b")
  )
  array = Build(empty, (1, (2,), dtype, False, old_text))
  np.testing.assert_array_equal(read(zip_bytes(stream(array))), [1.5, -2.5])


@pytest.mark.parametrize("protocol", [2, 4])
def test_random_generators_stay_unread(read, protocol):
  value = [np.random.RandomState(1), np.random.default_rng(1), 5]
  old, new, five = read(zip_bytes(pickle.dumps(value, protocol)))
  assert isinstance(old, Unread)
  assert isinstance(new, Unread)
  assert five == 5


# Golden files of PyTorch itself.


def test_gla_gcn_checkpoint(shared):
  path = shared / "golden/gla_gcn/checkpoint_layout_h36m_rf27_c8.bin"
  loaded = torch_file.load(path)
  assert set(loaded) == {"epoch", "lr", "random_state", "optimizer", "model_pos"}
  assert isinstance(loaded["random_state"], Unread)
  weights = torch_file.find_state_dict(loaded)
  assert len(weights) == 238
  assert weights["fc.weight"].shape == (3, 8, 1)
  assert weights["expand_gcn.gcn1.PA"].shape == (3, 17, 17)
  assert weights["layers_tcngcn.5.tcn1.conv.weight"].shape == (8, 8, 9, 1)
  assert all(np.isfinite(w).all() for w in weights.values())
  assert all((w > 0).all() for n, w in weights.items() if n.endswith("running_var"))


@pytest.mark.parametrize(
  ("name", "missing"), [("legacy", ""), ("zip_module_prefix", ".smpl.")]
)
def test_glot_checkpoint_equals_its_stored_tensors(shared, name, missing):
  loaded = torch_file.load(shared / f"golden/glot/checkpoint_small_{name}.pth.tar")
  assert loaded["epoch"] == 44
  assert isinstance(float(loaded["performance"]), float)
  weights = torch_file.find_state_dict(loaded)
  stored = np.load(shared / "golden/glot/model_small.npz")
  names = {k[3:] for k in stored.files if k.startswith("sd/")}
  assert set(weights) == {n for n in names if not missing or missing not in n}
  for key, weight in weights.items():
    np.testing.assert_array_equal(weight, stored[f"sd/{key}"])


# Finding the weights.


def test_bare_and_nested_state_dicts_are_found():
  weights = {"a": np.ones(2), "b": np.zeros(())}
  for layout in (weights, {"net": weights}, {"model": {"state_dict": weights}, "x": 1}):
    assert torch_file.find_state_dict(layout).keys() == weights.keys()


def test_own_key_is_found():
  loaded = {"ema": {"module.a": np.ones(2)}, "model": {"module.a": np.zeros(2)}}
  found = torch_file.find_state_dict(loaded, keys=("ema",))
  np.testing.assert_array_equal(found["a"], 1)


@pytest.mark.parametrize(
  ("checkpoint", "sentence"),
  [
    ({"epoch": 3, "weights": {"a": np.ones(2)}}, "keys 'epoch', 'weights', expected"),
    ({}, r"keys \(none\), expected"),
    ({"model": {"a": 1}}, "under one of model_pos, gen_state_dict, "),
    ([np.ones(2)], "got a list, expected"),
  ],
)
def test_absent_weights_are_told_with_the_keys_that_are_there(checkpoint, sentence):
  with pytest.raises(InvalidFile, match=sentence):
    torch_file.find_state_dict(checkpoint)


def test_weights_given_twice_are_refused():
  with pytest.raises(InvalidFile, match="got some weights twice"):
    torch_file.find_state_dict({"a": np.ones(2), "module.a": np.ones(2)})


# Files that are something else, or broken.


def test_absent_file_and_folder(tmp_path):
  with pytest.raises(InvalidFile, match=r"none\.pth: no such file"):
    torch_file.load(tmp_path / "none.pth")
  with pytest.raises(InvalidFile, match="cannot be opened"):
    torch_file.load(tmp_path)


def tar_bytes() -> bytes:
  buffer = io.BytesIO()
  with tarfile.open(fileobj=buffer, mode="w") as archive:
    archive.addfile(tarfile.TarInfo("storages"))
  return buffer.getvalue()


def compressed_zip() -> bytes:
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("archive/data.pkl", stream(1))
  return buffer.getvalue()


ONE = np.ones(4, np.float32)


@pytest.mark.parametrize(
  ("content", "sentence"),
  [
    (b"", "the file is empty"),
    (b"\x89PNG\r\n\x1a\n" + bytes(99), "not a PyTorch checkpoint: it begins with"),
    (b"<!DOCTYPE html><html>", "begins with b'<!DOCTYPE ht'"),
    (tar_bytes(), "a tar archive, the format of the first PyTorch"),
    (compressed_zip(), "'data.pkl' is compressed or larger"),
    (
      zip_bytes(stream(1)).replace(b"data.pkl", b"data.npy"),
      "expected one NAME/data.pkl",
    ),
    (zip_bytes(stream(1), **{"constants.pkl": b"x"}), "a TorchScript program"),
    (zip_bytes(stream(1), **{"code/a.py": b"x"}), "a TorchScript program"),
    (zip_bytes(stream(1), byteorder=b"big"), "written on a big-endian machine"),
    (legacy_bytes(stream(1), little=False), "written on a big-endian machine"),
    (pickle.dumps({"a": 1}), "its magic number is absent"),
    (stream(0x1950A86A20F9469CFC6C) + stream(999) + stream({}), "expected 1001"),
    (zip_bytes(stream([whole("0", ONE)])), "truncated or damaged"),
    (zip_bytes(stream([whole("0", ONE)]), {"0": ONE[:3]}), "got 12 bytes in 'data/0'"),
    (
      legacy_bytes(stream([whole("0", ONE)]), {"0": ONE[:3]}),
      "got 12 bytes in storage",
    ),
    (legacy_bytes(stream([whole("0", ONE)])), "the numbers of 1 storages are absent"),
    (zip_bytes(b"\x80\x02P1\n."), "refused: its pickle uses the operation PERSID"),
  ],
)
def test_other_files_are_refused_in_words(read, tmp_path, content, sentence):
  with pytest.raises(InvalidFile, match=sentence) as caught:
    read(content)
  assert str(caught.value).startswith(str(tmp_path / "weights.pth"))
  assert "\n" not in str(caught.value)


def test_flipped_number_in_a_zip_is_noticed(read):
  content = small_checkpoint("zip")
  place = content.index(np.arange(6, dtype=np.float32).tobytes()) + 2
  changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
  with pytest.raises(InvalidFile, match=r"truncated or damaged.*CRC"):
    read(changed)


# Damage anywhere.


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_truncation_is_refused(read, container):
  content = small_checkpoint(container)
  assert isinstance(read(content), dict)
  for length in range(0, len(content), 7):
    with pytest.raises(InvalidFile):
      read(content[:length])


@pytest.mark.parametrize("container", CONTAINERS)
@hypothesis.settings(
  deadline=None,
  max_examples=200,
  derandomize=True,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(data=st.data())
def test_random_damage_gives_a_result_or_one_kind_of_error(read, container, data):
  content = bytearray(small_checkpoint(container))
  for _ in range(data.draw(st.integers(1, 4))):
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
  try:
    torch_file.find_state_dict(read(bytes(content)))
  except InvalidFile:
    pass
