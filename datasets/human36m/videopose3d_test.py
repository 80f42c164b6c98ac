import os

import numpy as np
import pytest

from human36m import metadata_test
from human36m import protocol
from human36m import videopose3d
from jaxpose.data import pose_data
from jaxpose.skeletons import skeleton_maps
from tests import benchmark_writer
from tests import builder_testing

TAKES = ("Directions", "Photo 1", "Größe 1")
RIGS = {
  subject: benchmark_writer.rig(protocol.CAMERAS, protocol.IMAGE_SIZES, i)
  for i, subject in enumerate(protocol.SUBJECTS)
}


def motion(subject, take):
  # Sequences of unequal length.
  frames = 20 + 5 * TAKES.index(take)
  return benchmark_writer.body("h36m17", frames, [int(subject[1:]), len(take)])


def in_32(joints):
  placed = np.zeros((len(joints), 32, 3), np.float32)
  placed[:, list(protocol.JOINTS)] = joints
  return placed


def noise(subject, take, camera):
  seed = [int(subject[1:]), len(take), camera]
  frames = len(motion(subject, take))
  return np.random.default_rng(seed).normal(0, 4, (frames, 17, 2)).astype(np.float32)


def content():
  """What the three files hold, CPN's with frames and subjects of no use."""
  world, exact, cpn = {}, {}, {"S2": {"Posing": [np.zeros((3, 17, 2))] * 4}}
  for subject in protocol.SUBJECTS:
    world[subject], exact[subject], cpn[subject] = {}, {}, {}
    for take in TAKES:
      joints = motion(subject, take)
      world[subject][take] = in_32(joints)
      views = [benchmark_writer.seen(joints, camera)[1] for camera in RIGS[subject]]
      exact[subject][take] = [view.astype(np.float32) for view in views]
      cpn[subject][take] = [
        np.concatenate([view + noise(subject, take, i), np.zeros((2, 17, 2))])
        for i, view in enumerate(views)
      ]
  return dict(world=world, exact=exact, cpn=cpn)


METADATA = dict(num_joints=17, keypoints_symmetry=[[4, 5, 6], [1, 2, 3]])


def write(folder, world=None, exact=None, cpn=None):
  folder.mkdir(parents=True, exist_ok=True)
  if world is not None:
    np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=world)
  for name, views in dict(gt=exact, cpn_ft_h36m_dbb=cpn).items():
    if views is not None:
      path = folder / f"data_2d_h36m_{name}.npz"
      np.savez_compressed(path, positions_2d=views, metadata=METADATA)


@pytest.mark.parametrize(
  ("config", "names", "official", "atol"),
  [
    ("videopose3d_gt", ("world", "exact"), True, 1e-5),
    ("videopose3d_cpn", ("world", "exact", "cpn"), False, 2e-3),
    ("videopose3d_cpn", ("world", "cpn"), True, 1e-5),
  ],
)
def test_records_are_the_files(tmp_path, config, names, official, atol):
  raw = tmp_path / "raw"
  write(raw, **{name: content()[name] for name in names})
  if official:
    metadata_test.write(raw / "metadata.xml", RIGS)
  splits = builder_testing.build_and_read(
    "human36m", tmp_path / "out", raw, config=config
  )
  assert {k: len(v) for k, v in splits.items()} == dict(train=60, test=20)
  for split, subjects in protocol.SPLITS.items():
    found = [
      tuple(builder_testing.text(r, k) for k in ("subject", "action", "camera"))
      for r in splits[split]
    ]
    assert found == [
      (subject, take, camera)
      for subject in subjects
      for take in TAKES
      for camera in protocol.CAMERAS
      if (subject, take) != ("S11", "Directions")
    ]
    for record, (subject, take, name) in zip(splits[split], found, strict=True):
      i = protocol.CAMERAS.index(name)
      view, pixels = benchmark_writer.seen(motion(subject, take), RIGS[subject][i])
      if "cpn" in names:
        pixels = pixels + noise(subject, take, i)
      np.testing.assert_allclose(record["keypoints_2d"], pixels, atol=2e-4)
      np.testing.assert_allclose(record["joints_3d"], view, atol=atol)
      assert record["frame_valid"].all()
      assert builder_testing.text(record, "skeleton") == "h36m17"
  poses = pose_data.from_records(splits["test"])
  assert {view.subject for view in poses.views} == {"S9", "S11"}


@pytest.mark.parametrize("name", ["detectron_ft_h36m", "detectron_pt_coco"])
def test_keypoints_of_other_detectors_are_configs_too(tmp_path, name):
  raw, held = tmp_path / "raw", content()
  write(raw, held["world"])
  metadata_test.write(raw / "metadata.xml", RIGS)
  path = raw / f"data_2d_h36m_{name}.npz"
  np.savez_compressed(path, positions_2d=held["cpn"], metadata=METADATA)
  splits = builder_testing.build_and_read(
    "human36m", tmp_path / "out", raw, config=f"videopose3d_{name}"
  )
  record = splits["test"][2]
  subject, take = (builder_testing.text(record, k) for k in ("subject", "action"))
  camera = protocol.CAMERAS.index(builder_testing.text(record, "camera"))
  points = held["cpn"][subject][take][camera][: len(motion(subject, take))]
  if name.endswith("_coco"):
    points = skeleton_maps.convert(points, "coco17", "h36m17")
  np.testing.assert_allclose(record["keypoints_2d"], points, atol=1e-3)


def test_keypoints_of_other_joints_are_no_config(tmp_path):
  message = "has no config 'videopose3d_sh_pt_mpii'; known: .* or ends in _coco"
  with pytest.raises(ValueError, match=message):
    builder_testing.load_build().build(
      "human36m", tmp_path, config="videopose3d_sh_pt_mpii"
    )


def refused(folder, message, keypoints="gt"):
  def read():
    for records in videopose3d.splits(folder, keypoints).values():
      list(records)

  with pytest.raises(ValueError, match=message):
    read()


def test_an_empty_folder_is_refused(tmp_path):
  message = "got nothing, expected data_3d_h36m.npz, data_2d_h36m_gt.npz too"
  refused(tmp_path, message)


@pytest.mark.parametrize(
  ("names", "missing"),
  [
    (("exact", "cpn"), "data_3d_h36m.npz"),
    (("world", "exact"), "data_2d_h36m_cpn_ft_h36m_dbb.npz"),
    (("world", "cpn"), "data_2d_h36m_gt.npz"),
  ],
)
def test_a_missing_file_is_named(tmp_path, names, missing):
  write(tmp_path, **{name: content()[name] for name in names})
  refused(tmp_path, f"expected {missing} too", "cpn_ft_h36m_dbb")


def with_nan(array):
  array = array.copy()
  array[3, 3] = np.nan
  return array


@pytest.mark.parametrize(
  ("which", "change", "message"),
  [
    ("world", with_nan, "'S5 Photo 1'.* 1 of 25 frames hold NaN or infinite joints"),
    ("exact", with_nan, "'S5 Photo 1'.* 1 of 25 frames hold NaN or infinite joints"),
    (
      "world",
      lambda p: p[:, :16],
      r"S5 'Photo 1': got \(25, 16, 3\), expected numbers",
    ),
    ("world", lambda p: p[..., :2], r"got \(25, 32, 2\), expected numbers of shape"),
    ("exact", lambda p: p[:, :16], r"got \(25, 16, 2\), .* \(frames, 17, 2\)"),
    (
      "exact",
      lambda p: p[:9],
      "got 25 frames of 3D and 9 of 2D, expected at least one",
    ),
    ("exact", lambda p: None, r"got NoneType, expected numbers of shape"),
  ],
)
def test_what_is_wrong_in_a_sequence_is_said(tmp_path, which, change, message):
  held = content()
  entry = held[which]["S5"]["Photo 1"]
  if which == "world":
    held[which]["S5"]["Photo 1"] = change(entry)
  else:
    held[which]["S5"]["Photo 1"] = [*entry[:2], change(entry[2]), *entry[3:]]
  write(tmp_path, held["world"], held["exact"])
  metadata_test.write(tmp_path / "metadata.xml", RIGS)
  refused(tmp_path, message)


def test_millimetres_are_caught_by_the_legs(tmp_path):
  held = content()
  world = {
    s: {t: 1000 * joints for t, joints in takes.items()}
    for s, takes in held["world"].items()
  }
  write(tmp_path, world, held["exact"])
  metadata_test.write(tmp_path / "metadata.xml", RIGS)
  refused(tmp_path, "got legs of 860 m, expected about 0.8 m; the unit")


def test_files_that_do_not_belong_together_are_refused(tmp_path):
  held = content()
  held["exact"]["S1"] = held["exact"]["S7"]
  write(tmp_path, held["world"], held["exact"])
  message = "data_3d_h36m.npz and data_2d_h36m_gt.npz: S1: no camera sees the 3D joints"
  refused(tmp_path, message)


def test_a_missing_subject_is_named(tmp_path):
  held = content()
  del held["world"]["S8"]
  write(tmp_path, held["world"], held["exact"])
  refused(tmp_path, "got S1, S5, S6, S7, S9, S11, expected S8 too")


def test_a_missing_take_of_a_pair_is_named(tmp_path):
  held = content()
  del held["exact"]["S1"]["Photo 1"]
  write(tmp_path, held["world"], held["exact"])
  refused(tmp_path, "got Directions, Größe 1 of S1, expected 'Photo 1' too")


@pytest.mark.parametrize("views", [[np.zeros((25, 17, 2))] * 3, 7])
def test_missing_cameras_are_said(tmp_path, views):
  held = content()
  held["exact"]["S5"]["Photo 1"] = views
  write(tmp_path, held["world"], held["exact"])
  refused(tmp_path, "S5 'Photo 1': got . cameras, expected 4")


@pytest.mark.parametrize("world", [np.zeros(3), {"S1": [1]}, {}, {1: {}}])
def test_another_structure_is_refused(tmp_path, world):
  write(tmp_path, world, content()["exact"])
  refused(tmp_path, "data_3d_h36m.npz: got a .*, expected a dict of")


def test_a_truncated_file_is_named(tmp_path):
  held = content()
  write(tmp_path, held["world"], held["exact"])
  path = tmp_path / "data_3d_h36m.npz"
  path.write_bytes(path.read_bytes()[:-100])
  refused(tmp_path, "data_3d_h36m.npz: truncated or damaged npz")


class Malicious:
  def __init__(self, mark):
    self.mark = str(mark)

  def __reduce__(self):
    return os.system, (f"touch {self.mark}",)


def test_a_malicious_pickle_is_not_run(tmp_path):
  write(tmp_path, {"S1": Malicious(tmp_path / "ran")}, content()["exact"])
  refused(tmp_path, "data_3d_h36m.npz: positions_3d: refused: .* nothing was executed")
  assert not (tmp_path / "ran").exists()
