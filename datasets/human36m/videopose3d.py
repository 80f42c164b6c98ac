"""VideoPose3D's npz files: 3D of the world, and 2D exact or from CPN."""

import functools
import pathlib
from collections.abc import Iterator

from jaxpose.data import benchmark_record
from jaxpose.formats import videopose3d_npz
from jaxpose.geometry import cameras
from jaxpose.skeletons import skeleton_maps

from . import metadata
from . import protocol

_RIG = videopose3d_npz.Rig(protocol.CAMERAS, protocol.IMAGE_SIZES)
_POSES, _EXACT = "data_3d_h36m.npz", "data_2d_h36m_gt.npz"


def splits(folder: pathlib.Path, keypoints: str) -> dict[str, Iterator]:
  """(key, record) of each split.

  Args:
    folder: with the files.
    keypoints: of data_2d_h36m_*.npz: "gt", "cpn_ft_h36m_dbb" or another; where it ends
      in "_coco", the joints are COCO's.

  Raises:
    ValueError: a file is missing, damaged, or belongs to another.
  """
  name, official = f"data_2d_h36m_{keypoints}.npz", folder / "metadata.xml"
  needed = (_POSES, name) if official.is_file() else (_POSES, name, _EXACT)
  videopose3d_npz.require(folder, *dict.fromkeys(needed))
  motions = videopose3d_npz.poses(folder / _POSES, 32)
  missing = [s for s in protocol.SUBJECTS if s not in motions]
  if missing:
    raise ValueError(
      f"{folder / _POSES}: got {', '.join(motions)}, expected {', '.join(missing)} "
      "too; prepare the file again with all subjects."
    )
  motions = {
    subject: {
      action: joints[:, list(protocol.JOINTS)]
      for action, joints in motions[subject].items()
      if (subject, action) not in protocol.CORRUPT
    }
    for subject in protocol.SUBJECTS
  }
  seen = videopose3d_npz.views(folder / name, 17, _RIG)
  if official.is_file():
    rigs = metadata.cameras(official)
  else:
    exact = seen
    if keypoints != "gt":
      exact = videopose3d_npz.views(folder / _EXACT, 17, _RIG)
    rigs = {s: _calibrated(folder, s, motions[s], exact) for s in motions}
  return {
    split: benchmark_record.numbered(
      [
        functools.partial(
          _records, folder / name, seen, subject, action, joints, rigs[subject]
        )
        for subject in subjects
        for action, joints in motions[subject].items()
      ]
    )
    for split, subjects in protocol.SPLITS.items()
  }


def _calibrated(folder, subject, motions, exact) -> list[cameras.Camera]:
  path = folder / _EXACT
  seen = {
    action: [videopose3d_npz.view(path, exact, subject, action, i) for i in range(4)]
    for action in motions
  }
  label = f"{folder / _POSES} and {_EXACT}: {subject}"
  return videopose3d_npz.calibrate(motions, seen, _RIG, label)


def _records(path, seen, subject, action, world, rig) -> Iterator[dict]:
  for i, camera in enumerate(rig):
    points = videopose3d_npz.view(path, seen, subject, action, i)
    if path.stem.endswith("_coco"):
      points = skeleton_maps.convert(points, "coco17", protocol.SKELETON.name)
    yield benchmark_record.record(
      points,
      cameras.world_to_camera(world, camera.rotation, camera.position),
      benchmark_record.Labels(
        f"{path.parent / _POSES} and {path.name}",
        f"{subject} {action}",
        subject,
        action,
        camera.name,
        protocol.FPS,
      ),
      skeleton=protocol.SKELETON,
      image_size=camera.image_size,
      camera=camera,
    )
