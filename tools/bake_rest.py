"""MakeHuman's bones as SMPL's joints, and its A-pose as SMPL's T-pose."""

import numpy as np

from jaxpose.body import PARENTS

SIDES = ("L", "R")

# SMPL's joints: the bone that starts there, and the bones that move with it. "?" is L
# for the left joint and R for the right one that follows it.
CENTRE = {
  0: ("root", "pelvis.L pelvis.R spine05 spine04"),
  3: ("spine03", ""),
  6: ("spine02", ""),
  9: ("spine01", ""),
  12: ("neck01", "neck02 neck03"),
  15: ("head", "eye.L eye.R"),
}
PAIRED = {
  1: ("upperleg01", "upperleg02"),
  4: ("lowerleg01", "lowerleg02"),
  7: ("foot", ""),
  10: ("toe?-1", "toe?-2 toe?-3"),
  13: ("clavicle", "shoulder01"),
  16: ("upperarm01", "upperarm02"),
  18: ("lowerarm01", "lowerarm02"),
  20: ("wrist", "finger1-1 finger1-2 finger1-3 metacarpal?"),
  22: ("finger?-1", "finger?-2 finger?-3"),
}


def bones_of(labels: list[str]) -> tuple[list, list]:
  """Per SMPL joint: the bones whose heads it is the mean of, and those it moves."""
  heads, moves = [None] * 24, [None] * 24
  named = [(j, s, m) for j, (s, m) in CENTRE.items()]
  for j, (start, more) in PAIRED.items():
    for offset, side in enumerate(SIDES):
      suffix = [f"{name}.{side}" for name in more.split()]
      named.append((j + offset, f"{start}.{side}", " ".join(suffix)))
  for j, start, more in named:
    # The thumb stays with the palm; the hand's joint is at the four knuckles.
    digits = range(2, 6) if start.startswith("finger") else range(1, 6)
    names = []
    for pattern in (start, *more.split()):
      names += (
        [pattern.replace("?", str(d)) for d in digits] if "?" in pattern else [pattern]
      )
    names = [n for n in names if n in labels]
    heads[j] = [
      labels.index(n)
      for n in (
        [start.replace("?", str(d)) for d in digits] if "?" in start else [start]
      )
    ]
    moves[j] = [labels.index(n) for n in names]
  assert sorted(b for m in moves for b in m) == list(range(len(labels)))
  return heads, moves


def turn_to_y_up(x: np.ndarray) -> np.ndarray:
  """From z up, facing -y, to y up, facing +z."""
  return np.stack([x[..., 0], x[..., 2], -x[..., 1]], -1)


def shortest_turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Rotation about a x b that takes the direction a to b; (n, 3) and (3,)."""
  a = a / np.linalg.norm(a, axis=-1, keepdims=True)
  b = np.broadcast_to(b / np.linalg.norm(b), a.shape)
  v, c = np.cross(a, b), (a * b).sum(-1)[..., None, None]
  k = np.zeros((*a.shape, 3))
  k[..., 0, 1], k[..., 0, 2], k[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
  k -= k.swapaxes(-1, -2)
  return np.eye(3) + k + k @ k / (1 + c)


def rest_turns(joints: np.ndarray) -> np.ndarray:
  """World rotation of each joint (n, 24, 3, 3) that makes the A-pose a T-pose."""
  turns = np.broadcast_to(np.eye(3), (*joints.shape, 3)).copy()
  for side in (0, 1):
    x = np.asarray([1.0 - 2 * side, 0, 0])
    collar, shoulder, elbow, wrist, hand = (j + side for j in (13, 16, 18, 20, 22))
    lift = np.deg2rad(10) * x[0]  # arms go up with their shoulder blades
    c, s = np.cos(lift), np.sin(lift)
    turns[:, collar] = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    for j, child in ((shoulder, elbow), (elbow, wrist), (wrist, hand)):
      before = turns[:, {shoulder: collar, elbow: shoulder, wrist: elbow}[j]]
      bone = np.einsum("nij,nj->ni", before, joints[:, child] - joints[:, j])
      turns[:, j] = shortest_turn(bone, x) @ before
    turns[:, hand] = turns[:, wrist]
    hip, knee, ankle, toes = (j + side for j in (1, 4, 7, 10))
    for j, child in ((hip, knee), (knee, ankle)):
      turns[:, j] = shortest_turn(
        joints[:, child] - joints[:, j], np.float64([0, -1, 0])
      )
    flat = (joints[:, toes] - joints[:, ankle]) * [1, 0, 1]
    turns[:, ankle] = turns[:, toes] = shortest_turn(
      flat, np.float64([0.1 * x[0], 0, 1])
    )
  return turns


def to_rest_pose(vertices, joints, weights):
  """Vertices (n, m, 3) and joints (n, 24, 3) in SMPL's rest pose, pelvis at 0."""
  turns, moved = rest_turns(joints), np.zeros_like(joints)
  for j in range(1, 24):
    step = joints[:, j] - joints[:, PARENTS[j]]
    moved[:, j] = moved[:, PARENTS[j]] + np.einsum(
      "nij,nj->ni", turns[:, PARENTS[j]], step
    )
  shift = moved - np.einsum("njab,njb->nja", turns, joints)
  out = np.empty_like(vertices)
  for i in range(len(vertices)):
    blend = np.tensordot(weights, turns[i], 1)
    out[i] = np.einsum("mab,mb->ma", blend, vertices[i]) + weights @ shift[i]
  return out, moved


def skinning(model, moves) -> np.ndarray:
  """Weights (m, 24): at most four a vertex, each row sums to 1."""
  bone_weights = model.vertex_bone_weights.numpy()
  joint_of = np.empty(sum(map(len, moves)), int)
  for j, bones in enumerate(moves):
    joint_of[bones] = j
  weights = np.zeros((len(bone_weights), 24))
  rows = np.arange(len(weights))[:, None]
  np.add.at(weights, (rows, joint_of[model.vertex_bone_indices.numpy()]), bone_weights)
  np.put_along_axis(weights, np.argsort(-weights, 1, kind="stable")[:, 4:], 0, 1)
  weights = np.round(weights / weights.sum(1, keepdims=True) * 255)
  weights[np.arange(len(weights)), weights.argmax(1)] += 255 - weights.sum(1)
  return weights / 255
