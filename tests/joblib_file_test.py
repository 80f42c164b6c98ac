import bz2
import errno
import gzip
import io
import lzma
import os
import pathlib
import pickle
import struct
import zlib

import numpy as np
import pytest

from jaxpose.files import joblib_file
from jaxpose.files import pickles
from tests import joblib_writer

GOLDEN = pathlib.Path(__file__).parent / "golden" / "joblib"

CONTENT = {
  "features": np.arange(12, dtype=np.float32).reshape(3, 4) / 8,
  "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
  "vid_name": np.array(["courtyard_0", "straße_1", "courtyard_0"]),
  "bytes": np.array([b"a", b"bcd"]),
  "paths": np.array(["x/1.jpg", "y/22.jpg"], dtype=object),
  "strs": np.array(["ab", "cde"], dtype=object),
  "frame_id": np.arange(3),
  "again": np.arange(3),
  "valid": np.array([True, False]),
  "empty": np.zeros((0, 3), np.float16),
  "big": np.arange(3).astype(">i4"),
  "scalar": 2.5,
}
NESTED = {
  "list": [1, -2, 2**40, 0.5, None, True, "t", np.ones(2, np.uint8)],
  "tuple": (1, (2, 3)),
  "ordered": {"a": 1},
}


def write(path, content=None, **kwargs):
  joblib_writer.dump(path, CONTENT if content is None else content, **kwargs)
  return path


def check(found, expected=CONTENT):
  for key, value in expected.items():
    np.testing.assert_array_equal(found[key], value, key)
    if isinstance(value, np.ndarray):
      assert found[key].dtype == value.dtype, key
      assert found[key].shape == value.shape, key


def refused(path, message):
  with pytest.raises(pickles.InvalidFile, match=message) as caught:
    joblib_file.load(path)
  assert str(caught.value).startswith(str(path))
  assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.pt")), ids=lambda p: p.stem)
def test_files_of_joblib_are_read(path):
  found = joblib_file.load(path)
  assert set(found) == {*CONTENT, "nested"}
  check(found)
  *plain, array = found["nested"].pop("list")
  assert plain == NESTED["list"][:-1]
  np.testing.assert_array_equal(array, NESTED["list"][-1])
  assert found["nested"] == {k: v for k, v in NESTED.items() if k != "list"}


def test_all_versions_and_containers_are_among_the_files():
  names = {path.stem for path in GOLDEN.glob("*.pt")}
  assert {name.split("_")[0] for name in names} == {"v015", "v110", "v160"}
  kinds = {name.split("_")[1] for name in names}
  assert kinds == {"plain", "zlib", "gzip", "xz", "bz2"}


@pytest.mark.parametrize("alignment", [None, 1, 16, 64])
def test_arrays_are_found_with_and_without_padding(tmp_path, alignment):
  check(joblib_file.load(write(tmp_path / "a.pt", alignment=alignment)))


def test_the_writer_of_the_tests_writes_what_joblib_does(tmp_path):
  array = {"features": CONTENT["features"]}
  raw = write(tmp_path / "a.pt", array).read_bytes()
  real = (GOLDEN / "v015_plain.pt").read_bytes()
  for part in (b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n", b"cnumpy\ndtype\n"):
    assert part in raw
    assert part in real
  assert CONTENT["features"].tobytes() in raw


@pytest.mark.parametrize(
  "pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress]
)
def test_containers_of_several_chunks_are_read(tmp_path, pack):
  content = {"x": np.arange(140_000, dtype=np.float64)}  # more than a chunk
  raw = write(tmp_path / "a.pt", content, alignment=16).read_bytes()
  (tmp_path / "b.pt").write_bytes(pack(raw))
  check(joblib_file.load(tmp_path / "b.pt"), content)


def test_arrays_are_views_of_the_file_and_stay_after_release(tmp_path):
  content = {"x": np.arange(10_000, dtype=np.float32)}
  path = write(tmp_path / "a.pt", content)
  x = joblib_file.load(path)["x"]
  assert not x.flags.writeable
  with path.open("r+b") as file:  # a view sees a change of the file
    file.seek(path.stat().st_size - 6)  # before `u.`
    file.write(struct.pack("<f", -1.0))
  assert x[-1] == -1
  joblib_file.release(x)
  np.testing.assert_array_equal(x[:-1], content["x"][:-1])
  joblib_file.release(np.zeros(3))  # not of a file: nothing to give back


@pytest.mark.parametrize("pack", [bytes, zlib.compress, gzip.compress])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_truncated_files_are_refused(tmp_path, pack, share):
  raw = pack(write(tmp_path / "a.pt").read_bytes())
  (tmp_path / "b.pt").write_bytes(raw[: max(6, int(len(raw) * share))])
  refused(tmp_path / "b.pt", "truncated")


@pytest.mark.parametrize(
  "pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress]
)
def test_damaged_containers_are_refused(tmp_path, pack):
  raw = bytearray(pack(write(tmp_path / "a.pt").read_bytes()))
  raw[len(raw) // 2 :] = bytes(len(raw) - len(raw) // 2)
  (tmp_path / "b.pt").write_bytes(raw)
  refused(tmp_path / "b.pt", "truncated or damaged: its container ends early or is inc")
  (tmp_path / "b.pt").write_bytes(pack(b""))
  refused(tmp_path / "b.pt", "it holds nothing")


def test_a_full_disk_is_no_damaged_container(tmp_path, monkeypatch):
  class Full(io.BytesIO):
    def write(self, data):
      raise OSError(errno.ENOSPC, "No space left on device")

  (tmp_path / "b.pt").write_bytes(zlib.compress(write(tmp_path / "a.pt").read_bytes()))
  monkeypatch.setattr(joblib_file.tempfile, "TemporaryFile", Full)
  with pytest.raises(OSError, match="No space left on device"):
    joblib_file.load(tmp_path / "b.pt")


def test_a_truncated_array_says_what_is_missing(tmp_path):
  path = write(tmp_path / "a.pt", {"x": np.zeros((100, 7), np.float32)})
  path.write_bytes(path.read_bytes()[:-1000])
  refused(path, r"an array of shape \(100, 7\) and type float32 needs 2800 bytes, but")


class Malicious:
  """Runs a command where a pickle of it is loaded."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.system, (f"touch {self.path}",)


def test_a_malicious_pickle_inside_an_array_is_refused(tmp_path):
  array = np.array([Malicious(tmp_path / "ran")], dtype=object)
  path = write(tmp_path / "a.pt", {"x": np.array(["text"], dtype=object)})
  raw = path.read_bytes()
  start = raw.index(b"\x80\x02c")
  path.write_bytes(raw[:start] + pickle.dumps(array, 2) + b"u.")
  refused(path, r"refused: it asks for 'posix.system'")
  assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
  "shape", [b"J\xff\xff\xff\xff", b"N", b"\x8a\x09" + b"\x7f" * 9]
)
def test_impossible_shapes_are_refused(tmp_path, shape):
  path = write(tmp_path / "a.pt", {"x": np.zeros(3)})
  raw = path.read_bytes()
  path.write_bytes(raw.replace(b"(J\x03\x00\x00\x00t", b"(" + shape + b"t"))
  refused(path, "damaged: .*(a size beyond 63 bits|expected <class 'int'>)")


@pytest.mark.parametrize(
  "head", [b"PK\x03\x04ab", b"\x89HDF\r\n", b"\x04\x22\x4d\x18", b""]
)
def test_other_files_are_refused(tmp_path, head):
  path = tmp_path / "a.pt"
  path.write_bytes(head)
  refused(path, r"got a file that starts with b.*, expected one of joblib\.dump")


def test_an_object_array_of_another_shape_is_refused(tmp_path):
  path = write(tmp_path / "a.pt", {"x": np.array(["a", "b"], dtype=object)})
  raw = path.read_bytes()
  path.write_bytes(raw.replace(b"(J\x02\x00\x00\x00t", b"(J\x03\x00\x00\x00t", 1))
  refused(path, "an array of another shape than declared")
