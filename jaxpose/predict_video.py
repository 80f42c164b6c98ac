"""A video to the people in it in 3D, as files in a folder; see docs/predict.md.

from jaxpose import predict
done = predict.video("walk.mp4", "walk_3d")
print(done.report)
poses = pose_npz.load("walk_3d/person_0/poses.npz")

Interrupted, the same call goes on: keypoints from the last part that was stored, the
rest from the last file that was finished. One picture is in memory at a time; of each
person it is the keypoints and poses of all frames.
"""

import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np

from jaxpose import mesh_inputs
from jaxpose import predict_folder
from jaxpose import predict_inputs
from jaxpose import predict_outputs
from jaxpose import predict_person
from jaxpose import predict_source
from jaxpose import whole_files
from jaxpose.keypoint_tracks import Track
from jaxpose.models.glot import Glot
from jaxpose.predict_folder import Folder
from jaxpose.predict_person import Clip
from jaxpose.predict_source import Log

WEIGHTS = "lift-27"
SMOOTH = "savgol"
_REPORT = "report.txt"
_BODY = "body.npz"

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
  weights: Any = WEIGHTS,
  smooth: str = SMOOTH,
  world: bool = True,
  focal: Number | None = None,
  mesh: str | os.PathLike | None = None,
  formats: Sequence[str] | None = None,
  fps: float | None = None,
  flip: bool = False,
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
    weights: for `predict.lift`.
    smooth: one of `predict_person.SMOOTHINGS`.
    world: put csv and bvh upright on the ground, where that can be told.
    focal: length of the camera in pixels; None: of the file's metadata, or assumed.
    mesh: weights of GLoT, for bodies besides; None for none.
    formats: of `predict_outputs.NAMES`; None for all that can be written.
    fps: frames per second; needed for a folder.
    flip: average with the prediction of the mirrored input: twice the time.
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
  wanted = predict_outputs.formats(formats)
  if smooth not in predict_person.SMOOTHINGS:
    raise ValueError(
      f"got the smoothing {smooth!r}, expected {', '.join(predict_person.SMOOTHINGS)}."
    )
  if focal is not None and not 0 < focal < np.inf:
    raise ValueError(f"got focal={focal}, expected pixels, above 0.")
  model = predict_inputs.loaded(weights)
  if isinstance(model.module, Glot):
    raise ValueError(
      "got weights of the model 'glot', expected those of a model of joints such as "
      f"{WEIGHTS!r}; for bodies pass them as mesh (--mesh)."
    )
  body = None if mesh is None else mesh_inputs.glot_weights(mesh)
  source = predict_source.opened(path, fps)
  file = None if keypoints is None else pathlib.Path(keypoints).expanduser()
  if file is not None and not file.exists():
    raise FileNotFoundError(f"{file}: no such file; expected keypoints.")
  length, told = predict_source.focal_length(source, focal)
  folder = Folder(
    out,
    source=predict_folder.identity(source.path) | dict(fps=source.fps),
    detection=dict(
      keypoints=file and predict_folder.identity(file),
      people=people,
    ),
    settings=dict(
      weights=_named(weights),
      smooth=smooth,
      world=world,
      focal=focal,
      flip=flip,
      mesh=_named(mesh),
    ),
    overwrite=overwrite,
  )
  clip = Clip(source.fps, tuple(source.image_size), length)
  log = predict_source.Log(progress)
  options = dict(people=people, weights=detector_weights, threads=threads)
  tracks = predict_source.tracks(folder, source, file, options, log)
  chosen = tracks if person is None else tracks.only(str(person))
  log.say(told)
  if formats is None:
    for form, extra in predict_outputs.lacking_extras().items():
      name = predict_outputs.NAMES[form]
      log.say(f"No {name}: for that run pip install 'jaxpose[{extra}]'.")
  done, refused, places = [], [], _places(tracks)
  lifting = dict(weights=model, smooth=smooth, world=world, flip=flip)
  for track in chosen:
    place = places[track.name]
    try:
      _person(folder, place, track, source, clip, lifting, body, wanted, log)
      done.append(track.name or "0")
    except ValueError as error:
      refused.append(str(error))
      log.say(f"Person {track.name or '0'} was left out: {error}")
  if not done:
    raise ValueError(
      refused[0] if len(refused) == 1 else f"nobody can be put in 3D; {refused[0]}"
    )
  return Outcome(folder.path, done, "\n".join(log.lines), log.speeds())


def _places(tracks) -> dict[str, str]:
  """Name of each person -> name of the folder."""
  found: dict[str, str] = {}
  for track in tracks:
    plain = place = "person_" + re.sub(r"[^\w.-]", "_", track.name or "0")
    count = 1
    while place in found.values():
      count += 1
      place = f"{plain}_{count}"
    found[track.name] = place
  return found


def _person(
  folder: Folder,
  place: str,
  track: Track,
  source,
  clip: Clip,
  lifting: dict,
  body,
  wanted: list[str],
  log: Log,
) -> None:
  """Whatever is not finished of one person."""
  name = track.name or "0"
  files = {form: f"{place}/{predict_outputs.NAMES[form]}" for form in wanted}
  missing = [form for form, file in files.items() if file not in folder.finished]
  no_body = body is not None and f"{place}/{_BODY}" not in folder.finished
  if not missing and not no_body and f"{place}/{_REPORT}" in folder.finished:
    log.say(f"Person {name} is finished, in {folder.path / place}.")
    return
  label = f"person {name}: %s" if log.show else None
  count = int(track.frames[-1] - track.frames[0]) + 1
  with log.stage("3D", count):
    found = predict_person.lift(track, clip, progress=label and label % "3D", **lifting)
  said = [found.report]
  log.say(f"Person {name}: {found.report}")
  for form in missing:
    with log.stage(form, count):
      told = predict_outputs.write(
        folder.path / files[form], found, form, source, label and label % form
      )
    if (folder.path / files[form]).exists():
      folder.finish(files[form])
    if told:
      said.append(told)
      log.say(told)
  if no_body:
    with log.stage("body", count):
      said.append(_write_body(folder, place, track, clip, body, label))
    log.say(said[-1])
  text = "\n".join(said) + "\n"
  path = folder.path / place / _REPORT
  whole_files.write(
    path, lambda file: file.write(text.encode()), endings=(".txt",), overwrite=True
  )
  folder.finish(f"{place}/{_REPORT}")


def _write_body(
  folder: Folder, place: str, track: Track, clip: Clip, body, label
) -> str:
  from jaxpose import predict

  points, confidence = predict_person.dense(track)
  mesh = predict.mesh(
    points,
    weights=body,
    image_size=clip.image_size,
    confidence=confidence,
    skeleton=track.skeleton,
    focal=clip.focal,
    frame_rate=clip.fps,
    progress=label and label % "body",
  )
  for path in predict_outputs.write_body(folder.path / place, mesh):
    folder.finish(f"{place}/{path.name}")
  return f"body: {mesh.report}"


def _named(weights) -> str | None:
  if weights is None or isinstance(weights, (str, os.PathLike)):
    return None if weights is None else os.fspath(weights)
  return "in memory"
