"""Temporal convolutions that find depths along the rays of the keypoints.

A lifter does not have to guess the rays: a joint lies on the line through its keypoint,
except for the detector's errors. So this network predicts how deep each joint lies, the
scale of the picture (metres in a unit of the keypoints at the root's depth) and the
strength of the perspective, puts the joints there, and adds a small correction. Poses
unlike those of training then still project to their keypoints. A free regression of all
coordinates (`temporal_convolution`, whose trunk this shares) has no such constraint.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array
from jaxtyping import Float

from jaxpose.models.layers import BatchNorm
from jaxpose.models.layers import Dropout


class RayLifter(nn.Module):
  """Keypoints of a window to the pose of one frame of it.

  Attributes:
    channels: width of the convolutions.
    filter_widths: of the strided convolutions; the window is their product.
    blocks: residual blocks of the window's feature after the convolutions.
    block_width: of their hidden layers.
    dropout: after every activation.
    frame: that is predicted, from 0; None for the middle.
    root: index of the root joint.
    num_joints: of input and output.
    rays: put joints on the rays.
  """

  channels: int = 512
  filter_widths: tuple[int, ...] = (3, 3, 3)
  blocks: int = 2
  block_width: int = 1024
  dropout: float = 0.1
  frame: int | None = None
  root: int = 0
  num_joints: int = 17
  rays: bool = True

  @nn.compact
  def __call__(
    self,
    keypoints_2d: Float[Array, "b t j 2"],
    *,
    train: bool = False,
    bn_momentum: ArrayLike = 0.1,
  ) -> dict[str, Float[Array, "..."]]:
    """Predicts.

    Args:
      keypoints_2d: normalised (`cameras.normalize_screen`), t as the widths say.
      train: dropout, and statistics of the batch.
      bn_momentum: weight of the batch in the running statistics.

    Returns:
      joints_3d: (b, 1, num_joints, 3) relative to the root, metres.

    Raises:
      ValueError: the window has another length.
    """
    b, t = keypoints_2d.shape[:2]
    if t != math.prod(self.filter_widths):
      raise ValueError(
        f"got windows of {t} frames, expected {math.prod(self.filter_widths)}, the "
        f"product of filter_widths={self.filter_widths}."
      )

    def layer(x, name, width=self.channels):
      x = nn.Dense(width, use_bias=False, name=name)(x)
      x = BatchNorm(name=f"{name}_bn")(x, train=train, momentum=bn_momentum)
      return Dropout(self.dropout)(nn.relu(x), train=train)

    x = keypoints_2d.reshape(b, t, -1)
    for i, width in enumerate(self.filter_widths):
      skip = x[:, width // 2 :: width]
      x = x.reshape(b, x.shape[1] // width, -1)
      x = layer(x, "expand" if i == 0 else f"shrink_{i}")
      if i:
        x = skip + layer(x, f"mix_{i}")
    x = x[:, 0]
    for i in range(self.blocks):
      hidden = layer(x, f"block_{i}_in", self.block_width)
      x = x + layer(hidden, f"block_{i}_out")
    j = self.num_joints
    small = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")
    joints = nn.Dense(3 * j, kernel_init=small, name="joints")(x).reshape(b, j, 3)
    if not self.rays:
      return {"joints_3d": joints[:, None]}
    camera = nn.Dense(2, kernel_init=small, name="camera")(x)
    scale = nn.softplus(camera[:, :1, None] + 2.4)  # 2.5 at first
    nearness = 0.2 * nn.softplus(camera[:, 1:, None] + 0.54)  # of 5 m
    # The keypoints of the frame, less what a detector has them wrong by: a filter over
    # time that is drawn up for each joint.
    frame = t // 2 if self.frame is None else self.frame
    seen = keypoints_2d[:, frame]
    taps = nn.Dense(t * j, kernel_init=small, name="taps")(x).reshape(b, t, j, 1)
    seen = seen + (taps * (keypoints_2d - seen[:, None])).sum(1)
    depth = joints[..., 2:] - joints[:, self.root, None, 2:]
    lines = seen * (1 + nearness * depth) - seen[:, self.root, None]
    across = scale * lines + joints[..., :2] - joints[:, self.root, None, :2]
    return {"joints_3d": jnp.concatenate([across, depth], -1)[:, None]}


def build(**fields) -> RayLifter:
  """The module of a config's fields."""
  fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
  return RayLifter(**fields)
