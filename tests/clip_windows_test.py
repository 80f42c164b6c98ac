"""GLoT's windows: equality with the authors' scripts."""

import numpy as np
import pytest

from jaxpose.data import clip_windows

LENGTHS = (10, 16, 17, 24, 40)
each_length = pytest.mark.parametrize("n", LENGTHS)


@pytest.fixture(scope="module")
def published(golden):
  with np.load(golden.parent / "glot" / "windows.npz") as file:
    return dict(file)


def ends(windows):
  return np.stack([windows[:, 0], windows[:, -1]], -1)


@each_length
def test_training_windows_are_the_originals(published, n):
  found = clip_windows.training(["a"] * n)
  assert found.shape == (n // 16, 16)
  if n >= 16:
    np.testing.assert_array_equal(ends(found), published[f"N{n}/train_stride16"])
    np.testing.assert_array_equal(np.diff(found, axis=1), 1)


@each_length
def test_validation_windows_are_the_originals(published, n):
  found = clip_windows.validation(["a"] * n)
  if n < 16:
    assert found.shape == (0, 16)
  else:
    expected = published[f"N{n}/val_stride1"]
    np.testing.assert_array_equal(ends(found)[: len(expected)], expected[: len(found)])
    assert len(found) == len(expected)


@each_length
def test_demo_windows_are_the_originals(published, n):
  if n >= 16:
    found = clip_windows.alone_at_ends(n)
    np.testing.assert_array_equal(found, published[f"N{n}/demo_frames"])


@each_length
def test_test_windows_are_the_originals_with_the_reversed_tail(published, n):
  if n >= 16:
    found = clip_windows.held_at_ends(n, compat_tail=True)
    np.testing.assert_array_equal(found, published[f"N{n}/test_frames"])


@each_length
def test_every_frame_is_the_middle_of_its_window_in_order(n):
  for windows in (clip_windows.held_at_ends(n), clip_windows.alone_at_ends(n)):
    np.testing.assert_array_equal(windows[:, 8], np.arange(n))


def test_windows_stay_within_their_video(published):
  names = published["multi/names"]
  for found, key in (
    (clip_windows.training(names), "train"),
    (clip_windows.validation(names), "val"),
  ):
    np.testing.assert_array_equal(ends(found), published[f"multi/{key}"])
    for window in found:
      assert len(set(names[window])) == 1
