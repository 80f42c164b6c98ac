import base64
import builtins
import re

import numpy as np
import pytest

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.draw import html_page
from jaxpose.draw import stage
from tests.stage_test import standing

H36M = skeletons.get("h36m17")
NO_VISER = "needs viser: pip install 'jaxpose[viz]'"


def clip(count=9):
  joints = np.tile(standing()[None], (count, 1, 1))
  joints[..., 0] += np.linspace(0, 1, count)[:, None]
  return joints


def recorded(page):
  """(messages with their times, arrays, seconds) of the scene in a page."""
  msgspec = pytest.importorskip("msgspec", reason=NO_VISER)
  zstandard = pytest.importorskip("zstandard", reason=NO_VISER)
  data = re.search(r'__VISER_EMBED_DATA__="([^"]+)"', page)[1]
  raw = base64.b64decode(data)
  size = int.from_bytes(raw[:8], "little")
  inner = zstandard.ZstdDecompressor().decompress(raw[8:], max_output_size=size)
  length = int.from_bytes(inner[:8], "little")
  return msgspec.msgpack.decode(inner[8 : 8 + length]), inner[8 + length :]


def test_a_page_holds_every_frame_and_needs_no_network(tmp_path):
  pytest.importorskip("viser", reason=NO_VISER)
  joints = clip()
  path = html_page.write(tmp_path / "a.html", joints, H36M, 25)
  page = path.read_text()
  head = page[: page.index("__VISER_EMBED_DATA__")]
  assert not re.findall(r'(?:src|href)="https?://', head)
  scene, arrays = recorded(page)
  assert scene["durationSeconds"] == pytest.approx(len(joints) / 25)
  limbs = [x for x in stage.limbs(H36M) if H36M.joints[x.end] != "head"]
  for placed in html_page.tubes(np.float32(joints), limbs).positions:
    assert placed.tobytes() in arrays
  times = sorted({round(time, 6) for time, _ in scene["messages"]})
  assert len(times) >= len(joints) - 1
  assert len(page) < 3_000_000


def test_fast_clips_are_thinned_to_thirty_frames_a_second(tmp_path):
  pytest.importorskip("viser", reason=NO_VISER)
  path = html_page.write(tmp_path / "a.html", clip(12), H36M, 100)
  scene, _ = recorded(path.read_text())
  assert scene["durationSeconds"] == pytest.approx(3 * 4 / 100)


def test_nothing_is_overwritten_unasked(tmp_path):
  pytest.importorskip("viser", reason=NO_VISER)
  path = html_page.write(tmp_path / "a.html", clip(2), H36M, 25)
  old = path.read_bytes()
  with pytest.raises(FileExistsError, match="exists and is not overwritten"):
    html_page.write(path, clip(3), H36M, 25)
  assert path.read_bytes() == old
  html_page.write(path, clip(3), H36M, 25, overwrite=True)
  assert path.read_bytes() != old


def test_tubes_reach_from_joint_to_joint():
  rng = np.random.default_rng(0)
  joints = rng.normal(size=(5, 17, 3))
  joints[0, 2] = joints[0, 1] - [0, 0, 0.5]  # straight down: half a turn from z
  joints[1, 2] = joints[1, 1]
  limbs = stage.limbs(H36M)
  placed = html_page.tubes(joints, limbs)
  turns = geometry.quaternion_to_matrix(np.float64(placed.wxyzs))
  reach = turns[..., 2] * placed.scales[..., 2:] / 2
  for sign, name in ((-1, "start"), (1, "end")):
    expected = joints[:, [getattr(limb, name) for limb in limbs]]
    np.testing.assert_allclose(placed.positions + sign * reach, expected, atol=1e-5)
  np.testing.assert_allclose(np.linalg.norm(placed.wxyzs, axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("shape", [html_page.cylinder, html_page._sphere])
def test_faces_look_outward(shape):
  vertices, faces = shape()
  a, b, c = (vertices[faces[:, i]] for i in range(3))
  normal = np.cross(b - a, c - a)
  outward = (normal * (a + b + c)).sum(-1)
  assert (outward[np.linalg.norm(normal, axis=-1) > 1e-6] > 0).all()


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (dict(path="a.txt"), r"expected the ending \.html"),
    (dict(fps=0), "got fps=0, expected frames per second, above 0"),
    (dict(joints_3d=np.zeros((3, 5, 3))), r"got joints of shape \(3, 5, 3\), expected"),
    (dict(joints_3d=np.full((3, 17, 3), np.nan)), "got NaN or infinite joints, expec"),
  ],
)
def test_bad_input_is_said_in_a_sentence(tmp_path, change, message):
  arguments = dict(path="a.html", joints_3d=clip(), skeleton=H36M, fps=25) | change
  arguments["path"] = tmp_path / arguments["path"]
  with pytest.raises(ValueError, match=message):
    html_page.write(**arguments)


def test_without_viser_the_way_to_get_it_is_said(tmp_path, monkeypatch):
  real = builtins.__import__

  def without(name, *args, **kwargs):
    if name == "viser":
      raise ImportError(name)
    return real(name, *args, **kwargs)

  monkeypatch.setattr(builtins, "__import__", without)
  with pytest.raises(ImportError, match=r"pip install 'jaxpose\[viz\]'"):
    html_page.write(tmp_path / "a.html", clip(2), H36M, 25)
