"""Whether a calibration agrees with keypoints that several cameras saw."""

import numpy as np

from jaxpose import cameras
from jaxpose import triangulation

# Of the box's longer side, the median over points. Keypoints that are 2 % off give 1 to
# 2 %; two of four cameras swapped gave 3 to 13 % on rendered clips, so a small mistake
# can stay below it.
LIMIT = 0.05
_ENOUGH = 20  # points below which nothing can be said
_MOST = 2000  # points that are tried


def triangulate(
  rig, pixels: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """(n, 3) world points in metres, and (n,) where two views meet; see `triangulation`.

  Args:
    rig: `jaxpose.cameras.Camera`s without distortion.
    pixels: (n, v, 2).
    valid: (n, v) views that count; the others may hold anything.
  """
  rays = [
    (pixels[:, v] - camera.intrinsics[2:4]) / camera.intrinsics[:2]
    for v, camera in enumerate(rig)
  ]
  return triangulation.triangulate(
    np.stack(rays).astype(np.float64),
    np.stack([camera.rotation for camera in rig]).astype(np.float64),
    np.stack([camera.position for camera in rig]).astype(np.float64),
    valid.T.astype(np.float64),
  )


def check(origin: str, rig, keypoints, valid, boxes) -> float | None:
  """Median reprojection error as a share of the boxes; None for too few points.

  Args:
    origin: what to name in the message.
    rig: cameras of the views.
    keypoints: (t, v, j, 2) pixels.
    valid: (t, v, j).
    boxes: (t, v, 4).

  Raises:
    ValueError: the error is so large that calibration and pictures do not belong
      together.
  """
  pixels = np.moveaxis(keypoints, 1, 2).reshape(-1, len(rig), 2)
  seen = np.moveaxis(valid, 1, 2).reshape(-1, len(rig))
  side = np.repeat(boxes[..., 2:].max(-1), valid.shape[-1], 0)
  chosen = np.flatnonzero(seen.sum(1) >= 2)
  chosen = chosen[:: max(len(chosen) // _MOST, 1)]
  if len(chosen) < _ENOUGH:
    return None
  pixels, seen, side = pixels[chosen].astype(float), seen[chosen], side[chosen]
  points, met = triangulate(rig, pixels, seen)
  if met.sum() < _ENOUGH:
    return None
  seen = seen & met[:, None]
  shares, errors = [], []
  for v, camera in enumerate(rig):
    at = cameras.world_to_camera(points, camera.rotation, camera.position)
    error = np.linalg.norm(
      cameras.project(at, camera.intrinsics) - pixels[:, v], axis=-1
    )
    error = np.where(at[:, 2] > 0, error, np.inf)[seen[:, v]]  # behind the camera
    errors.append(float(np.median(error)) if len(error) else 0.0)
    shares.append(error / side[seen[:, v], v])
  share = float(np.median(np.concatenate(shares)))
  if share > LIMIT:
    each = ", ".join(f"{c.name} {e:.0f}" for c, e in zip(rig, errors, strict=True))
    raise ValueError(
      f"{origin}: got keypoints and a calibration that do not agree: triangulated and "
      f"projected again, keypoints move by {100 * share:.0f} % of the person's box "
      f"(median pixels by camera: {each}), expected less than {100 * LIMIT:.0f} %. "
      "Check that the cameras' names, unit and image size fit, and that the videos "
      "start together."
    )
  return share
