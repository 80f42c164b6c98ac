"""GLoT at work: keypoints or image features to SMPL parameters, by clip or by frame.

The input of each frame is prepared and checked here, windows of it go through the
network, and its answers become a `Mesh`. `predict.mesh` does it for a clip,
`MeshStream` frame by frame, for video as it is captured.
"""

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
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.body.meshes import Mesh
from jaxpose.geometry import crops
from jaxpose.geometry import keypoint_crops
from jaxpose.geometry import placement
from jaxpose.geometry.cameras import guess_focal
from jaxpose.models.glot import Glot
from jaxpose.motion import frame_rates
from jaxpose.motion.gaps import fill_windows
from jaxpose.motion.gaps import gap_lengths
from jaxpose.motion.gaps import gap_report
from jaxpose.motion.gaps import stretches
from jaxpose.predict import lifting
from jaxpose.skeletons import skeleton_maps
from jaxpose.weights import pretrained

# Human3.6M's name of a joint that the other sets call otherwise.
_SYNONYMS = {"left_ankle": "left_foot", "right_ankle": "right_foot"}


class Frames(NamedTuple):
  """What windows are cut from, with any leading axes.

  Attributes:
    values: (*b, j, c) normalised keypoints; of features one row, (*b, 1, c).
    confidence: (*b, j) 0 where a value is missing.
    boxes: (*b, 1, 4) of the person whose features they are, pixels, or NaN.
  """

  values: Float[np.ndarray, "*b j c"]
  confidence: Float[np.ndarray, "*b j"]
  boxes: Float[np.ndarray, "*b 1 4"]


def clip_windows(frames: Frames, at: Float[np.ndarray, "n w"]) -> Frames:
  """Windows of a clip, with the leading axes (n, w); `at` are places in it."""
  return Frames(
    frame_rates.sample(frames.values, at),
    frame_rates.least(frames.confidence, at),
    frame_rates.sample(frames.boxes, at),
  )


def glot_weights(weights) -> pretrained.Pretrained:
  """Weights of GLoT; ValueError for those of another model."""
  model = lifting.loaded(weights)
  if not isinstance(model.module, Glot):
    name = model.model.get("name", type(model.module).__name__)
    raise ValueError(
      f"got weights of the model {name!r}, expected those of 'glot'; for "
      "other models there is jaxpose.predict.lift."
    )
  return model


def available_map(source: str, target: str) -> Float[np.ndarray, "target source"]:
  """`skeleton_maps.joint_map`, or by joints' names, with rows of 0 for those absent."""
  s, t = skeletons.get(source), skeletons.get(target)
  try:
    return skeleton_maps.joint_map(source, target)
  except ValueError:  # no map that gives all joints
    matrix = np.zeros((t.num_joints, s.num_joints), np.float32)
    for row, joint in enumerate(t.joints):
      name = joint if joint in s.joints else _SYNONYMS.get(joint)
      if name in s.joints:
        matrix[row, s.index(name)] = 1
    return matrix


def clip_frames(
  module: Glot,
  keypoints_2d,
  features,
  *,
  confidence,
  skeleton: str,
  size: tuple[float, float] | None,
  boxes,
  min_confidence: float,
) -> tuple[Frames, str]:
  """All frames of a clip, and what was missing, in words; see `predict.mesh`."""
  given = ("features",) * (features is not None)
  given += ("keypoints_2d",) * (keypoints_2d is not None)
  wanted = "keypoints_2d" if module.encoder == "keypoints" else "features"
  if given != (wanted,):
    raise ValueError(
      f"got {' and '.join(given) or 'no input'}, expected {wanted} alone, which "
      "these weights read."
    )
  if wanted == "features":
    if confidence is not None:
      raise ValueError("got confidence with features, expected it with keypoints_2d.")
    frames = feature_frames(features, module.feat_dim, boxes)
    return frames, _say(frames, f"{len(frames.values)} frames of features.")
  if boxes is not None:
    raise ValueError(
      "got boxes with keypoints_2d, expected them with features; the crops of "
      "keypoints are made from the keypoints."
    )
  source = skeletons.get(skeleton)
  points = lifting.points_2d(keypoints_2d, source)
  matrix = available_map(skeleton, module.input_map)
  certain = seen_keypoints(points, confidence, min_confidence)
  used = (matrix != 0).any(0)
  lifting.refuse_nothing(certain[:, used] == 0)
  outside = lifting.share_outside(points[(certain > 0) & used], *size)
  names = [source.joints[j] for j in np.flatnonzero(used)]
  frames = keypoint_frames(points, certain, matrix, size)
  report = _say(frames, f"{len(points)} frames, {skeleton} keypoints.")
  report += f"\n{gap_report(gap_lengths(certain[:, used] == 0), names)}"
  joints = skeletons.get(module.input_map).joints
  absent = [joints[j] for j in np.flatnonzero(~(matrix != 0).any(1))]
  if absent:
    report += f"\n{skeleton} lacks {', '.join(absent)}, which the network does without."
  if outside > 0.05:
    report += f"\n{outside:.0%} of the keypoints lie outside the image."
  return frames, report


def _say(frames: Frames, head: str) -> str:
  gone = (frames.confidence == 0).all(-1)
  if gone.all():
    raise ValueError(
      "got no frame in which somebody was seen, expected at least one; check the "
      "features and boxes for NaN."
    )
  if gone.any():
    head += f"\nNobody was seen in {gone.sum()} of them: {stretches(gone)}."
  return head


def seen_keypoints(
  points: Float[np.ndarray, "t j 2"], confidence, min_confidence: float
) -> Float[np.ndarray, "t j"]:
  """Confidence of each keypoint, at most 1, and 0 where it is missing."""
  missing = ~np.isfinite(points).all(-1) | (points == 0).all(-1)
  if confidence is None:
    return np.where(missing, 0.0, 1.0)
  values = lifting.confidences(confidence, points.shape[:2])
  missing |= ~((values >= min_confidence) & (values > 0))
  return np.where(missing, 0, np.minimum(values, 1))


def keypoint_frames(
  points: Float[np.ndarray, "t j 2"],
  confidence: Float[np.ndarray, "t j"],
  matrix: Float[np.ndarray, "k j"],
  size: tuple[float, float],
) -> Frames:
  """Normalised keypoints of the network's skeleton.

  Args:
    points: pixels.
    confidence: from `seen_keypoints`.
    matrix: from `available_map`. A joint made of several is missing with any of them.
    size: of the image, pixels.
  """
  seen = confidence > 0
  points = np.einsum("kj,tjc->tkc", matrix, np.where(seen[..., None], points, 0))
  # The least confidence among what a joint is made of; 0 where that is nothing.
  parts = [confidence[:, row != 0] for row in matrix]
  least = [p.min(1) if p.shape[1] else np.zeros(len(p)) for p in parts]
  points = lifting.on_screen(points, *size).astype(np.float32)
  return Frames(points, np.stack(least, -1).astype(np.float32), _no_boxes(len(points)))


def feature_frames(features, channels: int, boxes=None) -> Frames:
  """Features of each frame; where they or the box are NaN, nobody was seen.

  Raises:
    ValueError: they are not (t, channels), or boxes not (t, 4) with positive sizes.
  """
  values = lifting.checked_numbers(features, "features", np.float32)
  want = f"expected (frames, {channels})"
  if values.ndim != 2 or values.shape[1] != channels:
    hint = (
      "add a frame axis with features[None]"
      if values.ndim == 1
      else ("take the features of the network that these weights were trained with")
    )
    raise ValueError(f"got features of shape {values.shape}, {want}; {hint}.")
  if not len(values):
    raise ValueError(f"got a clip without frames, {want} with at least one frame.")
  seen = np.isfinite(values).all(-1, keepdims=True)
  values = np.where(seen, values, 0)[:, None]
  if boxes is None:
    return Frames(values, seen.astype(np.float32), _no_boxes(len(values)))
  found = lifting.checked_numbers(boxes, "boxes")
  if found.shape != (len(values), 4):
    raise ValueError(
      f"got boxes of shape {found.shape}, expected {(len(values), 4)}: (cx, cy, w, h) "
      "in pixels for each frame of the features."
    )
  seen &= np.isfinite(found).all(-1, keepdims=True)
  if not (found[seen[:, 0], 2:] > 0).all():
    raise ValueError(
      "got boxes without a positive width and height, expected (cx, cy, w, h) in "
      "pixels, and NaN in frames in which nobody was seen."
    )
  found = np.where(seen, found, np.nan).astype(np.float32)[:, None]
  return Frames(values, seen.astype(np.float32), found)


def _no_boxes(t: int) -> np.ndarray:
  return np.full((t, 1, 4), np.nan, np.float32)


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
  model = glot_weights(weights)
  fps = frame_rates.checked(fps)
  for name, value in (("focal", focal), ("box_scale", box_scale)):
    if not (value is None and name == "focal"):
      if not isinstance(value, (int, float, np.number)) or not 0 < value < np.inf:
        raise ValueError(f"got {name}={value!r}, expected a positive number.")
  size, joint_map = None, np.zeros((1, 49), np.float32)
  if model.module.encoder == "keypoints":
    joint_map = available_map("spin49", model.module.input_map)
  if model.module.encoder == "keypoints" or boxes:
    size = lifting.checked_image_size(image_size)
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
    points = lifting.off_screen(np.float64(values[:, middle]), *setup.size)
    weights = np.where(seen.any(1), _INTERPOLATED, 0)
    weights = np.where(seen[:, middle], confidence, weights)
    centre = lifting.off_screen(np.float64(out["crop"][:, :2]), *setup.size)
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
    part = estimate(setup, clip_windows(frames, chosen[:, None] + offsets[None]))
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
    moved = placement.from_crop(estimates.camera, estimates.crops, focal, centre)
    if setup.eats_keypoints:
      joints = setup.joint_map[None] @ smpl.joints_49(setup.joint_body, posed)
      rays = (estimates.points - np.asarray(centre)[None, None]) / focal
      weights = estimates.weights * (setup.joint_map != 0).any(1)[None]
      moved = placement.fit(joints, rays, weights, moved)
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


class MeshStream:
  """`predict.mesh` for one frame at a time, late by a fixed number of frames.

  stream = MeshStream("glot.npz", image_size=(1920, 1080))
  for keypoints in detector:  # (17, 2), or None where nobody is seen
    body = stream.push(keypoints)  # a Mesh of one frame; None for the first seven
  rest = stream.flush()  # the last seven

  The network sees 8 frames before the one that it is about and 7 after it, so the frame
  pushed seven pushes ago comes out, see `latency`; with another rate than in training
  (`fps`) it is that of as much time, rounded up to frames. What comes out equals `mesh`
  with shape="frame" but for rounding, gaps included, since they are filled within a
  window.
  Two things need the future. With shape="mean" the shape is the mean over the frames so
  far; and of frames before the first window that shows somebody, which `mesh` gives
  that window's pose, the network's answer to an empty window comes out. They are not
  valid in either. Memory does not grow.
  """

  def __init__(
    self,
    weights: Any,
    *,
    image_size: Any = None,
    skeleton: str = "coco17",
    boxes: bool = False,
    box_scale: Any = crops.SCALE,
    focal: Any = None,
    body: str | os.PathLike | None = None,
    shape: str = "frame",
    fps: Any = None,
    min_confidence: float = 0.3,
  ):
    """Compiles the network for one window; see `predict.mesh` for the arguments.

    Args:
      weights: of GLoT.
      image_size: (width, height) in pixels.
      skeleton: of the keypoints.
      boxes: whether features come with boxes.
      box_scale: of the boxes.
      focal: in pixels.
      body: name or path.
      shape: "frame", or "mean" over the frames so far.
      fps: frames per second.
      min_confidence: a keypoint with less is missing.
    """
    if shape not in ("mean", "frame"):
      raise ValueError(f"got shape={shape!r}, expected 'mean' or 'frame'.")
    self._setup = setup(
      weights,
      image_size=image_size,
      focal=focal,
      body=body,
      fps=fps,
      box_scale=box_scale,
      boxes=boxes,
    )
    module = self._setup.model.module
    self._shape, self._boxes, self._least = shape, boxes, min_confidence
    if self._setup.eats_keypoints:
      if boxes:
        raise ValueError("got boxes=True, expected it with weights that read features.")
      self._skeleton = skeletons.get(skeleton)
      self._map = available_map(skeleton, module.input_map)
    self._offsets = self._setup.offsets
    self._before, self._after = frame_rates.reach(self._offsets)
    self._reset()
    self._past = self._repeated(self._frame(None, None, None))
    self._estimate()  # compiles

  @property
  def latency(self) -> int:
    """Frames after a frame that must be pushed before it comes out."""
    return self._after

  def push(self, frame: Any, *, confidence: Any = None, box: Any = None) -> Mesh | None:
    """Takes a frame; gives the one `latency` frames before it, if there is one.

    Args:
      frame: (joints, 2) keypoints in pixels or (channels,) features, as the network
        reads; None where nobody is seen.
      confidence: (joints,) of the keypoints.
      box: (4,) of the features, (cx, cy, w, h) in pixels, with boxes=True.
    """
    new = self._frame(frame, confidence, box)
    if not self._pushed:
      self._past = self._repeated(new)
    for past, value in zip(self._past, new, strict=True):
      past[:-1] = past[1:]
      past[-1] = value[0]
    self._pushed += 1
    return self._result() if self._pushed > self.latency else None

  def flush(self) -> list[Mesh]:
    """The frames that have not come out yet; the next push begins another clip."""
    left = min(self._pushed, self.latency)
    results = []
    for step in range(self.latency if left else 0):
      for past in self._past:
        past[:-1] = past[1:]  # the last frame stays, and so is repeated
      # A short clip reaches the middle of the window later.
      if step >= self.latency - left:
        results.append(self._result())
    self._reset()
    return results

  def _reset(self) -> None:
    self._pushed, self._last = 0, None
    self._weight, self._sum = 0.0, 0.0

  def _repeated(self, frame: Frames) -> Frames:
    """As many frames as a window needs, all of them this one."""
    length = self._before + 1 + self._after
    return Frames(*(np.repeat(array, length, 0) for array in frame))

  def _estimate(self) -> Estimates:
    """Of the newest frame whose window is known."""
    at = (self._before + self._offsets)[None]
    return estimate(self._setup, clip_windows(self._past, at))

  def _frame(self, frame, confidence, box) -> Frames:
    """Checked, with a time axis of 1."""
    module = self._setup.model.module
    if self._setup.eats_keypoints:
      if box is not None:
        raise ValueError("got a box, expected none with keypoints; leave it out.")
      points = self._points(frame)
      if confidence is not None:
        confidence = lifting.checked_numbers(confidence, "confidence")[None]
      certain = seen_keypoints(points, confidence, self._least)
      return keypoint_frames(points, certain, self._map, self._setup.size)
    if confidence is not None:
      raise ValueError("got confidence with features, expected it with keypoints.")
    if self._boxes and (frame is None) != (box is None):
      raise ValueError("got features or a box alone, expected both with boxes=True.")
    if not self._boxes and box is not None:
      raise ValueError("got a box, expected none; make the stream with boxes=True.")
    if frame is None:
      frame = np.full(module.feat_dim, np.nan, np.float32)
      box = np.full(4, np.nan) if self._boxes else None
    features = lifting.checked_numbers(frame, "features", np.float32)
    if features.shape != (module.feat_dim,):
      raise ValueError(
        f"got a frame of shape {features.shape}, expected {(module.feat_dim,)}, the "
        "features of one frame."
      )
    boxes = None if box is None else lifting.checked_numbers(box, "box")[None]
    return feature_frames(features[None], module.feat_dim, boxes)

  def _points(self, frame) -> np.ndarray:
    want = (self._skeleton.num_joints, 2)
    if frame is None:
      return np.full((1, *want), np.nan)
    points = lifting.checked_numbers(frame, "keypoints_2d")
    if points.shape != want:
      raise ValueError(
        f"got a frame of shape {points.shape}, expected {want}, the keypoints of one "
        f"frame, for the skeleton {self._skeleton.name!r}."
      )
    if np.abs(points).max() <= 2 and points.any():
      raise ValueError(
        "got keypoints that all lie in [-2, 2], expected pixels, not normalised "
        "coordinates; multiply them by the image's size."
      )
    return points[None]

  def _result(self) -> Mesh:
    found = self._estimate()
    if not found.empty[0]:
      self._last = found
    elif self._last is not None:
      own = {name: getattr(found, name) for name in ("certainty", "valid", "empty")}
      found = self._last._replace(**own)
    betas = found.betas
    if self._shape == "mean":
      self._weight += found.certainty[0]
      self._sum = self._sum + found.certainty[0] * betas
      if self._weight:
        betas = np.float32(self._sum / self._weight)
    return put_together(self._setup, found, betas, "")
