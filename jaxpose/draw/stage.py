"""A body on a floor with a grid, seen in perspective: one picture for each frame.

Joints are in metres with z up and the floor at z = 0, as `jaxpose.motion.world` places
them.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import UInt8
from PIL import Image
from PIL import ImageDraw

from jaxpose.draw import render
from jaxpose.geometry import cameras
from jaxpose.skeletons import Skeleton

LEFT, RIGHT, MIDDLE = (31, 126, 203), (232, 104, 36), (104, 113, 128)
BACKGROUND, LINE, MAIN_LINE = (247, 248, 250), (221, 225, 231), (202, 208, 217)
SHADOW = (206, 211, 219)
AZIMUTH, ELEVATION = 35.0, 14.0  # degrees that the eye walked around the input's camera
_TALL, _WIDE = 2.05, 1.8  # metres that fit the height and the width of the picture
_FIELD = 26.0  # degrees of it
_STILL = 0.5  # metres from the middle of the clip within which the eye stays
_FOLLOW_SECONDS = 0.7
_GRID, _REACH = 0.5, 4.5  # metres
HEAD = 0.105  # metres; and how thick limbs are at a joint
_RADII = dict(hip=0.05, knee=0.042, ankle=0.03, foot=0.03, shoulder=0.042)
_RADII |= dict(elbow=0.034, wrist=0.028, hand=0.024)
_OTHER_RADIUS = 0.046
_NEAR = 0.3
_MESH_SAMPLES = 2  # along each side of a pixel
_STEPS_BACK = 12  # of the eye, until nearly all joints are in the picture


class View(NamedTuple):
  """A camera; see `jaxpose.geometry.cameras` for the frames.

  Attributes:
    rotation: (3, 3) world to camera.
    position: (3,) metres.
    target: (2,) of the floor, around which the grid is drawn.
    focal: pixels.
    size: (width, height) pixels.
  """

  rotation: np.ndarray
  position: np.ndarray
  target: np.ndarray
  focal: float
  size: tuple[int, int]


def views(
  joints_3d: Float[np.ndarray, "t j 3"],
  size: tuple[int, int],
  fps: int | float | np.number,
  *,
  azimuth: float = AZIMUTH,
) -> list[View]:
  """A view for each frame: still, or smoothly along with a body that goes away.

  Args:
    joints_3d: world, metres; NaN where unknown.
    size: of the picture.
    fps: frames per second.
    azimuth: degrees; 0 is the side of the input's camera.
  """
  seen = np.isfinite(joints_3d).all(-1)
  total = np.maximum(seen.sum(1), 1)[:, None]
  middle = np.where(seen[..., None], joints_3d, 0).sum(1) / total
  known = seen.any(1)
  if not known.any():
    middle, known = np.zeros_like(middle), np.ones_like(known)
  frame = np.arange(len(middle))
  path = np.stack(
    [np.interp(frame, frame[known], middle[known, c]) for c in range(2)], -1
  )
  still = (path.min(0) + path.max(0)) / 2
  if np.abs(path - still).max() < _STILL:
    path = np.tile(still, (len(path), 1))
  else:
    path = scipy.ndimage.gaussian_filter1d(
      path, _FOLLOW_SECONDS * float(fps), axis=0, mode="nearest"
    )
  a, e = np.radians([azimuth, ELEVATION])
  focal = float(size[1] / 2 / np.tan(np.radians(_FIELD / 2)))
  shown = max(_TALL, _WIDE * size[1] / size[0])
  away = shown / 2 / np.tan(np.radians(_FIELD / 2))
  back = np.asarray([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
  look = np.concatenate([path, np.full((len(path), 1), 0.88)], -1)
  rotation = cameras.look_at(back, np.zeros(3))
  around = (joints_3d - look[:, None])[seen]
  for _ in range(_STEPS_BACK):
    view = View(rotation, away * back, np.zeros(2), focal, size)
    if _fits(around, view):
      break
    away *= 1.08
  return [View(rotation, x + away * back, x[:2], focal, size) for x in look]


def _fits(points, view: View) -> bool:
  """Whether nearly all points are well inside the picture."""
  pixels, depth = project(points, view)
  edge = 0.07 * min(view.size)
  inside = (pixels > edge) & (pixels < np.asarray(view.size) - edge)
  return not len(points) or bool((inside.all(-1) & (depth > _NEAR)).mean() > 0.995)


def floor(view: View) -> UInt8[np.ndarray, "h w 3"]:
  """The empty stage: a grid that fades away from the middle."""
  width, height = view.size
  large = Image.new("RGB", (2 * width, 2 * height), BACKGROUND)  # for smooth lines
  draw = ImageDraw.Draw(large)
  count = round(_REACH / _GRID)
  base = np.round(view.target / _GRID)
  ticks = np.arange(-count, count + 1)
  i, k = np.meshgrid(ticks, ticks, indexing="ij")
  nodes = np.stack([i + base[0], k + base[1]], -1) * _GRID
  pixels, depth = project(np.concatenate([nodes, 0 * nodes[..., :1]], -1), view)
  pixels = 2 * pixels + 0.5
  away = np.linalg.norm(nodes - view.target, axis=-1)
  fade = np.clip(1.15 - away / _REACH, 0, 1) ** 1.3
  back, lines = np.asarray(BACKGROUND), (np.asarray(LINE), np.asarray(MAIN_LINE))
  for axis in (0, 1):
    p, d, f = (np.swapaxes(x, 0, 1) if axis else x for x in (pixels, depth, fade))
    for row, tick in enumerate(ticks + int(base[axis])):
      main = tick % 2 == 0  # every metre
      for column in range(len(ticks) - 1):
        strength = min(f[row, column], f[row, column + 1])
        if strength <= 0 or min(d[row, column], d[row, column + 1]) < _NEAR:
          continue
        colour = back + strength * (lines[int(main)] - back)
        ends = [tuple(p[row, column]), tuple(p[row, column + 1])]
        draw.line(ends, tuple(np.rint(colour).astype(int)), 3 if main else 2)
  return np.array(large.reduce(2))


def body(
  image: UInt8[np.ndarray, "h w 3"],
  joints: Float[np.ndarray, "j 3"],
  skeleton: Skeleton,
  view: View,
) -> None:
  """Draws a body and its shadow into the picture; bones with a NaN end are left out."""
  shadow(image, joints, skeleton, view)
  parts = _parts(joints, skeleton)
  ends = np.asarray([(a + b) / 2 for a, b, _, _ in parts])
  for part in np.argsort(-project(ends, view)[1], kind="stable"):
    _tube(image, *parts[part], view, lit=True)


def shadow(
  image: UInt8[np.ndarray, "h w 3"],
  joints: Float[np.ndarray, "j 3"],
  skeleton: Skeleton,
  view: View,
) -> None:
  """Draws the shadow alone, straight below the body."""
  for a, b, radii, _ in _parts(joints * np.asarray([1, 1, 0.0]), skeleton):
    _tube(image, a, b, radii, SHADOW, view, lit=False)


def mesh(
  image: UInt8[np.ndarray, "h w 3"],
  vertices: Float[np.ndarray, "m 3"],
  faces: Int[np.ndarray, "f 3"],
  view: View,
) -> UInt8[np.ndarray, "h w 3"]:
  """A picture with a mesh on the stage; one with a NaN is left out."""
  seen = np.float32((vertices - view.position) @ view.rotation.T)
  if not np.isfinite(seen).all() or seen[:, 2].min() < _NEAR:
    return image
  width, height = view.size
  centre = [(width - 1) / 2, (height - 1) / 2]
  intrinsics = np.float32([view.focal, view.focal, *centre, 0, 0, 0, 0, 0])
  return render.draw_mesh(image, seen, faces, intrinsics, samples=_MESH_SAMPLES)


def project(
  points: Float[np.ndarray, "*b 3"], view: View
) -> tuple[Float[np.ndarray, "*b 2"], Float[np.ndarray, "*b"]]:
  """Pixels and depth in metres of points of the world."""
  seen = (points - view.position) @ view.rotation.T
  depth = seen[..., 2]
  centre = (np.asarray(view.size) - 1) / 2
  safe = np.maximum(depth, 1e-3)[..., None]
  return view.focal * seen[..., :2] / safe + centre, depth


class Limb(NamedTuple):
  """A line of the drawing: between which joints, how thick, and its colour.

  Attributes:
    start: number of a joint.
    end: likewise.
    radii: metres, at both.
    colour: left blue, right orange.
  """

  start: int
  end: int
  radii: tuple[float, float]
  colour: render.Colour


def limbs(skeleton: Skeleton, middle: render.Colour = MIDDLE) -> list[Limb]:
  """The bones; keypoint sets without a trunk get lines from side to side instead."""
  left, right = set(skeleton.left), set(skeleton.right)
  thick = [_RADII.get(j.partition("_")[2], _OTHER_RADIUS) for j in skeleton.joints]
  found = []
  for a, b in skeleton.bones:
    if skeleton.joints[a] == "nose" and skeleton.joints[b].endswith("shoulder"):
      continue
    colour = LEFT if b in left else RIGHT if b in right else middle
    limb = b in left or b in right
    start = thick[b] if limb and thick[a] == _OTHER_RADIUS else thick[a]
    found.append(Limb(a, b, (start, thick[b]), colour))
  for part, below in (("shoulder", "nose"), ("hip", "left_shoulder")):
    sides = [f"{side}_{part}" for side in ("left", "right")]
    if set(sides) <= set(skeleton.joints):
      a, b = map(skeleton.index, sides)
      if skeleton.joints[skeleton.parents[a]] == below:
        found.append(Limb(a, b, (thick[a], thick[b]), middle))
  return found


def head_ball(skeleton: Skeleton) -> tuple[int, int, float] | None:
  """(neck, head, share of the way): where the head's middle is; None without a head."""
  if "head" not in skeleton.joints:
    return None
  head = skeleton.index("head")
  # SMPL's head joint is the base of the skull, those of others the crown.
  return skeleton.parents[head], head, 1.6 if skeleton.name == "smpl24" else 0.6


def _parts(joints, skeleton: Skeleton) -> list:
  """(start, end, radii, colour) of limbs and head."""
  ball, parts = head_ball(skeleton), []
  for a, b, radii, colour in limbs(skeleton):
    if ball and b == ball[1]:
      middle = joints[a] + ball[2] * (joints[b] - joints[a])
      parts.append((middle, middle, (HEAD, HEAD), colour))
    else:
      parts.append((joints[a], joints[b], radii, colour))
  return parts


def _tube(image, a, b, radii, colour, view: View, *, lit: bool) -> None:
  pixels, depth = project(np.stack([a, b]), view)
  if not np.isfinite(pixels).all() or depth.min() < _NEAR:
    return
  size = view.focal * np.asarray(radii) / depth
  render.tube(image, pixels[0], pixels[1], (size[0], size[1]), colour, lit=lit)
