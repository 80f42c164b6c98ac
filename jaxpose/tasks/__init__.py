"""Everything the training loop needs to know about a task, for each kind of data.

`of` finds the kind from the arrays of a split:

* POSES: 2D and 3D joints seen by one camera (`jaxpose.data.pose_data`).
* BODIES: the same with the parameters of a body.
* VIEWS: clips of several cameras, of pictures (`jaxpose.data.view_data`) or of motion
  (`jaxpose.data.view_motion`).

This is the one package that knows a task; the loop has no special cases.
"""

import os
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import ml_collections

from jaxpose.data import pose_data
from jaxpose.data import view_data
from jaxpose.data import view_motion
from jaxpose.data import view_transforms
from jaxpose.data import view_windows
from jaxpose.data.pose_data import PoseData
from jaxpose.data.view_data import MultiviewData
from jaxpose.tasks import batches
from jaxpose.tasks import mesh_batches
from jaxpose.tasks import mesh_scoring
from jaxpose.tasks import scoring
from jaxpose.tasks import view_batches
from jaxpose.tasks import view_scoring


class Kind(NamedTuple):
  """Everything the training loop needs to know about one kind of data.

  Attributes:
    order: (data, batch_size, config) to the order of the training windows.
    augmentation: config to the random changes of a batch.
    plain: the augmentation that changes nothing.
    training_batch: (windows, key, skeleton, augmentation) to inputs and targets.
    scorer: class that evaluates models of it.
    protocols: that are scored if nothing is said.
  """

  order: Callable
  augmentation: Callable[[ml_collections.ConfigDict], Any]
  plain: Any
  training_batch: Callable
  scorer: type
  protocols: tuple[str, ...]


def of(arrays: dict) -> Kind:
  """The kind of data with these arrays: `data.frames`, or windows of them."""
  if "view_mask" in arrays:
    return VIEWS
  return BODIES if "smpl_pose" in arrays else POSES


def load(
  folder: str | os.PathLike,
  split: str,
  *,
  window: int,
  views: int | None = None,
  crop_size: int = 64,
  stride: int = 1,
) -> PoseData | MultiviewData:
  """A split of a built dataset of any kind; the options are knobs of `config.data`."""
  import tensorflow_datasets as tfds

  if "images" in tfds.builder_from_directory(folder).info.features:
    return view_data.load(folder, split, size=crop_size)
  if views is None:
    return pose_data.load(folder, split)
  return view_motion.load(folder, split, frames=window, stride=stride, size=crop_size)


def frame_rate(data: PoseData | MultiviewData) -> float | None:
  """Frames per second of the windows, that of the most frames; None if none says it."""
  if isinstance(data, MultiviewData):
    sources, lengths = data.sources, data.lengths
  else:
    sources, lengths = data.views, data.runs["last"] - data.runs["first"] + 1
  frames: dict[float, int] = {}
  for source, length in zip(sources, lengths, strict=True):
    if source.fps > 0:
      fps = round(source.fps, 3)  # records have it in single precision
      frames[fps] = frames.get(fps, 0) + int(length)
  return max(frames, key=frames.get, default=None)


def splits(folder: str | os.PathLike) -> tuple[str, ...]:
  """Names of the splits of a built dataset."""
  import tensorflow_datasets as tfds

  return tuple(tfds.builder_from_directory(folder).info.splits)


def gather(
  windows,
  frames: dict | None,
  runs: dict | None,
  window: int,
  lookahead: int | None = None,
) -> dict:
  """The windows of an index; what has been gathered already stays as it is."""
  if isinstance(windows, pose_data.Index):
    return pose_data.gather(frames, runs, windows, window, lookahead)
  if isinstance(windows, view_windows.Index):
    return view_windows.gather(frames, windows, window)
  return windows


def _order(data, batch_size, config):
  return pose_data.TrainingOrder(
    data,
    batch_size,
    seed=config.seed,
    flip=config.augment.flip,
    sampling=config.data.sampling,
    window=config.data.window,
    speed=tuple(config.augment.get("speed", (1.0, 1.0))),
  )


def _views_order(data, batch_size, config):
  return view_windows.TrainingOrder(
    data,
    batch_size,
    frames=config.data.window,
    views=config.data.views,
    seed=config.seed,
    by_action=config.data.sampling == "actions",
  )


def _augmentation(config):
  framed = config.data.framed
  fields = config.augment.to_dict()
  fields.pop("speed", None)  # of the order
  return batches.Augmentation(**fields, framed=framed)


def _views_augmentation(config):
  fields = config.augment_views.to_dict()
  own = {
    key: fields.pop(key)
    for key in ("rigs", *(k for k in fields if k.startswith("keypoint_")))
  }
  scene = view_transforms.Augmentation(**fields)
  return view_batches.Augmentation(scene, **own)


def _mesh_batch(windows, key, skeleton, augmentation):
  del skeleton  # always spin49
  return mesh_batches.training_batch(windows, key, augmentation)


POSES = Kind(
  _order,
  _augmentation,
  batches.PLAIN,
  batches.training_batch,
  scoring.Scorer,
  scoring.DEFAULT_PROTOCOLS,
)
BODIES = POSES._replace(
  training_batch=_mesh_batch,
  scorer=mesh_scoring.MeshScorer,
  protocols=mesh_scoring.DEFAULT_PROTOCOLS,
)
VIEWS = Kind(
  _views_order,
  _views_augmentation,
  view_batches.PLAIN,
  view_batches.training_batch,
  view_scoring.MultiviewScorer,
  view_scoring.DEFAULT_PROTOCOLS,
)
