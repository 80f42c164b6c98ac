import sys
import tracemalloc

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.draw import stage
from jaxpose.draw import video_draw
from jaxpose.files import video_files
from tests.stage_test import standing

H36M = skeletons.get("h36m17")
SIZE = (320, 180)
pytest.importorskip("av", reason="needs jaxpose[video]")


def clip(count=12):
  joints = np.tile(standing()[None], (count, 1, 1))
  joints[..., 0] += np.linspace(0, 0.2, count)[:, None]
  return dict(joints_3d=joints, skeleton=H36M, fps=25, size=SIZE)


def pictures(count, shape=(90, 160), value=90):
  for _ in range(count):
    yield np.full((*shape, 3), value, np.uint8)


def points(count, shape=(90, 160)):
  """(t, 17, 2) the body flat in the picture."""
  flat = standing()[:, [0, 2]] * [1, -1]
  flat = (flat - flat.min(0)) / np.ptp(flat, axis=0).max()
  return np.tile(flat * 60 + [50, 20], (count, 1, 1))


def test_a_video_is_written_that_plays_at_its_speed(tmp_path):
  path = tmp_path / "a.mp4"
  count = video_draw.write(path, pictures(12), keypoints_2d=points(12), **clip())
  assert count == 12
  video = video_files.open_source(path)
  assert video.image_size == SIZE
  assert video.fps == pytest.approx(25)
  assert video.count() == 12
  assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_the_input_is_at_the_left_and_the_body_at_the_right():
  picture = next(video_draw.compose(pictures(1), **clip(1)))
  assert picture.shape == (180, 320, 3)
  width = round(0.58 * 320)
  height = round(width * 90 / 160)
  top = (180 - height) // 2
  assert (picture[top + 2 : top + height - 2, 2 : width - 2] == 90).all()
  assert (picture[: top - 1, :width] == stage.BACKGROUND).all()
  right = picture[:, width:].astype(int)
  assert ((right[..., 2] - right[..., 0]) > 60).any()  # blue
  assert ((right[..., 0] - right[..., 2]) > 60).any()  # orange


def test_a_tall_input_has_the_whole_height():
  picture = next(video_draw.compose(pictures(1, (160, 90)), **clip(1)))
  width = round(90 * 180 / 160)
  assert (picture[2:-2, 2 : width - 2] == 90).all()


def test_keypoints_lie_where_they_are_in_the_input():
  seen = points(1)
  picture = next(video_draw.compose(pictures(1), keypoints_2d=seen, **clip(1)))
  # The empty sides of a wide input are cut off where there are keypoints.
  box = video_draw.Box((160, 90), SIZE, seen)
  assert box.right - box.left < 160
  assert box.left < seen[..., 0].min()
  assert seen[..., 0].max() < box.right
  for point in seen[0]:
    x, y = np.rint((point - [box.left, 0]) * box.scale).astype(int)
    assert (picture[box.top + y, x] > 200).all()


def test_missing_keypoints_are_not_drawn():
  seen = np.full((1, 17, 2), np.nan)
  a = next(video_draw.compose(pictures(1), keypoints_2d=seen, **clip(1)))
  b = next(video_draw.compose(pictures(1), **clip(1)))
  np.testing.assert_array_equal(a, b)


def test_other_keypoints_than_the_bodys_are_drawn():
  coco = skeletons.get("coco17")
  seen = np.random.default_rng(0).uniform(10, 80, (1, 17, 2))
  options = dict(keypoints_2d=seen, keypoints_skeleton=coco)
  assert next(video_draw.compose(pictures(1), **options, **clip(1))).any()


def test_the_body_alone_fills_the_picture(tmp_path):
  path = tmp_path / "a.mp4"
  assert video_draw.write(path, None, **clip(3)) == 3
  picture = next(video_draw.compose(None, **clip(1)))
  assert picture.shape == (180, 320, 3)


@pytest.mark.parametrize(("shown", "posed"), [(5, 12), (12, 5)])
def test_the_shorter_of_input_and_poses_ends_the_video(shown, posed):
  assert len(list(video_draw.compose(pictures(shown), **clip(posed)))) == 5


def test_numbered_frames_are_taken_as_they_are_read():
  numbered = ((i, frame) for i, frame in enumerate(pictures(2)))
  a = list(video_draw.compose(numbered, **clip(2)))
  b = list(video_draw.compose(pictures(2), **clip(2)))
  np.testing.assert_array_equal(a, b)


def test_frames_are_taken_one_by_one():
  taken = []

  def source():
    for i in range(1000):
      taken.append(i)
      yield np.zeros((90, 160, 3), np.uint8)

  made = video_draw.compose(source(), **clip(1000))
  next(made)
  tracemalloc.start()
  before, _ = tracemalloc.get_traced_memory()
  for _ in range(20):
    next(made)
  after, _ = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert len(taken) == 21
  assert after - before < 2_000_000


def test_a_mesh_takes_the_place_of_the_bones():
  body = body_files.load("free_small")
  turn = np.asarray([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # y up to z up
  upright = body.template @ turn.T
  upright = upright - [0, 0, upright[:, 2].min()]
  asked = []

  def vertices(i):
    asked.append(i)
    return upright if i < 2 else np.nan * upright

  made = list(video_draw.compose(pictures(3), mesh=(vertices, body.faces), **clip(3)))
  assert asked == [0, 1, 2]
  bones = next(video_draw.compose(pictures(1), **clip(1)))
  width = round(0.58 * 320)
  right = made[0][:, width:].astype(int)
  assert ((right[..., 2] - right[..., 0]) > 30).sum() > 200  # the mesh is bluish
  assert not ((right[..., 0] - right[..., 2]) > 60).any()  # and no limb is orange
  assert ((bones[:, width:].astype(int) @ [1, 0, -1]) > 60).any()
  # A frame without a body has none.
  last = made[2][:, width:].astype(int)
  assert ((last[..., 2] - last[..., 0]) > 30).sum() == 0


def test_nothing_is_overwritten_unasked(tmp_path):
  path = tmp_path / "a.mp4"
  video_draw.write(path, None, **clip(2))
  old = path.read_bytes()
  with pytest.raises(FileExistsError, match="exists and is not overwritten"):
    video_draw.write(path, None, **clip(3))
  assert path.read_bytes() == old
  assert video_draw.write(path, None, overwrite=True, **clip(3)) == 3


def test_an_error_or_an_interrupt_leaves_the_old_file_and_no_process(tmp_path):
  def source(error):
    yield from pictures(2)
    raise error

  path = tmp_path / "a.mp4"
  video_draw.write(path, None, **clip(2))
  old = path.read_bytes()
  for error in (ValueError("broken input"), KeyboardInterrupt()):
    with pytest.raises(type(error)):
      video_draw.write(path, source(error), overwrite=True, **clip())
  assert path.read_bytes() == old
  assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_a_file_that_cannot_be_written_whole_is_told(tmp_path):
  resource = pytest.importorskip("resource", reason="needs Linux or a Mac")
  noise = np.random.default_rng(0).integers(0, 255, (300, 90, 160, 3), np.uint8)
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
  try:
    with pytest.raises(OSError, match="ffmpeg could not write the video"):
      video_draw.write(tmp_path / "a.mp4", noise, **clip(300))
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (dict(path="a.avi"), r"expected the ending \.mp4"),
    (dict(fps=0), "got fps=0, expected frames per second, above 0"),
    (dict(size=(321, 180)), r"got size=\(321, 180\), expected two even numbers"),
    (dict(joints_3d=np.zeros((3, 5, 3))), "got 5 joints, expected 17 for the skeleton"),
    (dict(keypoints_2d=np.zeros((3, 9, 2))), "got 9 keypoints, expected 17 for the"),
    (dict(frames=iter(())), "got no frame to draw, expected at least one"),
  ],
)
def test_bad_input_is_said_in_a_sentence(tmp_path, change, message):
  arguments = dict(path="a.mp4", frames=pictures(2)) | clip(2) | change
  arguments["path"] = tmp_path / arguments["path"]
  with pytest.raises(ValueError, match=message):
    video_draw.write(**arguments)
  assert not list(tmp_path.iterdir())


def test_without_pyav_the_way_to_get_it_is_said(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "av", None)
  with pytest.raises(ImportError, match=r"pip install 'jaxpose\[video\]'"):
    video_draw.write(tmp_path / "a.mp4", None, **clip(2))
  assert not list(tmp_path.iterdir())
