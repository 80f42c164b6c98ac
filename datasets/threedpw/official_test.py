import os
import pickle

import numpy as np
import pytest

from jaxpose import body as bodies
from jaxpose import geometry
from jaxpose.data import pose_data
from jaxpose.geometry import cameras
from tests import body_writer
from tests import builder_testing
from tests import python2_writer
from threedpw import official

BOTH = {"male": 1.0, "female": 0.9}


@pytest.fixture(autouse=True)
def no_named_folder(monkeypatch):
  monkeypatch.delenv("JAXPOSE_SMPL_DIR", raising=False)


def standing(frames):
  """(frames, 24, 3) a body in its rest pose, moving along x; world, y up."""
  rest = bodies.rest_joints(
    bodies.Body(*map(np.asarray, body_writer.body_files.load("free_small"))),
    np.zeros(10, np.float32),
  )
  return rest + np.arange(frames)[:, None, None] * [0.02, 0, 0] + [0, 1, 0]


def sequence(frames=6, people=2, seed=0, name="downtown_café_00", **changes):
  """What one file holds: people who stand before a camera that turns and moves."""
  rng = np.random.default_rng(seed)
  look = np.diag([1.0, -1, -1])  # y up to y down, looking along -z
  extrinsics = np.tile(np.eye(4), (frames, 1, 1))
  for i in range(frames):
    turn = geometry.axis_angle_to_matrix(np.asarray([0, 0.05 * i, 0.0]))
    extrinsics[i, :3, :3] = look @ turn
    extrinsics[i, :3, 3] = [0, 1, 4 + 0.1 * i]
  valid = [np.ones(frames, np.int64) for _ in range(people)]
  valid[0][1] = 0
  content = dict(
    sequence=name,
    genders=["m", "f"][:people],
    betas=[rng.normal(0, 0.5, 300 if p else 10) for p in range(people)],
    poses=[rng.normal(0, 0.2, (frames, 72)) for _ in range(people)],
    trans=[
      np.stack([0.1 * np.arange(frames), np.ones(frames), np.full(frames, 0.2 * p)], 1)
      for p in range(people)
    ],
    poses2d=[rng.uniform(0, 1000, (frames, 3, 18)) for _ in range(people)],
    jointPositions=[standing(frames).reshape(frames, 72) for _ in range(people)],
    cam_poses=extrinsics,
    campose_valid=valid,
    cam_intrinsics=np.asarray([[1960.0, 0, 540], [0, 1970, 960], [0, 0, 1]]),
    img_frame_ids=np.arange(frames),
    texture_maps=[],
    v_template_clothed=[np.zeros((4, 3)), None],
  )
  return content | changes


def write(raw, **changes):
  for i, split in enumerate(official.SPLITS):
    folder = raw / "sequenceFiles" / split
    folder.mkdir(parents=True, exist_ok=True)
    made = sequence(seed=i, **(changes if split == "train" else {}))
    (folder / f"{i}.pkl").write_bytes(python2_writer.dumps(made))
  return raw


def build(tmp_path):
  return builder_testing.build_and_read(
    "threedpw", tmp_path / "out", tmp_path / "raw", config="official"
  )


def by_person(records):
  return {builder_testing.text(record, "sequence"): record for record in records}


def test_without_bodies_the_joints_of_the_file_are_stored(tmp_path):
  write(tmp_path / "raw")
  splits = build(tmp_path)
  assert set(splits) == set(official.SPLITS)
  made = sequence(seed=0)
  record = by_person(splits["train"])["downtown_café_00_1"]
  world = cameras.camera_to_world(
    record["joints_3d"], record["camera_rotations"], record["camera_positions"]
  )
  np.testing.assert_allclose(
    world, made["jointPositions"][1].reshape(6, 24, 3), atol=1e-5
  )
  assert builder_testing.text(record, "skeleton") == "smpl24"
  assert not record["has_joints_14"]
  assert not record["joints_14"].any()
  np.testing.assert_array_equal(record["image_size"], [1080, 1920])
  texts = [builder_testing.text(record, k) for k in ("subject", "action", "gender")]
  assert texts == ["1", "downtown_café", "female"]
  np.testing.assert_allclose(
    record["detections_2d"], made["poses2d"][1].swapaxes(1, 2), rtol=1e-6
  )
  np.testing.assert_allclose(record["betas"], np.tile(made["betas"][1][:10], (6, 1)))
  np.testing.assert_allclose(record["smpl_translation"], made["trans"][1])
  loaded = pose_data.from_records(splits["train"])
  assert loaded.skeleton.name == "smpl24"
  assert loaded.num_frames == 11  # one frame has no valid camera
  assert len(loaded.views) == 3  # and parts a run


def test_cameras_and_pixels_are_those_of_the_file(tmp_path):
  write(tmp_path / "raw")
  made = sequence(seed=0)
  record = by_person(build(tmp_path)["train"])["downtown_café_00_0"]
  np.testing.assert_array_equal(record["frame_valid"], made["campose_valid"][0])
  world = made["jointPositions"][0].reshape(6, 24, 3)
  ones = np.concatenate([world, np.ones((6, 24, 1))], -1)
  view = (ones @ made["cam_poses"].swapaxes(1, 2))[..., :3]
  np.testing.assert_allclose(record["joints_3d"], view, atol=1e-5)
  pixels = view @ made["cam_intrinsics"].T
  np.testing.assert_allclose(
    record["keypoints_2d"], pixels[..., :2] / pixels[..., 2:], atol=0.01
  )
  root = geometry.axis_angle_to_matrix(record["smpl_pose"][:, 0].astype(np.float64))
  expected = made["cam_poses"][:, :3, :3] @ geometry.axis_angle_to_matrix(
    made["poses"][0][:, :3]
  )
  np.testing.assert_allclose(root, expected, atol=1e-5)
  np.testing.assert_allclose(
    record["smpl_pose"][:, 1:].reshape(6, 69), made["poses"][0][:, 3:], atol=1e-6
  )


def test_gendered_bodies_give_49_and_14_joints(tmp_path):
  raw = write(tmp_path / "raw")
  written = {
    gender: body_writer.write(raw / "smpl" / f"SMPL_{gender.upper()}.npz", scale)
    for gender, scale in BOTH.items()
  }
  records = build(tmp_path)["train"]
  made = sequence(seed=0)
  for p, gender in enumerate(BOTH):
    record = by_person(records)[f"downtown_café_00_{p}"]
    assert builder_testing.text(record, "skeleton") == "spin49"
    assert record["has_joints_14"]
    rotations = geometry.axis_angle_to_matrix(made["poses"][p].reshape(6, 24, 3))
    betas = np.tile(made["betas"][p][:10], (6, 1))
    posed = bodies.pose(
      written[gender], rotations.astype(np.float32), betas.astype(np.float32)
    )
    for key, joints in (
      ("joints_3d", bodies.joints_49(written[gender], posed)),
      ("joints_14", bodies.joints_14(written[gender], posed)),
    ):
      world = joints + made["trans"][p][:, None]
      rotation = made["cam_poses"][:, :3, :3]
      view = world @ rotation.swapaxes(1, 2) + made["cam_poses"][:, None, :3, 3]
      np.testing.assert_allclose(record[key], view, atol=1e-5)
  loaded = pose_data.from_records(records)
  assert loaded.skeleton.name == "spin49"
  assert loaded.frames["smpl_pose"].shape == (11, 24, 3)


def test_bodies_without_the_regressor_give_no_14_joints(tmp_path):
  raw = write(tmp_path / "raw")
  for gender, scale in BOTH.items():
    body_writer.write(raw / "smpl" / f"{gender}.npz", scale, h36m=False)
  record = build(tmp_path)["test"][0]
  assert not record["has_joints_14"]
  assert record["joints_3d"].shape == (6, 49, 3)


def refused(tmp_path, message, error=ValueError):
  with pytest.raises(error, match=message) as caught:
    build(tmp_path)
  if error is ValueError:
    assert "\n" not in str(caught.value)
  assert not list((tmp_path / "out").glob("threedpw/*/1.0.0/*.json"))


def test_folders_that_lack_files_are_refused(tmp_path):
  (tmp_path / "raw").mkdir()
  refused(tmp_path, "raw does not exist or is empty", FileNotFoundError)
  path = write(tmp_path / "raw") / "sequenceFiles" / "validation" / "1.pkl"
  path.unlink()
  refused(
    tmp_path, r"raw: got sequenceFiles, expected sequenceFiles/validation/\*\.pkl"
  )


def test_one_body_of_the_pair_is_refused(tmp_path):
  body_writer.write(write(tmp_path / "raw") / "smpl" / "SMPL_MALE.npz")
  refused(tmp_path, "got SMPL_MALE.npz, expected SMPL's female body too")


def test_images_are_counted_where_they_are(tmp_path):
  folder = write(tmp_path / "raw") / "imageFiles" / "downtown_café_00"
  folder.mkdir(parents=True)
  for i in range(5):
    (folder / f"image_{i:05d}.jpg").touch()
  refused(tmp_path, r"0\.pkl: got 6 frames, but no image .*image_00005\.jpg; expected")
  (folder / "image_00005.jpg").touch()
  assert len(build(tmp_path)["train"]) == 2


def test_a_truncated_file_is_refused(tmp_path):
  path = write(tmp_path / "raw") / "sequenceFiles" / "test" / "2.pkl"
  path.write_bytes(path.read_bytes()[:-4000])
  refused(
    tmp_path, r"2\.pkl: truncated or damaged: it is no pickle of a sequence of 3D"
  )


class Hostile:
  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.mkdir, (str(self.path),)


def test_a_malicious_pickle_executes_nothing(tmp_path):
  path = write(tmp_path / "raw") / "sequenceFiles" / "train" / "0.pkl"
  path.write_bytes(pickle.dumps(sequence() | {"x": Hostile(tmp_path / "made")}, 2))
  refused(tmp_path, r"0\.pkl: refused: it asks for 'posix.mkdir', expected only numpy")
  assert not (tmp_path / "made").exists()


def nan_at(key, frame):
  made = sequence()[key]
  made[0][frame, 0] = np.nan
  return {key: made}


def of_first(key, change):
  made = sequence()[key]
  return {key: [change(made[0]), *made[1:]]}


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    (nan_at("jointPositions", 2), "1 of 6 frames hold NaN or infinite jointPositions"),
    (nan_at("poses", 0), r"0\.pkl: person 0: 1 of 6 frames hold NaN or infinite poses"),
    (
      of_first("poses", lambda a: a[:5]),
      r"poses of person 0 of shape \(5, 72\), expec",
    ),
    (
      of_first("poses2d", lambda a: a[:, :, :17]),
      r"shape \(6, 3, 17\), expected \(6, 3",
    ),
    (of_first("jointPositions", lambda a: 1000 * a), "person 0: got legs of .* m, exp"),
    (of_first("jointPositions", lambda a: [["a"]]), "jointPositions that is no array"),
    (of_first("betas", lambda a: a[:9]), "got 9 betas, expected 10 finite numbers"),
    (dict(genders=["m", "x"]), "person 1: got the gender 'x', expected 'm' or 'f'"),
    (dict(trans=[np.zeros((6, 3))]), "got trans that is no list of 2, expected one"),
    (dict(cam_poses=np.ones((6, 4, 4))), "cam_poses that are no rotations in 5 of 6"),
  ],
)
def test_damaged_contents_are_one_sentence(tmp_path, changes, message):
  write(tmp_path / "raw", **changes)
  refused(tmp_path, message)


def test_nan_where_no_camera_is_valid_is_no_harm(tmp_path):
  write(tmp_path / "raw", **nan_at("jointPositions", 1))
  record = by_person(build(tmp_path)["train"])["downtown_café_00_0"]
  assert np.isfinite(record["joints_3d"]).all()


def test_a_pickle_of_something_else_is_refused(tmp_path):
  path = write(tmp_path / "raw") / "sequenceFiles" / "train" / "0.pkl"
  path.write_bytes(pickle.dumps({"a": 1}))
  refused(tmp_path, r"0\.pkl: got a, expected sequence, genders, betas")
