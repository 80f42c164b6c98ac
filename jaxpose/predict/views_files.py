r"""`multiview`: video of several cameras to 2D and 3D poses; and its command.

Run: python -m jaxpose.predict_multiview FOLDER --weights=NAME_OR_PATH --out=DIR
       [--views=cam1,cam2] [--draw=png|gif|mp4|none] [--overwrite]

FOLDER is a recording: a video or a folder of pictures for each camera, a calibration,
and boxes if there are any; see docs/multiview.md. DIR gets poses.npz and a picture.
"""

import argparse
import os
import pathlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

from absl import logging

from jaxpose import runtime
from jaxpose.files import whole_files
from jaxpose.formats.view_poses import MultiviewPoses
from jaxpose.predict import views_network
from jaxpose.predict.views_network import Clip

FILE = "poses.npz"
DRAWINGS = ("png", "gif", "mp4", "none")


def multiview(
  source: Any,
  *,
  weights: Any,
  cameras: Any = None,
  boxes: Any = None,
  fps: float | int | None = None,
  views: Sequence[str] | None = None,
  reference: str | None = None,
  batch_size: int = 16,
  progress: str | None = None,
) -> MultiviewPoses:
  """2D poses of every view and 3D poses of every frame, of one person.

  The crops that a network sees are squares round the boxes, as in training. Windows of
  as many frames as in training slide over the recording, and each frame is taken from
  one of them: of a causal network the window that ends with it (see `MultiviewStream`);
  of others, windows overlap by half, and it is the one in whose middle the frame is
  nearest. A shorter recording is one window with frames that are missing at its end.

  3D poses are relative to the root, turned into the axes of the world if the cameras
  are known. The root is then placed by a robust direct linear transform: the one
  translation with which the joints of the pose lie nearest to the rays of the 2D joints
  in all views, weighted by confidence; joints and views that disagree with the others
  count little. Without a calibration poses stay relative to the root, in the axes of
  one camera. A network without a 3D stage gives triangulated 2D joints.

  Args:
    source: a folder; a record of `view_records`, or several consecutive ones of a
      recording; or pictures, (frames, views, height, width, 3) uint8 RGB, or a list
      with one such array for each view where sizes differ.
    weights: of a multi-view network: a released name or a path, or what
      `pretrained.load` returned.
    cameras: of arrays: a `jaxpose.geometry.cameras.Camera` for each view, without
      distortion; None: not calibrated.
    boxes: of arrays: (frames, views, 4) of the person, (cx, cy, w, h) in pixels, NaN
      where the person is not seen; None: the whole pictures.
    fps: of arrays: frames per second, for files and animations, and where the weights
      say theirs for the network: pictures cannot be interpolated, it sees those nearest
      to the times of its own rate. None: as if they had the rate of training.
    views: of a folder: names of the cameras to use; None: all.
    reference: name of the camera whose axes 3D poses have where the network reads no
      cameras; None: the first.
    batch_size: frames at a time, with all their views.
    progress: label of a progress bar; None shows none.

  Raises:
    ValueError: the input is not what it should be, or the network needs a calibration.
    FileNotFoundError: no such weights, or no such folder.
    ImportError: a video is given and the package that decodes them is not installed.
  """
  if batch_size < 1:
    raise ValueError(f"got batch_size={batch_size}, expected at least 1.")
  setup = views_network.network_setup(weights)
  clip = views_network.read_clip(
    source, cameras=cameras, boxes=boxes, fps=fps, views=views
  )
  return _poses(setup, clip, reference, batch_size, progress)


def _poses(setup, clip: Clip, reference, batch_size, progress) -> MultiviewPoses:
  views_network.require_rig(setup, clip.views)
  index = views_network.reference_index(clip.views, reference)
  found = views_network.run(setup, clip, batch_size, index, progress)
  return views_network.put_together(
    clip.views,
    clip.boxes,
    clip.present,
    found,
    size=setup.size,
    skeleton=setup.model.skeleton,
    turned=setup.turned,
    reference=index,
    fps=clip.fps,
  )


def predict_folder(
  folder: str | os.PathLike,
  weights: Any,
  out: str | os.PathLike,
  *,
  views: Sequence[str] | None = None,
  reference: str | None = None,
  batch_size: int = 16,
  draw: str = "png",
  overwrite: bool = False,
  progress: str | None = None,
) -> MultiviewPoses:
  """What the command does; `multiview` says what the arguments are.

  Args:
    folder: of the recording.
    weights: of the network.
    out: folder for `poses.npz` and the drawing.
    views: names of the cameras to use.
    reference: name of a camera.
    batch_size: frames at a time.
    draw: ending of the drawing, or "none".
    overwrite: whether files of these names may be replaced.
    progress: label of a progress bar.

  Raises:
    FileExistsError: there are results already and `overwrite` is not said.
    ValueError: as `multiview`; or no such drawing.
  """
  if draw not in DRAWINGS:
    raise ValueError(f"got draw={draw!r}, expected one of {', '.join(DRAWINGS)}.")
  path = pathlib.Path(out).expanduser() / FILE
  drawing = None if draw == "none" else path.with_suffix(f".{draw}")
  for file in (path, drawing):
    if file is not None:  # before the work, not after it
      whole_files.check(file, overwrite=overwrite)
  if drawing is not None:
    from jaxpose.draw import view_draw

    view_draw.require_writer(drawing)
  setup = views_network.network_setup(weights)
  clip = views_network.read_clip(folder, views=views)
  poses = _poses(setup, clip, reference, batch_size, progress)
  poses.save(path, overwrite=overwrite)
  if drawing is not None:
    write = view_draw.overlay_picture if draw == "png" else view_draw.overlay_animation
    with whole_files.unfinished(drawing, overwrite) as temporary:
      write(temporary, poses, clip.read)
  return poses


def main(argv: Sequence[str] | None = None) -> None:
  """The command; a mistake ends it with one sentence and exit code 1."""
  parser = argparse.ArgumentParser(
    prog="python -m jaxpose.predict_multiview",
    description="Predicts 2D and 3D poses of a recording by several cameras.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("folder", help="recording: videos or folders of pictures, and a calibration")
  add("--weights", required=True, help="released name, weights file or folder of a run")
  add("--out", required=True, help="folder for poses.npz and the drawing")
  add("--views", help="comma-separated cameras to use (default: all)")
  add("--reference", help="camera whose axes 3D poses have without a calibration")
  add("--batch_size", type=int, default=16, help="frames at a time (default: 16)")
  add("--draw", default="png", choices=DRAWINGS, help="drawing of the poses")
  add("--overwrite", action="store_true", help="replace results in the folder")
  args = parser.parse_args(argv)
  stop_on_term = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    runtime.start()
    logging.set_verbosity(logging.WARNING)
    poses = predict_folder(
      args.folder,
      args.weights,
      args.out,
      views=args.views.split(",") if args.views else None,
      reference=args.reference,
      batch_size=args.batch_size,
      draw=args.draw,
      overwrite=args.overwrite,
      progress=pathlib.Path(args.folder).name,
    )
    print(poses.report)
    print(f"poses: {pathlib.Path(args.out).expanduser() / FILE}")
  except KeyboardInterrupt:
    print("stopped; what was not finished is not written.", file=sys.stderr)
    sys.exit(130)
  except (ValueError, OSError, ImportError) as error:
    sys.exit(f"error: {error}")
  finally:
    signal.signal(signal.SIGTERM, stop_on_term)
