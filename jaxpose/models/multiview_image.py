"""The spatial module: one image to a frame token and what its 2D head needs.

Three steps. `Trunk` makes a grid of patch tokens, by a convolutional stem and windowed
attention. `select` keeps the patches that matter. `Spatial` adds global attention of
the kept patches, together with one token for each joint.

What is whose:

* Windowed and global attention combined is the paper's claim. The form of the windows
  (stages, shifts, relative positions, merging) is that of the released code, a Swin
  transformer, which has windows alone and averages their output
  (`joint_tokens=False`, `depth` 0). Windows see the whole grid, before any patch is
  dropped: our choice, for a window needs its raster.
* Cropping away patches that do not matter for the pose is the paper's. The released
  code has it as an EViT that is not connected (score: attention of the class token,
  keep 0.9 in each layer, no fused token). The supervised score "head" and its place
  before the first block are our choices.
* Joint tokens and the attention soft-argmax are our choices.

The number of kept patches is a Python number, so every shape is static; gradients flow
through the kept patches, not through the choice.
"""

import functools
import math
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
from jaxpose.models.attention import DropPath
from jaxpose.models.attention import Mlp
from jaxpose.models.attention import dense
from jaxpose.models.attention import gelu
from jaxpose.models.attention import layer_norm


def partition(x: Float[Array, "n h w c"], window: int) -> Float[Array, "m t c"]:
  """Square windows in raster order, image by image; each is a sequence of tokens."""
  n, h, w, c = x.shape
  x = x.reshape(n, h // window, window, w // window, window, c)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, window * window, c)


def unpartition(
  x: Float[Array, "m t c"], window: int, height: int, width: int
) -> Float[Array, "n {height} {width} c"]:
  """Inverse of `partition`."""
  c = x.shape[-1]
  x = x.reshape(-1, height // window, width // window, window, window, c)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, height, width, c)


@functools.cache
def window_mask(
  height: int, width: int, window: int, shift: int, valid: tuple[int, int]
) -> np.ndarray | None:
  """(windows, tokens, tokens) bool: who may look at whom; None if all may.

  A shifted grid wraps round its edge: tokens that come from opposite sides do not mix.
  Nobody looks at padding.

  Args:
    height: of the grid with its padding.
    width: likewise.
    window: side of a window.
    shift: by which the grid was rolled up and to the left.
    valid: rows and columns of the grid without padding.
  """
  labels, real = [], []
  for size, kept in zip((height, width), valid, strict=True):
    at = np.arange(size) + shift
    labels.append(at >= size)  # wrapped
    real.append(at % size < kept)
  label = 2 * labels[0][:, None] + labels[1][None]
  real = real[0][:, None] & real[1][None]
  label, real = (
    a.reshape(height // window, window, width // window, window)
    .transpose(0, 2, 1, 3)
    .reshape(-1, window * window)
    for a in (label, real)
  )
  mask = (label[:, :, None] == label[:, None, :]) & real[:, None, :]
  return None if mask.all() else mask


@functools.cache
def relative_index(window: int, largest: int) -> np.ndarray:
  """(tokens, tokens): row of the table for each offset between two tokens.

  The table is for windows of side `largest`; smaller ones read its middle.
  """
  at = np.stack(np.meshgrid(*[np.arange(window)] * 2, indexing="ij"), -1).reshape(-1, 2)
  offset = at[:, None] - at[None] + largest - 1
  return offset[..., 0] * (2 * largest - 1) + offset[..., 1]


class WindowBlock(nn.Module):
  """A transformer block whose tokens see their window alone.

  Attributes:
    heads: of the attention.
    window: side of a window, in tokens.
    shift: of the grid before it is cut into windows.
    mlp_ratio: hidden channels of the MLP over the width.
    drop_path: rate of stochastic depth.
    epsilon: of the norms.
    dtype: compute type.
    kernel_init: of the weights.
  """

  heads: int
  window: int
  shift: int = 0
  mlp_ratio: int = 4
  drop_path: float = 0.0
  epsilon: float = 1e-6
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self, x: Float[Array, "n h w c"], train: bool
  ) -> Float[Array, "n h w c"]:
    """Same shape out; a grid that windows do not fill is padded meanwhile."""
    _, h, w, c = x.shape
    window, shift = self.window, self.shift
    if min(h, w) <= window:
      window, shift = min(h, w), 0
    height, width = (-(-size // window) * window for size in (h, w))
    table = self.param(
      "relative_position",
      nn.initializers.truncated_normal(0.02),
      ((2 * self.window - 1) ** 2, self.heads),
    )
    bias = table[relative_index(window, self.window)].transpose(2, 0, 1)[None]
    mask = window_mask(height, width, window, shift, (h, w))

    y = layer_norm("norm1", self.dtype, self.epsilon)(x)
    y = jnp.pad(y, ((0, 0), (0, height - h), (0, width - w), (0, 0)))
    y = jnp.roll(y, (-shift, -shift), (1, 2)) if shift else y
    y = Attention(
      self.heads, dtype=self.dtype, kernel_init=self.kernel_init, name="attention"
    )(
      partition(y, window),
      train=train,
      bias=bias,
      mask=None if mask is None else jnp.asarray(mask),
    )
    y = unpartition(y, window, height, width)
    y = jnp.roll(y, (shift, shift), (1, 2)) if shift else y
    x = x + DropPath(self.drop_path, name="drop_path1")(y[:, :h, :w], train=train)
    y = layer_norm("norm2", self.dtype, self.epsilon)(x)
    y = Mlp(
      self.mlp_ratio * c, dtype=self.dtype, kernel_init=self.kernel_init, name="mlp"
    )(y, train=train)
    return x + DropPath(self.drop_path, name="drop_path2")(y, train=train)


class PatchMerging(nn.Module):
  """Each square of 2 x 2 tokens becomes one of twice the width."""

  epsilon: float = 1e-6
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n i j d"]:
    """Half the rows and columns, which must be even."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 4, 2, 5)
    x = x.reshape(n, h // 2, w // 2, 4 * c)
    x = layer_norm("norm", self.dtype, self.epsilon)(x)
    return dense(2 * c, "reduction", self.dtype, False, self.kernel_init)(x)


class Trunk(nn.Module):
  """Images to a grid of tokens.

  Attributes:
    stem: (channels, kernel, stride) of each convolution; norm and GELU between them.
    grid: rows and columns of the table of positions, added after the stem and resized
      where a grid differs; None for no table, as in the released code.
    depths: window blocks of each stage; between stages 2 x 2 tokens merge.
    heads: of each stage.
    window: side of a window, in tokens; every other block shifts by half of it.
    mlp_ratio: hidden channels of the MLPs over the width.
    rates: drop-path rate of each block.
    epsilon: of the norms.
    dtype: compute type; parameters, softmax and the statistics of norms stay float32.
    remat: recompute each block in the backward pass.
    kernel_init: of the linear layers.
  """

  stem: tuple[tuple[int, int, int], ...]
  grid: tuple[int, int] | None
  depths: tuple[int, ...]
  heads: tuple[int, ...]
  window: int
  rates: tuple[float, ...]
  mlp_ratio: int = 4
  epsilon: float = 1e-6
  dtype: Any = jnp.float32
  remat: bool = False
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(
    self, images: Float[Array, "n y x 3"], *, train: bool
  ) -> Float[Array, "n h w c"]:
    """Tokens after a last norm; n images, h x w tokens each."""
    x = images.astype(self.dtype)
    for i, (features, kernel, stride) in enumerate(self.stem):
      x = gelu(x) if i else x
      edge = 0 if kernel == stride else kernel // 2
      x = nn.Conv(
        features,
        (kernel, kernel),
        (stride, stride),
        [(edge, edge)] * 2,
        dtype=self.dtype,
        name=f"stem_{i}",
      )(x)
      x = layer_norm(f"stem_norm_{i}", self.dtype, self.epsilon)(x)
    if self.grid is not None:
      table = self.param("position", POSITION, (*self.grid, x.shape[-1]))
      if table.shape[:2] != x.shape[1:3]:
        table = jax.image.resize(table, x.shape[1:], "bilinear")
      x = x + table.astype(x.dtype)[None]
    block = WindowBlock
    if self.remat:
      block = nn.remat(WindowBlock, static_argnums=(2,))
    rates = iter(self.rates)
    common = dict(epsilon=self.epsilon, dtype=self.dtype, kernel_init=self.kernel_init)
    for stage, (depth, heads) in enumerate(zip(self.depths, self.heads, strict=True)):
      if stage:
        x = PatchMerging(**common, name=f"merge_{stage}")(x)
      for i in range(depth):
        x = block(
          heads,
          self.window,
          self.window // 2 if i % 2 else 0,
          self.mlp_ratio,
          next(rates),
          **common,
          name=f"stage{stage}_{i}",
        )(x, train)
    return layer_norm("norm", self.dtype, self.epsilon)(x)


SCORES = ("attn", "head", "mix", "rand", "none")


class Tokens(NamedTuple):
  """What the global blocks work on.

  Attributes:
    queries: (n, q, c) joint tokens (or one pose token), then any fused tokens.
    patches: (n, p, c), in raster order.
    kept: (n, k) which patches of the grid are still in use, ascending.
    mask: (n, p) the same for patches that are masked instead of dropped, else None.
  """

  queries: Float[Array, "n q c"]
  patches: Float[Array, "n p c"]
  kept: Int[Array, "n k"]
  mask: Bool[Array, "n p"] | None


class Relevance(NamedTuple):
  """Logits that a patch matters, and where these patches are in the grid."""

  logits: Float[Array, "n k"]
  patches: Int[Array, "n k"]


def keep_count(count: int, keep: float) -> int:
  """Patches that stay of `count`: the share `keep`, rounded up."""
  return math.ceil(count * keep - 1e-9)


def standardize(
  scores: Float[Array, "n p"], mask: Bool[Array, "n p"] | None
) -> Float[Array, "n p"]:
  """Mean 0 and deviation 1 over the patches in use."""
  weight = jnp.ones_like(scores) if mask is None else mask.astype(scores.dtype)
  weight = weight / weight.sum(-1, keepdims=True)
  centred = scores - (weight * scores).sum(-1, keepdims=True)
  variance = (weight * centred * centred).sum(-1, keepdims=True)
  return centred * lax.rsqrt(jnp.maximum(variance, 1e-20))


def select(
  tokens: Tokens, scores: Float[Array, "n p"], count: int, *, fuse: bool = False
) -> Tokens:
  """Keeps the `count` patches of the largest scores; of equals, the first.

  Args:
    tokens: with a mask, patches are masked; without, they are dropped.
    scores: of the patches.
    count: static.
    fuse: add one query token, the mean of the patches that go, weighted by the softmax
      of their standardised scores.
  """
  scores = lax.stop_gradient(scores.astype(jnp.float32))
  if fuse:
    likely = standardize(scores, tokens.mask)
  if tokens.mask is not None:
    scores = jnp.where(tokens.mask, scores, -jnp.inf)
  before = tokens.kept.shape[1]
  _, index = lax.top_k(scores, count)
  index = jnp.sort(index, axis=-1)
  rows = jnp.arange(scores.shape[0])[:, None]
  stays = jnp.zeros(scores.shape, bool).at[rows, index].set(True)
  queries = tokens.queries
  if fuse and count < before:
    gone = ~stays if tokens.mask is None else tokens.mask & ~stays
    weight = jnp.where(gone, jax.nn.softmax(likely, where=gone), 0)
    fused = jnp.einsum("np,npc->nc", weight.astype(queries.dtype), tokens.patches)
    queries = jnp.concatenate([queries, fused[:, None]], 1)
  if tokens.mask is not None:
    return Tokens(queries, tokens.patches, index, stays)
  patches = jnp.take_along_axis(tokens.patches, index[..., None], 1)
  return Tokens(queries, patches, jnp.take_along_axis(tokens.kept, index, 1), None)


class GlobalBlock(nn.Module):
  """A transformer block over queries and patches that may drop patches inside.

  Scores that need no attention drop them before the block. Those that do, drop them
  between its attention and its MLP, where EViT does.

  Attributes:
    heads: of the attention.
    mlp_ratio: hidden channels of the MLP over the width.
    drop_path: rate of stochastic depth.
    keep: share of the patches that stay; None keeps all and has no score.
    score: "head", one logit a patch, to be trained against where the body is; "attn",
      attention from the queries to the patch, its mean over queries and heads; "mix",
      the sum of the two, standardised; "rand", the same arbitrary patches always.
    num_queries: tokens whose attention counts; fused ones do not.
    fuse: see `select`.
    dtype: compute type; parameters, softmax, scores and norms' statistics are float32.
    kernel_init: of the weights.
  """

  heads: int
  num_queries: int
  mlp_ratio: int = 4
  drop_path: float = 0.0
  keep: float | None = None
  score: str = "head"
  fuse: bool = False
  dtype: Any = jnp.float32
  kernel_init: Callable = GLOROT

  @nn.compact
  def __call__(self, tokens: Tokens, train: bool) -> tuple[Tokens, Relevance | None]:
    """The tokens left, and the logits of scores "head" and "mix"."""
    drops = self.keep is not None and self.score != "none"
    relevance = None
    if drops and self.score in ("head", "rand"):
      scores, relevance = self._scores(tokens, None)
      tokens = self._select(tokens, scores)

    x, mask = jnp.concatenate(tokens[:2], 1), None
    if tokens.mask is not None:
      mask = jnp.pad(
        tokens.mask, ((0, 0), (tokens.queries.shape[1], 0)), constant_values=True
      )[:, None]
    y, weights = Attention(
      self.heads, dtype=self.dtype, kernel_init=self.kernel_init, name="attention"
    )(
      layer_norm("norm1", self.dtype)(x),
      train=train,
      mask=mask,
      return_weights=True,
    )
    x = x + DropPath(self.drop_path, name="drop_path1")(y, train=train)
    tokens = _replace(tokens, x)
    if drops and self.score in ("attn", "mix"):
      seen = weights[:, :, : self.num_queries, tokens.queries.shape[1] :].mean((1, 2))
      scores, relevance = self._scores(tokens, seen)
      tokens = self._select(tokens, scores)
      x = jnp.concatenate(tokens[:2], 1)

    y = layer_norm("norm2", self.dtype)(x)
    y = Mlp(
      self.mlp_ratio * x.shape[-1],
      dtype=self.dtype,
      kernel_init=self.kernel_init,
      name="mlp",
    )(y, train=train)
    x = x + DropPath(self.drop_path, name="drop_path2")(y, train=train)
    return _replace(tokens, x), relevance

  def _scores(self, tokens, seen):
    """Of all patches; and the logits of those in use, where there are any."""
    n, p = tokens.patches.shape[:2]
    if self.score == "attn":
      return seen, None
    if self.score == "rand":
      patches = jnp.arange(p)[None] if tokens.mask is not None else tokens.kept
      return jnp.broadcast_to(_arbitrary(patches), (n, p)), None
    logits = dense(1, "relevance", jnp.float32)(tokens.patches)[..., 0]
    inside = logits
    if tokens.mask is not None:
      inside = jnp.take_along_axis(logits, tokens.kept, 1)
    relevance = Relevance(inside, tokens.kept)
    if self.score == "head":
      return logits, relevance
    parts = (standardize(a, tokens.mask) for a in (logits, seen))
    return sum(parts), relevance

  def _select(self, tokens, scores):
    count = keep_count(tokens.kept.shape[1], self.keep)
    return select(tokens, scores, count, fuse=self.fuse)


def _arbitrary(index):
  """A number for each index that looks random and is always the same."""
  bits = index.astype(jnp.uint32) * np.uint32(0x9E3779B1)
  bits = (bits ^ (bits >> 15)) * np.uint32(0x85EBCA77)
  return (bits ^ (bits >> 13)).astype(jnp.float32)


def _replace(tokens: Tokens, x) -> Tokens:
  q = tokens.queries.shape[1]
  return tokens._replace(queries=x[:, :q], patches=x[:, q:])


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
