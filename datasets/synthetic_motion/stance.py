"""Where a person stands, how they carry themselves, and the track of standing still."""

import dataclasses

import numpy as np

from . import curves
from .body import SIDE
from .body import Body
from .curves import FPS
from .kinematics import Track
from .kinematics import upper_arm_rotation

ANKLE_BACK = 0.03  # metres that a standing person's ankles lie behind the hip joints


@dataclasses.dataclass(frozen=True)
class Style:
  """A person's habits; angles in radians, lengths in metres."""

  tempo: float  # 1 is average, larger is quicker
  width: float  # between the ankles, standing
  lean: float  # of the trunk, forward
  slouch: float  # thorax and neck, forward
  arm_swing: float  # 1 is average
  elbow: float  # flexion of a relaxed arm
  abduction: float  # of a relaxed arm
  splay: float  # of the feet and knees
  sway: float  # 1 is average: how much pelvis and shoulders turn
  asymmetry: float  # left over right, -0.2 to 0.2
  restless: float  # 1 is average: slow noise


def sample_style(rng: np.random.Generator) -> Style:
  """A random person's habits."""
  return Style(
    tempo=float(np.exp(rng.normal(0, 0.08))),
    width=rng.uniform(0.16, 0.3),
    lean=np.radians(rng.normal(2, 2.5)),
    slouch=np.radians(rng.uniform(-2, 12)),
    arm_swing=float(np.exp(rng.normal(0, 0.3))),
    elbow=np.radians(rng.uniform(12, 32)),
    abduction=np.radians(rng.uniform(5, 14)),
    splay=np.radians(rng.uniform(0, 14)),
    sway=float(np.exp(rng.normal(0, 0.25))),
    asymmetry=float(np.clip(rng.normal(0, 0.08), -0.2, 0.2)),
    restless=float(np.exp(rng.normal(0, 0.25))),
  )


def vary_style(style: Style, rng: np.random.Generator) -> Style:
  """The same person on another occasion: every habit up to some 10 percent off."""
  values = dataclasses.asdict(style)
  return Style(**{k: v * float(np.exp(rng.normal(0, 0.08))) for k, v in values.items()})


@dataclasses.dataclass(frozen=True)
class Stance:
  """Both feet on the floor.

  Attributes:
    feet: (2, 2) ground points under the ankles, metres.
    yaw: direction that the body faces.
  """

  feet: np.ndarray
  yaw: float

  @property
  def root(self) -> np.ndarray:
    """(2,) ground point under the pelvis of a balanced person."""
    return self.feet.mean(0) + ANKLE_BACK * curves.heading(self.yaw)

  def place(self, points, yaw=None):
    """World points from points given right, forward (, up) of the stance's root."""
    points = np.asarray(points, float)
    yaw = self.yaw if yaw is None else yaw
    ground = (
      self.root
      + points[..., :1] * curves.rightward(yaw)
      + points[..., 1:2] * curves.heading(yaw)
    )
    return np.concatenate([ground, points[..., 2:]], -1)


def neutral(width: float, yaw: float = 0.0) -> Stance:
  """Feet side by side around the world's origin."""
  across = 0.5 * width * SIDE[:, None] * curves.rightward(yaw)
  return Stance(across - ANKLE_BACK * curves.heading(yaw), float(yaw))


def stand(body: Body, style: Style, stance: Stance, n: int) -> Track:
  """Standing still at ease: what every other motion starts from."""
  zeros = np.zeros((n, 3))
  root = np.concatenate([stance.root, [body.standing]])
  feet = np.concatenate([stance.feet, np.full((2, 1), body.ankle)], 1)
  trunk = zeros + np.array([style.lean, 0, 0])
  flexion = np.full((n, 2), np.radians(2.0))
  arms = upper_arm_rotation(flexion, np.full((n, 2), style.abduction), 0.25)
  return Track(
    root=np.tile(root, (n, 1)),
    yaw=np.full(n, stance.yaw),
    pelvis=0.3 * trunk,
    spine=0.7 * trunk,
    thorax=zeros + np.array([style.slouch, 0, 0]),
    neck=zeros + np.array([-0.3 * style.slouch - 0.5 * style.lean, 0, 0]),
    arms=arms,
    elbows=np.full((n, 2), style.elbow),
    feet=np.tile(feet, (n, 1, 1)),
    planted=np.ones((n, 2), bool),
    splay=np.full((n, 2), style.splay),
    hands=np.tile(root + np.array([0, 0, 0.1]), (n, 2, 1)),
    reach=np.zeros((n, 2)),
    elbow_out=np.full((n, 2), np.radians(20.0)),
  )


def final_stance(track: Track) -> Stance:
  """The stance that a track ends in."""
  return Stance(track.feet[-1, :, :2].copy(), float(track.yaw[-1]))


def heel_lift(body: Body, angle):
  """Ankle's (forward, up) displacement when the heel rises about the ball."""
  h = 0.75 * body.ankle
  back = body.ball * (1 - np.cos(angle)) + h * np.sin(angle)
  return back, body.ball * np.sin(angle) + h * (np.cos(angle) - 1)


def toe_lift(body: Body, angle):
  """Ankle's (forward, up) displacement when the toes rise about the heel."""
  h, b = body.ankle, body.heel
  forward = b * (np.cos(angle) - 1) - h * np.sin(angle)
  return forward, b * np.sin(angle) + h * (np.cos(angle) - 1)


def times(n):
  """(n,) seconds."""
  return np.arange(n) / FPS


def shift(track, stance, right=0.0, forward=0.0, up=0.0):
  """Moves the pelvis by metres in the stance's directions."""
  right, forward, up = np.broadcast_arrays(right, forward, up, np.zeros(len(track)))[:3]
  track.root[:, :2] += right[:, None] * curves.rightward(stance.yaw)
  track.root[:, :2] += forward[:, None] * curves.heading(stance.yaw)
  track.root[:, 2] += up


def blend_arms(track, weight, flexion, abduction, inward, elbow):
  """Brings arms by `weight` (n,) or (n, 2) to angles that broadcast to (n, 2)."""
  n = len(track)
  weight = np.asarray(weight)
  weight = np.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, (n, 2))
  flexion, abduction, inward, elbow = (
    np.broadcast_to(x, (n, 2)) for x in (flexion, abduction, inward, elbow)
  )
  target = upper_arm_rotation(flexion, abduction, inward)
  track.arms[:] = curves.blend_rotations(track.arms, target, weight)
  track.elbows[:] = (1 - weight) * track.elbows + weight * elbow


def step_foot(track, body, stance, side, span, move, lift):
  """Lifts a foot in the time `span` and plants it `move` (right, forward) further."""
  t = times(len(track))
  u = np.clip((t - span[0]) / (span[1] - span[0]), 0, 1)
  done = curves.smoothstep(u)
  ground = move[0] * curves.rightward(stance.yaw) + move[1] * curves.heading(stance.yaw)
  track.feet[:, side, :2] += done[:, None] * ground
  track.feet[:, side, 2] += lift * (4 * u * (1 - u)) ** 2
  track.planted[:, side] &= (u <= 0) | (u >= 1)
