"""From a motion track to joints: limbs of two bones, joint limits, and the tree.

The pelvis and the feet lead: legs follow by inverse kinematics, so planted feet stay
where they are, and the pelvis sinks where a leg would be too short.
"""

import dataclasses

import numpy as np

from jaxpose import geometry

from . import curves
from .body import LIMITS
from .body import SIDE
from .body import SKELETON
from .body import Body

_SOFT = 0.96  # share of a limb's length where it starts to resist straightening
_FIRM = 0.993  # the same for a leg that carries weight


@dataclasses.dataclass
class Track:
  """How a body moves, before its limbs are solved; a frame axis comes first.

  Attributes:
    root: (n, 3) wanted pelvis position, world; lowered where legs are too short.
    yaw: (n,) direction that the body faces; 0 is the world's +y.
    pelvis: (n, 3) pitch forward, roll (right side down) and twist about z.
    spine: (n, 3) flexion, bend to the right and twist to the left, against the pelvis.
    thorax: the same, against the spine.
    neck: the same, against the thorax.
    arms: (n, 2, 3, 3) upper arms in the thorax frame.
    elbows: (n, 2) flexion.
    feet: (n, 2, 3) wanted ankle positions, world.
    planted: (n, 2) whether the foot carries weight.
    splay: (n, 2) how far the knee points outward.
    hands: (n, 2, 3) wanted wrist positions, world.
    reach: (n, 2) 1 where the wrist goes to `hands`, 0 where `arms`, `elbows` lead.
    elbow_out: (n, 2) how far the elbow is turned outward where `hands` lead.
  """

  root: np.ndarray
  yaw: np.ndarray
  pelvis: np.ndarray
  spine: np.ndarray
  thorax: np.ndarray
  neck: np.ndarray
  arms: np.ndarray
  elbows: np.ndarray
  feet: np.ndarray
  planted: np.ndarray
  splay: np.ndarray
  hands: np.ndarray
  reach: np.ndarray
  elbow_out: np.ndarray

  def __len__(self):
    return len(self.yaw)

  def __getitem__(self, frames: slice) -> "Track":
    return Track(**{k: v[frames] for k, v in vars(self).items()})


def upper_arm_rotation(flexion, abduction, twist=0.0):
  """(n, 2, 3, 3) upper arms from angles of shape (n, 2); twist is inward rotation."""
  return curves.rotation([flexion, -SIDE * abduction, SIDE * twist], "xyz")


def _clip(angles, limits):
  return np.clip(angles, limits[..., 0], limits[..., 1])


def _trunk(angles):
  """(n, 3, 3) from (n, 3) flexion, bend to the right, twist to the left."""
  flexion, bend, twist = np.moveaxis(angles, -1, 0)
  return curves.rotation([twist, -flexion, bend], "zxy")


def _soft_reach(distance, shortest, longest, firm):
  """Distance kept inside what a two-bone limb can span, with a soft upper end.

  Up to `firm` times the longest distance nothing changes; a foot that carries weight
  needs it near 1 to stay put, a swinging foot rather has a leg that does not snap.
  """
  free, room = firm * longest, (0.9985 - firm) * longest
  over = np.maximum(distance - free, 0)
  soft = np.where(distance > free, free + room * np.tanh(over / room), distance)
  return np.maximum(soft, shortest)


def two_bones(vector, hinge, upper, lower, sign, limits, firm=_SOFT):
  """Solves a limb of two bones that spans `vector`.

  Args:
    vector: (..., 3) from the limb's root to its end.
    hinge: (..., 3) wanted axis of the middle joint, made orthogonal to `vector`.
    upper: length of the first bone.
    lower: length of the second bone.
    sign: -1 if the lower bone flexes backward (legs), +1 forward (arms).
    limits: (lowest, highest) flexion of the middle joint.
    firm: share of the full length from where on the limb resists straightening.

  Returns:
    (..., 3, 3) rotation of the upper bone in the frame of `vector`; (...) flexion.
  """
  span = np.sqrt(upper**2 + lower**2 + 2 * upper * lower * np.cos(limits))
  length = np.linalg.norm(vector, axis=-1)
  along = vector / length[..., None]
  distance = np.clip(
    _soft_reach(length, span[1], upper + lower, firm), span[1], span[0]
  )
  across = hinge - (hinge * along).sum(-1, keepdims=True) * along
  across /= np.linalg.norm(across, axis=-1, keepdims=True)
  frame = np.stack([across, np.cross(across, along), -along], -1)
  cosine = (upper**2 + distance**2 - lower**2) / (2 * upper * distance)
  lift = np.arccos(np.clip(cosine, -1, 1))
  cosine = (upper**2 + lower**2 - distance**2) / (2 * upper * lower)
  flexion = np.pi - np.arccos(np.clip(cosine, -1, 1))
  return frame @ curves.rotation([-sign * lift], "x"), flexion


def _apply(matrix, vector):
  return (matrix @ vector[..., None])[..., 0]


@dataclasses.dataclass(frozen=True)
class Solved:
  """A track with its limbs solved; a frame axis comes first.

  Attributes:
    joints: (n, 17, 3) of the h36m17 skeleton in the world, metres.
    segments: name to (n, 3, 3) turn from a body's own frame, in which it stands with
      its arms down, to the world: of the part that starts at each h36m17 joint, of the
      shoulder girdles ("right_girdle", "left_girdle") and of feet flat on the floor
      ("right_sole", "left_sole").
    loaded: (n, 2) how much of the weight is on the right and the left foot, smooth.
  """

  joints: np.ndarray
  segments: dict[str, np.ndarray]
  loaded: np.ndarray


def solve(track: Track, body: Body) -> Solved:
  """Joints and the turns of all parts of the body."""
  n = len(track)
  offset = dict(zip(SKELETON.joints, body.offsets(), strict=True))
  pitch, roll, twist = np.moveaxis(track.pelvis, -1, 0)
  pelvis = curves.rotation([track.yaw + twist, -pitch, roll], "zxy")
  root = _lower_root(track, body, pelvis)

  local, others = {"hip": pelvis}, {}
  facing = curves.rotation([track.yaw + 0.5 * twist], "z")
  loaded = np.stack(
    [-curves.smooth_lower(-track.planted[:, side].astype(float), 4) for side in (0, 1)],
    1,
  )
  for side, name in enumerate(("right", "left")):
    hip = root + pelvis @ offset[f"{name}_hip"]
    hinge = facing @ curves.rotation([-SIDE[side] * track.splay[:, side]], "z")
    others[f"{name}_sole"] = hinge
    thigh, knee = two_bones(
      track.feet[:, side] - hip,
      hinge[..., 0],
      body.thigh,
      body.shank,
      -1,
      LIMITS["knee"],
      _SOFT + (_FIRM - _SOFT) * loaded[:, side],
    )
    local[f"{name}_hip"] = np.swapaxes(pelvis, -1, -2) @ thigh
    local[f"{name}_knee"] = curves.rotation([-knee], "x")

  local["spine"] = _trunk(_clip(track.spine, LIMITS["spine"]))
  local["thorax"] = _trunk(_clip(track.thorax, LIMITS["thorax"]))
  local["neck"] = _trunk(_clip(track.neck, LIMITS["neck"]))
  lumbar = pelvis @ local["spine"]
  chest = lumbar @ local["thorax"]
  top = root + pelvis @ offset["spine"] + lumbar @ offset["thorax"]
  girdle = {}
  for side, name in enumerate(("right", "left")):
    rest = offset[f"{name}_shoulder"]
    target = _apply(np.swapaxes(chest, -1, -2), track.hands[:, side] - top)
    weight = track.reach[:, side]
    shoulder = np.broadcast_to(rest, (n, 3))
    for _ in range(2):  # the shoulder blade follows the arm, the arm the shoulder
      solved, elbow = _arm(track, body, side, target - shoulder)
      arm = curves.blend_rotations(track.arms[:, side], solved, weight)
      girdle_turn = _girdle(arm, side)
      shoulder = girdle_turn @ rest
    elbow = (1 - weight) * track.elbows[:, side] + weight * elbow
    elbow = _clip(elbow, LIMITS["elbow"])
    girdle[f"{name}_shoulder"] = shoulder
    others[f"{name}_girdle"] = chest @ girdle_turn
    local[f"{name}_shoulder"] = arm
    local[f"{name}_elbow"] = curves.rotation([elbow], "x")

  still = np.broadcast_to(np.eye(3), (n, 3, 3))
  rotations = np.stack([local.get(joint, still) for joint in SKELETON.joints], 1)
  offsets = np.stack(
    [
      girdle.get(joint, np.broadcast_to(offset[joint], (n, 3)))
      for joint in SKELETON.joints
    ],
    1,
  )
  joints, turns = geometry.forward_kinematics(
    rotations, offsets, SKELETON.parents, root
  )
  named = {joint: turns[:, i] for i, joint in enumerate(SKELETON.joints)}
  return Solved(joints, named | others, loaded)


def _lower_root(track, body, pelvis):
  """(n, 3) pelvis, lowered smoothly to where both planted feet are in reach."""
  offsets = np.array([[body.hip, 0, 0], [-body.hip, 0, 0]])
  hips = (pelvis[:, None] @ offsets[..., None])[..., 0]
  gap = track.feet[..., :2] - (track.root[:, None, :2] + hips[..., :2])
  square = np.maximum((_FIRM * body.leg) ** 2 - (gap**2).sum(-1), 0)
  highest = track.feet[..., 2] - hips[..., 2] + np.sqrt(square)
  highest = np.where(track.planted, highest, np.inf).min(-1)
  highest = np.where(np.isinf(highest), track.root[:, 2], highest)
  excess = np.minimum(highest - track.root[:, 2], 0)
  lowered = track.root.copy()
  lowered[:, 2] += curves.smooth_lower(excess, 4)
  return lowered


def _arm(track, body, side, vector):
  out = SIDE[side] * track.elbow_out[:, side]
  along = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
  hinge = np.broadcast_to(np.array([1.0, 0, 0]), vector.shape)
  hinge = hinge - along[:, :1] * along
  hinge = hinge / np.linalg.norm(hinge, axis=-1, keepdims=True)
  turned = np.cos(out)[:, None] * hinge + np.sin(out)[:, None] * np.cross(hinge, along)
  return two_bones(vector, turned, body.upper_arm, body.forearm, 1, LIMITS["elbow"])


def _girdle(arm, side):
  """(n, 3, 3) turn of a shoulder: it rises and comes forward with a raised arm."""
  direction = -arm[..., 2]
  up = np.radians(28) * curves.smoothstep((direction[:, 2] + 0.3) / 1.3)
  forward = np.radians(15) * np.clip(direction[:, 1], -0.5, 1)
  return curves.rotation([SIDE[side] * forward, -SIDE[side] * up], "zy")
