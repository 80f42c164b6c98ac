"""Files of a person seen by several cameras: npz, csv, bvh, mp4, html, a picture."""

import contextlib
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image
from tqdm import tqdm

from jaxpose import skeletons
from jaxpose.files import whole_files
from jaxpose.formats import pose_files
from jaxpose.formats.view_poses import MultiviewPoses
from jaxpose.motion import world
from jaxpose.predict import outputs
from jaxpose.predict import person
from jaxpose.predict import rig_draw
from jaxpose.predict.rig_people import Seen
from jaxpose.predict.rig_poses import Poses
from jaxpose.predict.rig_source import Rig
from jaxpose.skeletons import skeleton_maps

VIEWS, PICTURE = "views.npz", "picture.png"


def write(
  path: pathlib.Path,
  form: str,
  one: Seen,
  found: Poses,
  rig: Rig,
  report: str,
  show: bool = False,
) -> str:
  """Writes one file, whole or not at all; what is at its place is replaced.

  Args:
    path: of the file.
    form: `VIEWS`, `PICTURE` or a key of `outputs.NAMES`.
    one: the person.
    found: the poses.
    rig: the cameras and their videos.
    report: in words, for the files.
    show: a bar for what takes long.

  Returns:
    A sentence about the file, or nothing; where it cannot be, why not.
  """
  if form == "npz":
    poses = pose_files.Poses(
      found.joints_3d,
      found.skeleton,
      rig.fps,
      valid=found.valid,
      axes="z_up",
      report=report,
    )
    pose_files.save(path, poses, overwrite=True)
  elif form == VIEWS:
    _view_file(one, found, rig, report).save(path, overwrite=True)
  elif form == PICTURE:
    at = rig.count // 2
    wanted = np.arange(rig.count) == at
    joints = found.joints_3d[at : at + 1]
    drawn = rig_draw.compose(_pictures(rig, wanted), rig, joints, found.skeleton)
    picture = Image.fromarray(next(drawn))
    whole_files.write(
      path,
      lambda file: picture.save(file, "png"),
      endings=(".png",),
      overwrite=True,
    )
  elif form == "mp4":
    label = f"person {one.name}: mp4"
    shown = tqdm(
      _pictures(rig, np.ones(rig.count, bool)),
      label,
      rig.count,
      unit=" frames",
      dynamic_ncols=True,
      disable=not show,
    )
    rig_draw.write(path, shown, rig, found.joints_3d, found.skeleton)
  else:
    return outputs.write(path, _as_person(one, found, rig), form, None)
  return ""


def _pictures(rig: Rig, wanted) -> Iterator[list[np.ndarray]]:
  """Of all views, frame by frame."""
  with contextlib.ExitStack() as stack:
    streams = []
    for source in rig.sources:
      streams.append(stack.enter_context(contextlib.closing(source.read(wanted))))
    for _ in range(int(wanted.sum())):
      found = [next(stream, None) for stream in streams]
      if any(one is None for one in found):
        return
      yield [picture for _, picture in found]


def _view_file(one: Seen, found: Poses, rig: Rig, report: str) -> MultiviewPoses:
  """All that the views say of the person, in recorded pixels."""
  name = found.skeleton.name
  points = skeleton_maps.convert(one.pixels, one.skeleton, name)
  scores = skeleton_maps.convert_confidence(one.confidence, one.skeleton, name)
  present = one.confidence.any(-1)
  pixels = np.stack([n.original(points[:, v]) for v, n in enumerate(rig.lenses)], 1)
  joints = found.joints_3d
  root = joints[:, found.skeleton.root]
  return MultiviewPoses(
    keypoints_2d=np.float32(np.where(present[..., None, None], pixels, np.nan)),
    scores=np.float32(scores),
    present=present,
    joints_3d=joints - root[:, None],
    root_3d=root,
    valid=found.valid,
    skeleton=found.skeleton,
    cameras=rig.names,
    axes="world",
    fps=rig.fps,
    report=report,
  )


def _as_person(one: Seen, found: Poses, rig: Rig) -> person.Person:
  """For the writers of one view's files: seen by the first camera."""
  camera, joints = rig.cameras[0], np.float64(found.joints_3d)
  rotation, position = rig.rotation[0], rig.position[0]
  count = len(joints)
  placed = world.World(
    joints,
    rotation,
    position,
    np.zeros(count),
    np.zeros((count, 2), bool),
    "cameras",
    "In the world of the calibration.",
  )
  return person.Person(
    name=one.name,
    clip=person.Clip(rig.fps, camera.image_size, float(rig.focal[0])),
    first=0,
    keypoints_2d=np.float32(one.pixels[:, 0]),
    confidence=one.confidence[:, 0],
    keypoints_skeleton=skeletons.get(one.skeleton),
    joints_3d=np.float32((joints - position) @ rotation.T),
    skeleton=found.skeleton,
    valid=found.valid,
    world=placed,
    report="",
  )
