import re
import time
import zipfile

import numpy as np
import pytest

from jaxpose.formats import asf_amc
from tests import acclaim

SMALL = asf_amc.parse_asf(acclaim.ASF)


def posed(motion: str, skeleton: str = acclaim.ASF):
  found = asf_amc.parse_asf(skeleton)
  return found, asf_amc.pose(found, asf_amc.parse_amc(motion, found))


def follows(motion: str, skeleton: str = acclaim.ASF, frames=None):
  """Asserts that bones end where plain loops put them, to a thousandth of a mm."""
  found, moved = posed(motion, skeleton)
  written = acclaim.frames(motion)
  assert len(moved.ends) == len(written)
  for i in range(len(written)) if frames is None else frames:
    expected = acclaim.ends(skeleton, written[i])
    assert expected.keys() == set(found.names)
    for name, place in expected.items():
      error = np.abs(moved.ends[i, found.index(name)] - place).max()
      assert error < 1e-6, f"frame {i}, {name}: {error} m"


def test_bones_end_where_plain_loops_put_them():
  follows(acclaim.AMC)


@pytest.mark.parametrize("order", ["xyz", "xzy", "yxz", "yzx", "zxy", "zyx"])
def test_every_order_of_axes_and_degrees_of_freedom_is_followed(order):
  dof = " ".join(f"r{letter}" for letter in reversed(order))
  text = acclaim.ASF.replace("rz rx ry", dof).replace("30 ZYX", f"30 {order}")
  root = " ".join(f"R{letter.upper()} T{letter.upper()}" for letter in order)
  follows(acclaim.AMC, text.replace("TX TY TZ RX RY RZ", root).replace("xzy", order))


def test_a_hand_worked_pose():
  _, moved = posed("1\nroot 0 0 0 0 0 90\nback 90 0 0\ntip 0\nwing 0 0", RIGHT_ANGLES)
  unit = 0.0254 / 0.45
  # The root takes y to -x; the back's own quarter turn takes it on to -y.
  np.testing.assert_allclose(moved.ends[0, 1], [0, -10 * unit, 0], atol=1e-12)
  np.testing.assert_allclose(moved.rotations[0, 1] @ [1, 0, 0], [-1, 0, 0], atol=1e-12)


RIGHT_ANGLES = (
  acclaim.ASF.replace("position 1 2 3", "position 0 0 0")
  .replace("10 -20 30", "0 0 0")
  .replace("axis 10 20 30 ZYX", "axis 0 0 0 XYZ")
)


def test_without_angles_bones_rest_whatever_their_axes():
  text = "1\nroot 0 0 0 0 0 0\n"
  skeleton, moved = posed(text)
  for i, bone in enumerate(skeleton.bones[1:], 1):
    step = moved.ends[0, i] - moved.ends[0, bone.parent]
    np.testing.assert_allclose(step, bone.offset, atol=1e-12)
    np.testing.assert_allclose(moved.rotations[0, i], np.eye(3), atol=1e-12)


def test_bones_keep_their_lengths_and_turn_without_a_mirror():
  rng = np.random.default_rng(0)
  motion = [rng.normal(size=(9, len(bone.dof))) for bone in SMALL.bones]
  moved = asf_amc.pose(SMALL, motion)
  for i, bone in enumerate(SMALL.bones[1:], 1):
    steps = moved.ends[:, i] - moved.ends[:, bone.parent]
    length = np.linalg.norm(bone.offset)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=-1), length)
  np.testing.assert_allclose(np.linalg.det(moved.rotations), 1)


@pytest.mark.parametrize(
  "change",
  [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace(" ", "\t"),
    lambda text: text.replace("\n", " \n\n"),
    lambda text: text.rstrip("\n"),
    lambda text: "\ufeff" + text,
    lambda text: re.sub(r"\n", " # note\n", text),
    lambda text: text.replace(":DEGREES\n", ""),  # the skeleton's
    lambda text: text.replace(":DEGREES", ":degrees"),
    lambda text: text.replace("7\nroot", "1041\nroot").replace("8\nroot", "1042\nroot"),
    lambda text: text.replace("back 10 20 30\ntip -45", "tip -45\nback 10 20 30"),
    lambda text: text.replace("back 10 20 30", "fixed\nback 10 20 30", 1).replace(
      "back -100", "fixed\nback -100"
    ),
  ],
)
def test_the_form_of_the_text_does_not_matter(tmp_path, change):
  (tmp_path / "1.amc").write_bytes(change(acclaim.AMC).encode())
  found = asf_amc.read_amc(tmp_path / "1.amc", SMALL)
  for a, b in zip(found, asf_amc.parse_amc(acclaim.AMC, SMALL), strict=True):
    np.testing.assert_allclose(a, b)


def test_angles_may_be_in_radians_and_places_stay():
  text = acclaim.AMC.replace(":DEGREES", ":RADIANS")
  degrees, radians = (asf_amc.parse_amc(t, SMALL) for t in (acclaim.AMC, text))
  np.testing.assert_allclose(radians[0][:, :3], degrees[0][:, :3])
  np.testing.assert_allclose(np.radians(radians[0][:, 3:]), degrees[0][:, 3:])
  np.testing.assert_allclose(np.radians(radians[1]), degrees[1])


def test_a_skeleton_in_radians_says_so_for_its_motion():
  skeleton = asf_amc.parse_asf(acclaim.ASF.replace("angle deg", "angle rad"))
  unsaid = asf_amc.parse_amc(acclaim.AMC.replace(":DEGREES\n", ""), skeleton)
  np.testing.assert_allclose(unsaid[1][0], [10, 20, 30])
  said = asf_amc.parse_amc(acclaim.AMC, skeleton)
  np.testing.assert_allclose(said[1][0], np.radians([10, 20, 30]))


def test_a_bone_that_no_frame_names_rests():
  text = re.sub(r"back .*\n", "", acclaim.AMC)
  found = asf_amc.parse_amc(text, SMALL)
  assert found[1].shape == (2, 3)
  assert not found[1].any()
  assert found[2].shape == (2, 0)  # without degrees of freedom
  np.testing.assert_array_equal(found[3], asf_amc.parse_amc(acclaim.AMC, SMALL)[3])


def test_a_take_of_one_frame_has_one_pose():
  text = acclaim.AMC[: acclaim.AMC.index("8\n")]
  follows(text)


def test_a_file_in_an_archive_is_read(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as out:
    out.writestr("02_01.amc", acclaim.AMC)
  found = asf_amc.read_amc(zipfile.Path(tmp_path / "a.zip", "02_01.amc"), SMALL)
  assert len(found[0]) == 2


def refused(path, content, message):
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(ValueError, match=message) as error:
    asf_amc.read_amc(path, SMALL)
  assert str(error.value).startswith(f"{path}: got ")
  assert re.search(r": got .*, expected .*[;,] .*\.$", str(error.value)), error.value
  assert "\n" not in str(error.value)
  assert len(str(error.value)) < len(str(path)) + 400


@pytest.mark.parametrize(
  ("old", "new", "message"),
  [
    ("8\n", "10\n", "got frame 10 after frame 7, expected 8; frames are missing, get"),
    ("8\n", "7\n", "got frame 7 after frame 7, expected 8; frames are missing"),
    ("8\n", "", "got root twice in frame 7, expected it once; the file is damaged"),
    ("8\n", "8.5\n", r"got the bone '8\.5' in frame 7, which the ASF file does not h"),
    ("7\n", "", "got 'root' where the number of the first frame belongs, expected an"),
    ("tip -45\n", "tip nan\n", "got 'nan' for tip in frame 7, expected as many finite"),
    ("tip 45.5\n", "tip inf\n", "got 'inf' for tip in frame 8, expected as many finit"),
    ("tip 45.5\n", "tip\n", "got '' for tip in frame 8, expected as many finite numbe"),
    ("tip 45.5\n", "tip 4 5\n", "got '4 5' for tip in frame 8, expected as many fini"),
    ("tip 45.5\n", "tip 4O\n", "got '4O' for tip in frame 8, expected as many finite"),
    ("root 1 2 3 10 20", "root 1 2 3 10", "got '1 2 3 10 30' for root in frame 7, ex"),
    ("tip -45\n", "fixed 1\ntip -45\n", "got '1' for fixed in frame 7, expected as m"),
    ("tip -45\n", "lfemur 4\n", "got the bone 'lfemur' in frame 7, which the ASF file"),
    ("tip -45\n", "tip -45\ntip 4\n", "got tip twice in frame 7, expected it once"),
    ("tip -45\n", "", "got tip in only one of the frames 7 and 8, expected the same"),
    ("wing -5 1.5e1\n", "", "got wing in only one of the frames 7 and 8, expected the"),
    ("8\n", "8\n9\n", "got back, root, tip, wing in only one of the frames 7 and 8, "),
  ],
)
def test_damage_is_told_in_one_sentence_with_the_file(tmp_path, old, new, message):
  assert old in acclaim.AMC
  refused(tmp_path / "02_01.amc", acclaim.AMC.replace(old, new, 1), message)


def test_frames_without_the_root_are_refused(tmp_path):
  text = re.sub(r"root .*\n", "", acclaim.AMC)
  message = "got frames without root, expected its place in each; get the file again"
  refused(tmp_path / "02_01.amc", text, message)


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"", "got no frame, expected an AMC file with some; get it again"),
    (b"#!OML:ASF\n:FULLY-SPECIFIED\n:DEGREES\n", "got no frame, expected"),
    (b"\x00\xff\x80\n" * 9999, "where the number of the first frame belongs, expected"),
    (b"<html>" * 9999, "got '<html><html>.* where the number of the first frame belo"),
    (acclaim.AMC.encode("utf-16"), "where the number of the first frame belongs"),
    (b"9" * 30 + b"\nroot 1 2 3 4 5 6\n", "got '9999.* where the number of the first"),
  ],
)
def test_a_file_of_another_format_is_refused(tmp_path, content, message):
  refused(tmp_path / "02_01.amc", content, message)


def test_a_file_cut_in_its_last_frame_is_refused(tmp_path):
  """But for a last number that loses digits, which nobody can see."""
  begin = acclaim.AMC.index("8\n") + 2
  for length in range(begin, acclaim.AMC.index(" 1.5e1") + 1):
    path = tmp_path / "cut.amc"
    path.write_text(acclaim.AMC[:length])
    with pytest.raises(
      ValueError, match=r"cut\.amc: got .* in(?: only one of the)? fr"
    ):
      asf_amc.read_amc(path, SMALL)


def test_ten_thousand_frames_are_read_and_posed_in_seconds():
  body = acclaim.AMC[acclaim.AMC.index("root") : acclaim.AMC.index("8\n")]
  text = "".join(f"{i}\n{body}" for i in range(1, 10_001))
  start = time.perf_counter()
  assert len(asf_amc.pose(SMALL, asf_amc.parse_amc(text, SMALL)).ends) == 10_000
  assert time.perf_counter() - start < 10  # about 0.3 s on an idle core


def test_a_real_take_moves_as_plain_loops_say(shared):
  raw = shared / "data" / "cmu_mocap" / "raw"
  texts = [(raw / name).read_text() for name in ("02_03.amc", "02.asf")]
  follows(*texts, frames=(0, 60, 172))


def test_line_ends_do_not_matter_in_a_real_take(shared):
  raw = shared / "data" / "cmu_mocap" / "raw"
  archive = zipfile.ZipFile(shared / "data" / "cmu_asfamc" / "allasfamc_subset.zip")
  ends = []
  for folder in (raw, zipfile.Path(archive, "all_asfamc/subjects/02/")):
    skeleton = asf_amc.read_asf(folder / "02.asf")
    ends.append(
      asf_amc.pose(skeleton, asf_amc.read_amc(folder / "02_03.amc", skeleton)).ends
    )
  np.testing.assert_array_equal(*ends)
