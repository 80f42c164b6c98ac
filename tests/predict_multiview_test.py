"""Recordings of several cameras to poses, through the network and in the world."""

import dataclasses
import functools
import io
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from jaxpose import models
from jaxpose import predict
from jaxpose.data import view_records
from jaxpose.formats import lens
from jaxpose.formats import recordings
from jaxpose.geometry import camera_crops
from jaxpose.geometry import cameras
from jaxpose.geometry import triangulation
from jaxpose.predict import views_files
from jaxpose.predict import views_network
from jaxpose.train import rundir
from jaxpose.weights import pretrained
from jaxpose.weights.checkpoint import Checkpoints
from tests import multiview_testing
from tests import small_glot
from tests import small_multiview
from tests import small_runs
from tests.small_multiview import SKELETON
from tests.small_multiview import WINDOW

FRAMES = 11
SIDE = 24  # of a crop


@pytest.fixture(scope="module", autouse=True)
def quick():
  yield from small_multiview.quick_compilation()


def multiview(source=None, **options) -> predict.MultiviewPoses:
  if source is None:
    source = small_multiview.pictures(FRAMES)
    arrays = dict(cameras=small_multiview.rig(), boxes=small_multiview.boxes(FRAMES))
    options = arrays | options
  options = dict(weights=small_multiview.weights(), batch_size=4) | options
  return predict.multiview(source, **options)


@functools.cache
def applied(**fields):
  weights = small_multiview.weights(**fields)
  return weights, jax.jit(weights.module.apply)


def by_hand(frames, *, calibrated=True, boxes=None, present=None, **fields):
  """The whole network on these frames of the recording as one window."""
  weights, apply = applied(calibrated=calibrated, **fields)
  boxes = small_multiview.boxes(FRAMES) if boxes is None else boxes
  rig = small_multiview.rig()
  present = np.ones((FRAMES, 3), bool) if present is None else present
  images = [
    [
      camera_crops.crop_picture(
        Image.fromarray(small_multiview.pictures(FRAMES)[t, v]), boxes[t, v], size=SIDE
      )
      for t in frames
    ]
    for v in range(3)
  ]
  own = np.stack([[c.intrinsics] * len(frames) for c in rig])
  own = camera_crops.crop_intrinsics(own, boxes[frames].swapaxes(0, 1), size=SIDE)
  x = dict(images=np.asarray(images)[None], view_mask=present[frames].T[None])
  if calibrated:
    x |= dict(
      camera_rotation=np.float32([[c.rotation for c in rig]]),
      camera_position=np.float32([[c.position for c in rig]]),
      crop_intrinsics=np.float32(triangulation.unit_intrinsics(own, SIDE))[None],
    )
  return {key: np.asarray(a[0]) for key, a in apply(weights.variables, **x).items()}


def same_as_by_hand(poses, frame, out, row, boxes=None):
  boxes = small_multiview.boxes(FRAMES) if boxes is None else boxes
  points = (out["keypoints_2d"][:, row] + 1) * SIDE / 2
  pixels = camera_crops.uncrop_points(points, boxes[frame], size=SIDE)
  np.testing.assert_allclose(poses.keypoints_2d[frame], pixels, atol=2e-3)
  np.testing.assert_allclose(poses.scores[frame], out["scores"][:, row], atol=1e-5)
  np.testing.assert_allclose(poses.joints_3d[frame], out["joints_3d"][row], atol=2e-5)


@pytest.fixture(scope="module")
def clip() -> predict.MultiviewPoses:
  return multiview()


def test_each_frame_is_taken_from_the_window_in_whose_middle_it_is(clip):
  # Windows of 4 frames that begin at 0, 2, 4, 6 and, the last, at 7.
  starts = [0, 0, 0, 2, 2, 4, 4, 6, 7, 7, 7]
  for frame, start in enumerate(starts):
    out = by_hand(np.arange(start, start + WINDOW))
    same_as_by_hand(clip, frame, out, frame - start)
  assert np.abs(np.diff(clip.joints_3d, axis=0)).max() > 1e-3


def test_causal_networks_see_the_window_that_ends_with_the_frame():
  poses = multiview(weights=small_multiview.weights(causal=True))
  for frame in (0, 2, 3, 4, 10):
    frames = np.arange(max(frame - WINDOW + 1, 0), frame + 1)
    out = by_hand(frames, causal=True)
    same_as_by_hand(poses, frame, out, len(frames) - 1)


@pytest.mark.parametrize(("batch_size", "causal"), [(1, False), (3, True), (64, False)])
def test_batches_of_any_size_give_the_same(clip, batch_size, causal):
  weights = small_multiview.weights(causal=causal)
  whole = multiview(weights=weights) if causal else clip
  poses = multiview(weights=weights, batch_size=batch_size)
  for name in ("keypoints_2d", "scores", "joints_3d"):
    want = getattr(whole, name)
    np.testing.assert_allclose(getattr(poses, name), want, atol=2e-3, err_msg=name)
    assert np.isfinite(want).all()


def test_short_recordings_are_one_window_with_missing_frames():
  images, boxes = (
    small_multiview.pictures(FRAMES)[:2],
    small_multiview.boxes(FRAMES)[:2],
  )
  poses = multiview(images, cameras=small_multiview.rig(), boxes=boxes)
  for frame in (0, 1):
    same_as_by_hand(poses, frame, by_hand(np.arange(2)), frame)


def test_missing_views_are_flagged_and_their_pictures_do_not_matter():
  boxes = small_multiview.boxes(FRAMES)
  boxes[3:6, 1] = np.nan
  boxes[5] = np.nan
  images = small_multiview.pictures(FRAMES).copy()
  poses = multiview(images, cameras=small_multiview.rig(), boxes=boxes)
  images[3:6, 1] = 255
  other = multiview(images, cameras=small_multiview.rig(), boxes=boxes)
  np.testing.assert_array_equal(poses.joints_3d, other.joints_3d)
  np.testing.assert_array_equal(poses.present, ~np.isnan(boxes).any(-1))
  assert np.isnan(poses.keypoints_2d[3:6, 1]).all()
  assert (poses.scores[3:6, 1] == 0).all()
  assert np.isfinite(poses.keypoints_2d[~np.isnan(boxes).any(-1)]).all()
  assert "Camera 'cam1' is missing in 3 frames" in poses.report
  assert "In 1 frames nobody is seen by any camera" in poses.report
  np.testing.assert_array_equal(np.flatnonzero(~poses.valid), [5])
  assert np.isnan(poses.root_3d[5]).all()


def truth(monkeypatch, frames, boxes, ring, points=None, noise=0.0):
  """Makes every network give the true poses."""
  joints = small_multiview.joints(frames)
  if points is None:
    points = np.stack([small_multiview.project(c, joints) for c in ring], 1)
  rng = np.random.default_rng(0)
  units = camera_crops.crop_points(points, boxes, size=SIDE) * (2 / SIDE) - 1
  found = dict(
    keypoints_2d=units + noise * rng.normal(size=units.shape),
    scores=np.ones(units.shape[:-1]),
    joints_3d=joints - joints[:, :1],
  )
  monkeypatch.setattr(views_network, "run", lambda *args: found)
  return joints, points, found


def test_true_crops_become_true_pixels_and_joints_of_the_world(monkeypatch):
  boxes, ring = small_multiview.boxes(FRAMES), small_multiview.rig()
  joints, points, _ = truth(monkeypatch, FRAMES, boxes, ring)
  poses = multiview()
  np.testing.assert_allclose(poses.keypoints_2d, points, atol=1e-4)
  np.testing.assert_allclose(poses.joints_3d_world, joints, atol=1e-5)
  np.testing.assert_allclose(poses.root_3d, joints[:, 0], atol=1e-5)
  assert (poses.axes, poses.cameras) == ("world", ("cam0", "cam1", "cam2"))
  assert "cam0 0.0, cam1 0.0, cam2 0.0" in poses.report


def test_lenses_are_undone_and_done_again(monkeypatch, tmp_path):
  k = [-0.2, 0.05, 0.003, -0.004, 0.01]

  def bend(rig):
    for camera in rig:
      camera["dist"] = k

  folder = small_multiview.write(tmp_path / "walk", change=bend, with_boxes=False)
  ring = small_multiview.rig()
  joints = small_multiview.joints(6)
  views, count = recordings.open_views(folder)
  straight, _ = zip(*(recordings.boxes(v, count) for v in views), strict=True)
  joints, _, _ = truth(monkeypatch, 6, np.stack(straight, 1), ring)
  poses = multiview(folder)
  np.testing.assert_allclose(poses.joints_3d_world, joints, atol=1e-5)
  for v, camera in enumerate(ring):
    inside = cameras.world_to_camera(joints, camera.rotation, camera.position)
    bent = lens.distort(inside[..., :2] / inside[..., 2:], np.asarray(k))
    pixels = bent * camera.intrinsics[:2] + camera.intrinsics[2:4]
    np.testing.assert_allclose(poses.keypoints_2d[:, v], pixels, atol=1e-3)


def test_poses_in_a_cameras_axes_are_turned_into_the_world(monkeypatch):
  boxes, ring = small_multiview.boxes(FRAMES), small_multiview.rig()
  joints, _, found = truth(monkeypatch, FRAMES, boxes, ring)
  found["joints_3d"] = found["joints_3d"] @ ring[1].rotation.T
  weights = small_multiview.weights(calibrated=False)
  poses = multiview(weights=weights, reference="cam1")
  np.testing.assert_allclose(poses.joints_3d_world, joints, atol=1e-5)
  boxes[4, 1] = np.nan  # of the camera whose axes they are
  poses = multiview(weights=weights, reference="cam1", boxes=boxes)
  np.testing.assert_array_equal(np.flatnonzero(~poses.valid), [4])


def test_networks_without_a_3d_stage_give_triangulated_joints(monkeypatch):
  boxes, ring = small_multiview.boxes(FRAMES), small_multiview.rig()
  joints, _, found = truth(monkeypatch, FRAMES, boxes, ring)
  del found["joints_3d"]
  weights = small_multiview.weights(calibrated=False, lifter="none")
  poses = multiview(weights=weights)
  np.testing.assert_allclose(poses.joints_3d_world, joints, atol=1e-4)
  assert "3D joints are triangulated 2D joints" in poses.report
  boxes[4, :2] = np.nan  # one view cannot
  poses = multiview(weights=weights, boxes=boxes)
  np.testing.assert_array_equal(np.flatnonzero(~poses.valid), [4])
  assert np.isnan(poses.joints_3d_world[4]).all()
  poses = multiview(weights=weights, cameras=None)
  assert not poses.valid.any()
  assert "no 3D stage and there is no calibration: 2D alone" in poses.report


@pytest.mark.parametrize("lifter", ["dlt", "poseformer"])
def test_other_3d_stages_run(lifter):
  fields = dict(lifter_width=4) if lifter == "poseformer" else {}
  poses = multiview(weights=small_multiview.weights(lifter=lifter, **fields))
  assert poses.joints_3d.shape == (FRAMES, 17, 3)
  assert np.isfinite(poses.keypoints_2d).all()


def test_recordings_without_calibration_have_poses_in_a_cameras_axes(tmp_path):
  folder = small_multiview.write(tmp_path / "walk", calibrated=False)
  weights = small_multiview.weights(calibrated=False)
  poses = multiview(folder, weights=weights)
  assert poses.cameras == ("cam0", "cam1", "cam2")
  assert poses.axes == "camera cam0"
  assert "There is no calibration: 3D joints are relative to the root" in poses.report
  assert np.isnan(poses.root_3d).all()
  assert np.isfinite(poses.joints_3d).all()
  assert poses.valid.all()
  with pytest.raises(ValueError, match="got poses of a recording without calibration"):
    poses.joints_3d_world  # noqa: B018
  arrays = multiview(
    small_multiview.pictures(6), weights=weights, boxes=small_multiview.boxes(6)
  )
  np.testing.assert_allclose(arrays.joints_3d, poses.joints_3d, atol=1e-5)
  other = multiview(folder, weights=weights, reference="cam2")
  assert other.axes == "camera cam2"
  assert np.abs(other.joints_3d - poses.joints_3d).max() > 1e-3


def png(picture) -> bytes:
  out = io.BytesIO()
  Image.fromarray(picture).save(out, "PNG")
  return out.getvalue()


def records(frames=6):
  """Two records, as the data sets have them."""
  ring, images = small_multiview.rig(), small_multiview.pictures(frames)
  for part in (slice(0, 4), slice(4, frames)):
    encoded = [png(p) for views in images[part] for p in views]
    yield view_records.record(
      encoded,
      ring,
      boxes=small_multiview.boxes(frames)[part],
      frame_ids=np.arange(frames)[part],
      fps=25.0,
      skeleton=SKELETON,
      sequence=f"walk_{part.start}",
    )


def test_folders_arrays_and_records_are_the_same_recording(tmp_path):
  folder = multiview(small_multiview.write(tmp_path / "walk"))
  arrays = multiview(
    small_multiview.pictures(6),
    cameras=small_multiview.rig(),
    boxes=small_multiview.boxes(6),
  )
  parts = multiview(list(records()))
  listed = multiview(
    list(small_multiview.pictures(6).swapaxes(0, 1)),
    cameras=small_multiview.rig(),
    boxes=small_multiview.boxes(6),
    fps=25,
  )
  assert (folder.fps, arrays.fps, parts.fps, listed.fps) == (25, 0, 25, 25)
  for name in ("keypoints_2d", "joints_3d"):
    want = getattr(arrays, name)
    np.testing.assert_allclose(getattr(folder, name), want, atol=2e-3, err_msg=name)
    np.testing.assert_allclose(getattr(listed, name), want, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(getattr(parts, name), want, atol=1e-4, err_msg=name)
  one = multiview(next(records()))
  assert len(one) == 4


def test_views_of_a_folder_can_be_chosen(tmp_path):
  folder = small_multiview.write(tmp_path / "walk")
  shutil.rmtree(folder / "cam1")
  poses = multiview(folder, views=["cam2", "cam0"])
  assert poses.cameras == ("cam2", "cam0")
  chosen = [2, 0]
  arrays = multiview(
    small_multiview.pictures(6)[:, chosen],
    cameras=[small_multiview.rig()[v] for v in chosen],
    boxes=small_multiview.boxes(6)[:, chosen],
  )
  np.testing.assert_allclose(poses.joints_3d, arrays.joints_3d, atol=2e-5)
  with pytest.raises(
    ValueError, match="got no video or folder of pictures for the cal"
  ):
    multiview(folder)
  with pytest.raises(
    ValueError, match="got the cameras cam9, expected some of cam0, c"
  ):
    multiview(folder, views=["cam9"])


def test_without_boxes_the_whole_picture_is_one(tmp_path):
  folder = small_multiview.write(tmp_path / "walk", with_boxes=False)
  arrays = multiview(
    small_multiview.pictures(6), cameras=small_multiview.rig(), boxes=None
  )
  poses = multiview(folder)
  np.testing.assert_allclose(poses.joints_3d, arrays.joints_3d, atol=1e-5)


def test_programs_are_shared_by_recordings_of_any_length():
  views_network._programs.cache_clear()
  images, boxes = small_multiview.pictures(FRAMES), small_multiview.boxes(FRAMES)
  for frames in (11, 9, 6):
    multiview(images[:frames], cameras=small_multiview.rig(), boxes=boxes[:frames])
  weights = small_multiview.weights()
  programs = views_network._programs(weights.module, True)
  assert views_network._programs.cache_info().misses == 1
  assert programs[0]._cache_size() == 1


def with_camera(**changes):
  ring = small_multiview.rig()
  return [dataclasses.replace(ring[0], **changes), *ring[1:]]


IMAGES = np.zeros((2, 3, 60, 80, 3), np.uint8)
BENT = np.asarray([90.0, 90, 40, 30, 0.1, 0, 0, 0, 0])


@pytest.mark.parametrize(
  ("options", "sentence"),
  [
    (dict(weights="no/such"), "no weights at 'no/such': expected a released name"),
    (dict(weights=3), "got weights of type int, expected a released name, a path"),
    (dict(batch_size=0), "got batch_size=0, expected at least 1"),
    (dict(fps=-5), "got fps=-5, expected frames per second, a number above 0"),
    (dict(cameras=None), "got a recording without calibration and weights that read"),
    (dict(reference="x"), "got the reference 'x', expected one of cam0, cam1, cam2"),
    (dict(views=["cam0"]), "got views= without a folder, expected it with one"),
    (
      dict(cameras=small_multiview.rig()[:2]),
      "got 2 cameras for 3 views, expected one",
    ),
    (
      dict(cameras=[small_multiview.rig()[0]] * 3),
      "got cameras of one name in cam0, cam0, cam0, expected different ones",
    ),
    (
      dict(cameras=with_camera(position=np.asarray([0, np.nan, 0]))),
      "camera 'cam0': got position = [0.0, nan, 0.0], expected finite numbers",
    ),
    (
      dict(cameras=with_camera(rotation=np.eye(2))),
      "camera 'cam0': got rotation = [[1.0, 0.0], [0.0, 1.0]], expected finite numbers "
      "of shape (3, 3)",
    ),
    (dict(cameras=with_camera(intrinsics=BENT)), "'cam0': got a lens with distortion"),
    (
      dict(cameras=with_camera(image_size=(60, 80))),
      "camera 'cam0': got pictures of 80 x 60 pixels, expected the calibrated 60 x 80",
    ),
    (
      dict(boxes=np.ones((2, 3, 3))),
      "got boxes of shape (2, 3, 3), expected (2, 3, 4)",
    ),
    (dict(boxes=np.zeros((2, 3, 4))), "got a box without area, expected finite cx, cy"),
    (dict(boxes=np.full((2, 3, 4), np.inf)), "got a box without area"),
  ],
)
def test_mistakes_are_told(options, sentence):
  options = dict(cameras=small_multiview.rig()) | options
  error = FileNotFoundError if options.get("weights") == "no/such" else ValueError
  with pytest.raises(error, match=re.escape(sentence)):
    multiview(IMAGES, **options)


@pytest.mark.parametrize(
  ("images", "sentence"),
  [
    (IMAGES[0], "got images of shape (3, 60, 80, 3), expected (frames, views, height"),
    (IMAGES.astype(float), "shape (2, 60, 80, 3) and type float64, expected (frames"),
    (IMAGES[..., :2], "got a view of shape (2, 60, 80, 2) and type uint8, expected"),
    (IMAGES[:0], "got views of 0, 0, 0 frames, expected the same, at least one"),
    ([*IMAGES.swapaxes(0, 1)[:2], IMAGES[:1, 2]], "got views of 2, 2, 1 frames"),
    ([], "got images of type list, expected (frames, views"),
    (7, "got images of type int, expected (frames, views"),
  ],
)
def test_images_of_another_shape_are_refused(images, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    multiview(images, cameras=small_multiview.rig())


def test_weights_of_other_networks_are_refused():
  def refused(weights, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
      multiview(weights=weights)

  glot = small_glot.weights()
  refused(glot, "got weights of the model 'glot', expected those of 'multiview'; jaxp")
  whole = small_multiview.weights()
  lifter = pretrained.make(
    dict(whole.model, name="multiview_lifter"),
    {},
    skeleton="h36m17",
    window=WINDOW,
    inputs=("keypoints_input", "scores_input"),
  )
  refused(lifter, "'multiview_lifter', expected those of 'multiview'; a lifter alone")
  strange = dataclasses.replace(whole, inputs=("view_mask", "images"))
  refused(strange, "got a network with the inputs view_mask, images, expected images,")


def test_folders_that_cannot_be_used_are_refused(tmp_path):
  with pytest.raises(
    FileNotFoundError, match="no such folder; expected one with a cal"
  ):
    multiview(tmp_path / "nowhere")
  folder = small_multiview.write(tmp_path / "walk", frames=4, calibrated=False)
  with pytest.raises(
    ValueError, match="got a recording without calibration and weight"
  ):
    multiview(folder)
  with pytest.raises(
    ValueError, match="got boxes= with a folder, expected it with arr"
  ):
    multiview(folder, boxes=np.ones((4, 3, 4)))
  (tmp_path / "empty").mkdir()
  with pytest.raises(
    ValueError, match="got the cameras none, expected some of those w"
  ):
    multiview(tmp_path / "empty")

  def broken(rig):
    rig[1]["t"] = [0.0, float("nan"), 1.0]

  folder = small_multiview.write(tmp_path / "nan", frames=4, change=broken)
  with pytest.raises(
    ValueError, match=r"'cam1': got t = \[0.0, nan, 1.0\], expected fi"
  ):
    multiview(folder)


def test_videos_that_end_before_their_header_says_are_refused(tmp_path, monkeypatch):
  folder = small_multiview.write(tmp_path / "walk")
  original = recordings.video_files.Folder.read

  def read(self, wanted=None):
    stream = original(self, wanted)
    return (next(stream) for _ in range(3)) if self.path.name == "cam1" else stream

  monkeypatch.setattr(recordings.video_files.Folder, "read", read)
  with pytest.raises(
    ValueError, match="cam1: got 3 frames that can be decoded, expecte"
  ):
    multiview(folder)


def test_records_of_two_rigs_are_refused():
  first, second = records()
  second["camera_position"] = second["camera_position"] + 1
  with pytest.raises(ValueError, match="got the record 'walk_4' of other cameras than"):
    multiview([first, second])
  with pytest.raises(
    ValueError, match="got fps= with records, expected it with arrays"
  ):
    multiview(first, fps=25)


def test_poses_are_saved_and_read_back(clip, tmp_path):
  path = clip.save(tmp_path / "sub" / "poses.npz")
  found = predict.MultiviewPoses.load(path)
  for field in dataclasses.fields(clip):
    values = getattr(found, field.name), getattr(clip, field.name)
    if isinstance(values[0], np.ndarray):
      np.testing.assert_array_equal(*values)
    else:
      assert values[0] == values[1], field.name
  with np.load(path) as file:
    np.testing.assert_array_equal(file["joints_3d_world"], clip.joints_3d_world)
    assert file["joints"].tolist() == list(SKELETON.joints)
  with pytest.raises(FileExistsError, match="exists and is not overwritten; choose"):
    clip.save(path)
  clip.save(path, overwrite=True)
  with pytest.raises(ValueError, match=r"expected the ending \.npz"):
    clip.save(tmp_path / "poses.npy")
  np.savez(tmp_path / "other.npz", a=1)
  with pytest.raises(
    ValueError, match=r"other\.npz has no .*scores, .* that MultiviewPoses\.save wrote"
  ):
    predict.MultiviewPoses.load(tmp_path / "other.npz")
  assert sorted(p.name for p in path.parent.iterdir()) == ["poses.npz"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  """Weights and a recording on disk."""
  root = tmp_path_factory.mktemp("command")
  pretrained.save(root / "weights", small_multiview.weights())
  small_multiview.write(root / "walk")
  return root


def test_the_command_writes_poses_and_a_picture(saved, tmp_path):
  command = [sys.executable, "-m", "jaxpose.predict_multiview", str(saved / "walk")]
  command += [f"--weights={saved / 'weights'}", f"--out={tmp_path / 'out'}"]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  assert "6 frames of 3 views" in done.stdout
  assert "poses.npz" in done.stdout
  found = predict.MultiviewPoses.load(tmp_path / "out" / "poses.npz")
  want = multiview(saved / "walk")
  np.testing.assert_allclose(found.joints_3d, want.joints_3d, atol=1e-5)
  with Image.open(tmp_path / "out" / "poses.png") as picture:
    assert picture.width > 500
  before = (tmp_path / "out" / "poses.npz").read_bytes()
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 1
  assert done.stderr.strip().splitlines()[-1].startswith("error: ")
  assert "exists and is not overwritten" in done.stderr
  assert (tmp_path / "out" / "poses.npz").read_bytes() == before
  names = sorted(p.name for p in (tmp_path / "out").iterdir())
  assert names == ["poses.npz", "poses.png"]


def test_the_command_replaces_results_if_told_and_draws_animations(saved, tmp_path):
  def run(*more):
    source = [str(saved / "walk"), f"--weights={saved / 'weights'}"]
    views_files.main([*source, f"--out={tmp_path}", *more])

  run("--draw=gif", "--views=cam2,cam0")
  with Image.open(tmp_path / "poses.gif") as picture:
    assert picture.n_frames == 6
  assert predict.MultiviewPoses.load(tmp_path / "poses.npz").cameras == ("cam2", "cam0")
  run("--draw=none", "--overwrite")
  found = predict.MultiviewPoses.load(tmp_path / "poses.npz")
  assert found.cameras == ("cam0", "cam1", "cam2")
  (tmp_path / "poses.npz").unlink()
  with pytest.raises(SystemExit, match=r"poses\.gif exists and is not overwritten"):
    run("--draw=gif")
  assert not (tmp_path / "poses.npz").exists()
  with pytest.raises(SystemExit, match="error: no weights at"):
    views_files.main(
      [str(saved / "walk"), "--weights=no/such", f"--out={tmp_path / 'other'}"]
    )
  assert not (tmp_path / "other").exists()
  with pytest.raises(ValueError, match="got draw='avi', expected one of png, gif, mp4"):
    views_files.predict_folder(saved / "walk", "", tmp_path, draw="avi")


def test_a_stopped_command_writes_nothing(saved, tmp_path, monkeypatch, capsys):
  def stop(*args):
    raise KeyboardInterrupt

  monkeypatch.setattr(views_network, "run", stop)
  with pytest.raises(SystemExit) as stopped:
    views_files.main(
      [str(saved / "walk"), f"--weights={saved / 'weights'}", f"--out={tmp_path / 'o'}"]
    )
  assert stopped.value.code == 130
  assert "stopped; what was not finished is not written" in capsys.readouterr().err
  assert not (tmp_path / "o").exists()


def test_a_run_becomes_weights_that_predict_the_same(tmp_path):
  config = small_runs.get_config("mpstrt_quickstart", "smoke")
  config.data.crop_size = 40  # not the module's own 48
  config.model.keep = (0.4,)
  config.data.window = 3
  run = rundir.claim_workdir(tmp_path / "run", config, skeleton="h36m17")
  module = models.build(**config.model)
  example = models.multiview.example(module, config.data.window)
  shapes = jax.eval_shape(module.init, jax.random.key(0), **example)
  params = multiview_testing.randomised(shapes)["params"]
  with Checkpoints(run, keep=1) as checkpoints:
    checkpoints.save(1, dict(params=params, model_state={}), 1.0)
  path = pretrained.save(tmp_path / "weights", pretrained.load(run))
  loaded = pretrained.load(path)
  assert loaded.window == 3
  assert loaded.inputs == tuple(config.inputs)
  assert loaded.skeleton == SKELETON
  assert loaded.info["crop_size"] == 40
  assert loaded.module.keep == (0.4,)
  assert views_network.network_setup(path).size == 40
  images, ring = small_multiview.pictures(6), small_multiview.rig()
  one, other = (multiview(images, cameras=ring, weights=w) for w in (run, path))
  np.testing.assert_array_equal(one.joints_3d, other.joints_3d)
  assert np.isfinite(one.joints_3d_world).any()
