"""Bodies: bone lengths and joint limits.

A body's own frame has x to its right, y forward and z up; at rest it stands with arms
and legs along -z. Positive flexion brings a thigh, an upper arm or a forearm forward, a
shank backward, and the trunk and head forward. Side 0 is right, side 1 is left.
"""

import dataclasses

import numpy as np

from jaxpose import skeletons

SKELETON = skeletons.get("h36m17")
SIDE = np.array([1.0, -1.0])  # x direction of the right and of the left side

# Radians, (lowest, highest): flexion of knees and elbows, then flexion, bend to the
# side and twist of each part of the trunk against the part below it.
LIMITS = dict(
  knee=np.radians([2.0, 150.0]),
  elbow=np.radians([4.0, 145.0]),
  spine=np.radians([[-20.0, 50.0], [-20.0, 20.0], [-20.0, 20.0]]),
  thorax=np.radians([[-15.0, 35.0], [-20.0, 20.0], [-30.0, 30.0]]),
  neck=np.radians([[-45.0, 45.0], [-30.0, 30.0], [-60.0, 60.0]]),
)


@dataclasses.dataclass(frozen=True)
class Body:
  """Bone lengths of a person in metres."""

  height: float
  thigh: float
  shank: float
  ankle: float  # height of the ankle over the floor, foot flat
  ball: float  # from the ankle forward to the ball of the foot
  heel: float  # from the ankle back to the heel
  hip: float  # half the distance between the hip joints
  lumbar: float
  chest: float
  neck: float
  head: float
  shoulder: float  # half the distance between the shoulders
  upper_arm: float
  forearm: float

  @property
  def leg(self) -> float:
    """Thigh and shank."""
    return self.thigh + self.shank

  @property
  def arm(self) -> float:
    """Upper arm and forearm."""
    return self.upper_arm + self.forearm

  @property
  def standing(self) -> float:
    """Height of the pelvis over the floor with nearly straight legs."""
    return self.ankle + 0.994 * self.leg

  def offsets(self) -> np.ndarray:
    """(17, 3) of each joint from its parent, in the parent's frame."""
    at = {
      "right_hip": (self.hip, 0, 0),
      "left_hip": (-self.hip, 0, 0),
      "right_knee": (0, 0, -self.thigh),
      "left_knee": (0, 0, -self.thigh),
      "right_foot": (0, 0, -self.shank),
      "left_foot": (0, 0, -self.shank),
      "spine": (0, -0.08 * self.lumbar, self.lumbar),
      "thorax": (0, -0.05 * self.chest, self.chest),
      "neck": (0, 0.25 * self.neck, 0.97 * self.neck),
      "head": (0, -0.05 * self.head, self.head),
      "right_shoulder": (self.shoulder, 0, 0),
      "left_shoulder": (-self.shoulder, 0, 0),
      "right_elbow": (0, 0, -self.upper_arm),
      "left_elbow": (0, 0, -self.upper_arm),
      "right_wrist": (0, 0, -self.forearm),
      "left_wrist": (0, 0, -self.forearm),
    }
    return np.array([at.get(joint, (0, 0, 0)) for joint in SKELETON.joints], float)


def sample_body(rng: np.random.Generator) -> Body:
  """A random adult, 1.70 +- 0.08 m tall, with bone ratios a few percent off.

  Their means are between those of de Leva (1996) and of CMU's captured people, see
  `jaxpose.skeletons.proportions`.
  """
  height = np.clip(rng.normal(1.70, 0.08), 1.5, 1.95)

  def part(ratio, spread=0.025):
    return float(height * ratio * np.clip(rng.normal(1, spread), 0.93, 1.07))

  long_legs = np.clip(rng.normal(1, 0.02), 0.96, 1.04)
  long_arms = np.clip(rng.normal(1, 0.02), 0.96, 1.04)
  return Body(
    height=float(height),
    thigh=part(0.247) * long_legs,
    shank=part(0.245) * long_legs,
    ankle=part(0.044),
    ball=part(0.075),
    heel=part(0.03),
    hip=part(0.062, 0.05),
    lumbar=part(0.146) / long_legs,
    chest=part(0.154) / long_legs,
    neck=part(0.066),
    head=part(0.066),
    shoulder=part(0.105, 0.05),
    upper_arm=part(0.168) * long_arms,
    forearm=part(0.156) * long_arms,
  )
