import shutil
import sys

import numpy as np
import pytest

from human36m import metadata_test
from human36m import official
from human36m import protocol
from tests import benchmark_writer
from tests import builder_testing

pytest.importorskip("cdflib", reason="needs cdflib: pip install 'jaxpose[h36m]'")

RELEASED = {"Photo": "TakingPhoto", "WalkDog": "WalkingDog"}


def write_cdf(path, array, variable="Pose"):
  from cdflib import cdfwrite

  path.parent.mkdir(parents=True, exist_ok=True)
  file = cdfwrite.CDF(str(path), delete=True)
  spec = dict(Variable=variable, Data_Type=45, Num_Elements=1, Rec_Vary=True)
  spec["Dim_Sizes"] = list(array.shape)
  file.write_var(spec, var_data=array[None].astype(np.float64))
  file.close()


def in_32(joints, seed=0):
  """h36m17 among the 32 joints of the release; the others are nonsense."""
  placed = np.random.default_rng(seed).normal(size=(len(joints), 32, joints.shape[-1]))
  placed[:, list(protocol.JOINTS)] = joints
  return placed


def motion(subject, take, frames=4):
  seed = [int(subject[1:]), *take.encode()]
  return benchmark_writer.body("h36m17", frames, seed)


def takes():
  for action in protocol.ACTIONS:
    yield f"{RELEASED.get(action, action)} 1"
    yield RELEASED.get(action, action)


RIGS = {
  subject: benchmark_writer.rig(protocol.CAMERAS, protocol.IMAGE_SIZES, i)
  for i, subject in enumerate(protocol.SUBJECTS)
}


def write_take(folder, subject, take, kinds=("world", "pixels")):
  world = motion(subject, take)
  poses = folder / subject / "MyPoseFeatures"
  if "world" in kinds:
    flat = in_32(1000 * world).reshape(len(world), -1)
    write_cdf(poses / "D3_Positions" / f"{take}.cdf", flat)
  for camera, name in zip(RIGS[subject], protocol.CAMERAS, strict=True):
    view, pixels = benchmark_writer.seen(world, camera)
    if "mono" in kinds:
      flat = in_32(1000 * view).reshape(len(view), -1)
      write_cdf(poses / "D3_Positions_mono" / f"{take}.{name}.cdf", flat)
    if "pixels" in kinds:
      flat = in_32(pixels).reshape(len(view), -1)
      write_cdf(poses / "D2_Positions" / f"{take}.{name}.cdf", flat)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
  """A whole release of takes of four frames, in a folder with a name in unicode."""
  folder = tmp_path_factory.mktemp("Aufnahmen ü")
  metadata_test.write(folder / "metadata.xml", RIGS)
  for subject in protocol.SUBJECTS:
    for take in takes():
      write_take(folder, subject, take)
    # Files that are no takes of the protocol.
    write_cdf(folder / subject / "MyPoseFeatures/D3_Positions/_ALL.cdf", np.ones(96))
  return folder


def check(record, atol=1e-5):
  subject, action = (builder_testing.text(record, k) for k in ("subject", "action"))
  action, _, number = action.partition(" ")
  take = f"{RELEASED.get(action, action)} {number}".strip()
  camera = protocol.CAMERAS.index(builder_testing.text(record, "camera"))
  view, pixels = benchmark_writer.seen(motion(subject, take), RIGS[subject][camera])
  np.testing.assert_allclose(record["joints_3d"], view, atol=atol)
  np.testing.assert_allclose(record["keypoints_2d"], pixels, atol=2e-2)
  assert tuple(record["image_size"]) == protocol.IMAGE_SIZES[camera]
  assert record["frame_valid"].all()
  assert record["fps"] == 50


def test_records_are_the_release(release, tmp_path):
  splits = builder_testing.build_and_read(
    "human36m", tmp_path, release, config="official"
  )
  counts = {split: len(records) for split, records in splits.items()}
  # Thirty takes of each subject and four cameras, without S11's corrupt one.
  assert counts == dict(train=5 * 30 * 4, test=(30 + 29) * 4)
  names = {builder_testing.text(r, "sequence") for r in splits["test"]}
  assert {"S9 Directions", "S9 Photo 1", "S11 Directions 1"} <= names
  assert not {"S11 Directions", "S9 TakingPhoto"} & names
  for record in splits["train"][::37] + splits["test"][::29]:
    check(record)
  for record in splits["test"][:2]:
    np.testing.assert_allclose(
      builder_testing.world_joints(record), motion("S9", "Directions"), atol=1e-4
    )


@pytest.mark.parametrize("kinds", [("mono",), ("mono", "pixels"), ("world",)])
def test_other_forms_of_the_poses_give_the_same(tmp_path, kinds):
  write_take(tmp_path, "S5", "Eating 1", kinds)
  poses = tmp_path / "S5" / "MyPoseFeatures"

  def all_cameras(kind):
    return tuple(poses / kind / f"Eating 1.{name}.cdf" for name in protocol.CAMERAS)

  take = official.Take(
    "S5",
    "Eating 1",
    poses / "D3_Positions" / "Eating 1.cdf" if "world" in kinds else None,
    all_cameras("D3_Positions_mono") if "mono" in kinds else (),
    all_cameras("D2_Positions") if "pixels" in kinds else (),
  )
  records = list(official.records(take, RIGS["S5"]))
  assert len(records) == 4
  for record in records:
    check(record)


def test_folders_of_the_camera_poses_are_found(release, tmp_path):
  touch(tmp_path, "Poses_D3_Positions_mono", cameras=True)
  found = official.takes(tmp_path)
  assert len(found["S11"]) == 29
  assert found["S1"][0].world is None
  assert [path.suffixes[0][1:] for path in found["S1"][0].mono] == list(
    protocol.CAMERAS
  )


def touch(folder, kind, cameras=False):
  """Empty files of all takes."""
  for subject in protocol.SUBJECTS:
    (folder / subject / kind).mkdir(parents=True)
    for take in takes():
      for name in [f".{c}" for c in protocol.CAMERAS] if cameras else [""]:
        (folder / subject / kind / f"{take}{name}.cdf").touch()


def test_an_empty_folder_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"got nothing, expected metadata\.xml too"):
    official.splits(tmp_path)


def test_a_missing_subject_is_named(tmp_path):
  touch(tmp_path, "D3_Positions")
  shutil.rmtree(tmp_path / "S7")
  with pytest.raises(ValueError, match="got no D3_Positions of S7, expected CDF"):
    official.takes(tmp_path)


def test_a_missing_action_is_named(tmp_path):
  touch(tmp_path, "D3_Positions")
  for path in (tmp_path / "S8" / "D3_Positions").glob("Eating*"):
    path.unlink()
  message = "got 28 takes of S8, expected some of Eating too"
  with pytest.raises(ValueError, match=message):
    official.takes(tmp_path)


def test_an_unknown_take_is_named(tmp_path):
  touch(tmp_path, "D3_Positions")
  (tmp_path / "S1" / "D3_Positions" / "Springen.cdf").touch()
  with pytest.raises(
    ValueError, match="got the take 'Springen' of S1, expected one of"
  ):
    official.takes(tmp_path)


def test_a_missing_camera_of_a_pair_is_named(tmp_path):
  touch(tmp_path, "D3_Positions")
  touch(tmp_path, "D2_Positions", cameras=True)
  (tmp_path / "S6" / "D2_Positions" / "Photo.58860488.cdf").unlink(missing_ok=True)
  (tmp_path / "S6" / "D2_Positions" / "TakingPhoto.58860488.cdf").unlink()
  message = (
    "'TakingPhoto' of S6 without S6 D2_Positions/TakingPhoto.58860488.cdf, expected "
    "the files of all four cameras"
  )
  with pytest.raises(ValueError, match=message):
    official.takes(tmp_path)


def write_changed(folder, change, kind="D3_Positions"):
  """A take whose joints, or pixels, are changed before they are written."""
  world = motion("S1", "Eating")
  poses = folder / "S1" / "MyPoseFeatures"
  pixels = []
  for camera, name in zip(RIGS["S1"], protocol.CAMERAS, strict=True):
    path = poses / "D2_Positions" / f"Eating.{name}.cdf"
    flat = in_32(benchmark_writer.seen(world, camera)[1])
    flat = change(flat) if kind == "D2_Positions" else flat
    write_cdf(path, flat.reshape(len(flat), -1))
    pixels.append(path)
  flat = in_32(1000 * world)
  flat = change(flat) if kind == "D3_Positions" else flat
  path = poses / "D3_Positions" / "Eating.cdf"
  write_cdf(path, flat.reshape(len(flat), -1))
  return official.Take("S1", "Eating", path, (), tuple(pixels))


def with_nan(poses):
  poses[1, 3] = np.nan
  return poses


@pytest.mark.parametrize(
  ("kind", "change", "message"),
  [
    (
      "D3_Positions",
      lambda p: p / 1000,
      "Eating.cdf: sequence 'S1 Eating', camera '54138969': got legs of 0.00086 m, "
      "expected about 0.8 m",
    ),
    ("D3_Positions", with_nan, "1 of 4 frames hold NaN or infinite joints"),
    ("D2_Positions", with_nan, "1 of 4 frames hold NaN or infinite joints"),
    (
      "D3_Positions",
      lambda p: p[:, :17],
      r"got a Pose of shape \(1, 4, 51\), expected frames of 32 joints with 3 numbers",
    ),
    (
      "D2_Positions",
      lambda p: p[:3],
      "got 4 frames of 3D and 3 of 2D, expected at least one, and 2D for every frame",
    ),
    ("D2_Positions", lambda p: p + 100, "got 2D joints 141 pixels from where metadata"),
  ],
)
def test_what_is_wrong_in_a_take_is_said(tmp_path, kind, change, message):
  take = write_changed(tmp_path, change, kind)
  with pytest.raises(ValueError, match=message):
    list(official.records(take, RIGS["S1"]))


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5])
def test_a_truncated_file_is_named(tmp_path, keep):
  take = write_changed(tmp_path, lambda p: p)
  raw = take.world.read_bytes()
  take.world.write_bytes(raw[: int(keep * len(raw)) if keep == 0.5 else keep])
  message = "Eating.cdf: truncated or damaged, or no CDF file with the variable Pose"
  with pytest.raises(ValueError, match=message):
    list(official.records(take, RIGS["S1"]))


def test_another_variable_is_refused(tmp_path):
  write_cdf(tmp_path / "a.cdf", np.ones((2, 96)), variable="Angles")
  with pytest.raises(ValueError, match="no CDF file with the variable Pose"):
    official.pose(tmp_path / "a.cdf", 3)


def test_without_cdflib_its_pip_line_is_told(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "cdflib", None)
  message = r"needs cdflib; pip install 'jaxpose\[h36m\]'"
  with pytest.raises(ValueError, match=message):
    official.pose(tmp_path / "a.cdf", 3)
