"""The multi-view network at work, the same for clips and for streams.

The spatial module runs once for each image. What it says of the last frames is kept on
the device (the memory), and windows of frames are related from there.
"""

import dataclasses
import functools
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import UInt8
from tqdm import tqdm

from jaxpose import frame_rates
from jaxpose import multiview_plan
from jaxpose import predict_inputs
from jaxpose import pretrained
from jaxpose.models import multiview
from jaxpose.models.multiview_embeddings import Cameras
from jaxpose.multiview_inputs import Clip
from jaxpose.multiview_views import Views

CAMERAS = ("camera_rotation", "camera_position", "crop_intrinsics")
_TOKENS = ("frame", "queries", "local", "places")


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
  """The network.

  Attributes:
    model: the weights.
    variables: of the module, on the device.
    size: pixels of a crop.
    calibrated: whether it reads cameras.
  """

  model: pretrained.Pretrained
  variables: Any
  size: int
  calibrated: bool

  @property
  def window(self) -> int:
    """Frames that it sees at a time."""
    return self.model.window

  def ratio(self, fps: float) -> float:
    """Of the rates, see `frame_rates`; 0 frames per second are not known."""
    return frame_rates.ratio(fps, self.model.fps)

  def span(self, ratio: float) -> int:
    """Frames of the input from the first to the last that a window may need."""
    return int(np.ceil(np.round((self.window - 1) * ratio, 6))) + 1

  @property
  def lifts(self) -> bool:
    """Whether it has a 3D stage with parameters."""
    return self.model.module.lifter in ("fused", "poseformer")

  @property
  def turned(self) -> bool:
    """Whether its 3D poses are in the axes of the reference view, as for scores."""
    return not self.calibrated


def setup(weights: Any) -> Setup:
  """The network of weights, checked.

  Raises:
    ValueError: it is none that looks at several views.
    FileNotFoundError: no such weights.
  """
  model = predict_inputs.loaded(weights)
  if not isinstance(model.module, multiview.MultiView):
    hint = "jaxpose.predict.lift and jaxpose.predict.mesh take those of other models"
    if model.model["name"] == "multiview_lifter":
      hint = "a lifter alone reads 2D poses, not pictures"
    raise ValueError(
      f"got weights of the model {model.model['name']!r}, expected those of "
      f"'multiview'; {hint}."
    )
  known = ("images", "view_mask", *CAMERAS)
  if model.inputs not in (known[:2], known):
    raise ValueError(
      f"got a network with the inputs {', '.join(model.inputs)}, expected "
      f"{', '.join(known[:2])}, or these with {', '.join(CAMERAS)}."
    )
  size = int(model.info.get("crop_size", model.module.image_size))
  variables = jax.device_put(model.variables)
  return Setup(model, variables, size, model.inputs == known)


def require_rig(setup: Setup, views: Views) -> None:
  """ValueError for a recording without calibration and a network that reads it."""
  if setup.calibrated and views.rig is None:
    raise ValueError(
      "got a recording without calibration and weights that read cameras, expected "
      "calibration.toml, calibration.json, or intri.yml with extri.yml beside the "
      "videos (for arrays: cameras=); calibrate, or take weights of a network without "
      "cameras (inputs images and view_mask)."
    )


def reference_index(views: Views, reference: str | None) -> int:
  """Of the named view; the first for None."""
  if reference is None:
    return 0
  if reference not in views.names:
    raise ValueError(
      f"got the reference {reference!r}, expected one of {', '.join(views.names)}."
    )
  return views.names.index(reference)


class Memory(NamedTuple):
  """What is known of the last frames; axes (v, l, ...), the newest last.

  Attributes:
    tokens: of each image.
    present: whether there was one.
    intrinsics: of its crop.
  """

  tokens: dict[str, jax.Array]
  present: jax.Array
  intrinsics: jax.Array


def empty(setup: Setup, views: int, length: int) -> Memory:
  """A memory of nothing."""
  module, size = setup.model.module, setup.size
  shape = jax.ShapeDtypeStruct
  example = Memory(
    {},
    shape((views, 1), bool),
    shape((views, 1, 4), jnp.float32),
  )
  images = shape((views, 1, size, size, 3), jnp.uint8)
  rig = (shape((views, 3, 3), jnp.float32), shape((views, 3), jnp.float32))
  tokens = jax.eval_shape(
    functools.partial(_encode, module),
    setup.variables,
    images,
    example.present,
    example.intrinsics,
    rig if setup.calibrated else None,
  )
  return jax.tree.map(
    lambda a: jnp.zeros((views, length, *a.shape[2:]), a.dtype),
    example._replace(tokens=tokens),
  )


def _encode(module, variables, images, present, intrinsics, rig):
  cameras = None
  if rig is not None:
    cameras = Cameras(rig[0][None], rig[1][None], intrinsics[None])
  out = module.apply(
    variables, images[None], present[None], cameras, method="encode_images"
  )
  return {key: out[key][0] for key in _TOKENS if key in out}


# Keyed by the module's fields, not its variables: weights of one architecture share it.
@functools.lru_cache(maxsize=8)
def _programs(module, lifts: bool):
  """Two programs: `remember` new frames, and `relate` windows of the memory."""

  @jax.jit
  def remember(variables, memory, images, present, intrinsics, rig):
    tokens = _encode(module, variables, images, present, intrinsics, rig)
    new = Memory(tokens, present, intrinsics)
    count = images.shape[1]
    return jax.tree.map(lambda a, b: jnp.concatenate([a[:, count:], b], 1), memory, new)

  @jax.jit
  def relate(variables, memory, at, rig, reference):
    length, b = memory.present.shape[1], len(at)
    inside = (at >= 0) & (at < length)
    at = jnp.clip(at, 0, length - 1)
    taken = jax.tree.map(lambda a: jnp.moveaxis(a[:, at], 0, 1), memory)
    present = taken.present & inside[:, None]
    reference = jnp.full(b, reference)
    cameras = None
    if rig is not None:
      rig = [jnp.broadcast_to(a[None], (b, *a.shape)) for a in rig]
      cameras = Cameras(*rig, taken.intrinsics)
    out = module.apply(
      variables, taken.tokens, present, cameras, reference=reference, method="relate"
    )
    found = {key: out[key] for key in ("keypoints_2d", "scores")}
    found = {key: jnp.moveaxis(a, 1, 2) for key, a in found.items()}  # (b, t, v, ...)
    if lifts:
      args = out["keypoints_2d"], out["scores"], present, cameras
      pose = module.apply(variables, *args, reference=reference, method="lift")
      found["joints_3d"] = pose["joints_3d"]
    return found

  return remember, relate


def rig_of(setup: Setup, views: Views):
  """Rotations and positions for the network; None where it reads none."""
  if not setup.calibrated:
    return None
  return jnp.float32(views.rotation), jnp.float32(views.position)


def remember(
  setup: Setup,
  memory: Memory,
  images: UInt8[np.ndarray, "v t s s 3"],
  present: Bool[np.ndarray, "v t"],
  intrinsics: Float[np.ndarray, "v t 4"],
  rig,
) -> Memory:
  """The memory with these frames at its end, and as many fewer at its beginning."""
  program, _ = _programs(setup.model.module, setup.lifts)
  return program(setup.variables, memory, images, present, np.float32(intrinsics), rig)


def relate(
  setup: Setup, memory: Memory, at: Int[np.ndarray, "b t"], rig, reference: int
) -> dict[str, np.ndarray]:
  """What the network says of windows that hold these places of the memory.

  Places outside of the memory count as missing.

  Returns:
    keypoints_2d: (b, t, v, j, 2) crop units; scores: (b, t, v, j); and of a network
    with a 3D stage joints_3d: (b, t, j, 3).
  """
  _, program = _programs(setup.model.module, setup.lifts)
  out = program(setup.variables, memory, np.int32(at), rig, reference)
  return {key: np.asarray(array) for key, array in out.items()}


def run(
  setup: Setup, clip: Clip, batch_size: int, reference: int, progress: str | None
) -> dict[str, np.ndarray]:
  """What the network says of each frame; (t, ...), see `relate`.

  At most `batch_size` frames of pictures, and a window more of tokens, are in memory.
  """
  t, v = clip.present.shape
  size, ratio = setup.size, setup.ratio(clip.fps)
  chunk = min(batch_size, 1 << (t - 1).bit_length())
  causal = setup.model.module.causal
  windows = multiview_plan.plan(t, setup.window, causal, ratio)
  at = frame_rates.nearest(windows.at)
  newest = np.arange(t) if causal else np.minimum(at[:, -1], t - 1)
  group = newest // chunk
  most = int(np.bincount(group).max())
  rig = rig_of(setup, clip.views)
  intrinsics = clip.views.crop_intrinsics(clip.boxes, size)
  memory = empty(setup, v, setup.span(ratio) - 1 + chunk)
  pictures = clip.read(np.ones(t, bool))
  found: dict[str, np.ndarray] = {}
  with tqdm(total=t, desc=progress, unit="frame", disable=not progress) as bar:
    for number in range(-(-t // chunk)):
      frames = np.arange(number * chunk, min((number + 1) * chunk, t))
      images = np.zeros((v, chunk, size, size, 3), np.uint8)
      present = np.zeros((v, chunk), bool)
      cameras = np.ones((v, chunk, 4))  # finite where the clip has ended
      for i, frame in enumerate(frames):
        boxes, there = clip.boxes[frame], clip.present[frame]
        images[:, i] = clip.views.crop(next(pictures), boxes, there, size)
        present[:, i] = there
        cameras[:, i] = intrinsics[frame]
      memory = remember(setup, memory, images, present, cameras, rig)
      mine = np.flatnonzero(group == number)
      if len(mine):
        padded = np.append(mine, np.repeat(mine[-1:], most - len(mine)))
        oldest = (number + 1) * chunk - memory.present.shape[1]
        out = relate(setup, memory, at[padded] - oldest, rig, reference)
        asked = np.flatnonzero(np.isin(windows.window, mine))
        place = np.searchsorted(mine, windows.window[asked])
        for key, array in out.items():
          if key not in found:
            found[key] = np.zeros((t, *array.shape[2:]), array.dtype)
          found[key][asked] = array[place, windows.row[asked]]
      bar.update(len(frames))
  return found
