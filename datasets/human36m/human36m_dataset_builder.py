"""TFDS builder of Human3.6M, in the forms in which the field has it."""

import dataclasses
import pathlib
import re

import tensorflow_datasets as tfds

from jaxpose.data import benchmark_record
from jaxpose.data import sequences
from jaxpose.data import view_records
from jaxpose.formats import vibe

from . import official
from . import official_frames
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

# Of videopose3d_*: what data_2d_h36m_*.npz calls it, where that is another name.
KEYPOINTS = {"cpn": "cpn_ft_h36m_dbb"}


def labels(name: str) -> tuple[str, str, str]:
  """Subject, action, camera: s_01_act_02_subact_01_ca_01, S1_Directions_1.54138969."""
  if found := re.search(r"s_(\d+)_act_(\d+)_subact_(\d+)_ca_(\d+)", name):
    subject, action, _, camera = map(int, found.groups())
    known = 2 <= action <= 16
    return f"S{subject}", ACTIONS[action - 2] if known else "", str(camera)
  found = re.search(r"(S\d+)[_/ ]([A-Za-z]+)[_ ]?\d*[._](\d+)", name)
  return found.groups() if found else ("", "", "")


SOURCE = vibe.Source(
  joints_2d=(49,), joints_3d=(14, 49), smpl="if there", fps=25.0, labels=labels
)


@dataclasses.dataclass
class Frames(tfds.core.BuilderConfig):
  """Pictures of the official videos, and how they are stored.

  Attributes:
    step: of frames of the 50 Hz videos.
    clip_frames: of a record; windows do not cross the ends of a take.
    max_side: longest side of the pictures, pixels; 1002 keeps them as they are.
  """

  step: int = 5
  clip_frames: int = 32
  max_side: int = 1002

  def __post_init__(self):
    if self.step < 1 or self.clip_frames < 1 or self.max_side < 16:
      raise ValueError(
        f"got step={self.step}, clip_frames={self.clip_frames} and max_side="
        f"{self.max_side}, expected at least 1, 1 and 16."
      )


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one camera's view of one motion, or a clip of all four cameras."""

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
    Frames(
      name="official_frames", description="Pictures and poses of the release, 10 Hz."
    ),
    tfds.core.BuilderConfig(
      name="videopose3d_gt", description="VideoPose3D's files, exact 2D."
    ),
    tfds.core.BuilderConfig(
      name="videopose3d_cpn", description="VideoPose3D's files, 2D from CPN."
    ),
  ]

  @classmethod
  def config_named(cls, name: str) -> tfds.core.BuilderConfig:
    """official_frames with a step or a size of its own, videopose3d with other 2D."""
    if re.fullmatch(r"videopose3d_\w*(_ft_h36m\w*|_coco)", name):
      return tfds.core.BuilderConfig(
        name=name, description="VideoPose3D's files, 2D from another detector."
      )
    found = re.fullmatch(r"official_frames(?:_step(\d+))?(?:_side(\d+))?", name)
    if not found:
      raise ValueError(
        f"dataset 'human36m' has no config {name!r}; known: "
        f"{', '.join(cls.builder_configs)}, official_frames_stepN_sideM, and "
        "videopose3d_X for data_2d_h36m_X.npz where X has _ft_h36m or ends in _coco."
      )
    numbers = dict(zip(("step", "max_side"), found.groups(), strict=True))
    chosen = {key: int(text) for key, text in numbers.items() if text}
    return Frames(name=name, description="Pictures and poses of the release.", **chosen)

  def _info(self) -> tfds.core.DatasetInfo:
    features = benchmark_record.features(SKELETON)
    if self.builder_config.name in STEMS:
      features = sequences.crop_features()
    elif isinstance(self.builder_config, Frames):
      features = view_records.features(SKELETON)
      features |= dict(box_source=tfds.features.Text())
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features),
      disable_shuffling=True,  # the order of the sequences is the files'
    )

  def _split_generators(self, dl_manager):
    config, raw = self.builder_config.name, pathlib.Path(dl_manager.manual_dir)
    if isinstance(self.builder_config, Frames):
      frames = self.builder_config
      return official_frames.splits(
        raw,
        step=frames.step,
        clip_frames=frames.clip_frames,
        max_side=frames.max_side,
      )
    if config == "official":
      return official.splits(raw)
    if config.startswith("videopose3d_"):
      keypoints = config.removeprefix("videopose3d_")
      return videopose3d.splits(raw, KEYPOINTS.get(keypoints, keypoints))
    paths = vibe.find_files(raw, STEMS[config])
    return {split: self._generate_examples(paths[split], split) for split in paths}

  def _generate_examples(self, path, split):
    return vibe.examples(path, SOURCE, split)
