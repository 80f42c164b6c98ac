"""The official release: poses in CDF files, cameras in metadata.xml."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator

import numpy as np

from jaxpose.data import benchmark_record
from jaxpose.formats import videopose3d_npz
from jaxpose.geometry import cameras

from . import metadata
from . import protocol

_WORLD, _MONO, _PIXELS = "D3_Positions", "D3_Positions_mono", "D2_Positions"
_KINDS = {
  folder: kind
  for kind in (_WORLD, _MONO, _PIXELS)
  for folder in (kind, f"Poses_{kind}")
}
_APART = 5.0  # pixels between the 2D and the projected 3D of a file, at most


@dataclasses.dataclass(frozen=True)
class Take:
  """Files of one motion.

  Attributes:
    subject: S1 to S11.
    name: of the files, such as "TakingPhoto 1".
    world: joints of the world; None if only those of the cameras are there.
    mono: joints of each camera, empty if there are those of the world.
    pixels: 2D joints of each camera, empty if there are none.
  """

  subject: str
  name: str
  world: pathlib.Path | None
  mono: tuple[pathlib.Path, ...]
  pixels: tuple[pathlib.Path, ...]


def splits(folder: pathlib.Path) -> dict[str, Iterator]:
  """(key, record) of each split; files are read as they are used.

  Raises:
    ValueError: files are missing.
  """
  (path,) = videopose3d_npz.require(folder, "metadata.xml")
  rigs = metadata.cameras(path)
  found = takes(folder)
  return {
    split: benchmark_record.numbered(
      [
        functools.partial(records, take, rigs[take.subject])
        for subject in subjects
        for take in found[subject]
      ]
    )
    for split, subjects in protocol.SPLITS.items()
  }


def takes(folder: pathlib.Path) -> dict[str, list[Take]]:
  """The takes of each subject that the field uses, in order of their names.

  Raises:
    ValueError: a subject, an action or the file of a camera is missing.
  """
  files: dict[tuple[str, str], dict[str, pathlib.Path]] = {}
  for path in sorted(folder.rglob("*.cdf")):
    kind = _KINDS.get(path.parent.name)
    subject = [part for part in path.parts if part in protocol.SUBJECTS]
    if kind and subject and not path.name.startswith("_ALL"):
      files.setdefault((subject[-1], kind), {})[path.stem] = path
  missing = [
    s for s in protocol.SUBJECTS if not {(s, _WORLD), (s, _MONO)} & files.keys()
  ]
  if missing:
    raise ValueError(
      f"{folder}: got no {_WORLD} of {', '.join(missing)}, expected CDF files as in "
      f"S1/MyPoseFeatures/{_WORLD}/Directions.cdf; unpack the downloads of all of "
      f"{', '.join(protocol.SUBJECTS)} there."
    )
  return {s: list(_takes(folder, s, files)) for s in protocol.SUBJECTS}


def _takes(folder, subject: str, files) -> Iterator[Take]:
  world, mono = files.get((subject, _WORLD), {}), files.get((subject, _MONO), {})
  pixels = files.get((subject, _PIXELS), {})
  names = sorted(world) or sorted({stem.rpartition(".")[0] for stem in mono})
  known = {protocol.field_name(name).split(" ")[0] for name in names}
  if missing := sorted(set(protocol.ACTIONS) - known):
    raise ValueError(
      f"{folder}: got {len(names)} takes of {subject}, expected some of "
      f"{', '.join(missing)} too; unpack the download of {subject} again."
    )
  for name in names:
    action = protocol.field_name(name)
    if (subject, action) in protocol.CORRUPT:
      continue
    if action.split(" ")[0] not in protocol.ACTIONS:
      raise ValueError(
        f"{folder}: got the take {name!r} of {subject}, expected one of "
        f"{', '.join(protocol.ACTIONS)}; take the file out of {_WORLD}."
      )
    yield Take(
      subject,
      name,
      world.get(name),
      () if name in world else _all_cameras(folder, subject, _MONO, mono, name),
      _all_cameras(folder, subject, _PIXELS, pixels, name) if pixels else (),
    )


def _all_cameras(folder, subject, kind, files, name) -> tuple[pathlib.Path, ...]:
  stems = [f"{name}.{camera}" for camera in protocol.CAMERAS]
  missing = [f"{subject} {kind}/{stem}.cdf" for stem in stems if stem not in files]
  if missing:
    raise ValueError(
      f"{folder}: got {name!r} of {subject} without {', '.join(missing)}, expected the "
      "files of all four cameras; unpack the download again."
    )
  return tuple(files[stem] for stem in stems)


def records(take: Take, rig: list[cameras.Camera]) -> Iterator[dict]:
  """One record for each camera.

  Raises:
    ValueError: a file is damaged, or its poses are not of this release.
  """
  world = None if take.world is None else pose(take.world, 3) / 1000
  for i, camera in enumerate(rig):
    if world is None:
      joints = pose(take.mono[i], 3) / 1000
    else:
      joints = cameras.world_to_camera(
        world, camera.rotation.astype(np.float64), camera.position.astype(np.float64)
      )
    projected = cameras.project(joints, camera.intrinsics.astype(np.float64))
    keypoints = pose(take.pixels[i], 2) if take.pixels else projected
    labels = benchmark_record.Labels(
      take.world or take.mono[i],
      f"{take.subject} {protocol.field_name(take.name)}",
      take.subject,
      protocol.field_name(take.name),
      camera.name,
      protocol.FPS,
    )
    found = benchmark_record.record(
      keypoints,
      joints,
      labels,
      skeleton=protocol.SKELETON,
      image_size=camera.image_size,
      camera=camera,
    )
    apart = np.linalg.norm(keypoints[: len(joints)] - projected, axis=-1)
    if np.median(apart) > _APART:
      raise ValueError(
        f"{take.pixels[i]}: got 2D joints {np.median(apart):.0f} pixels from where "
        f"metadata.xml's camera {camera.name} sees the 3D joints, expected less than "
        f"{_APART:g}; take the files from one release."
      )
    yield found


def pose(path: pathlib.Path, channels: int) -> np.ndarray:
  """(t, 17, channels) float64 of h36m17 from a CDF file's variable Pose.

  Raises:
    ValueError: it is no CDF file, is damaged, or has another number of joints.
  """
  try:
    import cdflib
  except ModuleNotFoundError as error:
    raise ValueError(
      f"{path}: got a CDF file, which needs cdflib; pip install 'jaxpose[h36m]'."
    ) from error
  try:
    array = np.asarray(cdflib.CDF(path).varget("Pose"), np.float64)
  except Exception as error:  # damaged files raise anything
    raise ValueError(
      f"{path}: truncated or damaged, or no CDF file with the variable Pose "
      f"({type(error).__name__}: {str(error)[:80]}); copy or download it again."
    ) from error
  if not array.size or array.shape[-1] != 32 * channels:
    raise ValueError(
      f"{path}: got a Pose of shape {array.shape}, expected frames of 32 joints with "
      f"{channels} numbers each; is it another kind of file?"
    )
  return array.reshape(-1, 32, channels)[:, list(protocol.JOINTS)]
