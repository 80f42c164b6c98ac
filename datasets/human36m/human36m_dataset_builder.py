"""TFDS builder of Human3.6M, from the databases of VIBE and TCMR."""

import re

import tensorflow_datasets as tfds

from jaxpose import sequences
from jaxpose import vibe_db

# Split -> names that its file may have; the first that is there is read.
_TEST = ("h36m_test_25fps_db", "h36m_test_front_25fps_tight_db")
STEMS = {
  "glot": {
    "train": ("h36m_train_25fps_db", "h36m_train_25fps_tight_db"),
    "test": _TEST,
  },
  "glot_occ": {"train": ("h36m_train_25fps_occ_db",), "test": _TEST},
}

# Numbers 2 to 16 of the official release.
ACTIONS = """
  Directions Discussion Eating Greeting Phoning Posing Purchases Sitting SittingDown
  Smoking Photo Waiting Walking WalkDog WalkTogether
""".split()


def labels(name: str) -> tuple[str, str, str]:
  """Subject, action, camera: s_01_act_02_subact_01_ca_01, S1_Directions_1.54138969."""
  if found := re.search(r"s_(\d+)_act_(\d+)_subact_(\d+)_ca_(\d+)", name):
    subject, action, _, camera = map(int, found.groups())
    known = 2 <= action <= 16
    return f"S{subject}", ACTIONS[action - 2] if known else "", str(camera)
  found = re.search(r"(S\d+)[_/ ]([A-Za-z]+)[_ ]?\d*[._](\d+)", name)
  return found.groups() if found else ("", "", "")


SOURCE = vibe_db.Source(
  joints_2d=(49,), joints_3d=(14, 49), smpl="if there", fps=25.0, labels=labels
)


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one camera's view of one motion."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "The databases that GLoT reads."}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put h36m_train_25fps_db.pt and h36m_test_25fps_db.pt "
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
