"""The whole chain on a real video, with the real detector and the released lifter.

Needs what `tests/blazepose_mediapipe_test.py` needs, in the same variables.
"""

import numpy as np
import pytest

from jaxpose import predict
from jaxpose.formats import pose_files
from tests.blazepose_mediapipe_test import video  # noqa: F401
from tests.blazepose_mediapipe_test import weights  # noqa: F401


def test_a_real_video_becomes_a_person_on_the_ground(video, weights, tmp_path):  # noqa: F811
  done = predict.video(
    video,
    tmp_path,
    people=1,
    formats=["npz", "csv", "bvh"],
    detector_weights=weights,
    progress=False,
  )
  assert done.people == ["0"]
  poses = pose_files.load(tmp_path / "person_0/poses.npz")
  assert len(poses.joints_3d) == 100
  assert poses.fps == 60
  assert poses.valid.mean() > 0.8
  assert tuple(poses.camera.image_size) == (1088, 1920)
  joint = poses.skeleton.index
  world = poses.joints_3d_world
  tall = (world[:, joint("head"), 2] - world[:, :, 2].min(1)).max()
  assert 1.3 < tall < 2.1
  assert np.median(world[..., 2].min(1)) == pytest.approx(0.08, abs=0.1)
  assert (poses.joints_3d[:, 0, 2] > 2).all()
