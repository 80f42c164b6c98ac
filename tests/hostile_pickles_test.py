"""Pickles that run something or ask for too much, at every entry that reads pickles."""

import contextlib
import copyreg
import itertools
import os
import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest
from aist import annotations
from threedpw import official

from jaxpose.body import body_files
from jaxpose.files import object_npz
from jaxpose.files import pickles
from jaxpose.files import torch_file
from jaxpose.formats import vibe
from tests import torch_writer
from tests.object_npz_test import member
from tests.object_npz_test import object_header
from tests.torch_writer import Build
from tests.torch_writer import Name
from tests.torch_writer import Reduce
from tests.torch_writer import emit


def at(name, load, wrap=bytes):
  """An entry that loads a path, to which the pickle is written as `wrap` makes it."""

  def entry(folder, raw):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(wrap(raw))
    return load(path)

  return entry


ENTRIES = dict(
  smpl=at("smpl.pkl", body_files.load),
  threedpw=at("0.pkl", official.read),
  aist=at("motions/a.pkl", lambda p: annotations.read_motion(p.parent.parent, "a")),
  vibe=at("db.pt", vibe.read),
  npz=lambda folder, raw: object_npz.load(
    member(folder / "a.npz", "data", object_header() + raw), "data"
  ),
  torch_zip=at("a.pth", torch_file.load, torch_writer.zip_bytes),
  torch_legacy=at("a.pth", torch_file.load, torch_writer.legacy_bytes),
)


@pytest.fixture(params=ENTRIES)
def entry(request, tmp_path):
  return lambda raw: ENTRIES[request.param](tmp_path, raw)


# A few bytes that ask for hours or terabytes, or contradict themselves.

LONG = 10_000
INT8 = Build(Reduce(Name("numpy dtype"), ("i1",)), (3, "|"))
TEXT = b"T" + struct.pack("<I", LONG) + b"x" * LONG  # as Python 2 wrote it
CORE = "numpy.core.multiarray"


def array(shape, raw="abcd"):
  empty = Reduce(Name(f"{CORE} _reconstruct"), (Name("numpy ndarray"), (0,), "b"))
  return emit(Build(empty, (1, shape, INT8, False, raw)))


def repeated(*code):
  return b"".join(code[:-1]) + b"q\0]" + code[-1] * 99


def doubled(times):
  """[[..., ...], [..., ...]]: 2**times leaves."""
  parts = [b"]q\0"] + [b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(times)]
  return b"".join(parts)


MINUS = [b"J\xff\xff\xff\xff", b"J\xfe\xff\xff\xff"]  # hash(-1) == hash(-2)
TWINS = b"".join(
  b"(" + b"".join(signs) + b"tN" for signs in itertools.product(MINUS, repeat=8)
)

DAMAGED = {
  "key_dup": b"}N" + b"2\x86" * 60 + b"K\x01s",
  "key_memo": b"}N" + b"q\0h\0\x86" * 60 + b"K\x01s",
  "keys_of_one_hash": b"}(" + TWINS + b"u",
  "key_of_10_kbits": b"}\x8b" + struct.pack("<i", 255) + b"\x7f" * 255 + b"Ns",
  "list_as_key": b"}]Ns",
  "memo_absent": b"r" + struct.pack("<I", 2**32 - 1),
  "memo_unknown": b"Nr" + struct.pack("<I", 2**32 - 1) + b"h\x01",
  "text": b"\x8d" + struct.pack("<Q", 2**62),
  "bytes": b"\x8e" + struct.pack("<Q", 2**35),
  "bytearray": b"\x96" + struct.pack("<Q", 2**35),
  "long": b"\x8b" + struct.pack("<i", 2**31 - 1),
  "long_there": b"\x8b" + struct.pack("<i", 10**6) + b"\x7f" * 10**6,
  "digits": b"L" + b"9" * 10**6 + b"L\n",
  "encode": repeated(TEXT, b"c_codecs\nencode\nh\0U\x06latin1\x86Ra"),
  "encoding": b"c_codecs\nencode\n(Va\nVrot13\ntR",
  "set": repeated(emit(list(range(LONG))), b"c__builtin__\nset\nh\0\x85Ra"),
  "build": repeated(
    emit((1, (LONG,), INT8, False, torch_writer.Raw(TEXT))),
    b"cnumpy.core.multiarray\n_reconstruct\n)Rh\0ba",
  ),
  "stateless": emit(Reduce(Name(f"{CORE} _reconstruct"), ())),
  "frombuffer": b"cnumpy.core.numeric\n_frombuffer\n(S'x'\nS'f8'\n(tS'C'\ntR",
  "maker": b"cnumpy\ndtype\n}b",
  "maker_changed": b"cnumpy\ndtype\n(N}S'function'\nI1\nstb",
  "shape_more": array((5,)),
  "shape_overflow": array((2**33, 2**31, 4)),
  "shape_huge": array((2**63,)),
  "shape_empty": array((0, 2**62, 2**62), ""),
  "shape_negative": array((-4,)),
  "shape_none": array((None,)),
  "shape_axes": array((1,) * 65, "a"),
}
REFUSED = {
  "list_in_itself": (b"]q\0h\0a", "contain themselves"),
  "tuple_in_itself": (b"]q\0h\0\x85a", "contain themselves"),
  "deep_tuples": (b")" + b"\x85" * 5_000, "more than 64 deep"),
  "deep_lists": (b"]" * 2_000 + b"a" * 1_999, "more than 64 deep"),
  "doubled": (doubled(50), "repeat each other beyond measure"),
  "dtype": (b"cnumpy\ndtype\n(S'f8,f8'\ntR", "numpy array of type 'f8,f8', expected"),
  "dates": (b"cnumpy\ndtype\n(S'M8'\ntR", "numpy array of type 'M8', expected"),
  "operation": (b"(icollections\nOrderedDict\n", "uses the operation INST, which"),
}
READ = {  # as what they are, or refused as no data of the entry
  "no_maker": b"cnumpy\nndarray\n(I2\ntR",
  "nothing_appended": b"}](e",
  "memo_index": b"]r\0\0\0\x10",
  "frame": b"\x95" + struct.pack("<Q", 2**62) + b"N",
  "memo_twice": b"Nq\0]q\0h\0",
  "append_to_itself": b"]q\0(" + b"NN" * 99 + b"e",
}


def measured(entry, code):
  """What the entry makes of the code, which may take neither time nor memory."""
  raw = b"\x80\x04" + code + b"."
  tracemalloc.start()
  start = time.process_time()
  try:
    return entry(raw)
  finally:
    took, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < 1, took
    assert peak < 2**22 + 16 * len(raw)


def refused(entry, code, match):
  with pytest.raises(ValueError, match=match) as caught:
    measured(entry, code)
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", DAMAGED)
def test_pickles_that_ask_for_too_much_are_refused(entry, case):
  refused(entry, DAMAGED[case], r"truncated or damaged: it ")


@pytest.mark.parametrize("case", REFUSED)
def test_pickles_of_no_data_are_refused(entry, case):
  code, match = REFUSED[case]
  refused(entry, code, f"refused: it.* {match}")


@pytest.mark.parametrize("case", READ)
def test_odd_pickles_take_no_memory(entry, case):
  with contextlib.suppress(ValueError):
    measured(entry, READ[case])


def test_single_values_are_counted(entry, monkeypatch):
  monkeypatch.setattr(pickles, "OPERATIONS", 1000)
  refused(entry, b"](" + b"N" * 2000 + b"e", "more than 1,000 operations, expected arr")


@pytest.mark.parametrize("code", [b"", b"garbage", b"]"])
def test_pickles_that_end_early_are_one_sentence(entry, code):
  with pytest.raises(ValueError, match="truncated or damaged") as caught:
    entry(b"\x80\x02" + code)
  assert "\n" not in str(caught.value)


# Payloads: each makes a folder when Python's own pickle reads it.


def mkdir(path):
  return Reduce(Name("os mkdir"), (path,))


PAYLOADS = dict(
  GLOBAL=lambda p: emit(mkdir(p)),
  STACK_GLOBAL=lambda p: emit("os") + emit("mkdir") + b"\x93" + emit((p,)) + b"R",
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
  dotted=lambda p: emit("pathlib") + emit("os.mkdir") + b"\x93" + emit((p,)) + b"R",
  INST=lambda p: b"(" + emit(p) + b"ios\nmkdir\n",
  OBJ=lambda p: b"(" + emit(Name("subprocess Popen")) + emit(["mkdir", p]) + b"o",
  EXT=lambda p: b"\x82\xf0" + emit((p,)) + b"R",
  in_a_list=lambda p: emit([{"a": (mkdir(p),)}]),
  in_an_array=lambda p: array((1,), [mkdir(p)]),
  as_key=lambda p: emit({"x": 1})[:-1] + emit(mkdir(p)) + b"K\1u",
  as_state=lambda p: emit(Build(Reduce(Name("collections OrderedDict"), ()), mkdir(p))),
  old=lambda p: b"cos\nmkdir\n(V%b\ntR" % p.encode(),
)


@pytest.fixture
def extension():
  copyreg.add_extension("os", "mkdir", 0xF0)
  yield
  copyreg.remove_extension("os", "mkdir", 0xF0)


def replay(code: bytes):
  """What Python's own pickle does with a payload."""
  try:
    pickle.loads(b"\x80\x04" + code + b".")
  except (pickle.UnpicklingError, AttributeError, TypeError, ValueError):
    pass  # the payload has run by then


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_are_live(tmp_path, extension, payload):
  marker = tmp_path / "marker"
  replay(PAYLOADS[payload](str(marker)))
  for _ in range(100):  # Popen does not wait
    if marker.exists():
      break
    time.sleep(0.02)
  assert marker.exists()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_files_execute_nothing(entry, tmp_path, extension, payload):
  marker = tmp_path / "marker"
  with pytest.raises(ValueError, match=r"refused: it.*nothing was executed"):
    entry(b"\x80\x04" + PAYLOADS[payload](str(marker)) + b".")
  assert not marker.exists()


class Hostile:
  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_hostile_object_beside_data_executes_nothing(entry, tmp_path, protocol):
  marker = tmp_path / "marker"
  raw = pickle.dumps({"v_template": np.ones(3), "x": Hostile(marker)}, protocol)
  with pytest.raises(ValueError, match=r"posix\.mkdir.*nothing was|joblib\.dump"):
    entry(raw)
  assert not marker.exists()
