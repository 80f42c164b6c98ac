"""GLoT frame by frame, for video as it is captured."""

import os
from typing import Any

import numpy as np

from jaxpose import crops
from jaxpose import frame_rates
from jaxpose import mesh_inputs
from jaxpose import predict_inputs
from jaxpose import predict_mesh
from jaxpose import skeletons
from jaxpose.mesh_inputs import Frames
from jaxpose.meshes import Mesh


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
    self._setup = predict_mesh.setup(
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
      self._map = mesh_inputs.available_map(skeleton, module.input_map)
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

  def _estimate(self) -> predict_mesh.Estimates:
    """Of the newest frame whose window is known."""
    at = (self._before + self._offsets)[None]
    return predict_mesh.estimate(self._setup, mesh_inputs.windows(self._past, at))

  def _frame(self, frame, confidence, box) -> Frames:
    """Checked, with a time axis of 1."""
    module = self._setup.model.module
    if self._setup.eats_keypoints:
      if box is not None:
        raise ValueError("got a box, expected none with keypoints; leave it out.")
      points = self._points(frame)
      if confidence is not None:
        confidence = predict_inputs.numbers(confidence, "confidence")[None]
      certain = mesh_inputs.seen_keypoints(points, confidence, self._least)
      return mesh_inputs.keypoint_frames(points, certain, self._map, self._setup.size)
    if confidence is not None:
      raise ValueError("got confidence with features, expected it with keypoints.")
    if self._boxes and (frame is None) != (box is None):
      raise ValueError("got features or a box alone, expected both with boxes=True.")
    if not self._boxes and box is not None:
      raise ValueError("got a box, expected none; make the stream with boxes=True.")
    if frame is None:
      frame = np.full(module.feat_dim, np.nan, np.float32)
      box = np.full(4, np.nan) if self._boxes else None
    features = predict_inputs.numbers(frame, "features", np.float32)
    if features.shape != (module.feat_dim,):
      raise ValueError(
        f"got a frame of shape {features.shape}, expected {(module.feat_dim,)}, the "
        "features of one frame."
      )
    boxes = None if box is None else predict_inputs.numbers(box, "box")[None]
    return mesh_inputs.feature_frames(features[None], module.feat_dim, boxes)

  def _points(self, frame) -> np.ndarray:
    want = (self._skeleton.num_joints, 2)
    if frame is None:
      return np.full((1, *want), np.nan)
    points = predict_inputs.numbers(frame, "keypoints_2d")
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
    return predict_mesh.put_together(self._setup, found, betas, "")
