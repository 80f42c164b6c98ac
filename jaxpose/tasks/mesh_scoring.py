"""Predicts the body in every frame of a split and scores its joints and vertices."""

import functools
from collections.abc import Callable
from collections.abc import Sequence

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import Body
from jaxpose.body import body_files
from jaxpose.data import detector_errors
from jaxpose.data.pose_data import PoseData
from jaxpose.draw import mesh_draw
from jaxpose.draw import pose_draw
from jaxpose.metrics import protocols
from jaxpose.skeletons import skeleton_maps
from jaxpose.tasks import mesh_batches
from jaxpose.tasks import scoring
from jaxpose.tasks.scoring import Evaluation
from jaxpose.tasks.scoring import Scored

DEFAULT_PROTOCOLS = ("mesh14_p1", "mesh14_p2", "mesh14_accel", "mesh_vertices")
_CHUNK = 256  # bodies at a time

# (n, 24, 3, 3) and (n, s): a body in each frame.
Bodies = tuple[np.ndarray, np.ndarray]


class MeshScorer:
  """Evaluates one module that predicts a body; compiles once."""

  def __init__(
    self,
    module: nn.Module,
    load: Callable[..., PoseData],
    *,
    window: int,
    inputs: Sequence[str],
    body: str | None = None,
    mesh: Mesh | None = None,
    batch_size: int = 256,
  ):
    """Takes what the evaluations share.

    Args:
      module: whose output has `rotations` and `betas`, also with the prefix `global_`.
      load: split (and name and config of another data set) to data.
      window: frames of the input.
      inputs: keys of the batch, in the order of the module's arguments.
      body: whose joints and vertices are compared, see `body_files.load`; default: the
        module's own.
      mesh: devices to share a batch over.
      batch_size: windows at a time.
    """
    self._load, self._window, self._mesh = load, window, mesh
    self._batch_size = batch_size
    self._detected = functools.cache(
      lambda *source: detector_errors.with_errors(load(*source))
    )
    self._body = body_files.load(body or getattr(module, "body", None) or "free")
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
      baselines: split whose mean pose is scored too, if its bodies are known; None
        leaves it out.

    Raises:
      ValueError: flip averaging is asked for, which bodies do not have, or protocols
        of several skeletons at once.
    """
    if evaluation.flip:
      raise ValueError("got flip=True, expected False: bodies are not averaged.")
    skeleton = _skeleton(evaluation.protocols)
    data = self._load(*evaluation.source)
    if evaluation.detector:
      if "features" in data.frames:
        raise ValueError(
          "got detector=True with image features, expected data of 2D keypoints."
        )
      data = self._detected(*evaluation.source)
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
    train = None if baselines is None else self._load(baselines)
    if train is not None and known_bodies(train, np.arange(1)) is not None:
      rows["mean pose"] = mean_body(train, len(frames))
    rows["global branch alone"] = out["global_rotations"], out["global_betas"]
    rows[label] = out["rotations"], out["betas"]
    truth = known_bodies(data, frames)
    joints, errors = compare(self._body, rows, truth, skeleton)
    scored = joint_data(data, frames, joints.pop("truth", None), skeleton)
    names = evaluation.protocols
    results = {
      row: scoring.score(scored, joints[row], frames, names, errors.get(row))
      for row in rows
    }
    if truth is None:
      picture = functools.partial(
        pose_draw.comparison, data=scored, poses=joints[label], frames=frames
      )
    else:
      picture = functools.partial(
        mesh_draw.comparison,
        data=data,
        body=self._body,
        predicted=rows[label],
        truth=truth,
        frames=frames,
        error=errors[label],
      )
    return Scored(results, scored, joints[label], frames, picture)


def known_bodies(data: PoseData, frames: np.ndarray) -> Bodies | None:
  """The true bodies of frames; None if some records have none."""
  if not np.all(data.runs.get("has_smpl", True)):
    return None
  pose, betas = (np.asarray(data.frames[k])[frames] for k in ("smpl_pose", "betas"))
  return geometry.axis_angle_to_matrix(pose), betas


def with_reversed_tails(run: np.ndarray, tail: int) -> np.ndarray:
  """(n,) places 0 to n - 1 with the last `tail` of each run in reverse order."""
  at = np.arange(len(run))
  starts = np.flatnonzero(np.diff(run, prepend=-1))
  for first, stop in zip(starts, [*starts[1:], len(run)], strict=True):
    tail_ = slice(max(first, stop - tail), stop)
    at[tail_] = at[tail_][::-1]
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
  body: Body, rows: dict[str, Bodies], truth: Bodies | None, skeleton: str = "lsp14"
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """What the protocols compare, of several predictions of the same frames.

  Args:
    body: in SMPL's layout, with the Human3.6M regressor.
    rows: predictions by name.
    truth: the true bodies, if known.
    skeleton: of the joints: "lsp14", which the Human3.6M regressor makes, or one that
      is among the 49 joints.

  Returns:
    The joints (n, j, 3) in metres by row, "truth" among them, and the mean distance
    of the vertices from the true ones (n,) by row; nothing is aligned.
  """
  known = rows | ({} if truth is None else dict(truth=truth))
  count = len(next(iter(known.values()))[0])
  parts = []
  for start in range(0, count, _CHUNK):
    # One shape for all chunks, and so one program.
    at = np.minimum(np.arange(start, start + _CHUNK), count - 1)
    chunk = {k: (r[at], b[at]) for k, (r, b) in known.items()}
    out = _compared(body, chunk, skeleton)
    parts.append(jax.tree.map(lambda x: np.asarray(x)[: count - start], out))  # noqa: B023
  return jax.tree.map(lambda *p: np.concatenate(p), *parts)


def joint_data(
  data: PoseData, frames: np.ndarray, targets: np.ndarray | None, skeleton: str
) -> PoseData:
  """The split in joints of this skeleton.

  Args:
    data: in spin49.
    frames: that are scored.
    targets: their joints, or None for those that are stored.
    skeleton: whose joints are among the 49.
  """
  arrays = {
    key: skeleton_maps.convert(np.asarray(data.frames[key]), "spin49", skeleton)
    for key in ("keypoints_2d", "joints_3d")
  }
  if targets is not None:
    arrays["joints_3d"][frames] = targets
  return PoseData(arrays, data.runs, data.views, skeletons.get(skeleton))


def _skeleton(names: Sequence[str]) -> str:
  found = sorted({protocols.get(name).skeleton for name in names})
  if len(found) > 1:
    raise ValueError(
      f"got protocols of the skeletons {' and '.join(found)} in one evaluation, "
      "expected one skeleton; make an evaluation for each."
    )
  return found[0]


def _joints(body, posed, skeleton):
  if skeleton == "lsp14":
    return bodies.joints_14(body, posed)
  return skeleton_maps.convert(bodies.joints_49(body, posed), "spin49", skeleton)


@functools.partial(jax.jit, static_argnames="skeleton")
def _compared(body, known, skeleton):
  posed = {name: bodies.pose(body, *row) for name, row in known.items()}
  joints = {name: _joints(body, p, skeleton) for name, p in posed.items()}
  truth = posed.pop("truth", None)
  if truth is None:
    return joints, {}
  errors = {
    name: geometry.safe_norm(p.vertices - truth.vertices).mean(-1)
    for name, p in posed.items()
  }
  return joints, errors
