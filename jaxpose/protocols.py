"""Published evaluation protocols, each one named entry, and the scoring by them.

A number is only comparable under the same joints, root handling, alignment and
averaging; an entry of `PROTOCOLS` says all four. Scoring is NumPy in float64.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import metrics
from jaxpose import skeletons


@dataclasses.dataclass(frozen=True)
class Protocol:
  """What a score means.

  Attributes:
    name: key in `PROTOCOLS`.
    metrics: names in `metrics.METRICS`; the first is the headline.
    skeleton: joint order that predictions and targets are in.
    root: what happens to the root joint before the metric. "as predicted": the target
      is root relative, the prediction counts as it is. "zeroed": the same, but the
      predicted root joint itself is set to 0. "re-centred": the predicted root is
      subtracted from every predicted joint. "hips re-centred": from both the middle of
      the two hips is subtracted, in place of the root.
    averaging: of the frames' numbers: "frames" (all pooled), or the unweighted mean
      over "actions" or "subjects_actions" of each group's mean over frames.
    rows: groups of the table: "actions", "subjects" or "subjects_actions".
    source: publication.
    note: deviations and choices worth knowing.
    score_joints: joints that `pck` and `auc` count; None means all. The other metrics
      always use all.
    frame_stride: 1 scores every frame, n every n-th of each sequence.
    last_chunk: of each group, only the sequences of its last raw action name count.
  """

  name: str
  metrics: tuple[str, ...]
  skeleton: str
  root: str
  averaging: str
  rows: str
  source: str
  note: str = ""
  score_joints: tuple[int, ...] | None = None
  frame_stride: int = 1
  last_chunk: bool = False

  @property
  def alignment(self) -> str:
    """What is fitted per frame first: "none", "scale" or "similarity"."""
    fitted = dict(pa_mpjpe="similarity", n_mpjpe="scale")
    return fitted.get(self.metrics[0], "none")

  @property
  def joints(self) -> tuple[str, ...]:
    """Names of the scored joints."""
    return skeletons.get(self.skeleton).joints

  @property
  def unit(self) -> str:
    """Unit of the headline metric."""
    return _PRINTED[self.metrics[0]][1]


@dataclasses.dataclass(frozen=True)
class SequencePrediction:
  """Predicted and true poses of one sequence seen by one camera.

  Attributes:
    pred: root-relative metres, camera frame.
    target: metres, camera frame; its root is subtracted by the protocol.
    subject: name of the person.
    action: name; a trailing take number ("Walking 1") is removed for grouping.
    valid: frames that count; None means all.
    vertex_error: mean distance of the vertices in each frame, metres; what `mpvpe`
      needs.
  """

  pred: Float[np.ndarray, "t j 3"]
  target: Float[np.ndarray, "t j 3"]
  subject: str
  action: str
  valid: Bool[np.ndarray, " t"] | None = None
  vertex_error: Float[np.ndarray, " t"] | None = None


@dataclasses.dataclass(frozen=True)
class ProtocolResult:
  """Scores in the protocol's units.

  Attributes:
    protocol: that was applied.
    totals: metric name to total.
    table: row name to metric name to score.
    frames: row name to number of frames scored.
  """

  protocol: Protocol
  totals: dict[str, float]
  table: dict[str, dict[str, float]]
  frames: dict[str, int]

  @property
  def total(self) -> float:
    """Total of the headline metric."""
    return self.totals[self.protocol.metrics[0]]


# Metric: how a paper prints it, its unit, and that unit's multiple of the metric's own.
_PRINTED = dict(
  mpjpe=("MPJPE", "mm", 1000),
  pa_mpjpe=("PA-MPJPE", "mm", 1000),
  n_mpjpe=("N-MPJPE", "mm", 1000),
  velocity_error=("MPJVE", "mm/frame", 1000),
  acceleration_error=("Accel", "mm/frame²", 1000),
  mpvpe=("MPVPE", "mm", 1000),
  pck=("PCK@150mm", "%", 100),
  auc=("AUC", "%", 100),
)

_H36M = dict(
  skeleton="h36m17",
  root="as predicted",
  averaging="actions",
  rows="actions",
  source="Pavllo et al., CVPR 2019 (VideoPose3D); Human3.6M, test subjects S9 and S11",
  note="The predicted root is not re-centred: its small error counts as one of the 17 "
  "joints, as in the published code. Takes, subjects and cameras of an action are "
  "pooled by frames, then actions are averaged unweighted.",
)

_HUMANEVA = dict(
  skeleton="humaneva15",
  root="as predicted",
  averaging="subjects_actions",
  rows="subjects_actions",
  source="Sigal et al., IJCV 2010 (HumanEva-I); Pavllo et al., CVPR 2019",
  note="All chunks of an action are pooled by frames.",
)

_CMU = dict(
  skeleton="h36m17",
  root="re-centred",
  averaging="frames",
  rows="actions",
  source="jaxpose; CMU motion capture and synthetic motion under virtual cameras",
  note="17 joints, the root among them with error 0; every valid frame weighs alike.",
)

_MPI3DHP = dict(
  skeleton="mpi3dhp17",
  root="zeroed",
  averaging="frames",
  rows="subjects",
  source="Mehta et al., 3DV 2017 (MPI-INF-3DHP); Shan et al., ECCV 2022 (P-STMO)",
  note="MPJPE over 17 joints, the root (joint 14) among them with error 0. PCK "
  "(strictly below 150 mm) and AUC (31 thresholds, 0 to 150 mm) over 14 joints in 8 "
  "groups weighted by their joints. The subjects are TS1 to TS6, weighted by frames.",
  score_joints=tuple(j for group in metrics.MPI3DHP_GROUPS.values() for j in group),
)

_MESH = dict(
  averaging="frames",
  rows="subjects",
  source="Shen et al., CVPR 2023 (GLoT); Kocabas et al., CVPR 2020 (VIBE)",
)
_ACCELERATION = (
  "The acceleration error, not divided by the squared frame time, counts at each valid "
  "frame but the first and last of a video, whether its neighbours are valid or not."
)
_MESH14 = _MESH | dict(
  skeleton="lsp14",
  root="hips re-centred",
  note="14 joints that the Human3.6M regressor takes from the predicted mesh. "
  + _ACCELERATION,
)
_VERTICES = _MESH | dict(
  skeleton="lsp14",
  root="as predicted",
  note="All vertices of the predicted and the true body, root orientation included, "
  "neither moved nor aligned: each body is where its model puts it.",
)
_MESH17 = _MESH | dict(
  skeleton="mpi3dhp17",
  root="re-centred",
  note="17 of the body's 49 joints in the order of the test set. " + _ACCELERATION,
)

_LAST_CHUNK = dict(
  last_chunk=True,
  note="Compatibility only, not a fair score: of each subject and action just the last "
  "chunk is evaluated, which is what GLA-GCN's released per-subject mode does.",
)

PROTOCOLS: dict[str, Protocol] = {
  protocol.name: protocol
  for protocol in (
    Protocol("h36m_p1", ("mpjpe",), **_H36M),
    Protocol("h36m_p2", ("pa_mpjpe",), **_H36M),
    Protocol("h36m_p3", ("n_mpjpe",), **_H36M),
    Protocol("h36m_mpjve", ("velocity_error",), **_H36M),
    Protocol("humaneva_p1", ("mpjpe",), **_HUMANEVA),
    Protocol("humaneva_p2", ("pa_mpjpe",), **_HUMANEVA),
    Protocol("humaneva_p1_last_chunk", ("mpjpe",), **_HUMANEVA | _LAST_CHUNK),
    Protocol("mpi3dhp", ("mpjpe", "pck", "auc"), **_MPI3DHP),
    Protocol("mesh14_p1", ("mpjpe",), **_MESH14),
    Protocol("mesh14_p2", ("pa_mpjpe",), **_MESH14),
    Protocol("mesh14_accel", ("acceleration_error",), **_MESH14),
    Protocol("mesh_vertices", ("mpvpe",), **_VERTICES),
    Protocol("mpi3dhp_mesh_p1", ("mpjpe",), **_MESH17),
    Protocol("mpi3dhp_mesh_p2", ("pa_mpjpe",), **_MESH17),
    Protocol("mpi3dhp_mesh_accel", ("acceleration_error",), **_MESH17),
    Protocol("cmu_p1", ("mpjpe",), **_CMU),
    Protocol("cmu_p2", ("pa_mpjpe",), **_CMU),
    Protocol("cmu_p3", ("n_mpjpe",), **_CMU),
    Protocol("cmu_mpjve", ("velocity_error",), **_CMU),
  )
}


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
  rows: dict[str, list[tuple[str, np.ndarray]]] = {}
  for item in predictions:
    row = _row(protocol, item)
    rows.setdefault(row, []).append((item.action, _sums(protocol, item)))
  if protocol.last_chunk:
    for row, parts in rows.items():
      rows[row] = [part for part in parts if part[0] == parts[-1][0]]
  # Per row and metric: the sum over frames and the number of frames.
  sums = {row: np.sum([s for _, s in parts], axis=0) for row, parts in rows.items()}
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
      metric: float(value * _PRINTED[metric][2])
      for metric, value in zip(protocol.metrics, values, strict=True)
    }

  return ProtocolResult(
    protocol,
    named(total),
    {row: named(values) for row, values in means.items()},
    {row: int(s[0, 1]) for row, s in sums.items()},
  )


def format_table(result: ProtocolResult, decimals: int = 1) -> str:
  """A Markdown table as papers print it: a column per row of the result, then the mean.

  The last column is named after the averaging ("Avg." over groups, "All" over frames).
  """
  protocol = result.protocol
  last = "All" if protocol.averaging == "frames" else "Avg."
  lines = [f"| {protocol.name} | {' | '.join(result.table)} | {last} |"]
  lines.append("|---|" + "---:|" * (len(result.table) + 1))
  for metric in protocol.metrics:
    symbol, unit, _ = _PRINTED[metric]
    numbers = [*(row[metric] for row in result.table.values()), result.totals[metric]]
    cells = " | ".join(f"{number:.{decimals}f}" for number in numbers)
    lines.append(f"| {symbol} ({unit}) | {cells} |")
  return "\n".join(lines)


def symbol(metric: str) -> str:
  """How papers print a metric: "MPJPE", "PA-MPJPE" and so on."""
  return _PRINTED[metric][0]


def action_name(action: str) -> str:
  """The action without its take and chunk numbers: "Walking 1 chunk0" is "Walking"."""
  return re.sub(r"(\s+(\d+|chunk\d+))+$", "", action)


def _row(protocol: Protocol, item: SequencePrediction) -> str:
  action = action_name(item.action)
  both = f"{item.subject} {action}"
  rows = dict(actions=action, subjects=item.subject, subjects_actions=both)
  return rows[protocol.rows]


def _sums(protocol: Protocol, item: SequencePrediction) -> np.ndarray:
  """(metrics, 2): sum over the valid frames and their number."""
  pred, target, valid = _checked(protocol, item)
  skeleton = skeletons.get(protocol.skeleton)
  root = skeleton.root
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
  return np.asarray(
    [
      _vertex_sum(item, valid)
      if metric == "mpvpe"
      else _metric_sum(protocol, metric, pred, target, valid)
      for metric in protocol.metrics
    ]
  )


def _vertex_sum(item: SequencePrediction, valid) -> tuple[float, int]:
  if item.vertex_error is None:
    raise ValueError(
      f"sequence of subject {item.subject!r}: got joints alone, expected vertex errors "
      "too for MPVPE; score a model that predicts a body."
    )
  return float(item.vertex_error[valid].sum()), int(valid.sum())


def _metric_sum(protocol, metric, pred, target, valid) -> tuple[float, int]:
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
  if metric in ("pck", "auc") and protocol.score_joints is not None:
    joints = list(protocol.score_joints)
    pred, target = pred[:, joints], target[:, joints]
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
  stride = slice(None, None, protocol.frame_stride)
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
