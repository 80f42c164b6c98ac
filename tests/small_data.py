"""Small pose data made in memory, for tests of what reads it."""

import numpy as np

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.data import pose_data as data_pose_data
from jaxpose.data import sequences
from jaxpose.geometry import cameras

H36M = skeletons.get("h36m17")


def motion(frames: int, seed: int = 0) -> np.ndarray:
  """(frames, 17, 3) smooth motion of a body-like cloud of joints, world metres."""
  rng = np.random.default_rng([7, seed])
  rest = rng.normal((0, 0, 1), 0.3, (17, 3))
  swing, phase = rng.uniform(0, 0.1, (2, 17, 3))
  time = np.arange(frames)[:, None, None]
  return (rest + swing * np.sin(0.2 * time + 60 * phase)).astype(np.float32)


def records(lengths=(12, 7), actions=("walk", "sit"), num_cameras=2) -> list[dict]:
  """One record per clip and camera, as a builder would write them."""
  made = []
  for i, (frames, action) in enumerate(zip(lengths, actions, strict=True)):
    name = f"S{i}_{action}"
    clip = motion(frames, i)
    made += [
      record
      for _, record in sequences.film(
        clip,
        sequences.clip_rng(0, name),
        num_cameras=num_cameras,
        skeleton=H36M,
        fps=50.0,
        sequence=name,
        subject=f"S{i}",
        action=action,
      )
    ]
  return made


def pose_data(lengths=(12, 7), **kwargs) -> data_pose_data.PoseData:
  """The records in memory."""
  return data_pose_data.from_records(records(lengths, **kwargs))


def mesh_records(lengths=(20, 9), num_cameras=2, seed=0) -> list[dict]:
  """Records of the small free body, a person of its own in each clip."""
  body, made = body_files.load("free_small"), []
  for i, frames in enumerate(lengths):
    rng = np.random.default_rng([seed, i])
    time = np.arange(frames)[:, None, None]
    swing, phase = rng.uniform(0, 0.3, (2, 24, 3))
    pose = rng.normal(0, 0.2, (24, 3)) + swing * np.sin(0.2 * time + 60 * phase)
    pose[:, 0] = [np.pi / 2, 0, 0]  # upright in the world
    rotations = geometry.axis_angle_to_matrix(pose.astype(np.float32))
    hips = np.asarray([0, 0, 0.9]) + 0.005 * time[:, 0]
    made += [
      record
      for _, record in sequences.film_body(
        body,
        rotations,
        rng.normal(size=body.num_betas).astype(np.float32),
        hips + np.zeros((frames, 3)),
        sequences.clip_rng(0, f"P{i}"),
        num_cameras=num_cameras,
        fps=50.0,
        sequence=f"P{i}_move",
        subject=f"P{i}",
        action="move",
      )
    ]
  return made


def mesh_data(lengths=(20, 9), **kwargs) -> data_pose_data.PoseData:
  """The records of bodies in memory."""
  return data_pose_data.from_records(mesh_records(lengths, **kwargs))


def of_runs(
  lengths: list[int], actions: list[str] | None = None
) -> data_pose_data.PoseData:
  """Runs in which keypoint x is the frame's number and y that of its run."""
  total = sum(lengths)
  ends = np.cumsum(lengths)
  points = np.zeros((total, 17, 2), np.float32)
  points[..., 0] = np.arange(total)[:, None]
  points[..., 1] = np.repeat(np.arange(len(lengths)), lengths)[:, None]
  joints = np.random.default_rng(0).normal(size=(total, 17, 3)).astype(np.float32)
  runs = dict(first=(ends - lengths).astype(np.int32), last=(ends - 1).astype(np.int32))
  views = [
    data_pose_data.View(f"s{i}", "S1", action, "0", 50.0)
    for i, action in enumerate(actions or ["walk"] * len(lengths))
  ]
  frames = dict(keypoints_2d=points, joints_3d=joints)
  return data_pose_data.PoseData(frames, runs, tuple(views), H36M)


def focal_of(record: dict) -> float:
  """Focal length of a record's camera in normalised units."""
  return float(record["intrinsics"][0]) * 2 / float(record["image_size"][0])


def seen(joints: np.ndarray, record: dict) -> np.ndarray:
  """Normalised keypoints of camera-frame joints seen by a record's camera."""
  width, height = (float(n) for n in record["image_size"])
  pixels = cameras.project(joints, record["intrinsics"])
  return cameras.normalize_screen(pixels, width, height)
