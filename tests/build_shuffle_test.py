"""TFDS's sorting on disk: any size, in order where order is asked for."""

import pytest
from tensorflow_datasets.core import shuffle

from jaxpose.data import build_jobs


def sort(folder, keys, ordered):
  """The records of a split, as TFDS gives them back."""
  shuffler = shuffle.Shuffler(folder, "salt", disable_shuffling=ordered)
  for key in keys:
    shuffler.add(key, f"{key}".encode())
  return [data for _, data in shuffler]


@pytest.mark.parametrize("ordered", [True, False])
def test_records_come_as_from_memory(tmp_path, monkeypatch, ordered):
  keys = [(job << 32) + i for job in range(20) for i in range(5)]
  expected = sort(tmp_path, keys, ordered)
  assert ordered == (expected == [f"{key}".encode() for key in keys])
  monkeypatch.setattr(build_jobs, "SHUFFLE_MEMORY", 0)
  with build_jobs.shuffle_on_disk():
    assert sort(tmp_path, keys, ordered) == expected
  assert not list(tmp_path.iterdir())


def test_ordered_records_are_read_one_after_the_other(tmp_path, monkeypatch):
  monkeypatch.setattr(build_jobs, "SHUFFLE_MEMORY", 0)
  with build_jobs.shuffle_on_disk():
    shuffler = shuffle.Shuffler(tmp_path, "salt", disable_shuffling=True)
    for key in range(8):
      shuffler.add(key, bytes(100_000))
    found = iter(shuffler)
    next(found)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100_024])  # the others are gone
    assert max(len(data) for _, data in found) < 100_000


def test_outside_tfds_is_as_it_was():
  before = shuffle.tf, shuffle.MAX_MEM_BUFFER_SIZE, shuffle.Shuffler._iter_buckets
  with build_jobs.shuffle_on_disk():
    assert shuffle.tf is not before[0]
  after = shuffle.tf, shuffle.MAX_MEM_BUFFER_SIZE, shuffle.Shuffler._iter_buckets
  assert all(a is b for a, b in zip(before, after, strict=True))
