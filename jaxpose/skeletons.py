"""Named joint sets: joints, parents, mirror pairs, and maps from one set to another.

Every array in jaxpose with a joint axis follows one of these skeletons. Joint names say
"right" and "left" from the person's own point of view.
"""

import dataclasses
import difflib
import functools

import numpy as np


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
  """Reads lines of `joint < parent`; the root has no parent."""
  joints, parents = [], []
  for line in text.strip().splitlines():
    joint, _, parent = (part.strip() for part in line.partition("<"))
    joints.append(joint)
    parents.append(parent)
  index = {joint: i for i, joint in enumerate(joints)}
  return Skeleton(name, tuple(joints), tuple(index.get(p, -1) for p in parents))


# Human3.6M's 17 joints of VideoPose3D and its successors.
_H36M17 = """
  hip
  right_hip < hip
  right_knee < right_hip
  right_foot < right_knee
  left_hip < hip
  left_knee < left_hip
  left_foot < left_knee
  spine < hip
  thorax < spine
  neck < thorax
  head < neck
  left_shoulder < thorax
  left_elbow < left_shoulder
  left_wrist < left_elbow
  right_shoulder < thorax
  right_elbow < right_shoulder
  right_wrist < right_elbow
"""

# HumanEva-I as prepared by VideoPose3D.
_HUMANEVA15 = """
  pelvis
  thorax < pelvis
  left_shoulder < thorax
  left_elbow < left_shoulder
  left_wrist < left_elbow
  right_shoulder < thorax
  right_elbow < right_shoulder
  right_wrist < right_elbow
  left_hip < pelvis
  left_knee < left_hip
  left_ankle < left_knee
  right_hip < pelvis
  right_knee < right_hip
  right_ankle < right_knee
  head < thorax
"""

# MPI-INF-3DHP's 17 joints in the order of its test set; the root is joint 14.
_MPI3DHP17 = """
  head_top < neck
  neck < spine
  right_shoulder < neck
  right_elbow < right_shoulder
  right_wrist < right_elbow
  left_shoulder < neck
  left_elbow < left_shoulder
  left_wrist < left_elbow
  right_hip < pelvis
  right_knee < right_hip
  right_ankle < right_knee
  left_hip < pelvis
  left_knee < left_hip
  left_ankle < left_knee
  pelvis
  spine < pelvis
  head < neck
"""

# MPI-INF-3DHP's 28 annotated joints.
_MPI3DHP28 = """
  spine3 < spine2
  spine4 < spine3
  spine2 < spine
  spine < pelvis
  pelvis
  neck < spine4
  head < neck
  head_top < head
  left_clavicle < spine4
  left_shoulder < left_clavicle
  left_elbow < left_shoulder
  left_wrist < left_elbow
  left_hand < left_wrist
  right_clavicle < spine4
  right_shoulder < right_clavicle
  right_elbow < right_shoulder
  right_wrist < right_elbow
  right_hand < right_wrist
  left_hip < pelvis
  left_knee < left_hip
  left_ankle < left_knee
  left_foot < left_ankle
  left_toe < left_foot
  right_hip < pelvis
  right_knee < right_hip
  right_ankle < right_knee
  right_foot < right_ankle
  right_toe < right_foot
"""

_COCO17 = """
  nose
  left_eye < nose
  right_eye < nose
  left_ear < left_eye
  right_ear < right_eye
  left_shoulder < nose
  right_shoulder < nose
  left_elbow < left_shoulder
  right_elbow < right_shoulder
  left_wrist < left_elbow
  right_wrist < right_elbow
  left_hip < left_shoulder
  right_hip < right_shoulder
  left_knee < left_hip
  right_knee < right_hip
  left_ankle < left_knee
  right_ankle < right_knee
"""

_BLAZEPOSE33 = """
  nose
  left_eye_inner < nose
  left_eye < left_eye_inner
  left_eye_outer < left_eye
  right_eye_inner < nose
  right_eye < right_eye_inner
  right_eye_outer < right_eye
  left_ear < left_eye_outer
  right_ear < right_eye_outer
  left_mouth < nose
  right_mouth < nose
  left_shoulder < nose
  right_shoulder < nose
  left_elbow < left_shoulder
  right_elbow < right_shoulder
  left_wrist < left_elbow
  right_wrist < right_elbow
  left_pinky < left_wrist
  right_pinky < right_wrist
  left_index < left_wrist
  right_index < right_wrist
  left_thumb < left_wrist
  right_thumb < right_wrist
  left_hip < left_shoulder
  right_hip < right_shoulder
  left_knee < left_hip
  right_knee < right_hip
  left_ankle < left_knee
  right_ankle < right_knee
  left_heel < left_ankle
  right_heel < right_ankle
  left_foot_index < left_ankle
  right_foot_index < right_ankle
"""

# SMPL's kinematic tree.
_SMPL24 = """
  pelvis
  left_hip < pelvis
  right_hip < pelvis
  spine1 < pelvis
  left_knee < left_hip
  right_knee < right_hip
  spine2 < spine1
  left_ankle < left_knee
  right_ankle < right_knee
  spine3 < spine2
  left_foot < left_ankle
  right_foot < right_ankle
  neck < spine3
  left_collar < spine3
  right_collar < spine3
  head < neck
  left_shoulder < left_collar
  right_shoulder < right_collar
  left_elbow < left_shoulder
  right_elbow < right_shoulder
  left_wrist < left_elbow
  right_wrist < right_elbow
  left_hand < left_wrist
  right_hand < right_wrist
"""

# Leeds Sports Pose order; it has no pelvis, so the neck is the root of the drawing.
_LSP14 = """
  right_ankle < right_knee
  right_knee < right_hip
  right_hip < neck
  left_hip < neck
  left_knee < left_hip
  left_ankle < left_knee
  right_wrist < right_elbow
  right_elbow < right_shoulder
  right_shoulder < neck
  left_shoulder < neck
  left_elbow < left_shoulder
  left_wrist < left_elbow
  neck
  head_top < neck
"""

SKELETONS: dict[str, Skeleton] = {
  name: _skeleton(name, text)
  for name, text in dict(
    h36m17=_H36M17,
    humaneva15=_HUMANEVA15,
    mpi3dhp17=_MPI3DHP17,
    mpi3dhp28=_MPI3DHP28,
    coco17=_COCO17,
    blazepose33=_BLAZEPOSE33,
    smpl24=_SMPL24,
    lsp14=_LSP14,
  ).items()
}


def get(name: str) -> Skeleton:
  """The skeleton of that name; ValueError with the nearest names if there is none."""
  if name not in SKELETONS:
    raise ValueError(
      f"unknown skeleton {name!r}; nearest: {_nearest(name, SKELETONS)}; "
      f"known: {', '.join(SKELETONS)}."
    )
  return SKELETONS[name]
