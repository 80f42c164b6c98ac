"""The numbers and the table of a multi-view evaluation."""

import collections
import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from jaxpose import multiview_batches
from jaxpose import multiview_protocols
from jaxpose import protocols
from jaxpose.multiview_data import MultiviewData
from jaxpose.multiview_protocols import Truth

Scores = dict[str, float]


def truth(data: MultiviewData, scored: np.ndarray) -> Truth:
  """Of the frames that are scored."""
  return Truth(multiview_batches.with_targets(data.clips, data.skeleton), data, scored)


def mean_poses(train: MultiviewData) -> dict[str, np.ndarray]:
  """The mean pose in the world, joints_3d (j, 3), and in crops, keypoints_2d (j, 2).

  What no frame knows is left out.
  """
  targets = multiview_batches.with_targets(train.clips, train.skeleton)
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
        item
        for s in which
        for item in multiview_protocols.sequences(truth, joints_3d[:, :, s])
      ]
      scores[_key(name, size, sizes[-1])] = protocols.score(protocol, items).total
  return scores


def _scores_2d(truth: Truth, points) -> Scores:
  clips = truth.data.clips
  target = truth.targets["keypoints_2d"].swapaxes(1, 2)
  points = np.broadcast_to(points, target.shape)
  share = multiview_batches.box_share(points, target, truth.data.scale)
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
