r"""How well methods for several cameras do on real videos, and one camera beside them.

Run: pip download pose2sim --no-deps
     python benchmarks/views.py pose2sim-*.whl --out=runs/views_demo
       [--weights=NAME_OR_PATH] [--people] [--monocular=lift-27]
       [--pictures=mpstrt-small]

The wheel (BSD-3-Clause) holds four synchronised videos of a man, and the same with a
computer-made woman in them (--people), with a calibration; they come into --out.
2D keypoints are found once and kept there. There is no true 3D pose, so that what is
measured is:

reprojection: median over frames, views and joints of the distance of projected joints
  from the 2D joints, in pixels, and as a share of the person's size in the view. That
  of DLT is least by construction.
limbs: coefficient of variation of each limb's length over the clip, which is 0 for
  bones; before smoothing.
two cameras: mean over all pairs of PA-MPJPE of what each method makes of two views
  alone, against the RANSAC poses of all.
one camera: PA-MPJPE of the monocular lifter, averaged with the mirror image, from each
  view against the RANSAC poses, in the frames where all joints of these are known. That
  is the error against another estimate from the same 2D keypoints, not against truth.
pictures: the network of pictures in boxes round the keypoints: reprojection, limbs as
  above; its 2D joints and its 3D poses against the keypoints and the RANSAC poses.
"""

import argparse
import itertools
import pathlib
import sys
import zipfile

import numpy as np
from PIL import Image

from jaxpose import detect
from jaxpose import metrics
from jaxpose.detect.detect_tracks import Tracks
from jaxpose.formats import keypoint_files
from jaxpose.predict import lifting
from jaxpose.predict import rig_outputs
from jaxpose.predict import rig_people
from jaxpose.predict import rig_poses
from jaxpose.predict import rig_source
from jaxpose.predict import views_files
from jaxpose.skeletons import skeleton_maps

LIMBS = dict(
  thigh=("hip", "knee"),
  shin=("knee", "foot"),
  upper_arm=("shoulder", "elbow"),
  forearm=("elbow", "wrist"),
)
_PLACE = "Pose2Sim/Demo_{}Person"


def unpack(wheel: pathlib.Path, out: pathlib.Path, demo: str) -> pathlib.Path:
  """The folder of a demo's videos and calibration."""
  folder = out / demo.lower()
  folder.mkdir(parents=True, exist_ok=True)
  with zipfile.ZipFile(wheel) as file:
    place = _PLACE.format(demo)
    names = [n for n in file.namelist() if n.startswith(place)]
    wanted = [n for n in names if n.endswith((".mp4", ".qca.txt"))]
    if len(wanted) < 3:
      raise ValueError(
        f"{wheel}: got no videos with a calibration in {place}, expected a wheel of "
        "pose2sim such as 0.10.49."
      )
    for name in wanted:
      path = folder / pathlib.Path(name).name
      if not path.exists():
        path.write_bytes(file.read(name))
  return folder


def keypoints(folder: pathlib.Path, people: int | None) -> list[Tracks]:
  """Those of every video, found once."""
  found = []
  for video in sorted(folder.glob("*.mp4")):
    path = video.with_suffix(".npz")
    if not path.exists():
      detect.save(path, detect.video(video, people=people))
    found.append(Tracks(keypoint_files.load(path)))
  return found


def limb_variation(joints, skeleton) -> dict[str, float]:
  """Coefficient of variation of limb lengths in %, mean of left and right."""
  found = {}
  for name, (a, b) in LIMBS.items():
    both = []
    for side in ("left", "right"):
      ends = (joints[:, skeleton.index(f"{side}_{j}")] for j in (a, b))
      length = np.linalg.norm(np.subtract(*ends), axis=-1)
      both.append(100 * np.nanstd(length) / np.nanmean(length))
    found[name] = float(np.mean(both))
  return found


def measured(person, rig, method: str, model=None) -> tuple[list[str], object]:
  """A row of the table, and the poses."""
  poses = rig_poses.view_poses(person, rig, method, weights=model, smooth="none")
  error = rig_poses.agreement(poses.raw, person, rig).error
  share = 100 * error / np.maximum(person.size, 1)[..., None]
  known = np.isfinite(error)
  row = [f"{np.median(error[known]):.1f}", f"{np.percentile(error[known], 90):.1f}"]
  row.append(f"{np.median(share[known]):.2f}")
  limbs = limb_variation(poses.raw, poses.skeleton)
  row += [f"{value:.1f}" for value in limbs.values()]
  row.append(f"{np.mean(list(limbs.values())):.1f}")
  row.append(f"{100 * np.isfinite(poses.raw).all(-1).mean():.1f}")
  return row, poses


def apart(poses, reference, used, joints=None) -> np.ndarray:
  """PA-MPJPE in mm of each frame that is used, over all joints or those numbered."""
  chosen = slice(None) if joints is None else list(joints)
  pair = (np.float64(one[used][:, chosen]) for one in (poses, reference.raw))
  return 1000 * metrics.pa_mpjpe(*pair)


def of_two(person, rig, reference, models) -> list[str]:
  """A row for each method: PA-MPJPE in mm, the median over pairs, and the worst."""
  rows, views = [], np.arange(len(rig.names))
  known = np.isfinite(reference.raw).all((1, 2))
  for method, model in models.items():
    errors = []
    for pair in itertools.combinations(views, 2):
      there = np.isin(views, pair)[None, :, None]
      two = person._replace(confidence=np.where(there, person.confidence, 0))
      try:
        poses = rig_poses.view_poses(two, rig, method, weights=model, smooth="none")
      except ValueError:  # a joint on which the two never agree
        errors.append(np.inf)
        continue
      errors.append(apart(poses.joints_3d, reference, known & poses.valid).mean())
    rows.append(f"| {method} | {np.median(errors):.1f} | {np.max(errors):.1f} |")
  return rows


def monocular(person, rig, reference, weights, joints=None) -> dict[str, np.ndarray]:
  """PA-MPJPE of the lifter of one view in mm, of each frame, by view.

  Args:
    person: seen by the views.
    rig: the cameras.
    reference: poses that are taken for true.
    weights: of the lifter.
    joints: that count, their numbers in the reference's skeleton; None: all.
  """
  errors = {}
  known = np.isfinite(reference.raw).all((1, 2))
  for v, name in enumerate(rig.names):
    seen = person.confidence[:, v].any(-1)
    pixels = rig.lenses[v].original(person.pixels[:, v])
    pixels[~seen] = np.nan
    lifted = lifting.lift(
      pixels,
      image_size=rig.sources[v].image_size,
      weights=weights,
      skeleton=person.skeleton,
      confidence=person.confidence[:, v],
      fps=rig.fps,
      focal=float(rig.focal[v]),
      flip=True,  # as `predict` does by default
    )
    used = known & lifted.valid & seen
    errors[name] = apart(lifted.joints_3d, reference, used, joints)
  return errors


def write_boxes(folder: pathlib.Path, found: list[Tracks]) -> None:
  """Boxes of the only person of each view, for `predict.multiview`."""
  (folder / "boxes").mkdir(exist_ok=True)
  for video, tracks in zip(sorted(folder.glob("*.mp4")), found, strict=True):
    (person,) = tracks
    seen = person.confidence[..., None] > rig_people.MIN_CONFIDENCE
    some = seen.sum((1, 2)) >= 5
    low = np.where(seen, person.keypoints, np.inf).min(1)[some]
    high = np.where(seen, person.keypoints, -np.inf).max(1)[some]
    boxes = np.concatenate([(low + high) / 2, 1.1 * (high - low)], 1)
    path = folder / "boxes" / f"{video.stem}.npz"
    np.savez(path, boxes=boxes, frames=person.frames[some])


def pictures(folder, person, rig, reference, weights) -> tuple[list[str], object]:
  """Lines of a table of the network of pictures, and its poses.

  Args:
    folder: recording, with boxes.
    person: its keypoints.
    rig: the cameras.
    reference: poses that are taken for true.
    weights: of the network.
  """
  poses = views_files.multiview(folder, weights=weights, progress="pictures")
  joints = poses.joints_3d_world
  error = rig_poses.agreement(joints, person, rig).error
  share = 100 * error / np.maximum(person.size, 1)[..., None]
  limbs = limb_variation(joints, poses.skeleton)
  own = np.stack(
    [lens.points(poses.keypoints_2d[:, v]) for v, lens in enumerate(rig.lenses)], 1
  )
  true = skeleton_maps.convert(person.pixels, person.skeleton, poses.skeleton.name)
  sure = skeleton_maps.convert_confidence(
    person.confidence, person.skeleton, poses.skeleton.name
  )
  known = (sure >= rig_people.MIN_CONFIDENCE) & np.isfinite(own).all(-1)
  aside = np.linalg.norm(own - true, axis=-1)
  relative = 100 * aside / np.maximum(person.size, 1)[..., None]
  used = np.isfinite(reference.raw).all((1, 2)) & poses.valid
  root = poses.skeleton.root
  moved = [x - x[:, root : root + 1] for x in (poses.joints_3d, reference.raw)]
  away = 1000 * np.linalg.norm(moved[0] - moved[1], axis=-1)[used]
  values = {
    "2D joints beside the keypoints, median px": np.median(aside[known]),
    "the same, median % of size": np.median(relative[known]),
    "reprojection median px": np.nanmedian(error),
    "reprojection median % of size": np.nanmedian(share),
    "mean limb CV %": np.mean(list(limbs.values())),
    "MPJPE against RANSAC, mm": away.mean(),
    "PA-MPJPE against RANSAC, mm": apart(poses.joints_3d, reference, used).mean(),
  }
  return [f"| {name} | {value:.1f} |" for name, value in values.items()], poses


def main(argv=None) -> None:
  """Prints the tables as Markdown, and writes a picture."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("wheel", type=pathlib.Path, help="of pose2sim")
  parser.add_argument("--out", type=pathlib.Path, required=True)
  parser.add_argument("--weights", default=rig_poses.RELEASED)
  parser.add_argument("--monocular", default="lift-27")
  parser.add_argument("--people", action="store_true", help="the videos of two people")
  parser.add_argument("--pictures", help="weights of a network of pictures, of one man")
  args = parser.parse_args(argv)
  if args.people and args.pictures:
    parser.error("got --people with --pictures, expected one of them.")
  try:
    folder = unpack(args.wheel, args.out, "Multi" if args.people else "Single")
    found = keypoints(folder, None if args.people else 1)
    rig = rig_source.opened(
      sorted(folder.glob("*.mp4")), next(folder.glob("*.qca.txt"))
    )
    together = rig_people.associate(found, rig)
    model = rig_poses.loaded_lifter(args.weights)
    models = dict(dlt=None, ransac=None, lifter=model)
  except (ValueError, OSError, ImportError, zipfile.BadZipFile) as error:
    sys.exit(f"error: {error}")
  print("\n".join([*rig.told, together.report]), end="\n\n")
  for person in together.people:
    head = ["person", "method", "median px", "p90 px", "median % of size"]
    head += [f"{name.replace('_', ' ')} CV %" for name in LIMBS]
    head += ["mean CV %", "joints known %"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    poses = {}
    for method, model in models.items():
      row, poses[method] = measured(person, rig, method, model)
      print(f"| {person.name} | {method} | {' | '.join(row)} |")
    print("\n| two views | median PA-MPJPE mm | worst pair |\n|---|---|---|")
    print("\n".join(of_two(person, rig, poses["ransac"], models)))
    print("\n| view | PA-MPJPE mm | median mm | frames |\n|---|---|---|---|")
    errors = monocular(person, rig, poses["ransac"], args.monocular)
    for name, error in errors.items():
      print(f"| {name} | {error.mean():.1f} | {np.median(error):.1f} | {len(error)} |")
    if args.pictures:
      write_boxes(folder, found)
      reference = poses["ransac"]
      rows, _ = pictures(folder, person, rig, reference, args.pictures)
      print("\n".join(["\n| pictures | |\n|---|---|", *rows]))
    best = rig_poses.view_poses(person, rig, "ransac")
    path = folder / f"person_{person.name}.png"
    rig_outputs.write(path, rig_outputs.PICTURE, person, best, rig, "")
    print(f"\npicture: {path} {Image.open(path).size}\n")


if __name__ == "__main__":
  main()
