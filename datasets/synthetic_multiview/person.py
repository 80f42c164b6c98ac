"""A person as a closed mesh over the joints of h36m17: clothes, hands, a face."""

import dataclasses

import numpy as np

from jaxpose import skeletons
from jaxpose.skeletons import head_points

from . import lofts

SKELETON = skeletons.get("h36m17")
_J = {name: i for i, name in enumerate(SKELETON.joints)}

# Rings and segments of each part.
GRIDS = {
  "torso": (17, 14),
  "neck": (4, 8),
  "head": (12, 14),
  "hair": (9, 12),
  "long_hair": (6, 10),
  "bag": (6, 10),
}
for _side in ("right", "left"):
  GRIDS |= {
    f"{_side}_thigh": (9, 10),
    f"{_side}_shank": (10, 8),
    f"{_side}_upper_arm": (8, 8),
    f"{_side}_forearm": (9, 8),
    f"{_side}_hand": (7, 8),
    f"{_side}_thumb": (4, 5),
    f"{_side}_shoe": (9, 8),
  }

# Trunk, ring by ring: place (0 hip, 1 spine, 2 thorax), half width, half depth and how
# far forward the middle lies, in metres of a person 1.7 m tall.
_TORSO = np.array(
  [
    [-0.58, 0.010, 0.010, 0.000],
    [-0.54, 0.075, 0.055, 0.000],
    [-0.42, 0.128, 0.090, -0.004],
    [-0.20, 0.155, 0.108, -0.008],
    [0.05, 0.163, 0.112, -0.008],
    [0.30, 0.155, 0.104, -0.004],
    [0.44, 0.149, 0.100, 0.000],
    [0.46, 0.152, 0.103, 0.000],
    [0.54, 0.150, 0.102, 0.000],
    [0.56, 0.153, 0.105, 0.002],
    [0.85, 0.138, 0.097, 0.006],
    [1.20, 0.147, 0.104, 0.010],
    [1.60, 0.172, 0.112, 0.012],
    [1.88, 0.185, 0.104, 0.006],
    [2.03, 0.168, 0.088, 0.000],
    [2.16, 0.112, 0.070, -0.006],
    [2.31, 0.052, 0.050, -0.006],
  ]
)
WAIST = 7  # rings of the trunk up to here are trousers, then a belt of two


@dataclasses.dataclass(frozen=True)
class Figure:
  """What a person looks like, beside colours; factors are 1 for the average.

  Attributes:
    height: metres.
    girth: of everything.
    shoulders: width of the chest.
    hips: width of the hips.
    belly: depth of the waist.
    sleeves: width of the clothes on the arms.
    legs: width of the clothes on the legs.
    hair: "short", "long", or "none".
    bag: whether there is a bag on the back.
    gaze: radians that the head is turned to the left.
    nose: joint 9 is the nose and joint 10 the crown, as in captured motion, and say
      where the head looks; else they are the neck and the middle of the head.
  """

  height: float = 1.7
  girth: float = 1.0
  shoulders: float = 1.0
  hips: float = 1.0
  belly: float = 1.0
  sleeves: float = 1.0
  legs: float = 1.0
  hair: str = "short"
  bag: bool = False
  gaze: float = 0.0
  nose: bool = False


def _slices():
  found, start = {}, 0
  for name, (rings, segments) in GRIDS.items():
    found[name] = slice(start, start + rings * segments)
    start += rings * segments
  return found, start


SLICES, NUM_VERTICES = _slices()


def _faces() -> np.ndarray:
  faces = [lofts.faces(*grid) + SLICES[name].start for name, grid in GRIDS.items()]
  return np.concatenate(faces).astype(np.int32)


FACES = _faces()


def mesh(joints: np.ndarray, figure: Figure) -> tuple[np.ndarray, np.ndarray]:
  """Vertices and unit normals, each (t, `NUM_VERTICES`, 3), world metres.

  Args:
    joints: (t, 17, 3) of h36m17, metres, z up, the floor at 0.
    figure: of the person.
  """
  p = {name: joints[:, i] for name, i in _J.items()}
  parts = _trunk(p, figure) | _head(p, figure)
  for side, sign in (("right", 1.0), ("left", -1.0)):
    parts |= _leg(p, figure, side) | _arm(p, figure, side, sign)
  points, normals = zip(*(parts[name] for name in GRIDS), strict=True)
  points, normals = (np.concatenate(x, 1, dtype=np.float32) for x in (points, normals))
  return points, normals


def _frames(p):
  """Right and forward of the pelvis and of the chest."""
  pelvis_up, chest_up = (
    lofts.unit(p["spine"] - p["hip"]),
    lofts.unit(p["thorax"] - p["spine"]),
  )
  pelvis = lofts.across(p["right_hip"] - p["left_hip"], pelvis_up)
  chest = lofts.across(p["right_shoulder"] - p["left_shoulder"], chest_up)
  return pelvis, np.cross(pelvis_up, pelvis), chest, np.cross(chest_up, chest)


def _trunk(p, figure):
  size = figure.height / 1.7
  place, width, depth, ahead = _TORSO.T * [[1], [size], [size], [size]]
  share = np.clip(place / 2, 0, 1)  # 0 in the pelvis, 1 at the shoulders
  width = width * ((1 - share) * figure.hips + share * figure.shoulders) * figure.girth
  belly = np.exp(-(((place - 0.7) / 0.6) ** 2))
  depth = depth * figure.girth * (1 + (figure.belly - 1) * belly)
  ahead = ahead + 0.5 * belly * 0.1 * size * (figure.belly - 1)
  pelvis, pelvis_front, chest, chest_front = _frames(p)
  lower, upper = p["spine"] - p["hip"], p["thorax"] - p["spine"]
  middle = p["hip"][:, None] + lower[:, None] * np.minimum(place, 1)[:, None]
  middle = middle + upper[:, None] * np.maximum(place - 1, 0)[:, None]
  mix = share[:, None]
  right = lofts.unit((1 - mix) * pelvis[:, None] + mix * chest[:, None])
  front = lofts.unit((1 - mix) * pelvis_front[:, None] + mix * chest_front[:, None])
  middle = middle + front * ahead[:, None]
  segments = GRIDS["torso"][1]
  torso = lofts.ellipses(middle, right, front, width, depth, segments)

  thick = 0.065 * size * (1.0 if figure.bag else 0.02)
  place = np.array([0.75, 0.78, 0.95, 1.55, 1.8, 1.84])
  full = np.array([0.1, 0.8, 1, 1, 0.8, 0.1])
  middle = p["spine"][:, None] + upper[:, None] * (place - 1)[:, None]
  back = (0.145 if figure.bag else 0.02) * size * figure.girth
  middle = middle - chest_front[:, None] * back
  bag = lofts.ellipses(middle, chest, chest_front, 0.12 * size * full, thick * full, 10)
  return {"torso": torso, "bag": bag}


def _head(p, figure):
  size = 0.5 + 0.5 * figure.height / 1.7  # heads vary less than bodies
  if figure.nose:
    centre, right, up, front = _place_of_head(p, size)
  else:
    _, _, chest, _ = _frames(p)
    up = lofts.unit(p["head"] - 0.5 * (p["thorax"] + p["neck"]))
    right = lofts.across(chest, up)
    front = np.cross(up, right)
    c, s = np.cos(figure.gaze), np.sin(figure.gaze)
    right, front = c * right + s * front, c * front - s * right
    centre = p["head"] + size * (0.022 * front - 0.008 * up)

  rings, segments = GRIDS["head"]
  latitude = np.radians(np.linspace(-88, 88, rings))
  z, r = np.sin(latitude), np.cos(latitude)
  jaw = np.maximum(-z, 0)
  width = 0.080 * r * (1 - 0.22 * jaw)
  depth = 0.100 * r * (1 - 0.12 * jaw)
  middle = centre[:, None] + size * up[:, None] * (0.125 * z)[:, None]
  middle = middle + size * front[:, None] * (0.018 * jaw)[:, None]
  angle = 2 * np.pi * np.arange(segments) / segments
  nose = 0.024 * np.exp(-(((latitude + 0.22) / 0.17) ** 2))[:, None]
  nose = nose * np.exp(-(((angle - np.pi / 2) / 0.22) ** 2))
  # A flat ear is not seen at this size; a nose tells the front from the back.
  first = (width[:, None] * np.cos(angle))[..., None] * right[:, None, None] * size
  second = (depth[:, None] * np.sin(angle) + nose)[..., None] * front[:, None, None]
  head = lofts.loft(middle, first, second * size)

  rings, segments = GRIDS["hair"]
  latitude = np.radians(np.linspace(-88, 88, rings))
  z, r = np.sin(latitude), np.cos(latitude)
  grow = 0.3 if figure.hair == "none" else 1.0
  middle = centre - size * (0.024 * front - 0.028 * up)
  middle = middle[:, None] + size * grow * up[:, None] * (0.112 * z)[:, None]
  wide, deep = size * grow * 0.087 * r, size * grow * 0.096 * r
  hair = lofts.ellipses(middle, right, front, wide, deep, segments)

  grow = 1.0 if figure.hair == "long" else 0.3
  place = np.array([0.05, 0.03, -0.06, -0.15, -0.22, -0.25])
  full = np.array([0.1, 0.8, 1.0, 0.95, 0.7, 0.1])
  base = centre - size * (0.066 if figure.hair == "long" else 0.02) * front
  middle = base[:, None] + size * grow * up[:, None] * place[:, None]
  wide, deep = size * grow * 0.086 * full, size * grow * 0.045 * full
  long_hair = lofts.ellipses(middle, right, -front, wide, deep, GRIDS["long_hair"][1])

  radii = 0.053 * size * np.sqrt(figure.girth) * np.array([0.9, 1.15, 1.0, 0.9])
  start, end = p["thorax"] - 0.03 * up, centre - 0.05 * up - 0.02 * front
  stations = np.array([0.0, 0.25, 0.6, 1.0])
  middle = start[:, None] + (end - start)[:, None] * stations[:, None]
  neck = lofts.ellipses(middle, right, front, radii, radii, GRIDS["neck"][1])
  return {"head": head, "hair": hair, "long_hair": long_hair, "neck": neck}


def _place_of_head(p, size):
  """Middle and axes (right, up, front) of a head with the nose and crown of p."""
  line = lofts.unit(p["head"] - p["neck"])
  ahead = lofts.across(p["neck"] - p["thorax"], line)
  # Of the line from the nose to the crown in the head's own frame.
  rise, back = np.subtract(head_points.CROWN, head_points.NOSE) @ np.array(
    [[1.0, 0], [0, -1]]
  )
  rise, back = np.array([rise, back]) / np.hypot(rise, back)
  up, front = rise * line + back * ahead, rise * ahead - back * line
  below_crown = p["head"] - 0.118 * size * up
  behind_nose = p["neck"] + size * (0.025 * up - 0.108 * front)
  return (below_crown + behind_nose) / 2, np.cross(front, up), up, front


def _leg(p, figure, side):
  size = figure.height / 1.7
  hip, knee, ankle = (p[f"{side}_{part}"] for part in ("hip", "knee", "foot"))
  pelvis, pelvis_front, _, _ = _frames(p)
  wide = size * figure.girth * figure.legs
  thigh = wide * np.array([0.086, 0.088, 0.078, 0.066, 0.058])
  stations = np.array([0.02, 0.2, 0.5, 0.8, 1.0])
  parts = {f"{side}_thigh": lofts.limb(hip, knee, pelvis, stations, thigh, 10)}
  shank = wide * np.array([0.056, 0.056, 0.058, 0.05, 0.041, 0.037])
  stations = np.array([0.0, 0.15, 0.3, 0.55, 0.8, 0.98])
  parts[f"{side}_shank"] = lofts.limb(knee, ankle, pelvis, stations, shank, 8)

  # The toes point to where the knee does; they do not go through the floor.
  down = lofts.unit(ankle - knee)
  bend = knee - 0.5 * (hip + ankle)
  toes = lofts.across(0.1 * pelvis_front + bend, down)
  lowest = (0.034 * size - (ankle[:, 2] - 0.04 * size)) / (0.2 * size)
  toes[:, 2] = np.maximum(toes[:, 2], lowest)
  toes = lofts.unit(toes)
  up = lofts.across(-down, toes)
  right = np.cross(up, toes)
  place = size * np.array([-0.075, -0.07, -0.05, 0.0, 0.06, 0.12, 0.165, 0.185, 0.19])
  width = size * np.array(
    [0.004, 0.026, 0.036, 0.038, 0.043, 0.047, 0.036, 0.02, 0.003]
  )
  high = size * np.array([0.004, 0.03, 0.042, 0.046, 0.036, 0.027, 0.021, 0.013, 0.003])
  middle = ankle[:, None] + toes[:, None] * place[:, None]
  middle = (
    middle + up[:, None] * (np.maximum(high, 0.02 * size) - 0.073 * size)[:, None]
  )
  parts[f"{side}_shoe"] = lofts.ellipses(middle, right, up, width, high, 8)
  return parts


def _arm(p, figure, side, sign):
  size = figure.height / 1.7
  shoulder, elbow, wrist = (
    p[f"{side}_{part}"] for part in ("shoulder", "elbow", "wrist")
  )
  _, _, chest, chest_front = _frames(p)
  girth = size * np.sqrt(figure.girth) * figure.girth**0.3
  wide = girth * figure.sleeves
  upper, lower = lofts.unit(elbow - shoulder), lofts.unit(wrist - elbow)
  # The elbow's hinge; a straight arm has none, so the chest's right is added.
  hinge = np.cross(upper, lower) + 0.05 * chest
  radii = wide * np.array([0.056, 0.056, 0.05, 0.043])
  stations = np.array([0.02, 0.2, 0.6, 1.0])
  parts = {f"{side}_upper_arm": lofts.limb(shoulder, elbow, hinge, stations, radii, 8)}
  radii = wide * np.array([0.041, 0.044, 0.041, 0.033, 0.028])
  stations = np.array([0.0, 0.2, 0.45, 0.8, 1.0])
  parts[f"{side}_forearm"] = lofts.limb(elbow, wrist, hinge, stations, radii, 8)

  # Thin along the hinge: at a hanging arm the palm looks at the thigh.
  thin = lofts.across(hinge, lower)
  broad = np.cross(lower, thin)
  place = size * np.array([-0.01, 0.0, 0.04, 0.09, 0.14, 0.18, 0.19])
  width = size * np.array([0.005, 0.024, 0.036, 0.043, 0.037, 0.022, 0.005])
  deep = size * np.array([0.004, 0.022, 0.019, 0.017, 0.014, 0.009, 0.003])
  curl = np.maximum(place / (0.19 * size), 0) ** 2 * 0.03 * size
  middle = wrist[:, None] + lower[:, None] * place[:, None]
  middle = middle - sign * thin[:, None] * curl[:, None]
  parts[f"{side}_hand"] = lofts.ellipses(middle, thin, broad, deep, width, 8)
  # The thumb points forward from a hanging hand.
  ahead = np.where((broad * chest_front).sum(-1, keepdims=True) < 0, -broad, broad)
  start = wrist + size * (0.03 * lower + 0.02 * ahead)
  to = lofts.unit(0.75 * lower + 0.65 * ahead)
  place = size * np.array([0.0, 0.01, 0.05, 0.075])
  middle = start[:, None] + to[:, None] * place[:, None]
  radii = size * np.array([0.004, 0.014, 0.012, 0.003])
  x_axis = lofts.across(thin, to)
  thumb = lofts.ellipses(middle, x_axis, np.cross(to, x_axis), radii, radii, 5)
  parts[f"{side}_thumb"] = thumb
  return parts
