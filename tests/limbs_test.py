import numpy as np
import pytest

from jaxpose import limbs
from jaxpose import skeletons


def standing(skeleton, leg=0.8):
  names = skeletons.get(skeleton)
  joints = np.zeros((3, names.num_joints, 3))
  for side in ("left", "right"):
    for part, share in (("hip", 1), ("knee", 0.5)):
      joints[:, names.index(f"{side}_{part}"), 1] = share * leg
  return joints


@pytest.mark.parametrize("skeleton", ["h36m17", "coco17", "smpl24", "spin49"])
def test_metres_pass_and_other_units_do_not(skeleton):
  limbs.require_metres(standing(skeleton), skeleton, "a")
  limbs.require_metres(standing(skeleton, leg=0.45), skeleton, "a child")
  for leg, told in ((800.0, "800"), (80.0, "80"), (0.0008, "0.0008")):
    message = f"a: got legs of {told} m, expected about 0.8 m; the unit"
    with pytest.raises(ValueError, match=message):
      limbs.require_metres(standing(skeleton, leg), skeleton, "a")


def test_missing_frames_do_not_count():
  joints = standing("coco17")
  joints[0] = np.nan
  limbs.require_metres(joints, "coco17", "a")
  limbs.require_metres(np.full((2, 17, 3), np.nan), "coco17", "nothing to tell")
