"""Scores multi-view networks: 2D poses, 3D poses by number of views, and baselines.

3D errors of a number of views are over all choices of that many, each frame and choice
alike. Images are encoded once; for each choice their relations and the 3D stage run
again, with the other views missing. Poses are compared in the axes of the world.
"""

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec
from tqdm import tqdm

from jaxpose import multiview_batches
from jaxpose import multiview_draw
from jaxpose import multiview_tables
from jaxpose import multiview_windows
from jaxpose import skeletons
from jaxpose import triangulation
from jaxpose.models.multiview_embeddings import as_cameras
from jaxpose.multiview_data import MultiviewData
from jaxpose.multiview_tables import Scores
from jaxpose.scoring import Evaluation

DEFAULT_PROTOCOLS = ("cmu_p1", "cmu_p2")
CAMERAS = ("camera_rotation", "camera_position", "crop_intrinsics")
_MOST_VIEWS = 4  # of larger rigs only all views together are scored besides


@dataclasses.dataclass(frozen=True)
class MultiviewScored:
  """Outcome of an evaluation.

  Attributes:
    rows: label of a predictor (the baselines, then the model) to its scores by column.
    columns: name of a column -> its title and unit; what a row lacks it cannot do.
    data: the split.
    predicted: of the model with all views, by clip and frame: joints_3d (n, t, j, 3)
      world axes, relative to the root; keypoints_2d (n, t, v, j, 2) crop units; kept
      (n, t, v, k); some of them; scored (n, t) bool, frames that were predicted.
    grid: rows and columns of patches, if there are images.
  """

  rows: dict[str, Scores]
  columns: dict[str, tuple[str, str]]
  data: MultiviewData
  predicted: dict[str, np.ndarray]
  grid: tuple[int, int] | None

  @property
  def num_frames(self) -> int:
    """Frames that are scored; each has several views."""
    return int(self.predicted["scored"].sum())

  @property
  def numbers(self) -> dict[str, tuple[float, str]]:
    """Of the model: column to score and unit."""
    scores = self.rows[list(self.rows)[-1]]
    return {name: (scores[name], self.columns[name][1]) for name in scores}

  def table(self) -> str:
    """Markdown: a row per predictor."""
    return multiview_tables.markdown(self.rows, self.columns)

  def draw(self, path: str | os.PathLike, *, title: str = "") -> None:
    """Writes a picture of the model's poses."""
    multiview_draw.comparison(path, self, title)


class MultiviewScorer:
  """Evaluates one multi-view network, or a lifter alone, on noisy true 2D poses."""

  def __init__(
    self,
    module: nn.Module,
    load: Callable[..., MultiviewData],
    *,
    window: int,
    inputs: Sequence[str],
    mesh: Mesh | None = None,
    batch_size: int = 16,
  ):
    """Takes what the evaluations share.

    Args:
      module: of `models.multiview`.
      load: split (and name and config of another data set) to data.
      window: frames of the input.
      inputs: keys of the batch, in the order of the module's arguments.
      mesh: devices to share a batch over.
      batch_size: windows at a time.
    """
    self._module, self._load, self._window = module, load, window
    self._mesh, self._batch_size = mesh, batch_size
    calibrated = set(CAMERAS) <= set(inputs)
    self._predict = functools.cache(
      lambda skeleton, views: make_predict(
        module, skeletons.get(skeleton), subsets(views), calibrated=calibrated
      )
    )

  def __call__(
    self,
    variables: dict,
    evaluation: Evaluation,
    *,
    label: str = "model",
    baselines: str | None = None,
  ) -> MultiviewScored:
    """Scores the variables.

    Args:
      variables: of the module.
      evaluation: what to score; 3D by the first protocol for each number of views, by
        the others with all views.
      label: the model's row.
      baselines: split whose mean pose is scored too; None leaves all baselines out.

    Raises:
      ValueError: flip averaging or a stride is asked for, which clips do not have.
    """
    if evaluation.flip or evaluation.every != 1:
      raise ValueError(
        f"got flip={evaluation.flip} and every={evaluation.every}, expected False and "
        "1: clips of several views are scored as they are."
      )
    data = self._load(*evaluation.source)
    chosen = subsets(data.num_views)
    out = self._outputs(variables, data, evaluation.split)
    scored, kept = out.pop("scored"), out.pop("kept", None)
    grid = getattr(self._module, "grid", None)
    truth = multiview_tables.truth(data, scored)
    score = functools.partial(
      multiview_tables.score, truth, chosen, evaluation.protocols
    )
    rows: dict[str, Scores] = {}
    if baselines is not None:
      mean = multiview_tables.mean_poses(self._load(baselines))
      shape = (*scored.shape, len(chosen), *mean["joints_3d"].shape)
      rows["mean pose"] = score(
        joints_3d=np.broadcast_to(mean["joints_3d"], shape),
        keypoints_2d=mean["keypoints_2d"] if grid else None,
      )
      rows["DLT on the same 2D"] = score(joints_3d=out["dlt"], fewest=2)
      if grid and "lifted" in out:
        rows["lifter on noisy true 2D"] = score(joints_3d=out["lifted"])
    model = out.get("joints_3d") if grid else out["lifted"]
    points = out.get("keypoints_2d")
    rows[label] = score(joints_3d=model, keypoints_2d=points, kept=kept, grid=grid)
    predicted = dict(scored=scored)
    if model is not None:
      predicted["joints_3d"] = model[:, :, -1]
    if grid:
      predicted |= dict(keypoints_2d=points, kept=kept)
    columns = multiview_tables.columns(evaluation.protocols, chosen)
    return MultiviewScored(rows, columns, data, predicted, grid)

  def _outputs(self, variables, data, progress) -> dict[str, np.ndarray]:
    """What the network gives for every frame, by clip and frame, (n, t, ...)."""
    windows = int(
      (-(-data.lengths // self._window))[data.lengths >= self._window].sum()
    )
    size = min(self._batch_size, windows)
    if self._mesh is not None:
      size += -size % self._mesh.size
    order = multiview_windows.evaluation_order(data, size, frames=self._window)
    predict = self._predict(data.skeleton.name, data.num_views)
    found: dict[str, np.ndarray] = {}
    lead = data.clips["frame_mask"].shape
    found["scored"] = np.zeros(lead, bool)
    off = None if progress else True
    bar = tqdm(order, progress, -(-windows // size), leave=False, disable=off)
    for number, (index, counted) in enumerate(bar):
      batch = multiview_windows.gather(data.clips, index, self._window)
      if self._mesh is not None:
        batch = jax.device_put(batch, NamedSharding(self._mesh, PartitionSpec("data")))
      key = jax.random.fold_in(jax.random.key(0), number)
      out = jax.tree.map(np.asarray, predict(variables, batch, key))
      b, t = np.nonzero(counted)
      at = index.clip[b], index.start[b] + t
      for name, values in out.items():
        if name not in found:
          found[name] = np.zeros((*lead, *values.shape[2:]), values.dtype)
        found[name][at] = values[b, t]
      found["scored"][at] = True
    return found


def subsets(views: int) -> list[tuple[int, ...]]:
  """Choices of views that are scored: few first, all of them last."""
  sizes = sorted({*range(1, min(views, _MOST_VIEWS) + 1), views})
  return [
    chosen for size in sizes for chosen in itertools.combinations(range(views), size)
  ]


def make_predict(module, skeleton, chosen, *, calibrated: bool) -> Callable:
  """A jitted `(variables, windows, key) -> dict` of predictions for choices of views.

  All are (b, t, ...). For s choices (b, t, s, j, 3): joints_3d, of the network; dlt, of
  the same 2D poses; lifted, of true 2D poses with a detector's errors. With all views:
  keypoints_2d (b, t, v, j, 2) and kept (b, t, v, k).
  """
  views = 1 + max(max(choice) for choice in chosen)
  members = np.asarray([[v in choice for v in range(views)] for choice in chosen])
  whole = hasattr(module, "encode_images")

  @jax.jit
  def predict(variables, windows, key):
    batch = multiview_batches.with_targets(
      {name: jnp.asarray(array) for name, array in windows.items()}, skeleton
    )
    noisy = multiview_batches.detected(key, batch["keypoints_2d"], skeleton)
    rig = tuple(batch[name] for name in CAMERAS) if calibrated else (None,) * 3
    cameras, mask = as_cameras(*rig), batch["view_mask"]
    apply = functools.partial(module.apply, variables)
    if whole:
      encoded = apply(batch["images"], mask, cameras, method="encode_images")

    def with_views(member):
      present = multiview_batches.only_views(mask, member)
      reference = jnp.full(len(mask), jnp.argmax(member))

      def lift(points, scores):
        args = (cameras,) if whole else rig
        method = "lift" if whole else None
        out = apply(points, scores, present, *args, reference=reference, method=method)
        if calibrated or "joints_3d" not in out:
          return out.get("joints_3d")
        turn = batch["camera_rotation"][jnp.arange(len(mask)), reference]
        return jnp.einsum("bdc,btjd->btjc", turn, out["joints_3d"])

      out = dict(lifted=lift(*noisy))
      points, scores = noisy
      if whole:
        found = apply(encoded, present, cameras, reference=reference, method="relate")
        points, scores = found["keypoints_2d"], found["scores"]
        out |= dict(joints_3d=lift(points, scores), keypoints_2d=points)
      out["dlt"] = _triangulated(batch, points, scores, present, skeleton.root)
      return {name: array for name, array in out.items() if array is not None}

    found = jax.lax.map(with_views, jnp.asarray(members))
    out = {}
    if whole:
      out["keypoints_2d"] = found.pop("keypoints_2d")[-1].swapaxes(1, 2)
      out["kept"] = encoded["kept"].swapaxes(1, 2)
    return out | {name: jnp.moveaxis(array, 0, 2) for name, array in found.items()}

  return predict


def _triangulated(batch, points, scores, present, root):
  """Poses by DLT relative to the root; 0 where fewer than two views are present."""
  rays = triangulation.crop_rays(points, batch["crop_intrinsics"])
  weight = scores * present[..., None]
  world, valid = triangulation.triangulate(
    rays.swapaxes(1, 2),
    batch["camera_rotation"][:, None],
    batch["camera_position"][:, None],
    weight.swapaxes(1, 2),
  )
  valid = valid & valid[..., root : root + 1]
  relative = world - world[..., root : root + 1, :]
  return jnp.where(valid[..., None], relative, 0)
