"""GLoT: SMPL pose and shape of a video window, global motion first, then local.

Shen, Yang, Wang, Ma, Zhou and Yang, "Global-to-Local Modeling for Video-based 3D Human
Pose and Shape Estimation", CVPR 2023. Every number follows the released code, which
differs from the paper here and there.
"""

import dataclasses
import difflib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array
from jaxtyping import Float

from jaxpose import skeletons
from jaxpose.models.glot_parts import KEYPOINT_CHANNELS
from jaxpose.models.glot_parts import NUM_JOINTS
from jaxpose.models.glot_parts import Estimate
from jaxpose.models.glot_parts import GlobalMotion
from jaxpose.models.glot_parts import Hscr
from jaxpose.models.glot_parts import IterativeRegressor
from jaxpose.models.glot_parts import KeypointEncoder
from jaxpose.models.glot_parts import LocalMotion
from jaxpose.models.glot_parts import outputs

# Ours: no rotation, mean shape, the body upright in the crop. The original starts from
# a licensed file; conversion takes its numbers from the checkpoint.
_IDENTITY_6D = np.tile(np.array([1, 0, 0, 1, 0, 0], np.float32), NUM_JOINTS)
_CAMERA = np.array([0.9, 0, 0], np.float32)


class Glot(nn.Module):
  """GLoT; see `VARIANTS` for the named configurations.

  The collection "constants" holds the mean parameters that the regressor starts from
  and the mask token is made of (`pose_6d`, `betas`, `camera`); it is not trained.

  Attributes:
    encoder: what the input is: "features" of an image network, as in the original, or
      "keypoints", which a small network of ours turns into features, frame by frame.
    window: frames of the input; the middle one is `window // 2`.
    feat_dim: channels of the features.
    keypoint_skeleton: of the input, with encoder "keypoints"; what 2D detectors give.
    keypoint_hidden: channels inside the keypoint encoder.
    width: channels of the global encoder.
    depth: blocks of the global encoder.
    heads: of the global encoder and decoder.
    decoder_width: channels of the global decoder.
    decoder_depth: blocks of the global decoder.
    mask_hidden: channels of the layers that make the mask token.
    mask_ratio: share of the frames that the encoder does not see in training.
    mlp_ratio: hidden channels of every block over its width.
    local_width: channels of the local branch.
    local_depth: blocks of the local branch.
    local_heads: of the local encoder.
    cross_heads: of the attention from the local branch to the global one.
    nearby: frames before and after the middle one that the local branch sees.
    num_betas: shape components.
    regressor_hidden: channels inside the global regressor.
    regressor_iterations: updates of the global regressor.
    hscr_hidden: channels inside the local regressor (HSCR).
    head_gain: of the initial weights that give pose, shape and camera. The released
      code writes 0.01 and then overwrites it by 1.
    joint_offset_quirk: HSCR reads entries j to j + 5 of the global pose for joint j
      instead of the joint's own, 6 j to 6 j + 5. So did the released code, by mistake,
      and so weights of it must; leave it off to train from scratch.
    dropout: of the global branch.
    drop_path: stochastic depth of the last global block, from 0 in even steps.
    local_dropout: of the local branch.
    local_drop_path: stochastic depth of the last local block.
    attention_dropout: of all attention weights but the cross-attention's.
    regressor_dropout: inside the global regressor.
    hscr_dropout: inside HSCR.
    keypoint_dropout: inside the keypoint encoder.
    body: name or path for `body_files.load`; adds joints to the output. None: SMPL
      parameters alone.
    dtype: compute type of the token networks; parameters, softmax, the statistics of
      norms, regressors and outputs stay float32.
    remat: recompute each block in the backward pass to save memory.
  """

  encoder: str = "features"
  window: int = 16
  feat_dim: int = 2048
  keypoint_skeleton: str = "coco17"
  keypoint_hidden: int = 512
  width: int = 512
  depth: int = 2
  heads: int = 8
  decoder_width: int = 256
  decoder_depth: int = 1
  mask_hidden: tuple[int, ...] = (256, 512)
  mask_ratio: float = 0.5
  mlp_ratio: int = 4
  local_width: int = 256
  local_depth: int = 3
  local_heads: int = 8
  cross_heads: int = 8
  nearby: int = 4
  num_betas: int = 10
  regressor_hidden: int = 1024
  regressor_iterations: int = 3
  hscr_hidden: int = 1024
  head_gain: float = 1.0
  joint_offset_quirk: bool = False
  dropout: float = 0.1
  drop_path: float = 0.2
  local_dropout: float = 0.1
  local_drop_path: float = 0.2
  attention_dropout: float = 0.0
  regressor_dropout: float = 0.5
  hscr_dropout: float = 0.25
  keypoint_dropout: float = 0.1
  body: str | None = None
  dtype: Any = jnp.float32
  remat: bool = False

  def __post_init__(self):
    if self.encoder not in ("features", "keypoints"):
      raise ValueError(
        f"got encoder {self.encoder!r}, expected 'features' or 'keypoints'."
      )
    middle = self.window // 2
    if not (1 <= self.nearby <= middle and middle + self.nearby < self.window):
      raise ValueError(
        f"got nearby {self.nearby} for a window of {self.window} frames, expected at "
        f"least 1 and so few that frames {middle} - nearby to {middle} + nearby exist."
      )
    if not 0 <= self.mask_ratio < 1 or self.visible < 1:
      raise ValueError(
        f"got mask_ratio {self.mask_ratio} for a window of {self.window} frames, "
        "expected a share in [0, 1) that leaves the encoder a frame to see."
      )
    if self.decoder_depth > self.depth:
      raise ValueError(
        f"got decoder_depth {self.decoder_depth}, expected at most the encoder's depth "
        f"{self.depth}: the decoder takes the first drop-path rates of the encoder."
      )
    super().__post_init__()

  @property
  def visible(self) -> int:
    """Frames that the global encoder sees in training."""
    return int(self.window * (1 - self.mask_ratio))

  @property
  def receptive_field(self) -> int:
    """Frames of the input, all of which the output sees."""
    return self.window

  @property
  def input_shape(self) -> tuple[int, ...]:
    """Of one example."""
    if self.encoder == "keypoints":
      joints = skeletons.get(self.keypoint_skeleton).num_joints
      return self.window, joints, KEYPOINT_CHANNELS
    return self.window, self.feat_dim

  @property
  def input_map(self) -> str | None:
    """Skeleton of the keypoints; None for features."""
    return self.keypoint_skeleton if self.encoder == "keypoints" else None

  @nn.compact
  def __call__(
    self,
    features: Float[Array, "b t c"] | Float[Array, "b t j 5"],
    *,
    train: bool = False,
    noise: Float[Array, "b t"] | None = None,
  ) -> dict[str, Array]:
    """SMPL parameters of the middle frame.

    In training n is 3 frames, the middle one and its neighbours, and for the keys with
    `global_` all frames of the window; else both are the middle frame alone.

    Args:
      features: (b, t, feat_dim); with encoder "keypoints" what
        `keypoint_crops.network_input` makes, (b, t, j, 5).
      train: hides frames from the global encoder (rng "mask") and drops activations
        and whole branches (rng "dropout").
      noise: in training, what decides which frames stay visible, those with the
        smallest, instead of the rng "mask".

    Returns:
      pose_6d: (b, n, 144); rotations: (b, n, 24, 3, 3) relative to the parent joint;
        betas: (b, n, s); camera: (b, n, 3), see `body.project`. All four also with the
        prefix `global_`, of the global branch alone.
      mask: (b, t), in training: frames that the global encoder did not see.
      joints_3d: (b, n, 49, 3) metres, and keypoints_2d: (b, n, 49, 2) crop units, with
        a body; both also with the prefix `global_`.
    """
    x = self._features(features, train)
    mean = self._mean()
    if not train:
      noise = None
    elif noise is None:
      noise = jax.random.uniform(self.make_rng("mask"), features.shape[:2])

    common = dict(
      mlp_ratio=self.mlp_ratio,
      attention_dropout=self.attention_dropout,
      dtype=self.dtype,
      remat=self.remat,
    )
    tokens, memory, hidden = GlobalMotion(
      width=self.width,
      depth=self.depth,
      heads=self.heads,
      decoder_width=self.decoder_width,
      decoder_depth=self.decoder_depth,
      keep=self.visible,
      mask_hidden=self.mask_hidden,
      dropout=self.dropout,
      drop_path=self.drop_path,
      name="global",
      **common,
    )(x, jnp.concatenate(mean), noise, train=train)
    overall = IterativeRegressor(
      self.regressor_hidden,
      self.regressor_iterations,
      self.regressor_dropout,
      self.head_gain,
      name="global_regressor",
    )(tokens, mean, train=train)

    middle = self.window // 2
    local = LocalMotion(
      width=self.local_width,
      depth=self.local_depth,
      heads=self.local_heads,
      cross_heads=self.cross_heads,
      dropout=self.local_dropout,
      drop_path=self.local_drop_path,
      name="local",
      **common,
    )(x[:, middle - self.nearby : middle + self.nearby + 1], memory, train=train)
    initial = overall
    if train:
      initial = Estimate(*(a[:, middle - 1 : middle + 2] for a in overall))
    final = Hscr(
      self.hscr_hidden,
      self.hscr_dropout,
      self.joint_offset_quirk,
      self.head_gain,
      name="hscr",
    )(local, lax.stop_gradient(initial), train=train)

    # Both estimates in one pass, since they share all work from here on.
    pairs = zip(final, overall, strict=True)
    both = outputs(Estimate(*(jnp.concatenate(p, 1) for p in pairs)), self.body)
    n = initial.camera.shape[1]
    out = {key: value[:, :n] for key, value in both.items()}
    out |= {f"global_{key}": value[:, n:] for key, value in both.items()}
    return out if hidden is None else {**out, "mask": hidden}

  def _features(self, x, train):
    if x.shape[1:] != self.input_shape:
      raise ValueError(
        f"got an input of {x.shape[1:]}, expected {self.input_shape} for encoder "
        f"{self.encoder!r}; change the window, or the fields window, feat_dim and "
        "keypoint_skeleton."
      )
    if self.encoder == "features":
      return x.astype(self.dtype)
    encoder = KeypointEncoder(
      self.feat_dim,
      self.keypoint_hidden,
      self.keypoint_dropout,
      self.dtype,
      name="keypoints",
    )
    return encoder(x, train=train)

  def _mean(self) -> Estimate:
    start = Estimate(_IDENTITY_6D, np.zeros(self.num_betas, np.float32), _CAMERA)
    return Estimate(
      *(
        self.variable("constants", name, jnp.asarray, value).value
        for name, value in zip(Estimate._fields, start, strict=True)
      )
    )


# Named configurations. "glot" is that of all three published models.
VARIANTS: dict[str, dict] = {
  "glot": {},
  "glot_keypoints": dict(encoder="keypoints", feat_dim=512),
}


def build(variant: str = "glot", **overrides) -> Glot:
  """The named configuration, with any field of `Glot` overridden.

  Raises:
    ValueError: unknown variant or field, with the nearest names.
  """
  if variant not in VARIANTS:
    near = ", ".join(difflib.get_close_matches(variant, VARIANTS, 3, 0.0))
    raise ValueError(f"unknown GLoT variant {variant!r}; nearest: {near}.")
  fields = [f.name for f in dataclasses.fields(Glot) if f.name not in _FLAX_FIELDS]
  for key in overrides:
    if key not in fields:
      near = ", ".join(difflib.get_close_matches(key, fields, 3, 0.0))
      raise ValueError(f"GLoT has no field {key!r}; nearest: {near}.")
  fields = {**VARIANTS[variant], **overrides}
  if "mask_hidden" in fields:
    fields["mask_hidden"] = tuple(fields["mask_hidden"])
  if "dtype" in fields:
    fields["dtype"] = jnp.dtype(fields["dtype"])
  return Glot(**fields)


_FLAX_FIELDS = ("parent", "name")
