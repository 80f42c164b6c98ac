"""The parts of GLoT: keypoint encoder, global and local motion, the two regressors.

The token networks give one vector a frame; the regressors turn it into SMPL pose, shape
and camera. Regressors compute in float32; `Estimate` is what goes in and out of them.
"""

from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import body as smpl
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.models.attention import POSITION
from jaxpose.models.attention import Blocks
from jaxpose.models.attention import CrossAttention
from jaxpose.models.attention import Mlp
from jaxpose.models.attention import dense
from jaxpose.models.attention import drop_path_rates
from jaxpose.models.attention import layer_norm
from jaxpose.models.layers import Dropout

# x, y in the crop; x, y in the picture; confidence.
KEYPOINT_CHANNELS = 5


class KeypointEncoder(nn.Module):
  """Tokens from 2D keypoints, frame by frame; ours, instead of image features.

  A keypoint of confidence 0 counts as absent: its coordinates are not seen.

  Attributes:
    features: channels of a token.
    hidden: channels between.
    dropout: in the MLP between.
    dtype: compute type; parameters stay float32.
  """

  features: int
  hidden: int
  dropout: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self, keypoints: Float[Array, "b t j 5"], *, train: bool
  ) -> Float[Array, "b t {self.features}"]:
    """From places in the crop and in the picture, and the confidence."""
    seen = keypoints[..., -1:] > 0
    x = jnp.where(seen, keypoints, 0).astype(self.dtype)
    x = dense(self.hidden, "embed", self.dtype)(x.reshape(*x.shape[:2], -1))
    h = layer_norm("norm", self.dtype)(x)
    x = x + Mlp(2 * self.hidden, self.dropout, self.dtype, name="mlp")(h, train=train)
    x = dense(self.features, "out", self.dtype)(x)
    return layer_norm("out_norm", self.dtype)(x)


class MaskToken(nn.Module):
  """The token that stands for every hidden frame, made of the mean parameters.

  Attributes:
    features: channels of the token.
    hidden: channels of the layers between, with ReLU.
  """

  features: int
  hidden: tuple[int, ...]

  @nn.compact
  def __call__(self, mean: Float[Array, " c"]) -> Float[Array, " {self.features}"]:
    """One vector; float32."""
    for i, width in enumerate(self.hidden):
      mean = nn.relu(dense(width, f"fc{i}", jnp.float32)(mean))
    return dense(self.features, f"fc{len(self.hidden)}", jnp.float32)(mean)


def mask_order(noise: Float[Array, "b t"], keep: int) -> tuple[Array, Array, Array]:
  """Which frames to keep, in shuffled order; how to undo the order; what is hidden."""
  order = jnp.argsort(noise, axis=1)
  back = jnp.argsort(order, axis=1)
  return order[:, :keep], back, back >= keep


def _take(x, index):
  return jnp.take_along_axis(x, index[..., None], axis=1)


class GlobalMotion(nn.Module):
  """Global Motion Modeling: masked encoder over all frames, and its decoder.

  In training the frames with the largest noise are dropped before the encoder, which
  so sees fewer tokens; before the decoder the mask token stands in for them.

  Attributes: as in `Glot`; `keep` is the number of frames that the encoder sees.
  """

  width: int
  depth: int
  heads: int
  decoder_width: int
  decoder_depth: int
  keep: int
  mask_hidden: tuple[int, ...]
  mlp_ratio: int = 4
  dropout: float = 0.0
  attention_dropout: float = 0.0
  drop_path: float = 0.0
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(
    self,
    x: Float[Array, "b t c"],
    mean: Float[Array, " p"],
    noise: Float[Array, "b t"] | None,
    *,
    train: bool,
  ) -> tuple[Float[Array, "b n c"], Float[Array, "b k d"], Bool[Array, "b t"] | None]:
    """Features to regress, encoder memory, hidden frames.

    Training (`noise` given): of all frames; else of the middle one, without a mask.
    """
    b, t, c = x.shape
    rates = drop_path_rates(self.drop_path, self.depth)
    blocks = dict(
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
      dropout=self.dropout,
      attention_dropout=self.attention_dropout,
      dtype=self.dtype,
      remat=self.remat,
    )
    position = self.param("position", POSITION, (t, self.width))
    decoder_position = self.param("decoder_position", POSITION, (t, self.decoder_width))
    hidden = None
    x = dense(self.width, "proj", self.dtype)(x) + position.astype(self.dtype)[None]
    if noise is not None:
      kept, back, hidden = mask_order(noise, self.keep)
      x = _take(x, kept)
    memory = Blocks(rates, **blocks, name="encoder")(x, train=train)
    y = dense(self.decoder_width, "decoder_embed", self.dtype)(memory)
    if noise is not None or self.is_initializing():
      token = MaskToken(self.decoder_width, self.mask_hidden, name="mask_token")(mean)
    if noise is not None:
      filled = (b, t - self.keep, self.decoder_width)
      y = jnp.concatenate([y, jnp.broadcast_to(token.astype(y.dtype), filled)], 1)
      y = _take(y, back)
    y = y + decoder_position.astype(self.dtype)[None]
    # The original's decoder takes the first rates of the encoder's list.
    rates = rates[: self.decoder_depth]
    y = Blocks(rates, **blocks, name="decoder")(y, train=train)
    if noise is None:
      y = y[:, t // 2 : t // 2 + 1]
    return dense(c, "out_proj", self.dtype)(y), memory, hidden


class LocalMotion(nn.Module):
  """Local Parameter Correction: nearby frames look at the global memory.

  Attributes: as in `Glot`, without the prefix `local_`.
  """

  width: int
  depth: int
  heads: int
  cross_heads: int
  mlp_ratio: int = 4
  dropout: float = 0.0
  attention_dropout: float = 0.0
  drop_path: float = 0.0
  dtype: Any = jnp.float32
  remat: bool = False

  @nn.compact
  def __call__(
    self, x: Float[Array, "b t c"], memory: Float[Array, "b k d"], *, train: bool
  ) -> Float[Array, "b n {self.width}"]:
    """Tokens of the middle frame; in training also of the frames beside it."""
    t = x.shape[1]
    position = self.param("position", POSITION, (t, self.width))
    x = dense(self.width, "proj", self.dtype)(x) + position.astype(self.dtype)[None]
    x = Blocks(
      drop_path_rates(self.drop_path, self.depth),
      self.heads,
      self.mlp_ratio,
      self.dropout,
      self.attention_dropout,
      self.dtype,
      self.remat,
      name="encoder",
    )(x, train=train)
    side = 1 if train else 0
    x = x[:, t // 2 - side : t // 2 + side + 1]
    memory = dense(self.width, "memory_proj", self.dtype)(memory)
    return CrossAttention(self.cross_heads, dtype=self.dtype, name="cross")(x, memory)


PARENTS = skeletons.get("smpl24").parents
NUM_JOINTS = len(PARENTS)
POSE_DIM = 6 * NUM_JOINTS
CAMERA_DIM = 3


class Estimate(NamedTuple):
  """SMPL parameters with any leading axes.

  Attributes:
    pose_6d: (*b, 144), for each joint the first two columns of its rotation, row by
      row; identity is 1, 0, 0, 1, 0, 0.
    betas: (*b, s) shape.
    camera: (*b, 3) scale and translation of the crop's camera.
  """

  pose_6d: Float[Array, "*b 144"]
  betas: Float[Array, "*b s"]
  camera: Float[Array, "*b 3"]


def _ancestors(joint: int) -> list[int]:
  """From the root down to the parent."""
  parent = PARENTS[joint]
  return [] if parent < 0 else [*_ancestors(parent), parent]


ANCESTORS = tuple(tuple(_ancestors(j)) for j in range(NUM_JOINTS))
# One 6 x 6 kernel for each, joint by joint, ancestors from the root down.
PAIRS = tuple((j, a) for j in range(NUM_JOINTS) for a in ANCESTORS[j])


class Weights(nn.Module):
  """Kernel (inputs, outputs) and bias of a linear layer that is not applied as one.

  Attributes:
    inputs: channels in.
    outputs: channels out.
    gain: of Glorot's uniform initial weights.
  """

  inputs: int
  outputs: int
  gain: float = 1.0

  @nn.compact
  def __call__(self) -> tuple[Array, Array]:
    """Both, float32."""
    init = nn.initializers.variance_scaling(self.gain**2, "fan_avg", "uniform")
    return (
      self.param("kernel", init, (self.inputs, self.outputs)),
      self.param("bias", nn.initializers.zeros, (self.outputs,)),
    )


class IterativeRegressor(nn.Module):
  """Moves the mean parameters towards the features, a few times (HMR, SPIN).

  As in the released code there is no activation, and SPIN's second layer is left out.

  Attributes:
    hidden: channels of the layer between.
    iterations: updates.
    dropout: of the hidden layer.
    head_gain: of the initial weights of the three output layers.
  """

  hidden: int = 1024
  iterations: int = 3
  dropout: float = 0.5
  head_gain: float = 1.0

  @nn.compact
  def __call__(
    self, features: Float[Array, "b n c"], mean: Estimate, *, train: bool
  ) -> Estimate:
    """One estimate for each token; `mean` has no leading axes."""
    b, n, c = features.shape
    sizes = [x.shape[-1] for x in mean]
    total = sum(sizes)
    kernel, bias = Weights(c + total, self.hidden, name="hidden")()
    heads = [
      Weights(self.hidden, size, self.head_gain, name=name)()
      for name, size in zip(Estimate._fields, sizes, strict=True)
    ]
    head_kernel, head_bias = (
      jnp.concatenate(parts, -1) for parts in zip(*heads, strict=True)
    )
    # What the features give is the same in each iteration.
    fixed = features.astype(jnp.float32) @ kernel[:c] + bias[None, None]
    state = jnp.broadcast_to(jnp.concatenate(mean), (b, n, total))
    drop = Dropout(self.dropout)
    for _ in range(self.iterations):
      hidden = drop(fixed + state @ kernel[c:], train=train)
      state = state + hidden @ head_kernel + head_bias[None, None]
    return Estimate(*jnp.split(state, np.cumsum(sizes[:-1]), axis=-1))


class TreeRegressor(nn.Module):
  """Residuals of the joints' 6D rotations, each given those of all its ancestors.

  Joint j has one linear layer of the hidden vector, the residuals of its ancestors and
  6 numbers of the initial pose. Here the parts of all joints that read the hidden
  vector are one product, and each depth of the tree is one more, all joints at once.

  Attributes:
    joint_offset_quirk: see `Glot`.
    gain: of the initial weights.
  """

  joint_offset_quirk: bool = False
  gain: float = 1.0

  @nn.compact
  def __call__(
    self, hidden: Float[Array, "b n c"], pose_6d: Float[Array, "b n 144"]
  ) -> Float[Array, "b n 144"]:
    """What to add to `pose_6d`."""
    b, n, c = hidden.shape
    # Glorot's bound for each joint's layer as a whole.
    fans = np.array([c + 6 * len(a) + 6 + 6 for a in ANCESTORS])
    bounds = self.gain * np.sqrt(6 / fans).astype(np.float32)

    def init(bound):
      return lambda key, shape: jax.random.uniform(key, shape, minval=-1) * bound

    hidden_kernel = self.param(
      "hidden_kernel", init(bounds.repeat(6)[None]), (c, POSE_DIM)
    )
    ancestor_kernel = self.param(
      "ancestor_kernel",
      init(bounds[[j for j, _ in PAIRS], None, None]),
      (len(PAIRS), 6, 6),
    )
    pose_kernel = self.param(
      "pose_kernel", init(bounds[:, None, None]), (NUM_JOINTS, 6, 6)
    )
    bias = self.param("bias", nn.initializers.zeros, (POSE_DIM,))

    first = np.arange(NUM_JOINTS) * (1 if self.joint_offset_quirk else 6)
    own = pose_6d[..., first[:, None] + np.arange(6)]
    own = jnp.einsum("bnjc,jcd->bnjd", own, pose_kernel).reshape(b, n, POSE_DIM)
    base = hidden @ hidden_kernel + own + bias[None, None]
    matrix = self._ancestor_matrix(ancestor_kernel)
    # Each round settles one more depth of the tree; the root is settled already.
    residual = base
    for _ in range(max(map(len, ANCESTORS))):
      residual = base + residual @ matrix
    return residual

  @staticmethod
  def _ancestor_matrix(kernel):
    """(144, 144), from residuals of ancestors to those of joints; zeros elsewhere."""
    where = np.full((NUM_JOINTS, NUM_JOINTS), len(PAIRS))
    for i, (joint, ancestor) in enumerate(PAIRS):
      where[ancestor, joint] = i
    blocks = jnp.concatenate([kernel, jnp.zeros((1, 6, 6))])[where]
    return blocks.swapaxes(1, 2).reshape(POSE_DIM, POSE_DIM)


class Hscr(nn.Module):
  """Hierarchical Spatial Correlation Regressor: corrects an estimate joint by joint.

  There is no activation: without dropout the result is affine in all inputs.

  Attributes:
    hidden: channels of the two layers between.
    dropout: of those.
    joint_offset_quirk: see `Glot`.
    head_gain: of the initial weights of the layers that give pose, shape and camera.
  """

  hidden: int = 1024
  dropout: float = 0.25
  joint_offset_quirk: bool = False
  head_gain: float = 1.0

  @nn.compact
  def __call__(
    self, tokens: Float[Array, "b n c"], initial: Estimate, *, train: bool
  ) -> Estimate:
    """`initial` and what the tokens add to it."""
    tokens = tokens.astype(jnp.float32)
    pose_6d, betas, camera = initial
    init = nn.initializers.variance_scaling(self.head_gain**2, "fan_avg", "uniform")

    def hidden(name, *inputs):
      x = dense(self.hidden, name, jnp.float32)(jnp.concatenate(inputs, -1))
      return Dropout(self.dropout, name=f"{name}_dropout")(x, train=train)

    for_shape = hidden("shape_hidden", tokens, betas)
    for_pose = hidden("pose_hidden", tokens, pose_6d)
    for_camera = jnp.concatenate([for_pose, for_shape, camera], -1)
    tree = TreeRegressor(self.joint_offset_quirk, self.head_gain, name="tree")
    head_betas = nn.Dense(betas.shape[-1], kernel_init=init, name="betas")
    head_camera = nn.Dense(CAMERA_DIM, kernel_init=init, name="camera")
    return Estimate(
      pose_6d + tree(for_pose, pose_6d),
      betas + head_betas(for_shape),
      camera + head_camera(for_camera),
    )


def outputs(estimate: Estimate, body: str | None) -> dict[str, Array]:
  """Rotations and, with the body of this name or path, joints and their projection."""
  pose_6d = estimate.pose_6d.reshape(*estimate.pose_6d.shape[:-1], NUM_JOINTS, 6)
  out = dict(estimate._asdict(), rotations=geometry.rotation_6d_to_matrix(pose_6d))
  if body is not None:
    from jaxpose.body import body_files  # a network without a body reads no files

    model = smpl.for_joints(body_files.load(body))
    posed = smpl.pose(model, out["rotations"], estimate.betas)
    out["joints_3d"] = smpl.joints_49(model, posed)
    out["keypoints_2d"] = smpl.project(out["joints_3d"], estimate.camera)
  return out
