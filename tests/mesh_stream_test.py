"""Frame by frame comes out what the whole clip gives."""

import dataclasses
import re

import numpy as np
import pytest

from jaxpose import predict
from jaxpose.geometry import keypoint_crops
from jaxpose.predict import bodies
from jaxpose.predict import lifting
from tests import small_glot

pytestmark = pytest.mark.numeric

SIZE = small_glot.SIZE
LATENCY = 7
PARAMETERS = ("rotations", "betas", "camera", "crops", "translation", "joints_3d")


def mesh(points=None, **options) -> predict.Mesh:
  options = dict(weights=small_glot.weights(), image_size=SIZE, batch_size=8) | options
  return lifting.mesh(points, **dict(shape="frame") | options)


@pytest.fixture(scope="module")
def stream() -> predict.MeshStream:
  return predict.MeshStream(small_glot.weights(), image_size=SIZE)


def through(stream, frames, latency=LATENCY, **each) -> list[predict.Mesh]:
  """Every result of a clip, in order."""
  results = []
  for i, frame in enumerate(frames):
    result = stream.push(frame, **{key: values[i] for key, values in each.items()})
    assert (result is None) == (i < latency)
    results += [result] if result else []
  return results + stream.flush()


def same(results, batch):
  assert len(results) == len(batch)
  for name in PARAMETERS:
    streamed = np.concatenate([getattr(result, name) for result in results])
    want = getattr(batch, name)
    np.testing.assert_allclose(streamed, want, atol=1e-4, rtol=2e-4, err_msg=name)
  valid = np.concatenate([result.valid for result in results])
  np.testing.assert_array_equal(valid, batch.valid)


def test_the_latency_is_seven_frames(stream):
  assert stream.latency == LATENCY


@pytest.mark.parametrize("frames", [1, 3, 7, 8, 30])
def test_a_stream_gives_what_the_clip_gives(stream, frames):
  points = small_glot.keypoints(frames)
  batch = mesh(points)
  same(through(stream, points), batch)
  if frames > 1:
    assert np.abs(np.diff(batch.rotations, axis=0)).max() > 1e-2


def test_gaps_are_filled_alike(stream):
  points = small_glot.keypoints(60)
  points[4:7, 3] = points[10:12] = points[14, :9] = np.nan
  points[25:48] = 0  # longer than a window: held
  confidence = np.random.default_rng(0).uniform(0.2, 1, (60, 17))
  results = through(stream, points, confidence=confidence)
  same(results, mesh(points, confidence=confidence))
  assert not all(result.valid[0] for result in results)


def test_in_batches_of_one_the_clip_is_the_same_bit_by_bit(stream):
  points = small_glot.keypoints(30)
  points[4:7, 3] = points[10:12] = np.nan
  batch, results = mesh(points, batch_size=1), through(stream, points)
  for name in ("rotations", "betas", "camera", "crops"):
    streamed = np.concatenate([getattr(result, name) for result in results])
    np.testing.assert_array_equal(streamed, getattr(batch, name), err_msg=name)


@pytest.mark.parametrize(("fps", "latency"), [(24, 4), (30, 5), (50, 7), (120, 17)])
@pytest.mark.parametrize("frames", [3, 40])
def test_another_rate_gives_what_the_clip_gives(fps, latency, frames):
  weights = dataclasses.replace(small_glot.weights(), info=dict(fps=50.0))
  points = small_glot.keypoints(frames)
  points[1, 3] = points[20:22] = points[25:29, :9] = np.nan
  confidence = np.random.default_rng(0).uniform(0.2, 1, (frames, 17))
  batch = mesh(points, confidence=confidence, weights=weights, fps=fps)
  assert batch.frame_rate == fps
  stream = predict.MeshStream(weights, image_size=SIZE, fps=fps)
  assert stream.latency == latency  # as long as 7 frames of 50 a second
  same(through(stream, points, latency, confidence=confidence), batch)


def test_a_frame_without_anybody_may_be_none(stream):
  points = small_glot.keypoints(20)
  frames = list(points)
  frames[9] = None
  points[9] = np.nan
  same(through(stream, frames), mesh(points))


def test_before_anybody_is_seen_nothing_is_valid(stream):
  frames = [None] * 30 + list(small_glot.keypoints(12))
  results = through(stream, frames)
  points = np.concatenate([np.zeros((30, 17, 2)), small_glot.keypoints(12)])
  batch = mesh(points)
  same(results[23:], batch[23:])
  valid = [bool(result.valid[0]) for result in results]
  assert valid == batch.valid.tolist()
  assert valid.index(True) == 26
  assert np.isfinite(results[0].vertices()).all()


def test_features_and_boxes_are_streamed_too():
  weights = small_glot.weights("features")
  features, boxes = small_glot.features(20), small_glot.boxes(20)
  options = dict(weights=weights, image_size=SIZE)
  batch = mesh(features=features, boxes=boxes, **options)
  same(through(predict.MeshStream(boxes=True, **options), features, box=boxes), batch)
  features[8] = np.nan
  frames = [None if i == 8 else f for i, f in enumerate(features)]
  stream = predict.MeshStream(weights)
  same(through(stream, frames), mesh(features=features, weights=weights))


def test_the_mean_shape_is_that_of_the_frames_so_far():
  stream = predict.MeshStream(small_glot.weights(), image_size=SIZE, shape="mean")
  points = small_glot.keypoints(20)
  points[5:7] = np.nan
  frames, batch = mesh(points), mesh(points, shape="mean")
  for _ in range(2):  # the second clip knows nothing of the first
    results = through(stream, points)
    np.testing.assert_allclose(results[0].betas, frames.betas[:1], atol=1e-4)
    want = frames.betas[:5].mean(0, keepdims=True)
    np.testing.assert_allclose(results[4].betas, want, atol=1e-4)
    np.testing.assert_allclose(results[-1].betas, batch.betas[-1:], atol=1e-4)
  assert np.abs(frames.betas[0] - want).max() > 1e-3


def test_one_program_is_compiled_and_that_before_the_first_frame(monkeypatch):
  traces = []
  original = keypoint_crops.network_input
  monkeypatch.setattr(
    keypoint_crops, "network_input", lambda *a: traces.append(1) or original(*a)
  )
  bodies._program.cache_clear()
  stream = predict.MeshStream(small_glot.weights(), image_size=SIZE)
  assert len(traces) == 1
  through(stream, small_glot.keypoints(20))
  predict.MeshStream(small_glot.weights(seed=1), image_size=SIZE)
  assert len(traces) == 1


def test_a_stream_keeps_a_window_and_no_more(stream):
  def held():
    return sum(array.nbytes for array in stream._past)

  stream.push(small_glot.keypoints(1)[0])
  before = held()
  for frame in small_glot.keypoints(40):
    stream.push(frame)
  assert held() == before == 16 * (17 * 2 + 17 + 4) * 4
  stream.flush()


def test_a_flushed_stream_begins_anew(stream):
  assert stream.flush() == []
  points = small_glot.keypoints(10)
  same(through(stream, points[::-1]), mesh(points[::-1]))
  same(through(stream, points), mesh(points))


POINTS = small_glot.keypoints(1)[0]


@pytest.mark.parametrize(
  ("frame", "arguments", "sentence"),
  [
    (POINTS[None], {}, "got a frame of shape (1, 17, 2), expected (17, 2), the keyp"),
    (POINTS[:14], {}, "got a frame of shape (14, 2), expected (17, 2)"),
    ("x", {}, "got keypoints_2d that cannot be made an array of numbers"),
    (POINTS, dict(confidence=np.ones(3)), "got confidence of shape (1, 3), expected"),
    (POINTS, dict(box=np.ones(4)), "got a box, expected none"),
    (POINTS / 640, {}, "all lie in [-2, 2], expected pixels"),
  ],
)
def test_frames_that_cannot_be_are_refused(stream, frame, arguments, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    stream.push(frame, **arguments)
  assert stream.flush() == []


@pytest.mark.parametrize(
  ("frame", "arguments", "sentence"),
  [
    (np.ones(3), dict(box=np.ones(4)), "got a frame of shape (3,), expected (12,)"),
    (np.ones(12), {}, "got features or a box alone, expected both"),
    (None, dict(box=np.ones(4)), "got features or a box alone, expected both"),
    (np.ones(12), dict(box=np.ones(3)), "got boxes of shape (1, 3), expected (1, 4)"),
    (np.ones(12), dict(box=np.ones(4), confidence=1.0), "got confidence with features"),
  ],
)
def test_features_that_cannot_be_are_refused(frame, arguments, sentence):
  stream = predict.MeshStream(
    small_glot.weights("features"), image_size=SIZE, boxes=True
  )
  with pytest.raises(ValueError, match=re.escape(sentence)):
    stream.push(frame, **arguments)


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (dict(image_size=None), "got image_size=None"),
    (dict(skeleton="coco"), "unknown skeleton 'coco'"),
    (dict(shape="median"), "got shape='median', expected 'mean' or 'frame'."),
    (dict(boxes=True), "got boxes=True, expected it with weights that read features."),
    (dict(weights=None), "got weights of type NoneType"),
    (dict(focal=0), "got focal=0, expected a positive number."),
    (dict(fps=-1), "got fps=-1, expected frames per second, a number above 0"),
  ],
)
def test_streams_that_cannot_be_are_refused(arguments, sentence):
  arguments = dict(weights=small_glot.weights(), image_size=SIZE) | arguments
  with pytest.raises(ValueError, match=re.escape(sentence)):
    predict.MeshStream(arguments.pop("weights"), **arguments)
