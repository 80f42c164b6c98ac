"""Predicts every frame of a split and scores it by protocols, beside baselines."""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec
from jaxtyping import Float
from tqdm import tqdm

from jaxpose import skeletons
from jaxpose.data import detector_errors
from jaxpose.data import pose_data
from jaxpose.data import transforms
from jaxpose.data.pose_data import PoseData
from jaxpose.draw import pose_draw
from jaxpose.metrics import protocols
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons import framing

DEFAULT_PROTOCOLS = ("cmu_p1", "cmu_p2", "cmu_p3", "cmu_mpjve")


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What to score during training; the values of `config.evals`.

  Attributes:
    split: TFDS split.
    data: "NAME" or "NAME/CONFIG" of another data set than the one trained on.
    protocols: names in `jaxpose.metrics.protocols`; the first one decides the best
      checkpoint.
    flip: average with the prediction of the mirrored input.
    every: score every n-th frame of the split. Velocities and accelerations need 1.
    detector: score 2D input with the errors of a detector, `detector_errors.TYPICAL`.
    when: "always" at each `eval_every`, or "end" after the last step only.
    reversed_tail: give the last n predictions of each sequence in reverse order, as
      GLoT's released test script does by mistake (7). For its published numbers only.
  """

  split: str
  protocols: Sequence[str] = DEFAULT_PROTOCOLS
  data: str | None = None
  flip: bool = False
  every: int = 1
  detector: bool = False
  when: str = "always"
  reversed_tail: int = 0

  @property
  def source(self) -> tuple[str, ...]:
    """Split, and name and config of the data if they are given; what loads it."""
    return (self.split, *(self.data.split("/") if self.data else ()))

  def __post_init__(self):
    for name in self.protocols:
      protocol = protocols.get(name)
      over_time = {"velocity_error", "acceleration_error"} & set(protocol.metrics)
      if self.every > 1 and over_time:
        raise ValueError(
          f"got every={self.every} with the protocol {name!r}, expected 1: velocities "
          "and accelerations need neighbouring frames."
        )
    if self.every < 1 or self.when not in ("always", "end"):
      raise ValueError(
        f"got every={self.every} and when={self.when!r}, expected every >= 1 and when "
        "'always' or 'end'."
      )


def make_predict(
  module: nn.Module,
  skeleton: Skeleton,
  *,
  inputs=("keypoints_2d",),
  flip: bool = False,
  framed: bool = False,
) -> Callable:
  """A jitted `(variables, batch) -> (b, j, 3)` root-relative centre poses in metres.

  Args:
    module: a model whose output has `joints_3d` (b, 1, j, 3).
    skeleton: of the keypoints, for the flip.
    inputs: keys of the batch, in the order of the module's arguments.
    flip: average with the un-mirrored prediction of the mirrored input.
    framed: see each window framed, by cameras of the focal length of
      `jaxpose.skeletons.framing`.
  """

  def forward(variables, batch):
    return module.apply(variables, *(batch[key] for key in inputs))["joints_3d"][:, 0]

  def predict(variables, batch):
    pose = forward(variables, batch)
    if not flip:
      return pose
    points = transforms.flip(batch["keypoints_2d"], skeleton)
    other = transforms.flip(
      forward(variables, batch | {"keypoints_2d": points}), skeleton
    )
    return (pose + other) / 2

  def in_frame(variables, batch):
    seen = framing.windows(batch["keypoints_2d"], skeleton)
    return seen.back(predict(variables, batch | {"keypoints_2d": seen.points}))

  return jax.jit(in_frame if framed else predict)


def predict_frames(
  predict: Callable,
  variables: dict,
  data: PoseData,
  window: int,
  *,
  batch_size: int = 256,
  every: int = 1,
  lookahead: int | None = None,
  mesh: Mesh | None = None,
  progress: str | None = None,
) -> tuple[Any, np.ndarray]:
  """Poses of every (or every n-th) frame of the split, each predicted once.

  Args:
    predict: from `make_predict`.
    variables: of the module.
    data: the split.
    window: frames of the input.
    batch_size: windows at a time; the last batch is padded and masked.
    every: stride over frames.
    lookahead: frames of a window after the one that is predicted; None for the half.
    mesh: devices to share a batch over.
    progress: label of a progress bar; None shows none.

  Returns:
    Poses (or what else `predict` gives: a tree of arrays over the batch), and the frame
    numbers they belong to.
  """
  chosen = np.arange(0, data.num_frames, every, dtype=np.int32)
  batch_size = min(batch_size, len(chosen))
  if mesh is not None:
    batch_size += -batch_size % mesh.size
  predicted = []
  batches_ = pose_data.evaluation_order(data, batch_size, chosen)
  total = -(-len(chosen) // batch_size)
  # None shows the bar on a terminal only.
  off = None if progress else True
  bar = tqdm(batches_, progress, total, unit="batch", leave=False, disable=off)
  for index, mask in bar:
    batch = pose_data.gather(data.frames, data.runs, index, window, lookahead)
    if mesh is not None:
      batch = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    out = predict(variables, batch)
    predicted.append(jax.tree.map(lambda x, m=mask: np.asarray(x)[m], out))
  return jax.tree.map(lambda *parts: np.concatenate(parts), *predicted), chosen


def sequence_predictions(
  data: PoseData,
  poses: Float[np.ndarray, "m j 3"],
  frames: np.ndarray,
  vertex_error: Float[np.ndarray, " m"] | None = None,
) -> list[protocols.SequencePrediction]:
  """Poses of frames, put together by run as the protocols want them."""
  run = data.run_of_frame[frames]
  valid = np.ones(len(run), bool)
  if "frame_scored" in data.frames:
    valid = np.asarray(data.frames["frame_scored"])[frames]
  target = np.asarray(data.frames["joints_3d"])[frames]
  edges = np.r_[0, np.flatnonzero(np.diff(run)) + 1, len(run)]
  return [
    protocols.SequencePrediction(
      poses[a:b],
      target[a:b],
      data.views[run[a]].subject,
      data.views[run[a]].action,
      valid[a:b],
      vertex_error=None if vertex_error is None else vertex_error[a:b],
    )
    for a, b in itertools.pairwise(edges)
  ]


def score(
  data: PoseData,
  poses: np.ndarray,
  frames: np.ndarray,
  names: Sequence[str],
  vertex_error: np.ndarray | None = None,
) -> dict[str, protocols.ProtocolResult]:
  """Results of the poses under each named protocol."""
  items = sequence_predictions(data, poses, frames, vertex_error)
  return {name: protocols.score(name, items) for name in names}


def relative_joints(data: PoseData) -> Float[np.ndarray, "n j 3"]:
  """Root-relative joints of every frame, metres, camera frame."""
  joints = np.asarray(data.frames["joints_3d"])
  root = data.skeleton.root
  return joints - joints[:, root : root + 1]


def mean_pose_baseline(train: PoseData, data: PoseData) -> Float[np.ndarray, "n j 3"]:
  """The mean training pose (camera frame, root-relative) for every frame of `data`."""
  mean = relative_joints(train).mean(0)
  return np.broadcast_to(mean, (data.num_frames, *mean.shape))


def linear_baseline(train: PoseData, data: PoseData) -> Float[np.ndarray, "n j 3"]:
  """Single-frame linear least squares from keypoints to pose, fitted on `train`."""

  def features(split):
    points = np.asarray(split.frames["keypoints_2d"], np.float64)
    flat = points.reshape(len(points), -1)
    return np.concatenate([flat, np.ones((len(flat), 1))], 1)

  x, y = features(train), relative_joints(train).reshape(train.num_frames, -1)
  # The normal equations: tens of numbers per frame, hundreds of thousands of frames.
  weights = np.linalg.lstsq(x.T @ x, x.T @ y, rcond=None)[0]
  poses = features(data) @ weights
  return poses.reshape(data.num_frames, -1, 3).astype(np.float32)


def comparison_table(
  rows: dict[str, dict[str, protocols.ProtocolResult]], names: Sequence[str]
) -> str:
  """A Markdown table: a row per predictor, a column per protocol."""
  head = []
  for name in names:
    protocol = protocols.get(name)
    head.append(f"{protocols.symbol(protocol.metrics[0])} ({protocol.unit})")
  width = max(map(len, rows))
  lines = [f"| {'':{width}} | {' | '.join(head)} |"]
  lines.append(
    f"|{'-' * (width + 2)}|" + "|".join("-" * (len(h) + 1) + ":" for h in head) + "|"
  )
  for label, results in rows.items():
    cells = [
      f"{results[n].total:{len(h)}.1f}" for n, h in zip(names, head, strict=True)
    ]
    lines.append(f"| {label:{width}} | {' | '.join(cells)} |")
  return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Scored:
  """Outcome of an evaluation.

  Attributes:
    rows: label of a predictor (the baselines if asked for, then the model) to its
      results by protocol.
    data: the split.
    poses: (m, j, 3) predictions of the model.
    frames: (m,) frame numbers in `data` that they belong to.
    draw: writes a picture of the poses, `draw(path, title=...)`.
  """

  rows: dict[str, dict[str, protocols.ProtocolResult]]
  data: PoseData
  poses: np.ndarray
  frames: np.ndarray
  draw: Callable[..., None]

  @property
  def num_frames(self) -> int:
    """Frames that are scored."""
    return len(self.frames)

  @property
  def numbers(self) -> dict[str, tuple[float, str]]:
    """Of the model: protocol to total and unit."""
    results = self.rows[list(self.rows)[-1]]
    return {name: (r.total, r.protocol.unit) for name, r in results.items()}

  def table(self) -> str:
    """Markdown: a row per predictor, a column per protocol."""
    return comparison_table(self.rows, list(self.numbers))


class Scorer:
  """Evaluates one module; compiles once however often it is called."""

  def __init__(
    self,
    module: nn.Module,
    load: Callable[..., PoseData],
    *,
    window: int,
    lookahead: int | None = None,
    framed: bool = False,
    inputs: Sequence[str] = ("keypoints_2d",),
    mesh: Mesh | None = None,
    batch_size: int = 256,
  ):
    """Takes what the evaluations share.

    Args:
      module: see `make_predict`.
      load: split (and name and config of another data set) to data.
      window: frames of the input.
      lookahead: those of them after the predicted one; None for the half.
      framed: see `make_predict`.
      inputs: keys of the batch, in the order of the module's arguments.
      mesh: devices to share a batch over.
      batch_size: windows at a time.
    """
    self._load, self._window, self._lookahead = load, window, lookahead
    self._mesh, self._batch_size = mesh, batch_size
    self._detected = functools.cache(
      lambda *source: detector_errors.with_errors(load(*source))
    )
    self._predict = functools.cache(
      lambda skeleton, flip: make_predict(
        module,
        skeletons.get(skeleton),
        inputs=tuple(inputs),
        flip=flip,
        framed=framed,
      )
    )

  def __call__(
    self,
    variables: dict,
    evaluation: Evaluation,
    *,
    label: str = "model",
    baselines: str | None = None,
  ) -> Scored:
    """Scores the variables.

    Args:
      variables: of the module.
      evaluation: what to score.
      label: the model's row.
      baselines: split that the baselines are fitted on; None leaves them out.
    """
    load = self._detected if evaluation.detector else self._load
    data = load(*evaluation.source)
    poses, frames = predict_frames(
      self._predict(data.skeleton.name, evaluation.flip),
      variables,
      data,
      self._window,
      batch_size=self._batch_size,
      every=evaluation.every,
      lookahead=self._lookahead,
      mesh=self._mesh,
      progress=evaluation.split,
    )
    rows, names = {}, evaluation.protocols
    if baselines is not None:
      train = load(baselines)
      mean, linear = mean_pose_baseline(train, data), linear_baseline(train, data)
      rows["mean pose"] = score(data, mean[frames], frames, names)
      rows["linear lifter, 1 frame"] = score(data, linear[frames], frames, names)
    rows[label] = score(data, poses, frames, names)
    picture = functools.partial(
      pose_draw.comparison, data=data, poses=poses, frames=frames
    )
    return Scored(rows, data, poses, frames, picture)
