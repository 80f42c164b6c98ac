"""TFDS builder of Human3.6M, in the forms in which the field has it."""

import pathlib
import re

import tensorflow_datasets as tfds

from jaxpose import benchmark_record
from jaxpose import sequences
from jaxpose import vibe_db

from . import official
from . import videopose3d
from .protocol import ACTIONS
from .protocol import SKELETON

# Split -> names that its file may have; the first that is there is read.
_TEST = ("h36m_test_25fps_db", "h36m_test_front_25fps_tight_db")
STEMS = {
  "glot": {
    "train": ("h36m_train_25fps_db", "h36m_train_25fps_tight_db"),
    "test": _TEST,
  },
  "glot_occ": {"train": ("h36m_train_25fps_occ_db",), "test": _TEST},
}

# Config -> what stands for * in data_2d_h36m_*.npz.
KEYPOINTS = {"videopose3d_gt": "gt", "videopose3d_cpn": "cpn_ft_h36m_dbb"}


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
    tfds.core.BuilderConfig(name="official", description="Poses of the release."),
    tfds.core.BuilderConfig(
      name="videopose3d_gt", description="VideoPose3D's files, exact 2D."
    ),
    tfds.core.BuilderConfig(
      name="videopose3d_cpn", description="VideoPose3D's files, 2D from CPN."
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    features = benchmark_record.features(SKELETON)
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
    if config in KEYPOINTS:
      return videopose3d.splits(raw, KEYPOINTS[config])
    paths = vibe_db.find(raw, STEMS[config])
    return {split: self._generate_examples(paths[split], split) for split in paths}

  def _generate_examples(self, path, split):
    return vibe_db.examples(path, SOURCE, split)
