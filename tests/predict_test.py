import dataclasses
import os
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose import models
from jaxpose import predict
from jaxpose import skeletons
from jaxpose.data import transforms
from jaxpose.geometry import cameras
from jaxpose.predict import lifting
from jaxpose.skeletons import skeleton_maps
from jaxpose.weights import pretrained

SIZE = (640, 480)
H36M = skeletons.get("h36m17")
WINDOW = 9


@pytest.fixture(scope="module")
def weights() -> pretrained.Pretrained:
  model = dict(name="gla_gcn", variant="s_agcn", width=8, filter_widths=(9,))
  module = models.build(**model)
  shape = jnp.zeros((1, WINDOW, 17, 2))
  variables = jax.jit(module.init)(jax.random.key(3), shape)
  variables = jax.tree.map(np.asarray, variables)
  return pretrained.make(model, variables, skeleton="h36m17", window=WINDOW)


@pytest.fixture(scope="module")
def weights_file(weights, tmp_path_factory):
  return pretrained.save(tmp_path_factory.mktemp("weights"), weights)


def keypoints(frames: int, joints: int = 17) -> np.ndarray:
  """Pixels of smoothly moving points inside the image."""
  rng = np.random.default_rng(5)
  phase, speed = rng.uniform(0, 6, (joints, 2)), rng.uniform(0.1, 0.4, (joints, 2))
  wave = np.sin(phase + speed * np.arange(frames)[:, None, None])
  return np.asarray(SIZE) * (0.5 + 0.4 * wave)


def lift(points, weights, **kwargs) -> lifting.Lifted:
  return lifting.lift(points, image_size=SIZE, weights=weights, **kwargs)


def by_hand(points: np.ndarray, weights, frame: int, mirror=False) -> np.ndarray:
  """The pose of one frame from a window written out; its root set to 0."""
  around = range(frame - WINDOW // 2, frame + WINDOW // 2 + 1)
  window = np.stack([points[min(max(t, 0), len(points) - 1)] for t in around])
  window = cameras.normalize_screen(window.astype(np.float32), *SIZE)
  if mirror:
    window = transforms.flip(window, H36M)
  out = jax.jit(weights.module.apply)(weights.variables, window[None])
  pose = np.asarray(out["joints_3d"])[0, 0]
  if mirror:
    pose = transforms.flip(pose, H36M)
  return np.concatenate([np.zeros((1, 3), np.float32), pose[1:]])


@pytest.mark.parametrize("frame", [0, 1, 10, 19])
def test_a_pose_is_the_model_applied_to_the_window_around_it(weights, frame):
  points = keypoints(20)
  result = lift(points, weights)
  want = by_hand(points, weights, frame)
  assert np.abs(want[1:]).max() > 1e-2
  np.testing.assert_allclose(result[frame], want, atol=1e-5)


def test_weights_without_lookahead_read_past_frames_alone(weights):
  causal = dataclasses.replace(weights, info=dict(lookahead=0))
  points = keypoints(20)
  result = lift(points, causal)
  half = WINDOW // 2
  for frame in (0, 10, 19):  # the window that ends at a frame is that around an earlier
    want = by_hand(np.concatenate([points[:1]] * half + [points]), weights, frame)
    np.testing.assert_allclose(result[frame], want, atol=1e-5)
  points[11:] += 50
  np.testing.assert_array_equal(lift(points, causal)[:11], result[:11])


def test_every_frame_has_one_pose_and_the_root_is_zero(weights):
  for frames in (1, 2, 20):
    result = lift(keypoints(frames), weights)
    assert result.shape == (frames, 17, 3)
    assert len(result) == len(result.valid) == len(result.filled) == frames
    assert (result.joints_3d[:, H36M.root] == 0).all()
    assert result.valid.all()
    assert not result.filled.any()
    assert result.skeleton == H36M
    assert "No keypoint was missing." in result.report


def test_flip_averages_with_the_mirrored_prediction(weights):
  points = keypoints(12)
  result = lift(points, weights, flip=True)
  plain, mirrored = (by_hand(points, weights, 7, mirror=m) for m in (False, True))
  assert np.abs(plain - mirrored).max() > 1e-2
  np.testing.assert_allclose(result[7], (plain + mirrored) / 2, atol=1e-5)


def test_batch_size_does_not_change_the_poses(weights):
  points = keypoints(20)
  whole = np.asarray(lift(points, weights))
  for size in (1, 7, 20):
    parts = lift(points, weights, batch_size=size)
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_the_result_is_an_array_to_numpy_and_jax(weights):
  result = lift(keypoints(6), weights)
  assert np.asarray(result) is result.joints_3d
  assert np.asarray(result, np.float64).dtype == np.float64
  assert np.array(result, copy=True) is not result.joints_3d
  np.testing.assert_array_equal(jnp.asarray(result), result.joints_3d)
  np.testing.assert_array_equal(result[2:4], result.joints_3d[2:4])


@pytest.mark.parametrize("kind", [np.ndarray.tolist, jnp.asarray, np.float32])
def test_lists_jax_arrays_and_any_float_will_do(weights, kind):
  points = keypoints(6)
  np.testing.assert_allclose(lift(kind(points), weights), lift(points, weights), 1e-3)


def test_the_users_array_is_left_alone(weights):
  points = keypoints(6)
  points[3, 5] = np.nan
  before = points.copy()
  lift(points, weights)
  np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize("absent", [np.nan, np.inf, 0.0])
def test_missing_keypoints_are_interpolated_over_time(weights, absent):
  points = keypoints(20)
  filled = points.copy()
  share = np.arange(1, 4)[:, None] / 4
  filled[6:9, 16] = (1 - share) * points[5, 16] + share * points[9, 16]
  filled[:2, 4], filled[19, 4] = points[2, 4], points[18, 4]
  points[6:9, 16] = points[:2, 4] = points[19, 4] = absent
  result = lift(points, weights)
  np.testing.assert_allclose(result, lift(filled, weights), atol=1e-6)
  expected = np.zeros((20, 17), bool)
  expected[6:9, 16] = expected[:2, 4] = expected[19, 4] = True
  np.testing.assert_array_equal(result.filled, expected)
  assert result.valid.all()
  assert "6 of 340 keypoints (1.8%)" in result.report
  assert "left_hip 3 (longest gap 2), right_wrist 3 (longest gap 3)" in result.report


def test_a_nan_in_one_coordinate_or_a_low_confidence_is_missing(weights):
  points, gaps = keypoints(12), keypoints(12)
  gaps[4:6, 3] = np.nan
  want = lift(gaps, weights)
  half = points.copy()
  half[4:6, 3, 1] = np.nan
  np.testing.assert_array_equal(lift(half, weights), want)
  for low in (0.49, np.nan):
    confidence = np.ones((12, 17))
    confidence[4:6, 3] = low
    result = lift(points, weights, confidence=confidence, min_confidence=0.5)
    np.testing.assert_array_equal(result, want)
  confidence[4:6, 3] = 0.5
  result = lift(points, weights, confidence=confidence, min_confidence=0.5)
  assert not result.filled.any()


def test_frames_in_long_gaps_are_not_valid(weights):
  points = keypoints(30)
  points[3:7, 1] = points[10:15, 2] = points[28:, 5] = np.nan
  result = lift(points, weights, max_gap=4)
  assert np.isfinite(result).all()
  np.testing.assert_array_equal(np.flatnonzero(~result.valid), np.arange(10, 15))
  assert "5 frames lie in gaps of more than 4 frames" in result.report
  assert result.report.endswith("not valid: 10-14.")
  assert lift(points, weights, max_gap=5).valid.all()
  np.testing.assert_array_equal(
    np.flatnonzero(~lift(points, weights, max_gap=0).valid),
    np.r_[3:7, 10:15, 28:30],
  )


def test_the_report_stays_short(weights):
  points = keypoints(40)
  points[::2, 3:] = np.nan
  points[1, 3:] = np.nan
  report = lift(points, weights, max_gap=0).report
  assert "and 9 more joints." in report
  assert "and 14 more stretches." in report
  assert len(report) < 500


def test_gap_lengths_and_filling():
  missing = np.asarray([[1, 0, 1], [0, 1, 1], [1, 1, 1], [1, 0, 1]], bool)
  np.testing.assert_array_equal(
    predict.gap_lengths(missing), [[1, 0, 4], [0, 2, 4], [2, 2, 4], [2, 0, 4]]
  )
  points = np.arange(12.0).reshape(4, 3, 1)
  points[missing] = np.nan
  filled = predict.fill_gaps(points, missing)[..., 0]
  np.testing.assert_allclose(filled[:, 0], 3)
  np.testing.assert_allclose(filled[:, 1], [1, 4, 7, 10])
  assert np.isnan(filled[:, 2]).all()


def test_other_skeletons_are_mapped_to_the_models(weights):
  points = keypoints(10)
  mapped = skeleton_maps.convert(points, "coco17", "h36m17")
  np.testing.assert_allclose(
    lift(points, weights, skeleton="coco17"), lift(mapped, weights), atol=1e-4
  )
  points[3, 3] = np.nan  # the left ear, of which the head is made
  result = lift(points, weights, skeleton="coco17")
  assert np.argwhere(result.filled).tolist() == [[3, H36M.index("head")]]
  assert "coco17 keypoints to h36m17 joints" in result.report
  assert "left_ear 1" in result.report


def test_keypoints_that_the_model_does_not_use_may_be_missing(weights):
  points = keypoints(10, 33)
  want = lift(points, weights, skeleton="blazepose33")
  fingers = [
    skeletons.get("blazepose33").index(f"{s}_thumb") for s in ("left", "right")
  ]
  points[:, fingers] = np.nan
  result = lift(points, weights, skeleton="blazepose33")
  np.testing.assert_array_equal(result, want)
  assert result.valid.all()
  assert "No keypoint was missing." in result.report


def test_a_picture_higher_than_wide_is_the_middle_of_a_square(weights):
  points = keypoints(10) * [0.75, 4 / 3]  # in 480 x 640
  upright = lifting.lift(points, image_size=(480, 640), weights=weights)
  moved = points + np.asarray([80, 0])
  square = lifting.lift(moved, image_size=(640, 640), weights=weights)
  np.testing.assert_allclose(upright, square, atol=1e-6)
  stretched = lifting.lift(points, image_size=(480, 480), weights=weights)
  assert np.abs(np.asarray(upright) - np.asarray(stretched)).max() > 1e-2


def test_a_share_outside_the_image_is_reported(weights):
  points = keypoints(10)
  points[:, 3:6, 1] = SIZE[1] + 30
  assert "18% of the keypoints lie outside the image." in lift(points, weights).report


class Counting(nn.Module):
  """A model that counts how often it is traced."""

  traces = 0  # of the class: no field

  @nn.compact
  def __call__(self, x):
    type(self).traces += 1
    scale = self.param("scale", nn.initializers.ones, ())
    pose = scale * x[:, :1].mean(1, keepdims=True)
    return {"joints_3d": jnp.concatenate([pose, pose[..., :1]], -1)}


def counting(scale: float) -> pretrained.Pretrained:
  variables = {"params": {"scale": np.float32(scale)}}
  return pretrained.Pretrained(Counting(), variables, {}, H36M, 3)


def test_calls_of_one_batch_size_share_a_program():
  first = lift(keypoints(100), counting(1.0))
  traces = Counting.traces
  assert traces == 1
  again = lift(keypoints(90), counting(2.0))  # other weights and length, the same size
  assert Counting.traces == traces
  np.testing.assert_allclose(again, 2 * first[:90], rtol=1e-6)
  lift(keypoints(100), counting(1.0), batch_size=32)
  assert Counting.traces == traces + 1
  lift(keypoints(300), counting(1.0), batch_size=32)
  assert Counting.traces == traces + 1


def test_a_weights_file_is_read_once_and_again_when_it_changes(
  weights, weights_file, tmp_path, monkeypatch
):
  points, loads = keypoints(6), []
  load = pretrained.load
  monkeypatch.setattr(
    pretrained, "load", lambda *args: loads.append(args) or load(*args)
  )
  from_file = lift(points, str(weights_file))
  np.testing.assert_array_equal(from_file, lift(points, weights))
  lift(points, str(weights_file))
  assert len(loads) == 1
  lift(points, weights_file.parent)
  lift(points, weights_file.parent)
  assert len(loads) == 2
  other = dict(weights.variables)
  other["params"] = jax.tree.map(lambda x: 2 * x, other["params"])
  changed = pretrained.make(weights.model, other, skeleton="h36m17", window=WINDOW)
  new = pretrained.save(tmp_path, changed)
  copy = tmp_path / "copy.npz"
  copy.write_bytes(weights_file.read_bytes())
  np.testing.assert_array_equal(lift(points, copy), from_file)
  copy.write_bytes(new.read_bytes())
  stamp = weights_file.stat().st_mtime_ns + 10**9
  os.utime(copy, ns=(stamp, stamp))
  np.testing.assert_array_equal(lift(points, copy), lift(points, changed))


def test_a_run_folder_is_read_at_every_call(weights, tmp_path, monkeypatch):
  loads = []
  monkeypatch.setattr(pretrained, "load", lambda name: loads.append(name) or weights)
  for _ in range(2):
    lift(keypoints(4), tmp_path)
  assert len(loads) == 2


def test_a_progress_bar_is_shown_on_request(weights, capfd):
  lift(keypoints(4), weights)
  assert not capfd.readouterr().err
  lift(keypoints(4), weights, progress="lifting")
  assert "lifting: 100%" in capfd.readouterr().err


@pytest.mark.parametrize(
  ("points", "sentence"),
  [
    (keypoints(5)[0], "got keypoints_2d of shape (17, 2), expected (frames, 17, 2)"),
    (keypoints(5)[0], "add a frame axis with keypoints_2d[None]"),
    (np.ones((5, 17, 3)), "confidence=keypoints_2d[..., 2]"),
    (np.ones((1, 5, 17, 2)), "got keypoints_2d of shape (1, 5, 17, 2)"),
    (keypoints(5, 14), "got 14 joints in keypoints_2d, expected (frames, 17, 2)"),
    (keypoints(5, 14), "skeletons with 14 joints: lsp14."),
    (keypoints(5, 16), "skeletons with 16 joints: none."),
    (keypoints(0), "got a clip without frames"),
    (keypoints(5) / 640, "all lie in [-2, 2], expected pixels"),
    (keypoints(5) + 2000, "of which half lie outside the image by more than its size"),
    (keypoints(5) * np.nan, "got no usable keypoint in the whole clip"),
    (keypoints(5) * 0, "got no usable keypoint in the whole clip"),
    ([[[1, 2]], [[3, 4], [5, 6]]], "cannot be made an array of numbers"),
    (None, "got keypoints_2d of shape ()"),
    ("clip.mp4", "got keypoints_2d that cannot be made an array of numbers"),
  ],
)
def test_keypoints_that_cannot_be_lifted_are_refused(weights, points, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    lift(points, weights)


def test_a_joint_that_is_never_seen_is_named(weights):
  points = keypoints(5)
  points[:, 6] = np.nan
  confidence = np.ones((5, 17))
  confidence[:, 9] = 0.1
  sentence = "got no usable keypoint of left_foot, neck in the whole clip"
  with pytest.raises(ValueError, match=sentence):
    lift(points, weights, confidence=confidence)


@pytest.mark.parametrize(
  ("image_size", "sentence"),
  [
    (None, "got image_size=None, expected (width, height) in pixels"),
    ((480, 640, 3), "got image_size=(480, 640, 3)"),
    ((640, 0), "both positive"),
    ((640, float("nan")), "both positive"),
    ("640x480", "got image_size that cannot be made an array of numbers"),
    ((480, 640), "and fit (640, 480); expected (width, height)"),
  ],
)
def test_image_sizes_that_cannot_be_are_refused(weights, image_size, sentence):
  points = keypoints(5)
  points[:, :9, 0] = 600  # at the right of the image
  with pytest.raises(ValueError, match=re.escape(sentence)):
    lifting.lift(points, image_size=image_size, weights=weights)


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (dict(confidence=np.ones((5, 16))), "shape (5, 16), expected (5, 17): one number"),
    (dict(confidence="high"), "got confidence that cannot be made an array of numbers"),
    (dict(batch_size=0), "got batch_size=0, expected at least 1."),
    (dict(max_gap=-1), "got max_gap=-1, expected at least 0."),
    (dict(skeleton="coco"), "unknown skeleton 'coco'; nearest: coco17"),
    (dict(weights=(None, {})), "got weights of type tuple, expected a released name"),
  ],
)
def test_other_wrong_arguments_are_refused(weights, arguments, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    lifting.lift(keypoints(5), **(dict(image_size=SIZE, weights=weights) | arguments))


def test_weights_that_are_not_there_are_refused():
  with pytest.raises(FileNotFoundError, match="no weights at 'no/such"):
    lift(keypoints(5), "no/such.npz")


def test_a_model_with_inputs_of_its_own_is_refused(weights):
  other = pretrained.Pretrained(
    weights.module, weights.variables, {}, H36M, WINDOW, ("keypoints_2d", "depth")
  )
  with pytest.raises(ValueError, match="inputs keypoints_2d, depth, expected"):
    lift(keypoints(5), other)


def test_a_skeleton_without_a_map_is_refused():
  coco = skeletons.get("coco17")
  with pytest.raises(ValueError, match="no map from 'h36m17' to 'coco17'"):
    lift(keypoints(5), pretrained.Pretrained(Counting(), {}, {}, coco, 3))


def filmed(fps: float, seconds: float = 4.0) -> np.ndarray:
  """Pixels of one motion, its frames taken at this rate."""
  rng = np.random.default_rng(5)
  phase, speed = rng.uniform(0, 6, (17, 2)), rng.uniform(3, 8, (17, 2))
  time = np.arange(round(seconds * fps) + 1)[:, None, None] / fps
  return np.asarray(SIZE) * (0.5 + 0.3 * np.sin(phase + speed * time))


@pytest.fixture(scope="module")
def at_50(weights) -> pretrained.Pretrained:
  return dataclasses.replace(weights, info=dict(fps=50.0))


@pytest.mark.parametrize("flip", [False, True])
def test_at_the_rate_of_training_nothing_changes(weights, at_50, flip):
  points = keypoints(20)
  want = lift(points, weights, flip=flip).joints_3d
  for model, fps in ((at_50, 50), (at_50, None), (weights, 30)):
    found = lift(points, model, fps=fps, flip=flip).joints_3d
    np.testing.assert_array_equal(found, want)


# After so many frames, and so many of 50 frames/s, the same time has passed.
@pytest.mark.parametrize(
  ("fps", "step", "step_50"), [(24, 12, 25), (30, 3, 5), (60, 6, 5), (120, 12, 5)]
)
@pytest.mark.parametrize("lookahead", [None, 0])
def test_another_rate_gives_the_poses_of_the_rate_of_training(
  at_50, fps, step, step_50, lookahead
):
  model = dataclasses.replace(at_50, info=dict(fps=50.0, lookahead=lookahead))
  want = lift(filmed(50.0), model, fps=50)[::step_50]
  found, as_it_is = (
    lift(filmed(fps), model, fps=value)[::step] for value in (fps, None)
  )
  away, before = (
    np.linalg.norm(poses - want, axis=-1).mean() for poses in (found, as_it_is)
  )
  moved = np.linalg.norm(np.diff(want, axis=0), axis=-1).mean()
  assert away < 0.1 * before
  assert away < 0.03 * moved


@pytest.mark.parametrize("fps", [0, -1, np.nan, "fast"])
def test_what_is_no_frame_rate_is_refused(weights, fps):
  with pytest.raises(ValueError, match=r"got fps=.*, expected frames per second, a"):
    lift(keypoints(3), weights, fps=fps)
