import dataclasses
import re
import time

import numpy as np
import pytest
from cmu_mocap import dummy

from jaxpose.formats import bvh

# Tabs, CRLF, an End Site, channels in three orders and a moving position.
SMALL = """HIERARCHY
ROOT hip
{
\tOFFSET 0 0 0
\tCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
\tJOINT arm
\t{
\t\tOFFSET 1 0 0
\t\tCHANNELS 2 Yrotation Zrotation
\t\tEnd Site
\t\t{
\t\t\tOFFSET 0 2 0
\t\t}
\t}
  JOINT cart
  {
    OFFSET 5 6 7
    CHANNELS 1 Yposition
    JOINT rail
    {
      OFFSET 0 0 1
    }
  }
}
MOTION
Frames:\t2
Frame Time:\t.25
0 0 0 0 0 0 0 0 0
1 2 3 90 0 0 90 90 9
"""


def test_forward_kinematics_of_a_hand_worked_pose():
  motion = bvh.parse(SMALL)
  assert motion.names == ("hip", "arm", "arm_end", "cart", "rail")
  assert motion.parents == (-1, 0, 1, 0, 3)
  assert motion.frame_time == 0.25
  positions, rotations = motion.forward_kinematics()
  rest = [[0, 0, 0], [1, 0, 0], [1, 2, 0], [5, 0, 7], [5, 0, 8]]
  np.testing.assert_allclose(positions[0], rest, atol=1e-12)
  # The hip turns x to y. The arm's own Ry Rz takes its tip along -x to +z.
  moved = [[1, 2, 3], [1, 3, 3], [1, 3, 5], [-8, 7, 10], [-8, 7, 11]]
  np.testing.assert_allclose(positions[1], moved, atol=1e-12)
  quarter = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
  np.testing.assert_allclose(rotations[1, 3], quarter, atol=1e-12)


def test_rotations_apply_in_the_order_of_the_channels():
  swapped = SMALL.replace("2 Yrotation Zrotation", "2 Zrotation Yrotation")
  tip = bvh.parse(swapped).forward_kinematics()[0][1, 2]
  # Rz Ry leaves y to -x, which the hip turns to -y.
  np.testing.assert_allclose(tip, [1, 1, 3], atol=1e-12)


@pytest.mark.parametrize(
  "change",
  [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace("\t", "  "),
    lambda text: re.sub(r"\n\s*{", " {", text),
    lambda text: text.rstrip("\n"),
    lambda text: text.replace("Frames:\t2\nFrame Time:\t", "Frames: 2\nFrame Time: "),
  ],
)
def test_white_space_does_not_matter(change):
  plain, other = bvh.parse(SMALL), bvh.parse(change(SMALL))
  assert plain.names == other.names
  assert plain.channels == other.channels
  np.testing.assert_array_equal(plain.offsets, other.offsets)
  np.testing.assert_array_equal(plain.motion, other.motion)


@pytest.mark.parametrize("dialect", ["motionbuilder", "3dsmax", "daz"])
def test_what_is_written_reads_back(tmp_path, dialect):
  motion = dummy.march(dialect)
  bvh.write(tmp_path / "a.bvh", motion)
  again = bvh.read(tmp_path / "a.bvh")
  for field in ("names", "parents", "channels"):
    assert getattr(again, field) == getattr(motion, field)
  assert again.frame_time == pytest.approx(motion.frame_time, rel=1e-8)
  np.testing.assert_allclose(again.offsets, motion.offsets, atol=1e-6)
  np.testing.assert_allclose(again.motion, motion.motion, atol=1e-5)


def test_small_file_survives_a_rewrite(tmp_path):
  motion = bvh.parse(SMALL)
  bvh.write(tmp_path / "a.bvh", motion)
  again = bvh.read(tmp_path / "a.bvh")
  # A leaf without channels is an end site, named after its parent.
  assert again.names == ("hip", "arm", "arm_end", "cart", "cart_end")
  np.testing.assert_array_equal(
    again.forward_kinematics()[0], motion.forward_kinematics()[0]
  )


@pytest.mark.parametrize(
  ("old", "new", "message"),
  [
    ("HIERARCHY\n", "", "got no HIERARCHY at the start, expected a BVH motion file"),
    ("MOTION", "NOTION", "got no MOTION block, expected a complete BVH file"),
    (
      "90 90 9\n",
      "90 90\n",
      "got 17 motion values, expected 2 frames x 9 channels",
    ),
    ("90 90 9\n", "90 90 9 1\n", "got 19 motion values"),
    ("90 90 9\n", "90 9O 9\n", "got a motion value that is not a number .*9O"),
    ("90 90 9\n", "90 nan 9\n", "got NaN or infinite motion values"),
    ("2 Yrotation Z", "3 Yrotation Z", "joint arm: got the channels Yrotation .* End"),
    ("2 Yrotation Z", "1 Yrotation Z", "got 'Zrotation' in the HIERARCHY"),
    ("2 Yrotation Z", "2 Zrotation Z", "expected each of Xposition .* at most once"),
    ("2 Yrotation", "two Yrotation", "got 'two' after CHANNELS, expected a number"),
    ("OFFSET 1 0 0", "OFFSET 1 0 x", "got 'x' after OFFSET, expected a number"),
    (".25", "0", "got 2 frames of 0 seconds, expected both above 0"),
    (".25", "-1", "got 2 frames of -1 seconds, expected both above 0"),
    (".25", "soon", "got 'soon' after Frame Time:, expected a number"),
    ("Frames:\t2", "Frames:\t0", "got 0 frames of 0.25 seconds"),
    ("Frames:\t2", "Frames:\ttwo", "got 'two' after Frames:, expected a number"),
    ("Frames:\t2", "Frames:\tinf", "got 'inf' after Frames:, expected a number"),
    ("Frames:\t2\n", "", "without 'Frames:' and 'Frame Time:', expected both"),
    ("}\nMOTION", "MOTION", "stops early or has unbalanced braces"),
    ("}\nMOTION", "}\n}\nMOTION", "stops early or has unbalanced braces"),
    ("JOINT arm\n\t{", "JOINT arm\n\t", "stops early or has unbalanced braces"),
    ("  JOINT cart", "  ROOT cart", "got ROOT cart outside the tree"),
    ("JOINT rail", "JOINT arm", "got two joints named arm, expected distinct names"),
  ],
)
def test_damage_is_told_in_one_sentence_with_the_file(tmp_path, old, new, message):
  assert SMALL.count(old) >= 1
  path = tmp_path / "damaged.bvh"
  path.write_text(SMALL.replace(old, new, 1))
  with pytest.raises(ValueError, match=message) as error:
    bvh.read(path)
  assert str(error.value).startswith(f"{path}: got") or "joint arm" in str(error.value)
  assert "\n" not in str(error.value)


def test_a_file_cut_anywhere_is_refused(tmp_path):
  for length in range(0, len(SMALL) - 2, 7):
    path = tmp_path / "cut.bvh"
    path.write_text(SMALL[:length])
    with pytest.raises(ValueError, match=r"cut\.bvh: "):
      bvh.read(path)


def test_ten_thousand_frames_are_read_and_posed_in_seconds(tmp_path):
  motion = dummy.march("motionbuilder")
  long = np.resize(motion.motion, (10_000, motion.motion.shape[1]))
  bvh.write(tmp_path / "long.bvh", dataclasses.replace(motion, motion=long))
  start = time.perf_counter()
  positions, _ = bvh.read(tmp_path / "long.bvh").forward_kinematics()
  assert len(positions) == 10_000
  assert time.perf_counter() - start < 10  # about 0.3 s on an idle core
