import numpy as np
import pytest

from jaxpose.data import pose_data
from jaxpose.data import view_data
from jaxpose.geometry import cameras
from tests import multiview_records_test as small

SIZE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  where = tmp_path_factory.mktemp("multiview")
  return pose_data.prepare("synthetic_multiview", builder_config="tiny", data_dir=where)


@pytest.fixture(scope="module")
def clips(folder):
  return view_data.load(folder, "train", size=SIZE)


def project(batch):
  """World joints in the pixels of every crop."""
  b, t, v = batch["view_mask"].shape
  joints = np.broadcast_to(batch["joints_3d"][:, :, None], (b, t, v, 17, 3))
  seen = cameras.world_to_camera(
    joints, batch["camera_rotation"][:, None], batch["camera_position"][:, None]
  )
  return cameras.project(seen, batch["intrinsics"])


def ragged():
  """Two clips: 3 frames of 1 view, and 5 frames of 2 views whose second is missing."""
  missing = np.ones((5, 2), bool)
  missing[:, 1] = False
  records = [small.record(3, 1), small.record(5, 2, view_valid=missing)]
  return view_data.from_records(records, 8)


def test_people_fill_their_crops(clips):
  points = clips.clips["keypoints_2d"]
  assert clips.clips["visible"].mean() > 0.4
  height = np.ptp(points[..., 1], axis=-1)
  assert 0.4 * SIZE < np.median(height) < 0.9 * SIZE


def test_clips_of_other_lengths_and_rigs_are_filled_up_and_masked():
  found = ragged()
  np.testing.assert_array_equal(found.lengths, [3, 5])
  assert found.num_views == 2
  mask = found.clips["view_mask"]
  np.testing.assert_array_equal(mask[0, :, 0], [True, True, True, False, False])
  assert not mask[:, :, 1].any()
  rotation = found.clips["camera_rotation"]
  np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-6)
  assert (found.clips["intrinsics"][..., :2] > 0).all()
  assert not found.clips["images"][1, :, 1].any()


def test_no_such_split_is_refused(folder):
  with pytest.raises(ValueError, match="has no split 'dev'; it has"):
    view_data.load(folder, "dev", size=8)


def test_no_records_are_refused():
  with pytest.raises(ValueError, match="got 0 records of the skeletons"):
    view_data.from_records([], 8)
