"""From a network's crops to the recorded pictures, and from the root to the world."""

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import cameras
from jaxpose import multiview_crops
from jaxpose import triangulation
from jaxpose.multiview_poses import MultiviewPoses
from jaxpose.multiview_views import Views
from jaxpose.skeletons import Skeleton

_ROUNDS = 10
_LEAST = 0.01  # metres; smaller misfits all count fully
_NEAR = 0.1  # metres before a camera
_DISAGREE = 0.1  # of the box: farther joints are worth a warning


def root(
  joints: Float[np.ndarray, "t j 3"],
  rays: Float[np.ndarray, "t v j 2"],
  weights: Float[np.ndarray, "t v j"],
  rotation: Float[np.ndarray, "v 3 3"],
  position: Float[np.ndarray, "v 3"],
) -> Float[np.ndarray, "t 3"]:
  """Where poses stand in the world: what the rays of all views agree on best.

  The direct linear transform of `triangulation.triangulate` for a whole pose: each
  joint in each view gives two linear equations, weighted by its confidence, and the
  only unknown is the translation. Ten rounds of reweighting by Cauchy's function of the
  misfit in metres, in units of its median, keep a wrong joint or view from counting
  much. One view suffices; the distance then rests on the size of the predicted body.

  Args:
    joints: relative to the root, world axes, metres; NaN where unknown.
    rays: see `triangulation.crop_rays`.
    weights: confidences; 0 where a view is missing.
    rotation: world to camera.
    position: of the cameras, metres.

  Returns:
    Metres; NaN where no view is left, or where the place is not before most of them.
  """
  known = np.isfinite(joints).all(-1)[:, None] & np.isfinite(rays).all(-1)
  known = known & (weights > 0)
  weight = np.where(known, np.float64(weights), 0)
  u = np.where(known[..., None], np.float64(rays), 0)
  point = np.where(known[..., None], np.float64(np.nan_to_num(joints))[:, None], 0)
  turn = np.float64(rotation)[None, :, None]
  # (t, v, j, 2, 3): u times the third row less the first two.
  rows = u[..., None] * turn[..., 2:, :] - turn[..., :2, :]
  offset = np.float64(position)[None, :, None] - point
  right = np.einsum("tvjkc,tvjc->tvjk", rows, offset)
  found = _solve(rows, right, weight)
  for _ in range(_ROUNDS):
    misfit = np.einsum("tvjkc,tc->tvjk", rows, np.nan_to_num(found)) - right
    misfit = np.linalg.norm(misfit, axis=-1)
    unit = _median(misfit, known)
    unit = np.maximum(unit, _LEAST)[:, None, None]
    found = _solve(rows, right, weight / (1 + (misfit / unit) ** 2))
  depth = np.einsum("vc,tvc->tv", turn[0, :, 0, 2], found[:, None] - position[None])
  seen = known.any(-1)
  before = (seen & (depth > _NEAR)).sum(1)
  return np.where((2 * before > seen.sum(1))[:, None], found, np.nan)


def _median(values, known) -> np.ndarray:
  """(t,) of those known; infinite where none is."""
  values = np.where(known, values, np.inf).reshape(len(values), -1)
  at = np.maximum((known.reshape(len(values), -1).sum(1) - 1) // 2, 0)
  return np.take_along_axis(np.sort(values, 1), at[:, None], 1)[:, 0]


def _solve(rows, right, weight) -> np.ndarray:
  """(t, 3) least squares; NaN where there is not one solution."""
  square = np.einsum("tvj,tvjkc,tvjkd->tcd", weight, rows, rows)
  vector = np.einsum("tvj,tvjkc,tvjk->tc", weight, rows, right)
  values = np.linalg.eigvalsh(square)
  usable = values[:, 0] > 1e-8 * np.maximum(values[:, 2], 1e-12)
  square = np.where(usable[:, None, None], square, np.eye(3)[None])
  found = np.linalg.solve(square, vector[..., None])[..., 0]
  return np.where(usable[:, None], found, np.nan)


def put_together(
  views: Views,
  boxes: Float[np.ndarray, "t v 4"],
  present: Bool[np.ndarray, "t v"],
  found: dict[str, np.ndarray],
  *,
  size: int,
  skeleton: Skeleton,
  turned: bool,
  reference: int,
  fps: float,
) -> MultiviewPoses:
  """The result, from what the network says of crops.

  Args:
    views: the cameras.
    boxes: that were cropped.
    present: views that showed something.
    found: keypoints_2d (t, v, j, 2) crop units, scores (t, v, j), and, of a network
      with a 3D stage of its own, joints_3d (t, j, 3).
    size: pixels of a crop.
    skeleton: of the joints.
    turned: whether joints_3d are in the axes of the reference view.
    reference: index of that view.
    fps: frames per second.
  """
  points = np.float64(found["keypoints_2d"])
  scores = np.where(present[..., None], np.float32(found["scores"]), np.float32(0))
  t, _, j, _ = points.shape
  origin, calibrated = skeleton.root, views.rig is not None
  lines = []
  place = np.full((t, 3), np.nan)
  valid = present.any(1)
  if calibrated:
    rays = triangulation.crop_rays(points, views.crop_intrinsics(boxes, size))
    rotation, position = np.float64(views.rotation), np.float64(views.position)
  if "joints_3d" in found:
    joints = np.float64(found["joints_3d"])
    joints = joints - joints[:, origin : origin + 1]
    if turned:
      valid = valid & present[:, reference]
    if calibrated:
      if turned:
        joints = joints @ rotation[reference]
      place = root(joints, rays, np.float64(scores), rotation, position)
  elif calibrated:
    world, known = triangulation.triangulate(
      rays, rotation[None], position[None], np.float64(scores)
    )
    world = np.where(known[..., None], world, np.nan)
    place = world[:, origin]
    joints = world - place[:, None]
    valid = np.isfinite(joints).all((1, 2))
    lines.append("The network has no 3D stage: 3D joints are triangulated 2D joints.")
  else:
    joints, valid = np.full((t, j, 3), np.nan), np.zeros(t, bool)
    lines.append("The network has no 3D stage and there is no calibration: 2D alone.")
  if not calibrated and "joints_3d" in found:
    lines.append(
      "There is no calibration: 3D joints are relative to the root, in the axes of the "
      f"camera {views.names[reference]!r}; where the person stands is not known."
    )
  pixels = multiview_crops.uncrop_points(
    (points + 1) * (size / 2), np.float64(boxes), size=size
  )
  if calibrated:
    lines += _agreement(views, boxes, present, pixels, joints + place[:, None])
  pixels = np.where(present[..., None, None], views.recorded(pixels), np.nan)
  return MultiviewPoses(
    keypoints_2d=np.float32(pixels),
    scores=scores,
    present=present,
    joints_3d=np.float32(joints),
    root_3d=np.float32(place),
    valid=valid,
    skeleton=skeleton,
    cameras=views.names,
    axes="world" if calibrated else f"camera {views.names[reference]}",
    fps=fps,
    report="\n".join([*_missing(views, present), *lines]),
  )


def _missing(views: Views, present) -> list[str]:
  lines = [f"{len(present)} frames of {len(views.names)} views."]
  for v, name in enumerate(views.names):
    if not present[:, v].all():
      lines.append(f"Camera {name!r} is missing in {(~present[:, v]).sum()} frames.")
  if not present.any(1).all():
    lines.append(f"In {(~present.any(1)).sum()} frames nobody is seen by any camera.")
  return lines


def _agreement(views: Views, boxes, present, pixels, world) -> list[str]:
  """How far the 3D joints, projected, are from the 2D joints."""
  shares, each = [], []
  for v, camera in enumerate(views.rig):
    seen = present[:, v, None] & np.isfinite(world).all(-1)
    if not seen.any():
      continue
    inside = cameras.world_to_camera(
      np.nan_to_num(world), np.float64(camera.rotation), np.float64(camera.position)
    )
    again = cameras.project(inside, np.float64(camera.intrinsics))
    error = np.linalg.norm(again - pixels[:, v], axis=-1)
    each.append(f"{camera.name} {np.median(error[seen]):.1f}")
    side = np.broadcast_to(boxes[:, v, 2:].max(-1)[:, None], error.shape)
    shares.append((error / side)[seen])
  if not each:
    return ["The poses could not be placed in the world."]
  line = "3D joints projected lie beside the 2D joints by, median pixels by camera: "
  lines = [line + ", ".join(each) + "."]
  share = np.median(np.concatenate(shares))
  if share > _DISAGREE:
    lines.append(
      f"That is {share:.0%} of the box, which is much: check that the calibration's "
      "cameras, unit and image size fit, that the videos start together, and the boxes."
    )
  return lines
