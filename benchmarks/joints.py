r"""Where joints of one name lie in different skeletons: what docs/joints.md says.

Run: python -m benchmarks.joints [--data_dir=FOLDER]
       [--views=pose2sim-0.10.49-py3-none-any.whl --views_out=runs/views_demo]

from the root of a checkout. Three tables:

1. the free body in its rest pose, arms hanging, and random adults: h36m17 from COCO's
  joints (`spin49`), from SMPL's and from Human3.6M's regressor, each against another.
2. CMU's people as COCO's keypoints (`goal_people.as_coco17`), mapped to h36m17, against
  their own joints: what `skeleton_maps` adds where the rest is the same.
3. CMU's people, the free body and the man of pose2sim's videos, whom our detector saw
  and four cameras triangulated: lengths over the leg's. He is one man.

Offsets are outward, up along the trunk and forward, means of both sides.
"""

import argparse
import contextlib
import pathlib
import sys

import numpy as np
from jaxtyping import Float

from benchmarks import goal_people
from benchmarks import views
from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.data import pose_data
from jaxpose.predict import rig_people
from jaxpose.predict import rig_poses
from jaxpose.predict import rig_source
from jaxpose.skeletons import proportions
from jaxpose.skeletons import skeleton_maps

H36M = goal_people.H36M
SHAPES = 100  # random adults
_HANG = np.radians(75)  # that the arms of the rest pose are let down
_SMPL = skeletons.get("smpl24")
NAMES = dict(leg_m="leg, m")
_HALF = [j for j, n in enumerate(H36M.joints) if not n.startswith("right_")]


def trunk(joints: Float[np.ndarray, "t 17 3"]) -> Float[np.ndarray, "t 3 3"]:
  """Unit vectors of h36m17's trunk: to its left, up, and forward."""

  def pair(part):
    return (joints[:, H36M.index(f"{side}_{part}")] for side in ("left", "right"))

  (left, right), (left_hip, right_hip) = pair("shoulder"), pair("hip")
  up = _unit(left + right - left_hip - right_hip)
  forward = _unit(np.cross(left - right, up))
  return np.stack([np.cross(up, forward), up, forward], 1)


def offsets(one, other) -> tuple[np.ndarray, np.ndarray]:
  """Of joints of h36m17 from others: mean (17, 3) in the trunk's axes, and distance.

  Right joints are mirrored and averaged with the left ones, whose left is outward.
  Nothing is aligned.
  """
  away = np.einsum("tkc,tjc->tjk", trunk(other), one - other)
  distance = np.linalg.norm(away, axis=-1).mean(0)
  mean = away.mean(0)
  mirrored = mean[H36M.mirror] * [-1, 1, 1]
  return (mean + mirrored) / 2, (distance + distance[H36M.mirror]) / 2


def free_bodies(shapes: int = SHAPES) -> dict[str, Float[np.ndarray, "n _ 3"]]:
  """Joints of the free body by skeleton: `smpl24`, `spin49`, `lsp14`; metres."""
  body = body_files.load("free")
  betas = np.random.default_rng(0).normal(size=(shapes, body.num_betas))
  betas[0] = 0
  angles = np.zeros((shapes, 24, 3))
  for side, sign in (("left", -1), ("right", 1)):
    angles[:, _SMPL.index(f"{side}_shoulder"), 2] = sign * _HANG
  turns = geometry.axis_angle_to_matrix(angles).astype(np.float32)
  posed = bodies.pose(body, turns, betas.astype(np.float32))
  found = dict(
    smpl24=posed.joints,
    spin49=bodies.joints_49(body, posed),
    lsp14=bodies.joints_14(body, posed),
  )
  return {name: np.asarray(joints, np.float64) for name, joints in found.items()}


def from_lsp14(joints: Float[np.ndarray, "t 14 3"]) -> Float[np.ndarray, "t 17 3"]:
  """h36m17 of the evaluated 14; the hip, spine and nose, which they lack, are NaN."""
  renamed = dict(hip="", neck="", thorax="neck", head="head_top")
  renamed |= {f"{side}_foot": f"{side}_ankle" for side in ("left", "right")}
  names, made = skeletons.get("lsp14").joints, np.full((len(joints), 17, 3), np.nan)
  for j, name in enumerate(H36M.joints):
    if renamed.get(name, name) in names:
      made[:, j] = joints[:, names.index(renamed.get(name, name))]
  return made


def cmu_people(data_dir: str | None) -> dict[str, Float[np.ndarray, "t 17 3"]]:
  """Joints of each subject of CMU by number, all takes, one camera's frames."""
  import tensorflow_datasets as tfds

  with contextlib.redirect_stdout(sys.stderr):
    folder = pose_data.prepare("cmu_mocap", data_dir=data_dir)
  builder = tfds.builder_from_directory(folder)
  found: dict[str, list] = {}
  for split in builder.info.splits:
    for record in builder.as_data_source(split=split):
      if record["camera"] in ("0", b"0"):
        subject = record["subject"]
        subject = subject.decode() if isinstance(subject, bytes) else subject
        found.setdefault(subject, []).append(np.float64(record["joints_3d"][::5]))
  return {subject: np.concatenate(parts) for subject, parts in sorted(found.items())}


def man(wheel: pathlib.Path, out: pathlib.Path) -> Float[np.ndarray, "t 17 3"]:
  """COCO's keypoints of pose2sim's man in the world, metres; NaN where unknown."""
  folder = views.unpack(wheel, out, "Single")
  found = views.keypoints(folder, 1)
  videos = sorted(folder.glob("*.mp4"))
  rig = rig_source.opened(videos, next(folder.glob("*.qca.txt")))
  person = rig_people.associate(found, rig).people[0]
  points, _ = rig_poses.triangulated(person, rig, robust=True)
  return skeleton_maps.convert(points, person.skeleton, "coco17")


def lengths(coco: Float[np.ndarray, "t 17 3"]) -> dict[str, float]:
  """The leg's in metres, and over it what `proportions` has and the face.

  The face from the middle of the shoulders. Medians over the frames in which all is
  known.
  """
  coco = coco[np.isfinite(coco).all((1, 2))]
  joints = skeleton_maps.convert(coco, "coco17", "h36m17")
  thorax, axes = joints[:, H36M.index("thorax")], trunk(joints)

  def bone(start, end):
    ends = (
      coco[:, [goal_people.COCO.index(f"{s}_{n}") for s in ("left", "right")]]
      for n in (start, end)
    )
    return np.median(np.linalg.norm(np.subtract(*ends), axis=-1), 0).mean()

  leg = float(bone("hip", "knee") + bone("knee", "ankle"))
  found = dict(leg_m=leg) | proportions.measure(coco, "coco17")
  nose = coco[:, goal_people.COCO.index("nose")]
  sides = (goal_people.COCO.index(f"{s}_ear") for s in ("left", "right"))
  ears = coco[:, list(sides)].mean(1)
  for name, point in (("nose", nose), ("ears", ears)):
    away = np.einsum("tkc,tc->tk", axes, point - thorax)
    found[f"{name} up"] = float(np.median(away[:, 1]) / leg)
    found[f"{name} forward"] = float(np.median(away[:, 2]) / leg)
  found["ears to nose"] = float(np.median(np.linalg.norm(nose - ears, axis=-1)) / leg)
  return found


def _unit(x):
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _cell(mean, distance) -> str:
  if not np.isfinite(distance):
    return "-"
  return f"{1000 * distance:.0f} ({', '.join(f'{1000 * x:+.0f}' for x in mean)})"


def main(argv=None) -> None:
  """Prints the tables as Markdown."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--data_dir", help="of built datasets; default: as TFDS has it")
  parser.add_argument("--views", type=pathlib.Path, help="wheel of pose2sim")
  parser.add_argument(
    "--views_out", type=pathlib.Path, default=pathlib.Path("runs/views_demo")
  )
  args = parser.parse_args(argv)
  found = free_bodies()
  coco = skeleton_maps.convert(found["spin49"], "spin49", "coco17")
  seen = skeleton_maps.convert(coco, "coco17", "h36m17")
  smpl = skeleton_maps.convert(found["smpl24"], "smpl24", "h36m17")
  h36m = from_lsp14(found["lsp14"])
  pairs = [offsets(seen, smpl), offsets(h36m, smpl), offsets(seen, h36m)]
  print("| mm (outward, up, forward) | COCO from SMPL | Human3.6M from SMPL | ", end="")
  print("COCO from Human3.6M |\n|---|---|---|---|")
  for j in _HALF:
    cells = [_cell(mean[j], distance[j]) for mean, distance in pairs]
    print(f"| {j} {H36M.joints[j]} | {' | '.join(cells)} |")
  people = cmu_people(args.data_dir)
  as_coco = {name: goal_people.as_coco17(joints) for name, joints in people.items()}
  own = np.concatenate(list(people.values()))
  mapped = skeleton_maps.convert(
    np.concatenate(list(as_coco.values())), "coco17", "h36m17"
  )
  mean, distance = offsets(mapped, own)
  print("\n| mm (outward, up, forward) | COCO from CMU |\n|---|---|")
  for j in _HALF:
    print(f"| {j} {H36M.joints[j]} | {_cell(mean[j], distance[j])} |")
  subjects = [lengths(joints) for joints in as_coco.values()]
  adults = [lengths(one[None]) for one in coco]
  him = lengths(man(args.views, args.views_out)) if args.views else None
  print(f"\n| of the leg | {len(subjects)} people of CMU | free body | one man |")
  print("|---|---|---|---|")
  for name in subjects[0]:
    cells = []
    for group in (subjects, adults):
      values = [one[name] for one in group]
      cells.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    cells.append(f"{him[name]:.3f}" if him else "-")
    print(f"| {NAMES.get(name, name.replace('_', ' '))} | {' | '.join(cells)} |")


if __name__ == "__main__":
  main()
