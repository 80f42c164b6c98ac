"""Published evaluation protocols, each one named entry, and the scoring by them.

A number is only comparable under the same joints, root handling, alignment and
averaging, of the same frames; an entry of `PROTOCOLS` fixes them all and names its
source. `Protocol` is such an entry, `SequencePrediction` what it scores. Scoring is
NumPy in float64.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int

from jaxpose import metrics
from jaxpose import skeletons

# Metric: how a paper prints it, its unit, and that unit's multiple of the metric's own.
PRINTED = dict(
  mpjpe=("MPJPE", "mm", 1000),
  absolute_mpjpe=("absolute MPJPE", "mm", 1000),
  pa_mpjpe=("PA-MPJPE", "mm", 1000),
  n_mpjpe=("N-MPJPE", "mm", 1000),
  velocity_error=("MPJVE", "mm/frame", 1000),
  acceleration_error=("Accel", "mm/frame²", 1000),
  mpvpe=("MPVPE", "mm", 1000),
  pck=("PCK@150mm", "%", 100),
  auc=("AUC", "%", 100),
)


# Metric: what is fitted in each frame before it is taken; nothing for the others.
ALIGNED = dict(pa_mpjpe="by a similarity", n_mpjpe="by scale")


@dataclasses.dataclass(frozen=True)
class Protocol:
  """What a score means.

  Attributes:
    name: key in `PROTOCOLS`.
    title: its name in full: benchmark and protocol.
    data: folder under `datasets/` whose test split it is defined on; empty for any.
    split: whose poses, seen by whom.
    valid: which of these frames count, "with ..." or "that ..."; empty if all do.
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
    joint_groups: name -> joints of groups that have scores of their own. If there are
      any, only their joints count in `pck` and `auc`; the other metrics use all.
    frame_stride: 1 scores every frame, n every n-th of each sequence: those whose
      number in the recording is a multiple of n, where that is known.
    last_chunk: of each group, only the sequences of its last raw action name count.
    left_out: subject and raw action of sequences that do not count.
    row_order: rows in the order of published tables; others follow as they come.
  """

  name: str
  metrics: tuple[str, ...]
  title: str
  split: str
  skeleton: str
  root: str
  averaging: str
  rows: str
  source: str
  note: str
  data: str = ""
  valid: str = ""
  joint_groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
  frame_stride: int = 1
  last_chunk: bool = False
  left_out: tuple[tuple[str, str], ...] = ()
  row_order: tuple[str, ...] = ()

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
  def score_joints(self) -> list[int]:
    """Joints that `pck` and `auc` count."""
    grouped = [joint for _, joints in self.joint_groups for joint in joints]
    return grouped or list(range(len(self.joints)))

  @property
  def unit(self) -> str:
    """Unit of the headline metric."""
    return PRINTED[self.metrics[0]][1]


@dataclasses.dataclass(frozen=True)
class SequencePrediction:
  """Predicted and true poses of one sequence, seen by one camera or in the world.

  Attributes:
    pred: root-relative metres, in the axes of `target`.
    target: metres, axes of the camera or the world; its root is subtracted by the
      protocol.
    subject: name of the person.
    action: name; a trailing take number ("Walking 1") is removed for grouping.
    valid: frames that count; None means all.
    vertex_error: mean distance of the vertices in each frame, metres; what `mpvpe`
      needs.
    frame_ids: numbers of the frames in the recording.
    absolute: predictions that are not relative to the root, in the frame of `target`;
      what `absolute_mpjpe` needs.
  """

  pred: Float[np.ndarray, "t j 3"]
  target: Float[np.ndarray, "t j 3"]
  subject: str
  action: str
  valid: Bool[np.ndarray, " t"] | None = None
  vertex_error: Float[np.ndarray, " t"] | None = None
  frame_ids: Int[np.ndarray, " t"] | None = None
  absolute: Float[np.ndarray, "t j 3"] | None = None


@dataclasses.dataclass(frozen=True)
class ProtocolResult:
  """Scores in the protocol's units.

  Attributes:
    protocol: that was applied.
    totals: metric name to total.
    table: row name to metric name to score.
    frames: row name to number of frames scored.
    joint_table: group of joints to metric name to score, over all frames alike; empty
      if the protocol has no groups.
  """

  protocol: Protocol
  totals: dict[str, float]
  table: dict[str, dict[str, float]]
  frames: dict[str, int]
  joint_table: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)

  @property
  def total(self) -> float:
    """Total of the headline metric."""
    return self.totals[self.protocol.metrics[0]]


def describe(protocol: Protocol) -> str:
  """All that a protocol fixes, in full sentences."""
  aligned = ", ".join(
    f"{PRINTED[metric][0]} {ALIGNED.get(metric, 'none')}" for metric in protocol.metrics
  )
  units = ", ".join(f"{PRINTED[m][0]} {PRINTED[m][1]}" for m in protocol.metrics)
  step = protocol.frame_stride
  counted = " ".join(
    filter(None, ["all" if step == 1 else f"1 in {step}", protocol.valid])
  )
  folder = f" of {protocol.data}" if protocol.data else ""
  averaging = protocol.averaging.replace("_", " and ")
  return (
    f"{protocol.title}, {protocol.name}: {len(protocol.joints)} joints "
    f"({protocol.skeleton}), root {protocol.root}, aligned: {aligned}; averaged over "
    f"{averaging}. Split{folder}: {protocol.split}. Frames: {counted}. "
    f"Units: {units}. Source: {protocol.source}. {protocol.note}"
  )


def action_name(action: str) -> str:
  """The action without its take and chunk numbers: "Walking 1 chunk0" is "Walking"."""
  return re.sub(r"(\s+(\d+|chunk\d+))+$", "", action)


# As published tables have them.
_ACTIONS = tuple(
  """
  Directions Discussion Eating Greeting Phoning Photo Posing Purchases Sitting
  SittingDown Smoking Waiting WalkDog Walking WalkTogether
  """.split()
)

_H36M = dict(
  data="human36m",
  split="test subjects S9 and S11, 15 actions, all takes, four cameras, 50 Hz",
  skeleton="h36m17",
  root="as predicted",
  averaging="actions",
  rows="actions",
  row_order=_ACTIONS,
  source="Pavllo et al., CVPR 2019 (VideoPose3D); Ionescu et al., TPAMI 2014",
  note="The predicted root is not re-centred: its small error counts as one of the 17 "
  "joints, as in the published code. Takes, subjects and cameras of an action are "
  "pooled by frames, then actions are averaged unweighted. S11's first Directions is "
  "not in the data; S9's three takes with shifted ground truth count, as published.",
)

_HUMANEVA = dict(
  data="humaneva",
  split="Validate of S1, S2 and S3, Walking, Jog and Box, three cameras",
  skeleton="humaneva15",
  root="as predicted",
  averaging="subjects_actions",
  rows="subjects_actions",
  row_order=tuple(
    f"S{person} {action}"
    for action in ("Walking", "Jog", "Box")
    for person in (1, 2, 3)
  ),
  source="Sigal et al., IJCV 2010 (HumanEva-I); Pavllo et al., CVPR 2019",
  note="All chunks of an action are pooled by frames. The predicted root is not "
  "re-centred: its small error counts as one of the 15 joints. GLA-GCN's paper speaks "
  "of Walking and Jog alone.",
)

_CMU = dict(
  title="Poses seen by one camera",
  split="the split that is scored",
  valid="that the data mark as valid",
  skeleton="h36m17",
  root="re-centred",
  averaging="frames",
  rows="actions",
  source="jaxpose; CMU motion capture and synthetic motion under virtual cameras",
  note="17 joints, the root among them with error 0; every valid frame weighs alike.",
)

_TESTS = dict(data="mpi_inf_3dhp", split="test sequences TS1 to TS6, one camera each")
_MPI3DHP = _TESTS | dict(
  title="MPI-INF-3DHP",
  valid="with valid_frame of the test set",
  skeleton="mpi3dhp17",
  root="zeroed",
  averaging="frames",
  rows="subjects",
  source="Mehta et al., 3DV 2017 (MPI-INF-3DHP); Shan et al., ECCV 2022 (P-STMO)",
  note="MPJPE over 17 joints, the root (joint 14) among them with error 0. PCK "
  "(strictly below 150 mm) and AUC (31 thresholds, 0 to 150 mm) over 14 joints in 8 "
  "groups weighted by their joints; of each group the MPJPE is told too. The subjects "
  "are TS1 to TS6, weighted by frames. The root of both is set to 0, as in GLA-GCN's "
  "script.",
  joint_groups=tuple(metrics.MPI3DHP_GROUPS.items()),
)

_MESH = dict(
  title="Bodies, GLoT's evaluation",
  split="the split that is scored",
  valid="that the data mark as valid",
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

_TAIL = (
  " The published numbers come from a script that gives the last 7 predictions of each "
  "video in reverse order: --reversed_tail=7."
)
_GLOT_3DPW = _MESH14 | dict(
  title="3DPW, GLoT's evaluation",
  data="threedpw",
  split="test, each person of each sequence",
  valid="with valid (campose_valid)",
  rows="actions",
  note=_MESH14["note"]
  + " MPVPE is over all vertices, neither moved nor aligned. The true body is the "
  "neutral SMPL of the database." + _TAIL,
)
_GLOT_H36M = _MESH14 | dict(
  title="Human3.6M, GLoT's evaluation",
  data="human36m",
  split="test subjects S9 and S11, the cameras of the database, 25 Hz",
  valid="with valid, where the database has it",
  rows="actions",
  row_order=_ACTIONS,
  note=_MESH14["note"] + _TAIL,
)
_GLOT_MPI3DHP = (
  _MESH17
  | _TESTS
  | dict(
    title="MPI-INF-3DHP, GLoT's evaluation",
    valid="with valid_i of the database",
    note=_MESH17["note"] + _TAIL,
  )
)

_LAST_CHUNK = dict(
  title="HumanEva-I, protocol 1 as the released code of GLA-GCN pools it",
  last_chunk=True,
  note="Compatibility only, not a fair score: of each subject and action just the last "
  "chunk is evaluated, which is what GLA-GCN's released per-subject mode does.",
)

# As the release names them; act 5 subact 2, act 10 subact 2 and act 13 subact 1.
H36M_DAMAGED = (("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1"))


def _h36m_multiview() -> list[Protocol]:
  """Several calibrated cameras: each choice of frames, sequences and averaging."""
  static = ("mpjpe", "absolute_mpjpe", "pa_mpjpe", "n_mpjpe")
  frames = (
    ("", 1, (*static, "velocity_error"), "All frames of the data."),
    ("_every64", 64, static, "Every 64th frame of each 50 Hz video, from the first."),
  )
  takes = (
    ("", (), "S9's three takes with shifted ground truth count."),
    (
      "_without_damaged",
      H36M_DAMAGED,
      "Without S9's takes with shifted ground truth, Greeting-2, SittingDown-2 and "
      "Waiting-1, whose files are Greeting, SittingDown 1 and Waiting 1.",
    ),
  )
  averages = (
    (
      "",
      "actions",
      "Takes and subjects of an action are pooled by frames, then "
      "the actions are averaged unweighted.",
    ),
    ("_by_frames", "frames", "Every frame weighs alike, whatever its action."),
  )
  return [
    Protocol(
      f"h36m_multiview{every}{without}{average}",
      scored,
      title="Human3.6M, several calibrated cameras",
      data="human36m",
      split="test subjects S9 and S11, 15 actions, the four cameras together",
      valid="with a whole 3D pose",
      skeleton="h36m17",
      root="re-centred",
      averaging=averaging,
      rows="actions",
      row_order=_ACTIONS,
      source="Ionescu et al., TPAMI 2014 (Human3.6M); Iskakov et al., ICCV 2019",
      note="Poses in the world, one for all views. MPJPE is relative: the root of both "
      "is subtracted, and counts as one of the 17 joints. The absolute MPJPE subtracts "
      f"nothing. {which} {said} {how}",
      frame_stride=stride,
      left_out=left_out,
    )
    for every, stride, scored, which in frames
    for without, left_out, said in takes
    for average, averaging, how in averages
  ]


PROTOCOLS: dict[str, Protocol] = {
  protocol.name: protocol
  for protocol in (
    *(
      Protocol(f"h36m_{name}", (metric,), title=f"Human3.6M, {title}", **_H36M)
      for name, metric, title in (
        ("p1", "mpjpe", "protocol 1 (MPJPE)"),
        ("p2", "pa_mpjpe", "protocol 2 (PA-MPJPE)"),
        ("p3", "n_mpjpe", "protocol 3 (N-MPJPE)"),
        ("mpjve", "velocity_error", "velocity error (MPJVE)"),
      )
    ),
    *_h36m_multiview(),
    *(
      Protocol(f"humaneva_{name}", (metric,), title=f"HumanEva-I, {title}", **_HUMANEVA)
      for name, metric, title in (
        ("p1", "mpjpe", "protocol 1 (MPJPE)"),
        ("p2", "pa_mpjpe", "protocol 2 (PA-MPJPE)"),
      )
    ),
    Protocol("humaneva_p1_last_chunk", ("mpjpe",), **_HUMANEVA | _LAST_CHUNK),
    Protocol("mpi3dhp", ("mpjpe", "pck", "auc"), **_MPI3DHP),
    Protocol(
      "glot_3dpw", ("pa_mpjpe", "mpjpe", "mpvpe", "acceleration_error"), **_GLOT_3DPW
    ),
    Protocol("glot_h36m", ("pa_mpjpe", "mpjpe", "acceleration_error"), **_GLOT_H36M),
    Protocol(
      "glot_mpi3dhp", ("pa_mpjpe", "mpjpe", "acceleration_error"), **_GLOT_MPI3DHP
    ),
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
