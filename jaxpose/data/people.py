"""Augments captured motion to other people: other limbs, poses and ways to move.

Motion capture has few people and few poses; a lifter has to work for all. These
functions change windows of h36m17 joints in the world (b, t, 17, 3), metres, z up, so
that they stay those of a person: bones keep their length over a window, knees and
elbows bend as they do, and what is added changes slowly. Everything is drawn for each
window on its own and runs inside the jitted training step.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.geometry import Array

SKELETON = skeletons.get("h36m17")
_INDEX = SKELETON.index
FPS = 50.0  # of the windows


@dataclasses.dataclass(frozen=True)
class Variety:
  """How far people may differ from the captured ones; by default not at all.

  Attributes:
    stature: standard deviation of the logarithm of the size of the whole body.
    limbs: likewise of each pair of bones.
    children: share of windows with a child's size and proportions.
    turns: factor on the turns of limbs, trunk and head.
    tilts: share of windows whose body is pitched or rolled as a whole.
    exchange: share of windows with the upper body of another.
    rising: standard deviation of an added vertical speed, m/s; a third of these windows
      fall freely besides.
  """

  stature: float = 0.0
  limbs: float = 0.0
  children: float = 0.0
  turns: float = 0.0
  tilts: float = 0.0
  exchange: float = 0.0
  rising: float = 0.0


def varied(
  key: Array, joints: Float[Array, "b t 17 3"], variety: Variety
) -> Float[Array, "b t 17 3"]:
  """Windows of other people; see `Variety`.

  Args:
    key: JAX random key.
    joints: metres, world with z up.
    variety: how far they differ.
  """
  v = variety
  keys = jax.random.split(key, 5)
  if v.exchange:
    joints = exchange_upper_bodies(keys[0], joints, v.exchange)
  if v.turns:
    joints = turn_joints(keys[1], joints, v.turns)
  if v.stature or v.limbs or v.children:
    joints = resize(keys[2], joints, v.stature, v.limbs, v.children)
  if v.tilts:
    joints = tilt(keys[3], joints, v.tilts)
  if v.rising:
    joints = rise(keys[4], joints, v.rising)
  return joints


def require(skeleton: skeletons.Skeleton) -> None:
  """Refuses skeletons whose limbs these functions do not know."""
  if skeleton != SKELETON:
    raise ValueError(
      f"got the skeleton {skeleton.name!r} with augment.stature, limbs, children, "
      f"turns, tilts, exchange or rising, expected {SKELETON.name!r}; set them to 0."
    )


# Bones that have one length on both sides, by their outer joints.
_PAIRS = (
  ("right_hip", "left_hip"),
  ("right_knee", "left_knee"),
  ("right_foot", "left_foot"),
  ("spine", "thorax"),
  ("neck", "head"),
  ("right_shoulder", "left_shoulder"),
  ("right_elbow", "left_elbow"),
  ("right_wrist", "left_wrist"),
)
# Children of about six years against adults, of the same stature: legs and arms are
# shorter, trunk and head longer (Snyder et al., UM-HSRI-77-17, 1977).
_CHILD = (0.95, 0.92, 0.92, 1.08, 1.35, 0.97, 0.93, 0.93)
_CHILD_STATURE = (0.6, 0.95)  # of the adult's


def resize(
  key: Array,
  joints: Float[Array, "b t 17 3"],
  stature: float,
  limbs: float,
  children: float = 0.0,
) -> Float[Array, "b t 17 3"]:
  """Scales whole bodies and each pair of bones; feet stay on the ground they had.

  Args:
    key: JAX random key.
    joints: metres.
    stature: standard deviation of the logarithm of the size.
    limbs: of each pair of bones.
    children: share of windows with the proportions of children.
  """
  b = joints.shape[0]
  keys = jax.random.split(key, 4)
  size = jnp.exp(stature * jax.random.normal(keys[0], (b, 1)))
  pairs = jnp.exp(limbs * jax.random.normal(keys[1], (b, len(_PAIRS))))
  child = jax.random.bernoulli(keys[2], children, (b, 1))
  small = jax.random.uniform(keys[3], (b, 1), minval=0.0, maxval=1.0)
  low, high = _CHILD_STATURE
  size = jnp.where(child, low + (high - low) * small, size)
  pairs = pairs * jnp.where(child, jnp.asarray([_CHILD]) ** (1.3 - small), 1.0)
  which = np.full(SKELETON.num_joints, -1)
  for i, names in enumerate(_PAIRS):
    which[[_INDEX(name) for name in names]] = i
  scale = jnp.concatenate([pairs, jnp.ones((b, 1))], -1)[:, which]
  # The root rises with the legs.
  legs = (pairs[:, 1] + pairs[:, 2]) / 2
  scale = size * scale.at[:, SKELETON.root].set(legs)
  return _assemble(scale[:, None, :, None] * _bones(joints))


def exchange_upper_bodies(
  key: Array, joints: Float[Array, "b t 17 3"], share: float
) -> Float[Array, "b t 17 3"]:
  """Puts the trunk, arms and head of another window on the hips, as they were to its.

  Args:
    key: JAX random key.
    joints: metres.
    share: of the windows.
  """
  chosen = jax.random.bernoulli(key, share, (joints.shape[0], 1, 1, 1))
  pelvis = _pelvis(joints)
  bones = _bones(joints)
  others = jnp.einsum("btij,btkj->btki", pelvis, bones)
  others = jnp.einsum("btji,btkj->btki", pelvis, jnp.roll(others, 1, axis=0))
  upper = np.asarray([j in _below("spine") for j in range(SKELETON.num_joints)])
  return _assemble(jnp.where(chosen & upper[None, None, :, None], others, bones))


# Joint about which a part turns, standard deviation in degrees, and how far the bone
# that follows may lean backwards, as a sine against the trunk.
_TURNS = (
  ("spine", 15.0, 1.0),
  ("neck", 15.0, 1.0),
  ("right_hip", 22.0, 0.6),
  ("left_hip", 22.0, 0.6),
  ("right_shoulder", 35.0, 0.85),
  ("left_shoulder", 35.0, 0.85),
)
_HINGES = (
  ("right_hip", "right_knee", "right_foot"),
  ("left_hip", "left_knee", "left_foot"),
  ("right_shoulder", "right_elbow", "right_wrist"),
  ("left_shoulder", "left_elbow", "left_wrist"),
)
_HINGE_TURN = 25.0  # degrees
_MOST_BENT = np.radians(150)


def turn_joints(
  key: Array, joints: Float[Array, "b t 17 3"], factor: float
) -> Float[Array, "b t 17 3"]:
  """Turns limbs, trunk and head about axes of their own by slowly varying angles.

  Hips and shoulders turn about any axis but not so that the limb points farther back
  than it can; knees and elbows bend more or less about the axis that they bend about,
  from straight to 150 degrees.

  Args:
    key: JAX random key.
    joints: metres.
    factor: on the angles.
  """
  keys = iter(jax.random.split(key, 3 * len(_TURNS) + len(_HINGES)))
  b, t = joints.shape[:2]
  for name, degrees, back in _TURNS:
    axis = _unit(jax.random.normal(next(keys), (b, 1, 3)))
    angle = _slow(next(keys), b, t) * np.radians(factor * degrees)
    used = jax.random.bernoulli(next(keys), 0.7, (b, 1, 1))
    turn = geometry.axis_angle_to_matrix(jnp.where(used, angle * axis, 0))
    part = _below(name)
    pivot = joints[:, :, SKELETON.parents[part[0]] if name == "neck" else part[0]]
    moved = _turned(joints, turn, pivot, part)
    if back < 1:
      trunk = _pelvis(joints) if "hip" in name else _chest(joints)
      bone = _unit(moved[:, :, part[1]] - moved[:, :, part[0]])
      behind = -(bone * trunk[..., 2, :]).sum(-1)
      before = _unit(joints[:, :, part[1]] - joints[:, :, part[0]])
      before = -(before * trunk[..., 2, :]).sum(-1)
      fits = (behind < jnp.maximum(before, back)).all(1)
      moved = jnp.where(fits[:, None, None, None], moved, joints)
    joints = moved
  for top, middle, end in _HINGES:
    a, m, e = (joints[:, :, _INDEX(name)] for name in (top, middle, end))
    upper, lower = _unit(m - a), _unit(e - m)
    normal = jnp.cross(upper, lower)
    sine = jnp.sqrt((normal * normal).sum(-1, keepdims=True) + 1e-12)
    bend = jnp.arctan2(sine, (upper * lower).sum(-1, keepdims=True))
    wanted = bend + _slow(next(keys), b, t) * np.radians(factor * _HINGE_TURN)
    wanted = jnp.clip(wanted, jnp.minimum(bend, 0.05), _MOST_BENT)
    # The axis of a straight limb is not known.
    sure = jnp.clip((sine - 0.1) / 0.3, 0, 1)
    turn = geometry.axis_angle_to_matrix(sure * (wanted - bend) * normal / sine)
    joints = _turned(joints, turn, m, _below(middle))
  return joints


def tilt(
  key: Array, joints: Float[Array, "b t 17 3"], share: float
) -> Float[Array, "b t 17 3"]:
  """Pitches and rolls bodies about their roots, slowly turning on.

  Of the tilted windows three quarters lean by up to some 35 degrees, the others lie
  anyhow.

  Args:
    key: JAX random key.
    joints: metres, z up.
    share: of the windows.
  """
  b, t = joints.shape[:2]
  keys = jax.random.split(key, 5)
  azimuth = jax.random.uniform(keys[0], (b, 1, 1), maxval=2 * np.pi)
  axis = jnp.concatenate([jnp.cos(azimuth), jnp.sin(azimuth), 0 * azimuth], -1)
  some = np.radians(20) * jax.random.normal(keys[1], (b, 1, 1))
  any_ = jax.random.uniform(keys[2], (b, 1, 1), minval=-np.pi, maxval=np.pi)
  most = jax.random.bernoulli(keys[3], 0.75, (b, 1, 1))
  angle = jnp.where(most, some, any_) + np.radians(10) * _slow(keys[4], b, t)
  used = jax.random.bernoulli(jax.random.fold_in(key, 1), share, (b, 1, 1))
  turn = geometry.axis_angle_to_matrix(jnp.where(used, angle * axis, 0))
  root = SKELETON.root
  return _turned(joints, turn, joints[:, :, root], range(SKELETON.num_joints))


def rise(
  key: Array, joints: Float[Array, "b t 17 3"], speed: float
) -> Float[Array, "b t 17 3"]:
  """Moves bodies up and down, a third of them in free fall.

  Args:
    key: JAX random key.
    joints: metres, z up.
    speed: standard deviation of the vertical speed in the middle, m/s.
  """
  b, t = joints.shape[:2]
  keys = jax.random.split(key)
  time = ((jnp.arange(t) - (t - 1) / 2) / FPS)[None, :]
  falls = jax.random.bernoulli(keys[0], 1 / 3, (b, 1))
  height = speed * jax.random.normal(keys[1], (b, 1)) * time
  height = height - jnp.where(falls, 9.81 / 2 * time * time, 0)
  return joints.at[..., 2].add(height[..., None])


def _bones(joints: Array) -> Array:
  """Each joint from its parent; the root as it is."""
  parents = np.asarray(SKELETON.parents)
  from_parent = joints - joints[:, :, parents]
  return from_parent.at[:, :, SKELETON.root].set(joints[:, :, SKELETON.root])


def _assemble(bones: Array) -> Array:
  """Inverse of `_bones`."""
  above = np.zeros((SKELETON.num_joints,) * 2, np.float32)
  for j in range(SKELETON.num_joints):
    up = j
    while up >= 0:
      above[j, up] = 1
      up = SKELETON.parents[up]
  return jnp.einsum("jk,btkc->btjc", above, bones, precision="highest")


def _below(name: str) -> list[int]:
  """A joint and those that hang on it, itself first."""
  found = [_INDEX(name)]
  for j in range(SKELETON.num_joints):
    if SKELETON.parents[j] in found:
      found.append(j)
  return found


def _frame(across: Array, up: Array) -> Float[Array, "b t 3 3"]:
  """Rows: to the left, up, and forward."""
  up = _unit(up)
  forward = _unit(jnp.cross(across, up))
  return jnp.stack([jnp.cross(up, forward), up, forward], -2)


def _pelvis(joints: Array) -> Array:
  at = {name: joints[:, :, _INDEX(name)] for name in SKELETON.joints}
  return _frame(at["left_hip"] - at["right_hip"], at["spine"] - at["hip"])


def _chest(joints: Array) -> Array:
  at = {name: joints[:, :, _INDEX(name)] for name in SKELETON.joints}
  return _frame(at["left_shoulder"] - at["right_shoulder"], at["thorax"] - at["spine"])


def _turned(joints: Array, turn: Array, pivot: Array, part) -> Array:
  """The joints of a part, turned about a point of each frame."""
  part = np.asarray(part)
  arms = joints[:, :, part] - pivot[:, :, None]
  arms = jnp.einsum("btij,btkj->btki", turn, arms, precision="highest")
  return joints.at[:, :, part].set(pivot[:, :, None] + arms)


def _slow(key: Array, b: int, t: int) -> Float[Array, "b t 1"]:
  """Standard normal numbers that hardly change within a tenth of a second."""
  knots = max(2, round(t / FPS / 0.25) + 1)
  drawn = jax.random.normal(key, (b, knots, 2))
  # A constant part and one that changes, between knots with smooth steps.
  at = np.linspace(0, knots - 1, t)
  left = np.minimum(at.astype(int), knots - 2)
  share = (at - left).astype(np.float32)
  share = (share * share * (3 - 2 * share))[None, :]
  changing = drawn[:, left, 0] * (1 - share) + drawn[:, left + 1, 0] * share
  return (0.85 * drawn[:, :1, 1] + 0.5 * changing)[..., None]


def _unit(x: Array) -> Array:
  return x / jnp.sqrt((x * x).sum(-1, keepdims=True) + 1e-12)
