"""What was detected, in chunks on disk."""

from typing import NamedTuple

import numpy as np
import pytest

from jaxpose.detect import detect_tracks
from jaxpose.detect.detect_tracks import Chunks

REQUEST = dict(video="walk.mp4", fps=30.0, people=None, image_size=[64, 48])


class Person(NamedTuple):
  number: int
  keypoints: np.ndarray
  confidence: np.ndarray
  scale: float


def person(number, value):
  return Person(number, np.full((33, 2), value), np.full(33, 0.5), 2.0 * value)


def fill(chunks, frames):
  for frame in frames:
    chunks.add([person(n, frame + 100 * n) for n in range(frame % 3)])
  chunks.store({"memory": np.asarray([chunks.frames, 7.0])})


@pytest.mark.parametrize("on_disk", [False, True])
def test_rows_come_back_in_the_order_of_the_frames(tmp_path, on_disk):
  chunks = Chunks(tmp_path / "work" if on_disk else None, REQUEST)
  fill(chunks, range(5))
  fill(chunks, range(5, 9))
  rows = chunks.rows()
  want = [(f, n) for f in range(9) for n in range(f % 3)]
  assert list(zip(rows["frames"], rows["numbers"], strict=True)) == want
  np.testing.assert_array_equal(
    rows["keypoints"][:, 3, 1], [f + 100 * n for f, n in want]
  )
  assert rows["scale"].shape == (len(want),)


def test_another_call_goes_on_after_the_last_chunk(tmp_path):
  chunks = Chunks(tmp_path, REQUEST)
  fill(chunks, range(5))
  chunks.add([person(0, 5)])  # never stored
  again = Chunks(tmp_path, REQUEST)
  assert again.frames == 5
  np.testing.assert_array_equal(again.state["memory"], [5, 7])
  fill(again, range(5, 9))
  whole = Chunks(None, REQUEST)
  fill(whole, range(9))
  for key, value in whole.rows().items():
    np.testing.assert_array_equal(again.rows()[key], value)


def test_frames_without_people_count(tmp_path):
  chunks = Chunks(tmp_path, REQUEST)
  for _ in range(4):
    chunks.add([])
  chunks.store({})
  assert Chunks(tmp_path, REQUEST).frames == 4
  assert len(chunks.rows()["frames"]) == 0


def test_it_is_full_after_a_chunk():
  chunks = Chunks(None, REQUEST)
  for _ in range(detect_tracks.CHUNK):
    assert not chunks.is_full
    chunks.add([])
  assert chunks.is_full
  chunks.store({})
  assert not chunks.is_full


def test_a_folder_of_another_request_is_refused(tmp_path):
  Chunks(tmp_path, REQUEST)
  with pytest.raises(
    ValueError, match=r"another detection \(another fps, people\); go"
  ):
    Chunks(tmp_path, REQUEST | dict(fps=25.0, people=1))


def test_a_damaged_chunk_is_told(tmp_path):
  fill(Chunks(tmp_path, REQUEST), range(5))
  (path,) = tmp_path.glob("*.npz")
  path.write_bytes(path.read_bytes()[:50])
  with pytest.raises(ValueError, match=r"is damaged .* delete the folder it is in, to"):
    Chunks(tmp_path, REQUEST)


def test_storing_that_is_interrupted_can_be_tried_again(tmp_path, monkeypatch):
  chunks = Chunks(tmp_path, REQUEST)

  def stops(*args, **options):
    raise KeyboardInterrupt

  with monkeypatch.context() as patched:
    patched.setattr(detect_tracks.whole_files, "write", stops)
    with pytest.raises(KeyboardInterrupt):
      fill(chunks, range(5))
  chunks.store({})
  whole = Chunks(None, REQUEST)
  fill(whole, range(5))
  for found in (chunks, Chunks(tmp_path, REQUEST)):
    for key, value in whole.rows().items():
      np.testing.assert_array_equal(found.rows()[key], value)
