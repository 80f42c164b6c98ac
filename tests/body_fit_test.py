import numpy as np
import pytest

from jaxpose import body_files
from jaxpose import body_fit

BONES = ((1, 4), (4, 7), (2, 5), (5, 8), (16, 18), (18, 20), (17, 19), (19, 21), (1, 2))


@pytest.fixture
def body():
  return body_files.load("free_small")


def test_bones_of_a_body_give_a_body_with_these_bones(body):
  betas = np.random.default_rng(0).normal(size=10).astype(np.float32)
  lengths = body_fit.bone_lengths(body, betas, BONES)
  average = body_fit.bone_lengths(body, np.zeros(10, np.float32), BONES)
  fitted = body_fit.fit_betas(body, lengths, BONES, prior=1e-4)
  got = body_fit.bone_lengths(body, fitted, BONES)
  assert np.abs(average - lengths).max() > 0.005
  np.testing.assert_allclose(got, lengths, atol=5e-4)


def test_a_strong_prior_keeps_the_average_body(body):
  lengths = 1.2 * body_fit.bone_lengths(body, np.zeros(10, np.float32), BONES)
  weak = body_fit.fit_betas(body, lengths, BONES, prior=0.01)
  strong = body_fit.fit_betas(body, lengths, BONES, prior=10.0)
  assert np.abs(strong).max() < 0.01 < np.abs(weak).max()


def test_one_length_per_bone_is_demanded(body):
  with pytest.raises(ValueError, match="got 2 lengths for 9 bones, expected one"):
    body_fit.fit_betas(body, np.ones(2, np.float32), BONES)
