"""TFDS builder of MPI-INF-3DHP, in the forms in which the field has it."""

import pathlib
import re

import tensorflow_datasets as tfds

from jaxpose.data import benchmark_record
from jaxpose.data import sequences
from jaxpose.formats import vibe

from . import official
from . import pstmo
from .protocol import SKELETON

# Split -> names that its file may have. What is called "val" are the test sequences.
_TEST = ("mpii3d_val_scale12_db",)
STEMS = {
  "glot": {"train": ("mpii3d_train_scale12_db",), "test": _TEST},
  "glot_occ": {"train": ("mpii3d_train_scale12_occ_db",), "test": _TEST},
}


def labels(name: str) -> tuple[str, str, str]:
  """Subject, action and camera: subj1_seq2_vid4_seg0, or a name with TS1 in it."""
  if found := re.search(r"subj\w*?(\d+)_seq(\d+)_vid(\d+)", name):
    return f"S{found[1]}", f"Seq{found[2]}", found[3]
  found = re.search(r"TS(\d)", name)
  return (f"TS{found[1]}", "", "0") if found else ("", "", "")


SOURCE = vibe.Source(joints_2d=(49,), joints_3d=(49,), labels=labels)


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one camera's view of one sequence, or a segment of it."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put the files of the config in manual_dir; README.md says which they are and "
    "where to get them."
  )
  BUILDER_CONFIGS = [  # noqa: RUF012
    tfds.core.BuilderConfig(name="glot", description="Plain features."),
    tfds.core.BuilderConfig(
      name="glot_occ", description="Training features of images with pasted objects."
    ),
    tfds.core.BuilderConfig(name="official", description="Joints of the release."),
    tfds.core.BuilderConfig(name="pstmo", description="P-STMO's files."),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    features = benchmark_record.features(SKELETON, cameras=False, context=True)
    if self.builder_config.name in STEMS:
      features = sequences.crop_features()
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features),
      disable_shuffling=True,  # the order of the sequences is the files'
    )

  def _split_generators(self, dl_manager):
    config, raw = self.builder_config.name, pathlib.Path(dl_manager.manual_dir)
    if config == "official":
      return official.splits(raw)
    if config == "pstmo":
      return pstmo.splits(raw)
    paths = vibe.find_files(raw, STEMS[config])
    return {split: self._generate_examples(paths[split], split) for split in paths}

  def _generate_examples(self, path, split):
    return vibe.examples(path, SOURCE, split)
