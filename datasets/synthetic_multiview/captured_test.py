"""What the clips of captured motion promise, on cmu_mocap's dummy takes."""

import numpy as np
import pytest
from PIL import Image

from jaxpose.geometry import cameras
from synthetic_multiview import captured
from synthetic_multiview import filming
from synthetic_multiview import outfits
from synthetic_multiview import person
from synthetic_multiview import photographs
from synthetic_multiview import scene as scenes
from synthetic_multiview.siblings import motion
from tests import builder_testing

TAKES = builder_testing.DATASETS / "cmu_mocap" / "dummy_data"
H36M = captured.SKELETON


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data")
  builder_testing.build_and_read("cmu_mocap", folder, TAKES)
  return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
  """A folder with two photographs."""
  folder = tmp_path_factory.mktemp("photographs")
  rng = np.random.default_rng(0)
  for name in ("a.jpg", "b.png"):
    pixels = rng.integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
  return folder


@pytest.fixture(scope="module")
def splits(data_dir, raw):
  return builder_testing.build_and_read(
    "synthetic_multiview", data_dir, raw, config="cmu_tiny"
  )


def joint(joints, name):
  return joints[..., H36M.index(name), :]


def test_splits_are_those_of_the_motion(splits, data_dir):
  assert {k: len(v) for k, v in splits.items()} == {
    "train": 4,
    "validation": 2,
    "test": 2,
  }
  for split, records in splits.items():
    known = {m.subject for m in captured.read(data_dir, split)}
    assert {builder_testing.text(r, "subject") for r in records} <= known


def test_records_have_the_promised_shapes(splits):
  for record in (r for found in splits.values() for r in found):
    assert record["joints_3d"].shape == (4, 17, 3)
    assert record["keypoints_2d"].shape == (4, 3, 17, 2)
    assert float(record["fps"]) == 12.5
    seen = cameras.world_to_camera(
      np.broadcast_to(record["joints_3d"][:, None], (4, 3, 17, 3)),
      record["camera_rotation"][None],
      record["camera_position"][None],
    )
    pixels = cameras.project(seen, record["intrinsics"][None])
    np.testing.assert_allclose(pixels, record["keypoints_2d"], atol=1e-3)


def test_test_people_are_filmed_as_they_are(splits, data_dir):
  takes = {m.name: m for m in captured.read(data_dir, "test")}
  for record in splits["test"]:
    take = takes[builder_testing.text(record, "sequence").partition("_")[2][6:]]
    own = take.joints[np.asarray(record["frame_ids"])]
    own = own - own[:, :1].mean(0) * [1, 1, 0]
    np.testing.assert_allclose(own, record["joints_3d"], atol=1e-4)


def test_feet_are_on_the_floor(data_dir, splits):
  for split, records in splits.items():
    for take in captured.read(data_dir, split):
      feet = take.joints[:, [H36M.index("left_foot"), H36M.index("right_foot")], 2]
      assert 0.02 < np.percentile(feet.min(1), 5) < 0.12
      assert 1.4 < take.height < 2.0
    for record in records:
      assert record["joints_3d"][..., 2].min() > -0.05


def test_windows_are_drawn_from_all_takes(data_dir):
  motions = captured.read(data_dir, "train")
  rng = np.random.default_rng(0)
  found = captured.windows(rng, motions, 40, frames=4, stride=4)
  assert {w.name for w in found} == {m.name for m in motions}
  assert len({(w.name, w.start) for w in found}) > 20
  for window in found:
    np.testing.assert_allclose(window.joints[:, 0, :2].mean(0), 0, atol=1e-5)
  with pytest.raises(ValueError, match="got 80 frames with a stride of 4, which span"):
    captured.windows(rng, motions, 2, frames=80, stride=4)


def test_other_people_keep_their_feet_where_they_were(data_dir):
  motions = captured.read(data_dir, "train")
  found = captured.windows(np.random.default_rng(0), motions, 32, 4, 4)
  changed = captured.varied(0, found)
  assert np.std([w.height for w in changed]) > 0.05
  for one, other in zip(found, changed, strict=True):
    feet = [
      w.joints[:, [3, 6], 2].min() - captured.ANKLE * w.height / 1.7
      for w in (one, other)
    ]
    assert feet[0] == pytest.approx(feet[1], abs=1e-3)


def test_motion_that_is_not_built_is_asked_for(tmp_path):
  (tmp_path / "raw").mkdir()
  Image.new("RGB", (9, 9)).save(tmp_path / "raw" / "a.jpg")
  builder_testing.refused(
    "synthetic_multiview",
    tmp_path,
    r"got no cmu_mocap/default/2\.0\.0 in .*; build it first, with python",
    config="cmu_tiny",
  )


def test_a_folder_without_photographs_is_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  builder_testing.refused(
    "synthetic_multiview", tmp_path, "got no photograph, expected", config="cmu_tiny"
  )


def test_what_is_no_picture_is_refused(tmp_path):
  path = tmp_path / "a.jpg"
  path.write_text("none")
  with pytest.raises(ValueError, match=r"a\.jpg: got a file that cannot be read as a"):
    photographs.read(path)


def test_noses_are_where_joints_say():
  subject = motion.sample_subject(0, "S01")
  joints = motion.clip(subject, "walking", 0, (90, 115))[:20:5]
  # Nose and crown of somebody who looks to the right.
  head = joint(joints, "head")
  right = joint(joints, "right_shoulder") - joint(joints, "left_shoulder")
  right[:, 2] = 0
  right /= np.linalg.norm(right, axis=-1, keepdims=True)
  joints[:, H36M.index("neck")] = head + 0.12 * right
  joints[:, H36M.index("head")] = head + np.array([0, 0, 0.13])
  figure = person.Figure(height=subject.body.height, nose=True)
  points, _ = person.mesh(joints, figure)
  surface = points[:, person.SLICES["head"]]
  for name, most in (("neck", 0.035), ("head", 0.05)):
    gap = np.linalg.norm(surface - joint(joints, name)[:, None], axis=-1).min(1)
    assert gap.max() < most
  ahead = ((surface - surface.mean(1, keepdims=True)) * right[:, None]).sum(-1)
  assert (ahead.max(1) > 0.1).all()


def test_shirts_tell_nothing_where_they_are_not_to():
  torso = person.SLICES["torso"]
  rings, segments = person.GRIDS["torso"]
  brighter = {True: 0, False: 0}
  for fronts in brighter:
    for seed in range(30):
      rng = np.random.default_rng(seed)
      colors = outfits.sample_colors(rng, fronts=fronts)[torso]
      ring = colors.reshape(rings, segments, 3)[person.WAIST + 3 :].mean((0, 2))
      front, back = ring[segments // 4], ring[3 * segments // 4]
      brighter[fronts] += front > back + 0.15
  assert brighter[True] > 25
  assert brighter[False] < 10


def test_photographs_are_seen_on_walls_and_floors(raw):
  files = photographs.find(raw)
  rng = np.random.default_rng(0)
  places = [scenes.sample(rng, 4.0, None, highest=3.4, files=files) for _ in range(60)]
  assert 25 < sum(place.backdrop is not None for place in places) < 55
  assert 8 < sum(place.ground is not None for place in places) < 34
  assert min(place.room[2] for place in places) >= 3.69
  red = np.zeros((4, 6, 3), np.float32) + np.float32([1, 0, 0])
  place = next(p for p in places if p.backdrop is not None and p.ground is not None)
  object.__setattr__(place, "backdrop", red)
  object.__setattr__(place, "ground", red)
  object.__setattr__(place, "panels", np.zeros((0, 8)))
  joints = motion.clip(motion.sample_subject(0, "S01"), "walking", 0, (90, 115))[:1]
  rig = filming.sample_wide_rig(rng, joints, 3, 32)
  still, _ = scenes.film(place, rig, 1)
  assert (still.color[..., 0] > 2 * still.color[..., 1]).mean() > 0.7


def test_photographs_go_on_mirrored():
  picture = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
  u = np.array([0.2, 0.8, 1.2, 1.8, 2.2, -0.2])
  found = photographs.look_up(picture, u, np.full(6, 0.2))[:, 0]
  np.testing.assert_array_equal(found, [0, 3, 3, 0, 0, 0])


def test_wide_rigs_see_the_person_from_many_places():
  rng = np.random.default_rng(0)
  joints = motion.clip(motion.sample_subject(0, "S01"), "walking", 0, (90, 115))[:9:4]
  rigs = [filming.sample_wide_rig(rng, joints, 4, 64) for _ in range(40)]
  flat = [camera for rig in rigs for camera in rig]
  heights = np.array([camera.position[2] for camera in flat])
  assert heights.min() < 0.6 < 3.2 < heights.max()
  middle = joints.reshape(-1, 3).mean(0)
  ahead = np.array([camera.rotation @ (middle - camera.position) for camera in flat])
  assert (ahead[:, 2] > 1.8).all()
  pixels = [
    cameras.project(
      cameras.world_to_camera(joints.reshape(-1, 3), c.rotation, c.position),
      c.intrinsics,
    )
    for c in flat
  ]
  whole = [((p > -0.5) & (p < 63.5)).all() for p in pixels]
  assert np.mean(whole) > 0.75
