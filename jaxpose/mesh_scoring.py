"""Predicts the body in every frame of a split and scores its joints and vertices."""

from collections.abc import Callable
from collections.abc import Sequence

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from jaxpose import body as bodies
from jaxpose import body_files
from jaxpose import geometry
from jaxpose import mesh_batches
from jaxpose import scoring
from jaxpose import skeletons
from jaxpose.body import Body
from jaxpose.data import PoseData
from jaxpose.scoring import Evaluation
from jaxpose.scoring import Scored

DEFAULT_PROTOCOLS = ("mesh14_p1", "mesh14_p2", "mesh14_accel", "mesh_vertices")
_COMMON = slice(25, 39)  # the 14 joints among the 49
_CHUNK = 256  # bodies at a time

# (n, 24, 3, 3) and (n, s): a body in each frame.
Bodies = tuple[np.ndarray, np.ndarray]


class MeshScorer:
  """Evaluates one module that predicts a body; compiles once."""

  def __init__(
    self,
    module: nn.Module,
    load: Callable[[str], PoseData],
    *,
    window: int,
    inputs: Sequence[str],
    body: str = "free",
    mesh: Mesh | None = None,
    batch_size: int = 256,
  ):
    """Takes what the evaluations share.

    Args:
      module: whose output has `rotations` and `betas`, also with the prefix `global_`.
      load: split name to data.
      window: frames of the input.
      inputs: keys of the batch, in the order of the module's arguments.
      body: whose joints and vertices are compared, see `body_files.load`.
      mesh: devices to share a batch over.
      batch_size: windows at a time.
    """
    self._load, self._window, self._mesh = load, window, mesh
    self._batch_size = batch_size
    self._body = body_files.load(body)
    keys = ("rotations", "betas", "global_rotations", "global_betas")

    @jax.jit
    def predict(variables, batch):
      batch = mesh_batches.inputs(batch)
      out = module.apply(variables, *(batch[key] for key in inputs))
      return {key: out[key][:, 0] for key in keys}

    self._predict = predict

  def __call__(
    self,
    variables: dict,
    evaluation: Evaluation,
    *,
    label: str = "model",
    baselines: str | None = None,
  ) -> Scored:
    """Scores the variables; the global branch alone is a row of its own.

    Args:
      variables: of the module.
      evaluation: what to score.
      label: the model's row.
      baselines: split whose mean pose is scored too; None leaves it out.

    Raises:
      ValueError: flip averaging is asked for, which bodies do not have.
    """
    if evaluation.flip:
      raise ValueError("got flip=True, expected False: bodies are not averaged.")
    data = self._load(evaluation.split)
    out, frames = scoring.predict_frames(
      self._predict,
      variables,
      data,
      self._window,
      batch_size=self._batch_size,
      every=evaluation.every,
      mesh=self._mesh,
      progress=evaluation.split,
    )
    if evaluation.reversed_tail:
      at = with_reversed_tails(data.run_of_frame[frames], evaluation.reversed_tail)
      out = jax.tree.map(lambda x: x[at], out)
    rows: dict[str, Bodies] = {}
    if baselines is not None:
      rows["mean pose"] = mean_body(self._load(baselines), len(frames))
    rows["global branch alone"] = out["global_rotations"], out["global_betas"]
    rows[label] = out["rotations"], out["betas"]
    joints, errors = compare(self._body, rows, known_bodies(data, frames))
    targets = joints.pop("truth", None)
    if targets is None:
      targets = np.asarray(data.frames["joints_3d"])[frames][:, _COMMON]
    scored, names = joint_data(data, frames, targets), evaluation.protocols
    results = {
      row: scoring.score(scored, joints[row], frames, names, errors.get(row))
      for row in rows
    }
    return Scored(results, scored, joints[label], frames)


def scorer_for(data: PoseData) -> type[MeshScorer] | type[scoring.Scorer]:
  """What evaluates models of this data: of bodies, or of joints."""
  return MeshScorer if "smpl_pose" in data.frames else scoring.Scorer


def known_bodies(data: PoseData, frames: np.ndarray) -> Bodies | None:
  """The true bodies of frames; None if some records have none."""
  if not np.all(data.runs.get("has_smpl", True)):
    return None
  pose, betas = (np.asarray(data.frames[k])[frames] for k in ("smpl_pose", "betas"))
  return geometry.axis_angle_to_matrix(pose), betas


def with_reversed_tails(run: np.ndarray, tail: int) -> np.ndarray:
  """(n,) places 0 to n - 1 with the last `tail` of each run in reverse order."""
  at = np.arange(len(run))
  for last in np.flatnonzero(np.diff(run, append=-1)):
    tail_ = at[last + 1 - tail : last + 1]
    tail_[:] = tail_[::-1].copy()
  return at


def mean_body(train: PoseData, count: int) -> Bodies:
  """The mean training pose and shape, `count` times.

  Each joint's rotation is the chordal mean; the root's too, in the camera's frame.
  """
  rotations, betas = known_bodies(train, np.arange(train.num_frames))
  mean = geometry.project_to_rotation(rotations.mean(0, dtype=np.float64))
  return tuple(
    np.broadcast_to(x.astype(np.float32), (count, *x.shape))
    for x in (mean, betas.mean(0))
  )


def compare(
  body: Body, rows: dict[str, Bodies], truth: Bodies | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """What the protocols compare, of several predictions of the same frames.

  Args:
    body: in SMPL's layout, with the Human3.6M regressor.
    rows: predictions by name.
    truth: the true bodies, if known.

  Returns:
    The 14 joints (n, 14, 3) in metres by row, "truth" among them, and the mean distance
    of the vertices from the true ones (n,) by row; nothing is aligned.
  """
  known = rows | ({} if truth is None else dict(truth=truth))
  count = len(next(iter(known.values()))[0])
  parts = []
  for start in range(0, count, _CHUNK):
    # One shape for all chunks, and so one program.
    at = np.minimum(np.arange(start, start + _CHUNK), count - 1)
    out = _compared(body, {k: (r[at], b[at]) for k, (r, b) in known.items()})
    parts.append(jax.tree.map(lambda x: np.asarray(x)[: count - start], out))  # noqa: B023
  return jax.tree.map(lambda *p: np.concatenate(p), *parts)


@jax.jit
def _compared(body, known):
  posed = {name: bodies.pose(body, *row) for name, row in known.items()}
  joints = {name: bodies.joints_14(body, p) for name, p in posed.items()}
  truth = posed.pop("truth", None)
  if truth is None:
    return joints, {}
  errors = {
    name: geometry.safe_norm(p.vertices - truth.vertices).mean(-1)
    for name, p in posed.items()
  }
  return joints, errors


def joint_data(data: PoseData, frames: np.ndarray, targets: np.ndarray) -> PoseData:
  """The split in 14 joints, with the targets in place of the frames predicted."""
  skeleton = skeletons.get("lsp14")
  joints = np.asarray(data.frames["joints_3d"])[:, _COMMON].copy()
  joints[frames] = targets
  points = np.asarray(data.frames["keypoints_2d"])[:, _COMMON]
  frames_ = dict(keypoints_2d=points, joints_3d=joints)
  return PoseData(frames_, data.runs, data.views, skeleton)
