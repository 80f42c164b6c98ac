"""Pickles that contradict themselves, ask for too much, or try to run something."""

import contextlib
import pickletools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from jaxpose.files import torch_file
from jaxpose.files.pickles import InvalidFile
from jaxpose.files.pickles import Unread
from tests.torch_writer import CONTAINERS
from tests.torch_writer import Build
from tests.torch_writer import Name
from tests.torch_writer import Pid
from tests.torch_writer import Raw
from tests.torch_writer import Reduce
from tests.torch_writer import container_bytes
from tests.torch_writer import emit
from tests.torch_writer import storage
from tests.torch_writer import stream
from tests.torch_writer import tensor
from tests.torch_writer import whole
from tests.torch_writer import zip_bytes

ONE = np.ones(4, np.float32)
SOURCE = storage("0", ONE)


@pytest.fixture
def read(tmp_path):
  """Loads the bytes of a file through a path."""

  def read(content: bytes):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return torch_file.load(path)

  return read


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
    (tensor("text", (2,), (1,)), "got a str, expected .*Storage"),
    (tensor(SOURCE, (4,), (1,), 0, {"conj": True}), "unconjugated or with the other"),
    (whole("0", np.ones((), np.float32)), "truncated or damaged"),
    (storage("0", ONE, count=2**50), "declares more data than the file holds"),
    (storage("0", ONE, count=2**80), "a size beyond 63 bits"),
    (storage("0", ONE, dtype="float32"), "got a str, expected .*dtype"),
    (storage("0", ONE, kind="module"), "an unknown persistent id"),
    (storage("0", ONE, view=("1", 2, 3)), "a view beyond its storage"),
    ([SOURCE, storage("0", ONE, count=2)], "one storage with two sizes"),
    (Pid("storage"), "got a str, expected .*tuple"),
    (Reduce(SOURCE, ()), "expected .*Call"),
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
  with pytest.raises(InvalidFile, match=sentence):
    read(container_bytes(container, value, {"0": ONE}))


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
  "code",
  [
    b"(" + (b"X\1\0\0\0a" + b"q\0h\0\x86" * 200) * 2 + b"tQ",  # 2**200 leaves
    emit(tuple(range(9999))) + b"q\0]" + (b"cargparse\nNamespace\nh\0Ra") * 99,
  ],
)
def test_small_files_cannot_ask_for_much(read, container, code):
  with pytest.raises(InvalidFile):
    read(container_bytes(container, Raw(code)))


# Names that are refused, wherever they stand.


def mkdir(path) -> Raw:
  return Raw(emit(Reduce(Name("os mkdir"), (str(path),))))


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
@pytest.mark.parametrize("place", PLACES)
def test_hostile_files_execute_nothing(read, tmp_path, container, place):
  marker = tmp_path / "marker"
  value = PLACES[place](mkdir(marker))
  with pytest.raises(InvalidFile, match=r"asks for 'os\.mkdir'.*nothing was executed"):
    read(container_bytes(container, value, {"0": ONE}))
  assert not marker.exists()


@pytest.mark.parametrize("part", [0, 1, 2, 4])
def test_every_pickle_of_a_legacy_file_is_guarded(read, tmp_path, part):
  parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, 1, []]
  parts[part] = mkdir(tmp_path / "marker")
  with pytest.raises(InvalidFile, match=r"asks for 'os\.mkdir'"):
    read(b"".join(map(stream, parts)))
  assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
  "name",
  [
    "copyreg _reconstructor",
    "copy_reg _reconstructor",
    "torch.storage _load_from_bytes",
  ],
)
def test_constructors_of_arbitrary_objects_are_refused(read, name):
  with pytest.raises(InvalidFile, match=name.replace(" ", r"\.")):
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
  before = {n: (v, repr(v)) for n, v in torch_file.NAMES.items()}
  state = {"name": "changed", "function": 1, "__class__": 2, "value": 3}
  for hostile in (state, (None, state), (3, ">", None, None, None, -1, -1, 0)):
    with contextlib.suppress(InvalidFile):
      read(zip_bytes(stream(Build(Name(target), hostile))))
  assert {n: (v, repr(v)) for n, v in torch_file.NAMES.items()} == before
  assert np.dtype("float32").isnative


def test_random_generators_are_never_constructed(read, monkeypatch, tmp_path):
  marker = tmp_path / "marker"
  code = emit(Reduce(Name("numpy.random.os mkdir"), (str(marker),)))
  assert read(zip_bytes(stream(Raw(code)))) == Unread("numpy.random.os.mkdir")
  assert not marker.exists()


@hypothesis.settings(
  deadline=None,
  max_examples=300,
  derandomize=True,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(data=st.data())
def test_random_programs_give_a_result_or_one_kind_of_error(read, data):
  parts = [op.code.encode("latin1") for op in pickletools.opcodes]
  parts += [emit(Name(n)) for n in torch_file.NAMES]
  parts += [emit(v) for v in (0, 3, "0", "storage", (), (2,), [1], {"a": 1}, "latin1")]
  program = data.draw(st.lists(st.sampled_from(parts), max_size=30))
  try:
    read(zip_bytes(stream(Raw(b"".join(program))), {"0": ONE}))
  except InvalidFile:
    pass
