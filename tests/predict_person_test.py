import dataclasses

import numpy as np
import pytest

from jaxpose.geometry import cameras
from jaxpose.motion import smoothing
from jaxpose.predict import person as predict_person
from jaxpose.weights import pretrained
from tests import small_video


@pytest.fixture(scope="module")
def scene(tiny_data_dir, tmp_path_factory):
  return small_video.scene(tiny_data_dir, tmp_path_factory.mktemp("scene"))


CLIP = predict_person.Clip(50.0, small_video.SIZE, 575.0)


def lift(track, clip=CLIP, **options):
  return predict_person.lift(track, clip, weights="gla_gcn_cmu_27", **options)


def test_joints_project_to_their_keypoints(scene):
  person = lift(small_video.track(scene.pixels), smooth="none")
  seen = cameras.project(np.float64(person.joints_3d), person.camera.intrinsics)
  # In the world it is the same camera, before the frames are settled on the floor.
  away = np.linalg.norm(seen - scene.pixels, axis=-1)
  tall = np.ptp(scene.pixels[..., 1], axis=1).mean()
  assert np.median(away) < 0.05 * tall
  camera, world = person.camera, person.world
  back = cameras.world_to_camera(
    world.joints_3d - world.settled[:, None, None] * [0, 0, 1],
    camera.rotation,
    camera.position,
  )
  np.testing.assert_allclose(back, person.joints_3d, atol=1e-4)


def test_the_lifter_sees_the_video_at_the_rate_of_its_training(scene):
  weights = pretrained.load("gla_gcn_cmu_27")
  assert weights.fps == 50.0
  info = {key: value for key, value in weights.info.items() if key != "fps"}
  without = dataclasses.replace(weights, info=info)
  track = small_video.track(scene.pixels)

  def poses(step, fps, model=weights):
    some = dataclasses.replace(
      track,
      frames=track.frames[::step] // step,
      keypoints=track.keypoints[::step],
      confidence=track.confidence[::step],
    )
    clip = CLIP._replace(fps=fps)
    found = predict_person.lift(some, clip, weights=model, smooth="none", world=False)
    return found.joints_3d - found.joints_3d[:, :1]

  whole, unknown = poses(1, 50.0), poses(2, 25.0, without)
  away = [np.abs(x - whole[::2]).mean() for x in (poses(2, 25.0), unknown)]
  assert away[0] < 0.5 * away[1]


def test_smoothing_calms_poses_and_path_and_says_how_much(scene):
  noise = np.random.default_rng(0).normal(size=scene.pixels.shape)
  track = small_video.track(scene.pixels + noise)
  raw = lift(track, smooth="none")
  rough = smoothing.acceleration(raw.joints_3d, 50.0)
  for method in predict_person.SMOOTHINGS[:-1]:
    person = lift(track, smooth=method)
    assert smoothing.acceleration(person.joints_3d, 50.0) < 0.5 * rough
    assert person.report.count("before smoothing") == 2
  assert raw.report.count("not smoothed") == 2


def test_a_straight_walk_keeps_its_place_under_smoothing():
  path = np.linspace([0.5, 0.1, 3.0], [-0.5, 0.1, 6.0], 60)
  moved, _ = predict_person._smoothed_path(path, 50.0, "savgol")
  np.testing.assert_allclose(moved, path, atol=0.01)


def test_frames_between_are_filled_and_not_valid_if_they_are_many(scene):
  whole = small_video.track(scene.pixels)
  seen = np.r_[0:5, 19:24]
  track = dataclasses.replace(
    whole,
    frames=whole.frames[seen] + 7,
    keypoints=whole.keypoints[seen],
    confidence=whole.confidence[seen],
  )
  person = lift(track)
  np.testing.assert_array_equal(person.frames, np.arange(7, 31))
  assert "Frame 0 of the files is frame 7 of the video." in person.report
  assert np.isnan(person.keypoints_2d[5:19]).all()
  np.testing.assert_array_equal(~person.valid, np.isin(np.arange(24), np.r_[5:19]))


def test_without_a_world_one_looks_from_a_level_camera(scene):
  person = lift(small_video.track(scene.pixels), world=False)
  assert person.world is None
  upright = person.upright()
  assert upright[..., 2].min() == pytest.approx(0)
  np.testing.assert_allclose(upright[0, 0, :2], 0, atol=1e-9)
  height = upright[..., 2].mean(0)
  joint = person.skeleton.index
  assert height[joint("head")] > height[joint("hip")] > height[joint("left_foot")]


def test_what_cannot_be_placed_stays_before_the_camera(scene, monkeypatch):
  def refuse(*args, **kwargs):
    raise ValueError("got no floor.")

  monkeypatch.setattr(predict_person.placing, "place", refuse)
  person = lift(small_video.track(scene.pixels))
  assert person.world is None
  assert (
    "Not placed upright on the ground, but left before the camera: got no floor."
    in (person.report)
  )


def test_keypoints_of_no_skeleton_are_refused(scene):
  track = small_video.track(scene.pixels, skeleton="")
  with pytest.raises(
    ValueError, match="got keypoints without names, expected those of"
  ):
    lift(track)
