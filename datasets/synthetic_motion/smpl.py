"""Generated motion as rotations of SMPL's 24 joints, of people of many shapes."""

import numpy as np

from jaxpose import body as smpl
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.data import sequences
from jaxpose.skeletons import proportions

from . import curves
from .body import SIDE
from .kinematics import Solved
from .motion import Subject

BODY = body_files.load("free")
_JOINTS = skeletons.get("smpl24").joints
_PARENTS = np.asarray(skeletons.get("smpl24").parents)

# SMPL's rest frame (x left, y up, z forward) in a body's own (x right, y forward, z
# up), and its arms, which point sideways, turned down beside the body.
_AXES = np.asarray([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
_ARMS = [curves.rotation([np.asarray(side * np.pi / 2)], "y") @ _AXES for side in SIDE]


def rotations(solved: Solved) -> np.ndarray:
  """(n, 24, 3, 3) relative to the parent joint, the root's to the world."""
  part = solved.segments
  pelvis, lumbar, chest, head = (part[n] for n in ("hip", "spine", "thorax", "neck"))
  world = dict(
    pelvis=pelvis,
    spine1=curves.blend_rotations(pelvis, lumbar, _half(pelvis)),
    spine2=lumbar,
    spine3=chest,
    neck=curves.blend_rotations(chest, head, _half(chest)),
    head=head,
  )
  world = {name: turn @ _AXES for name, turn in world.items()}
  for side, name in enumerate(("right", "left")):
    shank = part[f"{name}_knee"]
    foot = curves.blend_rotations(shank, part[f"{name}_sole"], solved.loaded[:, side])
    legs = dict(hip=part[f"{name}_hip"], knee=shank, ankle=foot, foot=foot)
    legs["collar"] = part[f"{name}_girdle"]
    upper, lower = part[f"{name}_shoulder"], part[f"{name}_elbow"]
    arms = dict(shoulder=upper, elbow=lower, wrist=lower, hand=lower)
    world |= {f"{name}_{joint}": turn @ _AXES for joint, turn in legs.items()}
    world |= {f"{name}_{joint}": turn @ _ARMS[side] for joint, turn in arms.items()}
  turns = np.stack([world[joint] for joint in _JOINTS], 1)
  above = np.swapaxes(turns[:, _PARENTS[1:]], -1, -2)
  return np.concatenate([turns[:, :1], above @ turns[:, 1:]], 1).astype(np.float32)


def sample_betas(seed: int, name: str) -> np.ndarray:
  """(10,) shape of the person of that name; depends on nothing else.

  Drawn again until its proportions are usual: one shape in twenty of the free body has
  shorter forearms than people have.
  """
  rng = sequences.clip_rng(seed, "betas", name)
  while True:
    betas = rng.normal(size=BODY.num_betas).astype(np.float32)
    if not proportions.unusual(smpl.rest_joints(BODY, betas)[None], "smpl24"):
      return betas


def hips(solved: Solved, subject: Subject, betas: np.ndarray) -> np.ndarray:
  """(n, 3) middle of the hips for a body of this shape, world, metres.

  Ways and heights are scaled by the length of the legs, so that feet stay about where
  they were planted.
  """
  rest = smpl.rest_joints(BODY, betas)
  hip, ankle = (_JOINTS.index(f"left_{name}") for name in ("hip", "ankle"))
  return solved.joints[:, 0] * ((rest[hip, 1] - rest[ankle, 1]) / subject.body.leg)


def _half(like):
  return np.full(len(like), 0.5)
