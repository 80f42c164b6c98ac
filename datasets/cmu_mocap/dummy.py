"""Writes the tiny takes in `dummy_data/`: one made-up march in each BVH dialect.

Run: python -m cmu_mocap.dummy (in the folder above), after a change of this file.
"""

import pathlib

import numpy as np

from jaxpose import bvh
from jaxpose import bvh_dialects

RATE = 30.0  # frames per second of the files
FRAMES = 61  # two seconds

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
  "001/02_01": "motionbuilder",
  "001/05_01": "motionbuilder",
  "03_01": "3dsmax",
  "131_01": "3dsmax",
  "daz/60_01": "daz",
}
INDEX = "Takes of dummy_data\n\n02_01\tmarch\n05_01\tmarch, turn\n60_01\t\n"


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
      turns["Xposition"] = 0.5 * clock / bvh_dialects.DIALECTS[dialect].unit
      turns["Yposition"] = np.full(FRAMES, 0.97) / bvh_dialects.DIALECTS[dialect].unit
    channels.append(kinds)
    columns += [turns.get(kind, np.zeros(FRAMES)) for kind in kinds]
  motion = np.stack(columns, 1)
  if t_pose:
    motion = np.concatenate([np.zeros_like(motion[:1]), motion])
  return bvh.Bvh(
    tuple(names),
    tuple(parents),
    offsets / bvh_dialects.DIALECTS[dialect].unit,
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
  for i, (name, dialect) in enumerate(TAKES.items()):
    path = folder / f"{name}.bvh"
    path.parent.mkdir(parents=True, exist_ok=True)
    bvh.write(path, march(dialect, phase=0.3 * i, t_pose=dialect != "3dsmax"))
  (folder / "cmu-mocap-index-text.txt").write_text(INDEX, encoding="utf-8")


if __name__ == "__main__":
  write(pathlib.Path(__file__).parent / "dummy_data")
