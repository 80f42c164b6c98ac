"""Videos of a result: the input with its keypoints beside the body in 3D, as mp4.

from jaxpose.draw import video_draw
video_draw.write(
  "walk_3d.mp4", pictures, joints_3d=placed.joints_3d, skeleton=poses.skeleton,
  keypoints_2d=keypoints_2d, keypoints_skeleton=coco17, fps=50,
)

`pictures` are the frames of the input in order, RGB uint8. Frames are drawn and
written one by one, so memory does not grow with the length of the video. Left limbs are
blue, right ones orange.
"""

import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8
from PIL import Image

from jaxpose.draw import render
from jaxpose.draw import stage
from jaxpose.files import whole_files
from jaxpose.files.video_files import Encoder
from jaxpose.skeletons import Skeleton

SIZE = (1280, 720)
_WIDEST = 0.58  # of the picture, that the input takes
_OUTLINE, _PALE = (18, 22, 30), (240, 243, 248)

Number = int | float | np.number


def write(
  path: str | os.PathLike,
  frames: Iterable | None,
  *,
  joints_3d: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  fps: Number,
  keypoints_2d: Float[np.ndarray, "n k 2"] | None = None,
  keypoints_skeleton: Skeleton | None = None,
  mesh: tuple[Callable[[int], np.ndarray], np.ndarray] | None = None,
  size: tuple[int, int] = SIZE,
  overwrite: bool = False,
) -> int:
  """Writes an mp4 at the speed of life; needs `pip install 'jaxpose[video]'`.

  Args:
    path: ends in .mp4.
    frames: RGB pictures, or (number, picture) as `video_files.open_source` reads them;
      None: the body alone.
    joints_3d: world, metres, z up, the floor at z = 0, see `jaxpose.motion.world`; NaN
      where unknown. The video ends with the shorter of frames and joints.
    skeleton: of the joints.
    fps: frames per second.
    keypoints_2d: pixels of the frames, drawn over them; NaN where not seen.
    keypoints_skeleton: of these, where it is another.
    mesh: a function that gives the (m, 3) vertices of a frame, in the frame of the
      joints, and the faces: drawn in place of the bones, at a fifth of the speed.
    size: of the video, even numbers.
    overwrite: write over a file that is there.

  Returns:
    The number of frames.

  Raises:
    FileExistsError: the file is there, and `overwrite` is not said.
    ValueError: another ending, or arrays that do not fit.
    ImportError: PyAV is not installed.
    OSError: the file cannot be written, for instance on a full disk.
  """
  path = whole_files.check(path, (".mp4",), overwrite)
  if not 0 < fps < np.inf:
    raise ValueError(f"got fps={fps}, expected frames per second, above 0.")
  if min(size) < 64 or size[0] % 2 or size[1] % 2:
    raise ValueError(f"got size={size}, expected two even numbers, 64 or more.")
  pictures = compose(
    frames,
    joints_3d=joints_3d,
    skeleton=skeleton,
    fps=fps,
    keypoints_2d=keypoints_2d,
    keypoints_skeleton=keypoints_skeleton,
    mesh=mesh,
    size=size,
  )
  count = 0
  with whole_files.unfinished(path, overwrite) as temporary:
    with Encoder(temporary, size, fps) as encoder:
      for picture in pictures:
        encoder.add(picture)
        count += 1
    if not count:
      raise ValueError("got no frame to draw, expected at least one.")
  return count


def compose(
  frames: Iterable | None,
  *,
  joints_3d: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  fps: Number,
  keypoints_2d: Float[np.ndarray, "n k 2"] | None = None,
  keypoints_skeleton: Skeleton | None = None,
  mesh: tuple[Callable[[int], np.ndarray], np.ndarray] | None = None,
  size: tuple[int, int] = SIZE,
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
  """The pictures of the video, one by one; see `write`."""
  keypoints_skeleton = keypoints_skeleton or skeleton
  _check(joints_3d, skeleton, keypoints_2d, keypoints_skeleton)

  def scenes(size):
    return _stages(joints_3d, skeleton, size, fps, mesh)

  if frames is None:
    return scenes(size)
  return _beside(frames, len(joints_3d), scenes, keypoints_2d, keypoints_skeleton, size)


def _beside(frames, most, scenes, points, points_skeleton, size):
  scene = None
  for i, frame in enumerate(frames):
    frame = frame[1] if isinstance(frame, tuple) else frame
    if i >= most:
      return
    if scene is None:
      box = Box(frame.shape[1::-1], size, points)
      scene = scenes((size[0] - box.width, size[1]))
      radius = bone_radius(points, box.scale) if points is not None else 0
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = np.asarray(stage.BACKGROUND, np.uint8)
    picture[:, box.width :] = next(scene)
    inner = picture[box.top : box.top + box.height, : box.width]
    inner[:] = resized(frame[:, box.left : box.right], (box.width, box.height))
    if points is not None and i < len(points):
      shifted = points[i] - np.asarray([box.left, 0])
      overlay(inner, (shifted + 0.5) * box.scale - 0.5, points_skeleton, radius)
    yield picture


class Box:
  """Which part of the input goes where at the left; wide pictures lose empty sides.

  Attributes:
    left, right: columns of the input.
    scale: of the input.
    width, height, top: in the video.
  """

  def __init__(self, source: tuple[int, int], size: tuple[int, int], points):
    width, height = source
    self.left, self.right = 0, width
    wanted = height * _WIDEST * size[0] / size[1]
    if points is not None and np.isfinite(points).any() and width > wanted:
      x = points[..., 0][np.isfinite(points[..., 0])]
      low, high = max(x.min() - 0.05 * width, 0), min(x.max() + 0.05 * width, width)
      wanted = max(wanted, high - low)
      middle = np.clip((low + high) / 2, wanted / 2, width - wanted / 2)
      self.left = max(round(middle - wanted / 2), 0)
      self.right = min(self.left + round(wanted), width)
    kept = self.right - self.left
    self.scale = min(size[1] / height, _WIDEST * size[0] / kept)
    self.width = max(round(kept * self.scale), 1)
    self.height = min(max(round(height * self.scale), 1), size[1])
    self.top = (size[1] - self.height) // 2


def overlay(
  image: UInt8[np.ndarray, "h w 3"],
  points: Float[np.ndarray, "k 2"],
  skeleton: Skeleton,
  radius: Number,
) -> None:
  """Draws keypoints and bones into a picture; those with a NaN are left out.

  Args:
    image: changed in place.
    points: pixels.
    skeleton: of the points.
    radius: of a bone in pixels.
  """
  bones = stage.limbs(skeleton, _PALE)
  for grown, opacity in ((1.2, 0.55), (0.0, 1.0)):  # first a dark seam below all
    for a, b, _, colour in bones:
      radii = (radius + grown, radius + grown)
      colour = _OUTLINE if grown else colour
      render.tube(
        image, points[a], points[b], radii, colour, opacity=opacity, lit=not grown
      )
  for point in points:
    render.disc(image, point, 1.35 * radius + 0.8, _OUTLINE, opacity=0.6, lit=False)
    render.disc(image, point, 1.35 * radius, (255, 255, 255), lit=False)


def _stages(joints_3d, skeleton, size, fps, mesh) -> Iterator[np.ndarray]:
  last, empty = None, None
  for i, view in enumerate(stage.views(joints_3d, size, fps)):
    if last is None or (view.position != last.position).any():
      last, empty = view, stage.floor(view)
    picture, joints = empty.copy(), np.float64(joints_3d[i])
    if mesh is None:
      stage.body(picture, joints, skeleton, view)
    else:
      stage.shadow(picture, joints, skeleton, view)
      vertices, faces = mesh[0](i), mesh[1]
      picture = stage.mesh(picture, np.float32(vertices), faces, view)
    yield picture


def bone_radius(points, scale: float) -> float:
  """Of bones, by the usual height of the person in the picture."""
  y = points[np.isfinite(points).any((1, 2)), :, 1]
  tall = np.median(np.nanmax(y, 1) - np.nanmin(y, 1)) if len(y) else 0
  return float(np.clip(0.009 * tall * scale, 1.5, 6))


def resized(frame, size: tuple[int, int]) -> np.ndarray:
  """A picture of this (width, height)."""
  picture = Image.fromarray(np.ascontiguousarray(frame))
  if picture.size == size:
    return np.asarray(picture)
  return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0))


def _check(joints_3d, skeleton, points, points_skeleton) -> None:
  if joints_3d.shape[1] != skeleton.num_joints:
    raise ValueError(
      f"got {joints_3d.shape[1]} joints, expected {skeleton.num_joints} for the "
      f"skeleton {skeleton.name!r}."
    )
  if points is not None and points.shape[1] != points_skeleton.num_joints:
    raise ValueError(
      f"got {points.shape[1]} keypoints, expected {points_skeleton.num_joints} for the "
      f"skeleton {points_skeleton.name!r}; pass keypoints_skeleton if it is another."
    )
