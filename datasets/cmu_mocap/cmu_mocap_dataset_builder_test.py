import pathlib
import shutil
import sys
import zipfile

import numpy as np
import pytest

from cmu_mocap import clips
from cmu_mocap import dummy
from cmu_mocap import takes
from jaxpose import skeletons
from jaxpose.formats import bvh
from jaxpose.formats import bvh_maps
from tests import builder_testing
from tests import bvh_bones_test

DUMMY = pathlib.Path(__file__).parent / "dummy_data"
SUBJECTS = DUMMY / "subjects"
H36M = skeletons.get("h36m17")
DEFAULT = {
  "train": ["05_02", "14_02"],
  "validation": ["03_01", "08_01"],
  "test": ["02_01"],
  "unusual": ["49_18"],
}


def by_sequence(records):
  found = {}
  for record in records:
    found.setdefault(builder_testing.text(record, "sequence"), []).append(record)
  return found


def names(splits):
  return {split: sorted(by_sequence(found)) for split, found in splits.items()}


def build(tmp_path, raw=DUMMY, **options):
  return builder_testing.build_and_read("cmu_mocap", tmp_path / "out", raw, **options)


def add_take(raw, name, like="subjects/05/05_02.amc"):
  """Another take, with a skeleton of its subject if it is of ASF/AMC files."""
  source = DUMMY / like
  folder = raw / name.partition("_")[0]
  folder.mkdir(parents=True, exist_ok=True)
  shutil.copy(source, folder / f"{name}{source.suffix}")
  if source.suffix == ".amc":
    shutil.copy(source.with_name("05.asf"), folder / f"{folder.name}.asf")


@pytest.fixture
def raw(tmp_path):
  """A copy of dummy_data."""
  return shutil.copytree(DUMMY, tmp_path / "raw")


@pytest.fixture
def module():
  """The builder's module as `build.py` imports it."""
  return sys.modules[builder_testing.load_build().builder_cls("cmu_mocap").__module__]


def refused(raw, tmp_path, message, error=ValueError, config="default"):
  with pytest.raises(error, match=message) as caught:
    builder_testing.build_and_read("cmu_mocap", tmp_path / "out", raw, config=config)
  assert "\n" not in str(caught.value)
  assert not list((tmp_path / "out").glob(f"cmu_mocap/{config}/2.0.0/*.json"))


def test_dummy_data_is_what_dummy_py_writes(tmp_path):
  dummy.write(tmp_path)
  written = {p.relative_to(tmp_path): p for p in tmp_path.rglob("*.*")}
  kept = {p.relative_to(DUMMY): p for p in DUMMY.rglob("*.*")}
  assert written.keys() == kept.keys()
  for name, path in written.items():
    assert path.read_bytes() == kept[name].read_bytes(), name


def test_the_people_of_dummy_data_have_the_proportions_of_people():
  for name in dummy.AMC_TAKES:
    skeleton = SUBJECTS / f"{name[:2]}/{name[:2]}.asf"
    (clip,) = clips.read(SUBJECTS / f"{name}.amc", skeleton)
    at = {joint: clip.joints[:, i] for i, joint in enumerate(H36M.joints)}

    def length(a, b, at=at):
      return np.linalg.norm(at[a] - at[b], axis=-1).mean()

    leg = length("left_hip", "left_knee") + length("left_knee", "left_foot")
    assert length("hip", "thorax") / leg == pytest.approx(0.62, abs=0.01)
    assert length("left_elbow", "left_wrist") / leg == pytest.approx(0.34, abs=0.01)


def test_asf_amc_and_bvh_takes_build_with_their_splits(tmp_path):
  splits = build(tmp_path)
  builder_testing.check_splits(splits, H36M)
  assert names(splits) == DEFAULT
  for split in splits.values():
    for records in by_sequence(split).values():
      cameras = sorted(builder_testing.text(record, "camera") for record in records)
      assert cameras == ["0", "1", "2", "3"]
      assert all(record["fps"] == 50 for record in records)
      assert all(record["frame_valid"].mean() > 0.9 for record in records)
  train = by_sequence(splits["train"])
  assert builder_testing.text(train["05_02"][0], "action") == "ballet"
  assert builder_testing.text(train["05_02"][0], "subject") == "05"


def test_records_hold_the_joints_of_the_files(tmp_path):
  splits = build(tmp_path)
  cases = (
    ("train", SUBJECTS / "05/05_02.amc", SUBJECTS / "05/05.asf"),
    ("validation", DUMMY / "bvh/08_01.bvh", None),
  )
  for split, path, skeleton in cases:
    (clip,) = clips.read(path, skeleton)
    for record in by_sequence(splits[split])[path.stem]:
      world = builder_testing.world_joints(record)
      np.testing.assert_allclose(world, clip.joints, atol=5e-6)  # metres


def zipped(path, root=DUMMY):
  """A zip archive with the tree of CMU's."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
    for file in sorted(root.rglob("*.*")):
      out.write(file, f"all_asfamc/{file.relative_to(root)}")
    out.writestr("__MACOSX/all_asfamc/subjects/05/._05_02.amc", b"\x00\x05")
  return path


def test_an_archive_in_the_folder_builds_the_same_records(tmp_path):
  zipped(tmp_path / "raw" / "deeper" / "allasfamc.zip")
  one = build(tmp_path / "one", tmp_path / "raw")
  two = build(tmp_path / "two")
  assert names(one) == names(two) == DEFAULT
  for split, records in one.items():
    for a, b in zip(records, two[split], strict=True):
      np.testing.assert_array_equal(a["keypoints_2d"], b["keypoints_2d"])


def test_two_builds_draw_the_same_cameras(tmp_path):
  one, two = (build(tmp_path / name) for name in ("one", "two"))
  for a, b in zip(one["train"], two["train"], strict=True):
    np.testing.assert_array_equal(a["camera_position"], b["camera_position"])
    np.testing.assert_array_equal(a["keypoints_2d"], b["keypoints_2d"])


def test_a_folder_of_one_subject_builds_one_split(tmp_path):
  splits = build(tmp_path, SUBJECTS / "03")
  assert {name: len(records) for name, records in splits.items()} == {"validation": 4}


def test_missing_takes_of_the_list_are_told(tmp_path, module, monkeypatch):
  told = []
  monkeypatch.setattr(module.logging, "warning", lambda text, *a: told.append(text % a))
  build(tmp_path / "one")
  (text,) = told
  assert text.startswith("cmu_mocap: 234 of 240 takes are not there (02_02, 02_03, ")
  assert text.endswith("scores on them are not those of the released weights.")
  build(tmp_path / "two", config="all")
  assert len(told) == 1  # nothing lacks of "every take that is there"


def test_bones_that_a_conversion_lost_are_put_back_and_told(
  tmp_path, module, monkeypatch
):
  told = []
  monkeypatch.setattr(module.logging, "warning", lambda text, *a: told.append(text % a))
  (tmp_path / "raw").mkdir()
  take = bvh_bones_test.lost(bvh_bones_test.still())
  bvh.write(tmp_path / "raw" / "16_01.bvh", take)
  (record, *_) = build(tmp_path, tmp_path / "raw")["train"]
  assert "put back the thorax and the ends of the forearms" in told[-1]
  assert told[-1].endswith("in 1 clips, the first 16_01.")
  whole = bvh_maps.to_h36m17(bvh_bones_test.still())
  world = builder_testing.world_joints(record)
  np.testing.assert_allclose(world[0], whole[0], atol=1e-5)


def test_takes_beyond_the_list_are_in_the_config_all_only(tmp_path, raw):
  add_take(raw, "01_01")
  add_take(raw, "02_99")
  add_take(raw, "49_99")
  assert names(build(tmp_path / "one", raw)) == DEFAULT
  splits = build(tmp_path / "two", raw, config="all")
  assert names(splits) == DEFAULT | {
    "train": ["01_01", "05_02", "14_02", "49_99", "60_01"],
    "test": ["02_01", "02_99"],
  }
  actions = {
    name: builder_testing.text(records[0], "action")
    for found in splits.values()
    for name, records in by_sequence(found).items()
  }
  assert actions["60_01"] == "march, then turn"  # of index.csv
  assert actions["02_01"] == "walk"  # the list's own word
  assert actions["01_01"] == "unknown"


@pytest.mark.parametrize(
  ("name", "content"),
  [
    ("cmu-mocap-index-text.txt", b"Takes\n\n60_01\tsalsa \xff\n14_02\tshadow\n"),
    ("index.csv", b"\xef\xbb\xbftake,description\r\n60_01,salsa \xff\r\n,\r\nx_1,y,z"),
  ],
)
def test_an_index_says_what_other_takes_show(tmp_path, raw, name, content):
  (raw / "index.csv").unlink()
  (raw / name).write_bytes(content)
  train = by_sequence(build(tmp_path, raw, config="all")["train"])
  assert builder_testing.text(train["60_01"][0], "action") == "salsa \ufffd"
  assert builder_testing.text(train["14_02"][0], "action") == "box"


@pytest.mark.parametrize("config", ["default", "all", "mesh"])
def test_no_test_subject_is_ever_trained_on(tmp_path, config):
  raw = shutil.copytree(SUBJECTS, tmp_path / "raw")
  for subject in (2, 3, 5, 8, 10, 35, 49, 94, 127, 131, 135):
    add_take(raw, f"{subject:02d}_17")  # 49_17 is trained on, beside 49_18
  splits = build(tmp_path, raw, config=config)
  assert set(splits) == {"train", "validation", "test", "unusual"}
  subjects = {
    split: {builder_testing.text(record, "subject") for record in records}
    for split, records in splits.items()
  }
  found = names(splits)
  assert subjects["test"] == {"02", "35"}
  assert not subjects["train"] & {f"{s:02d}" for s in (*takes.TEST, *takes.VALIDATION)}
  assert subjects["train"] == {"05", "49"}
  assert subjects["unusual"] == {"49"}
  assert found["unusual"] == ["49_18"]
  assert "49_18" not in found["train"]
  assert "49_17" in found["train"]
  every = sorted(name for split in found.values() for name in split)
  assert len(set(every)) == len(every)
  assert not {name.partition("_")[0] for name in every} & {
    f"{subject:02d}" for subject in takes.LEFT_OUT
  }


def test_captured_people_become_bodies_of_their_shape(tmp_path):
  splits = build(tmp_path, SUBJECTS, config="mesh")
  builder_testing.check_splits(splits, skeletons.get("spin49"))
  assert {split: len(found) for split, found in splits.items()} == dict(
    train=4, validation=4, test=4, unusual=4
  )
  spin = skeletons.get("spin49")
  shapes = {}
  for split, name in (("train", "05/05_02"), ("validation", "03/03_01")):
    (clip,) = clips.read(
      SUBJECTS / f"{name}.amc", SUBJECTS / name[:2] / f"{name[:2]}.asf"
    )
    for record in splits[split]:
      shapes[split] = record["betas"]
      world = builder_testing.world_joints(record)
      hips = (clip.joints[:, 1] + clip.joints[:, 4]) / 2
      # Where it can be seen, the body is the one that was captured.
      for joint, most in (("left_knee", 0.03), ("right_ankle", 0.04)):
        found = world[:, spin.index(joint)]
        captured = clip.joints[:, H36M.index(joint.replace("ankle", "foot"))]
        assert np.linalg.norm(found - captured, axis=-1).mean() < most, joint
      assert np.abs(world.mean(1) - hips).max() < 0.6
  assert np.abs(shapes["train"] - shapes["validation"]).max() > 0.3  # 10 cm apart


def test_a_subject_of_nothing_but_jumps_is_left_out_of_the_bodies(tmp_path, raw):
  shutil.rmtree(raw / "bvh")
  shutil.rmtree(raw / "daz")
  add_take(raw, "06_01")
  jumps(raw / "06" / "06_01.amc")
  assert names(build(tmp_path, raw, config="mesh"))["train"] == ["05_02"]


def jumps(path):
  """Makes the person of an AMC file be elsewhere in every second frame."""
  lines, count = [], 0
  for line in path.read_text().splitlines():
    if line.startswith("root"):
      count += 1
      name, x, *rest = line.split()
      line = " ".join([name, str(float(x) + 20 * (count % 2)), *rest])
    lines.append(line)
  path.write_text("\n".join(lines))
