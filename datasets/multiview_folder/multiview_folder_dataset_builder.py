"""TFDS builder of the user's own synchronised recordings."""

import dataclasses
import pathlib
import re
from collections.abc import Iterator

import tensorflow_datasets as tfds

from jaxpose import skeletons
from jaxpose.data import build_jobs
from jaxpose.data import view_records

from . import recordings


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
  """How recordings are cut and stored.

  Attributes:
    clip_frames: of a record; windows do not cross records.
    max_side: longest side of the stored pictures, pixels.
    skeleton: of the labels, a name in `jaxpose.skeletons`.
  """

  clip_frames: int = 32
  max_side: int = 720
  skeleton: str = "h36m17"


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is up to 32 frames of a recording, seen by all cameras."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Put each recording into a folder SPLIT/RECORDING with a calibration and a video "
    "or a folder of pictures for each camera; see README.md of this dataset."
  )
  BUILDER_CONFIGS = [  # noqa: RUF012
    Config(name="default", description="Own recordings, at most 720 pixels."),
  ]

  @classmethod
  def config_named(cls, name: str) -> Config:
    """A config of any name: the user's own for a set of recordings."""
    if not re.fullmatch(r"\w+", name):
      raise ValueError(
        f"got the name {name!r} for a dataset, expected letters, digits and "
        "underscores only; choose another."
      )
    return Config(name=name, description="Own recordings.")

  def _info(self) -> tfds.core.DatasetInfo:
    skeleton = skeletons.get(self.builder_config.skeleton)
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(view_records.features(skeleton)),
      # The records of a recording stay together and in order.
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    splits = {}
    for path in sorted(raw.iterdir()):
      if path.is_dir():
        inside = sorted(p for p in path.iterdir() if p.is_dir())
        if inside:
          splits[path.name] = self._generate_examples(inside)
    if not splits:
      raise ValueError(
        f"{raw}: got no folder SPLIT/RECORDING, expected one for each recording, such "
        "as test/walk with its calibration and videos."
      )
    return splits

  def _generate_examples(self, folders):
    config = self.builder_config
    return build_jobs.examples(
      examples,
      [(f, config.clip_frames, config.max_side, config.skeleton) for f in folders],
    )


def examples(
  folder: pathlib.Path, clip_frames: int, max_side: int, skeleton: str
) -> Iterator[tuple[int, dict]]:
  """The records of a recording, numbered."""
  yield from enumerate(
    recordings.records(
      folder,
      clip_frames=clip_frames,
      max_side=max_side,
      skeleton=skeletons.get(skeleton),
    )
  )
