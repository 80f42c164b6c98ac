"""Pose sequences on disk to batches of windows: endless for training, exact for scores.

Sequences are held in memory once, flattened over frames; a window is a row of frame
numbers. The same `gather` cuts windows with NumPy on the host or inside a jitted step
from arrays on the accelerator, so both give identical batches for a seed. A batch is a
function of the step alone: resuming needs no iterator state.

Several datasets can be one: joined in memory (`join_sources`), or each with its share
of every batch (`MixedOrder`).
"""

import dataclasses
import functools
import importlib.util
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxpose import skeletons
from jaxpose.files import resources
from jaxpose.geometry import Array
from jaxpose.geometry import cameras
from jaxpose.geometry import namespace

# Of a record; see `jaxpose.data.sequences` for shapes and units.
_FRAME_KEYS = (
  *("keypoints_2d", "joints_3d", "smpl_pose", "betas"),
  *("features", "confidence"),
)
_RUN_KEYS = ("camera_rotation", "camera_position", "has_joints_3d", "has_smpl")


class View(NamedTuple):
  """What one record of a dataset is called, and its frame rate."""

  sequence: str
  subject: str
  action: str
  camera: str
  fps: float


@dataclasses.dataclass(frozen=True)
class PoseData:
  """All frames of a split, cut into runs of consecutive valid frames.

  A frame in which the body is not wholly in view ends a run; windows never cross runs.

  Attributes:
    frames: arrays with a leading axis over all frames of all runs: `keypoints_2d`
      (n, j, 2) in `normalize_screen` coordinates, `joints_3d` (n, j, 3) metres in the
      camera's frame; of bodies also `smpl_pose` (n, 24, 3) and `betas` (n, 10), see
      `sequences.mesh_features`; of image features also `features` (n, c) and
      `confidence` (n, j) of the keypoints, which then are in crop units; of tests with
      frames that are context alone also `frame_scored` (n,).
    runs: arrays with a leading axis over runs: `first` and `last` frame number
      (inclusive); `camera_rotation` (r, 3, 3), `camera_position` (r, 3) where cameras
      are known; `has_joints_3d` and `has_smpl` (r,) where some records lack these.
    views: of each run.
    skeleton: of the joint axis.
  """

  frames: dict[str, Array]
  runs: dict[str, Array]
  views: tuple[View, ...]
  skeleton: skeletons.Skeleton

  @property
  def num_frames(self) -> int:
    """Frames of all runs."""
    return len(self.frames["keypoints_2d"])

  @functools.cached_property
  def run_of_frame(self) -> np.ndarray:
    """(n,) run that each frame belongs to."""
    lengths = np.asarray(self.runs["last"]) - np.asarray(self.runs["first"]) + 1
    return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)


def from_records(records, skeleton: skeletons.Skeleton | None = None) -> PoseData:
  """`PoseData` of records as described in `jaxpose.data.sequences.features`.

  Raises:
    ValueError: no valid frame, mixed skeletons, or arrays that are not finite.
  """
  frames: dict[str, list] = {}
  runs: dict[str, list] = dict(first=[], last=[])
  views = []
  total, filmed = 0, True
  for record in records:
    text = {
      key: value.decode() if isinstance(value, bytes) else str(value)
      for key, value in record.items()
      if key in ("sequence", "subject", "action", "camera", "skeleton")
    }
    found = skeletons.get(text["skeleton"])
    skeleton = skeleton or found
    if found != skeleton:
      raise ValueError(
        f"sequence {text['sequence']!r}: got the skeleton {found.name!r}, expected "
        f"{skeleton.name!r} as in the sequences before it."
      )
    arrays = {
      key: np.asarray(record[key], np.float32) for key in _FRAME_KEYS if key in record
    }
    if "features" not in record:
      width, height = (float(n) for n in record["image_size"])
      points = cameras.normalize_screen(arrays["keypoints_2d"], width, height)
      arrays["keypoints_2d"] = points
    view = View(
      text["sequence"],
      text["subject"],
      text["action"],
      text["camera"],
      float(record["fps"]),
    )
    if "frame_scored" in record:
      arrays["frame_scored"] = np.asarray(record["frame_scored"], bool)
    valid = np.asarray(record["frame_valid"], bool)
    for key, array in arrays.items():
      if not np.isfinite(array[valid]).all():
        raise ValueError(
          f"sequence {view.sequence!r}, camera {view.camera!r}: {key} holds NaN or "
          "infinite numbers in valid frames; build the dataset again."
        )
    for chosen in _runs_of(valid, whole="features" in record):
      for key, array in arrays.items():
        frames.setdefault(key, []).append(array[chosen])
      runs["first"].append(total)
      total += len(frames["joints_3d"][-1])
      runs["last"].append(total - 1)
      for key in _RUN_KEYS:
        if key in record:
          runs.setdefault(key, []).append(record[key])
      filmed = filmed and bool(record.get("has_camera", True))
      views.append(view)
  if skeleton is None or not total:
    raise ValueError(
      "got no valid frame, expected at least one sequence with the body in view; check "
      "the split's name and the dataset."
    )
  if not filmed:  # cameras are those of all runs or of none
    runs = {key: values for key, values in runs.items() if "camera" not in key}
  stacked = {
    key: np.asarray(values, np.int32 if key in ("first", "last") else np.float32)
    for key, values in runs.items()
  }
  joined = {key: np.concatenate(values) for key, values in frames.items()}
  return PoseData(joined, stacked, tuple(views), skeleton)


def _runs_of(valid: np.ndarray, whole: bool) -> list:
  """The valid frames, run by run; with `whole` all as one, as GLoT joins them."""
  if whole:
    return [valid] if valid.any() else []
  edges = np.flatnonzero(np.diff(np.r_[False, valid, False].astype(np.int8)))
  return [slice(start, stop) for start, stop in edges.reshape(-1, 2)]


def default_data_dir() -> pathlib.Path:
  """TFDS's own: `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory."""
  return pathlib.Path(
    os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
  ).expanduser()


def prepare(
  name: str,
  *,
  builder_config: str | None = None,
  data_dir: str | os.PathLike | None = None,
  manual_dir: str | os.PathLike | None = None,
) -> pathlib.Path:
  """Builds the dataset if it is not there yet; returns its version's folder.

  See `datasets/build.py`, which this loads by path, for what it raises.
  """
  path = resources.folder("datasets") / "build.py"
  spec = importlib.util.spec_from_file_location("jaxpose_build", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.build(
    name,
    pathlib.Path(data_dir).expanduser() if data_dir else default_data_dir(),
    manual_dir=manual_dir,
    config=builder_config,
  )


def load(folder: str | os.PathLike, split: str = "train") -> PoseData:
  """A split of a built dataset, in memory.

  Args:
    folder: of the built version, as `prepare` returns it.
    split: TFDS split; slices such as "train[:10%]" too.

  Raises:
    ValueError: no such split, or nothing valid in it.
  """
  import tensorflow_datasets as tfds

  builder = tfds.builder_from_directory(folder)
  if split.split("[")[0] not in builder.info.splits:
    raise ValueError(
      f"dataset {builder.name!r} has no split {split!r}; it has "
      f"{', '.join(builder.info.splits)}."
    )
  return from_records(builder.as_data_source(split=split))


class Index(NamedTuple):
  """Which windows make a batch: predicted frames, their runs, and who is mirrored.

  With `speed` windows are played back faster (over 1) or slower than the data.
  """

  centre: Int[Array, " b"]
  run: Int[Array, " b"]
  flip: Array  # bool (b,)
  speed: Array | None = None  # (b,)


def gather(
  frames: dict[str, Array],
  runs: dict[str, Array],
  index: Index,
  window: int,
  lookahead: int | None = None,
) -> dict[str, Array]:
  """The windows of a batch: every array of `frames` as (b, window, ...).

  Frames before a run's first or after its last are replaced by that frame. The arrays
  of `runs` but `first` and `last` are given per window, and `flip` is passed on. With
  `lookahead`, so many frames of a window come after the index's `centre`, whose place
  in the window is then given as `predicted` (b,).

  Raises:
    ValueError: more frames are to come after than the window has.
  """
  after = (window - 1) // 2 if lookahead is None else lookahead
  if not 0 <= after < window:
    raise ValueError(
      f"got lookahead={lookahead} with windows of {window} frames, expected 0 (their "
      f"last frame is predicted) to {window - 1}."
    )
  xp = namespace(*index)
  first, last = runs["first"][index.run], runs["last"][index.run]
  offset = np.arange(window, dtype=np.int32) - (window - 1 - after)
  if index.speed is None:
    frame = xp.clip(index.centre[:, None] + offset[None], first[:, None], last[:, None])
    batch = {key: array[frame] for key, array in frames.items()}
  else:
    at = index.centre[:, None] + index.speed[:, None] * offset[None]
    batch = _between(frames, xp.clip(at, first[:, None], last[:, None]), last)
  for key in _RUN_KEYS:
    if key in runs:
      batch[key] = runs[key][index.run]
  if lookahead is not None:
    batch["predicted"] = xp.full_like(index.centre, window - 1 - after)
  return batch | {"flip": index.flip}


def _between(frames: dict[str, Array], at: Array, last: Array) -> dict[str, Array]:
  """Arrays at fractional frame numbers, interpolated linearly."""
  foreign = sorted(set(frames) - {"keypoints_2d", "joints_3d"})
  if foreign:
    raise ValueError(
      f"got augment.speed with data that has {', '.join(foreign)}, expected keypoints "
      "and joints alone, which can be interpolated; use augment.speed=(1, 1)."
    )
  xp = namespace(at)
  before = xp.floor(at).astype(np.int32)
  after = xp.minimum(before + 1, last[:, None])
  share = (at - before).astype(np.float32)[..., None, None]
  return {
    key: array[before] * (1 - share) + array[after] * share
    for key, array in frames.items()
  }


class TrainingOrder:
  """Which windows each training step sees; a function of seed and step.

  An epoch visits every frame as the centre of a window once, and with `flip` once more
  mirrored, in an order drawn by NumPy's legacy generator: one permutation after the
  other from one seed, as VideoPose3D and GLA-GCN do. The last partial batch of an epoch
  is filled from the next.
  """

  def __init__(
    self,
    data: PoseData,
    batch_size: int,
    *,
    seed: int = 0,
    flip: bool = False,
    sampling: str = "frames",
    window: int = 1,
    speed: tuple[float, float] = (1.0, 1.0),
  ):
    """Prepares the order; nothing is drawn yet.

    Args:
      data: the sequences.
      batch_size: windows of a step.
      seed: of the order.
      flip: also visit every window mirrored.
      sampling: "frames" for the epochs above; "windows" for epochs of windows that do
        not overlap and lie wholly in their run, as GLoT has it; or "actions" to draw,
        with replacement, first an action, with a chance that goes with the square root
        of its frames, and then one of them: frequent actions stay so, but drown the
        rare ones less.
      window: frames of a window; matters with "windows" alone.
      speed: slowest and fastest playback, between which each window draws its own.

    Raises:
      ValueError: unknown sampling, no window to see, an empty batch, or no speed.
    """
    if sampling not in ("frames", "windows", "actions"):
      raise ValueError(
        f"got sampling {sampling!r}, expected 'frames', 'windows' or 'actions'."
      )
    if batch_size < 1:
      raise ValueError(f"got a batch size of {batch_size}, expected at least 1.")
    if not 0 < speed[0] <= speed[1] < np.inf:
      raise ValueError(
        f"got augment.speed={tuple(speed)}, expected the slowest and the fastest "
        "playback, such as (0.5, 2)."
      )
    self._speed = np.log(np.asarray(speed, np.float64))
    self._run = data.run_of_frame
    self._batch_size, self._seed, self._flip = batch_size, seed, flip
    copies = 2 if flip else 1
    # The plain windows of a run, then the mirrored ones, then the next run.
    runs = zip(data.runs["first"], data.runs["last"], strict=True)
    if sampling == "windows":
      half = window // 2
      seen = [np.arange(a + half, b + 2 - (window - half), window) for a, b in runs]
    else:
      seen = [np.arange(a, b + 1) for a, b in runs]
    order = [np.tile(centres, copies) for centres in seen]
    if not sum(map(len, order)):
      raise ValueError(
        f"got no run of {window} frames, expected at least one; choose a smaller "
        "window, or sampling 'frames', which repeats the ends."
      )
    mirrored = [np.repeat(np.arange(copies) > 0, len(o) // copies) for o in order]
    self._frame = np.concatenate(order).astype(np.int32)
    self._mirrored = np.concatenate(mirrored)
    self._actions = None
    if sampling == "actions":
      action = np.asarray([view.action for view in data.views])[self._run[self._frame]]
      self._actions = [np.flatnonzero(action == a) for a in np.unique(action)]
      share = np.sqrt([len(frames) for frames in self._actions])
      self._share = share / share.sum()
    self._epoch, self._permutation, self._generator = -1, None, None

  @property
  def steps_per_epoch(self) -> int:
    """Steps in which about every window is seen once."""
    return max(len(self._frame) // self._batch_size, 1)

  def _order_of(self, epoch: int) -> np.ndarray:
    if epoch < self._epoch or self._generator is None:
      self._epoch, self._generator = -1, np.random.RandomState(self._seed)
    while self._epoch < epoch:
      self._permutation = self._generator.permutation(len(self._frame))
      self._epoch += 1
    return self._permutation

  def __call__(self, step: int) -> Index:
    """The index of the batch of a step (from 0)."""
    size = self._batch_size
    if self._actions is not None:
      rng = np.random.default_rng([self._seed, step])
      action = rng.choice(len(self._actions), size, p=self._share)
      choices = zip(action, rng.random(size), strict=True)
      chosen = np.asarray(
        [self._actions[a][int(r * len(self._actions[a]))] for a, r in choices]
      )
    else:
      parts, start, n = [], step * size, len(self._frame)
      while sum(map(len, parts)) < size:
        epoch, at = divmod(start + sum(map(len, parts)), n)
        parts.append(self._order_of(epoch)[at : at + size - sum(map(len, parts))])
      chosen = np.concatenate(parts)
    centre, speed = self._frame[chosen], None
    if self._speed.any():
      rng = np.random.default_rng([self._seed, step, 1])
      speed = np.exp(rng.uniform(*self._speed, size)).astype(np.float32)
    return Index(centre, self._run[centre], self._mirrored[chosen], speed)


def evaluation_order(
  data: PoseData, batch_size: int, frames: np.ndarray | None = None
) -> Iterator[tuple[Index, np.ndarray]]:
  """Every frame (or the given ones) once, in order; the last batch is padded.

  Yields:
    The index, and a mask (batch_size,) that is False for padding.
  """
  if frames is None:
    frames = np.arange(data.num_frames, dtype=np.int32)
  for start in range(0, len(frames), batch_size):
    at = np.arange(start, start + batch_size)
    mask = at < len(frames)
    centre = frames[np.minimum(at, len(frames) - 1)]
    yield Index(centre, data.run_of_frame[centre], np.zeros(batch_size, bool)), mask


_KNOWN = ("has_joints_3d", "has_smpl")


def join_sources(parts: Sequence[PoseData]) -> PoseData:
  """The runs of all parts, one part after the other.

  Raises:
    ValueError: the parts have other arrays or another skeleton than the first.
  """
  first = parts[0]
  for part in parts[1:]:
    if part.skeleton != first.skeleton or set(part.frames) != set(first.frames):
      raise ValueError(
        f"got data of {part.skeleton.name!r} with {', '.join(sorted(part.frames))}, "
        f"expected {first.skeleton.name!r} with {', '.join(sorted(first.frames))} as "
        "in the part before; mix only data of one kind."
      )
  starts = np.cumsum([0] + [part.num_frames for part in parts[:-1]])
  frames = {
    key: np.concatenate([np.asarray(part.frames[key]) for part in parts])
    for key in first.frames
  }
  runs = {}
  for key in ("first", "last"):
    shifted = [part.runs[key] + s for part, s in zip(parts, starts, strict=True)]
    runs[key] = np.concatenate(shifted).astype(np.int32)
  # What a part does not say of itself, it has.
  said = [key for key in _KNOWN if any(key in part.runs for part in parts)]
  for key in said:
    known = [part.runs.get(key, np.ones(len(part.views), np.float32)) for part in parts]
    runs[key] = np.concatenate(known)
  for key in ("camera_rotation", "camera_position"):
    if all(key in part.runs for part in parts):
      runs[key] = np.concatenate([part.runs[key] for part in parts])
  views = tuple(view for part in parts for view in part.views)
  return PoseData(frames, runs, views, first.skeleton)


class MixedOrder:
  """Batches of a fixed number of windows of each part; a function of the step.

  The windows of the first part come first, and each part has epochs of its own.
  """

  def __init__(self, parts: Sequence[PoseData], orders: Sequence[TrainingOrder]):
    """Takes the parts as `join` does, and the order within each."""
    frames = np.cumsum([0] + [part.num_frames for part in parts[:-1]])
    runs = np.cumsum([0] + [len(part.views) for part in parts[:-1]])
    self._orders = list(zip(orders, frames, runs, strict=True))

  @property
  def steps_per_epoch(self) -> int:
    """Steps in which the part that takes longest is seen about once."""
    return max(order.steps_per_epoch for order, _, _ in self._orders)

  def __call__(self, step: int) -> Index:
    """The index of the batch of a step (from 0), into the joined data."""
    found = []
    for order, frame, run in self._orders:
      index = order(step)
      found.append((index.centre + frame, index.run + run, index.flip))
    centre, run, flip = (np.concatenate(x) for x in zip(*found, strict=True))
    return Index(centre.astype(np.int32), run.astype(np.int32), flip)
