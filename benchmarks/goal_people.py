"""People whose joints are known exactly, as a detector of COCO's 17 would mark them.

`as_coco17` gives anybody of h36m17 the keypoints, `upright` is somebody who just
stands, and `ring` the cameras that look at them.
"""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.geometry import cameras
from jaxpose.geometry.cameras import Camera
from jaxpose.skeletons import head_points

H36M = skeletons.get("h36m17")
COCO = skeletons.get("coco17")
# Joints that every definition of them has in one place: hips and their middle, knees,
# ankles, the middle of the shoulders, shoulders, elbows, wrists.
SHARED = (0, 1, 2, 3, 4, 5, 6, 8, 11, 12, 13, 14, 15, 16)

_EAR, _EYE = 0.075, 0.03  # metres from the middle of the head to one side
_EYES = 0.25  # of the way from the nose to the crown
_LEG = 0.84  # metres from hip to ankle, of somebody 1.74 m tall
_FOOT = 0.07  # metres of the ankle above the floor
# Lengths over the leg's: the mean of CMU's subjects in `jaxpose.skeletons.proportions`.
_TORSO, _UPPER_ARM, _FOREARM, _SHOULDERS, _HIPS = 0.619, 0.357, 0.336, 0.441, 0.225
_SPINE = 0.44  # of the torso, in CMU's test subjects
_NECK, _HEAD = 0.13, 0.1  # metres, as `jaxpose.skeletons.head_points` has them


def as_coco17(joints: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, "t 17 3"]:
  """Keypoints of COCO on people of h36m17; any right-handed axes, metres.

  Limbs are the same joints and the nose is h36m17's neck. Ears lie where
  `head_points` has them, eyes between nose and crown.
  """

  def at(name):
    return joints[:, H36M.index(name)]

  nose, crown = at("neck"), at("head")
  shoulders = (at("left_shoulder") + at("right_shoulder")) / 2
  left = np.cross(crown - shoulders, nose - shoulders)
  left /= np.linalg.norm(left, axis=-1, keepdims=True)
  line = crown - nose
  along, across = head_points.ears_from_nose_and_crown()
  ears = nose + along * line + across * np.cross(left, line)
  eyes = nose + _EYES * line
  made = dict(
    nose=nose,
    left_eye=eyes + _EYE * left,
    right_eye=eyes - _EYE * left,
    left_ear=ears + _EAR * left,
    right_ear=ears - _EAR * left,
  )
  limbs = (name.replace("ankle", "foot") for name in COCO.joints[len(made) :])
  return np.stack([*made.values(), *map(at, limbs)], 1)


def upright() -> Float[np.ndarray, "1 17 3"]:
  """An adult of average proportions who stands straight, arms hanging.

  World with z up and metres, on the floor over the origin, facing x; left is y.
  """
  hip = _FOOT + _LEG
  shoulder = hip + _TORSO * _LEG
  elbow = shoulder - _UPPER_ARM * _LEG
  made = dict(hip=(0, 0, hip), thorax=(0, 0, shoulder))
  made["spine"] = (0, 0, hip + _SPINE * (shoulder - hip))
  for side, sign in (("left", 1), ("right", -1)):
    leg, arm = sign * _HIPS * _LEG / 2, sign * _SHOULDERS * _LEG / 2
    made[f"{side}_hip"] = (0, leg, hip)
    made[f"{side}_knee"] = (0, leg, _FOOT + _LEG / 2)
    made[f"{side}_foot"] = (0, leg, _FOOT)
    made[f"{side}_shoulder"] = (0, arm, shoulder)
    made[f"{side}_elbow"] = (0, arm, elbow)
    made[f"{side}_wrist"] = (0, arm, elbow - _FOREARM * _LEG)
  base = np.asarray([[0, 0, shoulder + _NECK]])
  face = head_points.nose_and_crown(
    base, _HEAD, np.eye(3)[None], up=(0.0, 0.0, 1.0), forward=(1.0, 0.0, 0.0)
  )
  made["neck"], made["head"] = face[0]
  return np.asarray([[made[name] for name in H36M.joints]], np.float64)


def ring(
  target: Float[np.ndarray, "3"],
  distances=(3.0, 5.0, 8.0),
  heights=(1.0, 1.5, 2.0),
  azimuths: int = 12,
  side: int = 1000,
) -> Iterator[Camera]:
  """Cameras around a point, of the focal length that `predict.lift` assumes.

  Args:
    target: in the middle of the picture; metres, z up.
    distances: on the ground, metres.
    heights: above the floor, metres.
    azimuths: of each distance and height, evenly spaced.
    side: of the square picture in pixels.
  """
  focal = cameras.guess_focal((side, side))
  lens = np.asarray([focal, focal, side / 2, side / 2, 0, 0, 0, 0, 0])
  for distance, height, i in itertools.product(distances, heights, range(azimuths)):
    angle = 2 * np.pi * i / azimuths
    away = distance * np.asarray([np.cos(angle), np.sin(angle)])
    position = np.asarray([*(target[:2] + away), height])
    rotation = cameras.look_at(position, np.asarray(target, np.float64))
    yield Camera(rotation, position, lens, (side, side))


def knee_flexion(joints: Float[np.ndarray, "*b 17 3"]) -> Float[np.ndarray, "*b 2"]:
  """Angles between thigh and shin in degrees, left and right; 0 is straight."""
  angles = []
  for side in ("left", "right"):
    hip, knee, foot = (
      joints[..., H36M.index(f"{side}_{part}"), :] for part in ("hip", "knee", "foot")
    )
    cosine = ((knee - hip) * (foot - knee)).sum(-1)
    sine = np.linalg.norm(np.cross(knee - hip, foot - knee), axis=-1)
    angles.append(np.degrees(np.arctan2(sine, cosine)))
  return np.stack(angles, -1)
