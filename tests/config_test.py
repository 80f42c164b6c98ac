"""The locked base of every config."""

import json

import pytest

from jaxpose.config import base_config
from jaxpose.tasks import batches


def test_a_mistyped_knob_is_refused():
  config = base_config()
  for change in (
    lambda: setattr(config, "total_stesp", 3),
    lambda: setattr(config.data, "batch_sise", 3),
    lambda: setattr(config.augment, "flipp", True),
  ):
    with pytest.raises(AttributeError, match=r"Did you|did you|mean|cannot add"):
      change()


def test_a_knob_of_the_wrong_type_is_refused():
  config = base_config()
  with pytest.raises(TypeError):
    config.data.batch_size = "many"
  with pytest.raises(TypeError):
    config.total_steps = "many"


def test_each_call_gives_a_config_of_its_own():
  first = base_config()
  first.data.batch_size = 1
  first.losses = dict(other=dict(fn="n_mpjpe", key="joints_3d"))
  second = base_config()
  assert second.data.batch_size == 128
  assert list(second.losses) == ["joints"]


def test_the_defaults_are_plain_json_and_name_real_augmentations():
  config = base_config()
  json.loads(config.to_json())
  augment = config.augment.to_dict()
  assert augment.pop("speed") == (1.0, 1.0)  # of the order of the windows
  batches.Augmentation(**augment)
