"""A video to the people in it in 3D, as files in a folder; see docs/predict.md.

from jaxpose import predict
from jaxpose.formats import pose_files
done = predict.video("walk.mp4", "walk_3d")
print(done.report)
poses = pose_files.load("walk_3d/person_0/poses.npz")

Call it again to resume after an interruption: keypoints from the last part that was
stored, the rest from the last file that was finished. One picture is in memory at a
time; of each person it is the keypoints and poses of all frames.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from jaxpose.models.glot import Glot
from jaxpose.predict import bodies
from jaxpose.predict import keypoint_source
from jaxpose.predict import lifting as predict_lifting
from jaxpose.predict import outputs
from jaxpose.predict import people as predict_people
from jaxpose.predict import person as predict_person
from jaxpose.predict import result_folder
from jaxpose.predict.person import Clip
from jaxpose.predict.result_folder import Folder

WEIGHTS = "lift-27"
MESH = "mesh-16"  # of bodies
SMOOTH = "savgol"

Number = int | float | np.number


class Outcome(NamedTuple):
  """What `video` returns.

  Attributes:
    folder: of the files.
    people: names of those in 3D.
    report: what was found, assumed and left out, in words.
    speeds: stage -> frames per second, of what was done now.
  """

  folder: pathlib.Path
  people: list[str]
  report: str
  speeds: dict[str, float]


def video(
  path: str | os.PathLike,
  out: str | os.PathLike,
  *,
  person: str | int | None = None,
  keypoints: str | os.PathLike | None = None,
  weights: Any = None,
  smooth: str = SMOOTH,
  world: bool = True,
  focal: Number | None = None,
  mesh: str | os.PathLike | None = None,
  formats: Sequence[str] | None = None,
  fps: float | None = None,
  flip: bool = True,
  people: int | None = None,
  detector_weights: str | os.PathLike | None = None,
  threads: int | None = None,
  overwrite: bool = False,
  progress: bool = True,
) -> Outcome:
  """The people of a video in 3D, each with a folder of files in `out`.

  Args:
    path: of a video, or of a folder of pictures.
    out: folder for the files; what is finished in it is not done again.
    person: only this one, by name; None for all.
    keypoints: file of another detector, see `keypoint_files`; None to detect them.
    weights: for `predict.lift`; None: `WEIGHTS`.
    smooth: one of `person.SMOOTHINGS`.
    world: put csv and bvh upright on the ground, where that can be told.
    focal: length of the camera in pixels; None: of the file's metadata, or assumed.
    mesh: weights of GLoT, such as `MESH`, for bodies besides; None for none.
    formats: of `outputs.NAMES`; None for all that can be written.
    fps: frames per second; needed for a folder.
    flip: average with the prediction of the mirrored input: twice the time of the
      lifter, which is little beside the detector's.
    people: at most so many at a time are followed; one alone is the fastest.
    detector_weights: see `detect.video`; so is the next.
    threads: of the CPU.
    overwrite: replace results of another video, or of other settings.
    progress: print what is done, and bars.

  Raises:
    FileNotFoundError: no such video, keypoints or weights.
    FileExistsError: `out` holds something else, and `overwrite` is not said.
    ValueError: something cannot be read, nobody is found, or not that person.
    ImportError: a package that is needed is not installed.
    ConnectionError: the detector's weights could not be fetched.
  """
  wanted = outputs.formats(formats)
  if smooth not in predict_person.SMOOTHINGS:
    raise ValueError(
      f"got the smoothing {smooth!r}, expected {', '.join(predict_person.SMOOTHINGS)}."
    )
  if focal is not None and not 0 < focal < np.inf:
    raise ValueError(f"got focal={focal}, expected pixels, above 0.")
  weights = WEIGHTS if weights is None else weights
  model = predict_lifting.loaded(weights)
  if isinstance(model.module, Glot):
    raise ValueError(
      "got weights of the model 'glot', expected those of a model of joints such as "
      f"{WEIGHTS!r}; for bodies pass them as mesh (--mesh)."
    )
  body = None if mesh is None else bodies.glot_weights(mesh)
  # Keypoints of another detector are of the frames as they are.
  source = keypoint_source.opened(path, fps, even=keypoints is None)
  file = None if keypoints is None else pathlib.Path(keypoints).expanduser()
  if file is not None and not file.exists():
    raise FileNotFoundError(f"{file}: no such file; expected keypoints.")
  length, told = keypoint_source.focal_length(source, focal)
  folder = Folder(
    out,
    source=result_folder.identity(source.path) | dict(fps=source.fps),
    detection=dict(
      keypoints=file and result_folder.identity(file),
      people=people,
    ),
    settings=dict(
      weights=named(weights),
      smooth=smooth,
      world=world,
      focal=focal,
      flip=flip,
    ),
    mesh=named(mesh),
    overwrite=overwrite,
  )
  clip = Clip(source.fps, tuple(source.image_size), length)
  log = keypoint_source.Log(progress)
  options = dict(people=people, weights=detector_weights, threads=threads)
  tracks = keypoint_source.tracks(folder, source, file, options, log)
  chosen = tracks if person is None else tracks.only(str(person))
  log.say(told)
  if formats is None:
    for form, extra in outputs.lacking_extras().items():
      name = outputs.NAMES[form]
      log.say(f"No {name}: for that run pip install 'jaxpose[{extra}]'.")
  if body is not None and outputs.BODY_GLB not in outputs.body_files():
    log.say("No body.glb: for that run pip install 'jaxpose[mesh]'.")
  lifting = dict(weights=model, smooth=smooth, world=world, flip=flip)
  names = predict_people.write_people(
    folder, tracks, chosen, source, clip, lifting, body, wanted, log
  )
  return Outcome(folder.path, names, "\n".join(log.lines), log.speeds())


def named(weights) -> str | None:
  """What `prediction.json` says of weights: their name or path; None for none."""
  if weights is None or isinstance(weights, (str, os.PathLike)):
    return None if weights is None else os.fspath(weights)
  return "in memory"
