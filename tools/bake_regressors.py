"""Joints that are sums of vertices, and vertices that serve as joints."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons

NAMES = skeletons.get("smpl24").joints
FACE_AND_FEET = (
  "nose right_eye left_eye right_ear left_ear left_big_toe left_small_toe left_heel "
  "right_big_toe right_small_toe right_heel"
).split()
CANDIDATES = 400  # vertices near a joint that its sum is chosen from
KEPT = 24  # vertices of a sum
POSES = 64
SWING = dict(hip=0.7, knee=0.7, shoulder=0.7, elbow=0.7, wrist=0.4)  # radians


class Place(NamedTuple):
  """A point that moves with the body.

  Attributes:
    parts: share of each of SMPL's joints and of "crown", a vertex.
    offset: metres, added in the rest pose.
    turns_with: joint whose rotation the offset takes part in.
  """

  parts: dict[str, float]
  offset: tuple[float, float, float] = (0, 0, 0)
  turns_with: str = "pelvis"


def mark_vertices(template, landmarks, model) -> np.ndarray:
  """The 21 vertices that serve as joints, in the order of SMPL's.

  Args:
    template: (m, 3) mean body in the T-pose.
    landmarks: name -> place of anny's COCO key points on it.
    model: of anny.
  """
  marks = [
    int(np.linalg.norm(template - landmarks[name], axis=-1).argmin())
    for name in FACE_AND_FEET
  ]
  index = model.vertex_bone_indices.numpy()
  bone_weights = model.vertex_bone_weights.numpy()
  for side, sign in (("L", 1), ("R", -1)):
    for digit in range(1, 6):
      bone = model.bone_labels.index(f"finger{digit}-3.{side}")
      own = ((index == bone) * bone_weights).sum(1)
      tip = np.where(own > 0.5, sign * template[:, 0], -np.inf)
      marks.append(int(tip.argmax()))
  return np.asarray(marks)


def places(joint_template, hips) -> tuple[list[Place], list[Place]]:
  """What the 9 extra joints and Human3.6M's 17 stand for.

  Args:
    joint_template: (24, 3) SMPL's joints at rest.
    hips: places of COCO's left and right hip, whose width LSP's hips have.
  """
  left, right = (
    Place(
      {f"{side}_hip": 1.0},
      (hip[0] - joint_template[NAMES.index(f"{side}_hip")][0], 0, 0),
    )
    for side, hip in zip(("left", "right"), hips, strict=True)
  )
  middle = {"left_hip": 0.5, "right_hip": 0.5}
  thorax = {"left_shoulder": 0.25, "right_shoulder": 0.25, "neck": 0.5}
  spine = Place({"pelvis": 0.5} | {k: 0.5 * v for k, v in thorax.items()})
  jaw = Place({"head": 1.0}, (0, 0, 0.02), "head")
  head = Place({"crown": 0.75, "head": 0.25})
  extra = [right, left, Place({"neck": 1.0}), Place({"crown": 1.0}), Place(middle)]
  extra += [Place(thorax), spine, jaw, head]
  # The published regressor puts the left leg first; the 14 joints' order relies on it.
  legs = [
    Place({f"{side}_{joint}": 1.0})
    for side in ("left", "right")
    for joint in ("hip", "knee", "ankle")
  ]
  arms = [
    Place({f"{side}_{joint}": 1.0})
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist")
  ]
  return extra, [Place(middle), *legs, spine, Place(thorax), jaw, head, *arms]


def random_motion(body: bodies.Body, count: int, seed: int = 0):
  """Rotations and betas of `count` people; the first eighth at rest."""
  rng = np.random.default_rng(seed)
  swing = [SWING.get(name.split("_")[-1], 0.25) for name in NAMES]
  angles = np.asarray(swing)[:, None] * rng.normal(size=(count, 24, 3))
  angles[: count // 8] = 0
  betas = rng.normal(size=(count, body.num_betas))
  return geometry.axis_angle_to_matrix(angles), betas


def track(place: Place, rotations, posed: bodies.Posed, crown: int) -> np.ndarray:
  """The place in each pose, (n, 3)."""
  world = geometry.forward_kinematics(
    rotations, np.zeros((24, 3)), bodies.PARENTS, np.zeros((len(rotations), 3))
  )[1]
  turn = world[:, NAMES.index(place.turns_with)]
  point = turn @ np.asarray(place.offset, np.float64)
  for name, share in place.parts.items():
    joint = posed.vertices[:, crown] if name == "crown" else None
    point = point + share * (
      posed.joints[:, NAMES.index(name)] if joint is None else joint
    )
  return point


def regressor(body: bodies.Body, wanted: list[Place], crown: int) -> np.ndarray:
  """Rows (len(wanted), m): few vertices each, positive weights that sum to 1.

  Fitted to bodies of many shapes in many poses, so that a joint stays where it belongs
  when its limb bends.
  """
  rotations, betas = random_motion(body, POSES)
  posed = bodies.pose(body, rotations, betas)
  still = POSES // 8
  rows = np.zeros((len(wanted), len(body.template)), np.float32)
  for row, place in zip(rows, wanted, strict=True):
    target = track(place, rotations, posed, crown)
    far = np.linalg.norm(posed.vertices[:still] - target[:still, None], axis=-1)
    near = np.argsort(far.mean(0), kind="stable")[: 4 * CANDIDATES]
    near = near[:: max(len(near) // CANDIDATES, 1)]
    for _ in range(2):  # once to choose the vertices, once for their weights
      a = np.moveaxis(posed.vertices[:, near], 1, -1).reshape(-1, len(near))
      a = np.concatenate([a, np.full((1, len(near)), 100.0)])
      weights, _ = nnls(a, np.append(target.reshape(-1), 100.0))
      best = np.argsort(-weights, kind="stable")[:KEPT]
      near, weights = near[best], weights[best]
    row[near] = weights / weights.sum()
  return rows


def report(name: str, body: bodies.Body, rows, wanted: list[Place], crown: int):
  """Prints how far the joints are from what they stand for in poses not fitted."""
  rotations, betas = random_motion(body, 48, seed=1)
  posed = bodies.pose(body, rotations, betas)
  error = rows @ posed.vertices
  error -= np.stack([track(p, rotations, posed, crown) for p in wanted], 1)
  error = 1e3 * np.linalg.norm(error, axis=-1)
  print(f"{name}: mean {error.mean(0).round(1)}, worst {error.max(0).round(0)} mm")
