"""TFDS builder of image features of people in the user's own videos."""

import functools
import json
import pathlib
import re
import zipfile
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

VIDEO_FILE = "video.json"
DONE_FILE = "done.json"
RECORD_ROWS = 8192  # 64 MiB of features; a longer track becomes several records
ARRAYS = ("features", "frame_ids", "boxes", "keypoints")


class Builder(tfds.core.GeneratorBasedBuilder):
  """One record is one person in one video, or 8,192 frames of a longer one."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
  MANUAL_DOWNLOAD_INSTRUCTIONS = (
    "Run python -m jaxpose.features, which extracts the features and builds this."
  )

  @classmethod
  def config_named(cls, name: str) -> tfds.core.BuilderConfig:
    """A config of any name: the user's own for a set of videos."""
    if not re.fullmatch(r"\w+", name):
      raise ValueError(
        f"got the name {name!r} for a dataset, expected letters, digits and "
        "underscores only; choose another."
      )
    return tfds.core.BuilderConfig(name=name, description="Features of own videos.")

  def _info(self) -> tfds.core.DatasetInfo:
    tensor = functools.partial(tfds.features.Tensor, encoding="bytes")
    text = tfds.features.Text
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(
        dict(
          features=tensor(shape=(None, 2048), dtype=np.float32),
          frame_ids=tensor(shape=(None,), dtype=np.int32),
          boxes=tensor(shape=(None, 4), dtype=np.float32),
          # Frame by frame, as TFDS cannot read a (t, 0, 3) that has no joints.
          keypoints=tensor(shape=(None, 3), dtype=np.float32),
          image_size=tensor(shape=(2,), dtype=np.int32),
          fps=np.float32,
          scale=np.float32,
          part=np.int32,
          num_parts=np.int32,
          skeleton=text(),
          sequence=text(),
          video=text(),
          track=text(),
        )
      ),
      # The parts of a sequence stay together and in order.
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    splits = sorted(path for path in raw.iterdir() if path.is_dir())
    if not splits:
      raise ValueError(
        f"{raw}: got no folder of extracted features, expected one for each split; "
        "run python -m jaxpose.features."
      )
    return {path.name: self._generate_examples(path) for path in splits}

  def _generate_examples(self, folder: pathlib.Path):
    number = 0
    for video in sorted(path for path in folder.iterdir() if path.is_dir()):
      for record in read_video(video):
        yield number, record
        number += 1


def read_video(folder: pathlib.Path) -> Iterator[dict]:
  """The records of one extracted video.

  Raises:
    ValueError: its extraction was interrupted, or a file is damaged.
  """
  if not (folder / DONE_FILE).exists():
    raise ValueError(
      f"{folder}: got features of a part of the video, expected all; run the same "
      "python -m jaxpose.features again, it goes on where it stopped."
    )
  about = json.loads((folder / VIDEO_FILE).read_text())
  for i, track in enumerate(about["tracks"]):
    chunks = sorted((folder / f"track_{i:04d}").glob("*.npz"))
    groups: list[list[pathlib.Path]] = [[]]
    rows = 0
    for path in chunks:
      if groups[-1] and rows >= RECORD_ROWS:
        groups.append([])
        rows = 0
      groups[-1].append(path)
      rows += len(_read(path)["frame_ids"])
    for part, paths in enumerate(groups):
      yield dict(
        _joined(paths),
        image_size=np.asarray(about["image_size"], np.int32),
        fps=np.float32(about["fps"]),
        scale=np.float32(about["scale"]),
        part=part,
        num_parts=len(groups),
        skeleton=track["skeleton"],
        sequence=folder.name + (f"_{track['name']}" if track["name"] else ""),
        video=about["video"],
        track=track["name"],
      )


def _joined(paths: list[pathlib.Path]) -> dict[str, np.ndarray]:
  chunks = [_read(path) for path in paths]
  joined = {key: np.concatenate([chunk[key] for chunk in chunks]) for key in ARRAYS}
  return joined | {"keypoints": joined["keypoints"].reshape(-1, 3)}


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
  try:
    with np.load(path, allow_pickle=False) as file:
      return {key: file[key] for key in ARRAYS}
  except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
    raise ValueError(
      f"{path}: got a damaged file of features ({error}); delete it and "
      f"{DONE_FILE} beside its folder, and run the extraction again."
    ) from error
