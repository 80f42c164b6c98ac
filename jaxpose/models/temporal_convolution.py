"""Temporal convolutions over all joints: the baseline that lifters are compared with.

Pavllo et al., "3D human pose estimation in video with temporal convolutions and
semi-supervised training", CVPR 2019, arXiv 1811.11742, section 3, in the form that is
trained on windows: a convolution that widens, then for each further filter width a
residual block of a strided convolution and one of width 1, and a linear layer to the
joints. All joints of a frame are the channels of one vector; nothing is known of bones.
Windows shrink to a single frame, so that no frame is padded.
"""

import math

import flax.linen as nn
from jax.typing import ArrayLike
from jaxtyping import Array
from jaxtyping import Float

from jaxpose.models.layers import BatchNorm
from jaxpose.models.layers import Dropout


class TemporalConvolution(nn.Module):
  """Keypoints of a window to the pose of one frame of it.

  Attributes:
    channels: width of all layers.
    filter_widths: of the strided convolutions; the window is their product.
    dropout: after every activation.
    num_joints: of the output.
  """

  channels: int = 1024
  filter_widths: tuple[int, ...] = (3, 3, 3)
  dropout: float = 0.25
  num_joints: int = 17

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

    def layer(x, name):
      x = nn.Dense(self.channels, use_bias=False, name=name)(x)
      x = BatchNorm(name=f"{name}_bn")(x, train=train, momentum=bn_momentum)
      return Dropout(self.dropout)(nn.relu(x), train=train)

    # A convolution whose stride is its width is a linear layer of that many frames.
    x = keypoints_2d.reshape(b, t, -1)
    for i, width in enumerate(self.filter_widths):
      skip = x[:, width // 2 :: width]
      x = x.reshape(b, x.shape[1] // width, -1)
      x = layer(x, "expand" if i == 0 else f"shrink_{i}")
      if i:
        x = skip + layer(x, f"mix_{i}")
    x = nn.Dense(self.num_joints * 3, name="joints")(x)
    return {"joints_3d": x.reshape(b, 1, self.num_joints, 3)}


def build(**fields) -> TemporalConvolution:
  """The module of a config's fields."""
  fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
  return TemporalConvolution(**fields)
