"""2D keypoints of a clip to 3D poses or a moving body; videos to files of both.

from jaxpose import predict
poses = predict.lift(keypoints_2d, image_size=(1920, 1080), weights="lift-27")
np.asarray(poses)  # (frames, joints, 3), metres
print(poses.report)

body = predict.mesh(keypoints_2d, image_size=(1920, 1080), weights="mesh-16")
body.poses, body.betas, body.translation  # SMPL's parameters
body.vertices(), body.joints_3d  # metres, camera frame

poses = predict.multiview("recordings/walk", weights="runs/mpstrt")
poses.keypoints_2d, poses.joints_3d_world  # pixels of each view; metres

predict.video("walk.mp4", "walk_3d")  # all of it, as files
predict.views(["a.mp4", "b.mp4"], "calibration.toml", "walk_3d")

Run: python -m jaxpose.predict VIDEO_OR_FOLDER --out=FOLDER
     python -m jaxpose.predict --views A.mp4 B.mp4 --calib=FILE --out=FOLDER
"""

import importlib

_PUBLIC = {
  "LiftStream": "lifting",
  "Lifted": "lifting",
  "Mesh": "bodies",
  "MeshStream": "bodies",
  "MultiviewPoses": "views_network",
  "MultiviewStream": "views_network",
  "fill_gaps": "lifting",
  "gap_lengths": "lifting",
  "lift": "lifting",
  "mesh": "lifting",
  "multiview": "views_files",
  "video": "films",
  "views": "camera_rig",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str):
  """Imports what is public when it is first used (PEP 562)."""
  if name not in _PUBLIC:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
