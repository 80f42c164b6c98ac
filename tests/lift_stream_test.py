"""The lifter frame by frame: the same poses as of the whole clip."""

import dataclasses

import numpy as np
import pytest

from jaxpose.predict import lifting
from tests import small_glot

pytestmark = pytest.mark.numeric

SIZE = (640, 480)


@pytest.fixture(scope="module")
def weights():
  return lifting.loaded("gla_gcn_cmu_27")


@pytest.fixture(scope="module")
def causal(weights):
  return dataclasses.replace(weights, info=weights.info | dict(lookahead=0))


@pytest.fixture(scope="module")
def clip():
  """Somebody who sways, in pixels."""
  rng = np.random.default_rng(0)
  pose = np.asarray(SIZE) / 2 + rng.uniform(-90, 90, (17, 2))
  phase = rng.uniform(0, 6, (17, 2))
  return pose + 12 * np.sin(np.arange(60)[:, None, None] / 5 + phase)


def streamed(weights, clip, frames, **options):
  stream = lifting.LiftStream(weights, image_size=SIZE, **options)
  found = [stream.push(clip[i], frame=int(i)) for i in frames]
  return stream, [pose for pose in found if pose]


@pytest.mark.parametrize("flip", [False, True])
def test_poses_equal_those_of_the_clip(weights, clip, flip):
  stream, found = streamed(weights, clip, range(60), flip=flip)
  assert stream.latency == 13
  assert [pose.frame for pose in found] == list(range(60 - 13))
  whole = lifting.lift(clip, image_size=SIZE, weights=weights, flip=flip).joints_3d
  joints = np.stack([pose.joints_3d for pose in found])
  np.testing.assert_allclose(joints, whole[: len(joints)], atol=2e-5)
  np.testing.assert_allclose(found[20].keypoints_2d, clip[20], atol=1e-3)
  assert found[20].seen.tolist() == [1.0] * 17


def test_causal_weights_answer_for_the_newest_frame(weights, causal, clip):
  stream, found = streamed(causal, clip, range(60))
  assert stream.latency == 0
  assert [pose.frame for pose in found] == list(range(60))
  whole = lifting.lift(clip, image_size=SIZE, weights=causal).joints_3d
  joints = np.stack([pose.joints_3d for pose in found])
  np.testing.assert_allclose(joints, whole, atol=2e-5)
  # The window is the same, only the frame that it is taken for is another.
  late = lifting.lift(clip, image_size=SIZE, weights=weights).joints_3d
  np.testing.assert_allclose(whole[13:], late[:-13], atol=2e-5)
  assert np.abs(whole[:13] - late[:13]).max() > 1e-3


def test_the_future_changes_nothing_of_a_causal_clip(causal, clip):
  whole = lifting.lift(clip, image_size=SIZE, weights=causal).joints_3d
  part = lifting.lift(clip[:40], image_size=SIZE, weights=causal).joints_3d
  np.testing.assert_allclose(part, whole[:40], atol=2e-5)


def test_frames_left_out_are_filled_as_gaps_are(weights, clip):
  taken = [i for i in range(60) if i % 3 != 1]
  _, found = streamed(weights, clip, taken)
  gapped = clip.copy()
  gapped[1::3] = 0
  whole = lifting.lift(gapped, image_size=SIZE, weights=weights).joints_3d
  assert [pose.frame for pose in found] == [i - 13 for i in taken if i >= 13]
  for pose in found:
    np.testing.assert_allclose(pose.joints_3d, whole[pose.frame], atol=2e-5)


def test_what_is_lost_is_held_and_what_was_never_seen_is_in_the_middle(weights, clip):
  stream = lifting.LiftStream(weights, image_size=SIZE)
  sure = np.ones(17)
  sure[3] = 0.1
  for i in range(100):
    shown = clip[min(i, 59)].copy()
    if i > 20:
      shown[5] = np.nan
    pose = stream.push(shown, confidence=sure)
  assert pose.seen.tolist() == [float(j != 3) for j in range(17)]
  np.testing.assert_allclose(pose.keypoints_2d[5], clip[20, 5], atol=1e-3)
  others = [j for j in range(17) if j not in (3, 5)]
  middle = (clip[59, others].sum(0) + clip[20, 5]) / 16
  np.testing.assert_allclose(pose.keypoints_2d[3], middle, atol=1e-3)


@pytest.mark.parametrize(
  ("fps", "latency"), [(24, 7), (29.97, 8), (30, 8), (50, 13), (60, 16), (120, 32)]
)
def test_another_rate_gives_the_poses_of_the_clip(weights, clip, fps, latency):
  at_50 = dataclasses.replace(weights, info=weights.info | dict(fps=50.0))
  stream, found = streamed(at_50, clip, range(60), fps=fps)
  assert stream.latency == latency  # as long as 13 frames of 50 a second
  assert [pose.frame for pose in found] == list(range(60 - latency))
  whole = lifting.lift(clip, image_size=SIZE, weights=at_50, fps=fps).joints_3d
  joints = np.stack([pose.joints_3d for pose in found])
  np.testing.assert_allclose(joints, whole[: len(joints)], atol=2e-5)
  np.testing.assert_allclose(found[20].keypoints_2d, clip[20], atol=1e-3)
  assert len(stream._past) <= 2 * (2 * latency + 1) + 1


def test_causal_weights_have_no_delay_at_any_rate(causal, clip):
  model = dataclasses.replace(causal, info=causal.info | dict(fps=50.0))
  taken = [i for i in range(60) if i % 3 != 1]
  stream, found = streamed(model, clip, taken, fps=30)
  assert stream.latency == 0
  gapped = clip.copy()
  gapped[1::3] = 0
  for pose in found[::7]:
    part = gapped[: pose.frame + 1]
    whole = lifting.lift(part, image_size=SIZE, weights=model, fps=30)
    np.testing.assert_allclose(pose.joints_3d, whole[-1], atol=2e-5)


def test_memory_does_not_grow(weights, clip):
  stream = lifting.LiftStream(weights, image_size=SIZE)
  for i in range(300):
    stream.push(clip[i % 60])
  assert len(stream._past) <= 2 * 27 + 1


def test_nothing_comes_before_somebody_is_seen_and_a_reset_begins_anew(weights, clip):
  stream = lifting.LiftStream(weights, image_size=SIZE)
  assert all(stream.push(None) is None for _ in range(40))
  assert stream.push(clip[0]).frame == 27
  stream.reset()
  assert all(stream.push(clip[i]) is None for i in range(13))
  assert stream.push(clip[13]).frame == 0


def test_bad_input_is_told_in_a_sentence(weights, clip):
  stream = lifting.LiftStream(weights, image_size=SIZE)
  with pytest.raises(
    ValueError, match=r"got a frame of shape \(16, 2\), expected \(17"
  ):
    stream.push(clip[0, :16])
  stream.push(clip[0], frame=7)
  with pytest.raises(
    ValueError, match="got the frame 7 after frame 7, expected a later"
  ):
    stream.push(clip[0], frame=7)
  with pytest.raises(ValueError, match="got fps=0, expected frames per second"):
    lifting.LiftStream(weights, image_size=SIZE, fps=0)
  with pytest.raises(ValueError, match="got weights of the model 'glot', expected"):
    lifting.LiftStream(small_glot.weights(), image_size=SIZE)
