"""Videos of several calibrated cameras to the people in them in 3D, as files.

from jaxpose import predict
done = predict.views(["cam1.mp4", "cam2.mp4"], "calibration.toml", "walk_3d")
print(done.report)

Call it again to resume after an interruption, as `predict.video`; see docs/predict.md.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpose.files import whole_files
from jaxpose.geometry import triangulation
from jaxpose.predict import keypoint_source
from jaxpose.predict import outputs
from jaxpose.predict import person as predict_person
from jaxpose.predict import result_folder
from jaxpose.predict import rig_outputs
from jaxpose.predict import rig_people
from jaxpose.predict import rig_poses
from jaxpose.predict import rig_source
from jaxpose.predict.films import Outcome
from jaxpose.predict.result_folder import Folder
from jaxpose.predict.rig_people import Seen
from jaxpose.predict.rig_source import Rig

SMOOTH = "savgol"
REPORT = "report.txt"


def views(
  paths: Sequence[str | os.PathLike],
  calibration: str | os.PathLike,
  out: str | os.PathLike,
  *,
  method: str | None = None,
  weights: Any = None,
  unit: str = "m",
  up: str = "z",
  person: str | int | None = None,
  people: int | None = None,
  keypoints: Sequence[str | os.PathLike] | None = None,
  smooth: str = SMOOTH,
  formats: Sequence[str] | None = None,
  fps: float | None = None,
  shortest: bool = False,
  detector_weights: str | os.PathLike | None = None,
  threads: int | None = None,
  overwrite: bool = False,
  progress: bool = True,
) -> Outcome:
  """The people in synchronised videos in 3D, in the world of the calibration.

  Args:
    paths: of a video for each camera, or of folders of pictures.
    calibration: file, see `calibration` and `rig_source.opened`.
    out: folder for the files; what is finished in it is not done again.
    method: of `rig_poses.METHODS`; None: the lifter if there are weights, else
      "ransac".
    weights: of the lifter: a released name or a path.
    unit: of length in the calibration.
    up: axis of its world that points up.
    person: only this one, by name.
    people: at most so many at a time are followed in each view.
    keypoints: a file of another detector for each video, in their order.
    smooth: one of `person.SMOOTHINGS`.
    formats: of `outputs.NAMES`; None for all that can be written.
    fps: frames per second; needed for folders.
    shortest: go as far as the shortest video.
    detector_weights: see `detect.video`; so is the next.
    threads: of the CPU.
    overwrite: replace results of other videos, or of other settings.
    progress: print what is done, and bars.

  Raises:
    FileNotFoundError: no such video, calibration, keypoints or weights.
    FileExistsError: `out` holds something else, and `overwrite` is not said.
    ValueError: something cannot be read, videos and calibration do not fit each other,
      or nobody is seen by two views, or not that person.
    ImportError: a package that is needed is not installed.
    ConnectionError: the detector's weights could not be fetched.
  """
  wanted = outputs.formats(formats)
  if smooth not in predict_person.SMOOTHINGS:
    raise ValueError(
      f"got the smoothing {smooth!r}, expected {', '.join(predict_person.SMOOTHINGS)}."
    )
  log = keypoint_source.Log(progress)
  method, weights = _method(method, weights)
  model = rig_poses.loaded_lifter(weights) if method == "lifter" else None
  rig = rig_source.opened(
    paths,
    calibration,
    unit=unit,
    up=up,
    fps=fps,
    shortest=shortest,
    even=keypoints is None,  # those of another detector are of the frames as they are
  )
  files = _keypoint_files(keypoints, rig)
  identities = [result_folder.identity(source.path) for source in rig.sources]
  calibration = pathlib.Path(calibration).expanduser()
  folder = Folder(
    out,
    source=dict(
      name=" ".join(one["name"] for one in identities), views=identities, fps=rig.fps
    ),
    detection=dict(
      keypoints=[file and result_folder.identity(file) for file in files],
      people=people,
    ),
    settings=dict(
      calibration=result_folder.identity(calibration) | dict(unit=unit, up=up),
      method=method,
      weights=None if model is None else str(weights),
      smooth=smooth,
    ),
    overwrite=overwrite,
  )
  for line in rig.told:
    log.say(line)
  options = dict(people=people, weights=detector_weights, threads=threads)
  found = []
  for name, source, file, one in zip(
    result_folder.places(rig.names), rig.sources, files, identities, strict=True
  ):
    place = Folder(
      folder.path / "views" / name,
      source=one | dict(fps=source.fps),
      detection=dict(keypoints=file and result_folder.identity(file), people=people),
      settings={},
      overwrite=overwrite,
    )
    found.append(keypoint_source.tracks(place, source, file, options, log))
  together = rig_people.associate(found, rig)
  log.say(together.report)
  chosen = _chosen(together.people, person)
  # Where each view shows one person, it is the same, whatever the calibration says.
  _check(rig_people.alone(found, rig) or chosen[0], rig, calibration)
  done, refused = [], []
  for one in chosen:
    try:
      _person(folder, one, rig, method, model, smooth, wanted, log)
      done.append(one.name)
    except ValueError as error:
      refused.append(str(error))
      log.say(f"Person {one.name} was left out: {error}")
  if not done:
    raise ValueError(refused[0])
  return Outcome(folder.path, done, "\n".join(log.lines), log.speeds())


def _method(method: str | None, weights) -> tuple[str, Any]:
  """The method and the lifter's weights."""
  if method is not None and method not in rig_poses.METHODS:
    raise ValueError(
      f"got the method {method!r}, expected {', '.join(rig_poses.METHODS)}."
    )
  if method in ("ransac", "dlt"):
    if weights is not None:
      raise ValueError(
        f"got weights and the method {method!r}, which has none; leave one out."
      )
    return method, None
  if method is None and weights is None:
    return "ransac", None
  return "lifter", rig_poses.RELEASED if weights is None else weights


def _keypoint_files(keypoints, rig: Rig) -> list[pathlib.Path | None]:
  if keypoints is None:
    return [None] * len(rig.names)
  files = [pathlib.Path(file).expanduser() for file in keypoints]
  if len(files) != len(rig.names):
    raise ValueError(
      f"got {len(files)} files of keypoints for {len(rig.names)} videos, expected one "
      "for each, in the same order."
    )
  for file in files:
    if not file.exists():
      raise FileNotFoundError(f"{file}: no such file; expected keypoints.")
  return files


def _chosen(people: list[Seen], person) -> list[Seen]:
  if person is None:
    return people
  names = [one.name for one in people]
  if str(person) not in names:
    raise ValueError(
      f"got the person {str(person)!r}, expected one of {', '.join(names)}."
    )
  return [people[names.index(str(person))]]


def _check(one: Seen, rig: Rig, calibration: pathlib.Path) -> None:
  """ValueError if a person and the calibration do not agree."""
  seen = one.confidence >= rig_people.MIN_CONFIDENCE
  box = np.zeros((*seen.shape[:2], 4))
  box[..., 2] = np.maximum(one.size, 1)
  seen = seen & (one.size > 0)[..., None]
  triangulation.check_calibration(
    str(calibration), rig.cameras, np.float64(one.pixels), seen, box
  )


def _person(folder: Folder, one: Seen, rig, method, model, smooth, wanted, log) -> None:
  """Whatever is not finished of one person."""
  place = f"person_{one.name}"
  files = {form: f"{place}/{outputs.NAMES[form]}" for form in wanted}
  files |= {n: f"{place}/{n}" for n in (rig_outputs.PICTURE, rig_outputs.VIEWS)}
  missing = [form for form, file in files.items() if file not in folder.finished]
  if not missing and f"{place}/{REPORT}" in folder.finished:
    log.say(f"Person {one.name} is finished, in {folder.path / place}.")
    return
  with log.stage("3D", rig.count):
    found = rig_poses.view_poses(one, rig, method, weights=model, smooth=smooth)
  said = [f"{rig.count} frames of {len(rig.names)} views, method {method}."]
  said.append(found.report)
  log.say(f"Person {one.name}: {' '.join(said)}")
  for form in missing:
    path = folder.path / files[form]
    with log.stage(form, rig.count):
      told = rig_outputs.write(path, form, one, found, rig, "\n".join(said), log.show)
    if path.exists():
      folder.finish(files[form])
    if told:
      said.append(told)
      log.say(told)
  text = ("\n".join(said) + "\n").encode()
  whole_files.write(
    folder.path / place / REPORT,
    lambda file: file.write(text),
    endings=(".txt",),
    overwrite=True,
  )
  folder.finish(f"{place}/{REPORT}")
