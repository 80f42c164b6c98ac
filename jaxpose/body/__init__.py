"""The SMPL body: shape and pose to a mesh and its joints, and their projection.

Loper et al., "SMPL: A Skinned Multi-Person Linear Model", SIGGRAPH Asia 2015. A `Body`
is plain arrays in SMPL's layout: of the licensed SMPL files or of the free body that
comes with jaxpose, see `jaxpose.body.body_files`. Bodies are in metres, y up, and face
+z in the rest pose; functions answer in NumPy or JAX, whichever they were given.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.geometry import namespace

Array = jax.Array | np.ndarray

PARENTS = skeletons.get("smpl24").parents
NUM_JOINTS = len(PARENTS)
FOCAL_LENGTH = 5000.0  # pixels of the crop that SPIN and its successors look at
CROP_SIZE = 224
# Joints of the 49-joint set in the concatenation of SMPL's 24 joints, the 21 vertices
# and the 9 joints of the extra regressor; and of the 14-joint set in Human3.6M's 17.
JOINTS_49 = np.asarray(
  "24 12 17 19 21 16 18 20 0 2 5 8 1 4 7 25 26 27 28 29 30 31 32 33 34 8 5 45 46 4 7 "
  "21 19 17 16 18 20 47 48 49 50 51 52 53 24 26 25 28 27".split(),
  int,
)
H36M_TO_14 = np.asarray([6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10])
# Bodies times vertices that are skinned at a time on a CPU: what stays in its caches.
_SLICE = 2**17


class Body(NamedTuple):
  """A body in SMPL's layout, float32: `m` vertices, `s` shape components, `f` faces.

  Attributes:
    template: (m, 3) mean body in the T-pose.
    shape_dirs: (m, 3, s) displacement of the vertices per unit of each beta.
    pose_dirs: (207, m, 3) displacement per entry of `R - I` of the 23 joints.
    joint_template: (24, 3) joints of the mean body.
    joint_shape_dirs: (24, 3, s) displacement of the joints per unit of each beta.
    weights: (m, 24) skinning weights; each row sums to 1.
    faces: (f, 3) int32 triangles, counter-clockwise seen from outside.
    extra_vertices: (21,) int32 vertices that serve as joints: nose, eyes, ears, toes,
      heels, finger tips.
    extra_regressor: (9, m) joints of other data sets as sums of vertices.
    h36m_regressor: (17, m) Human3.6M's joints, or None where the file is missing.
  """

  template: Array
  shape_dirs: Array
  pose_dirs: Array
  joint_template: Array
  joint_shape_dirs: Array
  weights: Array
  faces: Array
  extra_vertices: Array
  extra_regressor: Array
  h36m_regressor: Array | None = None

  @property
  def num_betas(self) -> int:
    """Number of shape components."""
    return self.shape_dirs.shape[-1]


class Posed(NamedTuple):
  """What `pose` returns.

  Attributes:
    vertices: (*b, m, 3) metres.
    joints: (*b, 24, 3) SMPL's own joints, metres.
  """

  vertices: Array
  joints: Array


def pose(
  body: Body, rotations: Float[Array, "*b 24 3 3"], betas: Float[Array, "*b s"]
) -> Posed:
  """Mesh and joints of the body, with the semantics of the smplx package.

  Nothing is centred: the root joint stays where the shape puts it at rest.

  Args:
    body: in SMPL's layout.
    rotations: of each joint relative to its parent; the root's is the world's.
    betas: shape coefficients, one per component of the body.

  Raises:
    ValueError: the number of betas is not the body's.
  """
  if betas.shape[-1] != body.num_betas:
    raise ValueError(
      f"got {betas.shape[-1]} betas, expected the {body.num_betas} shape components "
      "of the body; cut them or pad them with zeros."
    )
  xp = namespace(rotations, betas, body.template)
  batch = rotations.shape[:-3]
  rotations, betas = rotations.reshape(-1, 24, 3, 3), betas.reshape(-1, body.num_betas)
  rest = rest_joints(body, betas)
  parents = np.asarray((0, *PARENTS[1:]))
  joints, turns = geometry.forward_kinematics(
    rotations, rest - rest[:, parents], PARENTS, rest[:, 0]
  )
  shifts = joints - (turns @ rest[..., None])[..., 0]
  transforms = xp.concatenate([turns, shifts[..., None]], -1).reshape(-1, 24, 12)
  feature = rotations[:, 1:] - xp.eye(3, dtype=rotations.dtype)[None, None]
  vertices = _skin(body, transforms, betas, feature.reshape(-1, 207))
  return Posed(
    vertices.reshape(*batch, *body.template.shape), joints.reshape(*batch, 24, 3)
  )


def rest_joints(body: Body, betas: Float[Array, "*b s"]) -> Float[Array, "*b 24 3"]:
  """The 24 joints of the shaped body in the rest pose."""
  xp = namespace(betas, body.joint_template)
  moved = xp.einsum("jcs,...s->...jc", body.joint_shape_dirs, betas)
  return moved + xp.broadcast_to(body.joint_template, moved.shape)


def _skin(body, transforms, betas, feature):
  """Vertices (n, m, 3) of `n` bodies.

  Coordinates lie in planes of x, y and z until the end: whole vectors at a time. The
  blend shapes are one product over the batch, which reads them once; the blended
  transforms, four times the size of the result, exist only for a slice of the batch.
  """
  n, m = len(transforms), len(body.template)
  xp = namespace(transforms, feature, body.template)
  dirs, template, weights = _planes(body)
  points = xp.concatenate([betas, feature], -1) @ dirs + template[None]
  arguments = transforms, points.reshape(n, 3, m)

  def skin(transforms, points):
    rows = xp.moveaxis(transforms, 1, 2).reshape(-1, NUM_JOINTS)
    blend = (rows @ weights).reshape(-1, 3, 4, m)
    moved = blend[:, :, 3]
    for c in range(3):
      moved = moved + blend[:, :, c] * points[:, None, c]
    return xp.moveaxis(moved, 1, 2)

  size = max(_SLICE // m, 1)
  if n <= size:
    return skin(*arguments)
  # A slice that divides the batch, if one is near, leaves no rest to be joined on.
  even = max(d for d in range(1, size + 1) if n % d == 0)
  size = even if 2 * even > size else size
  if xp is np:
    parts = [[a[i : i + size] for a in arguments] for i in range(0, n, size)]
    return np.concatenate([skin(*part) for part in parts])
  whole = n // size * size
  slices = [a[:whole].reshape(-1, size, *a.shape[1:]) for a in arguments]
  vertices = jax.lax.map(lambda part: jax.checkpoint(skin)(*part), tuple(slices))
  vertices = vertices.reshape(whole, m, 3)
  if whole == n:
    return vertices
  return jnp.concatenate([vertices, skin(*(a[whole:] for a in arguments))])


def _planes(body):
  """Blend shapes (s + 207, 3 m), template (3 m,) and weights (24, m), by coordinate.

  Of a body in NumPy's arrays, under `jax.jit`, they are made once, at tracing.
  """
  xp = namespace(body.template, body.shape_dirs, body.pose_dirs, body.weights)
  shape_dirs = xp.moveaxis(xp.asarray(body.shape_dirs), -1, 0)
  dirs = xp.concatenate([shape_dirs, xp.asarray(body.pose_dirs)])
  dirs = xp.moveaxis(dirs, 1, 2).reshape(len(dirs), -1)
  return dirs, xp.asarray(body.template).T.reshape(-1), xp.asarray(body.weights).T


def joints_49(body: Body, posed: Posed) -> Float[Array, "*b 49 3"]:
  """The joints that GLoT and SPIN train on, skeleton `spin49`, metres."""
  xp = namespace(posed.vertices, posed.joints, body.template)
  joints = [
    posed.joints,
    posed.vertices[..., body.extra_vertices, :],
    xp.asarray(body.extra_regressor) @ posed.vertices,
  ]
  return xp.concatenate(joints, -2)[..., JOINTS_49, :]


def joints_14(body: Body, posed: Posed) -> Float[Array, "*b 14 3"]:
  """The joints that 3DPW and Human3.6M are scored on, skeleton `lsp14`, metres.

  Raises:
    ValueError: the body has no Human3.6M regressor.
  """
  if body.h36m_regressor is None:
    raise ValueError(
      "the body has no Human3.6M regressor, which the 14 evaluated joints need; put "
      "J_regressor_h36m.npy beside its file or into the folder JAXPOSE_SMPL_DIR."
    )
  xp = namespace(posed.vertices, body.h36m_regressor)
  return xp.asarray(body.h36m_regressor)[H36M_TO_14] @ posed.vertices


def for_joints(body: Body) -> Body:
  """The body of only those vertices that `joints_49` and `joints_14` read.

  The same joints for a fraction of the work: what training needs. Faces are dropped.
  """
  needed = (np.asarray(body.extra_regressor) != 0).any(0)
  needed[np.asarray(body.extra_vertices)] = True
  if body.h36m_regressor is not None:
    needed |= (np.asarray(body.h36m_regressor)[H36M_TO_14] != 0).any(0)
  keep = np.flatnonzero(needed)
  h36m = body.h36m_regressor
  return body._replace(
    template=body.template[keep],
    shape_dirs=body.shape_dirs[keep],
    pose_dirs=body.pose_dirs[:, keep],
    weights=body.weights[keep],
    faces=np.zeros((0, 3), np.int32),
    extra_vertices=np.searchsorted(keep, body.extra_vertices).astype(np.int32),
    extra_regressor=body.extra_regressor[:, keep],
    h36m_regressor=None if h36m is None else h36m[:, keep],
  )


def project(
  joints: Float[Array, "*b j 3"], camera: Float[Array, "*b 3"]
) -> Float[Array, "*b j 2"]:
  """Joints in the 224-pixel crop, in [-1, 1], centre 0.

  The "weak perspective" of SPIN: a camera of focal length 5,000 so far away that its
  scale is `camera[0]`.

  Args:
    joints: metres, x right, y down, z forward.
    camera: scale, and translation in metres to the right and down.
  """
  xp = namespace(joints, camera)
  depth = 2 * FOCAL_LENGTH / (CROP_SIZE * camera[..., :1] + 1e-9)
  moved = joints + xp.concatenate([camera[..., 1:], depth], -1)[..., None, :]
  return FOCAL_LENGTH / (CROP_SIZE / 2) * moved[..., :2] / moved[..., 2:]


def image_camera(
  camera: Float[Array, "*b 3"], boxes: Float[Array, "*b 4"], size: tuple[int, int]
) -> Float[Array, "*b 4"]:
  """Scales and shifts (sx, sy, tx, ty) of the same camera in the whole picture.

  `xy_picture = s * (xy_body + t)` in [-1, 1] of the picture's width and height.

  Args:
    camera: of the crop, as `project` takes it.
    boxes: square crops: centre x, centre y, width, height, pixels.
    size: width and height of the picture, pixels.
  """
  xp = namespace(camera, boxes)
  half = xp.asarray(size, dtype=camera.dtype) / 2
  half = xp.broadcast_to(half, (*camera.shape[:-1], 2))
  scale = camera[..., :1] * boxes[..., 3:] / (2 * half)
  shift = (boxes[..., :2] - half) / half / scale
  return xp.concatenate([scale, shift + camera[..., 1:]], -1)
