"""Windows in which something is missing."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import predict
from jaxpose.data import detector_errors
from jaxpose.motion import gaps


def window(b=3, t=9, j=4):
  rng = np.random.default_rng(0)
  return rng.normal(size=(b, t, j, 2)), rng.random((b, t, j)) > 0.4


def test_each_window_is_filled_as_a_clip_is():
  values, seen = window()
  seen[:, 4] = True  # so that each joint is seen
  filled = gaps.fill_windows(values, seen)
  for one, gap, want in zip(filled, ~seen, values, strict=True):
    np.testing.assert_allclose(one, predict.fill_gaps(want, gap), atol=1e-12)
  assert (~seen).sum() > 20


def test_windows_are_filled_as_in_training():
  values = window(b=6, t=16, j=17)[0].astype(np.float32)
  points, confidence = detector_errors.joint_dropout(
    jax.random.key(0), jnp.asarray(values), 0.4, 12
  )
  filled = gaps.fill_windows(values, np.asarray(confidence) > 0)
  np.testing.assert_allclose(filled, points, atol=1e-6)
  assert (np.asarray(confidence) == 0).all(1).any()  # some for a whole window


def test_what_is_seen_stays_as_it_is_and_what_is_not_does_not_matter():
  values, seen = window()
  filled = gaps.fill_windows(values, seen)
  np.testing.assert_array_equal(filled[seen], values[seen])
  other = np.where(seen[..., None], values, 1e6)
  np.testing.assert_array_equal(gaps.fill_windows(other, seen), filled)
  everything = np.ones_like(seen)
  np.testing.assert_array_equal(gaps.fill_windows(values, everything), values)


def test_a_joint_that_is_never_seen_lies_between_those_that_are():
  values, seen = window(b=1)
  seen[:] = True
  seen[0, :, 2] = False
  filled = gaps.fill_windows(values, seen)
  np.testing.assert_allclose(filled[0, :, 2], values[0][:, [0, 1, 3]].mean(1))
  seen[0, 3] = False  # a frame in which nothing is seen
  filled = gaps.fill_windows(values, seen)
  around = values[0][[2, 4]][:, [0, 1, 3]].mean((0, 1))
  np.testing.assert_allclose(filled[0, 3, 2], around)


def test_a_window_that_shows_nothing_is_zero():
  values, seen = window()
  seen[1] = False
  filled = gaps.fill_windows(np.float32(values), seen)
  assert (filled[1] == 0).all()
  assert filled.dtype == np.float32
  np.testing.assert_array_equal(
    filled[0], gaps.fill_windows(np.float32(values[:1]), seen[:1])[0]
  )
