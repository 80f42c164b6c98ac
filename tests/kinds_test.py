import dataclasses

import numpy as np

from jaxpose import tasks
from jaxpose.data import pose_data
from jaxpose.data import view_windows
from jaxpose.tasks import mesh_scoring
from jaxpose.tasks import scoring
from jaxpose.tasks import view_scoring
from tests import multiview_motion_test as motion
from tests import small_data


def test_the_data_decides_who_scores():
  found = [
    tasks.of(poses.frames).scorer
    for poses in (small_data.mesh_data(), small_data.pose_data(), motion.clips())
  ]
  assert found == [
    mesh_scoring.MeshScorer,
    scoring.Scorer,
    view_scoring.MultiviewScorer,
  ]


def test_windows_have_the_kind_of_their_data_and_are_gathered_once():
  for poses in (small_data.mesh_data(), small_data.pose_data()):
    index = pose_data.TrainingOrder(poses, 2)(0)
    windows = tasks.gather(index, poses.frames, poses.runs, 3)
    assert tasks.of(windows) is tasks.of(poses.frames)
    assert tasks.gather(windows, None, None, 3) is windows
  clips = motion.clips()
  index = view_windows.TrainingOrder(clips, 2, frames=4)(0)
  windows = tasks.gather(index, clips.frames, clips.runs, 4)
  assert tasks.of(windows) is tasks.VIEWS
  assert windows["joints_3d"].shape == (2, 4, 17, 3)


def test_motion_is_loaded_from_one_camera_each_or_from_several(tiny_data_dir):
  folder = pose_data.prepare(
    "synthetic_motion", builder_config="tiny", data_dir=tiny_data_dir
  )
  assert set(tasks.splits(folder)) == {"train", "validation", "test"}
  one = tasks.load(folder, "test", window=3)
  several = tasks.load(folder, "test", window=3, views=2, stride=2)
  assert tasks.of(one.frames) is tasks.POSES
  assert tasks.of(several.frames) is tasks.VIEWS
  assert several.num_views == len({view.camera for view in one.views})
  assert np.isfinite(several.clips["keypoints_2d"]).all()
  assert (tasks.frame_rate(one), tasks.frame_rate(several)) == (50.0, 25.0)


def test_the_frame_rate_is_that_of_most_frames():
  poses = small_data.pose_data()
  lengths = poses.runs["last"] - poses.runs["first"] + 1
  views = [view._replace(fps=25.0) for view in poses.views]
  longest = int(np.argmax(lengths))
  views[longest] = views[longest]._replace(fps=float(np.float32(29.97)))
  mixed = dataclasses.replace(poses, views=tuple(views))
  most = 2 * lengths[longest] > lengths.sum()
  assert tasks.frame_rate(mixed) == (29.97 if most else 25.0)
  unknown = tuple(view._replace(fps=0.0) for view in views)
  assert tasks.frame_rate(dataclasses.replace(poses, views=unknown)) is None
