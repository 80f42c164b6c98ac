"""World frame of motion seen by a camera of unknown tilt: z up, the floor at z = 0.

Feet that rest lie on the floor: its plane is fitted to them. What they leave open (a
walk along a line does not tell the slope across it, standing tells nothing) is left to
the mean direction of legs and trunk. The floor is taken for level and even, and the
camera for still.
"""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.motion import smoothing
from jaxpose.skeletons import Skeleton

ANKLE_HEIGHT = 0.08  # metres above the floor
_SLOW = 0.35  # m/s of a foot that rests, or
_SLOW_SHARE = 0.3  # of the body's speed, for runners
_WINDOW = smoothing.SavitzkyGolay(0.3)  # in which speeds are measured
_REST_SECONDS = 0.06
_SAME_FLOOR = 0.2  # metres above the lower foot, by the body's direction alone
_SAME_PLACE = 0.15  # metres by which a foot that rests seems to move
_RANGE = 0.8  # metres; feet that stay within tell no slope, but the path's noise
_FLAT = 0.03  # metres by which resting feet miss the plane
_LEAN = np.radians(6.0)  # by which legs and trunk miss the vertical, over a clip
_ROUNDS = 15
_FEET = ("ankle", "foot")  # where there are no ankles, feet are

Number = int | float | np.number


class World(NamedTuple):
  """What `place` returns.

  Attributes:
    joints_3d: (t, j, 3) metres, z up, the floor at z = 0; the first pose is over the
      origin, and the camera looked along +y.
    rotation: (3, 3) world to camera, as of `cameras.world_to_camera`.
    position: (3,) of the camera in the world.
    settled: (t,) metres by which frames were moved up so that feet rest on the floor.
      Before this, `world_to_camera` undoes the placing.
    contacts: (t, 2) whether the left and the right foot rest.
    method: what tells the vertical: "feet", "feet and trunk" or "trunk".
    report: in words.
  """

  joints_3d: np.ndarray
  rotation: np.ndarray
  position: np.ndarray
  settled: np.ndarray
  contacts: np.ndarray
  method: str
  report: str


def place(
  joints_3d: Float[np.ndarray, "t j 3"],
  skeleton: Skeleton,
  fps: Number,
  *,
  settle: bool = True,
) -> World:
  """Upright motion on the ground.

  Args:
    joints_3d: metres in the camera's frame, with the root where it is; see
      `jaxpose.motion.trajectory`. Poses relative to the root stay on the spot.
    skeleton: of the joints; it has hips, shoulders and ankles (or feet).
    fps: frames per second.
    settle: move frames up or down, so that resting feet are at the height of the floor.

  Raises:
    ValueError: a shape or the frame rate does not fit, joints are missing, or the
      skeleton lacks what is needed.
  """
  joints, parts = _checked(joints_3d, skeleton, fps)
  body, feet = _body_up(joints, parts), joints[:, parts["feet"]]
  root = joints[:, skeleton.root]
  walks = bool(np.ptp(root, axis=0).max() > 1e-6)
  contacts, points = np.zeros(feet.shape[:2], bool), np.zeros((0, 3))
  if walks:
    contacts = find_contacts(feet, root, body, float(fps))
    points = _rest_points(feet, contacts)
  up, method, off = _vertical(points, body)
  height = feet @ up
  if contacts.any():
    ground = float(np.median(height[contacts]))
  else:
    ground = float(np.percentile(height.min(1), 10))
  if not walks:
    contacts = height < height.min(1, keepdims=True) + 0.02
  to_world = np.stack([*_heading(up), up])  # rows
  origin = root[0] + up * (ground - ANKLE_HEIGHT - root[0] @ up)
  placed = (joints - origin) @ to_world.T
  settled = np.zeros(len(placed))
  if settle:
    settled = _settling(height - ground, contacts, float(fps), walks)
    placed = placed + settled[:, None, None] * np.asarray([0, 0, 1.0])
  report = _report(method, up, body, points, off, walks, settled, contacts)
  position = -to_world @ origin
  return World(placed, to_world.T, position, settled, contacts, method, report)


def find_contacts(
  feet: Float[np.ndarray, "t 2 3"],
  root: Float[np.ndarray, "t 3"],
  up: Float[np.ndarray, "3"],
  fps: float,
) -> Bool[np.ndarray, "t 2"]:
  """Whether each foot rests: it is slow for a while, and not far above the other."""
  if len(feet) < 3:
    return np.ones(feet.shape[:2], bool)
  points = np.concatenate([feet, root[:, None]], 1)
  smooth = smoothing.smooth(points, fps, _WINDOW).points
  speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps
  # What noise of this size makes of a foot at rest (of a line fitted to the window).
  noise = np.std(points - smooth, 0)[:2]
  noise = np.linalg.norm(noise, axis=-1) * np.sqrt(12 / (_WINDOW.seconds**3 * fps))
  slow = np.maximum(_SLOW, _SLOW_SHARE * speed[:, 2:]) + 2 * noise
  height = smooth[:, :2] @ up
  rests = (speed[:, :2] < slow) & (height < height.min(1, keepdims=True) + _SAME_FLOOR)
  length = np.ones((max(round(_REST_SECONDS * fps), 1), 1), bool)
  return scipy.ndimage.binary_opening(rests, length)


def _rest_points(feet, contacts) -> np.ndarray:
  """(n, 3) where a foot rested, one point for each time it came to another place."""
  points = []
  for k in range(contacts.shape[1]):
    labels, count = scipy.ndimage.label(contacts[:, k])
    here = np.zeros((0, 3))
    for i in range(1, count + 1):
      frames = feet[labels == i, k]
      if len(here) and np.linalg.norm(here.mean(0) - frames.mean(0)) < _SAME_PLACE:
        here = np.concatenate([here, frames])
        points.pop()
      else:
        here = frames
      points.append(np.median(here, 0))
  return np.asarray(points).reshape(-1, 3)


def _vertical(points, body) -> tuple[np.ndarray, str, float]:
  """(up, what tells it, metres by which the points miss the plane)."""
  up = body
  if len(points) < 3 or np.ptp(points, axis=0).max() < _RANGE:
    return up, "trunk", 0.0
  trust, hardness = np.ones(len(points)), None
  for _ in range(_ROUNDS):
    across = np.linalg.svd(up[None])[2][1:]  # two directions at right angles
    middle = trust @ points / trust.sum()
    away = points - middle
    # Small turns towards `across`: the plane's misfits against those of the body.
    rows = np.sqrt(trust)[:, None] * (away @ across.T) / _FLAT
    gain = rows.T @ rows
    wanted = rows.T @ (-np.sqrt(trust) * (away @ up) / _FLAT)
    prior = across @ body / _LEAN**2
    turn = np.linalg.solve(gain + np.eye(2) / _LEAN**2, wanted + prior)
    up = up + turn @ across
    up = up / np.linalg.norm(up)
    misfit = (away @ up) / (2 * _FLAT)
    if hardness is None:
      hardness = max((misfit**2).max(), 1)
    trust = (hardness / (misfit**2 + hardness)) ** 2
    hardness = max(hardness / 2, 1)
  known = np.linalg.eigvalsh(gain) > 1 / _LEAN**2
  method = ("trunk", "feet and trunk", "feet")[int(known.sum())]
  return up, method, float(np.median(np.abs((points - middle) @ up)))


def _body_up(joints, parts) -> np.ndarray:
  """The mean direction of legs and trunk: walking, they lean against each other."""
  hips, shoulders, ankles = (
    joints[:, parts[name]].mean(1) for name in ("hips", "shoulders", "feet")
  )
  up = _unit(shoulders - hips) + _unit(hips - ankles)
  return _unit(np.median(_unit(up), 0))


def _heading(up) -> tuple[np.ndarray, np.ndarray]:
  """X and y of the world in the camera's frame: y is where it looks."""
  forward = np.asarray([0, 0, 1.0])
  if abs(up[2]) > 0.99:  # straight down or up
    forward = np.asarray([0, -1.0, 0])
  forward = _unit(forward - (forward @ up) * up)
  return np.cross(forward, up), forward


def _settling(height, contacts, fps: float, walks: bool) -> np.ndarray:
  """What to add to each frame's height, so that resting feet are on the floor."""
  if not walks:
    return -height.min(1)
  rests = np.flatnonzero(contacts.any(1))
  if not len(rests):
    return np.zeros(len(height))
  lifted = np.where(contacts, height, np.nan)[rests]
  needed = np.interp(np.arange(len(height)), rests, -np.nanmean(lifted, 1))
  return scipy.ndimage.gaussian_filter1d(needed, 0.1 * fps, mode="nearest")


def _report(method, up, body, points, off, walks, settled, contacts) -> str:
  apart = np.degrees(np.arccos(np.clip(up @ body, -1, 1)))
  tilt = np.degrees(np.arcsin(np.clip(-up[2], -1, 1)))
  rests = f"{len(points)} places where a foot rested"
  text = {
    "feet": f"The vertical is that of the floor through {rests} (they miss it by "
    f"{100 * off:.1f} cm); legs and trunk lean by {apart:.1f} degrees from it.",
    "feet and trunk": f"The vertical is that of the floor through {rests}, along the "
    "way; across it these lie too near to each other, and the mean direction of legs "
    "and trunk was taken for upright.",
    "trunk": "The mean direction of legs and trunk was taken for upright, since "
    f"{rests} do not tell the floor's slope: some 5 degrees off for a person who is "
    "mostly upright, more for one who bends.",
  }[method]
  if not walks:
    text = (
      "The poses are relative to the root and stay on the spot: the mean direction of "
      "legs and trunk was taken for upright, and each frame stands on its lower foot."
    )
  elif not contacts.any():
    text += " No foot rests in this clip: the floor is where the feet are lowest."
  text += f" The camera looks {abs(tilt):.0f} degrees {'down' if tilt > 0 else 'up'}."
  moved = 100 * np.abs(settled).max()
  if walks and moved > 0:
    text += (
      f" Frames were moved by up to {moved:.1f} cm so that feet rest on the floor."
    )
  return text


def _unit(vectors):
  return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _checked(joints_3d, skeleton: Skeleton, fps):
  parts = {}
  for name, words in (("hips", ["hip"]), ("shoulders", ["shoulder"]), ("feet", _FEET)):
    for word in words:
      sides = [f"{side}_{word}" for side in ("left", "right")]
      if name not in parts and set(sides) <= set(skeleton.joints):
        parts[name] = [skeleton.index(side) for side in sides]
    if name not in parts:
      raise ValueError(
        f"got the skeleton {skeleton.name!r} without {' or '.join(words)} joints, "
        "expected hips, shoulders, and ankles or feet."
      )
  joints = np.asarray(joints_3d, np.float64)
  if joints.shape[1] != skeleton.num_joints or not len(joints):
    raise ValueError(
      f"got joints of shape {joints.shape}, expected (frames, {skeleton.num_joints}, "
      f"3) for the skeleton {skeleton.name!r}, with at least one frame."
    )
  if not np.isfinite(joints).all():
    raise ValueError(
      "got NaN or infinite joints, expected all of them; fill them first, see "
      "jaxpose.motion.gaps.fill_gaps."
    )
  if not 0 < fps < np.inf:
    raise ValueError(f"got fps={fps}, expected frames per second, above 0.")
  return joints, parts
