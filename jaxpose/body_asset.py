"""Unpacks the free bodies that come with jaxpose, as tools/bake_body.py packs them."""

import pathlib

import numpy as np

from jaxpose.body import Body

FOLDER = pathlib.Path(__file__).resolve().parent / "assets"
FREE = {"free": "free_body.npz", "free_small": "free_body_small.npz"}


def load(name: str) -> Body:
  """The free body: "free" (all vertices) or "free_small" (1,500 of them).

  Both have the same betas and the same joints, of all three sets.
  """
  with np.load(FOLDER / FREE[name]) as packed:
    return _unpack({key: packed[key] for key in packed.files})


def _unpack(packed: dict[str, np.ndarray]) -> Body:
  template = packed["template"]
  shape_dirs = packed["shape_dirs"].transpose(2, 1, 0) * packed["shape_scale"]
  weights = np.zeros((len(template), len(packed["joint_template"])), np.float32)
  rows = np.arange(len(template))[:, None]
  weights[rows, packed["weight_joints"].T] = packed["weight_values"].T / np.float32(255)
  joint, vertex = packed["pose_index"]
  pose_dirs = np.zeros((weights.shape[1] - 1, 9, *template.shape), np.float32)
  moved = packed["pose_dirs"].transpose(2, 0, 1) * packed["pose_scale"]
  pose_dirs[joint, :, vertex] = moved
  regressors = {}
  for key, joints in (("extra_regressor", 9), ("h36m_regressor", 17)):
    regressors[key] = np.zeros((joints, len(template)), np.float32)
    regressors[key][tuple(packed[f"{key}_index"])] = packed[f"{key}_value"]
  return Body(
    template=template,
    shape_dirs=shape_dirs.astype(np.float32),
    pose_dirs=pose_dirs.reshape(-1, *template.shape),
    joint_template=packed["joint_template"],
    joint_shape_dirs=packed["joint_shape_dirs"],
    weights=weights,
    faces=packed["faces"].astype(np.int32),
    extra_vertices=packed["extra_vertices"],
    **regressors,
  )
