"""Loads the data that a config names, and orders its windows."""

import functools

import ml_collections
import numpy as np

from jaxpose import tasks
from jaxpose.data import pose_data


def loader(d: ml_collections.ConfigDict):
  """`(split, name, builder_config) -> data` that builds what is not there yet.

  Without a name it is the data set of the config.
  """

  @functools.cache
  def load(split: str, name: str = d.name, builder_config: str = d.builder_config):
    folder = pose_data.prepare(
      name,
      builder_config=builder_config,
      data_dir=d.data_dir,
      manual_dir=d.manual_dir,
    )
    options = {key: d[key] for key in ("window", "views", "crop_size", "stride")}
    data = tasks.load(folder, split, **options)
    if f"{name}/{builder_config}" in d.without_smpl:
      data.runs["has_smpl"] = np.zeros(len(data.views), np.float32)
    return data

  return load


def training_data(config: ml_collections.ConfigDict, load):
  """What is trained on, and the order of its windows.

  Raises:
    ValueError: the parts of a mixture do not make up the batch, or have several views.
  """
  d = config.data
  if not d.mix:
    data = load(d.split)
    return data, tasks.of(data.frames).order(data, d.batch_size, config)
  sizes = [size for size, _ in d.mix]
  if sum(sizes) != d.batch_size:
    raise ValueError(
      f"got data.mix with {' + '.join(map(str, sizes))} windows, expected "
      f"data.batch_size={d.batch_size} of them."
    )
  parts = []
  for _, names in d.mix:
    found = [load("train", *name.split("/")) for name in names]
    for name, part in zip(names, found, strict=True):
      if tasks.of(part.frames) is tasks.VIEWS:
        raise ValueError(
          f"got data.mix with {name}, whose clips have several views, expected data of "
          "one camera each; train on it alone, with data.name."
        )
    parts.append(pose_data.join_sources(found))
  orders = [
    tasks.of(part.frames).order(part, size, config)
    for part, size in zip(parts, sizes, strict=True)
  ]
  return pose_data.join_sources(parts), pose_data.MixedOrder(parts, orders)
