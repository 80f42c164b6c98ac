"""The spatial module: one image to a frame token and what its 2D head needs.

Windows first, then global attention of the patches that stay, together with one token
for each joint. That the two attentions are combined is the paper's claim; the released
code has windows alone and averages their output (`joint_tokens=False`, `depth` 0).
Joint tokens and the attention soft-argmax are our choices.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose.models.attention import GLOROT
from jaxpose.models.attention import POSITION
from jaxpose.models.attention import dense
from jaxpose.models.attention import gelu
from jaxpose.models.attention import layer_norm
from jaxpose.models.multiview_selection import GlobalBlock
from jaxpose.models.multiview_selection import Tokens


def patch_centres(height: int, width: int, stride: int) -> np.ndarray:
  """(height width, 2) x and y of the middle of each patch, crop units, raster order."""
  y, x = (
    (2 * (np.arange(size) * stride + (stride - 1) / 2) / (size * stride) - 1)
    for size in (height, width)
  )
  return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(np.float32)


def soft_argmax(
  query: Float[Array, "n j c"],
  key: Float[Array, "n k c"],
  centres: Float[Array, "n k 2"],
  mask: Bool[Array, "n k"] | None = None,
) -> tuple[Float[Array, "n j 2"], Float[Array, "n j k"]]:
  """The mean patch centre under each joint's attention, and that attention."""
  scores = jnp.einsum("njc,nkc->njk", query, key, preferred_element_type=jnp.float32)
  scores = scores * query.shape[-1] ** -0.5
  if mask is not None:
    scores = jnp.where(mask[:, None], scores, -jnp.inf)
  weights = nn.softmax(scores)
  return jnp.einsum("njk,nkc->njc", weights, centres), weights


class Spatial(nn.Module):
  """Grid tokens of images to what the other parts use.

  Attributes:
    num_joints: of the pose.
    features: channels of the frame token.
    joint_tokens: one token for each joint, which finds its place by soft-argmax. Off:
      the frame token is that of one pose token or, at depth 0, the mean patch.
    depth: global blocks.
    heads: of the global attention.
    rates: drop-path rate of each global block.
    keep: share of the patches that stay at each place where some are dropped.
    keep_at: the global block of each place.
    score: what decides at each place; see `GlobalBlock`.
    drop: "gather" drops patches; "mask" keeps them and hides them from attention: the
      same result, slower, for tests and for training with patches of all images.
    fuse_token: at each place, a token for the patches that go.
    ray_tokens: add the viewing ray of each patch to it.
    stride: pixels between patches.
    mlp_ratio: hidden channels of the MLPs over the width.
    dtype: compute type; parameters, softmax and coordinates stay float32.
    remat: recompute each block in the backward pass.
    kernel_init: of the linear layers.
  """

  num_joints: int
  features: int
  joint_tokens: bool
  depth: int
  heads: int
  rates: tuple[float, ...]
  keep: tuple[float, ...]
  keep_at: tuple[int, ...]
  score: tuple[str, ...]
  stride: int
  drop: str = "gather"
  fuse_token: bool = False
  ray_tokens: bool = False
  mlp_ratio: int = 4
  dtype: Any = jnp.float32
  remat: bool = False
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self,
    grid: Float[Array, "n h w c"],
    cameras: tuple[Float[Array, "n 3 3"], Float[Array, "n 4"]] | None = None,
    *,
    train: bool,
  ) -> dict[str, Array]:
    """What is known of each image alone.

    Args:
      grid: patch tokens.
      cameras: rotation and intrinsics of the crop, for `ray_tokens`.
      train: whether to drop paths.

    Returns:
      frame: (n, features); kept: (n, k) int32, patches left at the end, in raster
        order; with score "head" or "mix" at place i, relevance_i: (n, k_i) logits, and
        relevance_patches_i: (n, k_i) int32, which patches these are about.
      With joint tokens also queries, local: (n, j, c) each joint's token, and the patch
        tokens where it looks; places: (n, j, 2) the middle of these, crop units.
    """
    n, h, w, c = grid.shape
    count = h * w
    patches = grid.reshape(n, count, c)
    centres = jnp.asarray(patch_centres(h, w, self.stride))
    if self.ray_tokens:
      rays = _rays(centres, *cameras)
      patches = patches + dense(c, "ray", self.dtype)(rays.astype(self.dtype))
    num_queries = self.num_joints if self.joint_tokens else min(self.depth, 1)
    queries = jnp.zeros((n, 0, c), patches.dtype)
    if num_queries:
      table = self.param("queries", POSITION, (num_queries, c))
      queries = jnp.broadcast_to(table.astype(patches.dtype), (n, num_queries, c))
    tokens = Tokens(
      queries,
      patches,
      jnp.broadcast_to(jnp.arange(count, dtype=jnp.int32)[None], (n, count)),
      jnp.ones((n, count), bool) if self.drop == "mask" else None,
    )
    out, places = {}, dict(zip(self.keep_at, range(len(self.keep)), strict=True))
    block = GlobalBlock
    if self.remat:
      block = nn.remat(GlobalBlock, static_argnums=(2,))
    for i in range(self.depth):
      place = places.get(i)
      tokens, relevance = block(
        self.heads,
        num_queries,
        self.mlp_ratio,
        self.rates[i],
        None if place is None else self.keep[place],
        "none" if place is None else self.score[place],
        self.fuse_token,
        self.dtype,
        self.kernel_init,
        name=f"block_{i}",
      )(tokens, train)
      if relevance is not None:
        out[f"relevance_{place}"] = relevance.logits
        out[f"relevance_patches_{place}"] = relevance.patches
    out["kept"] = tokens.kept
    if self.joint_tokens:
      return out | self._joints(tokens, centres)
    if self.depth:
      x = layer_norm("norm", self.dtype)(tokens.queries[:, 0])
    else:
      x = tokens.patches.mean(1)
    if x.shape[-1] != self.features:
      x = dense(self.features, "frame", self.dtype)(x)
    return out | {"frame": x}

  def _joints(self, tokens, centres):
    c = tokens.patches.shape[-1]
    z = layer_norm("query_norm", self.dtype)(tokens.queries[:, : self.num_joints])
    x = layer_norm("patch_norm", self.dtype)(tokens.patches)
    if tokens.mask is None:
      at = jnp.take(centres, tokens.kept, axis=0)
    else:
      at = jnp.broadcast_to(centres[None], (*tokens.mask.shape, 2))
    query = dense(c, "where_query", self.dtype)(z)
    key = dense(c, "where_key", self.dtype)(x)
    places, weights = soft_argmax(query, key, at, tokens.mask)
    local = jnp.einsum("njk,nkc->njc", weights.astype(x.dtype), x)
    few = dense(4, "frame_local", self.dtype)(local)
    n = z.shape[0]
    parts = [z.mean(1), places.reshape(n, -1).astype(z.dtype), few.reshape(n, -1)]
    frame = dense(self.features, "frame", self.dtype)(jnp.concatenate(parts, -1))
    return dict(frame=frame, queries=z, local=local, places=places)


def _rays(centres, rotation, intrinsics):
  """(n, p, 3) unit vectors in the world from each camera through its patches."""
  focal, middle = intrinsics[:, None, :2], intrinsics[:, None, 2:]
  rays = (
    jnp.broadcast_to(centres[None], (len(focal), *centres.shape)) - middle
  ) / focal
  rays = jnp.concatenate([rays, jnp.ones_like(rays[..., :1])], -1)
  rays = rays / jnp.linalg.norm(rays, axis=-1, keepdims=True)
  return jnp.einsum("npc,ncd->npd", rays, rotation)


class KeypointHead(nn.Module):
  """2D points of each joint, with or without joint tokens, and their confidence.

  Attributes:
    num_joints: of the pose.
    image_size: pixels; without joint tokens the layer's output counts them, as in the
      released code.
    dtype: compute type of the joint part; outputs are float32.
    kernel_init: of the layers but the last of joint tokens.
  """

  num_joints: int
  image_size: int
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self,
    frame: Float[Array, "n d"],
    queries: Float[Array, "n j c"] | None = None,
    local: Float[Array, "n j c"] | None = None,
    places: Float[Array, "n j 2"] | None = None,
  ) -> tuple[Float[Array, "n j 2"], Float[Array, "n j"] | None]:
    """Crop units, and logits of the confidence; none without joint tokens."""
    if queries is None:
      x = layer_norm("norm", jnp.float32, 1e-5)(frame)
      pixels = dense(2 * self.num_joints, "points", jnp.float32, init=self.kernel_init)(
        x
      )
      return (pixels * (2 / self.image_size) - 1).reshape(-1, self.num_joints, 2), None
    n, j, c = queries.shape
    frames = jnp.broadcast_to(frame[:, None], (n, j, frame.shape[-1]))
    x = jnp.concatenate([queries, local, frames.astype(queries.dtype)], -1)
    x = gelu(dense(c, "offset_hidden", self.dtype, init=self.kernel_init)(x))
    small = nn.initializers.normal(0.01)
    offset = dense(2, "offset", jnp.float32, init=small)(x)
    x = jnp.concatenate([queries, frames.astype(queries.dtype)], -1)
    logits = dense(1, "confidence", jnp.float32, init=self.kernel_init)(x)[..., 0]
    return places + offset, logits
