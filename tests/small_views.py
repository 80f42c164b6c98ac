"""A walker filmed by four calibrated cameras, and what a detector would see of them."""

import json
from typing import NamedTuple

import numpy as np

from jaxpose import skeletons
from jaxpose.detect.detect_tracks import Tracks
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.geometry import cameras
from jaxpose.predict import rig_people
from jaxpose.predict import rig_source
from tests.frames_test import pictures

SIZE = (200, 160)
FRAMES = 15
FPS = 25.0
H36M = skeletons.get("h36m17")
_POSE = dict(
  hip=(0, 0, 0.95),
  right_hip=(0.13, 0, 0.95),
  right_knee=(0.14, 0.02, 0.5),
  right_foot=(0.14, 0, 0.08),
  left_hip=(-0.13, 0, 0.95),
  left_knee=(-0.14, 0.02, 0.5),
  left_foot=(-0.14, 0, 0.08),
  spine=(0, 0, 1.2),
  thorax=(0, 0, 1.45),
  neck=(0, 0.05, 1.55),
  head=(0, 0.03, 1.72),
  left_shoulder=(-0.18, 0, 1.42),
  left_elbow=(-0.25, 0.03, 1.15),
  left_wrist=(-0.27, 0.1, 0.9),
  right_shoulder=(0.18, 0, 1.42),
  right_elbow=(0.25, 0.03, 1.15),
  right_wrist=(0.27, 0.1, 0.9),
)


class Scene(NamedTuple):
  """Attributes: folders of pictures; the calibration; the cameras."""

  folders: list
  calibration: object
  ring: list


def walker(start=(0.0, 0.0), count=FRAMES, fps=FPS) -> np.ndarray:
  """(t, 17, 3) joints in the world, metres: bones of constant length on their way."""
  pose = np.asarray([_POSE[joint] for joint in H36M.joints])
  time = np.arange(count) / fps
  turn = 0.4 * np.sin(3 * time)
  c, s = np.cos(turn), np.sin(turn)
  x = c[:, None] * pose[:, 0] - s[:, None] * pose[:, 1]
  y = s[:, None] * pose[:, 0] + c[:, None] * pose[:, 1]
  joints = np.stack([x, y, np.broadcast_to(pose[:, 2], x.shape)], -1)
  way = np.stack([start[0] + 0.8 * time, start[1] + 0 * time, 0 * time], -1)
  return joints + way[:, None]


def scene(folder, views=4, frames=FRAMES) -> Scene:
  """Pictures of each camera in `cam0` and so on, and `calib.json` beside them."""
  rng = np.random.default_rng(3)
  ring = cameras.camera_ring(rng, np.asarray([0.2, 0.0, 1.0]), views, SIZE)
  said = [
    dict(
      name=f"cam{camera.name}",
      K=[
        [float(camera.intrinsics[0]), 0, float(camera.intrinsics[2])],
        [0, float(camera.intrinsics[1]), float(camera.intrinsics[3])],
        [0, 0, 1],
      ],
      R=camera.rotation.astype(float).tolist(),
      t=(-camera.rotation.astype(float) @ camera.position).tolist(),
      dist=[0.05, -0.02, 0.001, 0.0, 0.0],
      image_size=list(SIZE),
    )
    for camera in ring
  ]
  folders = [pictures(folder / f"cam{v}", frames, SIZE) for v in range(views)]
  path = folder / "calib.json"
  path.write_text(json.dumps(dict(cameras=said)))
  return Scene(folders, path, ring)


def opened(found: Scene, **options) -> rig_source.Rig:
  """The rig of the scene."""
  options = dict(fps=FPS) | options
  return rig_source.opened(found.folders, found.calibration, **options)


def seen(joints, rig, noise=0.0, seed=0) -> np.ndarray:
  """(t, v, 17, 2) recorded pixels of the joints."""
  pixels = rig.pixels(joints)
  rng = np.random.default_rng(seed)
  pixels = pixels + rng.normal(0, 1, pixels.shape) * noise
  return np.stack([n.original(pixels[:, v]) for v, n in enumerate(rig.lenses)], 1)


def track(pixels, name="0", first=0) -> Track:
  """One person in one view, (t, 17, 2)."""
  frames = np.arange(first, first + len(pixels))
  sure = np.full(pixels.shape[:2], 0.9, np.float32)
  return Track(name, frames, np.float32(pixels), sure, "h36m17", H36M.joints)


def tracks(pixels) -> list[Tracks]:
  """One person in every view."""
  return [Tracks([track(pixels[:, v])]) for v in range(pixels.shape[1])]


def person(joints, rig, noise=0.0) -> rig_people.Seen:
  """Whom `associate` finds when there is one."""
  return rig_people.associate(tracks(seen(joints, rig, noise)), rig).people[0]
