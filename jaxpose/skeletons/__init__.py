"""Named joint sets: joints, parents, mirror pairs, and maps from one set to another.

Every array in jaxpose with a joint axis follows one of these skeletons. Joint names say
"right" and "left" from the person's own point of view.
"""

import dataclasses
import difflib
import functools

import numpy as np

from jaxpose.skeletons.joint_sets import JOINT_SETS


@dataclasses.dataclass(frozen=True)
class Skeleton:
  """A named, ordered set of joints.

  Attributes:
    name: key in `SKELETONS`.
    joints: joint names in the order of the joint axis.
    parents: index of each joint's parent, -1 for the root. Sets without a kinematic
      tree of their own (image keypoints) hang their points where bones are drawn.
  """

  name: str
  joints: tuple[str, ...]
  parents: tuple[int, ...]

  def __post_init__(self):
    if len(self.joints) != len(self.parents):
      raise ValueError(
        f"skeleton {self.name!r}: got {len(self.parents)} parents for "
        f"{len(self.joints)} joints, expected one per joint."
      )

  @property
  def num_joints(self) -> int:
    """Length of the joint axis."""
    return len(self.joints)

  @property
  def root(self) -> int:
    """Index of the joint that root-relative poses are measured from."""
    return self.parents.index(-1)

  @property
  def bones(self) -> tuple[tuple[int, int], ...]:
    """(parent, child) of every joint that has a parent."""
    return tuple((p, j) for j, p in enumerate(self.parents) if p >= 0)

  @functools.cached_property
  def mirror(self) -> np.ndarray:
    """Joint order of the mirrored body: `pose[..., mirror, :]` swaps left and right."""
    order = []
    for name in self.joints:
      order.append(self.index(_mirror_name(name)))
    return np.asarray(order, np.int32)

  @property
  def left(self) -> tuple[int, ...]:
    """Indices of the joints on the left side of the body."""
    return tuple(j for j, n in enumerate(self.joints) if n.startswith("left_"))

  @property
  def right(self) -> tuple[int, ...]:
    """Indices of the joints on the right side, in the order of `left`."""
    return tuple(int(self.mirror[j]) for j in self.left)

  def index(self, joint: str) -> int:
    """Position of a joint on the joint axis; ValueError with near names if absent."""
    if joint not in self.joints:
      raise ValueError(
        f"skeleton {self.name!r} has no joint {joint!r}; "
        f"nearest: {_nearest(joint, self.joints)}."
      )
    return self.joints.index(joint)


def _mirror_name(name: str) -> str:
  if name.startswith("left_"):
    return "right_" + name.removeprefix("left_")
  if name.startswith("right_"):
    return "left_" + name.removeprefix("right_")
  return name


def _nearest(name: str, names) -> str:
  return ", ".join(difflib.get_close_matches(name, names, 3, 0.0))


def _skeleton(name: str, text: str) -> Skeleton:
  """Reads a text of `joint_sets`."""
  joints, parents = [], []
  for line in text.strip().splitlines():
    joint, _, parent = (part.strip() for part in line.partition("<"))
    joints.append(joint)
    parents.append(parent)
  index = {joint: i for i, joint in enumerate(joints)}
  return Skeleton(name, tuple(joints), tuple(index.get(p, -1) for p in parents))


SKELETONS: dict[str, Skeleton] = {
  name: _skeleton(name, text) for name, text in JOINT_SETS.items()
}


def get(name: str) -> Skeleton:
  """The skeleton of that name; ValueError with the nearest names if there is none."""
  if name not in SKELETONS:
    raise ValueError(
      f"unknown skeleton {name!r}; nearest: {_nearest(name, SKELETONS)}; "
      f"known: {', '.join(SKELETONS)}."
    )
  return SKELETONS[name]
