r"""Films a made-up person, and makes the README's clip of what the command finds there.

The person, the motion and the room are those of the dataset synthetic_multiview: no
download, and nobody's picture. docs/predict.gif is made by

  python tools/readme_clip.py film runs/clip.mp4
  python -m jaxpose.predict runs/clip.mp4 --keypoints=runs/clip.npz --focal=FOCAL \
    --out=runs/clip_3d
  python tools/readme_clip.py gif runs/clip_3d/person_0/video.mp4 docs/predict.gif

with the focal length that the first command prints. The keypoints are those of the
motion: BlazePose finds this person, but takes left for right now and then, since there
is no face. Of a real video leave --keypoints and --focal out.
"""

import argparse
import importlib
import pathlib
import sys

import numpy as np
from PIL import Image

from jaxpose import detect
from jaxpose.detect.detect_tracks import Tracks
from jaxpose.draw import pose_draw
from jaxpose.files import resources
from jaxpose.files import video_files
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.geometry import cameras

_SEED = 5
_AT_ONCE = 8  # frames; a film of all of them would not fit the memory
_FPS = 50


def film(path: pathlib.Path, action: str, subject: str, size: int, seconds: float):
  """An mp4 of a person and their keypoints; returns the focal length."""
  sys.path.append(str(resources.folder("datasets")))
  motion = importlib.import_module("synthetic_motion.motion")
  filming = importlib.import_module("synthetic_multiview.filming")
  who = motion.sample_subject(0, subject)
  count = round(seconds * _FPS)
  joints = motion.clip(who, action, 0, (count, count + 1))[:count]
  rng = np.random.default_rng(_SEED)
  actor = filming.sample_actor(rng, joints, who.body.height)
  camera = _camera(joints, size)
  detect.save(path.with_suffix(".npz"), _keypoints(joints, camera))
  scene = filming.sample_scene(rng, [actor], [camera], sits=action == "sitting")
  with video_files.Encoder(path, (size, size), _FPS) as encoder:
    for start in range(0, count, _AT_ONCE):
      part = actor._replace(joints=joints[start : start + _AT_ONCE])
      # Always the same lens: its exposure and tint are drawn.
      clip = filming.film(np.random.default_rng(_SEED), [part], [camera], scene)
      for picture in clip.images[:, 0]:
        encoder.add(picture)
      print(f"{start + len(part.joints)} of {count} frames", flush=True)
  return camera.intrinsics[0]


def _camera(joints: np.ndarray, size: int) -> cameras.Camera:
  """At eye level, before where the person is, from which all of the motion is seen."""
  target = (joints.min((0, 1)) + joints.max((0, 1))) / 2
  ahead = np.cross(joints[0, 4] - joints[0, 1], [0, 0, 1.0])  # across the hips
  ahead = ahead / np.linalg.norm(ahead)
  aside = np.cross([0, 0, 1.0], ahead)
  position = target + 4.2 * (0.85 * ahead + 0.5 * aside)
  position[2] = 1.5
  rotation = cameras.look_at(position, target)
  seen = cameras.world_to_camera(joints.reshape(-1, 3), rotation, position)
  widest = ((np.abs(seen[:, :2]) + 0.14) / seen[:, 2:]).max()
  focal, middle = 0.9 * size / 2 / widest, (size - 1) / 2
  intrinsics = np.asarray([focal, focal, middle, middle, 0, 0, 0, 0, 0])
  return cameras.Camera(rotation, position, intrinsics, (size, size))


def _keypoints(joints: np.ndarray, camera: cameras.Camera) -> Tracks:
  seen = cameras.world_to_camera(joints, camera.rotation[None], camera.position[None])
  pixels = np.float32(cameras.project(seen, camera.intrinsics[None]))
  sure = np.ones(pixels.shape[:2], np.float32)
  tracks = Tracks([Track("0", np.arange(len(joints)), pixels, sure, "h36m17")])
  tracks.image_size, tracks.fps = camera.image_size, _FPS
  tracks.report = "projected joints"
  return tracks


def gif(video: pathlib.Path, path: pathlib.Path, width: int, every: int):
  """Writes a small GIF of a video, at its speed."""
  source = video_files.open_source(video)
  wide, high = source.image_size
  size = (width, round(width * high / wide))
  shown = (
    Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)
    for i, frame in source.read()
    if i % every == 0
  )
  pictures = pose_draw.in_a_palette(map(np.asarray, shown))
  first = next(pictures)
  delay = round(1000 * every / source.fps)
  first.save(
    path, save_all=True, append_images=pictures, duration=delay, loop=0, optimize=True
  )


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parts = parser.add_subparsers(dest="part", required=True)
  first = parts.add_parser("film")
  first.add_argument("path", type=pathlib.Path)
  first.add_argument("--action", default="kicking")
  first.add_argument("--subject", default="S06")
  first.add_argument("--size", type=int, default=480)
  first.add_argument("--seconds", type=float, default=4.0)
  second = parts.add_parser("gif")
  second.add_argument("video", type=pathlib.Path)
  second.add_argument("path", type=pathlib.Path)
  second.add_argument("--width", type=int, default=640)
  second.add_argument("--every", type=int, default=4)
  args = vars(parser.parse_args())
  if args.pop("part") == "gif":
    gif(**args)
  else:
    print(f"focal length: {film(**args):.0f} pixels")


if __name__ == "__main__":
  main()
