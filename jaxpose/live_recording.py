"""The folder of a live recording: keypoints in parts, which become files at the end.

What was stored when the power went is found again by `cut_off`.
"""

import datetime
import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from jaxpose import detect_chunks
from jaxpose import predict_folder
from jaxpose.detect_chunks import Chunks
from jaxpose.live_source import Stream
from jaxpose.predict_folder import Folder

_OTHER_RATE = 0.05  # share by which a camera may miss the rate that it says
_SHORT = 2.0  # seconds that do not tell the rate


def start(
  out: str | os.PathLike,
  stream: Stream,
  focal: float | int,
  fps: float | int | None,
  settings: dict,
  overwrite: bool,
) -> tuple[Folder, Chunks]:
  """A folder for a new recording, and its parts.

  Args:
    out: path of the folder.
    stream: what is recorded.
    focal: length of the camera in pixels.
    fps: frames per second that were given; None: as the stream says, or as they come.
    settings: that its files are to be made with.
    overwrite: replace results in the folder.

  Raises:
    FileExistsError: it holds something else, and `overwrite` is not said.
  """
  out = pathlib.Path(out).expanduser()
  now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
  about = dict(
    name=f"live {stream.name}",
    started=now,
    fps=stream.fps,
    fixed_fps=fps is not None or stream.paced,
    image_size=list(stream.image_size),
    focal=focal,
  )
  left = predict_folder.asked(out)
  if not overwrite and _is_cut_off(out, left):
    raise FileExistsError(
      f"{out} holds a recording that was cut off; write its files with --live alone "
      f"(python -m jaxpose.predict --live --out={out}), choose another --out, or pass "
      "--overwrite."
    )
  folder = Folder(
    out, source=about, detection={}, settings=settings, overwrite=overwrite
  )
  return folder, Chunks(folder.path / predict_folder.WORK, about)


def cut_off(out: str | os.PathLike, settings: dict) -> tuple[Folder, Chunks]:
  """A recording whose files are not all written.

  Args:
    out: path of the folder.
    settings: that its files are to be made with; those that were made with others are
      removed.

  Raises:
    FileNotFoundError: there is none in the folder.
  """
  out = pathlib.Path(out).expanduser()
  asked = predict_folder.asked(out)
  if not _is_cut_off(out, asked):
    raise FileNotFoundError(
      f"{out} holds no recording that was cut off, expected one to write the files of; "
      "to record say what, such as --live=0 for the first camera."
    )
  parts = {key: asked[key] for key in ("source", "detection")}
  work = out / predict_folder.WORK
  request = json.loads((work / detect_chunks.REQUEST_FILE).read_text())
  folder = Folder(out, **parts, settings=settings, overwrite=True)
  return folder, Chunks(work, request)


def rate(asked: Mapping, state: Mapping[str, np.ndarray] | None) -> tuple[float, str]:
  """Frames per second as the camera says, or as they came; and that in words.

  Args:
    asked: the source in `prediction.json`, as `start` wrote it.
    state: of the parts; `span` is seconds and number of the last frame.
  """
  said = float(asked["fps"])
  if asked["fixed_fps"] or state is None or "span" not in state:
    return said, ""
  spent, last = map(float, state["span"])
  if spent < _SHORT or abs(last / spent / said - 1) < _OTHER_RATE:
    return said, ""
  came = last / spent
  return came, (
    f"The stream says {said:g} frames a second, {came:.2f} came: the files have these."
  )


def _is_cut_off(out: pathlib.Path, asked: dict) -> bool:
  work = out / predict_folder.WORK
  return "started" in asked.get("source", {}) and any(work.glob("[0-9]*.npz"))
