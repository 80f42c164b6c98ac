"""Captured motion to film: windows of the takes of cmu_mocap, feet on the floor."""

import functools
import os
import pathlib
import warnings
from typing import NamedTuple

import numpy as np

from jaxpose import skeletons
from jaxpose.geometry import cameras
from jaxpose.skeletons import proportions

SKELETON = skeletons.get("h36m17")
SOURCE = ("cmu_mocap", "default", "2.0.0")
FPS = 50.0
ANKLE = 0.073  # metres of an ankle over the floor, of a person 1.7 m tall
_LEG = 0.492  # thigh and shank over the height, as in synthetic_motion
_FEET = [SKELETON.index("right_foot"), SKELETON.index("left_foot")]


class Motion(NamedTuple):
  """A take.

  Attributes:
    name: of the take.
    subject: name.
    action: name.
    joints: (t, 17, 3) float32 metres at 50 Hz, z up, the floor at 0.
    height: of the person in metres, by the length of the legs.
  """

  name: str
  subject: str
  action: str
  joints: np.ndarray
  height: float


class Window(NamedTuple):
  """A part of a take, its middle at x = y = 0; the fields are those of `Motion`.

  Attributes:
    name: of the take.
    subject: name.
    action: name.
    start: first frame in the take.
    joints: (t, 17, 3) float32 metres, every `stride`th frame.
    height: metres.
  """

  name: str
  subject: str
  action: str
  start: int
  joints: np.ndarray
  height: float


def height_of(joints: np.ndarray) -> float:
  """Metres of a person (t, 17, 3), by the length of thigh and shank."""
  legs = []
  for side in ("right", "left"):
    chain = [SKELETON.index(f"{side}_{part}") for part in ("hip", "knee", "foot")]
    bones = np.diff(joints[:, chain], axis=1)
    legs.append(np.linalg.norm(bones, axis=-1).sum(-1))
  return float(np.median(legs)) / _LEG


def read(data_dir: str | os.PathLike, split: str) -> list[Motion]:
  """The takes of a split of cmu_mocap, each with its feet on the floor.

  Args:
    data_dir: root of the built datasets.
    split: of cmu_mocap.

  Raises:
    FileNotFoundError: it has not been built there.
  """
  import tensorflow_datasets as tfds

  folder = pathlib.Path(data_dir).expanduser().joinpath(*SOURCE)
  if not (folder / "dataset_info.json").is_file():
    name, config, version = SOURCE
    raise FileNotFoundError(
      f"synthetic_multiview: got no {name}/{config}/{version} in {data_dir}, expected "
      "the motion of config 'cmu' there; build it first, with python "
      f"datasets/build.py {name} and the same --data_dir."
    )
  found: dict[str, Motion] = {}
  for record in tfds.builder_from_directory(folder).as_data_source(split):
    name, subject, action = (
      record[key].decode() for key in ("sequence", "subject", "action")
    )
    if name in found:  # another camera's view of the same
      continue
    joints = cameras.camera_to_world(
      *(
        np.asarray(record[key], np.float64)
        for key in ("joints_3d", "camera_rotation", "camera_position")
      )
    )
    height = height_of(joints)
    lowest = np.percentile(joints[:, _FEET, 2].min(1), 2)
    joints[..., 2] += ANKLE * height / 1.7 - lowest
    with warnings.catch_warnings():  # cmu_mocap told of unusual people when built
      warnings.simplefilter("ignore")
      proportions.check(joints, SKELETON.name, f"take {name!r}")
    found[name] = Motion(name, subject, action, joints.astype(np.float32), height)
  return list(found.values())


def windows(
  rng: np.random.Generator,
  motions: list[Motion],
  count: int,
  frames: int,
  stride: int,
) -> list[Window]:
  """Draws windows, all frames of all takes alike, in order of their drawing.

  Takes that are too short are left out.

  Args:
    rng: source of the draws.
    motions: to choose from.
    count: windows.
    frames: of a window.
    stride: frames of the motion from one to the next.

  Raises:
    ValueError: no take is long enough.
  """
  span = stride * (frames - 1) + 1
  starts = np.array([max(len(m.joints) - span + 1, 0) for m in motions])
  if not starts.sum():
    raise ValueError(
      f"synthetic_multiview: got {frames} frames with a stride of {stride}, which span "
      f"{span} frames, expected no more than the longest take has; take fewer."
    )
  ends = np.cumsum(starts)
  # Spread evenly, so that few windows show many takes.
  places = (np.arange(count) + rng.random(count)) / count * ends[-1]
  found = []
  for place in rng.permutation(places.astype(np.int64)):
    i = int(np.searchsorted(ends, place, side="right"))
    start = int(place - (ends[i] - starts[i]))
    motion = motions[i]
    joints = motion.joints[start : start + span : stride].copy()
    joints[..., :2] -= joints[:, SKELETON.root, :2].mean(0)
    found.append(
      Window(motion.name, motion.subject, motion.action, start, joints, motion.height)
    )
  return found


def varied(seed: int, found: list[Window]) -> list[Window]:
  """The windows by other people: other sizes and limbs, one in ten a child's.

  Of one window in six the upper body is that of another window.
  """
  import jax

  from jaxpose.data import people

  joints = np.stack([window.joints for window in found])
  variety = people.Variety(stature=0.07, limbs=0.03, children=0.1, exchange=1 / 6)
  change = jax.jit(functools.partial(people.varied, variety=variety))
  changed = np.asarray(change(jax.random.key(seed), joints))
  result = []
  for window, new in zip(found, changed, strict=True):
    height = height_of(new)
    # Feet stay as high above the floor as they were, but for their own size.
    before, after = (x[:, _FEET, 2].min() for x in (window.joints, new))
    lift = before - after + ANKLE * (height - window.height) / 1.7
    moved = new + np.array([0, 0, lift], np.float32)
    result.append(window._replace(joints=moved, height=height))
  return result
