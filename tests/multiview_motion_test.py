import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import pose_data
from jaxpose.data import view_motion
from jaxpose.data import view_transforms
from jaxpose.data import view_windows
from tests import small_data
from tests.multiview_data_test import project

SIZE = 32


def clips(lengths=(40, 23), **options):
  records = small_data.records(lengths, num_cameras=3)
  return view_motion.from_records(records, **dict(frames=4, size=SIZE) | options)


def test_clips_are_the_motion_in_the_world_seen_by_all_its_cameras():
  found = clips((12, 7))
  assert found.num_views == 3
  assert found.clips["images"].nbytes == 0
  np.testing.assert_array_equal(found.lengths, [12, 7])
  np.testing.assert_allclose(
    found.clips["joints_3d"][0, :12], small_data.motion(12, 0), atol=1e-4
  )
  assert [s.action for s in found.sources] == ["walk", "sit"]
  order = view_windows.TrainingOrder(found, 4, frames=4)
  batch = view_windows.gather(found.clips, order(0), 4)
  seen = np.where(batch["keypoints_valid"][..., None], project(batch), 0)
  np.testing.assert_allclose(seen, batch["keypoints_2d"], atol=2e-3)
  assert batch["keypoints_valid"].mean() > 0.9


def test_every_frame_is_in_one_clip_in_some_phase_of_the_stride():
  found = clips((40, 23), stride=3)
  seen = np.concatenate(
    [
      clip[mask][:, 0, 0]
      for clip, mask in zip(
        found.clips["joints_3d"], found.clips["frame_mask"], strict=True
      )
    ]
  )
  world = np.concatenate([small_data.motion(40, 0), small_data.motion(23, 1)])[:, 0, 0]
  np.testing.assert_allclose(np.sort(seen), np.sort(world), atol=1e-4)
  assert {s.fps for s in found.sources} == {50 / 3}


@pytest.mark.parametrize("said", [True, False])
def test_records_without_cameras_are_refused(said):
  records = small_data.records((12, 9), num_cameras=2)
  for record in records:
    if said:
      record["has_camera"] = False
    else:
      del record["camera_rotation"]
  message = "got records without their cameras, expected camera_rotation, camera_posi"
  with pytest.raises(ValueError, match=message):
    view_motion.from_records(records, frames=4)


def test_people_fill_their_crops_and_augmentations_keep_the_cameras():
  import jax

  found = clips()
  order = view_windows.TrainingOrder(found, 8, frames=4)
  batch = view_windows.gather(found.clips, order(0), 4)
  height = np.ptp(batch["keypoints_2d"], axis=-2).max(-1)[batch["view_mask"]]
  np.testing.assert_allclose(height, SIZE / 1.25 / view_motion.SURFACE, rtol=1e-3)
  changes = view_transforms.Augmentation(True, True, 0.2, 0.1)
  skeleton = skeletons.get("h36m17")
  batch = jax.tree.map(jax.numpy.asarray, batch)
  changed = view_transforms.augment(jax.random.key(0), batch, skeleton, changes)
  changed = jax.tree.map(np.asarray, changed)
  seen = project(changed)
  valid = changed["keypoints_valid"]
  np.testing.assert_allclose(seen[valid], changed["keypoints_2d"][valid], atol=2e-3)


def test_motion_that_is_too_short_is_refused():
  with pytest.raises(ValueError, match="no motion of 9 frames with a stride of 5, exp"):
    clips(frames=9, stride=5)


def test_cameras_of_other_frames_are_refused():
  records = small_data.records((12, 7))
  records[0]["sequence"] = records[3]["sequence"]
  with pytest.raises(ValueError, match="got cameras with 7 and 12 frames, expected"):
    view_motion.from_records(records, frames=4)


def test_mixed_skeletons_are_refused():
  records = small_data.records((12, 7))
  records[0]["skeleton"] = "coco17"
  with pytest.raises(ValueError, match=r"skeletons \['coco17', 'h36m17'\], expected"):
    view_motion.from_records(records, frames=4)


def test_no_such_split_is_refused(tiny_data_dir):
  folder = pose_data.prepare(
    "synthetic_motion", builder_config="tiny", data_dir=tiny_data_dir
  )
  with pytest.raises(ValueError, match="has no split 'dev'; it has"):
    view_motion.load(folder, "dev", frames=4)
