"""Writes the small free body in the layout of SMPL's files, as if it were SMPL."""

import numpy as np

from jaxpose.body import PARENTS
from jaxpose.body import Body
from jaxpose.body import body_files


def write(path, scale: float = 1.0, h36m: bool = True) -> Body:
  """Writes an npz file; returns the body in it.

  Args:
    path: of the file.
    scale: of the body, to tell one from another.
    h36m: with J_regressor_h36m.npy beside it.
  """
  body = body_files.load("free_small")
  template = scale * body.template
  # Weights per joint whose sums are the joints: any that solve it will do.
  homogeneous = np.concatenate([template, np.ones((len(template), 1))], 1)
  joints = np.concatenate([scale * body.joint_template, np.ones((24, 1))], 1)
  regressor = joints @ np.linalg.pinv(homogeneous)
  path.parent.mkdir(parents=True, exist_ok=True)
  np.savez(
    path,
    v_template=template,
    shapedirs=scale * body.shape_dirs[..., :10],
    posedirs=body.pose_dirs.reshape(len(body.pose_dirs), -1),
    J_regressor=regressor,
    lbs_weights=body.weights,
    faces_tensor=body.faces,
    J_regressor_extra=body.extra_regressor,
    parents=np.asarray(PARENTS),
    **{"vertex_joint_selector.extra_joints_idxs": body.extra_vertices},
  )
  if h36m:
    np.save(path.parent / "J_regressor_h36m.npy", body.h36m_regressor)
  return body_files.load(path)
