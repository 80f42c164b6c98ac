"""What a protocol, the poses that it scores and its result are."""

import dataclasses
import re

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int

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
