"""Records of benchmark data: poses of a file, checked, in the layout of `sequences`.

Unlike filmed motion, what a benchmark gives is scored as it is: the 2D keypoints may be
a detector's and lie beside the projected joints or outside the image, and cameras may
be unknown.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool
from jaxtyping import Num

from jaxpose.data import sequences
from jaxpose.geometry.cameras import Camera
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons import proportions

_KEYS = 2**128  # TFDS sorts by keys of so many values
_PARTS = 1000


@dataclasses.dataclass(frozen=True)
class Labels:
  """What a record is called.

  Attributes:
    source: file it comes from, for messages.
    sequence: of the motion; all cameras' records of it share it.
    subject: name of the person.
    action: name, with the numbers of take and chunk.
    camera: name.
    fps: frames per second; 0 where the source does not say.
  """

  source: object
  sequence: str
  subject: str
  action: str
  camera: str
  fps: float

  def __str__(self) -> str:
    where = f", camera {self.camera!r}" if self.camera else ""
    return f"{self.source}: sequence {self.sequence!r}{where}"


def features(
  skeleton: Skeleton, *, cameras: bool = True, context: bool = False
) -> dict:
  """Those of `sequences.features`, of which `frame_valid` only says "not damaged".

  Args:
    skeleton: of both joint axes.
    cameras: whether they are known; else there are no `camera_rotation`,
      `camera_position` and `intrinsics`.
    context: adds `frame_scored` (t,): false where a frame is input for its neighbours
      but does not count in scores.
  """
  import tensorflow_datasets as tfds

  found = sequences.features(skeleton)
  if not cameras:
    for key in ("camera_rotation", "camera_position", "intrinsics"):
      del found[key]
  if context:
    found["frame_scored"] = tfds.features.Tensor(
      shape=(None,), dtype=np.bool_, encoding="bytes"
    )
  return found


def record(
  keypoints_2d: Num[np.ndarray, "..."],
  joints_3d: Num[np.ndarray, "..."],
  labels: Labels,
  *,
  skeleton: Skeleton,
  image_size: tuple[int, int],
  camera: Camera | None = None,
  scored: Bool[np.ndarray, " t"] | None = None,
) -> dict:
  """The record of one sequence seen by one camera.

  Args:
    keypoints_2d: (t, j, 2) pixels; longer than the joints, it is cut at the end.
    joints_3d: (t, j, 3) metres, camera frame.
    labels: of the record.
    skeleton: of both joint axes.
    image_size: width, height in pixels.
    camera: if it is known.
    scored: frames that count in scores; only these must be finite. None: all.

  Raises:
    ValueError: wrong shapes, NaN, or a body that is not in metres.
  """
  for name, array, last in (("2D", keypoints_2d, 2), ("3D", joints_3d, 3)):
    if array.ndim != 3 or array.shape[1:] != (skeleton.num_joints, last):
      raise ValueError(
        f"{labels}: got {name} joints of shape {array.shape}, expected (frames, "
        f"{skeleton.num_joints}, {last}) in the order of {skeleton.name!r}; is it the "
        "file of another dataset?"
      )
  frames = len(joints_3d)
  if not 0 < frames <= len(keypoints_2d):
    raise ValueError(
      f"{labels}: got {frames} frames of 3D and {len(keypoints_2d)} of 2D, expected at "
      "least one, and 2D for every frame of 3D; the files do not belong together."
    )
  keypoints = keypoints_2d[:frames].astype(np.float32)
  joints = joints_3d.astype(np.float32)
  finite = np.isfinite(keypoints).all((1, 2)) & np.isfinite(joints).all((1, 2))
  bad = ~finite if scored is None else ~finite & scored
  if bad.any():
    raise ValueError(
      f"{labels}: {int(bad.sum())} of {frames} frames hold NaN or infinite joints; cut "
      "them from the file before building."
    )
  keypoints[~finite], joints[~finite] = 0, 0
  proportions.require_metres(joints[finite], skeleton.name, str(labels))
  person = f"{labels.source}: subject {labels.subject!r}"
  proportions.warn(joints[finite], skeleton.name, person)
  found = dict(
    keypoints_2d=keypoints,
    joints_3d=joints,
    frame_valid=finite,
    image_size=np.asarray(image_size, np.int32),
    fps=np.float32(labels.fps),
    skeleton=skeleton.name,
    sequence=labels.sequence,
    subject=labels.subject,
    action=labels.action,
    camera=labels.camera,
  )
  if scored is not None:
    found["frame_scored"] = scored
  if camera is not None:
    found |= dict(
      camera_rotation=camera.rotation,
      camera_position=camera.position,
      intrinsics=camera.intrinsics,
    )
  return found


def numbered(made):
  """(key, record) with keys that keep the order of the records.

  The keys are spread over all that TFDS has: it sorts them by the thousandth part.

  Args:
    made: list of functions without arguments, each making an iterator of at most
      `_PARTS` records.
  """
  step = _KEYS // max(len(made), 1)
  part_step = step // _PARTS
  for number, make in enumerate(made):
    for part, found in enumerate(make()):
      yield number * step + part * part_step, found
