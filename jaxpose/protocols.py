"""Published evaluation protocols, each one named entry, and the scoring by them.

A number is only comparable under the same joints, root handling, alignment and
averaging, of the same frames; an entry of `PROTOCOLS` says it all. Scoring is NumPy in
float64.
"""

import difflib
from collections.abc import Iterable

import numpy as np

from jaxpose import metrics
from jaxpose import skeletons
from jaxpose.protocol_table import PROTOCOLS
from jaxpose.protocol_types import PRINTED
from jaxpose.protocol_types import Protocol
from jaxpose.protocol_types import ProtocolResult
from jaxpose.protocol_types import SequencePrediction
from jaxpose.protocol_types import action_name
from jaxpose.protocol_types import describe as describe


def get(name: str) -> Protocol:
  """The protocol of that name; ValueError with the nearest names if there is none."""
  if name not in PROTOCOLS:
    near = ", ".join(difflib.get_close_matches(name, PROTOCOLS, 3, 0.0))
    raise ValueError(
      f"unknown protocol {name!r}; nearest: {near}; known: {', '.join(PROTOCOLS)}."
    )
  return PROTOCOLS[name]


def score(
  protocol: Protocol | str, predictions: Iterable[SequencePrediction]
) -> ProtocolResult:
  """Scores sequences by a protocol; a group without a valid frame has no row.

  Raises:
    ValueError: nothing to score, wrong shapes, or a prediction or target that is not
      finite.
  """
  protocol = get(protocol) if isinstance(protocol, str) else protocol
  rows: dict[str, list[tuple[str, np.ndarray, np.ndarray]]] = {}
  for item in predictions:
    if (item.subject, item.action) in protocol.left_out:
      continue
    row = _row(protocol, item)
    rows.setdefault(row, []).append((item.action, *_sums(protocol, item)))
  if protocol.last_chunk:
    for row, parts in rows.items():
      rows[row] = [part for part in parts if part[0] == parts[-1][0]]
  # Per row and metric: the sum over frames and the number of frames.
  rows = {row: rows[row] for row in _ordered(protocol, rows)}
  sums = {row: np.sum([s for _, s, _ in parts], axis=0) for row, parts in rows.items()}
  sums = {row: s for row, s in sums.items() if s[:, 1].all()}
  if not sums:
    raise ValueError(
      f"protocol {protocol.name!r} got no valid frame to score, expected at least one "
      "(two in a row for a velocity, three for an acceleration); check that the split "
      "is not empty and that its frames are not all masked."
    )
  means = {row: s[:, 0] / s[:, 1] for row, s in sums.items()}
  if protocol.averaging == "frames":
    pooled = np.sum(list(sums.values()), axis=0)
    total = pooled[:, 0] / pooled[:, 1]
  else:
    total = np.mean(list(means.values()), axis=0)

  def named(values):
    return {
      metric: float(value * PRINTED[metric][2])
      for metric, value in zip(protocol.metrics, values, strict=True)
    }

  groups = np.sum([g for row in sums for _, _, g in rows[row]], axis=0)
  joint_table = {
    name: named(group[:, 0] / group[:, 1])
    for (name, _), group in zip(protocol.joint_groups, groups, strict=True)
  }
  return ProtocolResult(
    protocol,
    named(total),
    {row: named(values) for row, values in means.items()},
    {row: int(s[0, 1]) for row, s in sums.items()},
    joint_table,
  )


def format_table(result: ProtocolResult, decimals: int = 1) -> str:
  """Markdown as papers print it: a column per row of the result, then the mean.

  The last column is named after the averaging ("Avg." over groups, "All" over frames).
  A protocol with groups of joints has a second table of these.
  """
  tables = [t for t in (result.table, result.joint_table) if t]
  return "\n\n".join(_markdown(result, table, decimals) for table in tables)


def _markdown(result: ProtocolResult, table: dict, decimals: int) -> str:
  protocol = result.protocol
  last = "All" if protocol.averaging == "frames" else "Avg."
  lines = [f"| {protocol.name} | {' | '.join(table)} | {last} |"]
  lines.append("|---|" + "---:|" * (len(table) + 1))
  for metric in protocol.metrics:
    symbol, unit, _ = PRINTED[metric]
    numbers = [*(row[metric] for row in table.values()), result.totals[metric]]
    cells = " | ".join(f"{number:.{decimals}f}" for number in numbers)
    lines.append(f"| {symbol} ({unit}) | {cells} |")
  return "\n".join(lines)


def symbol(metric: str) -> str:
  """How papers print a metric: "MPJPE", "PA-MPJPE" and so on."""
  return PRINTED[metric][0]


def _ordered(protocol: Protocol, rows: Iterable[str]) -> list[str]:
  """Rows as published tables have them, then the others as they come."""
  known = [row for row in protocol.row_order if row in rows]
  return [*known, *(row for row in rows if row not in known)]


def _row(protocol: Protocol, item: SequencePrediction) -> str:
  action = action_name(item.action)
  both = f"{item.subject} {action}"
  rows = dict(actions=action, subjects=item.subject, subjects_actions=both)
  return rows[protocol.rows]


def _sums(protocol: Protocol, item: SequencePrediction):
  """(metrics, 2) sum over the valid frames and their number, and the same by group."""
  pred, target, valid = _checked(protocol, item)
  skeleton = skeletons.get(protocol.skeleton)
  root, place = skeleton.root, target
  if protocol.root == "hips re-centred":
    hips = [skeleton.index("right_hip"), skeleton.index("left_hip")]
    pred = pred - pred[:, hips].mean(1, keepdims=True)
    target = target - target[:, hips].mean(1, keepdims=True)
  else:
    target = target - target[:, root : root + 1]
  if protocol.root == "re-centred":
    pred = pred - pred[:, root : root + 1]
  elif protocol.root == "zeroed":
    pred[:, root] = 0
  sums = []
  for metric in protocol.metrics:
    if metric == "mpvpe":
      sums.append(_vertex_sum(protocol, item, valid))
    elif metric == "absolute_mpjpe":
      sums.append(_absolute_sum(protocol, item, place, valid))
    else:
      scored = metric in ("pck", "auc")
      joints = protocol.score_joints if scored else slice(None)
      sums.append(_metric_sum(metric, pred[:, joints], target[:, joints], valid))
  groups = [
    [
      _metric_sum(m, pred[:, joints], target[:, joints], valid)
      for m in protocol.metrics
    ]
    for joints in map(list, dict(protocol.joint_groups).values())
  ]
  return np.asarray(sums), np.asarray(groups)


def _absolute_sum(protocol, item, target, valid) -> tuple[float, int]:
  if item.absolute is None:
    raise ValueError(
      f"sequence of subject {item.subject!r}, action {item.action!r}: got poses "
      "relative to the root alone, expected absolute ones too for the absolute MPJPE "
      f"of {protocol.name!r}; score a model that says where the person is."
    )
  pred = item.absolute[_stride(protocol, item)].astype(np.float64)[valid]
  bad = int((~np.isfinite(pred)).any((1, 2)).sum())
  if bad:
    raise ValueError(
      f"sequence of subject {item.subject!r}, action {item.action!r}: {bad} of "
      f"{len(pred)} absolute poses are NaN or infinite, expected one for each frame "
      "that counts."
    )
  errors = metrics.mpjpe(pred, target[valid])
  return float(errors.sum()), int(valid.sum())


def _vertex_sum(protocol, item, valid) -> tuple[float, int]:
  if item.vertex_error is None:
    raise ValueError(
      f"sequence of subject {item.subject!r}: got joints alone, expected vertex errors "
      "too for MPVPE; score a model that predicts a body."
    )
  errors = item.vertex_error[_stride(protocol, item)]
  return float(errors[valid].sum()), int(valid.sum())


def _metric_sum(metric, pred, target, valid) -> tuple[float, int]:
  if metric == "velocity_error":
    # Frame-weighted: the sum of the differences between neighbours that both count.
    pairs = valid[1:] & valid[:-1]
    steps = metrics.mpjpe(np.diff(pred, axis=0), np.diff(target, axis=0))
    return float(steps[pairs].sum()), int(pairs.sum())
  if metric == "acceleration_error":
    bends = metrics.mpjpe(np.diff(pred, 2, axis=0), np.diff(target, 2, axis=0))
    counted = valid[1:-1]
    return float(bends[counted].sum()), int(counted.sum())
  pred, target = pred[valid], target[valid]
  return metrics.METRICS[metric](pred, target).sum().item(), len(pred)


def _checked(protocol: Protocol, item: SequencePrediction):
  label = f"sequence of subject {item.subject!r}, action {item.action!r}"
  joints = len(protocol.joints)
  if item.pred.shape != item.target.shape or item.pred.shape[1:] != (joints, 3):
    raise ValueError(
      f"{label}: got predictions {item.pred.shape} and targets {item.target.shape}, "
      f"expected both (frames, {joints}, 3) in the order of {protocol.skeleton!r} for "
      f"the protocol {protocol.name!r}."
    )
  stride = _stride(protocol, item)
  pred = item.pred[stride].astype(np.float64)
  target = item.target[stride].astype(np.float64)
  valid = np.ones(len(pred), bool) if item.valid is None else item.valid[stride]
  for name, poses in dict(predictions=pred, targets=target).items():
    bad = int((~np.isfinite(poses)).any((1, 2))[valid].sum())
    if bad:
      raise ValueError(
        f"{label}: {bad} of {int(valid.sum())} frames of the {name} are NaN or "
        "infinite, expected finite metres; a model that diverged has no score."
      )
  return pred, target, valid


def _stride(protocol: Protocol, item: SequencePrediction):
  """What picks the frames that the protocol scores, valid or not."""
  if item.frame_ids is None or protocol.frame_stride == 1:
    return slice(None, None, protocol.frame_stride)
  step = int(np.diff(item.frame_ids).min(initial=protocol.frame_stride))
  if protocol.frame_stride % step:
    raise ValueError(
      f"sequence of subject {item.subject!r}, action {item.action!r}: got every "
      f"{step}th frame of the recording, expected a step that divides "
      f"{protocol.frame_stride} for the protocol {protocol.name!r}; build the data "
      "with such a step."
    )
  return item.frame_ids % protocol.frame_stride == 0
