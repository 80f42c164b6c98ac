"""TFDS builder of the embedded default dataset: procedural human motion."""

import dataclasses

import tensorflow_datasets as tfds

from jaxpose.data import sequences
from jaxpose.skeletons import proportions

from . import body
from . import curves
from . import motion
from . import smpl


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
  """How much is generated; the people and the seed are the same in all configs.

  Attributes:
    train: subjects of the split, from S01 on.
    validation: subjects from S41 on.
    test: subjects from S61 on.
    frames: (fewest, most) frames of a clip with one action.
    seed: of everything drawn.
    cameras: on the ring round a clip.
    mesh: the free body, with a shape for each subject, in place of bare joints.
  """

  train: int = 32
  validation: int = 3
  test: int = 4
  frames: tuple[int, int] = (90, 115)
  seed: int = 0
  cameras: int = 4
  mesh: bool = False


_TINY = dict(train=2, validation=1, test=1, frames=(80, 100))


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one camera's view of one clip."""

  VERSION = tfds.core.Version("1.1.0")
  RELEASE_NOTES = {  # noqa: RUF012
    "1.0.0": "Eight actions, 39 subjects, four cameras.",
    "1.1.0": "Torsos, arms and shoulders as long as people's, hips closer.",
  }
  BUILDER_CONFIGS = [  # noqa: RUF012
    Config(name="default", description="39 subjects, what the quick start trains on."),
    Config(
      name="tiny",
      description="4 subjects and short clips, for tests.",
      **_TINY,
    ),
    Config(
      name="mesh",
      description="The same motion of the free body, before two cameras.",
      cameras=2,
      mesh=True,
    ),
    Config(
      name="mesh_tiny",
      description="4 subjects as bodies, for tests.",
      cameras=2,
      mesh=True,
      **_TINY,
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    features = sequences.features(body.SKELETON)
    if self.builder_config.mesh:
      features = sequences.mesh_features(sequences.BODY_SKELETON)
    return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

  def _split_generators(self, dl_manager):
    config = self.builder_config
    return {
      "train": self._generate_examples(1, config.train),
      "validation": self._generate_examples(41, config.validation),
      "test": self._generate_examples(61, config.test),
    }

  def _generate_examples(self, first, count):
    config = self.builder_config
    for number in range(first, first + count):
      subject = motion.sample_subject(config.seed, f"S{number:02d}")
      for action in motion.ACTIONS:
        sequence = f"{subject.name}_{action}"
        solved = motion.solved_clip(subject, action, config.seed, config.frames)
        rng = sequences.clip_rng(config.seed, "cameras", sequence)
        labels = dict(
          num_cameras=config.cameras,
          fps=curves.FPS,
          sequence=sequence,
          subject=subject.name,
          action=action,
        )
        if not config.mesh:
          where = f"subject {subject.name!r}"
          proportions.check(solved.joints, body.SKELETON.name, where)
          yield from sequences.film(
            solved.joints, rng, skeleton=body.SKELETON, **labels
          )
          continue
        betas = smpl.sample_betas(config.seed, subject.name)
        yield from sequences.film_body(
          smpl.BODY,
          smpl.rotations(solved),
          betas,
          smpl.hips(solved, subject, betas),
          rng,
          **labels,
        )
