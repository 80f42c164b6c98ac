"""TFDS builder of any folder of 2D keypoints."""

import pathlib
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from jaxpose import skeletons
from jaxpose.data import sequences
from jaxpose.files import user_folder

from . import settings
from . import videos


class Builder(tfds.core.GeneratorBasedBuilder):
  """One example is one person in one video."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put files of keypoints in manual_dir, as SUBJECT/ACTION/FILE, and a skeleton.toml "
    "with image_size and fps; README.md shows one."
  )

  @classmethod
  def config_named(cls, name: str) -> tfds.core.BuilderConfig:
    """A config of any name: the user's own for a folder of files."""
    if not name.isidentifier() or not name.isascii():
      raise ValueError(
        f"got the name {name!r} for a dataset, expected letters, digits and "
        "underscores only; choose another."
      )
    return tfds.core.BuilderConfig(name=name, description="Own keypoints.")

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features())
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    chosen = settings.read(raw)
    paths = videos.find(raw, chosen)
    subjects = {path: user_folder.labels(path, raw)[0] for path in paths}
    rules = user_folder.settings(raw, "splits")
    split_of = user_folder.splits(subjects.values(), rules, f"{raw}: splits")
    return {
      split: self._generate_examples(raw, mine, chosen)
      for split in user_folder.SPLITS
      if (mine := [path for path in paths if split_of[subjects[path]] == split])
    }

  def _generate_examples(self, raw, paths, chosen):
    for path in paths:
      for record in videos.records(path, raw, chosen):
        yield record["sequence"], record


def features() -> dict:
  """Those of `sequences.features`, of any number of joints; cameras may be unknown."""
  known = sequences.features(skeletons.get("h36m17"))

  def tensor(*shape, dtype=np.float32):
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")

  return known | dict(
    keypoints_2d=tensor(None, None, 2),
    joints_3d=tensor(None, None, 3),
    confidence=tensor(None, None),
    has_joints_3d=np.bool_,
    has_camera=np.bool_,
    frame_id=tensor(None, dtype=np.int32),
  )
