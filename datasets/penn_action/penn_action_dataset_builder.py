"""TFDS builder of Penn Action, from the databases of VIBE and TCMR."""

import tensorflow_datasets as tfds

from jaxpose.data import sequences
from jaxpose.formats import vibe

# Split -> names that its file may have.
STEMS = {"train": ("pennaction_train_db", "pennaction_train_scale12_db")}
SOURCE = vibe.Source(joints_2d=(13, 14, 49))  # its own, the common ones, spin49


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one video."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "The databases that GLoT reads."}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put pennaction_train_db.pt in manual_dir; README.md says where to get it."
  )
  BUILDER_CONFIGS = [  # noqa: RUF012
    tfds.core.BuilderConfig(name="glot", description="Keypoints and features."),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(sequences.crop_features()),
      disable_shuffling=True,  # the order of the videos is the file's
    )

  def _split_generators(self, dl_manager):
    paths = vibe.find_files(dl_manager.manual_dir, STEMS)
    return {split: self._generate_examples(paths[split], split) for split in paths}

  def _generate_examples(self, path, split):
    return vibe.examples(path, SOURCE, split)
