"""Files of a person in 3D: npz, csv, bvh, mp4, html, and those of a body."""

import importlib.util
import pathlib
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from jaxpose.body.meshes import Mesh
from jaxpose.draw import html_page
from jaxpose.draw import video_draw
from jaxpose.files import video_files
from jaxpose.formats import bvh_writer
from jaxpose.formats import pose_files
from jaxpose.motion import bone_rotations
from jaxpose.predict.person import Person

NAMES = dict(
  npz="poses.npz", csv="poses.csv", bvh="poses.bvh", mp4="video.mp4", html="page.html"
)
BODY, BODY_GLB = "body.npz", "body.glb"
_NEEDS = dict(mp4=("av", "video"), html=("viser", "viz"))
_LONGEST_PAGE = 600  # seconds; a page holds all its frames in the browser's memory


def formats(wanted: Sequence[str] | None) -> list[str]:
  """What to write; None: all that the installed packages can.

  Raises:
    ValueError: a name is not one of `NAMES`.
    ImportError: the package for one that was asked for is not installed.
  """
  lacking = {
    k: e for k, (m, e) in _NEEDS.items() if importlib.util.find_spec(m) is None
  }
  if wanted is None:
    return [name for name in NAMES if name not in lacking]
  for name in wanted:
    if name not in NAMES:
      raise ValueError(f"got the format {name!r}, expected {', '.join(NAMES)}.")
    if name in lacking:
      raise ImportError(
        f"the format {name!r} needs a package that is not installed; run pip install "
        f"'jaxpose[{lacking[name]}]', or leave {name} out of --formats."
      )
  return list(dict.fromkeys(wanted))


def lacking_extras() -> dict[str, str]:
  """Formats whose package is not installed -> the extra of jaxpose that brings it."""
  found = importlib.util.find_spec
  return {k: extra for k, (name, extra) in _NEEDS.items() if found(name) is None}


def write(
  path: pathlib.Path,
  person: Person,
  form: str,
  source: video_files.Folder | video_files.Video | None,
  progress: str | None = None,
) -> str:
  """Writes one file, whole or not at all; what is at its place is replaced.

  Args:
    path: of the file.
    person: whose poses these are.
    form: a key of `NAMES`.
    source: of the frames that are drawn; only videos need it.
    progress: label of a progress bar for what takes long; None shows none.

  Returns:
    A sentence about the file, or nothing; where it cannot be, why not.
  """
  placed = person.world is not None
  joints = person.world.joints_3d if placed else person.joints_3d
  fps, skeleton = person.clip.fps, person.skeleton
  if form == "npz":
    pose_files.save(path, _poses(person), overwrite=True)
  elif form == "csv":
    pose_files.save_csv(path, joints, skeleton, fps, overwrite=True)
  elif form == "bvh":
    if skeleton.name not in bone_rotations.SKELETONS:
      return f"No {path.name}: the bones of {skeleton.name} cannot be told to rotate."
    motion = bvh_writer.from_joints(
      joints, skeleton, fps, axes="z_up" if placed else "camera"
    )
    bvh_writer.save(path, motion.bvh, overwrite=True)
    return f"{path.name}: {motion.report}"
  elif form == "mp4":
    wanted = np.zeros(person.first + len(person), bool)
    wanted[person.first :] = True
    shown = tqdm(
      source.read(wanted),
      progress,
      len(person),
      unit=" frames",
      dynamic_ncols=True,
      disable=not progress,
    )
    with shown:
      video_draw.write(
        path,
        shown,
        joints_3d=person.upright(),
        skeleton=skeleton,
        fps=fps,
        keypoints_2d=person.keypoints_2d,
        keypoints_skeleton=person.keypoints_skeleton,
        overwrite=True,
      )
  elif len(person) > _LONGEST_PAGE * fps:
    return (
      f"No {path.name}: the clip is longer than {_LONGEST_PAGE // 60} minutes, too "
      "much for a page."
    )
  else:
    html_page.write(path, person.upright(), skeleton, fps, overwrite=True)
  return ""


def body_files() -> list[str]:
  """Names of a body's files; body.glb is one of them where pygltflib is installed."""
  glb = [BODY_GLB] if importlib.util.find_spec("pygltflib") else []
  return [BODY, "body.bvh", *glb]


def write_body(path: pathlib.Path, mesh: Mesh) -> None:
  """Writes one of `body_files`, body.npz in AMASS's layout; replaces what is there."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.unlink(missing_ok=True)
  if path.name == BODY:
    mesh.save(path)
  elif path.name == BODY_GLB:
    mesh.export(path)
  else:
    bvh_writer.save(path, bvh_writer.from_mesh(mesh))


def _poses(person: Person) -> pose_files.Poses:
  return pose_files.Poses(
    person.joints_3d,
    person.skeleton,
    person.clip.fps,
    joints_3d_world=None if person.world is None else person.world.joints_3d,
    keypoints_2d=person.keypoints_2d,
    keypoints_skeleton=person.keypoints_skeleton,
    confidence=person.confidence,
    valid=person.valid,
    camera=person.camera,
    report=person.report,
  )
