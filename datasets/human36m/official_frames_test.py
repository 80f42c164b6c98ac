"""Videos and poses of a release of two takes, made here, as multi-view clips."""

import dataclasses
import importlib
import os
import pathlib
import shutil
import sys

import numpy as np
import pytest

from human36m import human36m_dataset_builder as builder
from human36m import metadata
from human36m import metadata_test
from human36m import official_boxes
from human36m import official_frames
from human36m import official_test
from human36m import protocol
from jaxpose.data import view_data
from jaxpose.data import view_records
from jaxpose.files import video_files
from jaxpose.geometry import cameras
from tests import benchmark_writer
from tests import builder_testing

pytest.importorskip("cdflib", reason="needs cdflib: pip install 'jaxpose[h36m]'")
pytest.importorskip("av", reason="needs jaxpose[video]")

SIDE = 100  # of pictures a tenth as large as the release's
SCALE = np.array([SIDE / 1000, SIDE / 1002])
RIGS = official_test.RIGS
TAKES = (("S1", "Eating", 11), ("S9", "Eating 1", 9))  # frames of the poses


def marked(joints, camera):
  """Pictures with a white square of 5 pixels where the head is, as the lens bends."""
  _, pixels = benchmark_writer.seen(joints, camera)
  at = np.rint((pixels[:, 10] + 0.5) * SIDE / np.array(camera.image_size) - 0.5)
  images = np.full((len(joints), SIDE, SIDE, 3), 40, np.uint8)
  for image, (x, y) in zip(images, at.astype(int), strict=True):
    image[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 255
  return images


def write_video(path, images):
  path.parent.mkdir(parents=True, exist_ok=True)
  height, width = images.shape[1:3]
  with video_files.Encoder(path, (width, height), 50) as encoder:
    for image in images:
      encoder.add(image)


def motion(subject, take, count):
  return official_test.motion(subject, take, count)


def write_take(folder, subject, take, count, extra=2):
  """Poses of `count` frames, videos with a few more."""
  world = motion(subject, take, count)
  flat = official_test.in_32(1000 * world).reshape(count, -1)
  poses = folder / subject / "MyPoseFeatures" / "D3_Positions"
  official_test.write_cdf(poses / f"{take}.cdf", flat)
  longer = np.concatenate([world, np.repeat(world[-1:], extra, 0)])
  for camera, name in zip(RIGS[subject], protocol.CAMERAS, strict=True):
    path = folder / subject / "Videos" / f"{take}.{name}.mp4"
    write_video(path, marked(longer, camera))


def write_boxes(folder, subject, take, camera, boxes):
  """The release's file; a box is x, y of its first and last pixel."""
  h5py = pytest.importorskip("h5py", reason="needs h5py: pip install 'jaxpose[hdf5]'")
  path = folder / subject / "MySegmentsMat" / "ground_truth_bb" / f"{take}.{camera}.mat"
  path.parent.mkdir(parents=True, exist_ok=True)
  with h5py.File(path, "w") as file:
    cells = file.create_dataset("Masks", (len(boxes), 1), h5py.ref_dtype)
    for i, (x0, y0, x1, y1) in enumerate(boxes):
      mask = np.zeros((1000, 1002), np.uint8)  # MATLAB's axes come reversed: x, y
      mask[x0 : x1 + 1, y0 : y1 + 1] = 1
      cells[i, 0] = file.create_dataset(f"#refs#/{i}", data=mask).ref
  return path


@pytest.fixture(scope="module")
def release(tmp_path_factory):
  folder = tmp_path_factory.mktemp("Aufnahmen ü 数据")
  metadata_test.write(folder / "metadata.xml", RIGS)
  for subject, take, count in TAKES:
    write_take(folder, subject, take, count)
  return folder


@pytest.fixture
def small(monkeypatch):
  """A protocol of the two takes, in every import of it."""
  build = builder_testing.load_build()
  build.builder_cls("human36m")
  made = importlib.import_module(f"{build._package()}.human36m.protocol")
  for module in (protocol, made):
    monkeypatch.setattr(module, "SPLITS", {"train": ("S1",), "test": ("S9",)})
    monkeypatch.setattr(module, "SUBJECTS", ("S1", "S9"))
    monkeypatch.setattr(module, "ACTIONS", ["Eating"])


def copied(release, tmp_path):
  return pathlib.Path(shutil.copytree(release, tmp_path / "raw"))


def read(folder, split="test", **options):
  chosen = dict(step=4, clip_frames=2, max_side=1002) | options
  return [record for _, record in official_frames.splits(folder, **chosen)[split]]


def test_clips_are_the_pictures_and_poses_of_every_nth_frame(release, tmp_path, small):
  splits = builder_testing.build_and_read(
    "human36m", tmp_path, release, config="official_frames_step4"
  )
  for split, (subject, take, count) in zip(("train", "test"), TAKES, strict=True):
    (record,) = splits[split]
    ids = np.arange(0, count, 4)
    np.testing.assert_array_equal(record["frame_ids"], ids)
    assert record["fps"] == 12.5
    world = motion(subject, take, count)[ids]
    np.testing.assert_allclose(record["joints_3d"], world, atol=1e-4)
    assert record["joints_valid"].all()
    assert [c.decode() for c in record["cameras"]] == list(protocol.CAMERAS)
    assert builder_testing.text(record, "subject") == subject
    assert builder_testing.text(record, "action") == take
    np.testing.assert_array_equal(record["image_size"], [[SIDE, SIDE]] * 4)
    for v in range(4):
      seen = cameras.world_to_camera(
        world, record["camera_rotation"][v], record["camera_position"][v]
      )
      pixels = cameras.project(seen, record["intrinsics"][v])
      assert not record["intrinsics"][v, 4:].any()
      np.testing.assert_allclose(record["keypoints_2d"][:, v], pixels, atol=0.05)
  data = view_data.from_records(splits["test"], 32)
  assert data.sources[0].frame_ids == (0, 4, 8)
  assert data.sources[0].box_source == "round the 2D joints"
  assert data.clips["view_mask"].all()


def test_pictures_are_undistorted_as_the_joints_are(release, small):
  """The square drawn at the bent head is where the straight camera sees the head."""
  (first, second), off = read(release), []
  assert (len(first["frame_ids"]), second["frame_ids"].tolist()) == (2, [8])
  for record in (first, second):
    for i in range(len(record["frame_ids"])):
      for v in range(4):
        image = np.asarray(view_records.decode(record["images"][4 * i + v]))
        white = np.stack(np.nonzero(image.mean(-1) > 150)[::-1], -1)
        head = record["keypoints_2d"][i, v, 10]
        if record["visible"][i, v, 10] and len(white) == 25:
          off.append(np.abs(white.mean(0) - head).max())
  assert len(off) >= 6
  assert max(off) < 1.0


def test_boxes_are_those_of_the_release_where_it_has_them(release, tmp_path, small):
  raw = copied(release, tmp_path)
  for camera in protocol.CAMERAS:
    write_boxes(raw, "S9", "Eating 1", camera, [(200, 100, 599, 899)] * 9)
  (record, _) = read(raw)
  assert record["box_source"] == "boxes of the release"
  rig = metadata.cameras(raw / "metadata.xml")["S9"]
  for v, camera in enumerate(rig):
    lens = dataclasses.replace(
      camera, intrinsics=camera.intrinsics * [*SCALE, *SCALE, 1, 1, 1, 1, 1]
    ).intrinsics
    middle = np.array([[39.95, 50.0]])  # of the edges 20, 60 and 10, 90, about
    straight = cameras.unproject(middle, lens) * lens[:2] + lens[2:4]
    np.testing.assert_allclose(record["boxes"][0, v, :2], straight[0], atol=2.0)
    np.testing.assert_allclose(record["boxes"][0, v, 2:], [40, 80], rtol=0.12)


def test_frames_and_cameras_without_a_box_get_one_round_the_joints(
  release, tmp_path, small
):
  raw = copied(release, tmp_path)
  plain = read(raw)
  write_boxes(raw, "S9", "Eating 1", protocol.CAMERAS[0], [(1, 1, 999, 999)] * 6)
  made = read(raw)
  assert {r["box_source"] for r in made} == {
    "boxes of the release, where missing round the 2D joints"
  }
  same = [
    np.isclose(a["boxes"], b["boxes"]).all(-1) for a, b in zip(made, plain, strict=True)
  ]
  np.testing.assert_array_equal(same[0][:, 0], [False, False])
  assert same[1].all()  # frame 8 is not in the file
  assert same[0][:, 1:].all()
  joints = plain[0]["keypoints_2d"][0, 0]
  box = plain[0]["boxes"][0, 0]
  assert (np.abs(joints - box[:2]) <= box[2:] / 2 + 1e-6).all()


def test_a_smaller_side_and_other_steps_are_configs(release, tmp_path, small):
  config = builder.Builder.config_named("official_frames_step64_side512")
  assert (config.step, config.max_side, config.clip_frames) == (64, 512, 32)
  assert builder.Builder.builder_configs["official_frames"].step == 5
  (record,) = read(release, "train", step=64, max_side=50)
  np.testing.assert_array_equal(record["image_size"], [[50, 50]] * 4)
  image = view_records.decode(record["images"][3])
  assert image.size == (50, 50)
  with pytest.raises(ValueError, match="has no config 'official_frame'; known: glot,"):
    builder.Builder.config_named("official_frame")
  with pytest.raises(ValueError, match="got step=0, clip_frames=32 and max_side="):
    builder.Builder.config_named("official_frames_step0")


def refused(raw, message):
  with pytest.raises(ValueError, match=message) as caught:
    read(raw)
  assert "\n" not in str(caught.value)


def test_missing_videos_are_named(release, tmp_path, small):
  raw = copied(release, tmp_path)
  path = raw / "S9" / "Videos" / f"Eating 1.{protocol.CAMERAS[2]}.mp4"
  path.unlink()
  refused(raw, r"got poses without the video S9/Videos/Eating 1\.58860488\.mp4, expect")
  shutil.rmtree(raw / "S1" / "Videos")
  refused(raw, r"without the videos S1/Videos/.*mp4 and 2 more, expected one of each")


def test_a_few_frames_more_or_less_are_cut(release, tmp_path, small):
  raw = copied(release, tmp_path)
  world = motion("S9", "Eating 1", 9)[:6]
  path = raw / "S9" / "Videos" / f"Eating 1.{protocol.CAMERAS[1]}.mp4"
  write_video(path, marked(world, RIGS["S9"][1]))
  records = read(raw)
  assert [r["frame_ids"].tolist() for r in records] == [[0, 4]]


def test_videos_of_another_length_are_refused(release, tmp_path, small):
  raw = copied(release, tmp_path)
  path = raw / "S9" / "Videos" / f"Eating 1.{protocol.CAMERAS[1]}.mp4"
  write_video(path, np.zeros((9 + 101, SIDE, SIDE, 3), np.uint8))
  refused(
    raw, "got 110 frames of video and 9 of poses, expected at most 100 more or 10"
  )


def test_unreadable_and_foreign_videos_are_refused(release, tmp_path, small):
  raw = copied(release, tmp_path)
  path = raw / "S9" / "Videos" / f"Eating 1.{protocol.CAMERAS[3]}.mp4"
  whole = path.read_bytes()
  path.write_bytes(whole[:200])
  refused(raw, r"Eating 1\.60457274\.mp4: not a video that ffmpeg can read")
  write_video(path, np.zeros((9, SIDE, 2 * SIDE, 3), np.uint8))
  refused(raw, "got pictures of 200 x 100 pixels, expected 1000 x 1002 or the same at")


def test_damaged_boxes_are_refused(release, tmp_path, small):
  raw = copied(release, tmp_path)
  camera = protocol.CAMERAS[0]
  path = write_boxes(raw, "S9", "Eating 1", camera, [(1, 1, 9, 9)] * 9)
  whole = path.read_bytes()
  os.truncate(path, len(whole) // 2)
  refused(
    raw, "Eating 1.54138969.mat: truncated or damaged, or no MATLAB file with the"
  )


def test_without_h5py_its_pip_line_is_told(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, "h5py", None)
  with pytest.raises(ValueError, match=r"needs h5py; pip install 'jaxpose\[hdf5\]'"):
    official_boxes.of_masks(tmp_path / "a.mat", np.arange(2))
