"""The record that every pose-sequence dataset stores, and virtual cameras that film it.

One record is one camera's view of one motion sequence. Builders under `datasets/` write
it, `jaxpose.data.pose_data` reads it. Keys, shapes and units are defined once: joints
in `features`, a moving body in SMPL's layout in `mesh_features`, image features of
crops in `crop_features`.
"""

from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import Body
from jaxpose.geometry import cameras
from jaxpose.geometry.cameras import Camera
from jaxpose.skeletons import proportions


def features(skeleton: skeletons.Skeleton) -> dict:
  """TFDS features of a record, `t` frames of `j` joints; builders may add their own.

  keypoints_2d: (t, j, 2) pixels, x right, y down.
  joints_3d: (t, j, 3) metres in the camera's frame (x right, y down, z forward).
  frame_valid: (t,) whether the whole body is in front of and inside the camera.
  camera_rotation: (3, 3) world (z up) to camera; camera_position: (3,) metres, world.
  intrinsics: (9,) pixels, `fx fy cx cy k1 k2 k3 p1 p2`.
  image_size: (2,) width, height in pixels.
  fps: frames per second.
  skeleton: name in `jaxpose.skeletons`.
  sequence, subject, action, camera: names; the records of one motion seen by several
    cameras share `sequence`.
  """
  import tensorflow_datasets as tfds

  def tensor(*shape, dtype=np.float32):
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")

  text = tfds.features.Text
  return dict(
    keypoints_2d=tensor(None, skeleton.num_joints, 2),
    joints_3d=tensor(None, skeleton.num_joints, 3),
    frame_valid=tensor(None, dtype=np.bool_),
    camera_rotation=tensor(3, 3),
    camera_position=tensor(3),
    intrinsics=tensor(9),
    image_size=tensor(2, dtype=np.int32),
    fps=np.float32,
    skeleton=text(),
    sequence=text(),
    subject=text(),
    action=text(),
    camera=text(),
  )


def mesh_features(skeleton: skeletons.Skeleton) -> dict:
  """Those of `features`, and the parameters of the body whose joints are stored.

  smpl_pose: (t, 24, 3) axis-angle in SMPL's tree, the root's in the camera's frame.
  betas: (t, 10) shape.
  """
  import tensorflow_datasets as tfds

  def tensor(*shape):
    return tfds.features.Tensor(shape=shape, dtype=np.float32, encoding="bytes")

  return features(skeleton) | dict(
    smpl_pose=tensor(None, 24, 3), betas=tensor(None, 10)
  )


def crop_features() -> dict:
  """TFDS features of a record of image crops, `t` frames of one person in one video.

  features: (t, 2048) SPIN's image features of the crops.
  keypoints_2d: (t, 49, 2) in the crop: -1 to 1 from edge to edge, x right, y down.
  confidence: (t, 49) of the keypoints; 0 where there is none.
  joints_3d: (t, 49, 3) metres, axes of the camera, origin as the source has it; zeros
    where a joint, or the whole (`has_joints_3d`), is not annotated.
  smpl_pose: (t, 24, 3) axis-angle of each joint to its parent, of the root to the
    camera; betas: (t, 10); zeros without `has_smpl`.
  frame_valid: (t,) whether the frame is scored; all frames are trained on.
  boxes: (t, 4) centre x, centre y, width, height in pixels of the image, before the
    margin of the crop; zeros where the source has none.
  frame_id: (t,) number of the frame in the source's video.
  fps: frames per second; 0 where the source does not say.
  skeleton: always "spin49".
  sequence: name of the video and person, one record each; subject, action, camera:
    names, empty where the source has none.
  """
  import tensorflow_datasets as tfds

  def tensor(*shape, dtype=np.float32):
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")

  text = tfds.features.Text
  return dict(
    features=tensor(None, 2048),
    keypoints_2d=tensor(None, 49, 2),
    confidence=tensor(None, 49),
    joints_3d=tensor(None, 49, 3),
    smpl_pose=tensor(None, 24, 3),
    betas=tensor(None, 10),
    has_joints_3d=np.bool_,
    has_smpl=np.bool_,
    frame_valid=tensor(None, dtype=np.bool_),
    boxes=tensor(None, 4),
    frame_id=tensor(None, dtype=np.int32),
    fps=np.float32,
    skeleton=text(),
    sequence=text(),
    subject=text(),
    action=text(),
    camera=text(),
  )


def record(
  joints_world: Float[np.ndarray, "t j 3"],
  camera: Camera,
  *,
  skeleton: skeletons.Skeleton,
  fps: float,
  sequence: str,
  subject: str,
  action: str,
) -> dict:
  """The record of one motion (metres, world z up) filmed by one calibrated camera."""
  if joints_world.ndim != 3 or joints_world.shape[1:] != (skeleton.num_joints, 3):
    raise ValueError(
      f"sequence {sequence!r}: got joints of shape {joints_world.shape}, expected "
      f"(frames, {skeleton.num_joints}, 3) for the skeleton {skeleton.name!r}."
    )
  if not np.isfinite(joints_world).all():
    bad = int((~np.isfinite(joints_world)).any((1, 2)).sum())
    raise ValueError(
      f"sequence {sequence!r}: {bad} of {len(joints_world)} frames hold NaN or "
      "infinite joints; cut them from the source before building."
    )
  world = joints_world.astype(np.float64)
  view = cameras.world_to_camera(
    world, camera.rotation.astype(np.float64), camera.position.astype(np.float64)
  )
  pixels = cameras.project(view, camera.intrinsics.astype(np.float64))
  valid = cameras.in_view(view, pixels, camera.image_size).all(-1)
  return dict(
    keypoints_2d=pixels.astype(np.float32),
    joints_3d=view.astype(np.float32),
    frame_valid=valid,
    camera_rotation=camera.rotation,
    camera_position=camera.position,
    intrinsics=camera.intrinsics,
    image_size=np.asarray(camera.image_size, np.int32),
    fps=np.float32(fps),
    skeleton=skeleton.name,
    sequence=sequence,
    subject=subject,
    action=action,
    camera=camera.name,
  )


def film(
  joints_world: Float[np.ndarray, "t j 3"],
  rng: np.random.Generator,
  *,
  num_cameras: int = 4,
  skeleton: skeletons.Skeleton,
  **labels,
) -> Iterator[tuple[str, dict]]:
  """(key, record) for each camera of a virtual ring around a clip's mean root.

  Args:
    joints_world: metres, world with z up.
    rng: draws the ring; give each clip its own generator, so that clips can be built in
      any order.
    num_cameras: cameras on the ring.
    skeleton: of the joint axis.
    **labels: `fps`, `sequence`, `subject` and `action` of `record`.
  """
  target = joints_world[:, skeleton.root].mean(0)
  for camera in cameras.camera_ring(rng, target, num_cameras):
    key = f"{labels['sequence']}_camera{camera.name}"
    yield key, record(joints_world, camera, skeleton=skeleton, **labels)


def clip_rng(seed: int, *names: str | int) -> np.random.Generator:
  """A generator that depends only on the seed and the clip's names."""
  words: Sequence[int] = [b for name in names for b in str(name).encode()]
  return np.random.default_rng([seed, *words])


BODY_SKELETON = skeletons.get("spin49")
_HIPS = [skeletons.get("smpl24").index(f"{side}_hip") for side in ("left", "right")]


def film_body(
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
  for key, record in film(
    joints.astype(np.float32),
    rng,
    num_cameras=num_cameras,
    skeleton=BODY_SKELETON,
    **labels,
  ):
    seen = rotations.copy()
    seen[:, 0] = record["camera_rotation"] @ rotations[:, 0]
    pose = geometry.matrix_to_axis_angle(seen)
    yield key, record | dict(smpl_pose=pose.astype(np.float32), betas=shape)
