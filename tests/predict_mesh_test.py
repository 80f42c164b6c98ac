"""Keypoints and features of a clip to a body in every frame."""

import dataclasses
import functools
import re

import jax
import numpy as np
import pytest

from jaxpose import body as smpl
from jaxpose import models
from jaxpose import predict
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.geometry import cameras
from jaxpose.geometry import keypoint_crops
from jaxpose.predict import bodies as predict_bodies
from jaxpose.predict import lifting
from jaxpose.weights import pretrained
from tests import small_glot

SIZE = small_glot.SIZE
COCO = skeletons.get("coco17")
PARAMETERS = ("rotations", "betas", "camera", "crops", "translation")


def mesh(points, **options) -> predict.Mesh:
  options = dict(weights=small_glot.weights(), image_size=SIZE, batch_size=8) | options
  return lifting.mesh(points, **options)


def features_mesh(features, **options) -> predict.Mesh:
  options = dict(weights=small_glot.weights("features"), batch_size=8) | options
  return lifting.mesh(features=features, **options)


def same(a, b, atol=1e-4):
  for name in PARAMETERS:
    values = getattr(a, name), getattr(b, name)
    np.testing.assert_allclose(*values, atol=atol, rtol=2e-4, err_msg=name)


def by_hand(points, confidence, frame):
  """The network on one window, written out; seen keypoints only."""
  around = [min(max(frame + i, 0), len(points) - 1) for i in range(-8, 8)]
  window = cameras.normalize_screen(np.float32(points[around]), *SIZE)[None]
  certain = np.float32(confidence[around])[None]
  crop = keypoint_crops.window_crop(window, certain)
  x = keypoint_crops.network_input(window, certain, crop)
  return network("keypoints", x)


def network(encoder, x):
  out = _compiled(encoder)(small_glot.weights(encoder).variables, x)
  return {key: np.asarray(value)[0, 0] for key, value in out.items()}


@functools.cache
def _compiled(encoder):
  return jax.jit(small_glot.weights(encoder).module.apply)


@pytest.fixture(scope="module")
def clip() -> predict.Mesh:
  return mesh(small_glot.keypoints(20), shape="frame")


@pytest.fixture(scope="module")
def at_50() -> pretrained.Pretrained:
  return dataclasses.replace(small_glot.weights(), info=dict(fps=50.0))


def test_at_the_rate_of_training_nothing_changes(clip, at_50):
  points = small_glot.keypoints(20)
  for weights, fps in ((at_50, 50), (at_50, None), (small_glot.weights(), 30)):
    found = mesh(points, weights=weights, fps=fps, shape="frame")
    for name in PARAMETERS:
      np.testing.assert_array_equal(getattr(found, name), getattr(clip, name), name)
    assert found.frame_rate == (fps or 50)


@pytest.mark.parametrize(("fps", "step", "step_50"), [(30, 3, 5), (120, 12, 5)])
def test_another_rate_gives_the_bodies_of_the_rate_of_training(
  at_50, fps, step, step_50
):
  def bodies(rate, said, step):
    time = np.arange(2 * rate + 1)[:, None, None] / rate
    phase = np.random.default_rng(5).uniform(0, 6, (17, 2))
    points = np.asarray(SIZE) * (0.5 + 0.3 * np.sin(phase + 4 * time))
    return mesh(points, weights=at_50, fps=said, shape="frame").rotations[::step]

  want = bodies(50, 50, step_50)
  found, as_it_is = (bodies(fps, said, step) for said in (fps, None))
  away, before = (np.abs(x - want).mean() for x in (found, as_it_is))
  assert away < 0.2 * before


@pytest.mark.parametrize("frame", [0, 3, 10, 19])
def test_a_frame_is_the_network_applied_to_the_window_around_it(clip, frame):
  want = by_hand(small_glot.keypoints(20), np.ones((20, 17)), frame)
  for key in ("rotations", "betas", "camera"):
    np.testing.assert_allclose(getattr(clip, key)[frame], want[key], atol=1e-4)
  moved = clip.joints_3d[frame] - clip.translation[frame]
  np.testing.assert_allclose(moved, want["joints_3d"], atol=1e-4)
  assert clip.valid.all()


def test_frames_differ(clip):
  for name in PARAMETERS[:3]:
    assert np.abs(np.diff(getattr(clip, name), axis=0)).max() > 1e-3, name


@pytest.mark.parametrize("frames", [1, 5, 33])
def test_every_frame_has_a_body_in_batches_of_any_size(frames):
  points = small_glot.keypoints(frames)
  whole = mesh(points)
  assert len(whole) == frames
  assert whole.vertices().shape == (frames, 1500, 3)
  assert whole.poses.shape == (frames, 72)
  assert whole.joints_3d.shape == (frames, 49, 3)
  assert whole.joints_smpl.shape == (frames, 24, 3)
  same(mesh(points, batch_size=1), whole)


def test_an_upright_picture_is_the_middle_of_a_square():
  points = small_glot.keypoints(9) * [0.75, 4 / 3]
  upright = mesh(points, image_size=(480, 640))
  square = mesh(points + np.asarray([80, 0]), image_size=(640, 640))
  crops = square.crops - [80, 0, 0]
  same(upright, dataclasses.replace(square, crops=np.float32(crops)), atol=1e-3)


def test_clips_share_a_program(monkeypatch):
  traces = []
  original = keypoint_crops.network_input
  monkeypatch.setattr(
    keypoint_crops, "network_input", lambda *a: traces.append(1) or original(*a)
  )
  predict_bodies._program.cache_clear()
  mesh(small_glot.keypoints(40), batch_size=8)
  mesh(small_glot.keypoints(29), batch_size=8)
  other = small_glot.weights(seed=1)  # other weights of the same architecture
  mesh(small_glot.keypoints(13), batch_size=8, weights=other)
  assert len(traces) == 1


def test_the_translation_puts_the_joints_where_the_keypoints_are(clip):
  setup = predict_bodies.setup(
    small_glot.weights(),
    image_size=SIZE,
    focal=900,
    body=None,
    fps=50,
    box_scale=1.2,
    boxes=False,
  )
  place = np.asarray([0.5, -0.25, 6.0])
  rows = [skeletons.get("spin49").index(j) for j in COCO.joints]
  joints = (clip.joints_3d - clip.translation[:, None])[:, rows] + place
  pixels = 900 * joints[..., :2] / joints[..., 2:] + np.asarray(SIZE) / 2
  weights = np.ones((20, 17))
  weights[:, 3], pixels[:, 3] = 0, 0
  ones = np.ones(20)
  estimates = predict_bodies.Estimates(
    clip.rotations,
    clip.betas,
    np.float32([[0.9, 0, 0]] * 20),
    clip.crops,
    pixels,
    weights,
    ones,
    ones > 0,
    ones < 0,
  )
  result = predict_bodies.put_together(setup, estimates, clip.betas, "")
  np.testing.assert_allclose(result.translation, np.tile(place, (20, 1)), atol=0.02)
  np.testing.assert_allclose(result.joints_3d[:, rows], joints, atol=0.02)


def test_the_focal_length_is_assumed_where_it_is_not_given(clip):
  assert clip.focal == pytest.approx(1.15 * SIZE[0])
  assert "focal length was assumed to be 736 pixels" in clip.report
  given = mesh(small_glot.keypoints(20), focal=900)
  assert given.focal == 900
  assert "assumed" not in given.report
  upright = mesh(small_glot.keypoints(3) * [0.75, 4 / 3], image_size=(480, 640))
  assert upright.focal == pytest.approx(1.15 * 640)


def test_a_keypoint_that_is_not_seen_is_told_and_interpolated():
  points = small_glot.keypoints(24)
  gone = points.copy()
  gone[9:12, 4] = np.nan
  result = mesh(gone, shape="frame")
  filled, confidence = points.copy(), np.ones((24, 17))
  share = np.arange(1, 4)[:, None] / 4
  filled[9:12, 4] = (1 - share) * points[8, 4] + share * points[12, 4]
  confidence[9:12, 4] = 0
  want = by_hand(filled, confidence, 10)
  np.testing.assert_allclose(result.rotations[10], want["rotations"], atol=1e-4)
  assert "3 of 408 keypoints (0.7%) were missing" in result.report
  assert "right_ear 3 (longest gap 3)" in result.report
  # It matters, and in all the ways to say it.
  assert np.abs(result.rotations - mesh(points).rotations).max() > 1e-3
  for absent in (0.0, np.inf):
    gone[9:12, 4] = absent
    same(mesh(gone, shape="frame"), result, 0)
  same(mesh(points, confidence=confidence, shape="frame"), result)
  confidence[9:12, 4] = 0.29
  same(mesh(points, confidence=confidence, shape="frame"), result)


def test_confidence_weights_the_translation_and_not_the_pose(clip):
  confidence = np.random.default_rng(0).uniform(0.3, 1, (20, 17))
  result = mesh(small_glot.keypoints(20), confidence=confidence, shape="frame")
  np.testing.assert_array_equal(result.rotations, clip.rotations)
  assert np.abs(result.translation - clip.translation).max() > 1e-3


def test_frames_in_which_nobody_is_seen_are_filled_and_reported():
  points = small_glot.keypoints(70)
  points[10:13] = points[20:46] = np.nan
  result = mesh(points)
  invalid = np.flatnonzero(~result.valid)
  np.testing.assert_array_equal(invalid, np.arange(24, 42))  # 5 and more frames away
  assert "Nobody was seen in 29 of them: 10-12, 20-45." in result.report
  assert "18 frames lie far from those in which somebody was seen" in result.report
  assert "not valid: 24-41." in result.report
  for name in PARAMETERS:
    values = getattr(result, name)
    assert np.isfinite(values).all()
    # Windows that show nothing: the last pose is held.
    np.testing.assert_array_equal(values[28:38], np.stack([values[27]] * 10))
  assert np.abs(np.diff(result.rotations[9:14], axis=0)).min(0).max() > 1e-5


def test_a_clip_that_begins_with_nobody_begins_with_the_first_pose():
  points = small_glot.keypoints(40)
  points[:20] = 0
  result = mesh(points)
  np.testing.assert_array_equal(result.rotations[0], result.rotations[13])
  assert not result.valid[:16].any()
  assert result.valid[16:].all()


def test_one_shape_is_the_mean_weighted_by_confidence(clip):
  points, confidence = small_glot.keypoints(20), np.ones((20, 17))
  points[4:6] = np.nan
  confidence[7] = 0.5
  frames = mesh(points, confidence=confidence, shape="frame")
  one = mesh(points, confidence=confidence)
  weights = np.ones(20)
  weights[4:6], weights[7] = 0, 0.5
  want = np.average(frames.betas, 0, weights)
  np.testing.assert_allclose(one.betas, np.tile(want, (20, 1)), atol=1e-5)
  np.testing.assert_array_equal(one.rotations, frames.rotations)
  assert np.ptp(clip.betas, 0).max() > 1e-3


def test_other_skeletons_are_mapped_and_what_they_lack_is_absent():
  everything = small_glot.keypoints(12, 33)
  source = skeletons.get("blazepose33")
  rows = [source.index(j) for j in COCO.joints]
  a = mesh(everything, skeleton="blazepose33")
  same(a, mesh(everything[:, rows]))
  points = small_glot.keypoints(12)
  lsp = skeletons.get("lsp14")
  shared = [COCO.joints.index(j) if j in COCO.joints else -1 for j in lsp.joints]
  converted = np.where((np.asarray(shared) < 0)[:, None], 7.0, points[:, shared])
  face = [i for i, j in enumerate(COCO.joints) if j not in lsp.joints]
  points[:, face] = np.nan
  b = mesh(converted, skeleton="lsp14")
  same(b, mesh(points))
  assert "lsp14 lacks nose, left_eye, right_eye, left_ear, right_ear" in b.report


def test_human36ms_feet_are_ankles():
  points = small_glot.keypoints(8)
  h36m = skeletons.get("h36m17")
  result = mesh(points, skeleton="h36m17")
  coco = np.full((8, 17, 2), np.nan)
  for row, name in enumerate(COCO.joints):
    name = name.replace("ankle", "foot")
    if name in h36m.joints:
      coco[:, row] = points[:, h36m.index(name)]
  assert np.isfinite(coco).all((0, 2)).sum() == 12
  same(result, mesh(coco))


def test_features_give_the_same_parameters_as_the_network():
  features = small_glot.features(20)
  result = features_mesh(features, shape="frame")
  want = network("features", features[1:17][None])
  for key in ("rotations", "betas", "camera"):
    np.testing.assert_allclose(getattr(result, key)[9], want[key], atol=1e-4)
  assert (result.translation == 0).all()
  assert result.focal is None
  assert "No boxes were given, so that the translation is 0." in result.report


def test_features_that_are_missing_are_interpolated_and_reported():
  features = small_glot.features(30)
  gone, filled = features.copy(), features.copy()
  gone[12:14, 5] = np.nan
  for i in (12, 13):
    share = (i - 11) / 3
    filled[i] = (1 - share) * features[11] + share * features[14]
  result = features_mesh(gone, shape="frame")
  want = features_mesh(filled, shape="frame")
  # The windows that reach beyond the gap on both sides.
  np.testing.assert_allclose(result.rotations[7:20], want.rotations[7:20], atol=2e-5)
  assert "Nobody was seen in 2 of them: 12-13." in result.report
  assert result.valid.all()
  held = features.copy()
  held[-3:], gone[:] = features[-4], features
  gone[-3:] = np.nan
  same(features_mesh(gone, shape="frame"), features_mesh(held, shape="frame"), 1e-5)


def test_boxes_give_features_a_translation():
  features, boxes = small_glot.features(10), small_glot.boxes(10)
  result = features_mesh(features, boxes=boxes, image_size=SIZE, focal=900.0)
  half = 1.2 * boxes[:, 2:].max(1) / 2
  np.testing.assert_allclose(result.crops, np.c_[boxes[:, :2], half], rtol=1e-6)
  scale = np.maximum(result.camera[:, 0], 0.05)
  np.testing.assert_allclose(result.translation[:, 2], 900 / (half * scale), rtol=1e-5)
  pixels = 900 * result.translation[:, :2] / result.translation[:, 2:]
  want = boxes[:, :2] + result.camera[:, 1:] * (half * scale)[:, None]
  np.testing.assert_allclose(pixels + np.asarray(SIZE) / 2, want, rtol=1e-4)
  boxes[4] = np.nan
  gone = features_mesh(features, boxes=boxes, image_size=SIZE, focal=900.0)
  np.testing.assert_allclose(gone.crops, result.crops, rtol=1e-5)
  assert "Nobody was seen in 1 of them: 4-4." in gone.report


def test_the_body_is_the_weights_or_the_one_asked_for(clip):
  assert clip.body == "free_small"
  assert mesh(small_glot.keypoints(5), body="free").vertices().shape[1] == 13718
  plain = dataclasses.replace(
    small_glot.weights(), model=small_glot.weights().model | dict(body=None)
  )
  assert predict_bodies.body_name(plain) == "free"
  named = dataclasses.replace(plain, info=dict(body="free_small"))
  assert predict_bodies.body_name(named) == "free_small"
  converted = dataclasses.replace(plain, info=dict(converted_from="x.pth.tar"))
  with pytest.raises(ValueError, match="do not say which body they pose, expected"):
    mesh(small_glot.keypoints(5), weights=converted)
  with pytest.raises(FileNotFoundError, match=r"got the body 'no/such\.pkl'"):
    mesh(small_glot.keypoints(5), body="no/such.pkl")


def test_weights_may_be_a_file(tmp_path, clip):
  path = pretrained.save(tmp_path, small_glot.weights())
  same(mesh(small_glot.keypoints(20), weights=path, shape="frame"), clip, 0)


def test_a_progress_bar_is_shown_on_request(capfd):
  mesh(small_glot.keypoints(5))
  assert not capfd.readouterr().err
  mesh(small_glot.keypoints(5), progress="fitting")
  assert "fitting: 100%" in capfd.readouterr().err


def test_joints_are_those_of_the_posed_body(clip):
  body = body_files.load("free_small")
  posed = smpl.pose(body, clip.rotations, clip.betas)
  moved = clip.translation[:, None]
  np.testing.assert_allclose(clip.vertices(), posed.vertices + moved, atol=1e-4)
  np.testing.assert_allclose(clip.joints_smpl, posed.joints + moved, atol=1e-4)
  want = smpl.joints_49(body, posed) + moved
  np.testing.assert_allclose(clip.joints_3d, want, atol=1e-4)


def lifter() -> pretrained.Pretrained:
  model = dict(name="gla_gcn", variant="s_agcn", width=8, filter_widths=(3,))
  return pretrained.Pretrained(
    models.build(**model), {}, model, skeletons.get("h36m17"), 3
  )


POINTS, FEATURES = small_glot.keypoints(5), small_glot.features(5)


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (dict(points=None), "got no input, expected keypoints_2d alone"),
    (dict(points=POINTS[0]), "got keypoints_2d of shape (17, 2)"),
    (dict(points=POINTS[:, :14]), "got 14 joints in keypoints_2d"),
    (dict(points=POINTS[:0]), "got a clip without frames"),
    (dict(points=POINTS * np.nan), "got no usable keypoint in the whole clip"),
    (dict(points=POINTS / 640), "all lie in [-2, 2], expected pixels"),
    (dict(points="clip.mp4"), "cannot be made an array of numbers"),
    (dict(features=FEATURES), "got features and keypoints_2d, expected keypoints_2d"),
    (dict(image_size=None), "got image_size=None, expected (width, height)"),
    (dict(skeleton="coco"), "unknown skeleton 'coco'; nearest: coco17"),
    (dict(skeleton="lsp14"), "got 17 joints in keypoints_2d, expected (frames, 14, 2)"),
    (dict(confidence=np.ones((5, 3))), "shape (5, 3), expected (5, 17)"),
    (
      dict(boxes=small_glot.boxes(5)),
      "got boxes with keypoints_2d, expected them with",
    ),
    (dict(weights=lifter()), "got weights of the model 'gla_gcn', expected those of"),
    (dict(weights=3), "got weights of type int, expected a released name"),
    (dict(weights=small_glot.weights("features")), "expected features alone"),
    (dict(batch_size=0), "got batch_size=0, expected at least 1."),
    (dict(shape="median"), "got shape='median', expected 'mean' or 'frame'."),
    (dict(focal=-2), "got focal=-2, expected a positive number."),
    (dict(focal=(900, 900)), "got focal=(900, 900), expected a positive number."),
    (dict(fps=0), "got fps=0, expected frames per second, a number above 0; leave it"),
    (dict(box_scale=np.nan), "got box_scale=nan, expected a positive number."),
  ],
)
def test_what_cannot_be_is_refused(arguments, sentence):
  arguments = dict(points=POINTS) | arguments
  with pytest.raises(ValueError, match=re.escape(sentence)):
    mesh(arguments.pop("points"), **arguments)


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (dict(features=FEATURES[0]), "got features of shape (12,), expected (frames, 12)"),
    (dict(features=FEATURES[0]), "add a frame axis with features[None]"),
    (dict(features=FEATURES[:, :7]), "got features of shape (5, 7)"),
    (dict(features=FEATURES[:0]), "got a clip without frames, expected (frames, 12)"),
    (dict(features=FEATURES * np.nan), "got no frame in which somebody was seen"),
    (dict(features="walk"), "got features that cannot be made an array of numbers"),
    (dict(confidence=np.ones(5)), "got confidence with features, expected it with"),
    (dict(boxes=np.ones((4, 4))), "got boxes of shape (4, 4), expected (5, 4)"),
    (dict(boxes=np.zeros((5, 4))), "got boxes without a positive width and height"),
    (dict(boxes=np.ones((5, 4)), image_size=None), "got image_size=None"),
    (dict(weights=small_glot.weights()), "got features, expected keypoints_2d alone"),
  ],
)
def test_features_that_cannot_be_are_refused(arguments, sentence):
  arguments = dict(features=FEATURES, image_size=SIZE) | arguments
  with pytest.raises(ValueError, match=re.escape(sentence)):
    features_mesh(arguments.pop("features"), **arguments)


def test_lift_refuses_the_weights_of_glot():
  with pytest.raises(ValueError, match=r"'glot', expected .* jaxpose\.predict\.mesh"):
    lifting.lift(POINTS, image_size=SIZE, weights=small_glot.weights())
