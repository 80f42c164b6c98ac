"""Instant by instant comes out what the causal network gives for the whole clip."""

import dataclasses
import json
import re

import numpy as np
import pytest

from jaxpose import predict
from jaxpose.geometry import camera_crops
from jaxpose.predict import views_network
from tests import small_multiview
from tests.small_multiview import WINDOW

pytestmark = pytest.mark.numeric

FRAMES = 11
ARRAYS = ("keypoints_2d", "scores", "present", "joints_3d", "valid")


@pytest.fixture(scope="module", autouse=True)
def quick():
  yield from small_multiview.quick_compilation()


def causal(**fields):
  return small_multiview.weights(causal=True, **fields)


@pytest.fixture(scope="module")
def stream() -> predict.MultiviewStream:
  return predict.MultiviewStream(causal(), cameras=small_multiview.rig())


def through(stream, images, boxes) -> list[predict.MultiviewPoses]:
  stream.reset()
  return [stream.push(list(i), boxes=b) for i, b in zip(images, boxes, strict=True)]


def same(results, batch):
  assert len(results) == len(batch)
  for name in ARRAYS:
    streamed = np.concatenate([getattr(result, name) for result in results])
    atol = 2e-4 if name == "keypoints_2d" else 2e-5
    np.testing.assert_allclose(streamed, getattr(batch, name), atol=atol, err_msg=name)
  assert all(len(result) == 1 for result in results)


def clip(frames=FRAMES, which=slice(None), **options):
  options = dict(cameras=small_multiview.rig(), weights=causal()) | options
  options = dict(boxes=small_multiview.boxes(FRAMES)[:frames], batch_size=4) | options
  return predict.multiview(small_multiview.pictures(FRAMES)[:frames][which], **options)


@pytest.mark.parametrize("frames", [1, 3, WINDOW, FRAMES])
def test_a_stream_gives_what_the_clip_gives(stream, frames):
  images = small_multiview.pictures(FRAMES)[:frames]
  results = through(stream, images, small_multiview.boxes(FRAMES)[:frames])
  batch = clip(frames)
  same(results, batch)
  if frames > 1:
    assert np.abs(np.diff(batch.joints_3d, axis=0)).max() > 1e-3


@pytest.mark.parametrize("fps", [10, 25, 30])
def test_another_rate_gives_what_the_clip_gives(fps):
  weights = dataclasses.replace(causal(), info=dict(fps=12.5))
  options = dict(weights=weights, fps=fps)
  stream = predict.MultiviewStream(cameras=small_multiview.rig(), **options)
  images, boxes = small_multiview.pictures(FRAMES), small_multiview.boxes(FRAMES)
  batch = clip(**options)
  same(through(stream, images, boxes), batch)
  assert batch.fps == fps
  if fps == 25:  # every second picture
    for which in (slice(0, None, 2), slice(1, None, 2)):
      half = clip(which=which, boxes=boxes[which], weights=weights, fps=12.5)
      np.testing.assert_allclose(batch.joints_3d[which], half.joints_3d, atol=2e-6)


def test_the_past_matters_as_far_as_the_window_goes(stream):
  images, boxes = small_multiview.pictures(FRAMES), small_multiview.boxes(FRAMES)
  last = through(stream, images, boxes)[-1]
  inside = through(stream, images[-WINDOW:], boxes[-WINDOW:])[-1]
  np.testing.assert_allclose(inside.joints_3d, last.joints_3d, atol=2e-6)
  shorter = through(stream, images[1 - WINDOW :], boxes[1 - WINDOW :])[-1]
  assert np.abs(shorter.joints_3d - last.joints_3d).max() > 1e-4


def test_the_place_in_the_world_is_that_of_the_clip(stream, monkeypatch):
  """With the true 2D poses in place of the network's."""
  ring, joints = small_multiview.rig(), small_multiview.joints(FRAMES)
  boxes = small_multiview.boxes(FRAMES)
  points = np.stack([small_multiview.project(c, joints) for c in ring], 1)
  units = camera_crops.crop_points(points, boxes, size=24) / 12 - 1

  def relate(setup, memory, starts, rig, reference):
    frame = stream.frame
    row = min(frame, WINDOW - 1)
    found = dict(
      keypoints_2d=np.zeros((1, WINDOW, 3, 17, 2)),
      scores=np.ones((1, WINDOW, 3, 17)),
      joints_3d=np.zeros((1, WINDOW, 17, 3)),
    )
    found["keypoints_2d"][0, row] = units[frame]
    found["joints_3d"][0, row] = joints[frame] - joints[frame, :1]
    return found

  monkeypatch.setattr(views_network, "relate", relate)
  stream.reset()
  for frame in range(FRAMES):
    stream.frame = frame
    pose = stream.push(
      list(small_multiview.pictures(FRAMES)[frame]), boxes=boxes[frame]
    )
    np.testing.assert_allclose(pose.joints_3d_world[0], joints[frame], atol=1e-5)
    np.testing.assert_allclose(pose.keypoints_2d[0], points[frame], atol=1e-4)


def test_missing_views_may_be_none(stream):
  images = [list(views) for views in small_multiview.pictures(FRAMES)]
  boxes = small_multiview.boxes(FRAMES)
  missing = boxes.copy()
  missing[2:5, 1] = np.nan
  missing[4] = np.nan
  batch = clip(boxes=missing)
  for t in (2, 3, 4):
    images[t][1] = None
  images[4] = [None] * 3
  results = through(stream, images, boxes)
  same(results, batch)
  same(through(stream, small_multiview.pictures(FRAMES), missing), batch)


def test_each_image_is_encoded_once(stream, monkeypatch):
  seen = []
  original = views_network.remember

  def remember(setup, memory, images, *args):
    seen.append(images.shape[:2])
    return original(setup, memory, images, *args)

  monkeypatch.setattr(views_network, "remember", remember)
  through(stream, small_multiview.pictures(FRAMES), small_multiview.boxes(FRAMES))
  assert seen == [(3, 1)] * FRAMES
  frames = [a.shape[1] for a in stream._memory.tokens.values()]
  assert frames == [WINDOW] * len(frames)  # and no more are kept


def test_a_calibration_file_says_lenses_and_sizes(tmp_path):
  def change(rig):
    for camera in rig:
      camera["dist"] = [-0.2, 0.05, 0.003, -0.004]
      camera["t"] = [1000 * x for x in camera["t"]]
    del rig[0]["image_size"]
    matrix = 2 * np.array(rig[1]["K"])  # calibrated at twice the size
    matrix[:2, 2] += 0.5
    matrix[2, 2] = 1
    rig[1]["K"], rig[1]["image_size"] = matrix.tolist(), [160, 120]

  folder = small_multiview.write(tmp_path / "walk", change=change)
  (folder / "recording.json").write_text(json.dumps(dict(fps=25, unit="mm")))
  batch = predict.multiview(folder, weights=causal(), batch_size=4)
  stream = predict.MultiviewStream(
    causal(), cameras=folder / "calibration.json", unit="mm", fps=25
  )
  boxes = small_multiview.boxes(6)
  results = through(stream, small_multiview.pictures(6), boxes)
  same(results, batch)
  assert results[0].fps == 25
  two = predict.MultiviewStream(
    causal(), cameras=folder / "calibration.json", unit="mm", views=["cam2", "cam0"]
  )
  assert through(two, small_multiview.pictures(6)[:, [2, 0]], boxes[:, [2, 0]])[
    -1
  ].cameras == ("cam2", "cam0")
  fresh = predict.MultiviewStream(
    causal(), cameras=folder / "calibration.json", unit="mm"
  )
  with pytest.raises(
    ValueError, match="got pictures of 80 x 30 pixels, expected the c"
  ):
    fresh.push([None, np.zeros((30, 80, 3), np.uint8), None])


def test_streams_without_calibration_have_names_of_views():
  weights = causal(calibrated=False)
  stream = predict.MultiviewStream(weights, views=["a", "b", "c"], reference="b")
  images, boxes = small_multiview.pictures(FRAMES), small_multiview.boxes(FRAMES)
  results = through(stream, images, boxes)
  assert results[0].axes == "camera b"
  same(results, clip(weights=weights, cameras=None, reference="1"))


def test_streams_that_cannot_be_are_refused(tmp_path):
  def refused(sentence, weights=None, error=ValueError, **options):
    with pytest.raises(error, match=re.escape(sentence)):
      predict.MultiviewStream(weights or causal(), **options)

  ring = small_multiview.rig()
  looks_ahead = small_multiview.weights()
  refused("got weights of a network that looks ahead, expected", looks_ahead)
  refused("no weights at 'no/such'", "no/such", FileNotFoundError)
  refused("got neither cameras nor views, expected a calibration, or")
  refused("got a recording without calibration and weights that read", views=["a"])
  refused("got 0 cameras and views=None, expected at least one camera", cameras=[])
  refused("got 3 cameras and views=['a'], expected at", cameras=ring, views=["a"])
  broken = dataclasses.replace(ring[0], position=np.asarray([0, np.nan, 0]))
  refused("got position = [0.0, nan, 0.0], expected finite", cameras=[broken])
  path = tmp_path / "calibration.json"
  path.write_text(json.dumps(dict(cameras=small_multiview.as_json(ring))))
  refused("got the views cam7, expected some of its", cameras=path, views=["cam7"])
  refused("got the reference 'x', expected one of cam0", cameras=path, reference="x")
  refused("cannot be read as a calibration", cameras=tmp_path / "none.json")


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    (
      lambda i: i[:2],
      "got 2 pictures, expected 3, one for each of the views cam0, cam",
    ),
    (lambda i: [i[0][..., 0], *i[1:]], "view 'cam0': got a picture of shape (60, 80) "),
    (
      lambda i: [i[0] / 255, *i[1:]],
      "and type float64, expected (height, width, 3) ui",
    ),
    (
      lambda i: [i[0][:30], *i[1:]],
      "view 'cam0': got a picture of 80 x 30 pixels, exp",
    ),
  ],
)
def test_pictures_of_another_shape_are_refused(stream, change, sentence):
  images = list(small_multiview.pictures(FRAMES)[0])
  stream.reset()
  stream.push(images)
  with pytest.raises(ValueError, match=re.escape(sentence)):
    stream.push(change(images))


def test_pictures_of_another_camera_are_refused():
  stream = predict.MultiviewStream(causal(), cameras=small_multiview.rig())
  images = [None, None, np.zeros((80, 60, 3), np.uint8)]
  with pytest.raises(
    ValueError, match="'cam2': got pictures of 60 x 80 pixels, expect"
  ):
    stream.push(images)
  with pytest.raises(
    ValueError, match=r"got boxes of shape \(1, 3, 3\), expected \(1, 3"
  ):
    stream.push([None] * 3, boxes=np.ones((3, 3)))
