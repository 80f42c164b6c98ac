import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import view_records
from jaxpose.geometry import cameras

SKELETON = skeletons.get("h36m17")


def rig(views=2, **changes):
  position = np.array([0.0, -4, 1])
  intrinsics = np.array([50.0, 50, 16, 12, 0, 0, 0, 0, 0])
  camera = cameras.Camera(
    cameras.look_at(position, np.array([0.0, 0, 1])),
    position,
    changes.get("intrinsics", intrinsics),
    (32, 24),
  )
  return [camera] * views


def record(t=2, v=2, **changes):
  """A record of grey pictures."""
  picture = view_records.encode(np.full((24, 32, 3), 90, np.uint8))
  arguments = dict(
    images=[picture] * (t * v),
    rig=rig(v),
    boxes=np.tile([16.0, 12, 32, 24], (t, v, 1)),
    frame_ids=np.arange(t),
    fps=25.0,
    skeleton=SKELETON,
    sequence="walk",
  )
  return view_records.record(**(arguments | changes))


def test_what_is_not_known_is_zero_and_marked():
  joints = np.ones((2, 17, 3))
  joints[1, 3] = np.nan
  found = record(joints_3d=joints)
  assert not found["joints_valid"][1, 3]
  assert found["joints_valid"].sum() == 33
  assert np.isfinite(found["joints_3d"]).all()
  assert not found["keypoints_valid"].any()
  assert not found["visible"].any()
  assert found["view_valid"].all()


def test_keypoints_are_all_known_and_seen_unless_said():
  points = np.zeros((2, 2, 17, 2))
  assert record(keypoints_2d=points)["visible"].all()
  valid = np.ones((2, 2, 17), bool)
  valid[0, 1, 2] = False
  found = record(keypoints_2d=points, keypoints_valid=valid)
  np.testing.assert_array_equal(found["visible"], valid)


def test_keys_are_those_of_the_features():
  assert set(record()) == set(view_records.features(SKELETON))


def test_pictures_come_back_nearly_as_they_were():
  y, x = np.mgrid[:48, :64]
  image = np.stack([3 * x, 4 * y, 128 + 0 * x], -1).astype(np.uint8)
  again = np.asarray(view_records.decode(view_records.encode(image)))
  np.testing.assert_allclose(again.astype(int), image.astype(int), atol=8)


def test_bytes_that_are_no_picture_are_refused():
  with pytest.raises(ValueError, match="got 5 bytes that are no picture"):
    view_records.decode(b"hello")


def test_shapes_that_do_not_fit_are_refused():
  with pytest.raises(
    ValueError, match=r"'walk': got boxes of shape \(2, 1, 4\), expec"
  ):
    record(boxes=np.ones((2, 1, 4)))


def test_pictures_that_are_missing_are_refused():
  with pytest.raises(ValueError, match="got 3 pictures, expected 2 frames of 2 views"):
    record(images=[b""] * 3)


def test_distorted_pictures_are_refused():
  bent = np.array([50.0, 50, 16, 12, 0.1, 0, 0, 0, 0])
  with pytest.raises(ValueError, match="got a lens with distortion, expected"):
    record(rig=rig(intrinsics=bent))


@pytest.mark.parametrize("box", [[16, 12, 0, 4], [np.nan, 12, 4, 4]])
def test_boxes_without_area_are_refused(box):
  with pytest.raises(ValueError, match="got a box without area, expected finite"):
    record(boxes=np.tile(np.array(box, float), (2, 2, 1)))
