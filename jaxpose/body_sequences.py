"""Records of a moving body in SMPL's layout, filmed by virtual cameras."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import proportions
from jaxpose import sequences
from jaxpose import skeletons
from jaxpose.body import Body

SKELETON = skeletons.get("spin49")
_HIPS = [skeletons.get("smpl24").index(f"{side}_hip") for side in ("left", "right")]


def film(
  body: Body,
  rotations: Float[np.ndarray, "t 24 3 3"],
  betas: Float[np.ndarray, "10"],
  hips: Float[np.ndarray, "t 3"],
  rng: np.random.Generator,
  *,
  num_cameras: int = 4,
  **labels,
) -> Iterator[tuple[str, dict]]:
  """(key, record) for each camera of a ring, see `sequences.mesh_features`.

  Args:
    body: whose joints are stored.
    rotations: relative to the parent joint; the root's from the body, which has y up
      and faces +z at rest, to the world, which has z up.
    betas: shape of the person.
    hips: where the middle of the two hip joints is in the world, metres.
    rng: draws the ring, see `sequences.film`.
    num_cameras: cameras on the ring.
    **labels: `fps`, `sequence`, `subject` and `action` of `sequences.record`.

  Raises:
    ValueError: nobody has the proportions of that shape.
  """
  rotations = np.asarray(rotations, np.float32)
  shape = np.broadcast_to(np.asarray(betas, np.float32), (len(rotations), len(betas)))
  rest = bodies.rest_joints(body, shape[:1])
  proportions.check(rest, "smpl24", f"body of subject {labels['subject']!r}")
  small = bodies.for_joints(body)
  posed = bodies.pose(small, rotations, shape)
  shift = hips - posed.joints[:, _HIPS].mean(1)
  joints = bodies.joints_49(small, posed) + shift[:, None]
  for key, record in sequences.film(
    joints.astype(np.float32),
    rng,
    num_cameras=num_cameras,
    skeleton=SKELETON,
    **labels,
  ):
    seen = rotations.copy()
    seen[:, 0] = record["camera_rotation"] @ rotations[:, 0]
    pose = geometry.matrix_to_axis_angle(seen)
    yield key, record | dict(smpl_pose=pose.astype(np.float32), betas=shape)
