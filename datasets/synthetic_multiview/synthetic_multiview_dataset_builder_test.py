"""What the rendered clips promise, on the config `tiny`."""

import dataclasses

import numpy as np
import pytest

from jaxpose.data import view_records
from jaxpose.draw import render
from jaxpose.geometry import cameras
from synthetic_multiview import filming
from synthetic_multiview import lofts
from synthetic_multiview import outfits
from synthetic_multiview import person
from synthetic_multiview import scene as scenes
from synthetic_multiview import synthetic_multiview_dataset_builder as builder
from synthetic_multiview import textures
from synthetic_multiview import things
from synthetic_multiview.siblings import motion
from tests import builder_testing

TINY = builder.Builder.builder_configs["tiny"]


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
  return builder_testing.build_and_read(
    "synthetic_multiview", tmp_path_factory.mktemp("data"), config="tiny"
  )


@pytest.fixture(scope="module")
def records(splits):
  return [record for found in splits.values() for record in found]


def pictures(record):
  """(t, v, h, w, 3) uint8."""
  t, v = record["view_valid"].shape
  decoded = [np.asarray(view_records.decode(x)) for x in record["images"]]
  return np.stack(decoded).reshape(t, v, *decoded[0].shape)


def walking():
  """(4, 17, 3) joints and the height of a person who walks."""
  subject = motion.sample_subject(0, "S01")
  joints = motion.clip(subject, "walking", 0, (90, 115))[20:52:8]
  return joints, subject.body.height


def test_splits_share_no_subject(splits):
  assert {k: len(v) for k, v in splits.items()} == {
    "train": 4,
    "validation": 2,
    "test": 2,
  }
  subjects = [
    {builder_testing.text(r, "subject") for r in found} for found in splits.values()
  ]
  assert not subjects[0] & subjects[1]
  assert not (subjects[0] | subjects[1]) & subjects[2]


def test_records_have_the_promised_shapes(records):
  for record in records:
    assert pictures(record).shape == (4, 3, 48, 48, 3)
    assert record["joints_3d"].shape == (4, 17, 3)
    assert record["keypoints_2d"].shape == (4, 3, 17, 2)
    assert record["joints_valid"].all()
    assert record["view_valid"].all()
    np.testing.assert_array_equal(np.diff(record["frame_ids"]), 4)
    assert float(record["fps"]) == 12.5


def test_joints_project_to_the_keypoints(records):
  for record in records:
    seen = cameras.world_to_camera(
      np.broadcast_to(record["joints_3d"][:, None], (4, 3, 17, 3)),
      record["camera_rotation"][None],
      record["camera_position"][None],
    )
    pixels = cameras.project(seen, record["intrinsics"][None])
    np.testing.assert_allclose(pixels, record["keypoints_2d"], atol=1e-3)


def test_boxes_hold_the_visible_joints(records):
  for record in records:
    half = record["boxes"][..., 2:] / 2
    offset = np.abs(record["keypoints_2d"] - record["boxes"][..., None, :2])
    outside = (offset > half[..., None, :] + 0.5).any(-1)
    assert not (outside & record["visible"]).any()


def test_a_clip_depends_on_its_name_alone():
  one, again = (builder.make_record(TINY, "S01", "reaching") for _ in range(2))
  other = builder.make_record(TINY, "S02", "reaching")
  for key, value in one.items():
    np.testing.assert_array_equal(value, again[key])
  assert one["images"] != other["images"]


def test_the_person_is_where_the_keypoints_are():
  joints, height = walking()
  rng = np.random.default_rng(3)
  actor = filming.sample_actor(rng, joints, height)
  rig = filming.sample_rig(rng, joints, 3, 64)
  # The same place with and without the person.
  place = filming.sample_scene(rng, [actor], rig, sits=False)
  clip = filming.film(np.random.default_rng(0), [actor], rig, place)
  far = actor._replace(joints=joints - np.array([0, 0, 50.0]))
  empty = filming.film(np.random.default_rng(0), [far], rig, place)
  changed = np.abs(clip.images.astype(int) - empty.images).max(-1) > 25
  at = np.rint(clip.keypoints_2d).astype(int)
  inside = ((at >= 0) & (at < 64)).all(-1) & clip.visible
  frame, view, joint = np.nonzero(inside)
  x, y = at[inside].T
  assert len(joint) > 60
  assert changed[frame, view, y, x].mean() > 0.8  # some clothes look like the wall


def test_cameras_see_most_people_whole_and_large(records):
  inside = np.concatenate(
    [
      ((r["keypoints_2d"] > -0.5) & (r["keypoints_2d"] < 47.5)).all((-1, -2)).ravel()
      for r in records
    ]
  )
  assert inside.mean() > 0.7
  sides = np.concatenate([r["boxes"][..., 2:].max(-1).ravel() for r in records])
  assert 0.45 * 48 < np.median(sides) < 48


def film_with(found, joints, height):
  """The labels of one camera in front of a person, with things in the place."""
  rng = np.random.default_rng(0)
  actor = filming.Actor(
    joints, person.Figure(height=height), outfits.sample_colors(rng)
  )
  position = np.array([0.0, -4.0, 1.0])
  camera = cameras.Camera(
    cameras.look_at(position, np.array([0.0, 0, 1.0])),
    position,
    np.array([90.0, 90, 31.5, 31.5, 0, 0, 0, 0, 0]),
    (64, 64),
  )
  place = scenes.sample(rng, 4.0, things.join(found))
  return filming.film(rng, [actor], [camera], place)


def standing():
  """(1, 17, 3) of a person who faces the camera, its right arm behind the back."""
  height = 1.7
  place = {
    "hip": (0, 0, 0.92), "right_hip": (-0.12, 0, 0.92), "left_hip": (0.12, 0, 0.92),
    "right_knee": (-0.12, 0, 0.5), "left_knee": (0.12, 0, 0.5),
    "right_foot": (-0.12, 0, 0.08), "left_foot": (0.12, 0, 0.08),
    "spine": (0, 0, 1.15), "thorax": (0, 0, 1.39), "neck": (0, -0.03, 1.5),
    "head": (0, -0.02, 1.61), "right_shoulder": (-0.16, 0, 1.36),
    "left_shoulder": (0.16, 0, 1.36), "right_elbow": (-0.22, 0.15, 1.12),
    "right_wrist": (-0.02, 0.22, 1.05), "left_elbow": (0.24, 0, 1.1),
    "left_wrist": (0.27, -0.1, 0.86),
  }  # fmt: skip
  return np.array([[place[name] for name in person.SKELETON.joints]]), height


def test_what_the_body_hides_is_not_visible():
  clip = film_with([], *standing())
  hidden = [
    n for n, s in zip(person.SKELETON.joints, clip.visible[0, 0], strict=True) if not s
  ]
  assert hidden == ["right_wrist"]


def test_what_a_thing_hides_is_not_visible():
  joints, height = standing()
  crate = things.box([0.0, -0.8, 0.35], np.array([1.2, 0.3, 0.7]), 0.0, [0.5] * 3)
  clip = film_with([crate], joints, height)
  names = np.array(person.SKELETON.joints)
  hidden = set(names[~clip.visible[0, 0]])
  legs = {f"{s}_{part}" for s in ("left", "right") for part in ("knee", "foot")}
  assert hidden == legs | {"right_wrist"}


def test_what_is_outside_the_image_is_not_visible():
  joints, height = standing()
  clip = film_with([], joints + np.array([1.35, 0, 0]), height)
  outside = clip.keypoints_2d[0, 0, :, 0] > 63.5
  assert outside.any()
  assert not outside.all()
  assert not (clip.visible[0, 0] & outside).any()
  x, _, w, _ = clip.boxes[0, 0]
  np.testing.assert_allclose(x + w / 2, 63.5, atol=1e-4)


def test_people_are_closed_meshes_with_normals_outward():
  joints, height = walking()
  for seed in range(4):
    figure = outfits.sample_figure(np.random.default_rng(seed), height)
    points, normals = person.mesh(joints, figure)
    assert points.shape == normals.shape == (4, person.NUM_VERTICES, 3)
    assert np.isfinite(points).all()
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-3)
    for part in person.SLICES.values():
      assert signed_volume(points[0], part) > 0, part
    own = render.vertex_normals(points[0].astype(float), person.FACES)
    agree = (own * normals[0]).sum(-1)
    assert (agree > 0.5).mean() > 0.93


def signed_volume(points, part):
  """Of a part; positive if its faces are counter-clockwise seen from outside."""
  chosen = (person.FACES[:, 0] >= part.start) & (person.FACES[:, 0] < part.stop)
  a, b, c = (points[person.FACES[chosen, k]] for k in range(3))
  centre = points[part].mean(0)
  return float((np.cross(a - centre, b - centre) * (c - centre)).sum())


def test_shoes_stand_on_the_floor():
  for action in motion.ACTIONS:
    subject = motion.sample_subject(0, "S03")
    joints = motion.clip(subject, action, 0, (90, 115))
    points, _ = person.mesh(joints, person.Figure(height=subject.body.height))
    soles = points[:, person.SLICES["right_shoe"], 2].min(1)
    assert soles.min() > -0.06
    assert np.percentile(soles, 20) < 0.04


def test_people_have_different_fronts_and_backs():
  colors = outfits.sample_colors(np.random.default_rng(0))
  assert colors.shape == (person.NUM_VERTICES, 3)
  assert 0 <= colors.min()
  assert colors.max() <= 1
  head = colors[person.SLICES["head"]]
  hair = colors[person.SLICES["hair"]]
  assert np.abs(head.mean(0) - hair.mean(0)).max() > 0.1


def test_a_loft_with_equal_rings_is_a_cylinder():
  middle = np.stack([np.zeros((1, 5)), np.zeros((1, 5)), np.arange(5.0)[None]], -1)
  x, y = np.array([[1.0, 0, 0]]), np.array([[0.0, 1, 0]])
  points, normals = lofts.ellipses(middle, x, y, np.full(5, 2.0), np.full(5, 2.0), 8)
  np.testing.assert_allclose(np.linalg.norm(points[0, :, :2], axis=-1), 2)
  np.testing.assert_allclose(normals[0, :, :2], points[0, :, :2] / 2, atol=1e-9)


def test_things_are_closed_and_stay_away_from_people():
  rng = np.random.default_rng(0)
  busy = rng.normal(0, 0.2, (20, 2))
  found = things.sample(rng, busy, 12)
  assert len(found) >= 8
  for thing in found:
    gap = np.linalg.norm(thing.vertices[:, None, :2] - busy, axis=-1).min()
    assert gap > 0.05
    a, b, c = (thing.vertices[thing.faces[:, k]] for k in range(3))
    centre = thing.vertices.mean(0)
    assert (np.cross(a - centre, b - centre) * (c - centre)).sum() > 0
    assert thing.vertices[:, 2].min() > -1e-9


def test_bystanders_keep_their_distance():
  joints, _ = walking()
  moved = filming.stand_in(np.random.default_rng(0), joints, joints)
  gap = np.linalg.norm(joints[:, :, None, :2] - moved[:, None, :, :2], axis=-1)
  assert gap.min() > 0.3
  np.testing.assert_allclose(moved[..., 2], joints[..., 2])
  grid = np.stack(np.meshgrid(*[np.arange(-3, 3, 0.3)] * 2), -1).reshape(1, -1, 2)
  crowd = np.concatenate([grid, np.ones((1, grid.shape[1], 1))], -1)
  crowd[:, 0] = [0, 0, 1]  # the root
  assert filming.stand_in(np.random.default_rng(0), crowd, joints[:1]) is None


@pytest.mark.parametrize("kind", textures.KINDS)
def test_textures_have_their_two_colours(kind):
  rng = np.random.default_rng(0)
  texture = textures.sample(rng, kinds=(kind,))
  texture = dataclasses.replace(texture, noise=0 * texture.noise)
  u, v = rng.uniform(-5, 5, (2, 4000)).astype(np.float32)
  found = np.unique(textures.paint(texture, u, v), axis=0)
  expected = (
    texture.colors[:1] if kind == "plain" else np.unique(texture.colors, axis=0)
  )
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_noise_repeats_without_a_seam():
  noise = textures.sample_noise(np.random.default_rng(0))
  inside = np.abs(np.diff(noise, axis=0)).mean()
  assert np.abs(noise[0] - noise[-1]).mean() < 1.5 * inside


def test_people_cast_shadows_on_the_floor():
  joints, height = standing()
  rng = np.random.default_rng(0)
  actor = filming.Actor(
    joints, person.Figure(height=height), outfits.sample_colors(rng)
  )
  rig = filming.sample_rig(rng, joints, 1, 64)
  place = scenes.sample(rng, 5.0, None)
  points, _ = person.mesh(joints, actor.figure)
  _, floors = scenes.film(place, rig, filming.SAMPLES)
  bright, at = filming._shadows(place, points, person.FACES, floors)
  dark = np.take(bright[0], at[0]) < 0.9
  assert 0 < dark.mean() < 0.5
  # Light goes from a shadow's floor place along the lamp's direction through the body.
  floor = floors[0][dark]
  side = np.array([-place.light[1], place.light[0]])
  body = points[0, :, :2] @ side
  assert (floor @ side > body.min() - 0.15).all()
  assert (floor @ side < body.max() + 0.15).all()


@pytest.mark.parametrize("change", [dict(views=0), dict(views=9)])
def test_one_to_eight_views_are_filmed(change):
  with pytest.raises(ValueError, match=r"got [09] views, expected 1 to 8 cameras"):
    dataclasses.replace(TINY, **change)
  for views in (1, 8):
    config = dataclasses.replace(TINY, views=views, size=24, frames=1)
    assert builder.make_record(config, "S01", "jumping")["view_valid"].shape == (
      1,
      views,
    )


def test_clips_longer_than_the_motion_are_refused():
  with pytest.raises(
    ValueError, match="got 8 frames with a stride of 20, which span 141"
  ):
    dataclasses.replace(TINY, frames=8, stride=20)


def test_the_build_needs_no_tensorflow(tmp_path):
  found = builder_testing.modules_after_build(
    "synthetic_multiview", tmp_path, config="tiny"
  )
  assert not {"tensorflow", "apache_beam"} & found
