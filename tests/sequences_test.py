import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import sequences
from jaxpose.geometry import cameras

H36M = skeletons.get("h36m17")
LABELS = dict(fps=50.0, sequence="07_01", subject="07", action="walk")


def motion(t=6):
  rng = np.random.default_rng(0)
  body = rng.uniform([-0.3, -0.3, 0], [0.3, 0.3, 1.8], size=(1, 17, 3))
  body[:, 0] = [0, 0, 0.95]
  path = np.linspace([0, 0, 0], [1, 0.5, 0], t)[:, None]
  return (body + path).astype(np.float32)


def filmed(joints):
  rng = sequences.clip_rng(0, "07_01")
  return dict(sequences.film(joints, rng, skeleton=H36M, **LABELS))


def test_film_makes_one_record_per_camera_of_a_ring():
  records = filmed(motion())
  assert list(records) == [f"07_01_camera{i}" for i in range(4)]
  assert {r["camera"] for r in records.values()} == {"0", "1", "2", "3"}
  assert {r["sequence"] for r in records.values()} == {"07_01"}


def test_a_record_has_the_keys_and_kinds_of_the_features():
  pytest.importorskip("tensorflow_datasets")
  record = filmed(motion())["07_01_camera1"]
  features = sequences.features(H36M)
  assert set(record) == set(features)
  for key, feature in features.items():
    if hasattr(feature, "np_dtype") and isinstance(record[key], np.ndarray):
      assert record[key].dtype == feature.np_dtype, key
      assert len(record[key].shape) == len(feature.shape), key
      for got, said in zip(record[key].shape, feature.shape, strict=True):
        assert said in (None, got), key


def test_a_record_is_consistent_with_its_camera():
  joints = motion()
  for record in filmed(joints).values():
    rotation, position = record["camera_rotation"], record["camera_position"]
    world = cameras.camera_to_world(record["joints_3d"], rotation, position)
    np.testing.assert_allclose(world, joints, atol=1e-5)
    pixels = cameras.project(record["joints_3d"], record["intrinsics"])
    np.testing.assert_allclose(record["keypoints_2d"], pixels, atol=1e-2)
    assert record["frame_valid"].all()
    # The head is above the feet in the image: y points down.
    assert record["joints_3d"].dtype == record["keypoints_2d"].dtype == np.float32


def test_frames_out_of_view_are_marked_not_dropped():
  joints = motion()
  joints[2] += 100
  joints[4, 10, 2] += 8
  for record in filmed(joints - joints.mean((0, 1)) + [0, 0, 1]).values():
    assert len(record["keypoints_2d"]) == len(record["frame_valid"]) == 6
  camera = cameras.camera_ring(np.random.default_rng(0), np.asarray([0.5, 0.2, 0.9]))[0]
  record = sequences.record(joints, camera, skeleton=H36M, **LABELS)
  np.testing.assert_array_equal(record["frame_valid"], [1, 1, 0, 1, 0, 1])
  assert np.isfinite(record["keypoints_2d"]).all()


def test_clip_rng_depends_on_the_seed_and_the_names_only():
  def draw(*args):
    return sequences.clip_rng(*args).random()

  assert draw(0, "07", 1) == draw(0, "07", 1)
  draws = {draw(0, "07", 1), draw(1, "07", 1), draw(0, "08", 1), draw(0, "07", 2)}
  assert len(draws) == 4


def call_record(joints):
  camera = cameras.camera_ring(np.random.default_rng(0), np.zeros(3))[0]
  record = getattr(sequences.record, "__wrapped__", sequences.record)
  return record(joints, camera, skeleton=H36M, **LABELS)


@pytest.mark.parametrize("shape", [(6, 16, 3), (6, 17, 2), (17, 3)])
def test_wrong_shapes_are_refused(shape):
  with pytest.raises(
    ValueError, match=r"'07_01': got joints of shape .*expected \(frames"
  ):
    call_record(np.zeros(shape, np.float32))


def test_missing_joints_are_refused_with_their_count():
  joints = motion()
  joints[1, 3, 0] = np.nan
  joints[4, 2] = np.inf
  with pytest.raises(ValueError, match="'07_01': 2 of 6 frames hold NaN or infinite"):
    call_record(joints)
