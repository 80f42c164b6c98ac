"""A motion as one self-contained HTML page: the body in 3D, to rotate and to play.

html_page.write("walk.html", placed.joints_3d, poses.skeleton, fps=50)

The page opens in any browser, without a network. Needs `pip install 'jaxpose[viz]'`.
"""

import contextlib
import io
import os
import pathlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxpose import geometry
from jaxpose.draw import stage
from jaxpose.files import whole_files
from jaxpose.skeletons import Skeleton

_MOST_FPS = 30.0
_SIDES = 20  # of a tube
_AWAY = (2.2, -3.2, 1.0)  # metres, of the eye from the body at the start
_FIELD = 0.65  # radians that it sees from top to bottom

Number = int | float | np.number


class Tubes(NamedTuple):
  """Where the tubes of a frame are, as viser takes them.

  Attributes:
    positions: (t, n, 3) of their middles.
    wxyzs: (t, n, 4) quaternions that turn z along them.
    scales: (t, n, 3) radius, radius and length.
  """

  positions: np.ndarray
  wxyzs: np.ndarray
  scales: np.ndarray


def write(
  path: str | os.PathLike,
  joints_3d: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  fps: Number,
  *,
  overwrite: bool = False,
) -> pathlib.Path:
  """Writes the page, with at most 30 frames a second.

  Args:
    path: ends in .html.
    joints_3d: world, metres, z up, the floor at z = 0, see `jaxpose.motion.world`.
    skeleton: of the joints.
    fps: frames per second.
    overwrite: write over a file that is there.

  Raises:
    FileExistsError: the file is there, and `overwrite` is not said.
    ValueError: another ending, missing joints, or a shape that does not fit.
    ImportError: viser is not installed.
  """
  path = whole_files.check(path, (".html",), overwrite)
  _check(joints_3d, skeleton, fps)
  step = max(int(np.ceil(float(fps) / _MOST_FPS - 1e-6)), 1)
  joints = np.float32(joints_3d[::step])
  server = _server()
  try:
    content = _page(server, joints, skeleton, step / float(fps))
  finally:
    with contextlib.redirect_stdout(io.StringIO()):
      server.stop()
  return whole_files.write(
    path,
    lambda file: file.write(content.encode()),
    endings=(".html",),
    overwrite=overwrite,
  )


def tubes(joints: Float[np.ndarray, "t j 3"], limbs: list[stage.Limb]) -> Tubes:
  """A tube for each limb of each frame."""
  a = joints[:, [limb.start for limb in limbs]]
  b = joints[:, [limb.end for limb in limbs]]
  along = b - a
  length = np.linalg.norm(along, axis=-1, keepdims=True)
  z = np.where(length > 1e-6, along / np.maximum(length, 1e-6), [[[0, 0, 1.0]]])
  # Half-way turn from z: its axis is at right angles to both.
  axis = np.stack([-z[..., 1], z[..., 0], 0 * z[..., 0]], -1)
  half = np.concatenate([1 + z[..., 2:], axis], -1)
  half = np.where(1 + z[..., 2:] > 1e-5, half, [[[0, 1.0, 0, 0]]])
  wxyzs = half / np.linalg.norm(half, axis=-1, keepdims=True)
  radius = np.asarray([np.mean(limb.radii) for limb in limbs])[None, :, None]
  radius = np.broadcast_to(radius, length.shape)
  scales = np.concatenate([radius, radius, length], -1)
  return Tubes(np.float32((a + b) / 2), np.float32(wxyzs), np.float32(scales))


def cylinder() -> tuple[np.ndarray, np.ndarray]:
  """Vertices and faces of an open tube of radius and length 1 about z."""
  angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
  ring = np.stack([np.cos(angle), np.sin(angle)], -1)
  ends = [np.column_stack([ring, np.full(_SIDES, z)]) for z in (-0.5, 0.5)]
  i = np.arange(_SIDES)
  k = (i + 1) % _SIDES
  faces = [np.stack([i, k, k + _SIDES], -1), np.stack([i, k + _SIDES, i + _SIDES], -1)]
  return np.float32(np.concatenate(ends)), np.uint32(np.concatenate(faces))


def _page(server, joints, skeleton: Skeleton, seconds: float) -> str:
  scene, middle = server.scene, joints.reshape(-1, 3).mean(0)
  scene.set_up_direction("+z")
  reach = float(np.ptp(joints[..., :2], axis=(0, 1)).max()) + 6
  scene.add_grid(
    "/floor",
    width=reach,
    height=reach,
    position=(float(middle[0]), float(middle[1]), 0.0),
    cell_size=0.5,
    section_size=1.0,
    cell_color=stage.LINE,
    section_color=stage.MAIN_LINE,
  )
  server.initial_camera.position = tuple(map(float, middle + _AWAY))
  server.initial_camera.look_at = tuple(map(float, middle))
  server.initial_camera.fov = _FIELD
  ball = stage.head_ball(skeleton)
  limbs = [x for x in stage.limbs(skeleton) if not ball or x.end != ball[1]]
  placed = tubes(joints, limbs)
  vertices, faces = cylinder()
  bones = scene.add_batched_meshes_simple(
    "/bones",
    vertices,
    faces,
    placed.wxyzs[0],
    placed.positions[0],
    batched_scales=placed.scales[0],
    batched_colors=np.uint8([limb.colour for limb in limbs]),
    lod="off",
  )
  centres, radii, colours = _balls(joints, limbs, ball)
  vertices, faces = _sphere()
  balls = scene.add_batched_meshes_simple(
    "/joints",
    vertices,
    faces,
    np.tile(np.float32([1, 0, 0, 0]), (len(radii), 1)),
    centres[0],
    batched_scales=radii,
    batched_colors=colours,
    lod="off",
  )
  recording = server.get_scene_serializer()
  for i in range(len(joints)):
    with server.atomic():
      bones.batched_positions = placed.positions[i]
      bones.batched_wxyzs = placed.wxyzs[i]
      bones.batched_scales = placed.scales[i]
      balls.batched_positions = centres[i]
    recording.insert_sleep(seconds)
  return recording.as_html()


def _balls(joints, limbs, ball):
  """(t, n, 3) centres, (n,) radii and (n, 3) colours of joints and head."""
  ends = {}
  for limb in limbs:
    for joint, radius in zip((limb.start, limb.end), limb.radii, strict=True):
      if joint not in ends or radius > ends[joint][0]:
        ends[joint] = (radius, limb.colour)
  centres = joints[:, list(ends)]
  radii = [radius for radius, _ in ends.values()]
  colours = [colour for _, colour in ends.values()]
  if ball:
    neck, head, share = ball
    middle = joints[:, neck] + share * (joints[:, head] - joints[:, neck])
    centres = np.concatenate([centres, middle[:, None]], 1)
    radii.append(stage.HEAD)
    colours.append(stage.MIDDLE)
  return np.float32(centres), np.float32(radii), np.uint8(colours)


def _sphere(rings: int = 10, sides: int = 16) -> tuple[np.ndarray, np.ndarray]:
  """Vertices and faces of a ball of radius 1."""
  polar = np.pi * np.arange(rings + 1) / rings
  turn = 2 * np.pi * np.arange(sides) / sides
  start = np.zeros((rings + 1, sides, 3))
  start[..., 2] = 1
  around = np.stack(np.broadcast_arrays(polar[:, None], turn[None]), -1)
  turned = geometry.euler_to_matrix(around[..., ::-1], "zy") @ start[..., None]
  i, k = np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij")
  a, b = i * sides + k, i * sides + (k + 1) % sides
  c, d = a + sides, b + sides
  faces = np.concatenate([np.stack([a, c, d], -1), np.stack([a, d, b], -1)])
  return np.float32(turned.reshape(-1, 3)), np.uint32(faces.reshape(-1, 3))


def _server():
  try:
    import viser
  except ImportError as error:
    raise ImportError(
      "interactive pages need the package viser: pip install 'jaxpose[viz]'"
    ) from error
  # It only records the scene: nobody is to connect to it.
  with contextlib.redirect_stdout(io.StringIO()):
    return viser.ViserServer(host="127.0.0.1", verbose=False)


def _check(joints_3d, skeleton: Skeleton, fps) -> None:
  if joints_3d.shape[1] != skeleton.num_joints or not len(joints_3d):
    raise ValueError(
      f"got joints of shape {joints_3d.shape}, expected (frames, "
      f"{skeleton.num_joints}, 3) for the skeleton {skeleton.name!r}, with at least "
      "one frame."
    )
  if not np.isfinite(joints_3d).all():
    raise ValueError(
      "got NaN or infinite joints, expected all of them; fill them first, see "
      "jaxpose.motion.gaps.fill_gaps."
    )
  if not 0 < fps < np.inf:
    raise ValueError(f"got fps={fps}, expected frames per second, above 0.")
