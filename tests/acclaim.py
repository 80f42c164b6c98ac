"""A small Acclaim skeleton, and forward kinematics written a second time, by hand."""

import math

import numpy as np

# Odd orders of axes and degrees of freedom, a bone without any, comments, a position.
ASF = """# made up
:version 1.10
:name small
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
  a body of three bones and a wing
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 1 2 3
  orientation 10 -20 30
:bonedata
  begin
     id 1
     name back   # the first
     direction 0 1 0
     length 10
     axis 10 20 30 ZYX
     dof rz rx ry
     limits (-160.0 20.0)
            (-70.0 70.0)
            (-60.0 70.0)
  end
  begin
     id 2
     name fixed
     direction 0.6 0 -0.8
     length 4
     axis 5 6 7 YZX
  end
  begin
     id 3
     name tip
     direction -0.28 0.96 0
     length 2.5
     axis -40 0 15 XYZ
     dof ry
  end
  begin
     id 4
     name wing
     direction 0 0 1
     length 3
     axis 90 45 -80 xzy
     dof rx rz
  end
:hierarchy
  begin
    root back fixed
    back tip
    fixed wing
  end
"""
AMC = """#!OML:ASF somewhere
:FULLY-SPECIFIED
:DEGREES
7
root 1 2 3 10 20 30
back 10 20 30
tip -45
wing 5 15
8
root 2 3 4 -10 -20 -30
back -100 20 3.5
tip 45.5
wing -5 1.5e1
"""


def frames(text: str) -> list[dict[str, list[float]]]:
  """The numbers of each frame of an AMC file, as they stand there."""
  found = []
  for words in map(str.split, text.splitlines()):
    if words and words[0].isdigit():
      found.append({})
    elif found and words:
      found[-1][words[0]] = [float(word) for word in words[1:]]
  return found


def ends(text: str, frame: dict[str, list[float]]) -> dict[str, list[float]]:
  """Where bones end in one frame, metres; plain loops over a file in degrees."""
  unit, bones, parents, root, section = None, {}, {}, {}, None
  for line in text.splitlines():
    words = line.split("#")[0].split()
    if not words:
      continue
    if words[0][0] == ":":
      section = words[0]
    elif section == ":units" and words[0] == "length":
      unit = 0.0254 / float(words[1])
    elif section == ":root":
      root[words[0]] = words[1:]
    elif section == ":bonedata" and words[0] == "begin":
      bone = {}
    elif section == ":bonedata" and words[0] != "end":
      bone[words[0]] = words[1:]
      if words[0] == "name":
        bones[words[1]] = bone
    elif section == ":hierarchy" and words[0] not in ("begin", "end"):
      parents.update(dict.fromkeys(words[1:], words[0]))
  order = [word.lower() for word in root["order"]]
  values = dict(zip(order, frame["root"], strict=True))
  axis = _turns(root["axis"][0], root["orientation"])
  matrices = {"root": _own(axis, order, frame["root"])}
  start = [float(x) for x in root["position"]]
  found = {"root": [unit * (start[i] + values[f"t{'xyz'[i]}"]) for i in range(3)]}

  def place(name):
    if name not in found:
      bone, parent = bones[name], parents[name]
      place(parent)
      axis = _turns(bone["axis"][3], bone["axis"][:3])
      own = _own(axis, bone.get("dof", []), frame.get(name, []))
      matrices[name] = _times(matrices[parent], own)
      length = unit * float(bone["length"][0])
      offset = [length * float(x) for x in bone["direction"]]
      moved = [sum(row[k] * offset[k] for k in range(3)) for row in matrices[name]]
      found[name] = [a + b for a, b in zip(found[parent], moved, strict=True)]

  for name in bones:
    place(name)
  return found


def _own(axis, dof, values):
  matrix = np.eye(3).tolist()
  for name, value in zip(dof, values or [0.0] * len(dof), strict=True):
    if name[0].lower() == "r":
      matrix = _times(turn(name[1].lower(), value), matrix)
  inverse = [list(column) for column in zip(*axis, strict=True)]
  return _times(_times(axis, matrix), inverse)


def _turns(order, degrees):
  """About fixed axes one after the other; the angles are of x, y and z."""
  matrix = np.eye(3).tolist()
  for letter in order.lower():
    matrix = _times(turn(letter, float(degrees["xyz".index(letter)])), matrix)
  return matrix


def turn(letter: str, degrees: float) -> list[list[float]]:
  """The matrix of a turn about x, y or z."""
  c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
  return {
    "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
    "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
    "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
  }[letter]


def _times(a, b):
  return [
    [sum(a[i][k] * b[k][j] for k in range(3)) for j in range(3)] for i in range(3)
  ]
