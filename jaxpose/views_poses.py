"""One person in several calibrated views to poses in the world, by three methods.

"dlt" triangulates every keypoint from all views, "ransac" from those that agree, where
these are more than half (see `triangulation`), and "lifter" is a network that has
learned how bodies move (configs/multiview_lifter_cmu.py), placed where its joints lie
nearest to the rays.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import gaps
from jaxpose import skeleton_maps
from jaxpose import skeletons
from jaxpose import smoothing
from jaxpose import triangulation
from jaxpose import views_lifter
from jaxpose.skeletons import Skeleton
from jaxpose.views_people import MIN_CONFIDENCE
from jaxpose.views_people import Seen
from jaxpose.views_source import Rig

METHODS = ("lifter", "ransac", "dlt")
SKELETON = "h36m17"
MAX_GAP = 10  # frames; longer ones are not valid


class Poses(NamedTuple):
  """A person in the world.

  Attributes:
    joints_3d: metres, z up; NaN where nothing is known.
    skeleton: of the joints.
    valid: frames to trust: no joint is in a long gap.
    used: keypoints that the joints are made of: seen, and of "ransac" in agreement.
    raw: joints before smoothing, NaN in all gaps.
    report: in words.
  """

  joints_3d: Float[np.ndarray, "t j 3"]
  skeleton: Skeleton
  valid: Bool[np.ndarray, " t"]
  used: Bool[np.ndarray, "t v k"]
  raw: Float[np.ndarray, "t j 3"]
  report: str


def poses(
  person: Seen, rig: Rig, method: str, *, weights=None, smooth: str = "savgol"
) -> Poses:
  """The person's poses.

  Args:
    person: seen by the views.
    rig: the cameras.
    method: of `METHODS`.
    weights: of the lifter, what `views_lifter.loaded` returned.
    smooth: method of `smoothing`, or "none".

  Raises:
    ValueError: there is nothing from which 3D could be told.
  """
  seen = person.confidence >= MIN_CONFIDENCE
  used, told = seen, []
  if method == "lifter":
    raw, skeleton = views_lifter.lift(person, rig, weights)
  else:
    points, used = triangulated(person, rig, robust=method == "ransac")
    raw = skeleton_maps.convert(points, person.skeleton, SKELETON)
    skeleton = skeletons.get(SKELETON)
    if method == "ransac":
      told.append(_outvoted(seen, used, rig))
  missing = ~np.isfinite(raw).all(-1)
  if missing.all(0).any():
    never = ", ".join(np.asarray(skeleton.joints)[missing.all(0)])
    raise ValueError(
      f"person {person.name}: got no frame in which two views agree on {never}, "
      "expected one; look at keypoints and calibration."
    )
  lengths = gaps.gap_lengths(missing)
  told.insert(0, gaps.gap_report(lengths, skeleton.joints, MAX_GAP))
  joints = gaps.fill_gaps(raw, missing)
  if smooth != "none" and len(joints) >= 3:
    done = smoothing.smooth(joints, rig.fps, smooth)
    joints = done.points
    told.append(f"The poses: {done.report[0].lower()}{done.report[1:]}")
  told.append(agreement(joints, person, rig).report)
  return Poses(
    np.float32(joints),
    skeleton,
    (lengths <= MAX_GAP).all(-1),
    used,
    raw,
    "\n".join(told),
  )


def triangulated(
  person: Seen, rig: Rig, *, robust: bool
) -> tuple[Float[np.ndarray, "t k 3"], Bool[np.ndarray, "t v k"]]:
  """Keypoints in the world, NaN where two views do not give them, and what was used."""
  seen = person.confidence >= MIN_CONFIDENCE
  weight = np.where(seen, person.confidence, 0).astype(np.float64)
  rays, cameras = rig.rays(person.pixels), (rig.rotation[None], rig.position[None])
  if robust:
    limit = np.maximum(triangulation.AGREES * person.size, 1.0) / rig.focal
    points, used = triangulation.ransac(rays, *cameras, weight, limit)
    most = 2 * used.sum(1) > seen.sum(1)  # of four views two may agree by chance
    return np.where(most[..., None], points, np.nan), used & most[:, None]
  points, known = triangulation.triangulate(rays, *cameras, weight)
  known = known & ((weight > 0).sum(1) >= 2)
  return np.where(known[..., None], points, np.nan), seen & known[:, None]


class Agreement(NamedTuple):
  """How far joints, projected, are from the keypoints.

  Attributes:
    error: (t, v, j) pixels; NaN where the keypoint is not seen.
    report: medians by view.
  """

  error: np.ndarray
  report: str


def agreement(joints: Float[np.ndarray, "t j 3"], person: Seen, rig: Rig) -> Agreement:
  """Of joints of `SKELETON` with what its 2D map makes of the keypoints."""
  pixels = skeleton_maps.convert(person.pixels, person.skeleton, SKELETON)
  sure = skeleton_maps.convert_confidence(person.confidence, person.skeleton, SKELETON)
  away = np.linalg.norm(rig.pixels(np.float64(joints)) - pixels, axis=-1)
  error = np.where(sure >= MIN_CONFIDENCE, away, np.nan)
  each = []
  for v, name in enumerate(rig.names):
    known = error[:, v][np.isfinite(error[:, v])]
    each.append(f"{name} {np.median(known):.1f}" if len(known) else f"{name} none")
  return Agreement(
    error,
    "Joints projected lie beside the 2D joints by, median pixels by camera: "
    f"{', '.join(each)}.",
  )


def _outvoted(seen, used, rig: Rig) -> str:
  """Which keypoints the others outvoted."""
  lost = seen & ~used
  if not lost.any():
    return "All views agree on all keypoints."
  each = ", ".join(
    f"{name} {lost[:, v].sum() / max(seen[:, v].sum(), 1):.1%}"
    for v, name in enumerate(rig.names)
  )
  return f"Keypoints left out, as other views do not agree with them: {each}."
