"""TFDS builder of rendered multi-view clips of generated people."""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from jaxpose.data import build_jobs
from jaxpose.data import sequences
from jaxpose.data import view_records
from jaxpose.skeletons import proportions

from . import captured
from . import filming
from . import person
from . import photographs
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
    _check_views(self.views)
    span = self.stride * (self.frames - 1) + 1
    if not 1 <= span <= _MOTION_FRAMES[0]:
      raise ValueError(
        f"got {self.frames} frames with a stride of {self.stride}, which span {span} "
        f"frames of motion, expected 1 to {_MOTION_FRAMES[0]}."
      )


@dataclasses.dataclass
class CapturedConfig(tfds.core.BuilderConfig):
  """How much of the motion of cmu_mocap is filmed; the rest as in `Config`.

  Attributes:
    train: records of the split, of the subjects of the same split of cmu_mocap.
    validation: likewise.
    test: likewise.
    size: pixels of the square images.
    views: cameras, 1 to 8.
    frames: of a record.
    stride: frames of the motion, 50 a second, from one frame of a record to the next.
    bystander: share of the records with a second person.
    seed: of everything drawn.
  """

  train: int = 2400
  validation: int = 64
  test: int = 128
  size: int = 64
  views: int = 4
  frames: int = 8
  stride: int = 4
  bystander: float = 0.3
  seed: int = 0

  def __post_init__(self):
    _check_views(self.views)


def _check_views(views: int) -> None:
  if not 1 <= views <= 8:
    raise ValueError(f"got {views} views, expected 1 to 8 cameras.")


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
    CapturedConfig(
      name="cmu",
      description="Motion of cmu_mocap, 64 pixels, four cameras in many places.",
    ),
    CapturedConfig(
      name="cmu_tiny",
      description="The same, 8 clips at 48 pixels, three cameras, for tests.",
      train=4,
      validation=2,
      test=2,
      size=48,
      views=3,
      frames=4,
    ),
  ]

  _photographs: pathlib.Path | None = None

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(view_records.features(person.SKELETON))
    )

  def download_and_prepare(self, *, download_config=None, **kwargs) -> None:
    """Builds; captured motion before the photographs of `manual_dir`, if given."""
    # TFDS puts a default in place of a manual_dir that was not given.
    given = download_config.manual_dir if download_config else None
    self._photographs = pathlib.Path(given).expanduser() if given else None
    super().download_and_prepare(download_config=download_config, **kwargs)

  def _split_generators(self, dl_manager):
    config = self.builder_config
    if isinstance(config, CapturedConfig):
      return self._captured(config)
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

  def _captured(self, config: CapturedConfig) -> dict:
    files = []
    if self._photographs is None:
      logging.warning(
        "synthetic_multiview: no --manual_dir with photographs was given; walls, "
        "floors and what is behind the horizon have made-up patterns alone."
      )
    else:
      files = photographs.find(self._photographs)
      logging.warning("synthetic_multiview: %d photographs as backdrops.", len(files))
    splits = {}
    for split in ("train", "validation", "test"):
      motions = captured.read(self._data_dir_root, split)
      rng = sequences.clip_rng(config.seed, "windows", split)
      count = getattr(config, split)
      found = captured.windows(rng, motions, 2 * count, config.frames, config.stride)
      if split == "train":
        found = captured.varied(config.seed, found)
      jobs = [
        (config, f"{split}_{i:05d}", found[i], found[count + i], files)
        for i in range(count)
      ]
      splits[split] = build_jobs.examples(captured_example, jobs, quick=True)
    return splits


def captured_example(
  config: CapturedConfig,
  name: str,
  first: captured.Window,
  second: captured.Window,
  files: list[pathlib.Path],
) -> Iterator[tuple[str, dict]]:
  """The one example of a job on captured motion.

  Args:
    config: of the builder.
    name: of the record, unlike all others.
    first: what the person does.
    second: what a bystander does, if there is one.
    files: photographs for backdrops.
  """
  rng = sequences.clip_rng(config.seed, "film", name)
  joints = first.joints.astype(np.float64)
  actors = [filming.sample_actor(rng, joints, first.height, captured=True)]
  if rng.random() < config.bystander:
    moves = filming.stand_in(rng, joints, second.joints.astype(np.float64))
    if moves is not None:
      other = filming.sample_actor(rng, moves, second.height, captured=True)
      actors.append(other)
  rig = filming.sample_wide_rig(rng, joints, config.views, config.size)
  sits = "sit" in first.action
  scene = filming.sample_scene(rng, actors, rig, sits=sits, files=files)
  sequence = f"{name}_{first.name}"
  yield (
    sequence,
    _record(
      config,
      filming.film(rng, actors, rig, scene),
      rig,
      joints,
      start=first.start,
      fps=captured.FPS / config.stride,
      sequence=sequence,
      subject=first.subject,
      action=first.action,
    ),
  )


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
  return _record(
    config,
    filming.film(rng, actors, rig, scene),
    rig,
    joints,
    start=start,
    fps=curves.FPS / config.stride,
    sequence=sequence,
    subject=name,
    action=action,
  )


def _record(config, clip, rig, joints, *, start, **labels) -> dict:
  images = clip.images.reshape(-1, *clip.images.shape[2:])
  return view_records.record(
    [view_records.encode(image) for image in images],
    rig,
    boxes=clip.boxes,
    frame_ids=start + config.stride * np.arange(config.frames),
    skeleton=person.SKELETON,
    joints_3d=joints,
    keypoints_2d=clip.keypoints_2d,
    visible=clip.visible,
    **labels,
  )


def _window(config, rng, joints):
  """First frame and (t, 17, 3) joints of a part of a motion."""
  span = config.stride * (config.frames - 1) + 1
  start = int(rng.integers(0, len(joints) - span + 1))
  return start, joints[start : start + span : config.stride]
