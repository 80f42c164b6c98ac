"""Nose and crown from the head bone, the only one of the head in motion capture.

Human3.6M's joints 9 and 10 are the nose and the top of the head, and so do keypoint
detectors see them; skeletons of motion capture end in one bone from the top of the neck
to the middle of the head. Sizes are those of the embedded body (`jaxpose.body`), whose
nose lies 18 cm above and 14 cm before the middle of the shoulders: CMU's neck ends 13
cm above it, and its bone of the head is 10 cm long.
"""

import numpy as np
from jaxtyping import Float

# Up and forward in the head's frame, in lengths of the head's bone.
NOSE = (0.6, 1.15)
CROWN = (1.9, 0.2)
EARS = (0.7, 0.15)  # the middle between the two


def nose_and_crown(
  base: Float[np.ndarray, "t 3"],
  length: float,
  rotation: Float[np.ndarray, "t 3 3"],
  up: tuple[float, float, float] = (0.0, 1.0, 0.0),
  forward: tuple[float, float, float] = (0.0, 0.0, 1.0),
) -> Float[np.ndarray, "t 2 3"]:
  """The two points in the axes and unit of `base`.

  Args:
    base: start of the head's bone, where the neck ends.
    length: of that bone.
    rotation: of the head, from the rest pose.
    up: in the rest pose.
    forward: of the face in the rest pose.
  """
  axes = np.asarray([up, forward], np.float64)
  offsets = length * np.asarray([NOSE, CROWN]) @ axes
  return base[:, None] + np.einsum("tij,nj->tni", rotation, offsets)


def ears_from_nose_and_crown() -> tuple[float, float]:
  """Place of the ears' middle, from the nose, in the head's sagittal plane.

  Returns:
    Share of the vector from the nose to the crown, and of that vector turned by a right
    angle from up to forward: the cross product of the head's left with it.
  """
  line, ears = np.subtract(CROWN, NOSE), np.subtract(EARS, NOSE)
  across = np.asarray([-line[1], line[0]])
  square = line @ line
  return float(ears @ line / square), float(ears @ across / square)
