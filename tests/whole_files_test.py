import errno
import os
import signal
import subprocess
import sys

import pytest

from jaxpose.files import whole_files
from tests.conftest import ROOT


def put(path, text, **options):
  return whole_files.write(
    path, lambda file: file.write(text), endings=(".txt",), **options
  )


def test_a_file_is_written_with_its_folders(tmp_path):
  path = put(tmp_path / "a" / "b" / "c.txt", b"new")
  assert path.read_bytes() == b"new"
  assert os.listdir(path.parent) == ["c.txt"]
  umask = os.umask(0)
  os.umask(umask)
  assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_nothing_is_overwritten_unasked(tmp_path):
  path = put(tmp_path / "a.txt", b"old")
  with pytest.raises(FileExistsError, match="exists and is not overwritten; choose"):
    put(path, b"new")
  assert path.read_bytes() == b"old"
  put(path, b"new", overwrite=True)
  assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interrupt_leaves_the_old_file(tmp_path, error):
  def content(file):
    file.write(b"half")
    file.flush()
    raise error

  path = put(tmp_path / "a.txt", b"old")
  for name in ("a.txt", "b.txt"):
    with pytest.raises(type(error)):
      whole_files.write(tmp_path / name, content, endings=(".txt",), overwrite=True)
  assert path.read_bytes() == b"old"
  assert os.listdir(tmp_path) == ["a.txt"]


def test_a_killed_process_leaves_the_old_file(tmp_path):
  path = put(tmp_path / "a.txt", b"old")
  code = (
    "import os, signal, sys\nfrom jaxpose.files import whole_files\n"
    "def content(file):\n  file.write(b'half'); file.flush()\n"
    "  os.kill(os.getpid(), signal.SIGKILL)\n"
    "whole_files.write(sys.argv[1], content, endings=('.txt',), overwrite=True)\n"
  )
  done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, check=False)
  assert done.returncode == -signal.SIGKILL
  assert path.read_bytes() == b"old"


def test_a_file_that_comes_to_be_meanwhile_stays(tmp_path):
  def content(file):
    (tmp_path / "a.txt").write_bytes(b"another's")
    file.write(b"ours")

  with pytest.raises(FileExistsError, match="not overwritten"):
    whole_files.write(tmp_path / "a.txt", content, endings=(".txt",))
  assert (tmp_path / "a.txt").read_bytes() == b"another's"
  assert os.listdir(tmp_path) == ["a.txt"]


def test_another_ending_or_a_folder_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"a\.csv, expected the ending \.txt"):
    put(tmp_path / "a.csv", b"")
  (tmp_path / "b.txt").mkdir()
  with pytest.raises(FileExistsError, match="is a folder, expected the name of a file"):
    put(tmp_path / "b.txt", b"", overwrite=True)
