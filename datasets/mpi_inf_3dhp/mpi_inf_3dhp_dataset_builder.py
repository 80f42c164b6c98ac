"""TFDS builder of MPI-INF-3DHP, from the databases of VIBE and TCMR."""

import re

import tensorflow_datasets as tfds

from jaxpose import sequences
from jaxpose import vibe_db

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


SOURCE = vibe_db.Source(joints_2d=(49,), joints_3d=(49,), labels=labels)


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one segment of one camera's video."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "The databases that GLoT reads."}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put mpii3d_train_scale12_db.pt and mpii3d_val_scale12_db.pt "
    "in manual_dir; README.md says where to get them."
  )
  BUILDER_CONFIGS = [  # noqa: RUF012
    tfds.core.BuilderConfig(name="glot", description="Plain features."),
    tfds.core.BuilderConfig(
      name="glot_occ", description="Training features of images with pasted objects."
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(sequences.crop_features()),
      disable_shuffling=True,  # the order of the videos is the file's
    )

  def _split_generators(self, dl_manager):
    paths = vibe_db.find(dl_manager.manual_dir, STEMS[self.builder_config.name])
    return {split: self._generate_examples(paths[split], split) for split in paths}

  def _generate_examples(self, path, split):
    return vibe_db.examples(path, SOURCE, split)
