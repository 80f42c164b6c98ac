"""GLoT at work: windows to SMPL parameters, the same for clips and for streams."""

import dataclasses
import functools
import os
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from tqdm import tqdm

from jaxpose import body as smpl
from jaxpose import body_files
from jaxpose import frame_rates
from jaxpose import keypoint_crops
from jaxpose import mesh_inputs
from jaxpose import predict_inputs
from jaxpose import pretrained
from jaxpose import translation
from jaxpose.cameras import guess_focal
from jaxpose.gaps import fill_windows
from jaxpose.mesh_inputs import Frames
from jaxpose.meshes import Mesh

# Of a keypoint that was interpolated, in the fit of the translation. It matters in
# frames in which nothing is seen.
_INTERPOLATED = 0.01
_FPS = 50.0  # of files, where nobody says it


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
  """Everything but the frames.

  Attributes:
    model: the weights, of GLoT.
    variables: of the module, on the device.
    size: of the image, pixels, or None.
    focal: length of its camera, pixels, or None.
    box_scale: side of a crop over the longer side of its box.
    body: name or path.
    joint_body: the vertices of it that joints need.
    joint_map: from its 49 joints to the network's keypoints.
    frame_rate: frames per second of the input.
  """

  model: pretrained.Pretrained
  variables: Any
  size: tuple[float, float] | None
  focal: float | None
  box_scale: float
  body: str
  joint_body: smpl.Body
  joint_map: Float[np.ndarray, "j 49"]
  frame_rate: float

  @property
  def eats_keypoints(self) -> bool:
    """Whether the network reads keypoints."""
    return self.model.module.encoder == "keypoints"

  @property
  def middle(self) -> int:
    """Frame of a window that it is about."""
    return self.model.window // 2

  @property
  def offsets(self) -> Float[np.ndarray, " w"]:
    """Places of a window's frames, see `frame_rates`."""
    after = self.model.window - 1 - self.middle
    ratio = frame_rates.ratio(self.frame_rate, self.model.fps)
    return frame_rates.offsets(self.model.window, after, ratio)

  def run(self, values: np.ndarray, confidence: np.ndarray) -> dict[str, np.ndarray]:
    """The network's answer to a batch of windows."""
    run = _program(self.model.module.clone(body=None))
    return {
      k: np.asarray(a) for k, a in run(self.variables, values, confidence).items()
    }


def setup(weights, *, image_size, focal, body, fps, box_scale, boxes: bool) -> Setup:
  """Checks what does not depend on the frames.

  Args:
    weights: see `mesh`; so are the next.
    image_size: needed for keypoints and with boxes.
    focal: or None.
    body: or None.
    fps: of the clip, or None.
    box_scale: of boxes.
    boxes: whether there are boxes.
  """
  model = mesh_inputs.glot_weights(weights)
  fps = frame_rates.checked(fps)
  for name, value in (("focal", focal), ("box_scale", box_scale)):
    if not (value is None and name == "focal"):
      if not isinstance(value, (int, float, np.number)) or not 0 < value < np.inf:
        raise ValueError(f"got {name}={value!r}, expected a positive number.")
  size, joint_map = None, np.zeros((1, 49), np.float32)
  if model.module.encoder == "keypoints":
    joint_map = mesh_inputs.available_map("spin49", model.module.input_map)
  if model.module.encoder == "keypoints" or boxes:
    size = predict_inputs.image_size(image_size)
    focal = guess_focal(size) if focal is None else float(focal)
  name = os.fspath(body_name(model) if body is None else body)
  return Setup(
    model,
    jax.device_put(model.variables),
    size,
    focal if size else None,
    float(box_scale),
    name,
    smpl.for_joints(body_files.load(name)),
    joint_map,
    float(fps or model.fps or _FPS),
  )


def body_name(model: pretrained.Pretrained) -> str:
  """The body that weights were trained with; the free one where they do not say."""
  named = model.model.get("body") or model.info.get("body")
  if not named and "converted_from" in model.info:
    raise ValueError(
      "got converted weights, which do not say which body they pose, expected the path "
      "of an SMPL file as body; see docs/mesh.md."
    )
  return named or "free"


# Keyed by the module's fields, not its variables: weights of one architecture share it.
@functools.lru_cache(maxsize=8)
def _program(module):
  def run(
    variables, values: Float[Array, "b t j c"], confidence: Float[Array, "b t j"]
  ) -> dict[str, Array]:
    crop = jnp.zeros((len(values), 3))
    if module.encoder == "keypoints":
      crop = keypoint_crops.window_crop(values, confidence)
      values = keypoint_crops.network_input(values, confidence, crop)
    else:
      values = values[:, :, 0]
    out = module.apply(variables, values)
    estimate = {key: out[key][:, 0] for key in ("rotations", "betas", "camera")}
    return estimate | {"crop": crop}

  return jax.jit(run)


class Estimates(NamedTuple):
  """What is known of each frame before its body is put together.

  Attributes:
    rotations: of the joints.
    betas: of the frame.
    camera: of the crop.
    crops: centre x, centre y and half side in pixels, or NaN.
    points: keypoints in pixels, those not seen interpolated; of features a dummy.
    weights: of these points in the fit of the translation.
    certainty: mean confidence of the frame's keypoints; 1 or 0 for features.
    valid: whether a frame nearby was seen.
    empty: whether no frame of the window was seen.
  """

  rotations: Float[np.ndarray, "t 24 3 3"]
  betas: Float[np.ndarray, "t s"]
  camera: Float[np.ndarray, "t 3"]
  crops: Float[np.ndarray, "t 3"]
  points: Float[np.ndarray, "t j 2"]
  weights: Float[np.ndarray, "t j"]
  certainty: Float[np.ndarray, " t"]
  valid: Bool[np.ndarray, " t"]
  empty: Bool[np.ndarray, " t"]

  def take(self, frames: Int[np.ndarray, " n"]) -> "Estimates":
    """Those of some frames, which say of themselves what they said."""
    return Estimates(*(array[frames] for array in self))


def estimate(setup: Setup, windows: Frames) -> Estimates:
  """One for each window, of its middle frame; leading axes (b, t)."""
  seen = windows.confidence > 0
  values = fill_windows(windows.values, seen)
  # As in training, a keypoint is there or it is not.
  out = setup.run(values, np.float32(seen))
  middle, nearby = setup.middle, setup.model.module.nearby
  confidence, count = windows.confidence[:, middle], len(values)
  points, weights = np.zeros((count, 1, 2)), np.zeros((count, 1))
  if setup.eats_keypoints:
    points = predict_inputs.off_screen(np.float64(values[:, middle]), *setup.size)
    weights = np.where(seen.any(1), _INTERPOLATED, 0)
    weights = np.where(seen[:, middle], confidence, weights)
    centre = predict_inputs.off_screen(np.float64(out["crop"][:, :2]), *setup.size)
    crops = np.concatenate([centre, out["crop"][:, 2:] * (max(setup.size) / 2)], -1)
  else:
    boxes = fill_windows(windows.boxes, seen)[:, middle, 0]
    half = setup.box_scale * boxes[:, 2:].max(-1, keepdims=True) / 2
    crops = np.concatenate([boxes[:, :2], half], -1)
  shown = seen.any(-1)
  return Estimates(
    out["rotations"],
    out["betas"],
    out["camera"],
    np.float32(crops),
    points,
    np.float64(weights),
    np.float64(confidence.mean(-1)),
    shown[:, middle - nearby : middle + nearby + 1].any(-1),
    ~shown.any(-1),
  )


def estimate_clip(
  setup: Setup, frames: Frames, batch_size: int, progress: str | None
) -> Estimates:
  """Every frame of a clip, in batches of one size, the last one padded."""
  t = len(frames.values)
  offsets = setup.offsets
  batch_size = min(batch_size, 1 << (t - 1).bit_length())
  found = []
  starts = range(0, t, batch_size)
  for start in tqdm(starts, progress, unit="batch", disable=not progress):
    chosen = np.minimum(np.arange(start, start + batch_size), t - 1)
    part = estimate(setup, mesh_inputs.windows(frames, chosen[:, None] + offsets[None]))
    found.append(part.take(np.arange(min(batch_size, t - start))))
  return Estimates(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def hold(estimates: Estimates) -> Estimates:
  """Frames whose window shows nothing take the pose of the last one that does.

  Before the first one that does, they take that one's. Their certainty stays 0, and
  they stay invalid.
  """
  source = np.where(estimates.empty, -1, np.arange(len(estimates.empty)))
  source = np.maximum.accumulate(source)
  source = np.where(source < 0, np.flatnonzero(~estimates.empty)[0], source)
  held = estimates.take(source)
  own = ("certainty", "valid", "empty")
  return held._replace(**{name: getattr(estimates, name) for name in own})


def mean_betas(estimates: Estimates) -> Float[np.ndarray, " s"]:
  """The shape of a clip: the mean over its frames, weighted by their certainty."""
  return np.float32(np.average(estimates.betas, 0, estimates.certainty))


def put_together(
  setup: Setup, estimates: Estimates, betas: Float[np.ndarray, "t s"], report: str
) -> Mesh:
  """The result, with the translations that the keypoints or the crops give."""
  moved = np.zeros((len(betas), 3))
  if setup.size:
    posed = smpl.pose(setup.joint_body, estimates.rotations, betas)
    width, height = setup.size
    centre, focal = (width / 2, height / 2), setup.focal
    moved = translation.from_crop(estimates.camera, estimates.crops, focal, centre)
    if setup.eats_keypoints:
      joints = setup.joint_map[None] @ smpl.joints_49(setup.joint_body, posed)
      rays = (estimates.points - np.asarray(centre)[None, None]) / focal
      weights = estimates.weights * (setup.joint_map != 0).any(1)[None]
      moved = translation.fit(joints, rays, weights, moved)
  return Mesh(
    rotations=estimates.rotations,
    betas=betas,
    translation=np.float32(moved),
    camera=estimates.camera,
    crops=estimates.crops,
    valid=estimates.valid,
    report=report,
    body=setup.body,
    image_size=setup.size,
    focal=setup.focal,
    frame_rate=setup.frame_rate,
  )
