"""A short video of a generated person, and what a detector would see in it."""

from typing import NamedTuple

import numpy as np

from jaxpose import detect
from jaxpose.data import pose_data
from jaxpose.detect.detect_tracks import Tracks
from jaxpose.formats import keypoint_files
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.tasks import scoring
from tests.frames_test import pictures

SIZE = (500, 500)
FRAMES = 24
FPS = 50.0
REPORT = "made-up people"


class Scene(NamedTuple):
  """Attributes: folder of pictures; root-relative joints; pixels of them."""

  folder: object
  truth: np.ndarray
  pixels: np.ndarray


def scene(tiny_data_dir, folder) -> Scene:
  """Motion and camera that no weights were trained on."""
  at = pose_data.prepare(
    "synthetic_motion", builder_config="tiny", data_dir=tiny_data_dir
  )
  clip = pose_data.load(at, "test")
  pixels = SIZE[0] / 2 * (np.asarray(clip.frames["keypoints_2d"][:FRAMES]) + 1)
  truth = scoring.relative_joints(clip)[:FRAMES]
  return Scene(pictures(folder, FRAMES, SIZE), truth, pixels)


def track(pixels: np.ndarray, name="0", first=0, skeleton="h36m17") -> Track:
  """One person, seen in every frame."""
  frames = np.arange(first, first + len(pixels))
  confidence = np.full(pixels.shape[:2], 0.9, np.float32)
  return Track(name, frames, np.float32(pixels), confidence, skeleton)


class Detector:
  """In the place of `detect.video`; counts its calls."""

  def __init__(self, *people: Track):
    self.people, self.calls = people, []

  def __call__(self, path, *, fps, work, progress, **options) -> Tracks:
    self.calls.append(options | dict(even=fps is None))
    work.mkdir()
    found = Tracks(self.people)
    found.image_size, found.fps = SIZE, fps or FPS
    found.report, found.speed = REPORT, 30.0
    return found


def put_in_place(monkeypatch, *people: Track) -> Detector:
  """A detector that finds these."""
  detector = Detector(*people)
  monkeypatch.setattr(detect, "video", detector)
  return detector


def saved(path, *people: Track):
  """A keypoint file of these people."""
  found = Tracks(people)
  found.image_size, found.fps, found.report = SIZE, FPS, REPORT
  assert keypoint_files.load(detect.save(path, found))
  return path
