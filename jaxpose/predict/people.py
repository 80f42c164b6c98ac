"""Writes the files of the people in a video that are not finished yet."""

from collections.abc import Sequence

from jaxpose.body.meshes import Mesh
from jaxpose.files import whole_files
from jaxpose.formats.keypoint_tracks import Track
from jaxpose.predict import body_video
from jaxpose.predict import outputs
from jaxpose.predict import person
from jaxpose.predict import result_folder
from jaxpose.predict.keypoint_source import Log
from jaxpose.predict.person import Clip
from jaxpose.predict.result_folder import Folder

_REPORT = "report.txt"


def write_people(
  folder: Folder,
  tracks: Sequence[Track],
  chosen: Sequence[Track],
  source,
  clip: Clip,
  lifting: dict,
  body,
  wanted: list[str],
  log: Log,
) -> list[str]:
  """Writes the files of those who are chosen; gives the names of those in 3D.

  Args:
    folder: of the files.
    tracks: everybody.
    chosen: some of them.
    source: of the frames, for videos.
    clip: of the video.
    lifting: options of `person.lift`.
    body: weights of GLoT, or None.
    wanted: formats.
    log: for what is said.

  Raises:
    ValueError: nobody can be put in 3D.
  """
  done, refused = [], []
  places = result_folder.places(f"person_{track.name or '0'}" for track in tracks)
  places = dict(zip((track.name for track in tracks), places, strict=True))
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
  return done


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
  files = {form: f"{place}/{outputs.NAMES[form]}" for form in wanted}
  missing = [form for form, file in files.items() if file not in folder.finished]
  report = folder.path / place / _REPORT
  before = f"{place}/{_REPORT}" in folder.finished
  text = report.read_text(encoding="utf-8") if before else ""
  of_poses, _, of_bodies = text.partition("\nbody: ")
  missing = [form for form in missing if not _told(of_poses, form, "No {}:")]
  bodies = [] if body is None else outputs.body_files()
  if bodies and "mp4" in wanted:
    bodies.append(body_video.NAME)
  undone = [n for n in bodies if f"{place}/{n}" not in folder.finished]
  # Estimated again, it may be another body: then all files are made of that.
  bodies = bodies if outputs.BODY in undone else undone
  if not missing and not bodies and before:
    log.say(f"Person {name} is finished, in {folder.path / place}.")
    return
  label = f"person {name}: %s" if log.show else None
  count = int(track.frames[-1] - track.frames[0]) + 1
  if missing or not before:
    with log.stage("3D", count):
      found = person.lift(track, clip, progress=label and label % "3D", **lifting)
    said = [found.report]
    for form in [form for form in outputs.NAMES if form not in missing]:
      said += _told(of_poses, form, "{}:") + _told(of_poses, form, "No {}:")
    log.say(f"Person {name}: {found.report}")
  else:  # bodies are added, which need no poses
    said = [of_poses.rstrip()]
  for form in missing:
    with log.stage(form, count):
      told = outputs.write(
        folder.path / files[form], found, form, source, label and label % form
      )
    if (folder.path / files[form]).exists():
      folder.finish(files[form])
    if told:
      said.append(told)
      log.say(told)
  if body is not None:
    said.append(_bodies(folder, place, track, source, clip, body, bodies, label, log))
    log.say(said[-1])
  elif of_bodies:
    said.append(f"body: {of_bodies.rstrip()}")
  text = "\n".join(said) + "\n"
  whole_files.write(
    report, lambda file: file.write(text.encode()), endings=(".txt",), overwrite=True
  )
  folder.finish(f"{place}/{_REPORT}")


def _told(report: str, form: str, start: str) -> list[str]:
  """Lines of an earlier report that `outputs.write` gave for this format."""
  start = start.format(outputs.NAMES[form])
  return [line for line in report.splitlines() if line.startswith(start)]


def _bodies(
  folder: Folder,
  place: str,
  track: Track,
  source,
  clip: Clip,
  body,
  missing: list[str],
  label: str | None,
  log: Log,
) -> str:
  """Writes those of the bodies' files that are missing; gives a sentence."""
  from jaxpose.predict import lifting as predict_lifting

  at, count = folder.path / place, int(track.frames[-1] - track.frames[0]) + 1
  if outputs.BODY in missing:
    points, confidence = person.dense(track)
    with log.stage("body", count):
      mesh = predict_lifting.mesh(
        points,
        weights=body,
        image_size=clip.image_size,
        confidence=confidence,
        skeleton=track.skeleton,
        focal=clip.focal,
        fps=clip.fps,
        progress=label and label % "body",
      )
  else:
    mesh = Mesh.load(at / outputs.BODY)
  for name in missing:
    if name != body_video.NAME:
      outputs.write_body(at / name, mesh)
      folder.finish(f"{place}/{name}")
  if body_video.NAME in missing:
    with log.stage("body.mp4", count):
      body_video.write(
        at / body_video.NAME, mesh, track, source, label and label % "body.mp4"
      )
    folder.finish(f"{place}/{body_video.NAME}")
  return f"body: {mesh.report}"
