import os

import numpy as np
import pytest

from humaneva import humaneva_dataset_builder as builder
from jaxpose.data import pose_data
from jaxpose.metrics import protocols
from tests import benchmark_writer
from tests import builder_testing

CHUNKS = ("Walking 1 chunk0", "Walking 1 chunk2", "Jog 1 chunk0", "Box 1 chunk1")
RIGS = {
  person: benchmark_writer.rig(builder.RIG.names, builder.RIG.sizes, i)
  for i, person in enumerate(builder.PEOPLE)
}


def motion(part, person, chunk):
  # Sequences of unequal length.
  frames = 12 + 3 * CHUNKS.index(chunk)
  return benchmark_writer.body(
    "humaneva15", frames, [len(part), int(person[1:]), CHUNKS.index(chunk)]
  )


def coco(part, person, chunk, camera):
  frames = len(motion(part, person, chunk))
  rng = np.random.default_rng([len(part), int(person[1:]), frames, camera])
  return rng.uniform(0, 480, (frames, 17, 2)).astype(np.float32)


def content():
  """What the files hold, with a part and an action of no use."""
  empty = {"Walking 1 chunk0": [np.zeros((4, 17, 2), np.float32)] * 3}
  world, exact, detected = {}, {}, {"Unlabeled/S4": empty}
  for part in ("Train", "Validate"):
    for person in builder.PEOPLE:
      key = f"{part}/{person}"
      world[key] = {chunk: motion(part, person, chunk) for chunk in CHUNKS}
      exact[key] = {
        chunk: [benchmark_writer.seen(joints, c)[1] for c in RIGS[person]]
        for chunk, joints in world[key].items()
      }
      detected[key] = {
        chunk: [coco(part, person, chunk, i) for i in range(3)] for chunk in CHUNKS
      }
      world[key]["Gestures 1 chunk0"] = motion(part, person, CHUNKS[0])
  return dict(world=world, exact=exact, detected=detected)


def write(folder, world=None, exact=None, detected=None):
  folder.mkdir(parents=True, exist_ok=True)
  if world is not None:
    np.savez_compressed(folder / builder.POSES, positions_3d=world)
  for name, views in {builder.EXACT: exact, builder.DETECTED: detected}.items():
    if views is not None:
      np.savez_compressed(folder / name, positions_2d=views, metadata={})


@pytest.mark.parametrize("config", ["gt", "detectron"])
def test_records_are_the_files(tmp_path, config):
  write(tmp_path / "raw", **content())
  splits = builder_testing.build_and_read(
    "humaneva", tmp_path / "out", tmp_path / "raw", config=config
  )
  assert {k: len(v) for k, v in splits.items()} == dict(train=36, test=36)
  for split, part in builder.PARTS.items():
    found = [
      tuple(builder_testing.text(r, k) for k in ("subject", "action", "camera"))
      for r in splits[split]
    ]
    assert found == [
      (person, chunk, camera)
      for person in builder.PEOPLE
      for chunk in CHUNKS
      for camera in builder.RIG.names
    ]
    for record, (person, chunk, name) in zip(splits[split], found, strict=True):
      camera = builder.RIG.names.index(name)
      view, pixels = benchmark_writer.seen(
        motion(part, person, chunk), RIGS[person][camera]
      )
      if config == "detectron":
        # GLA-GCN's remapping of Mask R-CNN's points, section 7.2 of its description.
        points = coco(part, person, chunk, camera)
        pairs = [(11, 12), (5, 6)]
        singles = [5, 7, 9, 6, 8, 10, 11, 13, 15, 12, 14, 16, 0]
        pixels = np.stack(
          [points[:, list(pair)].mean(1) for pair in pairs]
          + [points[:, j] for j in singles],
          1,
        )
      np.testing.assert_allclose(record["keypoints_2d"], pixels, atol=1e-3)
      np.testing.assert_allclose(record["joints_3d"], view, atol=3e-3)
      assert tuple(record["image_size"]) == (640, 480)
      assert record["frame_valid"].all()
  # The table of the protocol has a row for each person and action.
  poses = pose_data.from_records(splits["test"])
  joints = poses.frames["joints_3d"]
  items = [
    protocols.SequencePrediction(
      joints[a : b + 1] - joints[a : b + 1, :1],
      joints[a : b + 1],
      view.subject,
      view.action,
    )
    for a, b, view in zip(
      poses.runs["first"], poses.runs["last"], poses.views, strict=True
    )
  ]
  result = protocols.score("humaneva_p1", items)
  assert set(result.table) == {
    f"{person} {action}" for person in builder.PEOPLE for action in builder.ACTIONS
  }
  assert result.total < 1e-3


def refused(folder, message, name=builder.EXACT):
  def read():
    for records in builder.splits(folder, name).values():
      list(records)

  with pytest.raises(ValueError, match=message):
    read()


def test_an_empty_folder_is_refused(tmp_path):
  refused(tmp_path, "got nothing, expected data_3d_humaneva15.npz, data_2d_humaneva15")


@pytest.mark.parametrize(
  ("names", "missing"),
  [
    (("world", "exact"), builder.DETECTED),
    (("world", "detected"), builder.EXACT),
    (("exact", "detected"), builder.POSES),
  ],
)
def test_a_missing_file_is_named(tmp_path, names, missing):
  write(tmp_path, **{name: content()[name] for name in names})
  refused(tmp_path, f"expected {missing} too", builder.DETECTED)


def test_a_missing_action_is_named(tmp_path):
  held = content()
  del held["world"]["Validate/S2"]["Jog 1 chunk0"]
  write(tmp_path, **held)
  refused(tmp_path, "got no Validate/S2 Jog, expected Walking, Jog, Box of S1, S2, S3")


def with_nan(array):
  array = array.copy()
  array[3, 5] = np.nan
  return array


@pytest.mark.parametrize(
  ("which", "change", "message"),
  [
    (
      "world",
      with_nan,
      "sequence 'Train/S1 Walking 1 chunk2'.* 1 of 15 frames hold NaN",
    ),
    ("exact", with_nan, "camera 'C2': 1 of 15 frames hold NaN or infinite joints"),
    ("world", lambda p: p[:, :14], r"chunk2': got \(15, 14, 3\), expected numbers of"),
    ("exact", lambda p: p[:, :14], r"chunk2': got \(15, 14, 2\), expected numbers of"),
    ("exact", lambda p: p[:9], "got 15 frames of 3D and 9 of 2D"),
    ("detected", lambda p: p[:, :15], r"\(15, 15, 2\), expected .* \(frames, 17, 2\)"),
  ],
)
def test_what_is_wrong_in_a_chunk_is_said(tmp_path, which, change, message):
  held = content()
  entry = held[which]["Train/S1"]["Walking 1 chunk2"]
  if which == "world":
    entry = change(entry)
  else:
    entry = [entry[0], change(entry[1]), entry[2]]
  held[which]["Train/S1"]["Walking 1 chunk2"] = entry
  write(tmp_path, **held)
  name = builder.DETECTED if which == "detected" else builder.EXACT
  refused(tmp_path, message, name)


def test_other_units_are_caught_by_the_legs(tmp_path):
  held = content()
  world = {
    key: {chunk: 1000 * joints for chunk, joints in chunks.items()}
    for key, chunks in held["world"].items()
  }
  write(tmp_path, world, held["exact"])
  refused(tmp_path, "got legs of 860 m, expected about 0.8 m; the unit")


def test_files_that_do_not_belong_together_are_refused(tmp_path):
  held = content()
  held["exact"]["Train/S1"] = held["exact"]["Train/S2"]
  held["exact"]["Validate/S1"] = held["exact"]["Train/S2"]
  write(tmp_path, **held)
  refused(
    tmp_path, "S1: no camera sees the 3D joints at the 2D keypoints of camera 'C1"
  )


def test_a_missing_chunk_of_a_pair_is_named(tmp_path):
  held = content()
  del held["exact"]["Train/S1"]["Box 1 chunk1"]
  write(tmp_path, **held)
  refused(tmp_path, "of Train/S1, expected 'Box 1 chunk1' too, of which there is 3D")


class Malicious:
  def __init__(self, mark):
    self.mark = str(mark)

  def __reduce__(self):
    return os.system, (f"touch {self.mark}",)


def test_a_malicious_pickle_is_not_run(tmp_path):
  write(tmp_path, content()["world"], {"Train/S1": Malicious(tmp_path / "ran")})
  refused(tmp_path, "positions_2d: refused: .* nothing was executed")
  assert not (tmp_path / "ran").exists()


def test_a_truncated_file_is_named(tmp_path):
  write(tmp_path, **content())
  path = tmp_path / builder.EXACT
  path.write_bytes(path.read_bytes()[:-100])
  refused(tmp_path, "data_2d_humaneva15_gt.npz: truncated or damaged npz")
