"""The archive that is downloaded where no folder is given."""

import functools
import http.server
import sys
import threading

import pytest

from cmu_mocap import cmu_mocap_dataset_builder_test as good
from tests import builder_testing


@pytest.fixture
def module():
  """The builder's module as `build.py` imports it."""
  return sys.modules[builder_testing.load_build().builder_cls("cmu_mocap").__module__]


@pytest.fixture
def archive(tmp_path, module, monkeypatch):
  """A local server in the place of CMU's, with dummy_data as the archive."""
  good.zipped(tmp_path / "served" / "allasfamc.zip")
  handler = functools.partial(
    http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served"
  )
  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(module, "URL", f"{host}/allasfamc.zip")
    yield server
    server.shutdown()


def test_without_manual_dir_the_takes_are_downloaded_once(tmp_path, archive):
  assert good.names(good.build(tmp_path, None)) == good.DEFAULT
  archive.shutdown()
  archive.server_close()
  assert good.names(good.build(tmp_path, None, overwrite=True)) == good.DEFAULT


def test_a_damaged_download_is_refused(tmp_path, archive):
  (tmp_path / "served" / "allasfamc.zip").write_bytes(b"<html>")
  message = r"allasfamc.*\.zip: got a damaged archive .*; delete it and get it again"
  good.refused(None, tmp_path, message)


def test_a_failed_download_says_what_to_do(tmp_path, module, monkeypatch):
  monkeypatch.setattr(module, "URL", "http://127.0.0.1:9/allasfamc.zip")
  message = (
    r"no manual_dir was given and the download of http://127.0.0.1:9/allasfamc.zip "
    r"failed .*; go online, or pass --manual_dir, a folder with that zip or with CMU's"
  )
  good.refused(None, tmp_path, message, ConnectionError)


def test_the_archive_is_that_of_the_cmu_database(module):
  assert module.URL == "http://mocap.cs.cmu.edu/allasfamc.zip"
