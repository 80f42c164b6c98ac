"""Whether joints are in metres: legs are about 0.8 m long, in any data set."""

import numpy as np
from jaxtyping import Float

from jaxpose import skeletons

SHORTEST, LONGEST = 0.35, 1.4  # metres from hip to ankle


def require_metres(
  joints: Float[np.ndarray, "t j 3"], skeleton: str, source: str
) -> None:
  """Refuses joints whose legs are not those of a person.

  Args:
    joints: of the skeleton; frames with NaN do not count.
    skeleton: with hips, knees and ankles (or feet, as h36m17 calls them).
    source: file or sequence, for the message.

  Raises:
    ValueError: the median leg is too short or too long.
  """
  names = skeletons.get(skeleton)
  ankle = "ankle" if "left_ankle" in names.joints else "foot"
  legs = []
  for side in ("left", "right"):
    chain = [names.index(f"{side}_{part}") for part in ("hip", "knee", ankle)]
    bones = np.diff(joints[:, chain].astype(np.float64), axis=1)
    legs.append(np.linalg.norm(bones, axis=-1).sum(-1))
  leg = np.concatenate(legs)
  leg = leg[np.isfinite(leg)]
  if len(leg) and not SHORTEST < np.median(leg) < LONGEST:
    raise ValueError(
      f"{source}: got legs of {np.median(leg):.3g} m, expected about 0.8 m; the unit "
      "of length is another than the format's, rescale the file."
    )
