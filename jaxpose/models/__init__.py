"""Linen modules and nothing else; here, their names and `build`.

`MODELS` maps the name of a model family to the function that builds a module from a
config's fields. A model imports no data, config or files.
"""

import difflib

import flax.linen as nn

from jaxpose.models import gla_gcn
from jaxpose.models import glot
from jaxpose.models import multiview
from jaxpose.models import ray_lifter
from jaxpose.models import resnet
from jaxpose.models import temporal_convolution

MODELS = {
  "gla_gcn": gla_gcn.build,
  "glot": glot.build,
  "multiview": multiview.build,
  "multiview_lifter": multiview.build_lifter,
  "ray_lifter": ray_lifter.build,
  "spin_resnet50": resnet.build,
  "temporal_convolution": temporal_convolution.build,
}


def build(name: str, **fields) -> nn.Module:
  """The module `name` with the given fields; ValueError names the nearest models."""
  if name not in MODELS:
    near = ", ".join(difflib.get_close_matches(name, MODELS, 3, 0.0))
    raise ValueError(f"unknown model {name!r}; nearest: {near}.")
  return MODELS[name](**fields)
