"""What tells the tokens of a clip apart: their frame, their view, their camera.

The released relation module adds none of these, so that it cannot tell order or camera
(`time="none"`, `view="none"`); whether the paper's does is not known to us. All the
others are our choices: the camera's for calibrated rigs, which the paper names as
future work, an index for a rig that never changes, a mark on the reference view else.
"""

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

from jaxpose.models.attention import POSITION
from jaxpose.models.attention import dense
from jaxpose.models.attention import gelu

TIMES = ("learned", "sinusoid", "rotary", "none")
VIEWS = ("camera", "index", "reference", "relative", "none")


class Cameras(NamedTuple):
  """A calibrated rig; axes and units as in `jaxpose.cameras`, all numbers finite.

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
