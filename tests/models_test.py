import pytest

from jaxpose import models


def test_build_gives_the_named_configuration():
  module = models.build("gla_gcn", variant="gla_gcn", width=8)
  assert module.width == 8
  assert module.sequence_head


def test_unknown_model_is_refused_with_the_nearest_names():
  with pytest.raises(ValueError, match="model 'gla-gcn'; nearest: gla_gcn, glot"):
    models.build("gla-gcn")
