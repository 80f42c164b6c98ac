"""Fits a body to a captured person, and retargets the captured rotations to it.

Motion capture has a skeleton of its own: other bone lengths, and a rest pose whose
bones point elsewhere, by a few degrees in most files and by 98 where the arms hang at
rest. Captured joints are those of `h36m17`, rotations those of `smpl24`. NumPy only.
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize
from jaxtyping import Float

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import PARENTS
from jaxpose.body import Body

_SMPL, _H36M = skeletons.get("smpl24"), skeletons.get("h36m17")
_SIDES = ("left", "right")
_LIMBS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
# Pairs of SMPL's joints whose distance tells the shape: the rigid limbs, then widths
# and the trunk.
_RIGID = tuple(
  (_SMPL.index(f"{side}_{a}"), _SMPL.index(f"{side}_{b}"))
  for a, b in _LIMBS
  for side in _SIDES
)
BONES = (
  *_RIGID,
  *((_SMPL.index(f"left_{p}"), _SMPL.index(f"right_{p}")) for p in ("hip", "shoulder")),
  *((_SMPL.index(f"{s}_hip"), _SMPL.index(f"{s}_shoulder")) for s in _SIDES),
)
# Metres of misfit that are as bad as one standard deviation of a beta. Widths depend on
# where in the flesh a skeleton has its hips and shoulders, and the trunk bends: trusted
# more, they make unlikely shapes.
_TRUST = np.asarray([0.01] * 4 + [0.02] * 4 + [0.03] * 2 + [0.06] * 2)
# Joints whose turns bring the shoulders to where they were captured, and the radians of
# a turn that are as bad as 1 cm of misfit.
_TRUNK = tuple(
  _SMPL.index(n) for n in ("spine1", "spine2", "spine3", "left_collar", "right_collar")
)
_TRUNK_PRIOR = 0.3
# SMPL's joints that h36m17 has, in both orders.
_SHARED = tuple(
  (_SMPL.index(s), _H36M.index(h))
  for s, h in (
    (f"{side}_{part}", f"{side}_{'foot' if part == 'ankle' else part}")
    for side in _SIDES
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
  )
)
_H36M_OF = dict(_SHARED)
_HIPS = [_SMPL.index(f"{side}_hip") for side in _SIDES]


class Fit(NamedTuple):
  """What `fit_subject` finds out about a captured person.

  Attributes:
    betas: (s,) shape of the body.
    turns: (24, 3, 3) rotation of each joint's rest pose, from the body's bones to the
      captured skeleton's: `world rotation = captured world rotation @ turn`.
  """

  betas: np.ndarray
  turns: np.ndarray


class Motion(NamedTuple):
  """What `retarget` returns, for `body.pose` of the fitted betas.

  Attributes:
    rotations: (t, 24, 3, 3) of each joint relative to its parent, the root's world.
    translation: (t, 3) metres to add to the vertices and joints that `body.pose` gives.
  """

  rotations: np.ndarray
  translation: np.ndarray


def fit_subject(
  body: Body,
  joints: Float[np.ndarray, "t 17 3"],
  rotations: Float[np.ndarray, "t j 3 3"],
) -> Fit:
  """Shape and rest pose of one captured skeleton, from all of its frames or some.

  Limbs are turned by the smallest rotation onto their captured direction, hands with
  their forearms, and the trunk so that the shoulders lie where they were captured, as
  nearly as small turns can. Head and feet keep their captured world rotation.

  Args:
    body: whose shape is sought; only its joints are used.
    joints: metres, h36m17.
    rotations: smpl24, with or without the two hands, of the same frames. Only frames
      of one skeleton: a person whose markers were fitted twice is fitted twice.

  Raises:
    ValueError: joints and rotations do not belong together.
  """
  world = _world(_with_hands(joints, rotations))
  betas = fit_betas(body, measure(joints), BONES, prior=_TRUST)
  rest = np.float64(bodies.rest_joints(body, betas))
  turns = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
  for start, end in _RIGID:
    bone = _captured(joints, end) - _captured(joints, start)
    bone = np.einsum("tji,tj->i", world[:, start], bone)
    turns[start] = _shortest_turn(rest[end] - rest[start], bone)
  for side in _SIDES:
    wrist, hand, elbow = (
      _SMPL.index(f"{side}_{n}") for n in ("wrist", "hand", "elbow")
    )
    turns[[wrist, hand]] = turns[elbow]
  turns[list(_TRUNK)] = _trunk_turns(joints, world, rest)
  return Fit(betas, turns)


def _trunk_turns(joints, world, rest, frames: int = 200) -> np.ndarray:
  """(5, 3, 3) turns of `_TRUNK`, by least squares over some frames."""
  chosen = np.linspace(0, len(joints) - 1, min(frames, len(joints))).astype(int)
  hips = joints[chosen][:, [_H36M_OF[j] for j in _HIPS]].mean(1)
  chains = []  # of each shoulder: (joint, offset to the next one)
  for side in _SIDES:
    path = [_SMPL.index(f"{side}_shoulder")]
    while PARENTS[path[0]] >= 0:
      path.insert(0, PARENTS[path[0]])
    chains.append((path[:-1], np.diff(rest[path], axis=0)))
  start = rest[0] - rest[_HIPS].mean(0)
  wanted = [
    _captured(joints[chosen], _SMPL.index(f"{side}_shoulder")) - hips for side in _SIDES
  ]

  def misfit(vectors):
    turn = {
      j: geometry.axis_angle_to_matrix(v)
      for j, v in zip(_TRUNK, vectors.reshape(-1, 3), strict=True)
    }
    found = [vectors * 0.01 / _TRUNK_PRIOR * np.sqrt(len(chosen))]
    for (path, offsets), target in zip(chains, wanted, strict=True):
      place = world[chosen, 0] @ start
      for j, offset in zip(path, offsets, strict=True):
        place = place + world[chosen, j] @ (turn.get(j, np.eye(3)) @ offset)
      found.append((place - target).ravel())
    return np.concatenate(found)

  solved = scipy.optimize.least_squares(misfit, np.zeros(3 * len(_TRUNK)))
  return geometry.axis_angle_to_matrix(solved.x.reshape(-1, 3))


def retarget(
  body: Body,
  fit: Fit,
  joints: Float[np.ndarray, "t 17 3"],
  rotations: Float[np.ndarray, "t j 3 3"],
) -> Motion:
  """The captured motion as one of the fitted body, the middles of the hips together.

  Args:
    body: the one that was fitted.
    fit: of the skeleton that these frames have.
    joints: metres, h36m17.
    rotations: smpl24, with or without the two hands, of the same frames.

  Raises:
    ValueError: joints and rotations do not belong together.
  """
  world = _world(_with_hands(joints, rotations)) @ fit.turns
  rest = np.float64(bodies.rest_joints(body, fit.betas))
  hips = rest[_HIPS].mean(0)
  middle = (_captured(joints, _HIPS[0]) + _captured(joints, _HIPS[1])) / 2
  translation = middle - world[:, 0] @ (hips - rest[0]) - rest[0]
  parents = np.asarray(PARENTS[1:])
  local = np.swapaxes(world[:, parents], -1, -2) @ world[:, 1:]
  local = np.concatenate([world[:, :1], local], 1)
  return Motion(local.astype(np.float32), translation.astype(np.float32))


def measure(joints: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, " 12"]:
  """Length of each of `BONES` in metres: the median over the frames of a person."""
  ends = [[_H36M_OF[joint] for joint in bone] for bone in BONES]
  a, b = (joints[:, list(side)] for side in zip(*ends, strict=True))
  return np.median(np.linalg.norm(a - b, axis=-1), axis=0)


def bone_lengths(
  body: Body, betas: Float[np.ndarray, " s"], bones: tuple[tuple[int, int], ...]
) -> Float[np.ndarray, " n"]:
  """Distance of two of the 24 joints at rest, in metres, for each (joint, joint)."""
  joints = body.joint_template + body.joint_shape_dirs @ betas
  pairs = np.asarray(bones)
  return geometry.safe_norm(joints[pairs[:, 1]] - joints[pairs[:, 0]])


def fit_betas(
  body: Body,
  lengths: Float[np.ndarray, " n"],
  bones: tuple[tuple[int, int], ...],
  *,
  prior: float | Float[np.ndarray, " n"] = 0.01,
  steps: int = 20,
) -> Float[np.ndarray, " s"]:
  """Betas whose bones have these lengths, as nearly as a likely body can.

  Gauss-Newton on the squared differences, with betas kept near zero.

  Args:
    body: the model; only its joints are used.
    lengths: metres, one per bone.
    bones: pairs of SMPL's 24 joints.
    prior: metres of misfit that are as bad as one standard deviation of a beta, of all
      bones or of each.
    steps: iterations.

  Raises:
    ValueError: there is not one length per bone.
  """
  if len(lengths) != len(bones):
    raise ValueError(
      f"got {len(lengths)} lengths for {len(bones)} bones, expected one per bone."
    )
  trust = np.broadcast_to(np.float64(prior), (len(bones),))
  first, second = np.asarray(bones).T
  base = np.float64(body.joint_template[second] - body.joint_template[first])
  dirs = np.float64(body.joint_shape_dirs[second] - body.joint_shape_dirs[first])
  betas = np.zeros(body.num_betas)
  for _ in range(steps):
    steps_between = base + dirs @ betas
    now = np.linalg.norm(steps_between, axis=-1)
    slope = np.einsum("nc,ncs->ns", steps_between / now[:, None], dirs)
    matrix = np.concatenate([slope / trust[:, None], np.eye(len(betas))])
    misfit = np.concatenate([(lengths - now) / trust, -betas])
    betas += np.linalg.lstsq(matrix, misfit, rcond=None)[0]
  return betas.astype(np.float32)


def _with_hands(joints, rotations):
  t, j = rotations.shape[:2]
  if len(joints) != t or j not in (22, 24):
    raise ValueError(
      f"got {len(joints)} frames of joints and {t} of {j} rotations, expected as many "
      "frames of 22 or 24 rotations: smpl24, without hands or with them."
    )
  hands = np.broadcast_to(np.eye(3), (t, 24 - j, 3, 3))
  return np.concatenate([rotations, hands], 1)


def _world(rotations):
  zero = np.zeros((len(rotations), 3))
  return geometry.forward_kinematics(rotations, np.zeros((24, 3)), PARENTS, zero)[1]


def _captured(joints, joint):
  """One of SMPL's joints among the captured ones."""
  return joints[:, _H36M_OF[joint]]


def _shortest_turn(a, b):
  """The smallest rotation that takes the direction of a to that of b."""
  a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
  axis = np.cross(a, b)
  sine = np.linalg.norm(axis)
  if sine < 1e-9:
    return np.eye(3)
  return geometry.axis_angle_to_matrix(axis / sine * np.arctan2(sine, a @ b))
