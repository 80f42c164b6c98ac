"""How far `jaxpose.detect.blazepose` is from MediaPipe, in % of the person's height.

Run: python tools/compare_blazepose.py VIDEO KEYPOINTS.npz [WEIGHTS]
with the keypoints that tools/mediapipe_keypoints.py wrote of the same video.
"""

import sys
import time

import numpy as np

from jaxpose.detect import blazepose
from jaxpose.detect import blazepose_weights
from jaxpose.files import video_files
from jaxpose.motion import one_euro

RATE = 1e6 / 33333  # as MediaPipe's Python interface counts, whatever the video


def ours(path: str, weights: str | None, frame_count: int | None = None) -> np.ndarray:
  """(t, 33, 2) pixels of whoever is followed, smoothed; NaN where nobody is."""
  networks = blazepose.Networks(*blazepose_weights.files(weights))
  tracker = blazepose.Tracker(networks, rate=RATE, people=1)
  points, scales = [], []
  for i, frame in video_files.open_source(path).read():
    if i == frame_count:
      break
    found = tracker.update(frame)
    points.append(found[0].keypoints if found else np.full((33, 2), np.nan, np.float32))
    scales.append(found[0].scale if found else 1.0)
  points = np.asarray(points)
  seen = np.isfinite(points).all((1, 2))
  return one_euro.track(points, seen, np.asarray(scales), RATE)


def differences(points: np.ndarray, theirs: np.ndarray) -> np.ndarray:
  """Distance of each keypoint in % of the height, the keypoints' median extent."""
  height = np.nanmedian(np.ptp(theirs[..., 1], axis=1))
  return 100 * np.linalg.norm(points - theirs[..., :2], axis=-1) / height


def main(path: str, keypoints: str, weights: str | None = None) -> None:
  """Prints a row of the table in docs/detect.md."""
  theirs = np.load(keypoints)["keypoints"]
  began = time.monotonic()
  points = ours(path, weights)
  speed = len(points) / (time.monotonic() - began)
  away = differences(points, theirs)
  both = away[np.isfinite(away).all(-1)]
  print(
    f"{path}: {len(both)} of {len(theirs)} frames, median {np.median(both):.2f} %, "
    f"p90 {np.percentile(both, 90):.2f} %, {speed:.1f} frames/s"
  )


if __name__ == "__main__":
  main(*sys.argv[1:])
