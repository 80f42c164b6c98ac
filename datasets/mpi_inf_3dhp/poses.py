"""Records of training and test sequences, from whichever file."""

import numpy as np

from jaxpose.data import benchmark_record

from . import protocol


def training(path, subject, sequence, camera, keypoints, joints, fps) -> dict:
  """The record of one camera's view; keypoints in pixels, joints in millimetres."""
  labels = benchmark_record.Labels(
    path, f"{subject} {sequence}", subject, sequence, str(camera), fps
  )
  return benchmark_record.record(
    keypoints,
    joints / 1000,
    labels,
    skeleton=protocol.SKELETON,
    image_size=protocol.IMAGE_SIZE,
    scored=np.ones(len(joints), bool),
  )


def test(path, name, keypoints, joints, valid) -> dict:
  """The record of a test sequence, whose frames are not all scored.

  Raises:
    ValueError: no frame is, or their number is another than the joints'.
  """
  valid = np.asarray(valid).reshape(-1)
  if not len(valid) == len(joints) == len(keypoints) or not valid.any():
    raise ValueError(
      f"{path}: {name}: got {len(joints)} frames of 3D, {len(keypoints)} of 2D and "
      f"{len(valid)} marks of valid frames, {int(np.count_nonzero(valid))} of them "
      "set, expected equal numbers and some set; copy or download the file again."
    )
  return benchmark_record.record(
    keypoints,
    joints / 1000,
    benchmark_record.Labels(path, name, name, "", "0", 0.0),
    skeleton=protocol.SKELETON,
    image_size=protocol.OUTDOORS.get(name, protocol.IMAGE_SIZE),
    scored=valid != 0,
  )
