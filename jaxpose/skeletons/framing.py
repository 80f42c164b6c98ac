"""Framing: shows a lifter each person as large and as central as in its training.

A lifter is trained on people who fill much of the picture and are seen near its middle.
Whoever is small in a wide picture looks like nobody it knows. So each window is seen by
another camera in the same place, turned to the person and zoomed until the bones are as
long as in training. Rays stay what they are, so that nothing is lost; poses are turned
back. Lifters with `config.data.framed` see nothing else, in training too. The idea is
that of perspective crop layers (Yu et al., CVPR 2021, 2011.13607).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxpose.geometry import Array
from jaxpose.geometry import namespace
from jaxpose.skeletons import Skeleton

# Sum of the projected lengths of the bones of h36m17, over half the picture's width:
# the median over frames of CMU motion capture under the cameras of training
# (`sequences.film`). It varies by 16 %, of which most is the distance of the cameras.
LENGTH = 1.45
FOCAL = 2.3  # of these cameras, in the same unit
# Data that is filmed by them.
FILMED = ("synthetic_motion", "cmu_mocap", "bvh_folder")
_ZOOM = (0.02, 50.0)


class Framed(NamedTuple):
  """Windows in front of cameras of their own.

  Attributes:
    points: normalised keypoints, in the training's size in the middle.
    rotation: from the picture's camera to the window's.
  """

  points: Float[Array, "b t j 2"]
  rotation: Float[Array, "b 3 3"]

  def turn(self, joints: Float[Array, "b *t j 3"]) -> Float[Array, "b *t j 3"]:
    """Joints before the picture's camera, before the windows'."""
    xp = namespace(joints)
    return xp.einsum("bik,b...k->b...i", self.rotation, joints)

  def back(self, joints: Float[Array, "b *t j 3"]) -> Float[Array, "b *t j 3"]:
    """Joints before the windows' cameras, before the picture's."""
    xp = namespace(joints)
    return xp.einsum("bki,b...k->b...i", self.rotation, joints)


def windows(
  points: Float[Array, "b t j 2"],
  skeleton: Skeleton,
  focal: float | Float[Array, " b"] = FOCAL,
) -> Framed:
  """Turns each window's camera to the mean root, and zooms.

  Args:
    points: normalised keypoints (`cameras.normalize_screen`), none missing.
    skeleton: of the joint axis.
    focal: length of the picture's camera, over half its width; one, or each window's.
  """
  xp = namespace(points, focal)
  rays = points / xp.broadcast_to(focal, points.shape[:1])[:, None, None, None]
  centre = rays[:, :, skeleton.root].mean(1)
  rotation = _towards(xp, centre[:, 0], centre[:, 1])
  rays = xp.concatenate([rays, xp.ones_like(rays[..., :1])], -1)
  seen = xp.einsum("bik,btjk->btji", rotation, rays)
  # Behind the turned camera is only who was not in the picture.
  turned = FOCAL * seen[..., :2] / xp.maximum(seen[..., 2:], 0.1)
  parents, children = np.asarray(skeleton.bones).T
  bones = xp.linalg.norm(turned[:, :, children] - turned[:, :, parents], axis=-1)
  length = xp.maximum(bones.sum(-1).mean(1), 1e-6)
  zoom = xp.clip(LENGTH / length, *_ZOOM)[:, None, None, None]
  return Framed((zoom * turned).astype(points.dtype), rotation.astype(points.dtype))


def _towards(xp, x, y) -> Float[Array, "b 3 3"]:
  """Rotations that bring the rays (x, y, 1) onto the optical axis, x kept level."""
  yaw = xp.arctan(x)
  pitch = xp.arctan(y * xp.cos(yaw))
  zero, one = xp.zeros_like(x), xp.ones_like(x)
  turn = xp.stack(
    [xp.cos(yaw), zero, -xp.sin(yaw), zero, one, zero, xp.sin(yaw), zero, xp.cos(yaw)],
    -1,
  )
  tilt = xp.stack(
    [
      *(one, zero, zero),
      *(zero, xp.cos(pitch), -xp.sin(pitch)),
      *(zero, xp.sin(pitch), xp.cos(pitch)),
    ],
    -1,
  )
  return tilt.reshape(-1, 3, 3) @ turn.reshape(-1, 3, 3)
