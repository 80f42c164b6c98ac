"""CMU's ASF skeletons in motion as joints of h36m17 and rotations of SMPL's joints."""

import numpy as np
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.formats.asf_amc import Asf
from jaxpose.formats.asf_amc import Posed
from jaxpose.skeletons import head_points

# In the order of h36m17 up to the thorax and from the shoulders on: the bones at whose
# ends the joints are; of several, the middle. Nose and crown come from the head.
_LEGS_AND_TRUNK = """
  lhipjoint+rhipjoint
  rhipjoint rfemur rtibia
  lhipjoint lfemur ltibia
  lowerback lclavicle+rclavicle
"""
_ARMS = "lclavicle lhumerus lwrist rclavicle rhumerus rwrist"
# Bones whose rotations SMPL's joints without the hands have.
_ROTATIONS = """
  root lfemur rfemur lowerback ltibia rtibia upperback lfoot rfoot
  thorax ltoes rtoes upperneck lclavicle rclavicle head
  lhumerus rhumerus lradius rradius lhand rhand
""".split()
_PARENTS = skeletons.get("smpl24").parents[1:22]
_UP = np.asarray(((1, 0, 0), (0, 0, -1), (0, 1, 0)), float)  # y up to z up


def to_h36m17(skeleton: Asf, posed: Posed) -> Float[np.ndarray, "t 17 3"]:
  """Metres, world with z up.

  Raises:
    ValueError: a bone of CMU's skeletons is missing, or the legs are not those of a
      person.
  """
  thigh, shin = (
    np.linalg.norm(skeleton.bones[skeleton.index(name)].offset)
    for name in ("lfemur", "ltibia")
  )
  if not 0.4 < thigh + shin < 1.3:
    raise ValueError(
      f"got legs of {thigh + shin:.3g} m, expected about 0.8 m; correct the length "
      "under :units."
    )

  def ends(text):
    groups = [word.split("+") for word in text.split()]
    return [
      posed.ends[:, [skeleton.index(name) for name in group]].mean(1)
      for group in groups
    ]

  head = skeleton.bones[skeleton.index("head")]
  face = head_points.nose_and_crown(
    posed.ends[:, head.parent],
    float(np.linalg.norm(head.offset)),
    posed.rotations[:, skeleton.index("head")],
  )
  joints = [*ends(_LEGS_AND_TRUNK), face[:, 0], face[:, 1], *ends(_ARMS)]
  return np.stack(joints, 1) @ _UP.T


def to_smpl(skeleton: Asf, posed: Posed) -> Float[np.ndarray, "t 22 3 3"]:
  """Rotations relative to the parent joint; the root's to the world, z up.

  The rest pose of the file is not SMPL's: `body_fit.fit_subject` finds out by how much.

  Raises:
    ValueError: a bone of CMU's skeletons is missing.
  """
  world = posed.rotations[:, [skeleton.index(name) for name in _ROTATIONS]]
  local = np.swapaxes(world[:, list(_PARENTS)], -1, -2) @ world[:, 1:]
  return np.concatenate([_UP @ world[:, :1], local], 1)
