"""Maps from one skeleton to another: each joint an affine mix of the source's joints.

A map is a (target joints, source joints) matrix whose rows sum to 1, so it moves with
the body and works for 2D and 3D points alike. Joints that have no counterpart are made
from their neighbours, extrapolated where nothing lies beyond (the crown of the head):
good to a few centimetres, and said at each map. Where no map is written down, two are
joined through h36m17.
"""

import functools

import numpy as np
from jaxtyping import Float
from jaxtyping import Num

from jaxpose import skeletons
from jaxpose.geometry import Array
from jaxpose.geometry import namespace

_HUB = "h36m17"

# A rule: target joint = sum of weight * source joint. A joint without a rule is the
# source's joint of the same name.
Rules = dict[str, dict[str, float]]


def _is(joint: str) -> dict[str, float]:
  return {joint: 1.0}


def _middle(part: str) -> dict[str, float]:
  return {f"left_{part}": 0.5, f"right_{part}": 0.5}


def _mix(*parts: tuple[float, dict[str, float]]) -> dict[str, float]:
  """Weighted sum of rules."""
  total: dict[str, float] = {}
  for weight, rule in parts:
    for joint, share in rule.items():
      total[joint] = total.get(joint, 0.0) + weight * share
  return total


# The crown: from the ears on, 0.6 of the way from the shoulders to the ears again (12
# cm beyond 20 cm in an upright adult).
CROWN = (1.6, -0.6)
_CROWN_OVER_EARS = _mix((CROWN[0], _middle("ear")), (CROWN[1], _middle("shoulder")))

# The crown from SMPL's joints: `head` is the base of the skull, 30 cm above spine3 and
# 18 cm below the crown.
_CROWN_OVER_SMPL = _mix((1.6, _is("head")), (-0.6, _is("spine3")))

_FEET_ARE_ANKLES: Rules = {f"{s}_foot": _is(f"{s}_ankle") for s in ("left", "right")}
_ANKLES_ARE_FEET: Rules = {f"{s}_ankle": _is(f"{s}_foot") for s in ("left", "right")}

# COCO, BlazePose: the trunk from hips and shoulders; h36m17's neck is the nose.
_KEYPOINTS_TO_H36M17: Rules = _FEET_ARE_ANKLES | {
  "hip": _middle("hip"),
  "spine": _mix((0.5, _middle("hip")), (0.5, _middle("shoulder"))),
  "thorax": _middle("shoulder"),
  "neck": _is("nose"),
  "head": _CROWN_OVER_EARS,
}

# GLA-GCN's own remapping of Mask R-CNN keypoints; the nose stands for the head.
_KEYPOINTS_TO_HUMANEVA15: Rules = {
  "pelvis": _middle("hip"),
  "thorax": _middle("shoulder"),
  "head": _is("nose"),
}

_KEYPOINTS_TO_LSP14: Rules = {
  "neck": _middle("shoulder"),
  "head_top": _CROWN_OVER_EARS,
}

# OpenPose and Halpe mark the middle of the shoulders as the neck, BODY-25 and Halpe the
# middle of the hips too, and Halpe the crown as the head.
_OPENPOSE_TO_H36M17: Rules = _KEYPOINTS_TO_H36M17 | {
  "hip": _is("hip"),
  "spine": _mix((0.5, _is("hip")), (0.5, _is("neck"))),
  "thorax": _is("neck"),
}

_HALPE26_TO_H36M17: Rules = _OPENPOSE_TO_H36M17 | {"head": _is("head")}

_NECK_IS_THORAX: Rules = {
  "pelvis": _is("hip"),
  "thorax": _is("neck"),
  "head": _is("nose"),
}

# 3DHP's neck is the top of the trunk and its head lies at the face, like h36m17's
# thorax and neck.
_MPI3DHP_TO_H36M17: Rules = _FEET_ARE_ANKLES | {
  "hip": _is("pelvis"),
  "thorax": _is("neck"),
  "neck": _is("head"),
  "head": _is("head_top"),
}

_H36M17_TO_MPI3DHP17: Rules = _ANKLES_ARE_FEET | {
  "pelvis": _is("hip"),
  "neck": _is("thorax"),
  "head": _is("neck"),
  "head_top": _is("head"),
}

# SMPL's neck joint is the top of the trunk, its ankles are h36m17's feet.
_SMPL24_TO_H36M17: Rules = _FEET_ARE_ANKLES | {
  "hip": _is("pelvis"),
  "spine": _is("spine2"),
  "thorax": _is("neck"),
  "neck": _is("head"),
  "head": _CROWN_OVER_SMPL,
}

_SMPL24_TO_LSP14: Rules = {"head_top": _CROWN_OVER_SMPL}

_H36M17_TO_LSP14: Rules = _ANKLES_ARE_FEET | {
  "neck": _is("thorax"),
  "head_top": _is("head"),
}

# HumanEva's head is the far end of the head segment.
_H36M17_TO_HUMANEVA15: Rules = _ANKLES_ARE_FEET | {"pelvis": _is("hip")}

# Every map written down, by (source, target).
MAPS: dict[tuple[str, str], Rules] = {
  ("coco17", "h36m17"): _KEYPOINTS_TO_H36M17,
  ("coco17", "humaneva15"): _KEYPOINTS_TO_HUMANEVA15,
  ("coco17", "lsp14"): _KEYPOINTS_TO_LSP14,
  ("blazepose33", "coco17"): {},
  ("blazepose33", "h36m17"): _KEYPOINTS_TO_H36M17,
  ("blazepose33", "humaneva15"): _KEYPOINTS_TO_HUMANEVA15,
  ("blazepose33", "lsp14"): _KEYPOINTS_TO_LSP14,
  ("mpi3dhp28", "mpi3dhp17"): {},
  ("mpi3dhp28", "h36m17"): _MPI3DHP_TO_H36M17,
  ("mpi3dhp17", "h36m17"): _MPI3DHP_TO_H36M17,
  ("h36m17", "mpi3dhp17"): _H36M17_TO_MPI3DHP17,
  ("h36m17", "humaneva15"): _H36M17_TO_HUMANEVA15,
  ("h36m17", "lsp14"): _H36M17_TO_LSP14,
  ("smpl24", "h36m17"): _SMPL24_TO_H36M17,
  ("spin49", "coco17"): {},
  ("spin49", "lsp14"): {},
  ("spin49", "mpi3dhp17"): {},
  ("smpl24", "lsp14"): _SMPL24_TO_LSP14,
  ("openpose18", "coco17"): {},
  ("openpose18", "h36m17"): _KEYPOINTS_TO_H36M17,
  ("openpose18", "humaneva15"): _KEYPOINTS_TO_HUMANEVA15,
  ("openpose18", "lsp14"): {"head_top": _CROWN_OVER_EARS},
  ("openpose25", "coco17"): {},
  ("openpose25", "h36m17"): _OPENPOSE_TO_H36M17,
  ("openpose25", "humaneva15"): _NECK_IS_THORAX,
  ("openpose25", "lsp14"): {"head_top": _CROWN_OVER_EARS},
  ("halpe26", "coco17"): {},
  ("halpe26", "h36m17"): _HALPE26_TO_H36M17,
  ("halpe26", "humaneva15"): _NECK_IS_THORAX,
  ("halpe26", "lsp14"): {"head_top": _is("head")},
}


@functools.cache
def joint_map(source: str, target: str) -> Float[np.ndarray, "target source"]:
  """Weights of the target's joints over the source's; rows sum to 1. Do not modify.

  Raises:
    ValueError: a skeleton is unknown, or there is no map between the two.
  """
  s, t = skeletons.get(source), skeletons.get(target)
  if source == target:
    matrix = np.eye(s.num_joints)
  elif (source, target) in MAPS:
    matrix = _matrix(s, t, MAPS[source, target])
  elif (source, _HUB) in MAPS and (_HUB, target) in MAPS:
    matrix = joint_map(_HUB, target) @ joint_map(source, _HUB)
  else:
    raise ValueError(_refusal(s, t))
  matrix = matrix.astype(np.float32)
  matrix.setflags(write=False)
  return matrix


def convert(
  points: Float[Array, "*b source c"], source: str, target: str
) -> Float[Array, "*b target c"]:
  """Points of one skeleton as those of another; NaN spoils only what is made of it."""
  xp = namespace(points)
  matrix = joint_map(source, target)
  missing = xp.isnan(points)
  known = xp.where(missing, 0, points)
  spoilt = _combine(matrix != 0, missing, points.dtype) > 0
  return xp.where(spoilt, xp.nan, _combine(matrix, known, points.dtype))


def convert_confidence(
  confidence: Num[Array, "*b source"], source: str, target: str
) -> Num[Array, "*b target"]:
  """Confidence of each converted joint: the least among the joints it is made of."""
  xp = namespace(confidence)
  return xp.stack(
    [confidence[..., np.flatnonzero(row)].min(-1) for row in joint_map(source, target)],
    -1,
  )


def _combine(matrix, points, dtype):
  xp = namespace(points)
  weights = xp.asarray(matrix, dtype=dtype)
  if xp is np:
    return np.einsum("ts,...sc->...tc", weights, points.astype(dtype))
  # In full precision: accelerators would round coordinates to bfloat16 or TF32.
  return xp.einsum(
    "ts,...sc->...tc", weights, points.astype(dtype), precision="highest"
  )


def _matrix(source, target, rules: Rules) -> np.ndarray:
  matrix = np.zeros((target.num_joints, source.num_joints))
  for row, joint in enumerate(target.joints):
    for name, weight in rules.get(joint, {joint: 1.0}).items():
      matrix[row, source.index(name)] += weight
  return matrix


# The same place of the body under two names.
_SYNONYMS = {
  ("h36m17", "hip"): "pelvis",
  ("h36m17", "left_foot"): "left_ankle",
  ("h36m17", "right_foot"): "right_ankle",
}


def _refusal(source, target) -> str:
  def places(skeleton):
    return [_SYNONYMS.get((skeleton.name, j), j) for j in skeleton.joints]

  known = {*places(source), *MAPS.get((source.name, _HUB), {})}
  pairs = zip(target.joints, places(target), strict=True)
  lacking = [j for j, place in pairs if place not in known and j not in known]
  made_of = [t for s, t in MAPS if s == source.name]
  made_from = [s for s, t in MAPS if t == target.name]
  joints = f"cannot make {', '.join(lacking)}" if lacking else "no rule is written down"
  return (
    f"no map from {source.name!r} to {target.name!r}: {joints}; "
    f"maps from {source.name!r}: {', '.join(made_of) or 'none'}; "
    f"maps to {target.name!r}: {', '.join(made_from) or 'none'}; "
    "choose one of these, or add a rule to MAPS."
  )
