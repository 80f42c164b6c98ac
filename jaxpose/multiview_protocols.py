"""Protocols on clips of several views: what is compared, and what a number means."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxpose import protocols
from jaxpose.multiview_data import MultiviewData
from jaxpose.protocols import ProtocolResult
from jaxpose.protocols import SequencePrediction


class Truth(NamedTuple):
  """What predictions are compared with, by clip and frame.

  Attributes:
    targets: of `multiview_batches.with_targets`, with axes (n, v, t) or (n, t).
    data: the split.
    scored: (n, t) bool, frames that count.
  """

  targets: dict[str, np.ndarray]
  data: MultiviewData
  scored: np.ndarray


def results(
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
  items = sequences(truth, joints, absolute)
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


def sequences(truth: Truth, joints, absolute=None) -> list[SequencePrediction]:
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


def describe(result: ProtocolResult, told: str, subjects: Sequence[str] = ()) -> str:
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
