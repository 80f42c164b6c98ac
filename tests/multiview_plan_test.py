"""Windows of recordings of any length and rate."""

import numpy as np
import pytest

from jaxpose.data import clip_windows


@pytest.mark.parametrize("window", [1, 2, 4, 9])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("ratio", [1.0, 0.8, 2.4, 4.0, 30 / 12.7])
def test_every_frame_is_asked_about_where_a_window_shows_it(window, causal, ratio):
  for count in range(1, 40):
    plan = clip_windows.plan(count, window, causal, ratio)
    shown = plan.at[plan.window, plan.row]
    np.testing.assert_allclose(shown, np.arange(count), atol=1e-5)
    assert set(plan.window) == set(range(len(plan.at)))
    np.testing.assert_allclose(np.diff(plan.at, axis=1), ratio, atol=2e-6)
    assert (plan.at >= 0).all()
    if not causal and count - 1 >= window * ratio:
      assert (plan.at <= count - 1).all()


def test_windows_overlap_by_half_and_frames_lie_in_their_middle():
  plan = clip_windows.plan(11, 4, causal=False)
  assert plan.at[:, 0].tolist() == [0, 2, 4, 6, 7]
  asked = plan.at[plan.window, 0].tolist()
  assert asked == [0, 0, 0, 2, 2, 4, 4, 6, 7, 7, 7]


def test_a_causal_network_is_asked_about_the_last_frame_of_a_window():
  plan = clip_windows.plan(7, 4, causal=True)
  assert plan.at[:, 0].tolist() == [0, 0, 0, 0, 1, 2, 3]
  assert plan.row.tolist() == [0, 1, 2, 3, 3, 3, 3]


def test_frames_of_one_phase_share_windows():
  plan = clip_windows.plan(22, 4, causal=False, ratio=2.0)
  once = clip_windows.plan(11, 4, causal=False)
  for phase in (0, 1):
    np.testing.assert_array_equal(plan.row[phase::2], once.row)
    np.testing.assert_array_equal(
      plan.at[plan.window[phase::2]], 2 * once.at[once.window] + phase
    )
  assert len(plan.at) == 2 * len(once.at)
