"""The report of a multi-view evaluation: its numbers, its table, its protocols.

Protocols on clips of several views are described with what is compared and what a
number means. `Truth` is the ground truth of the scored frames, `Scores` the numbers.
"""

import collections
import dataclasses
import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxpose.data.view_data import MultiviewData
from jaxpose.draw import view_draw
from jaxpose.metrics import protocols
from jaxpose.metrics.protocols import ProtocolResult
from jaxpose.metrics.protocols import SequencePrediction
from jaxpose.tasks import view_batches


class Truth(NamedTuple):
  """What predictions are compared with, by clip and frame.

  Attributes:
    targets: of `view_batches.with_targets`, with axes (n, v, t) or (n, t).
    data: the split.
    scored: (n, t) bool, frames that count.
  """

  targets: dict[str, np.ndarray]
  data: MultiviewData
  scored: np.ndarray


def protocol_results(
  truth: Truth,
  names: Sequence[str],
  joints: np.ndarray,
  absolute: np.ndarray | None = None,
) -> dict[str, ProtocolResult]:
  """Of one predictor under each protocol, without the metrics that it has no part in.

  Args:
    truth: what it is compared with.
    names: protocols.
    joints: (n, t, j, 3) metres relative to the root.
    absolute: (n, t, j, 3) metres in the world; NaN where it cannot say. Unless it says
      so of every frame that counts, it has no absolute error.
  """
  items = protocol_sequences(truth, joints, absolute)
  everywhere = all(
    item.absolute is not None and np.isfinite(item.absolute[item.valid]).all()
    for item in items
  )
  found = {}
  for name in names:
    protocol = protocols.get(name)
    if not everywhere:
      kept = tuple(m for m in protocol.metrics if m != "absolute_mpjpe")
      protocol = dataclasses.replace(protocol, metrics=kept)
    found[name] = protocols.score(protocol, items)
  return found


def protocol_sequences(truth: Truth, joints, absolute=None) -> list[SequencePrediction]:
  """The clips; those that continue one another, such as parts of a take, are joined."""
  data, target = truth.data, truth.data.clips["joints_3d"]
  valid = truth.scored & truth.targets["joints_3d_valid"].all(-1)
  runs: list[list[int]] = []
  # Data sets may be shuffled; parts of a take are named in their order.
  order = sorted(range(len(data.sources)), key=lambda i: data.sources[i].sequence)
  for i in order:
    source = data.sources[i]
    if runs and _continues(data.sources[runs[-1][-1]], source):
      runs[-1].append(i)
    else:
      runs.append([i])

  def joined(array, run):
    parts = [array[i, : int(data.lengths[i])] for i in run]
    return np.concatenate(parts)

  items = []
  for run in runs:
    counted = joined(valid, run)
    if not counted.any():
      continue
    source = data.sources[run[0]]
    frame_ids = np.asarray([n for i in run for n in data.sources[i].frame_ids])
    items.append(
      SequencePrediction(
        joined(np.asarray(joints), run),
        joined(target, run),
        source.subject,
        source.action,
        counted,
        frame_ids=frame_ids if frame_ids.size else None,
        absolute=None if absolute is None else joined(absolute, run),
      )
    )
  return items


def _continues(first, second) -> bool:
  same = ("subject", "action", "cameras", "fps")
  if len(first.frame_ids) < 2 or not second.frame_ids:
    return False
  step = first.frame_ids[1] - first.frame_ids[0]
  return second.frame_ids[0] == first.frame_ids[-1] + step and all(
    getattr(first, name) == getattr(second, name) for name in same
  )


def missing(data: MultiviewData, split: str, *, pictures: bool) -> str:
  """What of the split cannot be scored, in a sentence; nothing if all can.

  Args:
    data: the split.
    split: its name.
    pictures: the network says 2D poses too.

  Raises:
    ValueError: nothing can be scored.
  """
  clips = data.clips
  joints = (clips["joints_valid"].all(-1) & clips["frame_mask"]).any()
  points = (clips["keypoints_valid"] & clips["view_mask"][..., None]).any()
  if not joints and not (points and pictures):
    only = "" if pictures else " (a lifter alone says nothing of 2D)"
    raise ValueError(
      f"split {split!r}: got clips without a whole 3D pose"
      f"{' or a 2D joint' if pictures else ''}, expected some to compare with{only}; "
      "add joints_3d or 2D labels to the data, or predict without scores by "
      "python -m jaxpose.predict."
    )
  if not joints:
    return "2D only: no frame of this split has a whole 3D pose, so 3D is not scored."
  if pictures and not points:
    return "Not scored in the pictures: this split has no joints there."
  return ""


def setting(data: MultiviewData, window: int, *, causal: bool, keypoints: str) -> str:
  """What a number depends on besides the protocol, in a sentence or two.

  Args:
    data: the split.
    window: frames of the input.
    causal: nothing depends on later frames.
    keypoints: where the 2D poses come from.
  """
  boxes = collections.Counter(
    s.box_source or "as the data has them" for s in data.sources
  )
  told = ", ".join(
    name if len(boxes) == 1 else f"{name} ({count} clips)"
    for name, count in boxes.items()
  )
  rates = sorted({round(source.fps, 2) for source in data.sources})
  rate = " or ".join(f"{fps:g}" for fps in rates)
  short = int(data.lengths[data.lengths < window].sum())
  lost = f" {short:,} frames of clips shorter than T are not scored." if short else ""
  frames = "1 frame" if window == 1 else f"{window} frames"
  order = "causal" if causal else "not causal"
  return (
    f"Boxes: {told}. 2D: {keypoints}. T = {frames} at {rate} per second, {order}; each "
    f"frame is predicted once, wherever in the window it is. V = {data.num_views} "
    f"views unless said otherwise. No flip.{lost}"
  )


def describe_protocol(
  result: ProtocolResult, told: str, subjects: Sequence[str] = ()
) -> str:
  """All that a result means, and its table by action, as Markdown.

  Args:
    result: of a protocol.
    told: the sentences of `setting`.
    subjects: that are in the data.
  """
  protocol = result.protocol
  groups = f"{len(result.table)} {protocol.rows.replace('_', ' and ')}"
  who = f", subjects {', '.join(sorted(set(subjects)))}" if any(subjects) else ""
  return (
    f"{protocols.describe(protocol)}\n\n{told} Scored: "
    f"{sum(result.frames.values()):,} frames of all views together, {groups}{who}."
    "\n\n" + protocols.format_table(result)
  )


Scores = dict[str, float]


def truth(data: MultiviewData, scored: np.ndarray) -> Truth:
  """Of the frames that are scored."""
  return Truth(view_batches.with_targets(data.clips, data.skeleton), data, scored)


def mean_poses(train: MultiviewData) -> dict[str, np.ndarray]:
  """The mean pose in the world, joints_3d (j, 3), and in crops, keypoints_2d (j, 2).

  What no frame knows is left out.
  """
  targets = view_batches.with_targets(train.clips, train.skeleton)
  valid = targets["joints_3d_valid"] & train.clips["frame_mask"][..., None]
  known = targets["keypoints_known"]
  weights = dict(joints_3d=valid, keypoints_2d=known)
  return {
    key: _mean(targets[key], weight) for key, weight in weights.items() if weight.any()
  }


def score(
  truth: Truth,
  chosen: Sequence[tuple[int, ...]],
  names: Sequence[str],
  *,
  joints_3d: np.ndarray | None = None,
  keypoints_2d: np.ndarray | None = None,
  kept: np.ndarray | None = None,
  grid: tuple[int, int] | None = None,
  fewest: int = 1,
  whole: Mapping[str, protocols.ProtocolResult] | None = None,
) -> Scores:
  """Scores of a predictor by column; those of 3D first.

  Args:
    truth: what it is compared with.
    chosen: views of each 3D prediction, all of them last.
    names: protocols.
    joints_3d: (n, t, s, j, 3) metres relative to the root, one for each of `chosen`.
    keypoints_2d: (n, t, v, j, 2) crop units, or what broadcasts to it.
    kept: (n, t, v, k) patches that were kept.
    grid: rows and columns of patches.
    fewest: views that the predictor needs.
    whole: results of `joints_3d` with all views by protocol.
  """
  scores = {}
  if whole:
    scores |= _scores_3d(truth, chosen, names, joints_3d, fewest, whole)
  if keypoints_2d is not None:
    scores |= _scores_2d(truth, keypoints_2d)
  if kept is not None and truth.targets["keypoints_visible"].any():
    scores["kept_recall"] = 100 * kept_recall(truth, kept, grid)
  return scores


def columns(
  names: Sequence[str], chosen: Sequence[tuple[int, ...]]
) -> dict[str, tuple[str, str]]:
  """Column -> title and unit, in the order of the table."""
  found = dict(
    keypoints_px=("2D", "px"),
    keypoints_box=("2D", "% of box"),
    keypoints_visible_box=("2D, visible joints", "% of box"),
  )
  sizes = sorted({len(choice) for choice in chosen})
  used = collections.Counter(m for name in names for m in protocols.get(name).metrics)
  for i, name in enumerate(names):
    for metric in protocols.get(name).metrics:
      headline = metric == protocols.get(name).metrics[0]
      for size in sizes if i == 0 and headline else sizes[-1:]:
        views = "1 view" if size == 1 else f"{size} views"
        which = f", {name}" if used[metric] > 1 else ""
        key = _key(name, size, sizes[-1]) if headline else f"{name}_{metric}"
        title = f"3D {protocols.symbol(metric)}, {views}{which}"
        found[key] = (title, protocols.PRINTED[metric][1])
  return found | dict(kept_recall=("visible joints in kept patches", "%"))


def markdown(rows: dict[str, Scores], columns: dict[str, tuple[str, str]]) -> str:
  """A row per predictor; a dash is what it cannot do."""
  used = [name for name in columns if any(name in row for row in rows.values())]
  head = [f"{columns[name][0]} ({columns[name][1]})" for name in used]
  width = max(map(len, rows))
  lines = [f"| {'':{width}} | {' | '.join(head)} |"]
  rule = "|".join("-" * (len(h) + 1) + ":" for h in head)
  lines.append(f"|{'-' * (width + 2)}|{rule}|")
  for label, row in rows.items():
    cells = [
      f"{row[name]:{len(h)}.1f}" if name in row else f"{'-':>{len(h)}}"
      for name, h in zip(used, head, strict=True)
    ]
    lines.append(f"| {label:{width}} | {' | '.join(cells)} |")
  return "\n".join(lines)


def kept_recall(truth: Truth, kept: np.ndarray, grid: tuple[int, int]) -> float:
  """Share of the visible joints that lie in a patch that was kept; 1 if there is none.

  Args:
    truth: with the joints.
    kept: (n, t, v, k).
    grid: rows and columns of patches.
  """
  rows, columns_ = grid
  points = truth.targets["keypoints_2d"].swapaxes(1, 2)
  visible = truth.targets["keypoints_visible"].swapaxes(1, 2)
  visible = visible & truth.scored[..., None, None]
  x, y = (
    np.clip(np.floor((points[..., i] + 1) / 2 * count), 0, count - 1).astype(np.int64)
    for i, count in ((0, columns_), (1, rows))
  )
  stays = np.zeros((*kept.shape[:-1], rows * columns_), bool)
  np.put_along_axis(stays, kept.astype(np.int64), True, -1)
  found = np.take_along_axis(stays, y * columns_ + x, -1)
  return float(found[visible].mean()) if visible.any() else 1.0


def _scores_3d(truth, chosen, names, joints_3d, fewest, whole) -> Scores:
  scores, sizes = {}, sorted({len(choice) for choice in chosen})
  for i, name in enumerate(names):
    # All views first: what the best checkpoint is chosen by.
    result = whole[name]
    headline, *others = result.protocol.metrics
    scores[name] = result.total
    scores |= {f"{name}_{metric}": result.totals[metric] for metric in others}
    for size in sizes[-2::-1] if i == 0 else ():
      if size < fewest:
        continue
      protocol = dataclasses.replace(result.protocol, metrics=(headline,))
      which = [s for s, choice in enumerate(chosen) if len(choice) == size]
      items = [
        item for s in which for item in protocol_sequences(truth, joints_3d[:, :, s])
      ]
      scores[_key(name, size, sizes[-1])] = protocols.score(protocol, items).total
  return scores


def _scores_2d(truth: Truth, points) -> Scores:
  clips = truth.data.clips
  target = truth.targets["keypoints_2d"].swapaxes(1, 2)
  points = np.broadcast_to(points, target.shape)
  share = view_batches.box_share(points, target, truth.data.scale)
  counted = (clips["view_mask"] & truth.scored[..., None])[..., None]
  known = clips["keypoints_valid"] & counted
  visible = clips["visible"] & counted
  side = clips["boxes"][..., 2:].max(-1)[..., None]
  scores = {}
  if known.any():
    scores["keypoints_px"] = float((share * side)[known].mean())
    scores["keypoints_box"] = 100 * float(share[known].mean())
  if visible.any():
    scores["keypoints_visible_box"] = 100 * float(share[visible].mean())
  return scores


def _key(name: str, views: int, most: int) -> str:
  return name if views == most else f"{name}_{views}_views"


def _mean(values, weight):
  weight = weight[..., None].astype(np.float64)
  axes = tuple(range(values.ndim - 2))
  return ((weight * values).sum(axes) / np.maximum(weight.sum(axes), 1)).astype(
    np.float32
  )


@dataclasses.dataclass(frozen=True)
class MultiviewScored:
  """Outcome of an evaluation.

  Attributes:
    rows: label of a predictor (the baselines, then the model) to its scores by column.
    columns: name of a column -> its title and unit; what a row lacks it cannot do.
    data: the split.
    predicted: of the model with all views, by clip and frame: joints_3d (n, t, j, 3)
      world axes, relative to the root; keypoints_2d (n, t, v, j, 2) crop units; kept
      (n, t, v, k); some of them; scored (n, t) bool, frames that were predicted.
    grid: rows and columns of patches, if there are images.
    results: label of a predictor to its 3D results with all views, by protocol.
    setting: what the numbers depend on besides the protocol.
    missing: a sentence on what cannot be scored, for the split does not know it.
  """

  rows: dict[str, Scores]
  columns: dict[str, tuple[str, str]]
  data: MultiviewData
  predicted: dict[str, np.ndarray]
  grid: tuple[int, int] | None
  results: dict[str, dict[str, ProtocolResult]]
  setting: str
  missing: str = ""

  @property
  def num_frames(self) -> int:
    """Frames that are scored; each has several views."""
    return int(self.predicted["scored"].sum())

  @property
  def numbers(self) -> dict[str, tuple[float, str]]:
    """Of the model: column to score and unit."""
    scores = self.rows[list(self.rows)[-1]]
    return {name: (scores[name], self.columns[name][1]) for name in scores}

  def table(self) -> str:
    """Markdown: a row per predictor, and what is not scored."""
    table = markdown(self.rows, self.columns)
    return f"{table}\n\n{self.missing}" if self.missing else table

  def describe(self, name: str) -> str:
    """Markdown: what the model's number under a protocol means, and its table."""
    result = self.results[list(self.rows)[-1]][name]
    subjects = [source.subject for source in self.data.sources]
    return describe_protocol(result, self.setting, subjects)

  def draw(self, path: str | os.PathLike, *, title: str = "") -> None:
    """Writes a picture of the model's poses."""
    view_draw.comparison(path, self, title)
