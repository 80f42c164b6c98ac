"""Where somebody stands before a live camera, frame by frame."""

import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.geometry import cameras
from jaxpose.motion import smoothing
from jaxpose.motion import trajectory
from jaxpose.predict.lifting import LiftStream
from jaxpose.predict.lifting import Pose
from jaxpose.predict.live import LivePerson
from tests.stage_test import standing

SIZE, FOCAL, FPS = (640, 480), 700.0, 25.0
H36M = skeletons.get("h36m17")
# From z up to the camera's frame.
TO_CAMERA = np.asarray([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


class Lifter(LiftStream):
  """In the place of `LiftStream`: knows the pose, late by two frames."""

  latency, skeleton = 2, H36M

  def __init__(self, joints, pixels):
    self._joints, self._pixels = joints, pixels

  def push(self, keypoints, *, confidence, frame):
    at = frame - self.latency
    if at < 0:
      return None
    pixels = np.float32(self._pixels[at])
    return Pose(at, np.float32(self._joints), pixels, np.ones(17, np.float32))


def followed(places, frames=None, noise=0.0, options=None):
  """(LivePerson, its poses) of somebody at these places in the camera's frame."""
  joints = standing() @ TO_CAMERA
  joints = joints - joints[H36M.root]
  lens = trajectory.guess_intrinsics(SIZE, FOCAL)
  pixels = np.stack([cameras.project(joints + place, lens) for place in places])
  pixels = pixels + noise * np.random.default_rng(0).normal(size=pixels.shape)
  person = LivePerson(Lifter(joints, pixels), FPS, SIZE, FOCAL, options)
  found = {}
  for frame in range(len(places)) if frames is None else frames:
    if person.push(frame, np.zeros((17, 2)), np.ones(17)):
      found[person.frame] = person.joints_3d - joints
  return person, found


def test_the_place_is_that_of_the_keypoints_as_late_as_the_lifter():
  places = np.linspace([-0.5, 0.1, 3.0], [0.8, 0.1, 6.0], 20)
  person, found = followed(places)
  assert person.latency == 2
  assert sorted(found) == list(range(18))
  for frame, moved in found.items():
    np.testing.assert_allclose(moved, np.tile(places[frame], (17, 1)), atol=5e-3)


def test_before_the_first_pose_there_is_none():
  person, found = followed(np.tile([0.0, 0.0, 4.0], (2, 1)))
  assert not found
  assert person.frame is None
  assert person.joints_3d is None


@pytest.mark.parametrize("frames", [None, [*range(0, 100, 4)]])
def test_smoothing_makes_noise_less_and_loses_nobody(frames):
  places = np.tile([0.3, 0.1, 4.0], (100, 1))
  rough, smooth = (
    np.stack(list(followed(places, frames, 3.0, options)[1].values()))[4:, 0]
    for options in (None, smoothing.OneEuro())
  )
  assert (smooth.std(0) < 0.8 * rough.std(0)).all()
  np.testing.assert_allclose(smooth.mean(0), places[0], atol=0.15)
