"""What a config may ask for as training data."""

import pytest

from jaxpose.train import training_data
from tests import small_runs


def test_clips_of_several_views_are_not_mixed(tiny_data_dir):
  config = small_runs.small(tiny_data_dir)
  config.data.views = 4
  config.data.mix = ((8, ("synthetic_motion/tiny",)), (8, ("synthetic_motion/tiny",)))
  message = (
    "got data.mix with synthetic_motion/tiny, whose clips have several views, expected "
    r"data of one camera each; train on it alone, with data\.name"
  )
  with pytest.raises(ValueError, match=message):
    training_data.training_data(config, training_data.loader(config.data))
  config.data.views = None
  joined, order = training_data.training_data(config, training_data.loader(config.data))
  assert len(order(0).centre) == 16
  assert joined.num_frames > 0
