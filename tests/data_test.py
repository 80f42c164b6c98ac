"""Records to windows: what a batch holds, in which order, and what is refused."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxpose import skeletons
from jaxpose.data import clip_windows
from jaxpose.data import pose_data
from jaxpose.data import transforms
from jaxpose.geometry import cameras
from tests import small_data

H36M = skeletons.get("h36m17")


@pytest.fixture(scope="module")
def original(golden):
  """The three golden sequences, and the windows that the original cuts from them."""
  with np.load(golden / "windows_h36m_pad4.npz") as file:
    arrays = dict(file)
  points = [arrays[f"poses_2d_{i}"] for i in range(3)]
  joints = [arrays[f"poses_3d_{i}"] for i in range(3)]
  ends = np.cumsum([len(p) for p in points])
  runs = dict(
    first=np.r_[0, ends[:-1]].astype(np.int32), last=(ends - 1).astype(np.int32)
  )
  frames = dict(keypoints_2d=np.concatenate(points), joints_3d=np.concatenate(joints))
  views = tuple(pose_data.View(str(i), "", "", "", 50.0) for i in range(3))
  return pose_data.PoseData(frames, runs, views, H36M), arrays


def mirrored(batch):
  """The batch with its flipped windows mirrored, as the original stores them."""
  flip = batch["flip"][:, None, None, None]
  return {
    key: np.where(flip, transforms.flip(batch[key], H36M), batch[key])
    for key in ("keypoints_2d", "joints_3d")
  }


@pytest.mark.parametrize("epoch", [0, 1])
def test_training_epochs_are_the_originals(original, epoch):
  poses, expected = original
  order = pose_data.TrainingOrder(poses, 30, seed=1234, flip=True)
  assert order.steps_per_epoch == 1
  batch = mirrored(pose_data.gather(poses.frames, poses.runs, order(epoch), 9))
  np.testing.assert_array_equal(
    batch["keypoints_2d"], expected[f"train_epoch{epoch}_2d"]
  )
  np.testing.assert_array_equal(
    batch["joints_3d"][:, 4:5], expected[f"train_epoch{epoch}_3d"]
  )


def test_evaluation_windows_are_the_originals(original):
  poses, expected = original
  batches = [
    (pose_data.gather(poses.frames, poses.runs, index, 9), mask)
    for index, mask in pose_data.evaluation_order(poses, 4)
  ]
  points = np.concatenate([batch["keypoints_2d"][mask] for batch, mask in batches])
  joints = np.concatenate([batch["joints_3d"][mask] for batch, mask in batches])
  np.testing.assert_array_equal(points, expected["eval_2d"])
  np.testing.assert_array_equal(joints[:, 4:5], expected["eval_3d"])
  np.testing.assert_array_equal(transforms.flip(points, H36M), expected["eval_2d_flip"])


@pytest.mark.parametrize("window", [1, 4, 9, 27])
def test_windows_never_cross_runs_and_repeat_the_edges(window):
  lengths = [5, 1, 9]
  poses = small_data.of_runs(lengths)
  every = np.arange(15, dtype=np.int32)
  index = pose_data.Index(every, poses.run_of_frame[every], np.zeros(15, bool))
  points = pose_data.gather(poses.frames, poses.runs, index, window)["keypoints_2d"]
  assert points.shape == (15, window, 17, 2)
  np.testing.assert_array_equal(
    points[..., 0, 1], np.repeat(poses.run_of_frame[:, None], window, 1)
  )
  for centre in every:
    run = poses.run_of_frame[centre]
    first, last = poses.runs["first"][run], poses.runs["last"][run]
    wanted = [min(max(centre + k - window // 2, first), last) for k in range(window)]
    np.testing.assert_array_equal(points[centre, :, 0, 0], wanted)


def test_invalid_frames_split_a_sequence_into_runs():
  record = small_data.records((12,), ("walk",), num_cameras=1)[0]
  valid = np.ones(12, bool)
  valid[[0, 4, 5, 11]] = False
  # What is marked invalid is never read, not even if it is no number.
  record["keypoints_2d"][~valid] = np.nan
  poses = pose_data.from_records([record | dict(frame_valid=valid)])
  np.testing.assert_array_equal(poses.runs["first"], [0, 3])
  np.testing.assert_array_equal(poses.runs["last"], [2, 7])
  np.testing.assert_array_equal(
    poses.frames["joints_3d"], record["joints_3d"][[1, 2, 3, 6, 7, 8, 9, 10]]
  )
  np.testing.assert_array_equal(poses.run_of_frame, [0] * 3 + [1] * 5)
  assert [view.sequence for view in poses.views] == ["S0_walk"] * 2
  assert poses.num_frames == 8
  assert np.isfinite(poses.frames["keypoints_2d"]).all()


def test_records_become_normalised_keypoints_with_their_cameras():
  records = small_data.records()
  poses = pose_data.from_records(records)
  assert poses.skeleton == H36M
  assert len(poses.views) == len(records)
  for i, record in enumerate(records):
    frames = slice(poses.runs["first"][i], poses.runs["last"][i] + 1)
    joints = poses.frames["joints_3d"][frames]
    np.testing.assert_allclose(
      poses.frames["keypoints_2d"][frames], small_data.seen(joints, record), atol=1e-5
    )
    world = cameras.camera_to_world(
      joints, poses.runs["camera_rotation"][i], poses.runs["camera_position"][i]
    )
    clip = small_data.motion(len(world), int(record["subject"][1:]))
    np.testing.assert_allclose(world, clip, atol=1e-5)
    assert poses.views[i] == pose_data.View(
      record["sequence"], record["subject"], record["action"], record["camera"], 50.0
    )


def test_bodies_bring_their_parameters():
  records = small_data.mesh_records((9,), num_cameras=1)
  records[0]["frame_valid"][3] = False
  poses = pose_data.from_records(records)
  assert len(poses.views) == 2
  valid = records[0]["frame_valid"]
  for key in ("smpl_pose", "betas", "joints_3d"):
    np.testing.assert_array_equal(poses.frames[key], records[0][key][valid])


def feature_record(frames=6, **changes):
  """As image features of a crop come, see `sequences.crop_features`."""
  rng = np.random.default_rng(frames)
  shapes = dict(
    features=(7,),
    keypoints_2d=(49, 2),
    confidence=(49,),
    joints_3d=(49, 3),
    smpl_pose=(24, 3),
    betas=(10,),
  )
  arrays = {k: rng.normal(size=(frames, *s)) for k, s in shapes.items()}
  names = dict.fromkeys(("sequence", "subject", "action", "camera"), "a")
  known = dict(has_joints_3d=True, has_smpl=False, frame_valid=np.ones(frames, bool))
  return arrays | known | names | dict(fps=25.0, skeleton="spin49") | changes


def test_image_features_come_with_their_crops_and_what_is_known():
  valid = np.asarray([1, 1, 0, 1, 1, 1], bool)
  records = [feature_record(frame_valid=valid), feature_record(5, has_smpl=True)]
  poses = pose_data.from_records(records)
  # Frames that are not scored are left out, and the others joined, as GLoT does.
  np.testing.assert_array_equal(poses.runs["last"], [4, 9])
  first = records[0]["keypoints_2d"].astype(np.float32)[valid]
  np.testing.assert_array_equal(poses.frames["keypoints_2d"][:5], first)
  np.testing.assert_array_equal(poses.runs["has_smpl"], [0, 1])
  batch = pose_data.gather(
    poses.frames, poses.runs, pose_data.TrainingOrder(poses, 3)(0), 4
  )
  assert batch["features"].shape == (3, 4, 7)
  assert batch["has_joints_3d"].shape == (3,)


def test_text_may_come_as_bytes():
  record = small_data.records((3,), ("walk",), num_cameras=1)[0]
  encoded = {k: v.encode() if isinstance(v, str) else v for k, v in record.items()}
  plain, read = pose_data.from_records([record]), pose_data.from_records([encoded])
  assert plain.views == read.views
  assert read.skeleton == H36M


@pytest.mark.parametrize("window", [1, 9])
def test_host_and_device_cut_identical_batches(window):
  poses = small_data.pose_data()
  order = pose_data.TrainingOrder(poses, 16, seed=3, flip=True)
  cut = jax.jit(pose_data.gather, static_argnums=3)
  for step in range(3):
    host = pose_data.gather(poses.frames, poses.runs, order(step), window)
    assert all(isinstance(array, np.ndarray) for array in host.values())
    device = cut(*jax.device_put((poses.frames, poses.runs, order(step))), window)
    assert host.keys() == device.keys()
    assert "camera_rotation" in host
    for key in host:
      assert host[key].dtype == device[key].dtype
      np.testing.assert_array_equal(host[key], device[key])


def as_tuples(index):
  return [array.tolist() for array in index if array is not None]


@pytest.mark.parametrize("sampling", ["frames", "actions"])
@pytest.mark.parametrize("batch_size", [7, 30, 100])
def test_order_is_a_function_of_seed_and_step(sampling, batch_size):
  poses = small_data.of_runs([5, 1, 9], ["walk", "sit", "sit"])

  def make(seed=1):
    return pose_data.TrainingOrder(
      poses, batch_size, seed=seed, flip=True, sampling=sampling
    )

  continued = make()
  steps = [as_tuples(continued(step)) for step in range(12)]
  for step in (0, 3, 4, 5, 11):
    assert as_tuples(make()(step)) == steps[step]
  assert as_tuples(continued(2)) == steps[2]  # backwards too
  assert len({str(step) for step in steps}) == 12
  assert as_tuples(make(seed=2)(0)) != steps[0]
  assert all(len(centre) == batch_size for centre, _, _ in steps)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("batch_size", [4, 7, 100])
def test_epochs_see_every_window_once_across_batches(flip, batch_size):
  poses = small_data.of_runs([5, 1, 9])
  order = pose_data.TrainingOrder(poses, batch_size, seed=0, flip=flip)
  size = 15 * (1 + flip)
  assert order.steps_per_epoch == max(size // batch_size, 1)
  needed = -(-2 * size // batch_size)
  parts = [order(step) for step in range(needed)]
  centre = np.concatenate([index.centre for index in parts])
  mirror = np.concatenate([index.flip for index in parts])
  run = np.concatenate([index.run for index in parts])
  np.testing.assert_array_equal(run, poses.run_of_frame[centre])
  wanted = {(c, f) for c in range(15) for f in range(1 + flip)}
  epochs = [
    list(zip(centre[a : a + size], mirror[a : a + size], strict=True))
    for a in (0, size)
  ]
  for epoch in epochs:
    assert set(epoch) == wanted
    assert len(epoch) == len(wanted)
  assert epochs[0] != epochs[1]


def test_sampling_by_action_draws_with_the_root_of_an_actions_frames():
  lengths, actions = [900, 10, 90], ["walk", "sit", "sit"]
  poses = small_data.of_runs(lengths, actions)
  order = pose_data.TrainingOrder(poses, 4000, sampling="actions", flip=True)
  index = order(0)
  # sqrt(900) : sqrt(100) is 3 : 1, while the frames are 9 : 1.
  assert abs((index.run == 0).mean() - 0.75) < 0.04  # 6 standard deviations
  # Within the action by frame, and mirrored half of the time.
  assert abs((index.run == 1).mean() - 0.025) < 0.015
  assert abs(index.flip.mean() - 0.5) < 0.05
  assert len(np.unique(index.centre)) > 800


@pytest.mark.parametrize("window", [4, 5])
def test_windows_that_do_not_overlap_are_glots(window):
  lengths = [window - 1, 3 * window + 1, 2 * window]
  poses = small_data.of_runs(lengths)
  size = 5
  order = pose_data.TrainingOrder(poses, size, sampling="windows", window=window)
  assert order.steps_per_epoch == 1
  batch = pose_data.gather(poses.frames, poses.runs, order(0), window)
  seen = batch["keypoints_2d"][:, :, 0, 0].astype(int)
  names = np.repeat(np.arange(3), lengths)
  expected = clip_windows.training(names, window)
  np.testing.assert_array_equal(seen[np.argsort(seen[:, 0])], expected)


def test_order_refuses_unknown_sampling_and_empty_batches():
  poses = small_data.of_runs([3])
  with pytest.raises(ValueError, match="sampling 'action', expected 'frames', 'wi"):
    pose_data.TrainingOrder(poses, 2, sampling="action")
  with pytest.raises(ValueError, match="got no run of 4 frames, expected at least on"):
    pose_data.TrainingOrder(poses, 2, sampling="windows", window=4)
  with pytest.raises(ValueError, match="batch size of 0, expected at least 1"):
    pose_data.TrainingOrder(poses, 0)


@pytest.mark.parametrize("batch_size", [1, 4, 15, 64])
@pytest.mark.parametrize("stride", [1, 4])
def test_evaluation_visits_every_frame_once(batch_size, stride):
  poses = small_data.of_runs([5, 1, 9])
  chosen = np.arange(0, 15, stride, dtype=np.int32)
  seen = []
  for index, mask in pose_data.evaluation_order(poses, batch_size, chosen):
    assert len(index.centre) == len(mask) == batch_size
    assert not index.flip.any()
    np.testing.assert_array_equal(index.run, poses.run_of_frame[index.centre])
    seen += index.centre[mask].tolist()
  assert seen == chosen.tolist()


def test_mixed_skeletons_are_refused():
  records = small_data.records()
  records[-1]["skeleton"] = "mpi3dhp17"
  with pytest.raises(ValueError, match=r"S1_sit.*'mpi3dhp17', expected 'h36m17'"):
    pose_data.from_records(records)


@pytest.mark.parametrize("key", ["keypoints_2d", "joints_3d"])
def test_nan_in_a_valid_frame_is_refused(key):
  record = small_data.records((5,), ("walk",), num_cameras=1)[0]
  record[key][3, 2, 1] = np.nan
  with pytest.raises(ValueError, match=f"'S0_walk', camera '0': {key} holds NaN"):
    pose_data.from_records([record])


def test_data_without_a_valid_frame_is_refused():
  record = small_data.records((5,), ("walk",), num_cameras=1)[0]
  for records in ([], [record | dict(frame_valid=np.zeros(5, bool))]):
    with pytest.raises(ValueError, match="got no valid frame, expected at least one"):
      pose_data.from_records(records)


def test_a_built_split_is_read(tiny_data_dir):
  folder = pose_data.prepare(
    "synthetic_motion", builder_config="tiny", data_dir=tiny_data_dir
  )
  train, test = pose_data.load(folder), pose_data.load(folder, "test")
  assert {view.subject for view in train.views}.isdisjoint(
    {view.subject for view in test.views}
  )
  assert train.frames["keypoints_2d"].shape == (train.num_frames, 17, 2)
  assert np.abs(train.frames["keypoints_2d"]).max() <= 1
  assert len({view.action for view in train.views}) >= 8
  some = pose_data.load(folder, "train[:10%]")
  assert 0 < some.num_frames < train.num_frames


def test_an_unknown_split_is_refused_with_the_known_ones(tiny_data_dir):
  folder = pose_data.prepare(
    "synthetic_motion", builder_config="tiny", data_dir=tiny_data_dir
  )
  with pytest.raises(ValueError, match=r"no split 'val\[:5\]'; it has .*validation"):
    pose_data.load(folder, "val[:5]")


def test_a_dataset_is_built_once(tmp_path, monkeypatch, capsys):
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
  assert pose_data.default_data_dir() == tmp_path
  first = pose_data.prepare("synthetic_motion", builder_config="tiny")
  stamp = {path: path.stat().st_mtime_ns for path in first.iterdir()}
  assert "building into" in capsys.readouterr().out
  assert pose_data.prepare("synthetic_motion", builder_config="tiny") == first
  assert "already built" in capsys.readouterr().out
  assert {path: path.stat().st_mtime_ns for path in first.iterdir()} == stamp


def test_the_data_folder_falls_back_to_the_home_directory(monkeypatch):
  monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
  folder = pose_data.default_data_dir()
  assert folder.name == "tensorflow_datasets"
  assert folder.is_absolute()


def test_an_unknown_dataset_is_refused_with_near_names(tmp_path):
  with pytest.raises(
    ValueError, match="unknown dataset 'synthetic_motoin'; nearest: s"
  ):
    pose_data.prepare("synthetic_motoin", data_dir=tmp_path)


def test_pose_data_is_frozen():
  with pytest.raises(dataclasses.FrozenInstanceError):
    small_data.of_runs([2]).views = ()


@pytest.mark.parametrize("lookahead", [0, 1, 4])
def test_lookahead_says_how_many_frames_come_after_the_predicted_one(lookahead):
  poses = small_data.of_runs([12, 8])
  frames = np.asarray([0, 6, 11, 12, 19], np.int32)
  index = pose_data.Index(frames, poses.run_of_frame[frames], np.zeros(5, bool))
  batch = pose_data.gather(poses.frames, poses.runs, index, 5, lookahead)
  seen = batch["keypoints_2d"][:, :, 0, 0].astype(int)
  first, last = poses.runs["first"][index.run], poses.runs["last"][index.run]
  expected = frames[:, None] + np.arange(lookahead - 4, lookahead + 1)
  np.testing.assert_array_equal(seen, np.clip(expected, first[:, None], last[:, None]))
  at = batch["predicted"]
  np.testing.assert_array_equal(np.take_along_axis(seen, at[:, None], 1)[:, 0], frames)


def test_half_of_the_window_comes_after_unless_said_otherwise():
  poses = small_data.pose_data()
  index = pose_data.TrainingOrder(poses, 4)(0)
  for window in (4, 5):
    plain = pose_data.gather(poses.frames, poses.runs, index, window)
    same = pose_data.gather(poses.frames, poses.runs, index, window, (window - 1) // 2)
    assert set(same) - set(plain) == {"predicted"}
    np.testing.assert_array_equal(plain["joints_3d"], same["joints_3d"])


@pytest.mark.parametrize("lookahead", [-1, 5])
def test_a_lookahead_beyond_the_window_is_refused(lookahead):
  poses = small_data.pose_data()
  index = pose_data.TrainingOrder(poses, 4)(0)
  message = f"got lookahead={lookahead} with windows of 5 frames, expected 0 .* to 4"
  with pytest.raises(ValueError, match=message):
    pose_data.gather(poses.frames, poses.runs, index, 5, lookahead)
