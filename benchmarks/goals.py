r"""How near the released lifter and body network are to their goals, in one table.

Run: python -m benchmarks.goals [--weights=lift-27] [--mesh=mesh-16]
       [--views=pose2sim-0.10.49-py3-none-any.whl --views_out=runs/views_demo]

from the root of a checkout. CMU motion capture is built first if it is not there, as
with `jaxpose.train`. The rows:

1, 2, 3: the lifter on joints of h36m17 (`jaxpose.evaluate`, MPJPE and PA-MPJPE over 17
  joints), test subjects 02 and 35, unusual takes, and subjects 03 and 08.
4: the same people seen as COCO's 17 keypoints (`goal_people.as_coco17`), exact, through
  `predict.lift`, over the 14 joints that all definitions share. A stand-in for held-out
  people of other data sets, on whom nothing was measured.
5: the man of pose2sim's four videos (`views.py`), each camera alone against RANSAC of
  all, which is not the truth; mean over the cameras, 14 joints, as `predict` flips.
6: the same from projections of the triangulated motion, which is then the truth.
7: knee flexion in the lifted pose of somebody who stands straight, 108 cameras around;
  the truth is 0.
8: bodies: MPJPE and PA-MPJPE of 14 joints, MPVPE, acceleration (`jaxpose.evaluate`).

A row that cannot be measured has a dash, and says why below the table.
"""

import argparse
import contextlib
import functools
import pathlib
import sys
import zipfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from absl import logging

from benchmarks import goal_people
from benchmarks import views
from jaxpose import metrics
from jaxpose import runtime
from jaxpose import tasks
from jaxpose.data import pose_data
from jaxpose.geometry import cameras
from jaxpose.motion import gaps
from jaxpose.motion import smoothing
from jaxpose.predict import lifting
from jaxpose.predict import rig_people
from jaxpose.predict import rig_poses
from jaxpose.predict import rig_source
from jaxpose.tasks.scoring import Evaluation
from jaxpose.weights import pretrained

_loaded = functools.cache(pretrained.load)
_JOINTS, _BODIES = ("cmu_p1", "cmu_p2"), ("mesh14_p1", "mesh14_p2", "mesh_vertices")


class Row(NamedTuple):
  """A line of the table.

  Attributes:
    name: what is measured.
    unit: of its numbers.
    measure: name or path of weights to the numbers.
    goal: in words; "-" where there is none.
    mesh: whether the weights are those of bodies.
  """

  name: str
  unit: str
  measure: Callable[[str], tuple[float, ...]]
  goal: str = "-"
  mesh: bool = False


class Bench:
  """What the rows share, each made once, when it is needed."""

  def __init__(self, args: argparse.Namespace):
    self._args = args
    self.folder = functools.cache(self._folder)
    self.scorer = functools.cache(self._scorer)
    self.man = functools.cache(self._man)
    self._load = functools.cache(tasks.load)

  def _folder(self, config: str | None) -> pathlib.Path:
    """Of the data set; it is built if need be, which is not told amid the table."""
    with contextlib.redirect_stdout(sys.stderr):
      return pose_data.prepare(
        "cmu_mocap",
        builder_config=config,
        data_dir=self._args.data_dir,
        manual_dir=self._args.manual_dir,
      )

  def _scorer(self, name: str, config: str | None = None):
    model = _loaded(name)
    load = functools.partial(self._load, self.folder(config), window=model.window)
    kind, options = tasks.BODIES, {}
    if config is None:
      options = dict(lookahead=model.lookahead, framed=model.framed)
      kind = tasks.POSES
    return model, kind.scorer(
      model.module, load, window=model.window, inputs=model.inputs, **options
    )

  def scores(self, name: str, split: str, *, detector: bool, config=None):
    """Totals of the protocols of joints, or of bodies where the config is theirs."""
    every, names = self._args.every, _JOINTS if config is None else _BODIES
    if config is not None and every == 1:
      names = (*names, "mesh14_accel")
    model, scorer = self.scorer(name, config)
    found = scorer(
      model.variables, Evaluation(split, names, every=every, detector=detector)
    )
    return tuple(total for total, _ in found.numbers.values())

  def as_coco17(self, name: str, split: str) -> tuple[float, float]:
    """MPJPE and PA-MPJPE in mm over the shared joints, from exact COCO-17."""
    import tensorflow_datasets as tfds

    model, pairs = _loaded(name), []
    records = tfds.builder_from_directory(self.folder(None)).as_data_source(split=split)
    for i in range(0, len(records), self._args.every_clip):
      pairs += lifted_as_coco17(records[i], model)
    pair = tuple(np.concatenate(joints) for joints in zip(*pairs, strict=True))
    return tuple(
      1000 * float(of(*pair).mean()) for of in (metrics.mpjpe, metrics.pa_mpjpe)
    )

  def _man(self):
    """Pose2sim's man as he is seen, the cameras, and his poses."""
    if self._args.views is None:
      raise ValueError("needs --views=WHEEL of pose2sim")
    folder = views.unpack(self._args.views, self._args.views_out, "Single")
    found = views.keypoints(folder, 1)
    videos = sorted(folder.glob("*.mp4"))
    rig = rig_source.opened(videos, next(folder.glob("*.qca.txt")))
    person = rig_people.associate(found, rig).people[0]
    return person, rig, rig_poses.view_poses(person, rig, "ransac", smooth="none")

  def real(self, name: str) -> tuple[float]:
    """Mean PA-MPJPE in mm over the views: one camera against four."""
    return _mean_of_views(*self.man(), _loaded(name))

  def clean(self, name: str) -> tuple[float]:
    """The same from projections of the triangulated motion."""
    person, rig, _ = self.man()
    person = projected(person, rig)
    truth = rig_poses.view_poses(person, rig, "dlt", smooth="none")
    return _mean_of_views(person, rig, truth, _loaded(name))


def _mean_of_views(person, rig, reference, model) -> tuple[float]:
  errors = views.monocular(person, rig, reference, model, goal_people.SHARED)
  return (float(np.mean([error.mean() for error in errors.values()])),)


def lifted_as_coco17(record: dict, model) -> list[tuple[np.ndarray, np.ndarray]]:
  """Lifted and true shared joints of each stretch of a record in which all is seen."""
  shared, found = list(goal_people.SHARED), []
  valid = np.asarray(record["frame_valid"], bool)
  edges = np.flatnonzero(np.diff(np.r_[False, valid, False].astype(np.int8)))
  for start, stop in edges.reshape(-1, 2):
    joints = np.float64(record["joints_3d"][start:stop])
    seen = goal_people.as_coco17(joints)
    lifted = lifting.lift(
      cameras.project(seen, np.float64(record["intrinsics"])),
      image_size=tuple(map(int, record["image_size"])),
      weights=model,
      skeleton="coco17",
      fps=float(record["fps"]),
    )
    true = joints - joints[:, :1]
    found.append((np.float64(lifted.joints_3d[:, shared]), true[:, shared]))
  return found


def projected(person, rig):
  """The person as if each camera had seen the triangulated motion, where it saw him."""
  points, _ = rig_poses.triangulated(person, rig, robust=True)
  points = gaps.fill_gaps(points, ~np.isfinite(points).all(-1))
  points = smoothing.smooth(points, rig.fps, "savgol").points
  pixels = rig.pixels(points)
  seen = person.confidence.any(-1)[..., None] & np.isfinite(pixels).all(-1)
  return person._replace(
    pixels=np.where(seen[..., None], pixels, 0), confidence=np.float32(seen)
  )


def standing(name: str, skeleton: str) -> tuple[float, float]:
  """Mean and largest knee flexion in degrees of an upright person, over the cameras."""
  model, joints = _loaded(name), goal_people.upright()
  seen = goal_people.as_coco17(joints) if skeleton == "coco17" else joints
  middle = (joints.min((0, 1)) + joints.max((0, 1))) / 2
  angles = []
  for camera in goal_people.ring(middle):
    view = cameras.world_to_camera(seen, camera.rotation, camera.position)
    lifted = lifting.lift(
      cameras.project(view, camera.intrinsics),
      image_size=camera.image_size,
      weights=model,
      skeleton=skeleton,
    )
    angles.append(goal_people.knee_flexion(np.float64(lifted.joints_3d)))
  return float(np.mean(angles)), float(np.max(angles))


def rows(bench: Bench) -> list[Row]:
  """All rows in order."""
  both, found = "MPJPE / PA-MPJPE mm", []
  for number, split, label, goals in (
    (1, "test", "test subjects", ("38 / 29", "54 / 41")),
    (3, "unusual", "unusual takes", ("-", "-")),
    (3, "validation", "validation subjects", ("-", "-")),
  ):
    for errors, goal in zip((False, True), goals, strict=True):
      score = functools.partial(bench.scores, split=split, detector=errors)
      seen = "a detector's errors" if errors else "exact 2D"
      n = number + (errors and number == 1)
      found.append(Row(f"{n}. lifter, {label}, {seen}", both, score, goal))
  for split in ("test", "unusual"):
    score = functools.partial(bench.as_coco17, split=split)
    goal = "58 / 47, held-out people; this is a stand-in"
    found.append(Row(f"4. lifter, {split}, exact COCO-17", both, score, goal))
  name = "lifter, a real man, one camera against four"
  found += [
    Row(f"5. {name}", "PA-MPJPE mm", bench.real, "60"),
    Row(f"6. {name}, clean projections", "PA-MPJPE mm", bench.clean, "45"),
  ]
  for skeleton in ("coco17", "h36m17"):
    score = functools.partial(standing, skeleton=skeleton)
    name = f"7. lifter, standing straight, exact {skeleton}"
    found.append(Row(name, "knee flexion, mean / max °", score, "10"))
  unit = "MPJPE / PA-MPJPE / MPVPE mm / accel. mm/frame²"
  bodies = functools.partial(bench.scores, split="test", config="mesh")
  for errors, goal in ((False, "52 / 40 / 66"), (True, "-")):
    score = functools.partial(bodies, detector=errors)
    seen = "a detector's errors" if errors else "exact 2D"
    found.append(Row(f"8. bodies, test subjects, {seen}", unit, score, goal, mesh=True))
  return found


def cell(measure: Callable, name: str | None, notes: list[str], row: str) -> str:
  """The numbers of a row, or a dash and a note why."""
  if name is None:
    return "-"
  try:
    return " / ".join(f"{number:.1f}" for number in measure(name))
  except (ValueError, OSError, ImportError, zipfile.BadZipFile) as error:
    notes.append(f"{row}, {name}: {error}")
    return "-"


def main(argv=None) -> None:
  """Prints the table as Markdown, row by row."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--weights", default="lift-27", help="of the lifter")
  parser.add_argument("--mesh", default="mesh-16", help="weights of bodies")
  parser.add_argument("--baseline", help="weights of a second lifter, a column more")
  parser.add_argument("--views", type=pathlib.Path, help="wheel of pose2sim")
  parser.add_argument(
    "--views_out",
    type=pathlib.Path,
    default=pathlib.Path("runs/views_demo"),
    help="folder of its videos and keypoints",
  )
  parser.add_argument("--data_dir", help="of built datasets; default: as TFDS has it")
  parser.add_argument("--manual_dir", help="raw files, if the dataset must be built")
  parser.add_argument(
    "--every", type=int, default=1, help="n-th frames; over 1 no acceleration"
  )
  parser.add_argument("--every_clip", type=int, default=5, help="row 4: n-th clips")
  parser.add_argument("--rows", default="1,2,3,4,5,6,7,8", help="their numbers")
  args = parser.parse_args(argv)
  if min(args.every, args.every_clip) < 1:
    sys.exit("error: got --every or --every_clip below 1, expected 1 or more.")
  runtime.start()
  logging.set_verbosity(logging.WARNING)
  chosen, notes = args.rows.split(","), []
  print(
    f"Lifter {args.weights}, bodies {args.mesh}. Rows 1, 2, 3, 8: one frame in "
    f"{args.every}; row 4: one clip in {args.every_clip}.\n"
  )
  columns = ["measured", "baseline"] if args.baseline else ["measured"]
  head = ["row", "numbers", *columns, "goal"]
  print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
  for row in rows(Bench(args)):
    wanted = row.name.partition(".")[0] in chosen
    models = [args.mesh if row.mesh else args.weights]
    if args.baseline:
      models.append(None if row.mesh else args.baseline)
    cells = [
      cell(row.measure, name if wanted else None, notes, row.name) for name in models
    ]
    print(f"| {' | '.join([row.name, row.unit, *cells, row.goal])} |", flush=True)
  print("\n" + "\n".join(f"- {note}" for note in notes) if notes else "")


if __name__ == "__main__":
  main()
