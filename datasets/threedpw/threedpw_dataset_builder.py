"""TFDS builder of 3DPW, from the databases of VIBE and TCMR, or the owners' files."""

import pathlib
import re

import tensorflow_datasets as tfds

from jaxpose.data import sequences
from jaxpose.formats import vibe

from . import official

# Split -> names that its file may have.
_SCORED = {"validation": ("3dpw_val_db",), "test": ("3dpw_test_db",)}
STEMS = {
  "glot": {"train": ("3dpw_train_db",), **_SCORED},
  "glot_occ": {"train": ("3dpw_train_occ_db",), **_SCORED},
}


def labels(name: str) -> tuple[str, str, str]:
  """Subject, action and camera: "downtown_walking_00_1" is person 1 of a sequence."""
  found = re.fullmatch(r"(.+?)_(?:\d+_)?(\d+)", name)
  return (found[2], found[1], "0") if found else ("", "", "0")


SOURCE = vibe.Source(
  joints_2d=(14, 49), joints_3d=(14, 49), smpl="yes", fps=30.0, labels=labels
)


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one person in one video."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "The databases that GLoT reads."}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put 3dpw_train_db.pt, 3dpw_val_db.pt and 3dpw_test_db.pt "
    "in manual_dir, or sequenceFiles for the config official; README.md says where to "
    "get them."
  )
  BUILDER_CONFIGS = [  # noqa: RUF012
    tfds.core.BuilderConfig(name="glot", description="Plain features."),
    tfds.core.BuilderConfig(
      name="glot_occ", description="Training features of images with pasted objects."
    ),
    tfds.core.BuilderConfig(
      name="official", description="Poses and cameras of the owners' files."
    ),
  ]

  @property
  def _official(self) -> bool:
    return self.builder_config.name == "official"

  def _info(self) -> tfds.core.DatasetInfo:
    features = official.features() if self._official else sequences.crop_features()
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features),
      # The order of the videos is the database's.
      disable_shuffling=not self._official,
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    if self._official:
      found, paths = official.find_bodies(raw), official.find(raw)
      return {split: official.examples(raw, paths[split], found) for split in paths}
    paths = vibe.find_files(raw, STEMS[self.builder_config.name])
    return {split: self._generate_examples(paths[split], split) for split in paths}

  def _generate_examples(self, path, split):
    return vibe.examples(path, SOURCE, split)
