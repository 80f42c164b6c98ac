"""Videos of a rig with known joints, as clips; few pictures are in memory at a time."""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures

import numpy as np

from jaxpose.data import build_jobs
from jaxpose.data import view_records
from jaxpose.formats.calibration import Calibrated
from jaxpose.formats.lens import Lens
from jaxpose.geometry import cameras

# Frames by which a video may be longer or shorter than its poses. Those that not all
# videos and the poses have, at the end, are left out.
LONGER, SHORTER = 100, 10
# Longer side of a box round the body's surface over that of one round its joints: the
# median of rendered people (synthetic_multiview/tiny).
_SURFACE = 1.15


def count(poses: int, sources: Sequence, fps: float) -> int:
  """Frames that the poses and all videos have.

  Args:
    poses: their number.
    sources: videos, see `jaxpose.files.video_files`.
    fps: frames per second of the poses.

  Raises:
    ValueError: a video's number of frames is another.
  """
  counts = [poses]
  for source in sources:
    found = source.count()
    if not -SHORTER <= found - poses <= LONGER:
      found = source.count(exact=True)  # the header may be wrong
    if not -SHORTER <= found - poses <= LONGER:
      raise ValueError(
        f"{source.path}: got {found} frames of video and {poses} of poses, expected at "
        f"most {LONGER} more or {SHORTER} fewer of video; take both of one release, "
        f"and videos at {fps:g} frames per second."
      )
    counts.append(found)
  return min(counts)


def lens(camera: cameras.Camera, source, max_side: int) -> Lens:
  """From a video's pictures to undistorted ones; the model is that of `cameras`.

  Args:
    camera: of the pictures, or of larger or smaller ones of the same shape.
    source: the video.
    max_side: longest side of the new pictures; smaller ones keep their size.

  Raises:
    ValueError: the pictures have another shape.
  """
  scale = np.array(source.image_size) / camera.image_size
  if abs(scale[0] / scale[1] - 1) > 0.01:
    got, want = source.image_size, camera.image_size
    raise ValueError(
      f"{source.path}: got pictures of {got[0]} x {got[1]} pixels, expected {want[0]} "
      f"x {want[1]} or the same at another scale; take the video of camera "
      f"{camera.name}."
    )
  focal, middle = camera.intrinsics[:2] * scale, camera.intrinsics[2:4]
  middle = (middle + 0.5) * scale - 0.5
  matrix = np.array([[focal[0], 0, middle[0]], [0, focal[1], middle[1]], [0, 0, 1]])
  calibrated = Calibrated(
    camera.name,
    matrix,
    camera.intrinsics[4:].astype(np.float64),
    camera.rotation,
    camera.position,
    tuple(source.image_size),
  )
  return Lens(calibrated, tuple(source.image_size), max_side, _distort)


def _distort(rays: np.ndarray, bent: np.ndarray) -> np.ndarray:
  """Human3.6M's lens model, whose tangential part is not OpenCV's."""
  lead, flat = rays.shape, rays.reshape(-1, 2)
  return cameras.distort(flat, np.concatenate([np.zeros(4), bent])).reshape(lead)


def round_joints(keypoints: np.ndarray) -> np.ndarray:
  """(t, 4) boxes about as large as the body; joints (t, j, 2), NaN where unknown."""
  low, high = np.fmin.reduce(keypoints, 1), np.fmax.reduce(keypoints, 1)
  return np.concatenate([(low + high) / 2, np.maximum(_SURFACE * (high - low), 1)], -1)


def inside(points: np.ndarray, lenses: Sequence[Lens]) -> np.ndarray:
  """(t, v, j) whether points (t, v, j, 2) are in the new pictures."""
  wide = np.array([new.camera.image_size for new in lenses])[:, None]
  return ((points >= -0.5) & (points < wide - 0.5)).all(-1)


def clips(
  sources: Sequence, lenses: Sequence[Lens], numbers: np.ndarray, size: int
) -> Iterator[tuple[slice, list[bytes]]]:
  """Which of the frames, and their pictures, of each clip of `size` frames or fewer.

  Clips are about equally long: a short rest would be lost to longer windows.
  """
  pictures = _in_threads(_encoded, _in_turn(sources, lenses, numbers))
  parts = -(-len(numbers) // size)
  for rows in np.array_split(np.arange(len(numbers)), parts):
    part = slice(rows[0], rows[-1] + 1)
    yield part, [next(pictures) for _ in range(len(rows) * len(lenses))]


def _in_threads(function: Callable, jobs) -> Iterator:
  """Results in order, with few of them in memory."""
  workers = build_jobs.threads()
  waiting = collections.deque()
  with futures.ThreadPoolExecutor(workers) as pool:
    for job in jobs:
      waiting.append(pool.submit(function, *job))
      if len(waiting) > 2 * workers:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()


def _in_turn(sources, lenses, numbers: np.ndarray):
  """All views of the first frame, then of the second."""
  wanted = np.zeros(numbers[-1] + 1, bool)
  wanted[numbers] = True
  streams = [source.read(wanted) for source in sources]
  for number in numbers:
    for source, new, stream in zip(sources, lenses, streams, strict=True):
      found = next(stream, None)
      if found is None:
        raise ValueError(
          f"{source.path}: got fewer frames that can be decoded than {number + 1}, "
          f"expected at least {numbers[-1] + 1}; download the video again."
        )
      yield new, found[1]


def _encoded(new: Lens, frame: np.ndarray) -> bytes:
  return view_records.encode(new.picture(frame))
