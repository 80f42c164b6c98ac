"""Tracks of what was detected."""

import numpy as np
import pytest

from jaxpose.detect import detect_tracks
from jaxpose.detect.detect_tracks import Chunks
from tests.detect_chunks_test import person


def built(people, count, rate=20.0, repair=True, smooth=False):
  """Of `people(frame)`: numbers of who is seen; a person's points are the frame."""
  chunks = Chunks(None, {})
  for frame in range(count):
    chunks.add([person(n, float(frame + 1)) for n in people(frame)])
  chunks.store({})
  return detect_tracks.build(chunks, "blazepose33", rate, repair=repair, smooth=smooth)


def test_a_track_has_all_frames_from_its_first_to_its_last():
  found = built(lambda t: [0] * (5 <= t < 40 and t not in (20, 21)), 50)
  (track,) = found.tracks
  np.testing.assert_array_equal(track.frames, np.arange(5, 40))
  assert track.skeleton == "blazepose33"
  assert track.joints[0] == "nose"
  np.testing.assert_array_equal(track.keypoints[0], 6)
  np.testing.assert_array_equal(np.flatnonzero(track.confidence[:, 0] == 0), [15, 16])
  np.testing.assert_array_equal(track.keypoints[15:17], 0)
  assert "Person 0: frames 5 to 39, lost in 2 of them (20-21)." in found.report


def test_who_is_seen_longest_comes_first():
  found = built(lambda t: [0] * (t < 20) + [1], 30)
  assert [track.name for track in found.tracks] == ["1", "0"]


def test_people_of_a_few_frames_are_left_out_and_told():
  found = built(lambda t: [0] + [4] * (t in (7, 8)), 30)
  assert len(found.tracks) == 1
  assert "Left out 1 person seen in fewer than 4 frames." in found.report
  assert len(built(lambda t: [4] * (t == 7), 30).tracks) == 1  # the only one stays


def test_smoothing_is_asked_for():
  raw = built(lambda t: [0], 30).tracks[0].keypoints
  smoothed = built(lambda t: [0], 30, smooth=True).tracks[0].keypoints
  assert smoothed.shape == raw.shape
  assert smoothed.dtype == np.float32
  assert 0 < np.abs(smoothed - raw).max() < 2


def test_repair_is_asked_for():
  with_repair = built(lambda t: [0], 10).report
  assert "No short exchange of left and right" in with_repair
  assert "left and right" not in built(lambda t: [0], 10, repair=False).report


def test_nobody_in_a_video_is_told():
  with pytest.raises(ValueError, match="got 7 frames without a person, expected at"):
    built(lambda t: [], 7)


def test_one_person_is_chosen_by_name():
  tracks = detect_tracks.Tracks(built(lambda t: [0, 1], 30).tracks)
  tracks.image_size, tracks.fps = (64, 48), 20.0
  only = tracks.only("1")
  assert [t.name for t in only] == ["1"]
  assert (only.image_size, only.fps) == ((64, 48), 20.0)
  with pytest.raises(ValueError, match="got the person '7', expected one of 0, 1"):
    tracks.only("7")
