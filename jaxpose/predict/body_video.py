"""The video of a body: the input with its keypoints beside the shaded mesh."""

import functools
import pathlib

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from jaxpose import skeletons
from jaxpose.body.meshes import AXES
from jaxpose.body.meshes import Mesh
from jaxpose.draw import video_draw
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.motion import world
from jaxpose.predict import person

NAME = "body.mp4"
_AT_ONCE = 32  # frames that are posed together


def write(
  path: pathlib.Path,
  mesh: Mesh,
  track: Track,
  source,
  progress: str | None = None,
) -> None:
  """Writes the mp4, whole or not at all; what is at its place is replaced.

  Args:
    path: of the file.
    mesh: of every frame from the track's first to its last.
    track: whose keypoints are drawn.
    source: of the frames.
    progress: label of a progress bar; None shows none.
  """
  turn, moved = placing(mesh)
  points, confidence = person.dense(track)
  points[confidence < person.MIN_CONFIDENCE] = np.nan
  first, skeleton = int(track.frames[0]), skeletons.get("smpl24")
  wanted = np.zeros(first + len(mesh), bool)
  wanted[first:] = True

  @functools.lru_cache(maxsize=1)
  def posed(part: int) -> np.ndarray:
    frames = slice(part * _AT_ONCE, (part + 1) * _AT_ONCE)
    return mesh.vertices(frames) @ turn + moved[frames, None]

  def vertices(frame: int) -> np.ndarray:
    return posed(frame // _AT_ONCE)[frame % _AT_ONCE]

  shown = tqdm(
    source.read(wanted),
    progress,
    len(mesh),
    unit=" frames",
    dynamic_ncols=True,
    disable=not progress,
  )
  with shown:
    video_draw.write(
      path,
      shown,
      joints_3d=mesh.joints_smpl @ turn + moved[:, None],
      skeleton=skeleton,
      fps=mesh.frame_rate,
      keypoints_2d=np.float32(points),
      keypoints_skeleton=skeletons.get(track.skeleton),
      mesh=(vertices, mesh.faces),
      overwrite=True,
    )


def placing(
  mesh: Mesh,
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "t 3"]]:
  """(turn, moved): `points @ turn + moved` stand upright on the floor.

  Where the floor cannot be told, the camera is taken for level, and the lowest joint of
  the clip is on the floor.
  """
  joints = mesh.joints_smpl
  try:
    placed = world.place(joints, skeletons.get("smpl24"), mesh.frame_rate)
  except ValueError:
    turn = np.float64(AXES["z_up"]).T
    turned = joints @ turn
    low = turned[..., 2].min() - world.ANKLE_HEIGHT
    return turn, np.tile(-np.r_[turned[0, 0, :2], low], (len(joints), 1))
  up = placed.settled[:, None] * np.asarray([[0, 0, 1.0]])
  return placed.rotation, placed.position + up
