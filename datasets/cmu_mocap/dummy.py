"""Writes the tiny takes in `dummy_data/`: a made-up march as ASF/AMC and as BVH files.

People, motion and numbers are our own; of CMU's files they have the names of the bones.

Run: python -m cmu_mocap.dummy (in the folder above), after a change of this file.
"""

import dataclasses
import pathlib

import numpy as np

from jaxpose.formats import bvh
from jaxpose.formats import bvh_maps

UNIT = 0.0254 / 0.45  # metres in one unit of CMU's files
RATE = 30.0  # frames per second of the files
FRAMES = 61  # two seconds of march()

# joint < parent, offset in metres, and the channel that moves it; roles stand for the
# names of a dialect.
_BODY = """
  hips < - 0 0 0 Yrotation
  right_hip < hips -0.09 -0.1 0 Xrotation
  right_knee < right_hip 0 -0.42 0 Xrotation
  right_foot < right_knee 0 -0.4 0 -
  left_hip < hips 0.09 -0.1 0 Xrotation
  left_knee < left_hip 0 -0.42 0 Xrotation
  left_foot < left_knee 0 -0.4 0 -
  spine < hips 0 0.12 0 -
  thorax < spine 0 0.33 0 -
  neck < thorax 0 0.09 0 Xrotation
  neck_end < neck 0 0.115 0.02 -
  left_shoulder < spine 0.18 0.28 0 Zrotation
  left_elbow < left_shoulder 0.28 0 0 Yrotation
  left_wrist < left_elbow 0.25 0 0 -
  right_shoulder < spine -0.18 0.28 0 Zrotation
  right_elbow < right_shoulder -0.28 0 0 Yrotation
  right_wrist < right_elbow -0.25 0 0 -
"""
_NAMES = {
  "motionbuilder": """
    Hips RightUpLeg RightLeg RightFoot LeftUpLeg LeftLeg LeftFoot Spine Neck1 Head
    Head_end LeftArm LeftForeArm LeftHand RightArm RightForeArm RightHand
  """,
  "3dsmax": """
    Hips RightHip RightKnee RightAnkle LeftHip LeftKnee LeftAnkle Chest Neck Head
    Head_end LeftShoulder LeftElbow LeftWrist RightShoulder RightElbow RightWrist
  """,
  "daz": """
    hip rThigh rShin rFoot lThigh lShin lFoot abdomen neck head head_end lShldr
    lForeArm lHand rShldr rForeArm rHand
  """,
}
TAKES = {
  "bvh/14_02": "motionbuilder",
  "bvh/08_01": "3dsmax",
  "daz/60_01": "daz",
}
BVH_FRAMES = 31  # of the files in dummy_data, one second

# bone < parent, from its start to its end in metres at rest, axis and order, degrees of
# freedom. Legs stand apart, arms stretch out. "l" stands for both sides.
_BONES = """
  lhipjoint < root 0.1 -0.08 0.01 / 0 0 0 XYZ /
  lfemur < lhipjoint 0.1113 -0.4153 0 / 0 0 15 XYZ / rx ry rz
  ltibia < lfemur 0.1061 -0.396 0 / 0 0 15 XYZ / rx
  lfoot < ltibia 0.01 -0.04 0.12 / -80 0 15 XYZ / rx rz
  ltoes < lfoot 0 0 0.06 / -80 0 15 XYZ / rx
  lowerback < root 0 0.11 -0.01 / 0 0 0 XYZ / rx ry rz
  upperback < lowerback 0 0.12 0 / 0 0 0 XYZ / rx ry rz
  thorax < upperback 0 0.12 0.01 / 0 0 0 XYZ / rx ry rz
  lowerneck < thorax 0 0.09 0 / 0 0 0 XYZ / rx ry rz
  upperneck < lowerneck 0 0.09 0.01 / 0 0 0 XYZ / rx ry rz
  head < upperneck 0 0.1 0 / 0 0 0 XYZ / rx ry rz
  lclavicle < thorax 0.17 0.09 0 / 0 0 0 XYZ / ry rz
  lhumerus < lclavicle 0.29 0 0 / 0 0 0 XYZ / rz rx
  lradius < lhumerus 0.19 0 0 / 0 0 0 ZYX / ry
  lwrist < lradius 0.095 0 0 / 0 90 0 YZX /
  lhand < lwrist 0.08 0 0 / 0 0 0 XYZ / rz rx
"""
AMC_RATE, AMC_FRAMES = 120.0, 61  # half a second
# Subject: size, and what is peculiar to the files of some.
SUBJECTS = {"02": 1.0, "03": 0.94, "05": 1.04, "49": 0.97}
AMC_TAKES = ("02/02_01", "03/03_01", "05/05_02", "49/49_18")
INDEX = """take,description
02_01,"march, as read"
60_01,"march, then turn"
"""


def bones(size: float = 1.0) -> list[tuple]:
  """(name, parent, offset in metres, angles and order of the axis, dof) of each."""
  found = []
  for line in _BONES.strip().splitlines():
    start, axis, dof = (part.split() for part in line.split("/"))
    name, _, parent, *offset = start
    offset, turns = size * np.asarray(offset, float), np.asarray(axis[:3], float)
    found.append((name, parent, offset, turns, axis[3], dof))
    if name.startswith("l") and name not in ("lowerback", "lowerneck"):
      other = f"r{parent[1:]}" if parent[0] == "l" else parent
      mirrored = turns * (1, -1, -1)
      found.append((f"r{name[1:]}", other, offset * (-1, 1, 1), mirrored, axis[3], dof))
  return found


def asf_text(size: float = 1.0) -> str:
  """The skeleton of a person of about 1.75 m times `size`."""
  lines = ["# made up, see dummy.py", ":version 1.10", ":name MARCHER", ":units"]
  lines += ["  mass 1.0", "  length 0.45", "  angle deg", ":root"]
  lines += ["  order TX TY TZ RX RY RZ", "  axis XYZ", "  position 0 0 0"]
  lines += ["  orientation 0 0 0", ":bonedata"]
  children: dict[str, list[str]] = {}
  for name, parent, offset, turns, order, dof in bones(size):
    length = np.linalg.norm(offset)
    lines += ["begin", f" name {name}"]
    lines.append(" direction " + " ".join(f"{x:.6g}" for x in offset / length))
    lines.append(f" length {length / UNIT:.6g}")
    lines.append(f" axis {' '.join(f'{x:g}' for x in turns)} {order}")
    lines += [f" dof {' '.join(dof)}"] * bool(dof) + ["end"]
    children.setdefault(parent, []).append(name)
  lines += [":hierarchy", "begin"]
  lines += [f" {name} {' '.join(found)}" for name, found in children.items()]
  return "\n".join([*lines, "end", ""])


def amc_text(size: float = 1.0, phase: float = 0.0, first: int = 1) -> str:
  """The march on such a skeleton; bones that it does not move are left out."""
  lines = ["# made up, see dummy.py", ":FULLY-SPECIFIED", ":DEGREES"]
  for i in range(AMC_FRAMES):
    clock = i / AMC_RATE + phase
    swing = np.sin(2 * np.pi * 0.9 * clock)
    place = (0.1 * size, (0.93 + 0.02 * abs(swing)) * size, clock)
    values = dict(
      root=(*(x / UNIT for x in place), 3, 8 * swing, 0),
      head=(6, -8 * swing, 0),
      lfemur=(-28 * swing, 0, -15),
      rfemur=(28 * swing, 0, 15),
      ltibia=(25 + 20 * swing,),
      rtibia=(25 - 20 * swing,),
      lhumerus=(-72, 20 * swing),
      rhumerus=(72, -20 * swing),
      lradius=(-35,),
      rradius=(35,),
    )
    lines.append(str(first + i))
    for name, numbers in values.items():
      lines.append(f"{name} {' '.join(f'{x:.4g}' for x in numbers)}")
  return "\n".join([*lines, ""])


def march(dialect: str, phase: float = 0.0, t_pose: bool = True) -> bvh.Bvh:
  """A person who marches and turns; the same joints in every dialect."""
  rows = [line.replace(" <", "").split() for line in _BODY.strip().splitlines()]
  roles = [row[0] for row in rows]
  parents = [roles.index(row[1]) if row[1] in roles else -1 for row in rows]
  offsets = np.asarray([row[2:5] for row in rows], float)
  names = _NAMES[dialect].split()
  order = ("Zrotation", "Yrotation", "Xrotation")
  if dialect == "daz":
    # Two joints whose middle is the spine; both carry what hangs on it.
    order = ("Zrotation", "Xrotation", "Yrotation")
    names, parents, offsets, rows = _split_spine(names, parents, offsets, rows)
  channels, columns = [], []
  clock = np.arange(FRAMES) / RATE + phase
  for i, row in enumerate(rows):
    kinds = () if names[i].endswith("_end") else order
    turns = {row[5]: 25 * np.sin(2 * np.pi * clock * 0.9 + roles.index(row[0])) + 10}
    if parents[i] < 0:
      kinds = (*bvh.POSITION, *order)
      turns["Xposition"] = 0.5 * clock / bvh_maps.DIALECTS[dialect].unit
      turns["Yposition"] = np.full(FRAMES, 0.97) / bvh_maps.DIALECTS[dialect].unit
    channels.append(kinds)
    columns += [turns.get(kind, np.zeros(FRAMES)) for kind in kinds]
  motion = np.stack(columns, 1)
  if t_pose:
    motion = np.concatenate([np.zeros_like(motion[:1]), motion])
  return bvh.Bvh(
    tuple(names),
    tuple(parents),
    offsets / bvh_maps.DIALECTS[dialect].unit,
    tuple(channels),
    motion,
    1 / RATE,
  )


def _split_spine(names, parents, offsets, rows):
  at = names.index("abdomen")
  names = [*names[: at + 1], "chest", *names[at + 1 :]]
  parents = [p + (p >= at) for p in parents]
  parents.insert(at + 1, at)
  half = offsets[at] / 3
  offsets = np.insert(offsets, at + 1, 2 * half, axis=0)
  offsets[at] = 2 * half
  for i, parent in enumerate(parents):
    if parent == at + 1:
      offsets[i] -= half
  return names, parents, offsets, [*rows[: at + 1], rows[at], *rows[at + 1 :]]


def write(folder: pathlib.Path) -> None:
  """All takes and their index."""
  for name, size in SUBJECTS.items():
    path = folder / "subjects" / name / f"{name}.asf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(asf_text(size).encode())
  for i, name in enumerate(AMC_TAKES):
    text = amc_text(SUBJECTS[name[:2]], phase=0.4 * i, first=1 + 9 * i)
    (folder / "subjects" / f"{name}.amc").write_bytes(text.encode())
  for i, (name, dialect) in enumerate(TAKES.items()):
    path = folder / f"{name}.bvh"
    path.parent.mkdir(parents=True, exist_ok=True)
    take = march(dialect, phase=0.3 * i, t_pose=dialect != "3dsmax")
    bvh.write(path, dataclasses.replace(take, motion=take.motion[:BVH_FRAMES]))
  (folder / "index.csv").write_bytes(INDEX.encode())


if __name__ == "__main__":
  write(pathlib.Path(__file__).parent / "dummy_data")
