"""The page of a live view, asked as a browser asks."""

import http.client
import io

import numpy as np
import pytest
from PIL import Image

from jaxpose.predict.live_page import LivePage


@pytest.fixture
def page():
  page = LivePage("camera <0>", port=0)
  yield page
  page.close()


def answer(page, path, host=None):
  connection = http.client.HTTPConnection(page.url.split("/")[2], timeout=10)
  connection.request("GET", path, headers={} if host is None else {"Host": host})
  return connection.getresponse()


def picture(value):
  return np.full((40, 60, 3), value, np.uint8)


def test_the_page_holds_all_that_it_needs(page):
  found = answer(page, "/")
  text = found.read().decode()
  assert found.status == 200
  assert "<title>camera &lt;0&gt;</title>" in text
  assert '<img src="stream"' in text
  for word in ("http://", "https://", "//cdn"):
    assert word not in text
  page.told = "30 pictures came"
  assert answer(page, "/told").read().decode() == "30 pictures came"


def test_who_looks_gets_picture_after_picture(page):
  assert not page.watched
  page.show(picture(50))
  found = answer(page, "/stream")
  assert found.getheader("Content-Type").startswith("multipart/x-mixed-replace")
  for value in (50, 200):
    assert found.readline() == b"--picture\r\n"
    assert found.readline() == b"Content-Type: image/jpeg\r\n"
    length = int(found.readline().split()[1])
    assert found.readline() == b"\r\n"
    shown = np.asarray(Image.open(io.BytesIO(found.read(length))))
    assert shown.shape == (40, 60, 3)
    assert abs(shown.mean() - value) < 3
    assert found.readline() == b"\r\n"
    assert page.watched
    page.show(picture(200))


def test_other_sites_and_other_paths_are_refused(page):
  assert answer(page, "/", host="evil.example:80").status == 403
  assert answer(page, "/etc/passwd").status == 404
  assert answer(page, "/", host="localhost").status == 200  # as of port 80


def test_a_taken_port_is_told(page):
  taken = int(page.url.split(":")[2].strip("/"))
  with pytest.raises(OSError, match=f"port {taken} cannot be used .* choose an"):
    LivePage("other", taken)
  with pytest.raises(OSError, match="port 99999 cannot be used"):
    LivePage("other", 99999)


def test_a_page_that_was_looked_at_leaves_its_port_free():
  page = LivePage("first", 0)
  port = int(page.url.split(":")[2].strip("/"))
  page.show(picture(50))
  found = answer(page, "/stream")
  found.readline()
  page.close()
  LivePage("second", port).close()
