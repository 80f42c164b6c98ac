import os
import re
import zipfile

import numpy as np
import pytest

from jaxpose.formats import asf_amc
from tests import acclaim

UNIT = 0.0254 / 0.45


def same(one, other):
  assert one.names == other.names
  assert one.unit == pytest.approx(other.unit)
  np.testing.assert_allclose(one.position, other.position)
  for a, b in zip(one.bones, other.bones, strict=True):
    assert (a.parent, a.dof) == (b.parent, b.dof)
    np.testing.assert_allclose(a.offset, b.offset, atol=1e-12)
    np.testing.assert_allclose(a.axis, b.axis, atol=1e-7)


def test_a_skeleton_is_read_with_parents_first_and_in_metres():
  found = asf_amc.parse_asf(acclaim.ASF)
  assert found.names == ("root", "back", "fixed", "tip", "wing")
  assert [bone.parent for bone in found.bones] == [-1, 0, 0, 1, 2]
  assert found.degrees
  np.testing.assert_allclose(found.position, np.multiply([1, 2, 3], UNIT))
  offsets = [[0, 0, 0], [0, 10, 0], [2.4, 0, -3.2], [-0.7, 2.4, 0], [0, 0, 3]]
  np.testing.assert_allclose(
    [bone.offset for bone in found.bones], np.multiply(offsets, UNIT), atol=1e-12
  )
  assert found.bones[1].dof == ("rz", "rx", "ry")
  assert found.bones[2].dof == ()
  for bone in found.bones:
    np.testing.assert_allclose(bone.axis @ bone.axis.T, np.eye(3), atol=1e-12)


def test_axes_turn_about_fixed_axes_in_their_order():
  wing = asf_amc.parse_asf(acclaim.ASF.replace("90 45 -80 xzy", "90 0 90 xzy")).bones[4]
  # x by 90 degrees takes y to z, where the turn about z leaves it; x goes to y.
  np.testing.assert_allclose(wing.axis @ [0, 1, 0], [0, 0, 1], atol=1e-12)
  np.testing.assert_allclose(wing.axis @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
  "change",
  [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace("  ", "\t"),
    lambda text: text.replace("\n", "\n\n"),
    lambda text: "\ufeff" + text,
    lambda text: text.rstrip("\n"),
    lambda text: text.replace("begin", "BEGIN").replace("dof", "DOF"),
    lambda text: text.replace("rz rx ry", "RZ RX RY").replace("ZYX", "zyx"),
    lambda text: text.replace("rz rx ry", "(rz, rx, ry)"),
    lambda text: re.sub(r"\n", " # note\n", text),
    lambda text: text.replace(":bonedata", ":BoneData"),
    lambda text: text.replace("10 20 30 ZYX", "1e1 20. +30 ZYX"),
    lambda text: text.replace(" XYZ\n     dof ry", "\n     dof ry"),  # XYZ if unsaid
  ],
)
def test_the_form_of_the_text_does_not_matter(tmp_path, change):
  (tmp_path / "1.asf").write_bytes(change(acclaim.ASF).encode())
  same(asf_amc.read_asf(tmp_path / "1.asf"), asf_amc.parse_asf(acclaim.ASF))


def test_angles_may_be_in_radians():
  text = acclaim.ASF.replace("angle deg", "angle rad")
  for triple in ("10 -20 30", "10 20 30", "5 6 7", "-40 0 15", "90 45 -80"):
    turned = " ".join(f"{np.radians(float(x)):.12g}" for x in triple.split())
    text = re.sub(rf"(orientation|axis) {triple}", rf"\1 {turned}", text)
  found = asf_amc.parse_asf(text)
  assert not found.degrees
  same(found, asf_amc.parse_asf(acclaim.ASF))


def test_units_may_be_absent_in_part_or_whole():
  plain = asf_amc.parse_asf(acclaim.ASF)
  without = asf_amc.parse_asf(acclaim.ASF.replace("  angle deg\n", ""))
  same(without, plain)
  for old in (":units\n  mass 1.0\n  length 0.45\n  angle deg\n", "  length 0.45\n"):
    inches = asf_amc.parse_asf(acclaim.ASF.replace(old, ""))
    assert inches.unit == 0.0254
    np.testing.assert_allclose(inches.bones[1].offset, 0.45 * plain.bones[1].offset)


def test_a_file_in_an_archive_is_read_as_one_outside(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as out:
    out.writestr("02/02.asf", acclaim.ASF)
  path = zipfile.Path(tmp_path / "a.zip", "02/02.asf")
  same(asf_amc.read_asf(path), asf_amc.parse_asf(acclaim.ASF))


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 14])
def test_a_damaged_file_in_an_archive_is_named(tmp_path, kind):
  text = acclaim.ASF + "# " + os.urandom(500).hex()
  with zipfile.ZipFile(tmp_path / "a.zip", "w", kind) as out:
    out.writestr("02.asf", text)
  content = bytearray((tmp_path / "a.zip").read_bytes())
  content[200:260] = bytes(60)
  (tmp_path / "a.zip").write_bytes(content)
  message = r"a\.zip/02\.asf: got a file that cannot be unpacked .*; get the archive ag"
  with pytest.raises(ValueError, match=message):
    asf_amc.read_asf(zipfile.Path(tmp_path / "a.zip", "02.asf"))


def refused(path, content, message):
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(ValueError, match=message) as error:
    asf_amc.read_asf(path)
  assert str(error.value).startswith(f"{path}: ")
  assert re.search(r": got .*, expected .*[;,] .*\.$", str(error.value)), error.value
  assert "\n" not in str(error.value)
  assert len(str(error.value)) < len(str(path)) + 400


@pytest.mark.parametrize(
  ("old", "new", "message"),
  [
    (":root", ":rot", "got no section :root, expected an ASF file with :root"),
    (":hierarchy", "#", "got no section :hierarchy, expected"),
    ("length 0.45", "length 0", "got a :units length of 0, expected more than 0; CMU"),
    ("length 0.45", "length -1", "got a :units length of -1, expected more than 0"),
    ("length 0.45", "length x", "got 'x' for the length of :units, expected 1 finite"),
    ("angle deg", "angle grad", "got the angle unit 'grad', expected deg or rad; get"),
    ("TX TY TZ RX", "TX TY RX", "got the root's order 'tx ty rx ry rz', expected TX"),
    ("order TX", "#", "got the root's order '', expected TX TY TZ RX RY RZ in some or"),
    ("axis XYZ\n", "axis XXZ\n", "got the axis order 'XXZ', expected XYZ in some ord"),
    ("position 1 2 3", "position 1 2", "got '1 2' for the root's position, expected 3"),
    ("10 -20 30", "10 nan 30", "got '10 nan 30' for the root's orientation, expected"),
    ("name back", "nome back", r"bone '\?': got no name, expected name, direction, le"),
    ("     length 10\n", "", "bone 'back': got no length, expected name, direction, l"),
    ("axis 5 6 7 YZX", "axis", "bone 'fixed': got no axis, expected name, direction, "),
    ("axis 5 6 7 YZX", "axis 5 6 YZX", "got '5 6 YZX' for the axis of 'fixed', expect"),
    ("axis 5 6 7 YZX", "axis 5 6 7 YZZ", "got the axis order 'YZZ', expected XYZ in s"),
    ("direction 0 1 0", "direction 0 2 0", "'back': got a length of 10 along a direct"),
    ("direction 0 1 0", "direction 0 1", "got '0 1' for the direction of 'back', expe"),
    ("length 4\n", "length -4\n", "bone 'fixed': got a length of -4 along a direction"),
    ("length 4\n", "length inf\n", "got 'inf' for the length of 'fixed', expected 1 f"),
    ("rz rx ry", "rz rx rx", "bone 'back': got the degrees of freedom 'rz rx rx', exp"),
    ("rz rx ry", "tx ty tz rx", "got the degrees of freedom 'tx ty tz rx', expected r"),
    ("dof ry", "dof l", "bone 'tip': got the degrees of freedom 'l', expected rx, ry "),
    ("name tip", "name back", "got the bone 'back' twice, expected each once; keep on"),
    ("name tip", "name root", "got the bone 'root' twice, expected each once; keep on"),
    ("name tip", "name top", "got no :bonedata for tip of the :hierarchy, expected al"),
    (
      "  end\n  begin\n     id 4",
      "  begin\n     id 4",
      "got the bone 'tip' without its `end`, expected",
    ),
    ("  end\n:hierarchy", ":hierarchy", "got the bone 'wing' without its `end`, expec"),
    ("back tip", "tup tip", "got children of 'tup' in :hierarchy before its own paren"),
    ("back tip", "back tip back", "got 'back' twice in :hierarchy, expected one paren"),
    ("back tip", "back tip root", "got 'root' twice in :hierarchy, expected one paren"),
    ("root back fixed\n    back tip\n    fixed wing", "", "got no bone in :hierarchy"),
  ],
)
def test_damage_is_told_in_one_sentence_with_the_file(tmp_path, old, new, message):
  assert old in acclaim.ASF
  refused(tmp_path / "02.asf", acclaim.ASF.replace(old, new, 1), message)


@pytest.mark.parametrize(
  "content",
  [
    b"",
    b"\x00\xff\x80" * 1000,
    b"<html><body>Not found</body></html>",
    acclaim.ASF.encode("utf-16"),
    acclaim.AMC.encode(),
  ],
)
def test_a_file_of_another_format_is_refused(tmp_path, content):
  refused(tmp_path / "02.asf", content, "got no section :root, :bonedata, :hierarchy")


def test_a_file_cut_anywhere_is_refused_or_whole(tmp_path):
  """A cut in the hierarchy may leave a skeleton of some of the bones."""
  whole = asf_amc.parse_asf(acclaim.ASF)
  for length in range(0, len(acclaim.ASF) - 3, 5):
    path = tmp_path / "cut.asf"
    path.write_text(acclaim.ASF[:length])
    try:
      found = asf_amc.read_asf(path)
    except ValueError as error:
      assert str(error).startswith(f"{path}: ")  # noqa: PT017
    else:
      assert length > acclaim.ASF.index(":hierarchy")
      assert set(found.names) < set(whole.names)


def test_long_words_do_not_make_long_sentences(tmp_path):
  text = acclaim.ASF.replace("position 1 2 3", "position " + "9z" * 10_000)
  refused(tmp_path / "02.asf", text, r"got '9z9z.* \.\.\.' for the root's position")


def test_a_bone_that_is_not_there_is_named_with_those_that_are():
  skeleton = asf_amc.parse_asf(acclaim.ASF)
  assert skeleton.index("tip") == 3
  message = "got a skeleton without the bone 'head', expected CMU's bones among its"
  with pytest.raises(ValueError, match=message):
    skeleton.index("head")
