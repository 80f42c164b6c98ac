"""The published protocols by name."""

from jaxpose import metrics
from jaxpose.protocol_types import Protocol

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
