"""The published protocols by name."""

from jaxpose import metrics
from jaxpose.protocol_types import Protocol

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
      skeleton="h36m17",
      root="re-centred",
      averaging=averaging,
      rows="actions",
      source="Ionescu et al., TPAMI 2014 (Human3.6M); Iskakov et al., ICCV 2019; test "
      "subjects S9 and S11",
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
    Protocol("h36m_p1", ("mpjpe",), **_H36M),
    Protocol("h36m_p2", ("pa_mpjpe",), **_H36M),
    Protocol("h36m_p3", ("n_mpjpe",), **_H36M),
    Protocol("h36m_mpjve", ("velocity_error",), **_H36M),
    *_h36m_multiview(),
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
