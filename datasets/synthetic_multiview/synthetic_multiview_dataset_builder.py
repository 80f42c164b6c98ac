"""TFDS builder of rendered multi-view clips of generated people."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jaxpose.data import build_jobs
from jaxpose.data import sequences
from jaxpose.data import view_records
from jaxpose.skeletons import proportions

from . import filming
from . import person
from .siblings import curves
from .siblings import motion

_MOTION_FRAMES = (90, 115)  # of a clip with one action, as in synthetic_motion


@dataclasses.dataclass
class Config(tfds.core.BuilderConfig):
  """How much is filmed and how; people and motions are the same in all configs.

  Attributes:
    train: subjects of the split, from S01 on.
    validation: subjects from S201 on.
    test: subjects from S301 on.
    actions: of each subject, one record each.
    size: pixels of the square images.
    views: cameras, 1 to 8.
    frames: of a record.
    stride: frames of the motion from one frame of a record to the next.
    bystander: share of the records with a second person.
    seed: of everything drawn.
  """

  train: int = 48
  validation: int = 3
  test: int = 6
  actions: tuple[str, ...] = motion.ACTIONS
  size: int = 64
  views: int = 4
  frames: int = 8
  stride: int = 4
  bystander: float = 0.25
  seed: int = 0

  def __post_init__(self):
    if not 1 <= self.views <= 8:
      raise ValueError(f"got {self.views} views, expected 1 to 8 cameras.")
    span = self.stride * (self.frames - 1) + 1
    if not 1 <= span <= _MOTION_FRAMES[0]:
      raise ValueError(
        f"got {self.frames} frames with a stride of {self.stride}, which span {span} "
        f"frames of motion, expected 1 to {_MOTION_FRAMES[0]}."
      )


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one clip of one person, seen by all cameras."""

  VERSION = tfds.core.Version("1.2.0")
  RELEASE_NOTES = {  # noqa: RUF012
    "1.0.0": "Eight actions, 57 subjects, four cameras.",
    "1.1.0": "Shirts are lighter in front than at the back.",
    "1.2.0": "Torsos, arms and shoulders as long as people's, hips closer.",
  }
  BUILDER_CONFIGS = [  # noqa: RUF012
    Config(name="default", description="57 subjects, 64 pixels, four cameras."),
    Config(
      name="tiny",
      description="4 subjects, 8 clips at 48 pixels, three cameras, for tests.",
      train=2,
      validation=1,
      test=1,
      actions=("walking", "reaching"),
      size=48,
      views=3,
      frames=4,
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(view_records.features(person.SKELETON))
    )

  def _split_generators(self, dl_manager):
    config = self.builder_config
    return {
      "train": self._generate_examples(1, config.train),
      "validation": self._generate_examples(201, config.validation),
      "test": self._generate_examples(301, config.test),
    }

  def _generate_examples(self, first, count):
    config = self.builder_config
    clips = [
      (config, f"S{number:02d}", action)
      for number in range(first, first + count)
      for action in config.actions
    ]
    return build_jobs.examples(example, clips, quick=True)


def example(config: Config, name: str, action: str) -> Iterator[tuple[str, dict]]:
  """The one example of a job."""
  record = make_record(config, name, action)
  yield record["sequence"], record


def make_record(config: Config, name: str, action: str) -> dict:
  """The record of a subject and an action; depends on the config's seed only."""
  sequence = f"{name}_{action}"
  rng = sequences.clip_rng(config.seed, "film", sequence)
  subject = motion.sample_subject(config.seed, name)
  whole = motion.clip(subject, action, config.seed, _MOTION_FRAMES)
  proportions.check(whole, person.SKELETON.name, f"subject {name!r}")
  start, joints = _window(config, rng, whole)
  height = subject.body.height
  actors = [filming.sample_actor(rng, joints, height)]
  if rng.random() < config.bystander:
    other = motion.sample_subject(config.seed, f"{sequence}_bystander")
    second = str(rng.choice(motion.ACTIONS))
    _, moves = _window(
      config, rng, motion.clip(other, second, config.seed, _MOTION_FRAMES)
    )
    moves = filming.stand_in(rng, joints, moves)
    if moves is not None:
      actors.append(filming.sample_actor(rng, moves, other.body.height))
  rig = filming.sample_rig(rng, joints, config.views, config.size)
  scene = filming.sample_scene(rng, actors, rig, sits=action == "sitting")
  clip = filming.film(rng, actors, rig, scene)
  images = clip.images.reshape(-1, *clip.images.shape[2:])
  return view_records.record(
    [view_records.encode(image) for image in images],
    rig,
    boxes=clip.boxes,
    frame_ids=start + config.stride * np.arange(config.frames),
    fps=curves.FPS / config.stride,
    skeleton=person.SKELETON,
    sequence=sequence,
    subject=name,
    action=action,
    joints_3d=joints,
    keypoints_2d=clip.keypoints_2d,
    visible=clip.visible,
  )


def _window(config, rng, joints):
  """First frame and (t, 17, 3) joints of a part of a motion."""
  span = config.stride * (config.frames - 1) + 1
  start = int(rng.integers(0, len(joints) - span + 1))
  return start, joints[start : start + span : config.stride]
