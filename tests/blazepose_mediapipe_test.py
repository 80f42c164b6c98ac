"""BlazePose against MediaPipe 0.10.21 on a real video.

Needs the two weight files (JAXPOSE_BLAZEPOSE: a folder with them, or mediapipe's wheel;
else the cache) and the videos in the wheel of pose2sim 0.10.49, unpacked
(JAXPOSE_POSE2SIM: its folder).
"""

import os
import pathlib

import numpy as np
import pytest

from jaxpose.detect import blazepose_weights
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden" / "blazepose" / "mediapipe_cam04.npz"
VIDEO = "Pose2Sim/Demo_SinglePerson/videos/cam04.mp4"


@pytest.fixture(scope="module")
def video() -> pathlib.Path:
  folder = os.environ.get("JAXPOSE_POSE2SIM")
  if not folder:
    pytest.skip("needs the unpacked wheel pose2sim 0.10.49 in JAXPOSE_POSE2SIM")
  pytest.importorskip("av", reason="needs jaxpose[video]")
  return pathlib.Path(folder) / VIDEO


@pytest.fixture(scope="module")
def weights() -> str | None:
  pytest.importorskip("ai_edge_litert", reason="needs jaxpose[video]")
  given = os.environ.get("JAXPOSE_BLAZEPOSE")
  cache = blazepose_weights.cache_folder() / "blazepose"
  if not given and not all((cache / n).is_file() for n in blazepose_weights.SHA256):
    pytest.skip("needs BlazePose's weights, in JAXPOSE_BLAZEPOSE or in the cache")
  return given


def test_keypoints_are_those_of_mediapipe(video, weights):
  from tools import compare_blazepose

  theirs = np.load(GOLDEN)["keypoints"]
  points = compare_blazepose.ours(str(video), weights, len(theirs))
  away = compare_blazepose.differences(points, theirs)
  assert np.isfinite(away).all()
  # Measured: median 0.2 %, 90th percentile 0.6 % of the height.
  assert np.median(away) < 0.4
  assert np.percentile(away, 90) < 1.2


def test_confidence_of_visible_joints_is_high_and_the_person_is_in_the_picture(
  video, weights
):
  from jaxpose.detect import blazepose
  from jaxpose.files import video_files

  networks = blazepose.Networks(*blazepose_weights.files(weights))
  tracker = blazepose.Tracker(networks, rate=60.0)
  _, frame = next(video_files.open_source(video).read())
  (person,) = tracker.update(frame)
  assert np.median(person.confidence) > 0.8
  assert (person.confidence <= 1).all()
  height, width, _ = frame.shape
  assert (person.keypoints > 0).all()
  assert (person.keypoints < (width, height)).all()
