"""MediaPipe's own keypoints of a video, to compare `jaxpose.detect.blazepose` with.

Run where mediapipe 0.10.21 and imageio-ffmpeg are installed (not jaxpose: their numpy
and jax differ): python tools/mediapipe_keypoints.py VIDEO OUT.npz

The frames are decoded as `jaxpose.files.frames` does. MediaPipe's Python interface
takes every video for one of 1e6 / 33333 frames/s; so must the comparison.
"""

import subprocess
import sys

import imageio_ffmpeg
import mediapipe
import numpy as np


def frames(path: str):
  """RGB arrays."""
  command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path]
  command += ["-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "rgb24"]
  command += ["-c:v", "ppm", "-f", "image2pipe", "-"]
  with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
    while process.stdout.readline() == b"P6\n":
      width, height = map(int, process.stdout.readline().split())
      process.stdout.readline()
      raw = process.stdout.read(3 * width * height)
      yield np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def main(path: str, out: str) -> None:
  """Writes x, y in pixels and the visibility, NaN where nobody was found."""
  pose = mediapipe.solutions.pose.Pose(model_complexity=1, smooth_landmarks=True)
  rows = []
  for frame in frames(path):
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
