"""GLA-GCN: 2D keypoint sequences to the 3D pose of the centre frame.

Yu et al., "GLA-GCN: Global-local Adaptive Graph Convolutional Network for 3D Human Pose
Estimation from Monocular Video", ICCV 2023, arXiv 2307.05853. One module, three uses:

* the network whose code and weights the authors released (`s_agcn`, and the HumanEva
  variants): strided adaptive graph convolutions and one linear layer shared by the
  joints. Numerically equal to the original, see `jaxpose.convert`.
* the paper's global blocks and two heads on the released code's layers (`gla_gcn`,
  `gla_gcn_3dhp`): unstrided blocks, and a second head that reconstructs the whole 3D
  sequence. The paper's own code was never published. Where paper and training script
  leave a choice, the docstring of the field states ours.
* GLA-GCN-skip, a variant of our own: `linear_skip`, `graph_scale` 1 and no global
  blocks. It is what the configs `quickstart`, `gla_gcn_cmu` and `gla_gcn_bvh_folder`
  train. Its scores are not those of the paper's network.

Inside, arrays are (b, v, t, c): joints `v` before time `t`, channels `c` last.
"""

import dataclasses
import difflib
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.models.layers import BatchNorm
from jaxpose.models.layers import Dropout
from jaxpose.models.layers import conv
from jaxpose.models.layers import mix
from jaxpose.skeletons import skeleton_maps

TEMPORAL_KERNEL = 9

# Directed links (from, to) of the constant graphs. `h36m` and the graph of any other
# skeleton link each joint to its parent. The original's HumanEva graphs run the limbs
# the other way and the detected-keypoint one lacks two links; the 2021 graph is a bug
# (joint numbers decremented twice, -1 wrapping to 16) that old checkpoints may need.
_HUMANEVA_LIMBS = "14-1 2-3 3-4 1-2 5-6 6-7 1-0 0-11 11-12 12-13 8-9 9-10"
LINKS = {
  "humaneva15": _HUMANEVA_LIMBS + " 1-5 0-8",
  "humaneva15_mrcnn": _HUMANEVA_LIMBS,
  "h36m_legacy_2021": (
    "0-16 1-0 2-1 3-16 4-3 5-4 6-16 7-6 8-7 9-8 10-7 11-10 12-11 13-7 14-13 15-14"
  ),
}
SKELETON_GRAPHS = {"h36m": "h36m17", "mpi3dhp": "mpi3dhp17"}


def constant_graph(name: str) -> np.ndarray:
  """Constant adjacency (3, v, v) [subset, source, target]: identity, in, out.

  Links i -> j give `in[j, i] = out[i, j] = 1`; both are normalised by column sums.
  Names: the keys of `LINKS`, "h36m", "mpi3dhp", or any skeleton's name.
  """
  if name in LINKS:
    links = [tuple(map(int, link.split("-"))) for link in LINKS[name].split()]
  else:
    skeleton = SKELETON_GRAPHS.get(name, name)
    if skeleton not in skeletons.SKELETONS:
      known = [*LINKS, *SKELETON_GRAPHS, *skeletons.SKELETONS]
      near = ", ".join(difflib.get_close_matches(name, known, 3, 0.0))
      raise ValueError(f"unknown graph {name!r}; nearest: {near}; known: {known}.")
    links = [(child, parent) for parent, child in skeletons.get(skeleton).bones]
  v = 1 + max(max(link) for link in links)
  graph = np.zeros((3, v, v), np.float32)
  graph[0] = np.eye(v)
  for i, j in links:
    graph[1, j, i] = graph[2, i, j] = 1
  total = graph.sum(1, keepdims=True)
  return graph / np.where(total == 0, 1, total)


def _he_normal(fan_out: int):
  return nn.initializers.normal((2.0 / fan_out) ** 0.5)


class AdaptiveGraphConv(nn.Module):
  """Mixes joints by constant + learned + data-dependent adjacency, then channels.

  Section 3.1 of the paper ("AGCN layer"), with the released code's rules: three
  subsets; the data-dependent part is a softmax over *source* joints of an embedded
  dot product, averaged over the whole time window.

  Attributes:
    features: channels of the output.
    graph: name for `constant_graph`.
    dropout: on the normalised branch, before the skip.
    graph_scale: initial scale of the normalised branch.
  """

  features: int
  graph: str
  dropout: float = 0.1
  graph_scale: float = 1e-6

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], *, train: bool, bn_momentum: ArrayLike
  ) -> Float[Array, "b v t {self.features}"]:
    """Convolves; `bn_momentum` moves the running statistics in training."""
    b, v, t, c = x.shape
    d = self.features
    e = d // 4 or 3  # 3 for the coordinate head, as in the original
    constant = constant_graph(self.graph)
    param = self.param
    learned = param("adjacency", nn.initializers.constant(1e-6), (3, v, v))
    embed_kernel = param("embed_kernel", _he_normal(e), (2, 3, c, e))  # a and b
    embed_bias = param("embed_bias", nn.initializers.zeros, (2, 3, e))
    mix_kernel = param("mix_kernel", _he_normal(3 * d * c), (3, c, d))
    mix_bias = param("mix_bias", nn.initializers.zeros, (3, d))

    # Joints are mixed on the side with fewer channels; both orders are the same sum.
    channels_first = c >= d
    kernels = [embed_kernel[side, k] for side in range(2) for k in range(3)]
    mixed = mix(x, kernels + (list(mix_kernel) if channels_first else []))
    biases = embed_bias.astype(x.dtype).reshape(2, 3, 1, 1, 1, e)
    y = mix_bias.sum(0).astype(x.dtype).reshape(1, 1, 1, -1)
    for k in range(3):
      source, target = (
        (mixed[3 * side + k] + biases[side, k]).reshape(b, v, t * e)
        for side in range(2)
      )
      score = jnp.einsum(
        "bun,bvn->buv", source, target, preferred_element_type=jnp.float32
      )
      adjacency = nn.softmax(score / (e * t), axis=1) + (constant[k] + learned[k])[None]
      adjacency = adjacency.astype(x.dtype)
      z = mixed[6 + k] if channels_first else x
      z = jnp.einsum("buv,bun->bvn", adjacency, z.reshape(b, v, -1))
      z = z.reshape(b, v, t, -1)
      y = y + (z if channels_first else mix(z, [mix_kernel[k]])[0])

    y = BatchNorm(nn.initializers.constant(self.graph_scale), name="bn")(
      y, train=train, momentum=bn_momentum
    )
    y = Dropout(self.dropout)(y, train=train)
    if c != d:
      kernel = param("down_kernel", _he_normal(d), (1, c, d))
      bias = param("down_bias", nn.initializers.zeros, (d,))
      # This norm and the block's residual norm keep PyTorch's default momentum.
      x = BatchNorm(name="down_bn")(conv(x, kernel, bias), train=train)
    return nn.relu(y + x)


class Block(nn.Module):
  """`relu(temporal(graph(x)) + residual(x))`, one AGCN block.

  Attributes:
    features: channels of the output.
    graph: name for `constant_graph`.
    stride: of the temporal convolution, which is zero-padded by 4 on both sides.
    residual: whether the block has a skip path; strided blocks have none.
    activation: the closing ReLU; off where the output is a coordinate.
    graph_dropout: dropout inside the graph convolution.
    graph_scale: initial scale of the graph branch.
  """

  features: int
  graph: str
  stride: int = 1
  residual: bool = True
  activation: bool = True
  graph_dropout: float = 0.1
  graph_scale: float = 1e-6

  @nn.compact
  def __call__(
    self, x: Float[Array, "b v t c"], train: bool, bn_momentum: ArrayLike
  ) -> Float[Array, "b v s {self.features}"]:
    """Convolves over joints, then over time."""
    c, d = x.shape[-1], self.features
    y = AdaptiveGraphConv(
      d, self.graph, self.graph_dropout, self.graph_scale, name="graph"
    )(x, train=train, bn_momentum=bn_momentum)
    kernel = self.param(
      "temporal_kernel", _he_normal(TEMPORAL_KERNEL * d), (TEMPORAL_KERNEL, d, d)
    )
    bias = self.param("temporal_bias", nn.initializers.zeros, (d,))
    y = conv(y, kernel, bias, stride=self.stride, padding=TEMPORAL_KERNEL // 2)
    y = BatchNorm(name="temporal_bn")(y, train=train, momentum=bn_momentum)
    if self.residual and c == d:
      y = y + x
    elif self.residual:
      kernel = self.param("residual_kernel", _he_normal(d), (1, c, d))
      bias = self.param("residual_bias", nn.initializers.zeros, (d,))
      y = y + BatchNorm(name="residual_bn")(conv(x, kernel, bias), train=train)
    return nn.relu(y) if self.activation else y


def _uniform(fan_in: int):
  bound = fan_in**-0.5

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -bound, bound)

  return init


class GlaGcn(nn.Module):
  """GLA-GCN and the released S-AGCN; see `VARIANTS` for the named configurations.

  Attributes:
    graph: name for `constant_graph`; its joints are those of the output.
    width: channels of every hidden layer.
    filter_widths: temporal stride of each module, equal and odd; their product is the
      receptive field in frames.
    dropout: after every block but the first.
    graph_dropout: inside the graph convolutions; the original fixes it at 0.1.
    graph_scale: initial scale of the graph branch in every block. The original's 1e-6
      switches joints off from each other at the start; 1 learns much faster.
    input_norm: batch norm of the input. The original's HumanEva model for detected
      keypoints stores one but never applies it.
    input_map: skeleton of the input if it is to be mapped to `humaneva15` inside.
    global_blocks: unstrided blocks before the branches (0: the released network). The
      paper's figure draws three.
    sequence_head: adds the paper's "reconstruct 3D pose sequence" branch and its
      output `joints_3d_sequence`. Its block keeps no closing ReLU, since coordinates
      have a sign.
    head: "shared", one linear layer for all joints, or "unshared", one per joint: the
      paper's two individually connected layers.
    linear_skip: adds a linear map of each frame's keypoints to that frame's pose, so
      that the network learns what a linear lifter misses. Ours, not the paper's: the
      layers, all shared by the joints, tell joints apart by the graph alone and need
      far more steps to learn where each belongs.
    dtype: compute type; parameters, statistics and softmax stay float32.
    remat: recompute each block in the backward pass to save memory.
  """

  graph: str = "h36m"
  width: int = 96
  filter_widths: tuple[int, ...] = (3, 3, 3)
  dropout: float = 0.1
  graph_dropout: float = 0.1
  graph_scale: float = 1e-6
  input_norm: bool = True
  input_map: str | None = None
  global_blocks: int = 0
  sequence_head: bool = False
  head: str = "shared"
  linear_skip: bool = False
  dtype: Any = jnp.float32
  remat: bool = False

  def __post_init__(self):
    widths = tuple(self.filter_widths)
    if not widths or len(set(widths)) > 1 or any(w < 3 or w % 2 == 0 for w in widths):
      raise ValueError(
        f"got filter_widths {widths}, expected equal odd widths of at least 3, such as "
        "(3, 3, 3): with others the original's receptive field is not the product."
      )
    if self.head not in ("shared", "unshared"):
      raise ValueError(f"got head {self.head!r}, expected 'shared' or 'unshared'.")
    super().__post_init__()

  @property
  def receptive_field(self) -> int:
    """Frames of the input that one output frame sees."""
    return int(np.prod(self.filter_widths))

  @property
  def num_joints(self) -> int:
    """Joints of the output."""
    return constant_graph(self.graph).shape[-1]

  @nn.compact
  def __call__(
    self,
    keypoints_2d: Float[Array, "b t j 2"],
    train: bool = False,
    bn_momentum: ArrayLike = 0.1,
  ) -> dict[str, Float[Array, "b s v 3"]]:
    """3D pose of the centre frame (and of all frames, with `sequence_head`).

    Args:
      keypoints_2d: screen coordinates in [-1, 1], see `cameras.normalize_screen`. The
        number of frames is a multiple of the receptive field; with more than one
        multiple the centre predictions are averaged, as in the original.
      train: batch statistics and dropout (rng "dropout") instead of running ones.
      bn_momentum: weight of a new batch in the running statistics; may be traced.

    Returns:
      joints_3d: (b, 1, v, 3) metres, camera frame, relative to the root joint.
      joints_3d_sequence: (b, t, v, 3), only with `sequence_head`.
    """
    x = keypoints_2d.astype(self.dtype)
    if self.input_map is not None and x.shape[2] != self.num_joints:
      x = skeleton_maps.convert(x, self.input_map, "humaneva15")
    b, t, j, _ = x.shape
    if j != self.num_joints:
      raise ValueError(
        f"got {j} joints, expected the {self.num_joints} of graph {self.graph!r}; "
        "convert the keypoints with jaxpose.skeletons.skeleton_maps."
      )
    if t == 0 or t % self.receptive_field:
      raise ValueError(
        f"got windows of {t} frames, expected a multiple of the receptive field, "
        f"{self.receptive_field} frames (filter_widths {tuple(self.filter_widths)})."
      )
    if self.input_norm:
      x = BatchNorm(name="input_bn")(
        x.reshape(b, t, 2 * j), train=train, momentum=bn_momentum
      )
    linear = 0.0
    if self.linear_skip:
      linear = nn.Dense(3 * j, kernel_init=nn.initializers.zeros, name="linear")(
        x.reshape(b, t, 2 * j).astype(jnp.float32)
      ).reshape(b, t, j, 3)
    x = x.reshape(b, t, j, 2).transpose(0, 2, 1, 3)

    block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
    drop = functools.partial(Dropout(self.dropout), train=train)
    kw = dict(
      graph=self.graph,
      graph_dropout=self.graph_dropout,
      graph_scale=self.graph_scale,
    )
    hidden = dict(kw, features=self.width)
    x = block(**hidden, name="expand")(x, train, bn_momentum)
    for i in range(self.global_blocks):
      x = drop(block(**hidden, name=f"global_{i}")(x, train, bn_momentum))
    out = {}
    if self.sequence_head:
      head = block(**kw, features=3, activation=False, name="sequence")
      y = head(x, train, bn_momentum)
      out["joints_3d_sequence"] = y.transpose(0, 2, 1, 3).astype(jnp.float32) + linear
    for i, w in enumerate(self.filter_widths):
      # The skip takes frames 1, 4, 7, ... while the strided convolution is centred on
      # 0, 3, 6, ...: one frame apart in the original, and so here.
      skip = x[:, :, w // 2 :: w]
      x = drop(block(**hidden, name=f"flat_{i}")(x, train, bn_momentum))
      shrink = block(**hidden, stride=w, residual=False, name=f"strided_{i}")
      x = drop(shrink(x, train, bn_momentum)) + skip

    x = x.mean(2).astype(jnp.float32)
    init, v = _uniform(self.width), self.num_joints
    if self.head == "shared":
      pose = nn.Dense(3, kernel_init=init, bias_init=init, name="head")(x)
    else:
      kernel = self.param("head_kernel", init, (v, self.width, 3))
      pose = jnp.einsum("bvc,vcd->bvd", x, kernel)
      pose = pose + self.param("head_bias", init, (v, 3))[None]
    out["joints_3d"] = pose[:, None]
    if self.linear_skip:
      out["joints_3d"] += linear[:, t // 2 : t // 2 + 1]
    return out


# Named configurations: what the paper and the released code call a model.
VARIANTS: dict[str, dict] = {
  "s_agcn": {},
  "s_agcn_humaneva": dict(graph="humaneva15"),
  "s_agcn_humaneva_mrcnn": dict(
    graph="humaneva15_mrcnn", input_norm=False, input_map="coco17"
  ),
  "gla_gcn": dict(global_blocks=3, sequence_head=True),
  "gla_gcn_unshared": dict(global_blocks=3, sequence_head=True, head="unshared"),
  # The published training script builds the Human3.6M graph on 3DHP's joint order;
  # graph="mpi3dhp" links the right joints.
  "gla_gcn_3dhp": dict(
    graph="h36m",
    width=256,
    filter_widths=(3, 3, 3, 3),
    global_blocks=3,
    sequence_head=True,
  ),
}


def build(variant: str = "s_agcn", **overrides) -> GlaGcn:
  """The named configuration, with any field of `GlaGcn` overridden.

  Raises:
    ValueError: unknown variant or field, with the nearest names.
  """
  if variant not in VARIANTS:
    near = ", ".join(difflib.get_close_matches(variant, VARIANTS, 3, 0.0))
    raise ValueError(f"unknown GLA-GCN variant {variant!r}; nearest: {near}.")
  fields = [f.name for f in dataclasses.fields(GlaGcn) if f.name not in _FLAX_FIELDS]
  for key in overrides:
    if key not in fields:
      near = ", ".join(difflib.get_close_matches(key, fields, 3, 0.0))
      raise ValueError(f"GLA-GCN has no field {key!r}; nearest: {near}.")
  fields = {**VARIANTS[variant], **overrides}
  if "filter_widths" in fields:
    fields["filter_widths"] = tuple(fields["filter_widths"])
  if "dtype" in fields:
    fields["dtype"] = jnp.dtype(fields["dtype"])
  return GlaGcn(**fields)


_FLAX_FIELDS = ("parent", "name")
