"""2D keypoints of a video from the files of detectors and annotation tools.

from jaxpose import keypoint_files
track, = keypoint_files.load("walk.json")
track.keypoints  # (t, j, 2) pixels
track.skeleton  # such as "coco17"

Formats: "coco" (annotations, or a list of detections), "openpose" (a folder of one file
per frame, BODY-25 or the COCO model), "alphapose", "halpe26" (AlphaPose's 26 joints),
"mmpose" (of a video, or a folder of one file per image), "mediapipe" (33 landmarks per
frame, relative to the image), "csv" and "npz" (see `jaxpose.keypoint_tables`).
"""

import csv
import os
import pathlib

from jaxpose import keypoint_json
from jaxpose import keypoint_tables
from jaxpose import skeletons
from jaxpose.keypoint_tracks import Track
from jaxpose.keypoint_tracks import tracks

FORMATS = (*keypoint_json.FORMATS, "csv", "npz")
_TABLES = {".csv": "csv", ".npz": "npz"}
_HIGHEST = 10**7  # frame: more than a day of video at 100 frames/s


def load(
  path: str | os.PathLike,
  *,
  format: str | None = None,
  image_size: tuple[int, int] | None = None,
) -> list[Track]:
  """The people in a file, or in a folder of one file per frame.

  People without an id are followed from frame to frame by where they are.

  Args:
    path: of the file or folder.
    format: one of `FORMATS`; None to tell by the suffix and the content.
    image_size: width and height in pixels; MediaPipe's files need it, others do not.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is damaged, empty, or not of the format.
  """
  path = pathlib.Path(path)
  if format is not None and format not in FORMATS:
    raise ValueError(f"got the format {format!r}, expected {', '.join(FORMATS)}.")
  if not path.exists():
    raise FileNotFoundError(f"{path}: no such file; expected keypoints.")
  try:
    return _load(path, format or _TABLES.get(path.suffix.lower()), image_size)
  except (ValueError, OSError, csv.Error) as error:
    told = " ".join(str(error).split()).rstrip(".")
    raise ValueError(
      f"{path}: {told}; see jaxpose.keypoint_files for the formats."
    ) from error


def _load(path, form, image_size) -> list[Track]:
  if form in ("csv", "npz"):
    read = keypoint_tables.read_csv if form == "csv" else keypoint_tables.read_npz
    found = read(path)
  else:
    content = keypoint_json.read(path)
    people, skeleton = keypoint_json.found(
      content, form or keypoint_json.guess(content), image_size
    )
    found = tracks(people, skeleton, skeletons.get(skeleton).joints)
  if not any(track.confidence.any() for track in found):
    raise ValueError("got no keypoint in any frame, expected at least one")
  last = max(int(track.frames.max()) for track in found)
  if last > _HIGHEST:
    raise ValueError(f"got frame {last}, expected numbers up to {_HIGHEST}")
  return found
