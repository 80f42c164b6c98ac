"""The record that every multi-view dataset stores: one clip of several fixed cameras.

Builders under `datasets/` write it, `jaxpose.data.view_data` reads it; keys, shapes and
units are said once, in `features`. Pictures are stored as encoded files (JPEG or PNG),
which needs no TensorFlow.
"""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL import UnidentifiedImageError

from jaxpose import skeletons

JPEG_QUALITY = 92


def features(skeleton: skeletons.Skeleton) -> dict:
  """TFDS features of a record: `t` frames, `v` views, `j` joints.

  images: t * v encoded RGB pictures; all views of the first frame, then the second.
  image_size: (v, 2) width, height of each view's pictures, pixels.
  view_valid: (t, v) whether there is a picture with the person's box.
  boxes: (t, v, 4) cx, cy, w, h of the person, pixels; the whole image if unknown.
  intrinsics: (v, 9) pixels, `fx fy cx cy k1 k2 k3 p1 p2`; pictures are undistorted, so
    the last five are 0.
  camera_rotation: (v, 3, 3) world (z up) to camera; camera_position: (v, 3) metres.
  joints_3d: (t, j, 3) metres in the world; joints_valid: (t, j) whether they are known.
  keypoints_2d: (t, v, j, 2) pixels, x right, y down, pixel centres at whole numbers;
    keypoints_valid: (t, v, j) whether they are known.
  visible: (t, v, j) known, inside the image and not hidden behind anything.
  frame_ids: (t,) frame numbers in the recording, ascending.
  fps: frames per second of the record's frames.
  skeleton: name in `jaxpose.skeletons`.
  sequence, subject, action: names; cameras: v names.
  """
  import tensorflow_datasets as tfds

  def tensor(*shape, dtype=np.float32):
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")

  text, j = tfds.features.Text, skeleton.num_joints
  return dict(
    images=tfds.features.Sequence(text()),
    image_size=tensor(None, 2, dtype=np.int32),
    view_valid=tensor(None, None, dtype=np.bool_),
    boxes=tensor(None, None, 4),
    intrinsics=tensor(None, 9),
    camera_rotation=tensor(None, 3, 3),
    camera_position=tensor(None, 3),
    joints_3d=tensor(None, j, 3),
    joints_valid=tensor(None, j, dtype=np.bool_),
    keypoints_2d=tensor(None, None, j, 2),
    keypoints_valid=tensor(None, None, j, dtype=np.bool_),
    visible=tensor(None, None, j, dtype=np.bool_),
    frame_ids=tensor(None, dtype=np.int32),
    fps=np.float32,
    skeleton=text(),
    sequence=text(),
    subject=text(),
    action=text(),
    cameras=tfds.features.Sequence(text()),
  )


def record(
  images: Sequence[bytes],
  rig: Sequence,
  *,
  boxes: np.ndarray,
  frame_ids: np.ndarray,
  fps: float,
  skeleton: skeletons.Skeleton,
  sequence: str,
  subject: str = "",
  action: str = "",
  joints_3d: np.ndarray | None = None,
  keypoints_2d: np.ndarray | None = None,
  keypoints_valid: np.ndarray | None = None,
  visible: np.ndarray | None = None,
  view_valid: np.ndarray | None = None,
) -> dict:
  """A record of what is known; what is not is 0 and marked so.

  Args:
    images: encoded, frame by frame.
    rig: a `jaxpose.geometry.cameras.Camera` for each view, without lens distortion.
    boxes: (t, v, 4).
    frame_ids: (t,).
    fps: frames per second.
    skeleton: of the joint axis.
    sequence: name of the clip.
    subject: name.
    action: name.
    joints_3d: (t, j, 3) world, metres; NaN where unknown.
    keypoints_2d: (t, v, j, 2) pixels.
    keypoints_valid: (t, v, j); all if there are keypoints.
    visible: (t, v, j); the known ones unless said.
    view_valid: (t, v); all unless said.

  Raises:
    ValueError: shapes that do not fit, a lens with distortion, or boxes without area.
  """
  t, v, j = len(frame_ids), len(rig), skeleton.num_joints
  joints = np.full((t, j, 3), np.nan) if joints_3d is None else np.asarray(joints_3d)
  if keypoints_2d is None:
    keypoints_2d, keypoints_valid = np.zeros((t, v, j, 2)), np.zeros((t, v, j), bool)
  keypoints_valid = _or(keypoints_valid, np.ones((t, v, j), bool))
  arrays = dict(
    boxes=(boxes, (t, v, 4), np.float32),
    joints_3d=(joints, (t, j, 3), np.float32),
    keypoints_2d=(keypoints_2d, (t, v, j, 2), np.float32),
    keypoints_valid=(keypoints_valid, (t, v, j), bool),
    visible=(_or(visible, keypoints_valid), (t, v, j), bool),
    view_valid=(_or(view_valid, np.ones((t, v), bool)), (t, v), bool),
  )
  for key, (value, shape, _) in arrays.items():
    if np.shape(value) != shape:
      raise ValueError(
        f"sequence {sequence!r}: got {key} of shape {np.shape(value)}, expected "
        f"{shape} for {t} frames, {v} views and the {j} joints of {skeleton.name!r}."
      )
  out = {key: np.asarray(value, dtype) for key, (value, _, dtype) in arrays.items()}
  if len(images) != t * v:
    raise ValueError(
      f"sequence {sequence!r}: got {len(images)} pictures, expected {t} frames of {v} "
      "views."
    )
  if any(np.any(camera.intrinsics[4:]) for camera in rig):
    raise ValueError(
      f"sequence {sequence!r}: got a lens with distortion, expected undistorted "
      "pictures and zeros in entries 4 to 8 of the intrinsics."
    )
  if not (np.isfinite(out["boxes"]).all() and (out["boxes"][..., 2:] > 0).all()):
    raise ValueError(
      f"sequence {sequence!r}: got a box without area, expected finite cx, cy and "
      "positive w, h; give the whole image where the person is not seen."
    )
  known = np.isfinite(out["joints_3d"]).all(-1)
  stacked = {
    key: np.stack([getattr(camera, name) for camera in rig]).astype(dtype)
    for key, name, dtype in (
      ("image_size", "image_size", np.int32),
      ("intrinsics", "intrinsics", np.float32),
      ("camera_rotation", "rotation", np.float32),
      ("camera_position", "position", np.float32),
    )
  }
  return (
    out
    | stacked
    | dict(
      images=list(images),
      joints_3d=np.where(known[..., None], out["joints_3d"], 0).astype(np.float32),
      joints_valid=known,
      visible=out["visible"] & out["keypoints_valid"],
      frame_ids=np.asarray(frame_ids, np.int32),
      fps=np.float32(fps),
      skeleton=skeleton.name,
      sequence=sequence,
      subject=subject,
      action=action,
      cameras=[camera.name for camera in rig],
    )
  )


def _or(value, default):
  return default if value is None else value


def encode(image: UInt8[np.ndarray, "h w 3"], *, quality: int = JPEG_QUALITY) -> bytes:
  """A JPEG file of an RGB picture, with colours at full resolution."""
  out = io.BytesIO()
  Image.fromarray(image).save(out, "JPEG", quality=quality, subsampling=0)
  return out.getvalue()


def decode(encoded: bytes) -> Image.Image:
  """The RGB picture of an encoded file.

  Raises:
    ValueError: it is none.
  """
  try:
    with Image.open(io.BytesIO(encoded)) as picture:
      return picture.convert("RGB")
  except (UnidentifiedImageError, OSError, SyntaxError) as error:
    raise ValueError(
      f"got {len(encoded)} bytes that are no picture ({error}), expected JPEG or PNG; "
      "build the dataset again."
    ) from error
