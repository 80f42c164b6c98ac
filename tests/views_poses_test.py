"""One person in several views to poses, without and with a network."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxpose import models
from jaxpose import skeletons
from jaxpose.models import multiview
from jaxpose.predict import rig_poses
from jaxpose.weights import pretrained
from tests import small_views

H36M = skeletons.get("h36m17")


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
  return small_views.opened(small_views.scene(tmp_path_factory.mktemp("views")))


@pytest.fixture(scope="module")
def model():
  fields = dict(variant="tiny", lifter_width=16)
  module = models.build("multiview_lifter", **fields)
  example = multiview.example(module, 4)
  example = {k: jax.numpy.zeros(a.shape, a.dtype) for k, a in example.items()}
  variables = jax.tree.map(np.asarray, module.init(jax.random.key(0), **example))
  return pretrained.make(
    dict(name="multiview_lifter", **fields),
    variables,
    skeleton="h36m17",
    window=4,
    inputs=rig_poses._INPUTS,
    info=dict(fps=12.5),
  )


@pytest.mark.parametrize("method", ["ransac", "dlt"])
def test_exact_keypoints_give_the_poses(rig, method):
  joints = small_views.walker()
  found = rig_poses.view_poses(
    small_views.person(joints, rig), rig, method, smooth="none"
  )
  np.testing.assert_allclose(found.joints_3d, joints, atol=1e-3)
  assert found.valid.all()
  assert found.used.all()
  assert "No keypoint was missing" in found.report
  assert "cam0 0.0, cam1 0.0, cam2 0.0, cam3 0.0" in found.report


def test_ransac_leaves_out_a_view_with_its_sides_exchanged(rig):
  joints = small_views.walker()
  person = small_views.person(joints, rig)
  person.pixels[3:6, 1] = person.pixels[3:6, 1][:, H36M.mirror]
  found = rig_poses.view_poses(person, rig, "ransac", smooth="none")
  np.testing.assert_allclose(found.joints_3d, joints, atol=1e-3)
  assert "other views do not agree with them: cam0 0.0%, cam1" in found.report
  plain = rig_poses.view_poses(person, rig, "dlt", smooth="none")
  assert np.abs(plain.joints_3d - joints)[3:6].max() > 0.03


def test_what_half_of_the_views_say_is_no_majority(rig):
  joints = small_views.walker()
  person = small_views.person(joints, rig)
  person.pixels[5, :2, 3] += [[25, 25], [-25, 25]]
  found = rig_poses.view_poses(person, rig, "ransac", smooth="none")
  assert np.isnan(found.raw[5, 3]).all()
  assert np.isfinite(found.joints_3d).all()  # put on the line between its neighbours
  np.testing.assert_allclose(found.joints_3d[5, 3], joints[5, 3], atol=0.02)


def test_frames_in_long_gaps_are_not_valid(rig, monkeypatch):
  monkeypatch.setattr(rig_poses, "MAX_GAP", 3)
  person = small_views.person(small_views.walker(), rig)
  person.confidence[2:8, 1:] = 0
  found = rig_poses.view_poses(person, rig, "ransac")
  np.testing.assert_array_equal(np.flatnonzero(~found.valid), np.arange(2, 8))
  assert "not valid: 2-7" in found.report


def test_a_joint_that_two_views_never_see_is_told(rig):
  person = small_views.person(small_views.walker(), rig)
  person.confidence[:, 1:, 3] = 0
  with pytest.raises(
    ValueError, match=r"person 0: got no frame .* agree on right_foot"
  ):
    rig_poses.view_poses(person, rig, "ransac")


def test_smoothing_makes_noise_less(rig):
  joints = small_views.walker()
  person = small_views.person(joints, rig, 1.0)
  rough, fine = (
    rig_poses.view_poses(person, rig, "dlt", smooth=s).joints_3d
    for s in ("none", "savgol")
  )
  error = [np.linalg.norm(x - joints, axis=-1).mean() for x in (rough, fine)]
  assert error[1] < error[0]


def test_a_lifter_stands_where_the_person_does(rig, model):
  joints = small_views.walker()
  found = rig_poses.view_poses(
    small_views.person(joints, rig), rig, "lifter", weights=model, smooth="none"
  )
  assert found.joints_3d.shape == joints.shape
  middle = found.joints_3d.mean(1) - joints.mean(1)
  assert np.linalg.norm(middle, axis=-1).max() < 0.5


def test_a_view_that_sees_nothing_changes_nothing(rig, model):
  person = small_views.person(small_views.walker(), rig)
  person.confidence[:, 3] = 0
  all_views, _ = rig_poses.lift_views(person, rig, model)
  fewer = rig._replace(
    names=rig.names[:3], sources=rig.sources[:3], lenses=rig.lenses[:3]
  )
  three, _ = rig_poses.lift_views(
    person._replace(pixels=person.pixels[:, :3], confidence=person.confidence[:, :3]),
    fewer,
    model,
  )
  np.testing.assert_allclose(all_views, three, atol=2e-4)


def test_the_order_of_the_views_does_not_matter(rig, model):
  person = small_views.person(small_views.walker(), rig, 0.5)
  order = [2, 0, 3, 1]
  mixed = rig._replace(
    names=[rig.names[v] for v in order],
    sources=[rig.sources[v] for v in order],
    lenses=[rig.lenses[v] for v in order],
  )
  other = person._replace(
    pixels=person.pixels[:, order], confidence=person.confidence[:, order]
  )
  one, _ = rig_poses.lift_views(person, rig, model)
  two, _ = rig_poses.lift_views(other, mixed, model)
  np.testing.assert_allclose(one, two, atol=2e-4)


def test_batches_do_not_matter(rig, model, monkeypatch):
  person = small_views.person(small_views.walker(), rig, 0.5)
  one, _ = rig_poses.lift_views(person, rig, model)
  monkeypatch.setattr(rig_poses, "_BATCH", 2)
  two, _ = rig_poses.lift_views(person, rig, model)
  np.testing.assert_allclose(one, two, atol=2e-4)


@pytest.mark.parametrize("fps", [24, 30, 120])
def test_another_rate_gives_the_poses_of_the_rate_of_training(rig, model, fps):
  def lifted(rate, said):
    filmed = rig._replace(fps=float(said), count=5 * rate // 2 + 1)
    person = small_views.person(
      small_views.walker((-1.0, 0.0), filmed.count, rate), filmed
    )
    found, _ = rig_poses.lift_views(person, filmed, model)
    return found[:: rate // 2] - found[:: rate // 2, :1]

  # Poses at every half second; 12.5 frames/s are seen, in every phase of 50.
  want, found, as_it_is = lifted(50, 50), lifted(fps, fps), lifted(fps, 12.5)
  away, before = (np.abs(poses - want).mean() for poses in (found, as_it_is))
  assert away < 0.2 * before


def test_the_rate_of_training_is_that_of_the_weights(rig, model):
  person = small_views.person(small_views.walker(), rig)
  at_25 = dataclasses.replace(model, info=dict(fps=25.0))
  found, _ = rig_poses.lift_views(person, rig, at_25)
  same, _ = rig_poses.lift_views(person, rig._replace(fps=rig_poses.RATE), model)
  np.testing.assert_array_equal(found, same)


def test_frames_in_which_nobody_is_seen_are_nan(rig, model):
  person = small_views.person(small_views.walker(), rig)
  person.confidence[4] = 0
  found, _ = rig_poses.lift_views(person, rig, model)
  np.testing.assert_array_equal(np.isnan(found).all((1, 2)), np.arange(15) == 4)


def test_weights_of_other_models_are_refused(model):
  with pytest.raises(ValueError, match="weights of the model 'gla_gcn', expected"):
    rig_poses.loaded_lifter("gla_gcn_cmu_27")
  other = dataclasses.replace(model, inputs=("keypoints_2d",))
  with pytest.raises(ValueError, match="inputs keypoints_2d, expected keypoints_input"):
    rig_poses.loaded_lifter(other)
