"""Windows of recordings of any length."""

import numpy as np
import pytest

from jaxpose import multiview_plan


@pytest.mark.parametrize("window", [1, 2, 4, 9])
@pytest.mark.parametrize("causal", [False, True])
def test_every_frame_is_asked_about_once_from_a_window_that_holds_it(window, causal):
  for count in range(1, 40):
    plan = multiview_plan.plan(count, window, causal)
    asked = [np.arange(a, b) for a, b in zip(plan.first, plan.last, strict=True)]
    np.testing.assert_array_equal(np.concatenate(asked), np.arange(count))
    assert (plan.first >= plan.start).all()
    assert (plan.last <= plan.start + window).all()
    assert (plan.last <= plan.ready).all()
    if not causal and count >= window:
      assert plan.start[-1] + window == count
