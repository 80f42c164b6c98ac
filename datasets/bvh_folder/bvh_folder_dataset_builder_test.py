import dataclasses
import json

import numpy as np
import pytest
from cmu_mocap import dummy

from bvh_folder import bvh_folder_dataset_builder as builder
from jaxpose import skeletons
from jaxpose.formats import bvh
from jaxpose.formats import bvh_maps
from jaxpose.skeletons import proportions
from tests import builder_testing
from tests import bvh_bones_test

H36M = skeletons.get("h36m17")
NAMES = {"Hips": "hip", "RightHip": "oberschenkel.R", "Chest": "brust"}


def take(**changes):
  return dataclasses.replace(dummy.march("3dsmax", t_pose=False), **changes)


def renamed(names, scale=1.0):
  """The march under other names, z up, in other units of length."""
  made = take()
  motion = made.motion.copy()
  motion[:, :3] = scale * motion[:, [0, 2, 1]] * [1, -1, 1]
  # A root above all others turns y up into z up.
  return dataclasses.replace(
    made,
    names=("welt", *(names.get(n, n) for n in made.names)),
    parents=(-1, *(p + 1 for p in made.parents)),
    offsets=scale * np.concatenate([np.zeros((1, 3)), made.offsets]),
    channels=((*bvh.POSITION, "Xrotation"), made.channels[0][3:], *made.channels[1:]),
    motion=np.concatenate(
      [motion[:, :3], np.full((len(motion), 1), 90.0), motion[:, 3:]], 1
    ),
  )


def write(folder, files):
  for name, motion in files.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    bvh.write(folder / name, motion)
  return folder


def build(tmp_path, **kwargs):
  return builder_testing.build_and_read(
    "bvh_folder", tmp_path / "out", tmp_path / "raw", config="mine", **kwargs
  )


def test_a_folder_of_known_files_needs_no_map(tmp_path):
  files = {f"{s}/walk/{i}.bvh": take() for s in ("anna", "ben", "Zoë") for i in (1, 2)}
  write(tmp_path / "raw", files)
  splits = build(tmp_path)
  builder_testing.check_splits(splits, H36M)
  assert {name: len(found) for name, found in splits.items()} == dict(
    train=8, validation=8, test=8
  )
  records = [record for found in splits.values() for record in found]
  subjects = {builder_testing.text(record, "subject") for record in records}
  assert subjects == {"anna", "ben", "Zoë"}
  assert {builder_testing.text(record, "action") for record in records} == {"walk"}
  expected = bvh_maps.pieces(take())[0].joints
  for record in records:
    np.testing.assert_allclose(
      builder_testing.world_joints(record), expected, atol=1e-5
    )


def test_a_map_gives_the_same_joints_from_other_names_units_and_axes(tmp_path):
  metres = bvh_maps.DIALECTS["3dsmax"].unit
  write(tmp_path / "raw", {"ü_1.bvh": renamed(NAMES, scale=1000 * metres)})
  joints = {
    joint: [NAMES.get(n, n) for n in names]
    for joint, names in zip(
      H36M.joints, bvh_maps.DIALECTS["3dsmax"].joints, strict=True
    )
  }
  bone = 1000 * metres * bvh_maps.DIALECTS["3dsmax"].head_bone
  settings = dict(joints=joints, unit="mm", up="z", fps=25, num_cameras=2)
  settings["head_bone"] = bone
  (tmp_path / "raw" / "skeleton.json").write_text(json.dumps(settings))
  records = build(tmp_path)["train"]
  assert len(records) == 2
  assert builder_testing.text(records[0], "subject") == "ü"
  assert records[0]["fps"] == 25
  expected = bvh_maps.pieces(take(), fps=25.0)[0].joints
  np.testing.assert_allclose(
    builder_testing.world_joints(records[0]), expected, atol=1e-5
  )


def test_a_splits_file_decides(tmp_path):
  write(tmp_path / "raw", {f"{name}.bvh": take() for name in ("a_1", "b_1", "b_2")})
  (tmp_path / "raw" / "splits.toml").write_text('test = ["b"]\n')
  splits = build(tmp_path)
  assert {name: len(found) for name, found in splits.items()} == dict(train=4, test=8)


def refused(tmp_path, message, error=ValueError):
  with pytest.raises(error, match=message) as caught:
    build(tmp_path)
  if error is ValueError:
    assert "\n" not in str(caught.value)
  assert not list((tmp_path / "out").glob("bvh_folder/*/1.1.0/*.json"))


def test_folders_without_motion_are_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  refused(tmp_path, "raw does not exist or is empty", FileNotFoundError)
  (tmp_path / "raw" / "notes.txt").write_text("")
  refused(tmp_path, "raw: got no BVH files, expected some, as SUBJECT/ACTION")


def test_a_truncated_file_stops_the_build_with_its_name(tmp_path):
  write(tmp_path / "raw", {"a/1.bvh": take(), "b/跳舞.bvh": take()})
  path = tmp_path / "raw" / "b" / "跳舞.bvh"
  path.write_text(path.read_text()[:-300])
  refused(tmp_path, r"跳舞\.bvh: got \d+ motion values, expected")


def test_nan_frames_are_refused(tmp_path):
  motion = take().motion
  motion[3, 7] = np.nan
  write(tmp_path / "raw", {"a/1.bvh": take(motion=motion)})
  refused(tmp_path, r"1\.bvh: got NaN or infinite motion values, expected finite")


def test_a_wrong_unit_is_caught_by_the_legs(tmp_path):
  write(tmp_path / "raw", {"a/1.bvh": take()})
  (tmp_path / "raw" / "skeleton.toml").write_text('dialect = "3dsmax"\nunit = "mm"\n')
  refused(tmp_path, r"1\.bvh: got legs of 0\.0145 m, expected about 0\.8 m")


def test_a_map_with_joints_that_are_not_there_is_refused(tmp_path):
  write(tmp_path / "raw", {"a/1.bvh": take()})
  (tmp_path / "raw" / "skeleton.toml").write_text('dialect = "daz"\n')
  refused(tmp_path, r"1\.bvh: got a skeleton without abdomen, .* it has Hips")


def test_bones_that_a_conversion_lost_are_put_back_and_said(tmp_path):
  whole = bvh_bones_test.still()
  lost = bvh_bones_test.lost(whole)
  files = {f"a/{i}.bvh": lost for i in range(5)} | {"a/own.bvh": take()}
  write(tmp_path / "raw", files)
  said = r"put back in 0\.bvh, 1\.bvh, 2\.bvh and 2 more files; lost_bones = false in"
  with pytest.warns(UserWarning, match=said):
    records = build(tmp_path)["train"]
  expected = bvh_maps.to_h36m17(whole)
  for record in records:
    if builder_testing.text(record, "action") != "own":
      np.testing.assert_allclose(
        builder_testing.world_joints(record)[0], expected[0], atol=1e-5
      )


def test_files_without_lost_bones_are_read_in_silence(tmp_path, recwarn):
  write(tmp_path / "raw", {"a/1.bvh": take()})
  build(tmp_path)
  assert not [w for w in recwarn if issubclass(w.category, UserWarning)]


def test_people_whom_bones_lack_are_refused_unless_it_is_wished(tmp_path):
  write(tmp_path / "raw", {"anna/1.bvh": bvh_bones_test.lost(bvh_bones_test.still())})
  settings = tmp_path / "raw" / "skeleton.toml"
  settings.write_text("lost_bones = false\n")
  refused(tmp_path, r"1\.bvh: subject 'anna': got a torso of 0\.4.*; bones are lost or")
  settings.write_text("lost_bones = false\nproportions = false\n")
  records = build(tmp_path)["train"]
  found = proportions.measure(builder_testing.world_joints(records[0]), "h36m17")
  assert found["torso"] < 0.5


def test_unusual_people_are_told(tmp_path):
  motion = take()
  offsets = motion.offsets.copy()
  for side in ("Left", "Right"):
    offsets[motion.names.index(f"{side}Wrist")] *= 0.84
  write(tmp_path / "raw", {"anna/1.bvh": dataclasses.replace(motion, offsets=offsets)})
  told = r"subject 'anna': got a forearm of about 0\.25 of the leg .*, expected 0\.26"
  with pytest.warns(UserWarning, match=told):
    assert build(tmp_path)["train"]


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("lost_bones = 1", "got lost_bones = 1, expected true or false"),
    ('proportions = "no"', "got proportions = 'no', expected true or false"),
    ("fps = 0", "got fps = 0, expected a number above 0"),
    ("num_cameras = 1.5", "got num_cameras = 1.5, expected a number above 0"),
    ('unit = "cm"', "raw: skeleton map: got 'no hip, .*expected joints to hold all"),
    ("unit = ", "skeleton.toml: cannot be read"),
  ],
)
def test_a_wrong_map_is_refused(tmp_path, text, message):
  write(tmp_path / "raw", {"a/1.bvh": take()})
  (tmp_path / "raw" / "skeleton.toml").write_text(text)
  refused(tmp_path, message)


def test_files_of_one_name_are_refused(tmp_path):
  write(tmp_path / "raw", {"a/b_c.bvh": take(), "a/b/c.bvh": take()})
  refused(tmp_path, r"got the sequence 'a_b_c' a second time, first in .*; rename one")


def test_a_split_of_nothing_but_jumps_is_refused(tmp_path):
  motion = take().motion
  motion[::2, 0] += 100
  write(tmp_path / "raw", {"a/1.bvh": take(motion=motion)})
  refused(tmp_path, r"1\.bvh: got jumps faster than 15 m/s all through, here and")


def test_a_name_that_is_no_folder_is_refused():
  with pytest.raises(ValueError, match=r"got the name '../x' for a dataset, expected"):
    builder.Builder.config_named("../x")
