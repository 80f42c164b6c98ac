"""Scores multi-view networks: 2D poses, 3D poses by number of views, and baselines.

3D errors of a number of views are over all choices of that many, each frame and choice
alike. Images are encoded once; for each choice their relations and the 3D stage run
again, with the other views missing. The baseline triangulates the 2D poses of the same
windows. Poses are compared in the axes of the world.
"""

import functools
import itertools
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

from jaxpose import skeletons
from jaxpose.data import view_transforms
from jaxpose.data import view_windows
from jaxpose.data.view_data import MultiviewData
from jaxpose.geometry import camera_crops
from jaxpose.geometry import triangulation
from jaxpose.metrics.protocols import ProtocolResult
from jaxpose.models.multiview_relations import as_cameras
from jaxpose.tasks import view_batches
from jaxpose.tasks import view_tables
from jaxpose.tasks.scoring import Evaluation
from jaxpose.tasks.view_tables import MultiviewScored
from jaxpose.tasks.view_tables import Scores

CAMERAS = ("camera_rotation", "camera_position", "crop_intrinsics")


def make_predict(
  module, skeleton, chosen, *, calibrated: bool, detector: bool = False
) -> Callable:
  """A jitted `(variables, windows, key) -> dict` of predictions for choices of views.

  All are (b, t, ...). For s choices (b, t, s, j, 3): joints_3d, of the network; dlt, of
  the same 2D poses; lifted, of true 2D poses with a detector's errors. dlt_root
  (b, t, s, 3) is where DLT sees the root in the world. With all views: keypoints_2d
  (b, t, v, j, 2) and kept (b, t, v, k). With `detector` windows are filmed anew, 2D has
  the errors of `view_batches.TYPICAL`, and there is ransac besides.
  """
  views = 1 + max(max(choice) for choice in chosen)
  members = np.asarray([[v in choice for v in range(views)] for choice in chosen])
  whole = hasattr(module, "encode_images")

  @jax.jit
  def predict(variables, windows, key):
    windows = {name: jnp.asarray(array) for name, array in windows.items()}
    errors = view_batches.TYPICAL
    options = {}
    if detector:
      there = windows["view_mask"]
      windows = view_transforms.film(key, windows, skeleton, errors.keypoint_places)
      windows["view_mask"] = there
      options = dict(hidden=errors.keypoint_hidden, swaps=errors.keypoint_swaps)
    batch = view_batches.with_targets(windows, skeleton)
    noisy = view_batches.detected(key, batch["keypoints_2d"], skeleton, **options)
    rig = tuple(batch[name] for name in CAMERAS) if calibrated else (None,) * 3
    cameras, mask = as_cameras(*rig), batch["view_mask"]
    apply = functools.partial(module.apply, variables)
    if whole:
      encoded = apply(batch["images"], mask, cameras, method="encode_images")

    def with_views(member):
      present = view_batches.only_views(mask, member)
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
      out |= _triangulated(batch, points, scores, present, skeleton.root, detector)
      return {name: array for name, array in out.items() if array is not None}

    found = jax.lax.map(with_views, jnp.asarray(members))
    out = {}
    if whole:
      out["keypoints_2d"] = found.pop("keypoints_2d")[-1].swapaxes(1, 2)
      out["kept"] = encoded["kept"].swapaxes(1, 2)
    return out | {name: jnp.moveaxis(array, 0, 2) for name, array in found.items()}

  return predict


def _triangulated(batch, points, scores, present, root, robust=False):
  """Poses by DLT relative to the root, and the root; two views must be present.

  If asked for also by RANSAC, and by DLT where that leaves a joint open.
  """
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
  found = dict(
    dlt=jnp.where(valid[..., None], relative, 0),
    dlt_root=jnp.where(valid[..., root, None], world[..., root, :], jnp.nan),
  )
  if robust:
    focal = batch["crop_intrinsics"][..., 0]
    limit = triangulation.AGREES * (2 / camera_crops.SCALE) / focal
    agreed, _ = triangulation.ransac(
      rays.swapaxes(1, 2),
      batch["camera_rotation"][:, None],
      batch["camera_position"][:, None],
      weight.swapaxes(1, 2),
      limit.swapaxes(1, 2),
    )
    world = jnp.where(jnp.isfinite(agreed), agreed, world)
    relative = world - world[..., root : root + 1, :]
    found["ransac"] = jnp.where(valid[..., None], relative, 0)
  return found


DEFAULT_PROTOCOLS = ("cmu_p1", "cmu_p2")
_MOST_VIEWS = 4  # of larger rigs only all views together are scored besides


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
    self._calibrated = calibrated = set(CAMERAS) <= set(inputs)
    self._predict = functools.cache(
      lambda skeleton, views, detector: make_predict(
        module,
        skeletons.get(skeleton),
        subsets(views),
        calibrated=calibrated,
        detector=detector,
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
      ValueError: flip averaging or a stride is asked for, which clips do not have; or
        nothing is known that a prediction could be compared with.
    """
    if evaluation.flip or evaluation.every != 1:
      raise ValueError(
        f"got flip={evaluation.flip} and every={evaluation.every}, expected False and "
        "1: clips of several views are scored as they are."
      )
    grid = getattr(self._module, "grid", None)
    if evaluation.detector and (grid or not self._calibrated):
      raise ValueError(
        "got detector=True, expected False: of several views, only lifters that read "
        "the calibration are scored on other keypoints and cameras than those given."
      )
    data = self._load(*evaluation.source)
    missing = view_tables.missing(data, evaluation.split, pictures=bool(grid))
    chosen = subsets(data.num_views)
    out = self._outputs(variables, data, evaluation.split, evaluation.detector)
    scored, kept = out.pop("scored"), out.pop("kept", None)
    truth = view_tables.truth(data, scored)
    rows: dict[str, Scores] = {}
    results: dict[str, dict[str, ProtocolResult]] = {}

    def score(label, joints=None, absolute=None, **options):
      names = evaluation.protocols
      results[label] = {}
      known = joints is not None and "3D" not in missing
      if known and data.num_views >= options.get("fewest", 1):
        results[label] = view_tables.protocol_results(
          truth, names, joints[:, :, -1], absolute
        )
      options |= dict(joints_3d=joints, whole=results[label])
      if found := view_tables.score(truth, chosen, names, **options):
        rows[label] = found

    root = out["dlt_root"][:, :, -1, None] if "dlt_root" in out else None
    if baselines is not None:
      mean = view_tables.mean_poses(self._load(baselines))
      poses, points = mean.get("joints_3d"), mean.get("keypoints_2d")
      if poses is not None:
        shape = (*scored.shape, len(chosen), *poses.shape)
        poses = np.broadcast_to(poses, shape)
      score("mean pose", poses, keypoints_2d=points if grid else None)
      where = out["dlt"][:, :, -1] + root
      score("DLT on the same 2D", out["dlt"], where, fewest=2)
      if "ransac" in out:
        score("RANSAC on the same 2D", out["ransac"], where, fewest=2)
      if grid and "lifted" in out:
        score("lifter on noisy true 2D", out["lifted"])
    model = out.get("joints_3d") if grid else out["lifted"]
    points = out.get("keypoints_2d")
    # Networks give poses relative to the root; cameras say where that is.
    known = model is not None and self._calibrated
    where = model[:, :, -1] + root if known else None
    score(label, model, where, keypoints_2d=points, kept=kept, grid=grid)
    predicted = dict(scored=scored)
    if model is not None:
      predicted["joints_3d"] = model[:, :, -1]
    if grid:
      predicted |= dict(keypoints_2d=points, kept=kept)
    columns = view_tables.columns(evaluation.protocols, chosen)
    keypoints = "the network's own, from the images"
    if not grid:
      keypoints = "true 2D with a detector's noise"
      if evaluation.detector:
        keypoints = "2D with a detector's errors, from a new rig for each window"
    setting = view_tables.setting(
      data,
      self._window,
      causal=getattr(self._module, "causal", False),
      keypoints=keypoints,
    )
    if where is not None:
      setting += " Absolute: the root is triangulated from the same 2D."
    return MultiviewScored(
      rows, columns, data, predicted, grid, results, setting, missing
    )

  def _outputs(self, variables, data, progress, detector) -> dict[str, np.ndarray]:
    """What the network gives for every frame, by clip and frame, (n, t, ...)."""
    windows = int(
      (-(-data.lengths // self._window))[data.lengths >= self._window].sum()
    )
    size = max(min(self._batch_size, windows), 1)
    if self._mesh is not None:
      size += -size % self._mesh.size
    order = view_windows.evaluation_order(data, size, frames=self._window)
    predict = self._predict(data.skeleton.name, data.num_views, detector)
    found: dict[str, np.ndarray] = {}
    lead = data.clips["frame_mask"].shape
    found["scored"] = np.zeros(lead, bool)
    off = None if progress else True
    bar = tqdm(order, progress, -(-windows // size), leave=False, disable=off)
    for number, (index, counted) in enumerate(bar):
      batch = view_windows.gather(data.clips, index, self._window)
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
