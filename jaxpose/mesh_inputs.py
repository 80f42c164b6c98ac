"""Keypoints and features as GLoT takes them, frame by frame, and checks of them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxpose import frame_rates
from jaxpose import predict_inputs
from jaxpose import pretrained
from jaxpose import skeleton_maps
from jaxpose import skeletons
from jaxpose.gaps import gap_lengths
from jaxpose.gaps import gap_report
from jaxpose.gaps import stretches
from jaxpose.models.glot import Glot

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


def windows(frames: Frames, at: Float[np.ndarray, "n w"]) -> Frames:
  """Windows of a clip, with the leading axes (n, w); `at` are places in it."""
  return Frames(
    frame_rates.sample(frames.values, at),
    frame_rates.least(frames.confidence, at),
    frame_rates.sample(frames.boxes, at),
  )


def glot_weights(weights) -> pretrained.Pretrained:
  """Weights of GLoT; ValueError for those of another model."""
  model = predict_inputs.loaded(weights)
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
  points = predict_inputs.points_2d(keypoints_2d, source)
  matrix = available_map(skeleton, module.input_map)
  certain = seen_keypoints(points, confidence, min_confidence)
  used = (matrix != 0).any(0)
  predict_inputs.refuse_nothing(certain[:, used] == 0)
  outside = predict_inputs.share_outside(points[(certain > 0) & used], *size)
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
  values = predict_inputs.confidences(confidence, points.shape[:2])
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
  points = predict_inputs.on_screen(points, *size).astype(np.float32)
  return Frames(points, np.stack(least, -1).astype(np.float32), _no_boxes(len(points)))


def feature_frames(features, channels: int, boxes=None) -> Frames:
  """Features of each frame; where they or the box are NaN, nobody was seen.

  Raises:
    ValueError: they are not (t, channels), or boxes not (t, 4) with positive sizes.
  """
  values = predict_inputs.numbers(features, "features", np.float32)
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
  found = predict_inputs.numbers(boxes, "boxes")
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
