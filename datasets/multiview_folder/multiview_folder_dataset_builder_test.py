"""Recordings made of a rendered clip: what becomes of them, and what is refused."""

import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxpose import geometry
from jaxpose.data import pose_data
from jaxpose.data import view_data
from jaxpose.data import view_records
from jaxpose.files import video_files
from jaxpose.formats import recordings as formats_recordings
from jaxpose.geometry import cameras
from jaxpose.geometry import triangulation as reprojection
from multiview_folder import multiview_folder_dataset_builder as builder
from multiview_folder import recordings
from tests import builder_testing


@functools.cache
def rendered(folder):
  """A record of the rendered data set."""
  import tensorflow_datasets as tfds

  where = pose_data.prepare(
    "synthetic_multiview", builder_config="tiny", data_dir=folder
  )
  return tfds.builder_from_directory(where).as_data_source("test")[0]


@pytest.fixture(scope="module")
def record(tmp_path_factory):
  return rendered(tmp_path_factory.mktemp("rendered"))


def as_json(record):
  """The record's cameras in this data set's own layout."""
  found = []
  for v, name in enumerate(record["cameras"]):
    fx, fy, cx, cy = record["intrinsics"][v, :4].astype(float).tolist()
    rotation = record["camera_rotation"][v].astype(float)
    found.append(
      dict(
        name=f"cam{name.decode()}",
        K=[[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
        dist=[0, 0, 0, 0],
        R=rotation.tolist(),
        t=(-rotation @ record["camera_position"][v]).tolist(),
        image_size=record["image_size"][v].tolist(),
      )
    )
  return found


def write(folder, record, *, keypoints=True, change=None):
  """A recording of the record's pictures, with boxes and keypoints."""
  folder.mkdir(parents=True)
  rig = as_json(record)
  if change:
    change(rig)
  (folder / "calibration.json").write_text(json.dumps(dict(cameras=rig)))
  (folder / "recording.json").write_text(json.dumps(dict(fps=12.5, subject="ann")))
  t, v = record["view_valid"].shape
  (folder / "boxes").mkdir()
  for j, camera in enumerate(as_json(record)):
    (folder / camera["name"]).mkdir()
    for i in range(t):
      image = view_records.decode(record["images"][i * v + j])
      image.save(folder / camera["name"] / f"{i}.png")
    boxes = dict(boxes=record["boxes"][:, j].tolist())
    if keypoints:
      known = record["visible"][:, j, :, None].astype(float)
      points = np.concatenate([record["keypoints_2d"][:, j], known], -1)
      boxes |= dict(keypoints=points.tolist(), skeleton="h36m17")
    (folder / "boxes" / f"{camera['name']}.json").write_text(json.dumps(boxes))
  return folder


def read(folder, clip_frames=3, max_side=720):
  return list(
    recordings.records(
      folder,
      clip_frames=clip_frames,
      max_side=max_side,
      skeleton=view_data.skeletons.get("h36m17"),
    )
  )


def test_a_recording_becomes_records_that_can_be_read(tmp_path, record):
  write(tmp_path / "raw" / "test" / "walk", record)
  found = builder_testing.build_and_read(
    "multiview_folder", tmp_path / "out", tmp_path / "raw", config="mine"
  )
  (one,) = found["test"]
  assert builder_testing.text(one, "sequence") == "walk_000000"
  assert builder_testing.text(one, "subject") == "ann"
  assert [name.decode() for name in one["cameras"]] == ["cam0", "cam1", "cam2"]
  for key in ("intrinsics", "camera_rotation", "camera_position", "boxes"):
    np.testing.assert_allclose(one[key], record[key], atol=1e-4)
  np.testing.assert_array_equal(one["visible"], record["visible"])
  np.testing.assert_array_equal(one["image_size"], record["image_size"])
  assert not one["joints_valid"].any()
  assert float(one["fps"]) == 12.5
  batch = view_data.from_records(found["test"], 32)
  known = view_data.from_records([record], 32)
  difference = batch.clips["images"].astype(int) - known.clips["images"]
  assert np.abs(difference).mean() < 4  # JPEG, twice


def test_long_recordings_become_several_records(tmp_path, record):
  write(tmp_path / "walk", record)
  first, second = read(tmp_path / "walk", clip_frames=3)
  assert (len(first["frame_ids"]), second["frame_ids"].tolist()) == (3, [3])
  np.testing.assert_allclose(second["boxes"][0], record["boxes"][3], atol=1e-4)


def test_without_boxes_the_whole_picture_is_one(tmp_path, record):
  folder = write(tmp_path / "walk", record)
  shutil.rmtree(folder / "boxes")
  found = read(folder)[0]
  np.testing.assert_allclose(found["boxes"], np.tile([23.5, 23.5, 48, 48], (3, 3, 1)))
  assert found["view_valid"].all()


def test_frames_without_a_box_are_marked(tmp_path, record):
  folder = write(tmp_path / "walk", record)
  path = folder / "boxes" / "cam1.json"
  path.write_text(json.dumps(dict(boxes=[[20, 20, 9, 9]], frames=[1])))
  valid = read(folder)[0]["view_valid"]
  np.testing.assert_array_equal(valid[:, 1], [False, True, False])
  assert valid[:, [0, 2]].all()


def test_smaller_pictures_keep_the_calibration(tmp_path, record):
  write(tmp_path / "walk", record)
  found = read(tmp_path / "walk", clip_frames=4, max_side=32)[0]
  np.testing.assert_array_equal(found["image_size"], [[32, 32]] * 3)
  seen = cameras.world_to_camera(
    np.broadcast_to(record["joints_3d"][:, None], (4, 3, 17, 3)),
    found["camera_rotation"][None],
    found["camera_position"][None],
  )
  pixels = cameras.project(seen, found["intrinsics"][None])
  chosen = found["keypoints_valid"]
  np.testing.assert_allclose(pixels[chosen], found["keypoints_2d"][chosen], atol=1e-2)


def test_joints_in_the_world_are_taken(tmp_path, record):
  folder = write(tmp_path / "walk", record)
  np.save(folder / "joints_3d.npy", record["joints_3d"])
  np.testing.assert_array_equal(read(folder)[0]["joints_3d"], record["joints_3d"][:3])
  np.save(folder / "joints_3d.npy", record["joints_3d"][:2])
  with pytest.raises(
    ValueError, match=r"joints of shape \(2, 17, 3\), expected \(4, 17"
  ):
    read(folder)


def put(key, value):
  """A change of the first camera of a calibration."""

  def change(rig):
    rig[0][key] = value

  return change


def mirror(rig):
  rig[0]["R"] = (np.diag([1, 1, -1]) @ np.array(rig[0]["R"])).tolist()


def millimetres(rig):
  for camera in rig:
    camera["t"] = (1000 * np.array(camera["t"])).tolist()


K = [[50.0, 0, 24], [0, 50.0, 24], [0, 0, 1]]


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    (
      put("K", [[-50.0, 0, 24], *K[1:]]),
      "got the focal lengths -50 and 50, expected po",
    ),
    (put("K", [[50.0, 9, 24], *K[1:]]), "got a skew of 9 pixels, expected none"),
    (
      put("K", K[:2]),
      r"got matrices of shape \(2, 3\) and translations of \(3,\), exp",
    ),
    (
      put("K", [[50.0, 0, 99], *K[1:]]),
      r"got the principal point \[99.0, 24.0\], expec",
    ),
    (
      put("R", np.eye(2).tolist()),
      r"got a rotation of shape \(2, 2\), expected \(3, 3",
    ),
    (
      put("R", (2 * np.eye(3)).tolist()),
      "got a rotation matrix that is not orthonormal",
    ),
    (mirror, r"'cam0': got a mirroring rotation matrix, det\(R\) = -1.00, expected 1"),
    (put("dist", [0.1] * 8), "got 8 distortion coefficients, expected at most 5"),
    (put("t", [0.0, float("nan"), 0]), r"got t = \[0.0, nan, 0.0\], expected finite"),
    (put("name", "cam1"), "got cameras of one name in"),
    (millimetres, "m apart, expected less than 100 m; if the file is in millimetres"),
    (
      put("name", "cam7"),
      "got no video or folder of pictures for the calibrated camera",
    ),
    (
      put("image_size", [48, 30]),
      "got pictures of 48 x 48 pixels, expected the calibr",
    ),
  ],
)
def test_impossible_calibrations_are_refused(tmp_path, record, change, sentence):
  write(tmp_path / "walk", record, change=change)
  with pytest.raises(ValueError, match=sentence):
    read(tmp_path / "walk")


def test_calibrations_at_another_scale_are_scaled(tmp_path, record):
  def double(rig):
    for camera in rig:
      matrix = 2 * np.array(camera["K"])
      matrix[:2, 2] += 0.5  # centres of pixels at whole numbers
      matrix[2, 2] = 1
      camera["K"], camera["image_size"] = matrix.tolist(), [96, 96]

  write(tmp_path / "walk", record, change=double)
  found = read(tmp_path / "walk")[0]
  np.testing.assert_allclose(found["intrinsics"], record["intrinsics"], atol=1e-4)


def test_a_camera_that_was_moved_does_not_agree_with_the_keypoints(tmp_path, record):
  def move(rig):
    turn = geometry.euler_to_matrix(np.radians([25.0]), "y")
    for key in ("R", "t"):
      rig[0][key] = (turn @ np.array(rig[0][key])).tolist()

  write(tmp_path / "walk", record, change=move)
  with pytest.raises(
    ValueError, match="got keypoints and a calibration that do not agr"
  ):
    read(tmp_path / "walk")
  write(tmp_path / "blind", record, change=move, keypoints=False)
  assert read(tmp_path / "blind")  # nobody can tell


def test_triangulated_keypoints_are_the_joints(record):
  rig = [
    cameras.Camera(
      record["camera_rotation"][v].astype(float),
      record["camera_position"][v].astype(float),
      record["intrinsics"][v].astype(float),
      (48, 48),
    )
    for v in range(3)
  ]
  pixels = np.moveaxis(record["keypoints_2d"], 1, 2).reshape(-1, 3, 2).astype(float)
  valid = np.ones(pixels.shape[:2], bool)
  valid[::2, 1] = False  # two views do
  found, met = reprojection.triangulate_pixels(rig, pixels, valid)
  assert met.all()
  np.testing.assert_allclose(found, record["joints_3d"].reshape(-1, 3), atol=2e-3)
  points, seen = record["keypoints_2d"], record["keypoints_valid"]
  share = reprojection.check_calibration("walk", rig, points, seen, record["boxes"])
  assert share < 1e-3
  assert (
    reprojection.check_calibration("walk", rig, points, seen & False, record["boxes"])
    is None
  )
  # Cameras in one place tell nothing.
  twins = [rig[0], dataclasses.replace(rig[1], position=rig[0].position)]
  points, seen, boxes = points[:, :2], seen[:, :2], record["boxes"][:, :2]
  assert reprojection.check_calibration("walk", twins, points, seen, boxes) is None


def test_cameras_of_other_lengths_are_refused_unless_the_start_is_said(
  tmp_path, record
):
  folder = write(tmp_path / "walk", record)
  shutil.copy(folder / "cam2" / "0.png", folder / "cam2" / "00000.png")
  (folder / "boxes" / "cam2.json").unlink()
  sentence = r"different numbers of frames \(cam0 4, cam1 4, cam2 5\), expected synchr"
  with pytest.raises(ValueError, match=sentence):
    read(folder)
  (folder / "recording.json").write_text(json.dumps(dict(fps=25, start={"cam2": 1})))
  found = read(folder, clip_frames=4)[0]
  ours = view_records.decode(found["images"][2])
  theirs = Image.open(folder / "cam2" / "0.png")
  difference = np.asarray(ours).astype(int) - np.asarray(theirs)
  assert np.abs(difference).mean() < 4
  (folder / "recording.json").write_text(json.dumps(dict(fps=25, start={"cam9": 1})))
  with pytest.raises(ValueError, match="got a start for the camera 'cam9', expected"):
    read(folder)


class Faked(video_files.Folder):
  """A source of black frames whose header says more than it holds."""

  def __init__(self, path, fps=25.0, frames=4, said=4):
    self.path, self.fps, self.image_size = path, fps, (48, 48)
    self._frames, self._said = frames, said

  def count(self, exact=False):
    return self._said

  def read(self, wanted=None):
    for i in range(self._frames):
      yield i, np.zeros((48, 48, 3), np.uint8)


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    (
      dict(cam1=dict(fps=30.0)),
      r"different frame rates \(cam0 25, cam1 30, cam2 25\), e",
    ),
    (dict(cam2=dict(frames=3)), "cam2: got 3 frames that can be decoded, expected 4"),
    (
      {f"cam{i}": dict(said=0) for i in range(3)},
      "got no frame, expected at",
    ),
  ],
)
def test_videos_that_do_not_fit_are_refused(
  tmp_path, record, monkeypatch, changes, sentence
):
  folder = write(tmp_path / "walk", record)
  shutil.rmtree(folder / "boxes")
  monkeypatch.setattr(
    formats_recordings.video_files,
    "open_source",
    lambda path, fps: Faked(path, **changes.get(path.name, {})),
  )
  with pytest.raises(ValueError, match=sentence):
    read(folder)


def test_videos_are_read(tmp_path, record):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  folder = write(tmp_path / "walk", record)
  (folder / "recording.json").write_text("{}")
  (folder / "videos").mkdir()
  for name in ("cam0", "cam1", "cam2"):
    source = video_files.open_source(folder / name, 10.0)
    path = folder / "videos" / f"{name}.mp4"
    with video_files.Encoder(path, source.image_size, 10) as encoder:
      for _, picture in source.read():
        encoder.add(picture)
    shutil.rmtree(folder / name)
  found = read(folder, clip_frames=4)[0]
  assert float(found["fps"]) == 10
  for i in (0, 5, 11):
    ours, theirs = (
      np.asarray(view_records.decode(r["images"][i])).astype(int)
      for r in (found, record)
    )
    assert np.abs(ours - theirs).mean() < 12  # H.264, then JPEG


def test_folders_need_a_frame_rate(tmp_path, record):
  folder = write(tmp_path / "walk", record)
  (folder / "recording.json").unlink()
  with pytest.raises(
    ValueError, match="is a folder of pictures, whose frame rate is no"
  ):
    read(folder)


@pytest.mark.parametrize(
  ("said", "sentence"),
  [
    ("{", "recording.json: not JSON"),
    ('{"fsp": 25}', "got the key 'fsp', expected some of fps, subject"),
    ('{"fps": 25, "unit": "feet"}', "got unit 'feet', expected one of m, cm, mm"),
    ('{"fps": 25, "up": "x"}', "got up 'x', expected one of z, -z, y, -y"),
  ],
)
def test_mistakes_in_the_recordings_file_are_told(tmp_path, record, said, sentence):
  folder = write(tmp_path / "walk", record)
  (folder / "recording.json").write_text(said)
  with pytest.raises(ValueError, match=sentence):
    read(folder)


def test_a_recording_needs_one_calibration(tmp_path, record):
  folder = write(tmp_path / "walk", record)
  shutil.copy(folder / "calibration.json", folder / "calib.json")
  with pytest.raises(
    ValueError, match=r"got 2 calibration files \(calib.json, calibrat"
  ):
    read(folder)
  for name in ("calib.json", "calibration.json"):
    (folder / name).unlink()
  with pytest.raises(ValueError, match="got 0 calibration files, expected one"):
    read(folder)


def test_boxes_must_be_numbered_or_complete(tmp_path, record):
  folder = write(tmp_path / "walk", record)
  path = folder / "boxes" / "cam1.json"
  path.write_text(json.dumps([[20, 20, 9, 9]]))
  with pytest.raises(
    ValueError, match="got 1 boxes without frame numbers, expected one"
  ):
    read(folder)
  people = {name: dict(boxes=[[20, 20, 9, 9]], frames=[0]) for name in "ab"}
  path.write_text(json.dumps(people))
  with pytest.raises(ValueError, match="got 2 people, expected one"):
    read(folder)


def test_a_folder_without_recordings_is_refused(tmp_path):
  (tmp_path / "raw" / "test").mkdir(parents=True)
  with pytest.raises(ValueError, match="got no folder SPLIT/RECORDING, expected one"):
    builder_testing.build_and_read("multiview_folder", tmp_path / "o", tmp_path / "raw")


def test_a_name_that_is_no_folder_is_refused():
  with pytest.raises(ValueError, match=r"got the name '../x' for a dataset, expected"):
    builder.Builder.config_named("../x")
