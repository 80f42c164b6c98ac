"""MediaPipe's own keypoints of a video, to compare `jaxpose.detect.blazepose` with.

Run where mediapipe 0.10.21 and av are installed (not jaxpose: their numpy and jax
differ): python tools/mediapipe_keypoints.py VIDEO OUT.npz

The frames are those of `jaxpose.files.video_files`, but not turned. MediaPipe's Python
interface takes every video for one of 1e6 / 33333 frames/s; so must the comparison.
"""

import sys

import av
import mediapipe
import numpy as np


def main(path: str, out: str) -> None:
  """Writes x, y in pixels and the visibility, NaN where nobody was found."""
  pose = mediapipe.solutions.pose.Pose(model_complexity=1, smooth_landmarks=True)
  rows = []
  for decoded in av.open(path).decode(video=0):
    frame = decoded.to_ndarray(format="rgb24", interpolation="BICUBIC")
    height, width, _ = frame.shape
    found = pose.process(frame).pose_landmarks
    rows.append(
      np.full((33, 3), np.nan)
      if found is None
      else [(p.x * width, p.y * height, p.visibility) for p in found.landmark]
    )
  np.savez_compressed(out, keypoints=np.asarray(rows, np.float32))


if __name__ == "__main__":
  main(*sys.argv[1:])
