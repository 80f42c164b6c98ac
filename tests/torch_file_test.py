"""Checkpoints are written here opcode by opcode, in both containers, without torch."""

import copyreg
import io
import pickle
import pickletools
import struct
import tarfile
import time
import zipfile
from typing import NamedTuple

import hypothesis
import ml_dtypes
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxpose import torch_file
from jaxpose.torch_file import InvalidWeightsFile
from jaxpose.torch_file import Unread

STORAGE = {
  "float64": "torch DoubleStorage",
  "float32": "torch FloatStorage",
  "float16": "torch HalfStorage",
  "bfloat16": "torch BFloat16Storage",
  "int64": "torch LongStorage",
  "int32": "torch IntStorage",
  "int16": "torch ShortStorage",
  "int8": "torch CharStorage",
  "uint8": "torch ByteStorage",
  "bool": "torch BoolStorage",
  "complex64": "torch ComplexFloatStorage",
  "complex128": "torch ComplexDoubleStorage",
}
CONTAINERS = ("zip", "legacy")


class Name(NamedTuple):
  full: str


class Raw(NamedTuple):
  """Opcodes written as they are."""

  code: bytes


class Reduce(NamedTuple):
  function: object
  args: object


class Build(NamedTuple):
  target: object
  state: object


class Pid(NamedTuple):
  identity: object


def emit(value) -> bytes:
  """The opcodes, as in pickle protocol 2, that make a value."""
  match value:
    case Raw(code):
      return code
    case Name(full):
      return b"c" + full.replace(" ", "\n").encode() + b"\n"
    case Reduce(function, args):
      return emit(function) + emit(args) + b"R"
    case Build(target, state):
      return emit(target) + emit(state) + b"b"
    case Pid(identity):
      return emit(identity) + b"Q"
    case None | True | False:
      return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    case int():
      raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
      return b"\x8b" + struct.pack("<i", len(raw)) + raw
    case float():
      return b"G" + struct.pack(">d", value)
    case str():
      return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    case tuple():
      return b"(" + b"".join(map(emit, value)) + b"t"
    case list():
      return b"](" + b"".join(map(emit, value)) + b"e"
    case dict():
      return b"}(" + b"".join(emit(k) + emit(v) for k, v in value.items()) + b"u"
  raise TypeError(value)


def stream(value) -> bytes:
  return b"\x80\x02" + emit(value) + b"."


def zip_bytes(pickled: bytes, storages=None, **records) -> bytes:
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, "w") as archive:
    archive.writestr("archive/data.pkl", pickled)
    for key, array in (storages or {}).items():
      archive.writestr(f"archive/data/{key}", array.tobytes())
    for name, content in records.items():
      archive.writestr(f"archive/{name}", content)
  return buffer.getvalue()


def legacy_bytes(pickled: bytes, storages=None, little=True) -> bytes:
  storages = storages or {}
  system = {"protocol_version": 1001, "little_endian": little, "type_sizes": {"int": 4}}
  head = [0x1950A86A20F9469CFC6C, 1001, system]
  raw = b"".join(struct.pack("<q", a.size) + a.tobytes() for a in storages.values())
  return b"".join(map(stream, head)) + pickled + stream(list(storages)) + raw


def container_bytes(container: str, value, storages=None) -> bytes:
  make = zip_bytes if container == "zip" else legacy_bytes
  return make(stream(value), storages)


@pytest.fixture
def read(tmp_path):
  """Loads the bytes of a file through a path."""

  def read(content: bytes):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return torch_file.load(path)

  return read


def storage(key: str, array: np.ndarray, **changes) -> Pid:
  identity = dict(
    kind="storage",
    dtype=Name(STORAGE[array.dtype.name]),
    key=key,
    location="cuda:0",
    count=array.size,
  )
  return Pid(tuple((identity | changes).values()))


def tensor(source, size: tuple, stride: tuple, offset: int = 0, *more) -> Reduce:
  hooks = Reduce(Name("collections OrderedDict"), ())
  args = (source, offset, size, stride, False, hooks, *more)
  return Reduce(Name("torch._utils _rebuild_tensor_v2"), args)


def whole(key: str, array: np.ndarray) -> Reduce:
  stride = tuple(s // array.itemsize for s in array.strides)
  return tensor(storage(key, array), array.shape, stride)


def small_checkpoint(container: str) -> bytes:
  weight = np.arange(6, dtype=np.float32).reshape(2, 3)
  steps = np.asarray(7, np.int64)
  state = {"module.fc.weight": whole("0", weight), "module.bn.steps": whole("1", steps)}
  value = {"epoch": 3, "lr": 0.5, "model_pos": state}
  return container_bytes(container, value, {"0": weight, "1": steps})


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
  with pytest.raises(InvalidWeightsFile, match=sentence):
    torch_file.find_state_dict(checkpoint)


def test_weights_given_twice_are_refused():
  with pytest.raises(InvalidWeightsFile, match="got some weights twice"):
    torch_file.find_state_dict({"a": np.ones(2), "module.a": np.ones(2)})


# Files that are something else, or broken.


def test_absent_file_and_folder(tmp_path):
  with pytest.raises(InvalidWeightsFile, match=r"none\.pth: no such file"):
    torch_file.load(tmp_path / "none.pth")
  with pytest.raises(InvalidWeightsFile, match="cannot be opened"):
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
  with pytest.raises(InvalidWeightsFile, match=sentence) as caught:
    read(content)
  assert str(caught.value).startswith(str(tmp_path / "weights.pth"))
  assert "\n" not in str(caught.value)


def test_flipped_number_in_a_zip_is_noticed(read):
  content = small_checkpoint("zip")
  place = content.index(np.arange(6, dtype=np.float32).tobytes()) + 2
  changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
  with pytest.raises(InvalidWeightsFile, match=r"truncated or damaged.*CRC"):
    read(changed)


SOURCE = storage("0", ONE)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
  ("value", "sentence"),
  [
    (tensor(SOURCE, (5,), (1,)), r"shape \(5,\) does not fit its storage of 4"),
    (tensor(SOURCE, (2,), (1,), 3), "does not fit its storage"),
    (tensor(SOURCE, (2, 2), (3, 1)), "does not fit its storage"),
    (tensor(SOURCE, (2**40,), (0,)), "does not fit its storage"),
    (tensor(SOURCE, (0, 2**62, 2**62), (1, 1, 1)), "truncated or damaged"),
    (tensor(SOURCE, (-1,), (1,)), "a size beyond 63 bits"),
    (tensor(SOURCE, (2,), (-1,), 3), "a size beyond 63 bits"),
    (tensor(SOURCE, (2,), (2**70,)), "a size beyond 63 bits"),
    (tensor(SOURCE, (1,) * 65, (1,) * 65), "more than 64 axes"),
    (tensor(SOURCE, (2, 2), (1,)), "truncated or damaged"),
    (tensor("text", (2,), (1,)), "got a str, expected .*_Storage"),
    (tensor(SOURCE, (4,), (1,), 0, {"conj": True}), "unconjugated or with the other"),
    (whole("0", np.ones((), np.float32)), "truncated or damaged"),
    (storage("0", ONE, count=2**50), "declares more data than the file holds"),
    (storage("0", ONE, count=2**80), "a size beyond 63 bits"),
    (storage("0", ONE, dtype="float32"), "got a str, expected .*dtype"),
    (storage("0", ONE, kind="module"), "an unknown persistent id"),
    (storage("0", ONE, view=("1", 2, 3)), "a view beyond its storage"),
    ([SOURCE, storage("0", ONE, count=2)], "one storage with two sizes"),
    (Pid("storage"), "got a str, expected .*tuple"),
    (Reduce(SOURCE, ()), "expected .*_Call"),
    (Reduce(Name("_codecs encode"), ("a", "rot13")), "an unknown encoding"),
    (Reduce(Name("numpy dtype"), ("O8", False, True)), "numpy array of type 'O8'"),
    (Reduce(Name("numpy dtype"), ("S0", False, True)), "numpy array of type 'S0'"),
    (Reduce(Name("numpy dtype"), ("i4,(9999999,)f8",)), "expected numbers or text"),
    (Reduce(Name("torch._utils _rebuild_parameter"), (1, 2, 3)), "expected .*ndarray"),
    (
      Reduce(
        Name("torch._tensor _rebuild_from_type_v2"),
        (Name("torch device"), Name("torch Tensor"), ("cpu",), {}),
      ),
      "a tensor made by something else",
    ),
    (
      Reduce(Name("numpy.core.numeric _frombuffer"), ("abc", Name("torch int8"), (4,))),
      "more or fewer bytes than its shape",
    ),
    ({("a", ("b",)): 1}, "a key of type tuple"),
    ({2**80: 1}, "a key of type int"),
  ],
)
def test_contradictions_are_refused(read, container, value, sentence):
  with pytest.raises(InvalidWeightsFile, match=sentence):
    read(container_bytes(container, value, {"0": ONE}))


# A few bytes that ask for hours or terabytes.

NESTED = b"X\1\0\0\0a" + b"q\0h\0\x86" * 200  # ((..., ...), (..., ...)): 2**200 leaves
LONG = 100_000


INT8 = Build(Reduce(Name("numpy dtype"), ("i1",)), (3, "|"))
OLD_TEXT = Raw(b"T" + struct.pack("<I", LONG) + b"x" * LONG)  # as Python 2 wrote it
STATE = emit((1, (LONG,), INT8, False, OLD_TEXT))


@pytest.mark.parametrize(
  "code",
  [
    STATE + b"q\0]" + (b"cnumpy.core.multiarray\n_reconstruct\n)Rh\0ba") * 99,
    b"}" + NESTED + b"K\1s",
    b"(" + NESTED + NESTED + b"tQ",
    emit("x" * LONG)
    + b"q\0]"
    + (b"c_codecs\nencode\nh\0" + emit("latin1") + b"\x86Ra") * 99,
    emit(list(range(LONG))) + b"q\0]" + (b"c__builtin__\nset\nh\0\x85Ra") * 99,
    emit(tuple(range(LONG))) + b"q\0]" + (b"cargparse\nNamespace\nh\0Ra") * 99,
    b"r" + struct.pack("<I", 2**32 - 1),
    b"N" + b"r" + struct.pack("<I", 2**32 - 1) + b"h\1",
    b"\x8e" + struct.pack("<Q", 2**62),
    b"\x96" + struct.pack("<Q", 2**35),
    b"\x8b" + struct.pack("<i", 2**31 - 1),
  ],
  ids="build keys pid encode set call memo_empty memo bytes bytearray long".split(),
)
@pytest.mark.parametrize("container", CONTAINERS)
def test_small_files_cannot_ask_for_much(read, container, code):
  start = time.perf_counter()
  with pytest.raises(InvalidWeightsFile):
    read(container_bytes(container, Raw(code)))
  assert time.perf_counter() - start < 20


def test_deep_nesting_is_read(read):
  loaded = read(zip_bytes(stream(Raw(b")" + b"\x85" * 50_000))))
  assert len(loaded) == 1


# Hostile files. Each payload makes a folder when Python's own pickle reads it.


def text(value: str) -> bytes:
  return emit(value)


PAYLOADS = dict(
  GLOBAL=lambda p: emit(Reduce(Name("os mkdir"), (p,))),
  STACK_GLOBAL=lambda p: text("os") + text("mkdir") + b"\x93" + emit((p,)) + b"R",
  system=lambda p: emit(Reduce(Name("os system"), (f'mkdir "{p}"',))),
  eval=lambda p: emit(
    Reduce(Name("builtins eval"), (f"__import__('os').mkdir({p!r})",))
  ),
  exec=lambda p: emit(Reduce(Name("builtins exec"), (f"import os; os.mkdir({p!r})",))),
  getattr=lambda p: emit(
    Reduce(
      Reduce(
        Name("builtins getattr"),
        (Reduce(Name("builtins __import__"), ("os",)), "mkdir"),
      ),
      (p,),
    )
  ),
  dotted=lambda p: text("pathlib") + text("os.mkdir") + b"\x93" + emit((p,)) + b"R",
  INST=lambda p: b"(" + text(p) + b"ios\nmkdir\n",
  OBJ=lambda p: b"(" + emit(Name("subprocess Popen")) + emit(["mkdir", p]) + b"o",
  EXT=lambda p: b"\x82\xf0" + emit((p,)) + b"R",
  in_a_list=lambda p: emit([{"a": (Reduce(Name("os mkdir"), (p,)),)}]),
  as_key=lambda p: emit({"x": 1})[:-1] + emit(Reduce(Name("os mkdir"), (p,))) + b"K\1u",
  as_state=lambda p: emit(
    Build(Reduce(Name("collections OrderedDict"), ()), Reduce(Name("os mkdir"), (p,)))
  ),
)


def replay(code: bytes):
  """What Python's own pickle does with a payload."""
  try:
    pickle.loads(b"\x80\x04" + code + b".")
  except (pickle.UnpicklingError, AttributeError, TypeError):
    pass  # the payload has run by then


@pytest.fixture
def extension():
  copyreg.add_extension("os", "mkdir", 0xF0)
  yield
  copyreg.remove_extension("os", "mkdir", 0xF0)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_are_live(tmp_path, extension, payload):
  marker = tmp_path / "marker"
  replay(PAYLOADS[payload](str(marker)))
  for _ in range(100):  # Popen does not wait
    if marker.exists():
      break
    time.sleep(0.02)
  assert marker.exists()


def in_tensor(code: Raw) -> Reduce:
  return tensor(SOURCE, (4,), (1,), code)


def in_hooks(code: Raw) -> Reduce:
  args = (SOURCE, 0, (4,), (1,), False, code)
  return Reduce(Name("torch._utils _rebuild_tensor_v2"), args)


PLACES = dict(
  top=lambda code: code,
  offset=in_tensor,
  hooks=in_hooks,
  storage=lambda code: tensor(code, (4,), (1,)),
  pid=lambda code: Pid(code),
  pid_type=lambda code: Pid(("storage", code, "0", "cpu", 4)),
  pid_key=lambda code: Pid(("storage", Name("torch FloatStorage"), code, "cpu", 4)),
  subclass=lambda code: Reduce(
    Name("torch._tensor _rebuild_from_type_v2"), (code, None, (), {})
  ),
  random=lambda code: Reduce(Name("numpy.random._pickle __randomstate_ctor"), (code,)),
  factory=lambda code: Reduce(Name("collections defaultdict"), (code,)),
)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("place", PLACES)
def test_hostile_files_execute_nothing(
  read, tmp_path, extension, container, payload, place
):
  marker = tmp_path / "marker"
  value = PLACES[place](Raw(PAYLOADS[payload](str(marker))))
  sentence = "refused: .*nothing was executed"
  with pytest.raises(InvalidWeightsFile, match=sentence):
    read(container_bytes(container, value, {"0": ONE}))
  assert not marker.exists()


@pytest.mark.parametrize("part", range(4))
def test_every_pickle_of_a_legacy_file_is_guarded(read, tmp_path, part):
  marker = tmp_path / "marker"
  hostile = stream(Raw(PAYLOADS["GLOBAL"](str(marker))))
  parts = [
    stream(0x1950A86A20F9469CFC6C),
    stream(1001),
    stream({"little_endian": True}),
  ]
  parts += [stream(1), stream([])]
  parts[part if part < 3 else 4] = hostile
  with pytest.raises(InvalidWeightsFile, match=r"asks for 'os\.mkdir'"):
    read(b"".join(parts))
  assert not marker.exists()


@pytest.mark.parametrize(
  "name",
  [
    "copyreg _reconstructor",
    "copy_reg _reconstructor",
    "torch.storage _load_from_bytes",
  ],
)
def test_constructors_of_arbitrary_objects_are_refused(read, name):
  with pytest.raises(InvalidWeightsFile, match=name.replace(" ", r"\.")):
    read(zip_bytes(stream(Reduce(Name(name), ()))))


@pytest.mark.parametrize(
  "target",
  [
    "numpy ndarray",
    "numpy dtype",
    "torch float32",
    "torch._utils _rebuild_tensor_v2",
    "argparse Namespace",
    "numpy.random._pickle __randomstate_ctor",
  ],
)
def test_state_reaches_nothing_that_files_share(read, target):
  before = {n: (v, repr(v)) for n, v in torch_file._GLOBALS.items()}
  state = {"name": "changed", "function": 1, "__class__": 2, "value": 3}
  for hostile in (state, (None, state), (3, ">", None, None, None, -1, -1, 0)):
    read(zip_bytes(stream(Build(Name(target), hostile))))
  assert {n: (v, repr(v)) for n, v in torch_file._GLOBALS.items()} == before
  assert np.dtype("float32").isnative


def test_random_generators_are_never_constructed(read, monkeypatch, tmp_path):
  marker = tmp_path / "marker"
  code = emit(Reduce(Name("numpy.random.os mkdir"), (str(marker),)))
  assert read(zip_bytes(stream(Raw(code)))) == Unread("numpy.random.os.mkdir")
  assert not marker.exists()


# Damage anywhere.


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_truncation_is_refused(read, container):
  content = small_checkpoint(container)
  assert isinstance(read(content), dict)
  for length in range(0, len(content), 7):
    with pytest.raises(InvalidWeightsFile):
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
  except InvalidWeightsFile:
    pass


@hypothesis.settings(
  deadline=None,
  max_examples=300,
  derandomize=True,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(data=st.data())
def test_random_programs_give_a_result_or_one_kind_of_error(read, data):
  parts = [op.code.encode("latin1") for op in pickletools.opcodes]
  parts += [emit(Name(n)) for n in torch_file._GLOBALS]
  parts += [emit(v) for v in (0, 3, "0", "storage", (), (2,), [1], {"a": 1}, "latin1")]
  program = data.draw(st.lists(st.sampled_from(parts), max_size=30))
  try:
    read(zip_bytes(stream(Raw(b"".join(program))), {"0": ONE}))
  except InvalidWeightsFile:
    pass
