import dataclasses
import importlib.util

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.files import video_files
from jaxpose.formats import bvh
from jaxpose.motion import world
from jaxpose.predict import lifting
from jaxpose.predict import outputs
from jaxpose.predict import person as predict_person
from tests import small_glot
from tests.frames_test import pictures
from tests.stage_test import standing

H36M = skeletons.get("h36m17")
CLIP = predict_person.Clip(25.0, (64, 48), 70.0)


def person(count=6, first=2, placed=True):
  upright = np.tile(standing()[None], (count, 1, 1))
  before = upright @ np.asarray([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) + [0, 1.0, 4.0]
  return predict_person.Person(
    name="0",
    clip=CLIP,
    first=first,
    keypoints_2d=np.full((count, 17, 2), 20.0, np.float32),
    confidence=np.ones((count, 17), np.float32),
    keypoints_skeleton=H36M,
    joints_3d=np.float32(before),
    skeleton=H36M,
    valid=np.ones(count, bool),
    world=world.place(before, H36M, 25.0) if placed else None,
    report="as it is",
  )


@pytest.fixture
def without(monkeypatch):
  """Hides packages."""

  def hide(*names):
    find = importlib.util.find_spec
    monkeypatch.setattr(
      importlib.util, "find_spec", lambda n, *a: None if n in names else find(n, *a)
    )

  return hide


def test_all_that_can_be_written_is_the_default(without):
  without("viser", "av")
  assert outputs.formats(None) == ["npz", "csv", "bvh"]
  assert outputs.lacking_extras() == dict(mp4="video", html="viz")
  assert outputs.formats(["bvh", "npz", "bvh"]) == ["bvh", "npz"]
  with pytest.raises(
    ImportError, match=r"'html' needs .* run pip install 'jaxpose\[viz"
  ):
    outputs.formats(["html"])
  with pytest.raises(ValueError, match="got the format 'fbx', expected npz, csv, bvh"):
    outputs.formats(["npz", "fbx"])


@pytest.mark.parametrize("placed", [True, False])
def test_a_bvh_file_stands_upright(tmp_path, placed):
  someone = person(placed=placed)
  told = outputs.write(tmp_path / "poses.bvh", someone, "bvh", None)
  assert told.startswith("poses.bvh: The skeleton with constant bones lies")
  motion = bvh.read(tmp_path / "poses.bvh")
  assert motion.motion.shape[0] == 6
  assert np.ptp(someone.upright()[0, :, 2]) > 1.2
  names = list(motion.names)
  head = motion.offsets[names.index("head")]
  assert head[1] > 5  # centimetres, y up


def test_a_file_of_other_bones_is_left_out(tmp_path):
  other = dataclasses.replace(H36M, name="ours")
  odd = dataclasses.replace(person(), skeleton=other)
  told = outputs.write(tmp_path / "poses.bvh", odd, "bvh", None)
  assert told == "No poses.bvh: the bones of ours cannot be told to rotate."
  assert not list(tmp_path.iterdir())


def test_a_page_of_hours_is_left_out(tmp_path, monkeypatch):
  monkeypatch.setattr(outputs, "_LONGEST_PAGE", 0.1)
  told = outputs.write(tmp_path / "page.html", person(), "html", None)
  assert told.startswith("No page.html: the clip is longer than")


def test_a_page_is_written(tmp_path):
  pytest.importorskip("viser", reason="needs viser: pip install 'jaxpose[viz]'")
  outputs.write(tmp_path / "page.html", person(), "html", None)
  assert (tmp_path / "page.html").stat().st_size > 10_000


def test_the_video_shows_the_frames_of_the_person(tmp_path, monkeypatch):
  source = video_files.open_source(pictures(tmp_path / "walk", 10), 25.0)
  shown = []

  def write(path, pictures, **options):
    shown.extend(number for number, _ in pictures)
    assert options["joints_3d"].shape == (6, 17, 3)

  monkeypatch.setattr(outputs.video_draw, "write", write)
  outputs.write(tmp_path / "video.mp4", person(first=2), "mp4", source)
  assert shown == [2, 3, 4, 5, 6, 7]


def test_bodies_need_no_gltf(tmp_path, without):
  without("pygltflib")
  points = small_glot.keypoints(5)
  mesh = lifting.mesh(points, weights=small_glot.weights(), image_size=small_glot.SIZE)
  (tmp_path / "body.npz").write_text("left by an interruption")
  assert outputs.body_files() == ["body.npz", "body.bvh"]
  for name in outputs.body_files():
    outputs.write_body(tmp_path / name, mesh)
    assert (tmp_path / name).stat().st_size > 100
