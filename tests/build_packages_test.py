"""A build without a package that it needs says in a sentence what to install."""

import contextlib
import io
import sys

import pytest

from jaxpose.data import build_jobs
from tests import builder_testing

NAME = "synthetic_motion"


@pytest.fixture(scope="module")
def build():
  return builder_testing.load_build()


@pytest.mark.parametrize(
  ("package", "told"),
  [
    ("av", "pip install 'jaxpose[video]'."),
    ("h5py", "pip install 'jaxpose[hdf5]'."),
    ("cdflib", "pip install 'jaxpose[h36m]'."),
    ("some_reader", "pip install some_reader."),
  ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
  build, tmp_path, monkeypatch, package, told
):
  def generate(self, first, count):
    __import__(package)
    yield

  monkeypatch.setitem(sys.modules, package, None)
  monkeypatch.setattr(build.builder_cls(NAME), "_generate_examples", generate)
  error = io.StringIO()
  with contextlib.redirect_stderr(error):
    assert build.main([NAME, f"--data_dir={tmp_path}", "--config=tiny"]) == 1
  assert error.getvalue().splitlines()[-1] == (
    f"dataset '{NAME}': needs the package {package}, which is not installed; {told}"
  )
  assert not list(tmp_path.rglob("dataset_info.json"))


@pytest.mark.parametrize("mistake", ["from json import nothing", "import jaxpose.no"])
def test_what_no_package_would_mend_is_no_missing_package(
  build, tmp_path, monkeypatch, mistake
):
  monkeypatch.setattr(
    build.builder_cls(NAME), "_generate_examples", lambda *_: exec(mistake)
  )
  with pytest.raises(ImportError):
    build.build(NAME, tmp_path, config="tiny")


def test_a_sentence_that_tells_what_to_install_is_kept():
  message = r"^dataset 'aist': no PyAV; run pip install 'jaxpose\[video\]'$"
  with pytest.raises(ValueError, match=message), build_jobs.named_package("aist"):
    raise ImportError("no PyAV; run pip install 'jaxpose[video]'")
