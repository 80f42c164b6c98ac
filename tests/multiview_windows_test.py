import dataclasses

import numpy as np
import pytest

from jaxpose.data import pose_data
from jaxpose.data import view_data
from jaxpose.data import view_windows
from tests.multiview_data_test import SIZE
from tests.multiview_data_test import project
from tests.multiview_data_test import ragged


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
  where = tmp_path_factory.mktemp("multiview")
  folder = pose_data.prepare(
    "synthetic_multiview", builder_config="tiny", data_dir=where
  )
  return view_data.load(folder, "train", size=SIZE)


def test_projected_joints_are_the_keypoints_of_the_crops(clips):
  order = view_windows.TrainingOrder(clips, 4, frames=2, views=2)
  batch = view_windows.gather(clips.clips, order(0), 2)
  assert batch["images"].shape == (4, 2, 2, SIZE, SIZE, 3)
  assert batch["images"].dtype == np.uint8
  np.testing.assert_allclose(project(batch), batch["keypoints_2d"], atol=1e-3)


def test_a_batch_is_a_function_of_seed_and_step(clips):
  orders = [view_windows.TrainingOrder(clips, 3, frames=2, seed=s) for s in (5, 5, 6)]
  first, again, other = (order(7) for order in orders)
  for a, b in zip(first, again, strict=True):
    np.testing.assert_array_equal(a, b)
  assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_an_epoch_sees_every_clip_once(clips):
  order = view_windows.TrainingOrder(clips, 2, frames=3)
  assert order.steps_per_epoch == 2
  seen = np.concatenate([order(step).clip for step in range(2)])
  assert sorted(seen) == [0, 1, 2, 3]


def test_views_of_a_window_differ(clips):
  order = view_windows.TrainingOrder(clips, 4, frames=1, views=2)
  views = np.concatenate([order(step).views for step in range(8)])
  assert (views[:, 0] != views[:, 1]).all()
  assert set(views.ravel()) == {0, 1, 2}


def test_windows_stay_in_their_clips_and_start_with_views_that_are_there():
  found = ragged()
  order = view_windows.TrainingOrder(found, 2, frames=3, views=2)
  for step in range(10):
    batch = view_windows.gather(found.clips, order(step), 3)
    assert batch["frame_mask"].all()
    assert batch["view_mask"][:, :, 0].all()


def test_evaluation_counts_every_frame_once():
  found = ragged()
  seen = np.zeros((2, 5), int)
  for index, counted in view_windows.evaluation_order(found, 4, frames=2):
    assert index.clip.shape == (4,)
    b, t = np.nonzero(counted)
    np.add.at(seen, (index.clip[b], index.start[b] + t), 1)
  np.testing.assert_array_equal(seen, found.clips["frame_mask"])


def test_evaluation_takes_the_views_it_is_told(clips):
  index, _ = next(view_windows.evaluation_order(clips, 2, frames=4, views=(2, 0)))
  np.testing.assert_array_equal(index.views, [[2, 0], [2, 0]])
  batch = view_windows.gather(clips.clips, index, 4)
  np.testing.assert_array_equal(
    batch["images"][1, :, 0], clips.clips["images"][index.clip[1], :, 2]
  )


def test_gather_gives_jax_arrays_the_same_windows(clips):
  import jax.numpy as jnp

  index = view_windows.TrainingOrder(clips, 2, frames=2)(0)
  ours = view_windows.gather(clips.clips, index, 2)
  on_device = {key: jnp.asarray(array) for key, array in clips.clips.items()}
  theirs = view_windows.gather(on_device, index, 2)
  for key in ours:
    np.testing.assert_array_equal(ours[key], theirs[key])


def test_windows_longer_than_the_clips_are_refused(clips):
  with pytest.raises(ValueError, match="got windows of 9 frames, expected 1 to 4"):
    view_windows.TrainingOrder(clips, 2, frames=9)


def test_more_views_than_there_are_is_refused(clips):
  with pytest.raises(ValueError, match="got 5 views, expected 1 to 3"):
    view_windows.TrainingOrder(clips, 2, frames=1, views=5)


def test_by_action_rare_actions_come_more_often_than_by_frames(clips):
  sources = tuple(
    s._replace(action="rare" if i == 0 else "common")
    for i, s in enumerate(clips.sources)
  )
  named = dataclasses.replace(clips, sources=sources)
  order = view_windows.TrainingOrder(named, 500, frames=2, by_action=True)
  frames = clips.lengths / clips.lengths.sum()
  expected = np.sqrt(frames[0]) / (np.sqrt(frames[0]) + np.sqrt(1 - frames[0]))
  drawn = np.concatenate([order(step).clip for step in range(4)])
  assert abs((drawn == 0).mean() - expected) < 0.04 < expected - frames[0]
  np.testing.assert_array_equal(order(3).clip, order(3).clip)
  assert (order(3).clip != order(4).clip).any()
