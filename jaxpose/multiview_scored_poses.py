"""What multi-view networks, and triangulation beside them, make of windows."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import multiview_batches
from jaxpose import multiview_crops
from jaxpose import multiview_rigs
from jaxpose import triangulation
from jaxpose.models.multiview_embeddings import as_cameras

CAMERAS = ("camera_rotation", "camera_position", "crop_intrinsics")


def make_predict(
  module, skeleton, chosen, *, calibrated: bool, detector: bool = False
) -> Callable:
  """A jitted `(variables, windows, key) -> dict` of predictions for choices of views.

  All are (b, t, ...). For s choices (b, t, s, j, 3): joints_3d, of the network; dlt, of
  the same 2D poses; lifted, of true 2D poses with a detector's errors. dlt_root
  (b, t, s, 3) is where DLT sees the root in the world. With all views: keypoints_2d
  (b, t, v, j, 2) and kept (b, t, v, k). With `detector` windows are filmed anew, 2D has
  the errors of `multiview_batches.TYPICAL`, and there is ransac besides.
  """
  views = 1 + max(max(choice) for choice in chosen)
  members = np.asarray([[v in choice for v in range(views)] for choice in chosen])
  whole = hasattr(module, "encode_images")

  @jax.jit
  def predict(variables, windows, key):
    windows = {name: jnp.asarray(array) for name, array in windows.items()}
    errors = multiview_batches.TYPICAL
    options = {}
    if detector:
      there = windows["view_mask"]
      windows = multiview_rigs.film(key, windows, skeleton, errors.keypoint_places)
      windows["view_mask"] = there
      options = dict(hidden=errors.keypoint_hidden, swaps=errors.keypoint_swaps)
    batch = multiview_batches.with_targets(windows, skeleton)
    noisy = multiview_batches.detected(key, batch["keypoints_2d"], skeleton, **options)
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
    limit = triangulation.AGREES * (2 / multiview_crops.SCALE) / focal
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
