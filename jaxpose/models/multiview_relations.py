"""The image-relations module: the frame tokens of a clip attend to each other.

Temporal and spatial relations between compact image tokens are the paper's; four
pre-norm blocks over one sequence are the released code's (`layout="joint"`). There the
batch is that sequence: feed one clip with all images in a row for the same. Masks,
causal attention and the other layouts are ours.

`Embedding` tells the tokens of a clip apart by frame, view and camera. The released
module adds none of these, so it cannot tell order or camera (`time="none"`,
`view="none"`); whether the paper's does is not known to us. All the others are our
choices: the camera's for calibrated rigs, which the paper names as future work, an
index for a rig that never changes, a mark on the reference view else.
"""

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int

from jaxpose.models.attention import GLOROT
from jaxpose.models.attention import POSITION
from jaxpose.models.attention import Attention
from jaxpose.models.attention import Blocks
from jaxpose.models.attention import DropPath
from jaxpose.models.attention import Mlp
from jaxpose.models.attention import dense
from jaxpose.models.attention import gelu
from jaxpose.models.attention import layer_norm

TIMES = ("learned", "sinusoid", "rotary", "none")
VIEWS = ("camera", "index", "reference", "relative", "none")


class Cameras(NamedTuple):
  """A calibrated rig; axes and units as in `cameras`, all numbers finite.

  Attributes:
    rotation: (b, v, 3, 3) world to camera.
    position: (b, v, 3) camera centres, metres.
    intrinsics: (b, v, t, 4) fx, fy, cx, cy of each crop, in crop units.
  """

  rotation: Float[Array, "b v 3 3"]
  position: Float[Array, "b v 3"]
  intrinsics: Float[Array, "b v t 4"]


def as_cameras(rotation, position, intrinsics) -> Cameras | None:
  """The rig of three arrays that are given together; None without any.

  Raises:
    ValueError: some are missing.
  """
  parts = dict(
    camera_rotation=rotation, camera_position=position, crop_intrinsics=intrinsics
  )
  missing = [name for name, part in parts.items() if part is None]
  if len(missing) == len(parts):
    return None
  if missing:
    raise ValueError(
      f"got cameras without {' and '.join(missing)}, expected {', '.join(parts)}; "
      "give all three or none."
    )
  return Cameras(rotation, position, intrinsics)


def require_cameras(cameras, what: str) -> None:
  """Refuses to go on without a rig."""
  if cameras is None:
    raise ValueError(
      f"got no cameras, expected camera_rotation, camera_position and crop_intrinsics "
      f"for {what}; give them or choose another."
    )


def sinusoid(count: int, width: int) -> np.ndarray:
  """(count, width) sines, then cosines, of positions at falling frequencies."""
  half = -(-width // 2)
  angle = np.arange(count)[:, None] * 10000.0 ** (-np.arange(half) / half)[None]
  table = np.concatenate([np.sin(angle), np.cos(angle)], 1)[:, :width]
  return table.astype(np.float32)


def camera_features(
  cameras: Cameras, present: Bool[Array, "b v t"], causal: bool
) -> Float[Array, "b v t 13"]:
  """Numbers that describe each camera within its rig.

  Two rows of the rotation; the centre relative to the middle of the rig, in units of
  the rig's radius (root mean square); the crop's intrinsics. The rig is that of the
  views seen in the clip, `causal`: seen so far, so that views that are only padding do
  not count. One view is its own middle.
  """
  if causal:
    seen = lax.cummax(present.astype(jnp.float32), 2)
  else:
    seen = jnp.broadcast_to(present.any(2, keepdims=True), present.shape)
  shape = (*present.shape, 3)
  weight = seen.astype(jnp.float32)[..., None]
  weight = weight / jnp.maximum(weight.sum(1, keepdims=True), 1)
  centre = jnp.broadcast_to(cameras.position[:, :, None], shape)
  centre = centre - (weight * centre).sum(1, keepdims=True)
  square = (weight * centre * centre).sum((1, 3), keepdims=True)
  apart = square > 1e-12
  centre = jnp.where(apart, centre * lax.rsqrt(jnp.where(apart, square, 1)), 0)
  rows = cameras.rotation[:, :, None, :2].reshape(*present.shape[:2], 1, 6)
  rows = jnp.broadcast_to(rows, (*present.shape, 6))
  return jnp.concatenate([rows, centre, cameras.intrinsics], -1)


class Embedding(nn.Module):
  """One vector for each image of a clip.

  Attributes:
    features: channels.
    time: "learned" table of `max_frames` rows, of which the first are used; "sinusoid";
      "rotary" and "none" add nothing here.
    view: "camera", of calibrated cameras; "index", a table of `max_views` rows for a
      rig that never changes; "reference", a mark on one view; "relative", of how the
      2D poses of the other views at the same time differ; "none".
    max_frames: rows of the table.
    max_views: rows of the table.
    causal: whether what comes later must not matter.
    dtype: compute type.
  """

  features: int
  time: str = "learned"
  view: str = "camera"
  max_frames: int = 128
  max_views: int = 8
  causal: bool = False
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    present: Bool[Array, "b v t"],
    cameras: Cameras | None = None,
    reference: Int[Array, " b"] | None = None,
    keypoints: Float[Array, "b v t j 2"] | None = None,
  ) -> Float[Array, "b v t {self.features}"]:
    """To add to the tokens.

    Raises:
      ValueError: more frames or views than the tables have, or no cameras where they
        are asked for.
    """
    b, v, t = present.shape
    total = jnp.zeros((b, v, t, self.features), self.dtype)
    if self.time == "learned":
      _require("frames", t, self.max_frames)
      table = self.param("time", POSITION, (self.max_frames, self.features))[:t]
      total += table.astype(self.dtype)[None, None]
    elif self.time == "sinusoid":
      total += jnp.asarray(sinusoid(t, self.features), self.dtype)[None, None]
    if self.view == "camera":
      require_cameras(cameras, "the view embedding 'camera'")
      total += self._mlp("camera", camera_features(cameras, present, self.causal))
    elif self.view == "index":
      _require("views", v, self.max_views)
      table = self.param("view", POSITION, (self.max_views, self.features))[:v]
      total += table.astype(self.dtype)[None, :, None]
    elif self.view == "reference":
      mark = self.param("reference", POSITION, (self.features,)).astype(self.dtype)
      chosen = reference_view(reference, b, v)[..., None, None]
      total += jnp.where(chosen, mark.reshape(1, 1, 1, -1), jnp.zeros((), self.dtype))
    elif self.view == "relative":
      total += self._relative(present, keypoints)
    return total

  def _mlp(self, name, x):
    x = gelu(dense(self.features, f"{name}_hidden", self.dtype)(x.astype(self.dtype)))
    return dense(self.features, name, self.dtype)(x)

  def _relative(self, present, keypoints):
    """The mean over the other views present of a function of the difference."""
    b, v, t = present.shape
    points = keypoints.reshape(b, v, t, -1)
    points = jnp.where(present[..., None], points, 0)
    difference = points[:, :, None] - points[:, None]  # (b, v, other, t, 2j)
    pair = (present[:, :, None] & present[:, None])[..., None]
    other = ~jnp.eye(v, dtype=bool).reshape(1, v, v, 1, 1)
    weight = (pair & other).astype(self.dtype)
    return (weight * self._mlp("relative", difference)).sum(2) / jnp.maximum(
      weight.sum(2), 1
    )


def reference_view(
  reference: Int[Array, " b"] | None, b: int, v: int
) -> Bool[Array, "b v"]:
  """Which view the pose's axes are those of; the first, if none is given."""
  if reference is None:
    reference = jnp.zeros((b,), jnp.int32)
  return jax.nn.one_hot(reference, v, dtype=bool)


def _require(what, got, most):
  if got > most:
    raise ValueError(
      f"got {got} {what}, expected at most {most} for a learned table; raise "
      f"max_{what} or choose an embedding without a table."
    )


LAYOUTS = ("joint", "factorised", "time_only", "view_only", "off")


def key_mask(
  present: Bool[Array, "b n"], time: np.ndarray, causal: bool
) -> Bool[Array, "b n n"]:
  """Who may look at whom: at what is present and, if `causal`, not later."""
  n = len(time)
  allowed = time[None] <= time[:, None] if causal else np.ones((n, n), bool)
  return present[:, None] & jnp.asarray(allowed)[None]


class FactorisedBlock(nn.Module):
  """Attention over the views of a frame, then over the frames of a view, then an MLP.

  Attributes: as in `Relations`; `drop_path` is the rate of all three branches.
  """

  heads: int
  mlp_ratio: int
  drop_path: float
  causal: bool
  rotary: bool
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], present: Bool[Array, "b v t"], train: bool
  ) -> Float[Array, "b v t c"]:
    """Same shape out."""
    b, v, t, c = x.shape
    common = dict(dtype=self.dtype, kernel_init=self.kernel_init)
    y = layer_norm("view_norm", self.dtype)(x).swapaxes(1, 2).reshape(b * t, v, c)
    seen = present.swapaxes(1, 2).reshape(b * t, v)
    y = Attention(self.heads, **common, name="view")(
      y, train=train, mask=key_mask(seen, np.zeros(v), False)
    )
    y = y.reshape(b, t, v, c).swapaxes(1, 2)
    x = x + DropPath(self.drop_path, name="drop_path1")(y, train=train)

    y = layer_norm("time_norm", self.dtype)(x).reshape(b * v, t, c)
    time = np.arange(t)
    y = Attention(self.heads, **common, name="time")(
      y,
      train=train,
      mask=key_mask(present.reshape(b * v, t), time, self.causal),
      position=jnp.asarray(time, jnp.float32) if self.rotary else None,
    ).reshape(b, v, t, c)
    x = x + DropPath(self.drop_path, name="drop_path2")(y, train=train)

    y = layer_norm("norm", self.dtype)(x)
    y = Mlp(self.mlp_ratio * c, **common, name="mlp")(y, train=train)
    return x + DropPath(self.drop_path, name="drop_path3")(y, train=train)


class Relations(nn.Module):
  """Blocks over the images of a clip, then a norm. An image may look at itself.

  An image that is not present is looked at by none, itself included; it still looks at
  the others. Where nothing can be looked at, attention adds nothing.

  Attributes:
    layout: "joint", all images of a clip together, up to some 128 of them; beyond,
      "factorised" (views, then frames) costs less; "time_only", "view_only" and "off"
      are for ablations.
    rates: drop-path rate of each block.
    heads: of the attention.
    mlp_ratio: hidden channels of the MLPs over the width.
    causal: images look at no later frame.
    rotary: turn queries and keys by their frame.
    dtype: compute type; parameters, softmax and the statistics of norms stay float32.
    remat: recompute each block in the backward pass.
    kernel_init: of the linear layers.
  """

  layout: str
  rates: tuple[float, ...]
  heads: int
  mlp_ratio: int = 2
  causal: bool = False
  rotary: bool = False
  dtype: Any = jnp.float32
  remat: bool = False
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], present: Bool[Array, "b v t"], *, train: bool
  ) -> Float[Array, "b v t c"]:
    """Same shape out; `x` holds the embeddings already."""
    b, v, t, c = x.shape
    if self.layout == "off":
      return layer_norm("norm", self.dtype)(x)
    common = dict(dtype=self.dtype, kernel_init=self.kernel_init)
    if self.layout == "factorised":
      block = FactorisedBlock
      if self.remat:
        block = nn.remat(FactorisedBlock, static_argnums=(3,))
      for i, rate in enumerate(self.rates):
        x = block(
          self.heads,
          self.mlp_ratio,
          rate,
          self.causal,
          self.rotary,
          **common,
          name=f"block_{i}",
        )(x, present, train)
      return layer_norm("norm", self.dtype)(x)

    by_frame = self.layout == "view_only"
    if by_frame:
      x, present = x.swapaxes(1, 2), present.swapaxes(1, 2)
    rows = b if self.layout == "joint" else x.shape[0] * x.shape[1]
    time = {
      "joint": np.tile(np.arange(t), v),
      "time_only": np.arange(t),
      "view_only": np.zeros(v, int),
    }[self.layout]
    shape = x.shape
    x = Blocks(
      self.rates, self.heads, self.mlp_ratio, remat=self.remat, **common, name="blocks"
    )(
      x.reshape(rows, -1, c),
      train=train,
      mask=key_mask(present.reshape(rows, -1), time, self.causal),
      position=jnp.asarray(time, jnp.float32) if self.rotary else None,
    ).reshape(shape)
    return x.swapaxes(1, 2) if by_frame else x


def drop_views(
  present: Bool[Array, "b v t"],
  noise: Float[Array, "b v"],
  rate: float,
  keep: Bool[Array, "b v"] | None = None,
) -> Bool[Array, "b v t"]:
  """Hides whole views, each with probability `rate`, but never all that are present.

  Args:
    present: before.
    noise: uniform in [0, 1); a view goes where it is below `rate`. The one with the
      most, of those present, stays in any case.
    rate: of dropping.
    keep: views that stay in any case.
  """
  noise = jnp.where(present.any(2), noise, -1)
  stays = (noise >= rate) | (noise == lax.stop_gradient(noise.max(1, keepdims=True)))
  if keep is not None:
    stays = stays | keep
  return present & stays[..., None]
