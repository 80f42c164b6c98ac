"""BlazePose's two networks on the CPU: pictures in, people and their landmarks out."""

import os
import pathlib

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8

from jaxpose import blazepose_detector
from jaxpose import blazepose_landmarks
from jaxpose import crops
from jaxpose import turned_crops
from jaxpose.blazepose_landmarks import Landmarks


class Networks:
  """Both networks, ready to run."""

  def __init__(
    self, detector: pathlib.Path, landmarks: pathlib.Path, threads: int | None = None
  ):
    """Reads the two files.

    Args:
      detector: `pose_detection.tflite`.
      landmarks: `pose_landmark_full.tflite`, or the heavy or lite one.
      threads: of the CPU; None for all, at most 4.

    Raises:
      ImportError: the package that runs them is not installed.
      ValueError: fewer than one thread.
    """
    if threads is not None and threads < 1:
      raise ValueError(f"got threads={threads}, expected at least 1.")
    interpreter = _interpreter()
    threads = threads or min(os.cpu_count() or 1, 4)
    self._detector = interpreter(str(detector), num_threads=threads)
    self._landmarks = interpreter(str(landmarks), num_threads=threads)
    for network in (self._detector, self._landmarks):
      network.allocate_tensors()

  def find(
    self, frame: UInt8[np.ndarray, "h w 3"], *, parts: bool = False
  ) -> list[Float[np.ndarray, "4"]]:
    """Regions of the people in a frame, surest first in each view.

    Args:
      frame: the whole picture.
      parts: look closer too, at the squares along its longer side; someone can then be
        found more than once.
    """
    height, width, _ = frame.shape
    found = []
    for box in views(width, height)[: None if parts else 1]:
      square = crops.crop(frame, box, scale=1.0, size=blazepose_detector.SIZE)
      raw, logits = _run(self._detector, square.astype(np.float32) / 127.5 - 1)
      points = blazepose_detector.decode(raw, logits[:, 0]).points - 0.5
      points = points * max(box[2:]) + box[:2]
      found += [turned_crops.around(p[0], p[1]) for p in points]
    return found

  def landmarks(
    self, frame: UInt8[np.ndarray, "h w 3"], region: Float[np.ndarray, "4"]
  ) -> Landmarks:
    """Of the person in a region; points in pixels of the frame."""
    size = blazepose_landmarks.SIZE
    crop = turned_crops.crop(frame, region, size)
    numbers, presence, _, maps, _ = _run(
      self._landmarks, crop.astype(np.float32) / 255, skip=(2, 4)
    )
    found = blazepose_landmarks.decode(numbers, maps, float(presence[0]))
    return found._replace(points=turned_crops.to_image(found.points, region))


def views(width: int, height: int) -> list[Float[np.ndarray, "4"]]:
  """Boxes (cx, cy, w, h) to look at: all, then squares that overlap by half or more."""
  short, long = sorted((width, height))
  boxes = [(width / 2, height / 2, width, height)]
  count = 1 + int(np.ceil((long - short) / (short / 2)))
  for middle in np.linspace(short / 2, long - short / 2, count)[: count * (count > 1)]:
    x, y = (middle, height / 2) if width > height else (width / 2, middle)
    boxes.append((x, y, short, short))
  return [np.asarray(box, np.float64) for box in boxes]


def _run(network, image: np.ndarray, skip: tuple[int, ...] = ()) -> list:
  """Outputs for one picture, without their leading axis; None for those to skip."""
  network.set_tensor(network.get_input_details()[0]["index"], image[None])
  network.invoke()
  return [
    None if i in skip else network.get_tensor(detail["index"])[0]
    for i, detail in enumerate(network.get_output_details())
  ]


def _interpreter():
  try:
    from ai_edge_litert.interpreter import Interpreter
  except ImportError as error:
    raise ImportError(
      "BlazePose is run by LiteRT, which is not installed; run "
      "pip install 'jaxpose[video]'."
    ) from error
  return Interpreter
