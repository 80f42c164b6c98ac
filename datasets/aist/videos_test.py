"""Videos made here beside made-up annotations, as clips of nine cameras."""

import numpy as np
import pytest

from aist import aist_dataset_builder as builder
from aist import aist_dataset_builder_test as annotated
from aist import annotations
from aist import videos
from jaxpose.data import view_data
from jaxpose.data import view_records
from jaxpose.files import video_files
from jaxpose.geometry import cameras
from jaxpose.skeletons import skeleton_maps
from tests import builder_testing

pytest.importorskip("av", reason="needs jaxpose[video]")

NAME = annotated.NAMES["test"][0]
SIZE = (192, 108)  # a tenth of the cameras'


def write_videos(raw, names, frames=annotated.T + 1, size=SIZE):
  (raw / "videos").mkdir(parents=True, exist_ok=True)
  grey = np.arange(frames)[:, None, None, None] * 20 + 30
  images = np.broadcast_to(grey, (frames, size[1], size[0], 3)).astype(np.uint8)
  one = raw / "one.mp4"
  with video_files.Encoder(one, size, 60) as encoder:
    for image in images:
      encoder.add(image)
  for name in names:
    for view in annotations.VIEWS:
      target = raw / "videos" / f"{name.replace('cAll', view)}.mp4"
      target.write_bytes(one.read_bytes())
  one.unlink()


def setting(raw, name=NAME):
  lists = annotations.read_lists(raw)
  return annotations.read_cameras(raw, lists.settings[name])


def made(raw, points=None, **options):
  """The records of the test sequence."""
  if points is None:
    points = annotations.read_keypoints_3d(raw, NAME)
  chosen = dict(step=2, clip_frames=2, max_side=960) | options
  paths = videos.find(raw, [NAME])[NAME]
  return list(videos.records(NAME, setting(raw), points, paths, **chosen))


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
  folder = annotated.write(tmp_path_factory.mktemp("aist"))
  write_videos(folder, [NAME])
  return folder


def test_clips_are_the_pictures_and_joints_of_every_nth_frame(raw):
  first, second = made(raw)
  assert first["frame_ids"].tolist() == [0, 2]
  assert second["frame_ids"].tolist() == [4]
  assert first["fps"] == 30
  assert first["cameras"] == list(annotations.VIEWS)
  assert (first["subject"], first["action"]) == ("d10", "gPO")
  points = annotations.read_keypoints_3d(raw, NAME)[[0, 2]]
  world = skeleton_maps.convert(points, "coco17", "h36m17")
  np.testing.assert_allclose(first["joints_3d"], world, atol=1e-5)
  for v in range(9):
    seen = cameras.world_to_camera(
      world, first["camera_rotation"][v], first["camera_position"][v]
    )
    pixels = cameras.project(seen, first["intrinsics"][v].astype(np.float64))
    np.testing.assert_allclose(first["keypoints_2d"][:, v], pixels, atol=0.01)
    image = np.asarray(view_records.decode(second["images"][v]))
    assert abs(float(image[54, 96].mean()) - (30 + 4 * 20)) < 6
  np.testing.assert_array_equal(first["image_size"], [SIZE] * 9)
  data = view_data.from_records([first, second], 32)
  assert data.num_views == 9
  assert data.clips["view_mask"][0].all()


def test_frames_with_unknown_joints_have_no_person(raw):
  points = annotations.read_keypoints_3d(raw, NAME)
  points[2, 9] = np.nan
  first, second = made(raw, points)
  np.testing.assert_array_equal(first["view_valid"].all(1), [True, False])
  assert first["joints_valid"][0].all()
  assert not first["joints_valid"][1].all()
  assert second["view_valid"].all()
  np.testing.assert_allclose(first["boxes"][1, 0], [95.5, 53.5, 192, 108])


def test_a_build_has_the_splits_and_leaves_views_out(tmp_path):
  folder = annotated.write(tmp_path / "raw")
  for split, names in annotated.NAMES.items():
    kept = names[:1]
    (folder / "splits" / f"pose_{split}.txt").write_text("\n".join(kept))
    write_videos(folder, kept)
  left = folder / "videos" / "gBR_sBM_c05_d04_mBR0_ch01.mp4"
  left.unlink()
  splits = builder_testing.build_and_read(
    "aist", tmp_path / "out", folder, config="frames_step4_side96"
  )
  assert {k: len(v) for k, v in splits.items()} == dict(train=1, validation=1, test=1)
  (record,) = splits["train"]
  assert [c.decode() for c in record["cameras"]] == [
    view for view in annotations.VIEWS if view != "c05"
  ]
  np.testing.assert_array_equal(record["image_size"], [[96, 54]] * 8)
  assert builder_testing.text(record, "box_source") == "round the 2D joints"


def test_missing_videos_are_named(raw):
  with pytest.raises(
    ValueError, match=r"got annotations without the videos gWA_sFM_c01"
  ):
    videos.find(raw, [NAME, annotated.NAMES["val"][0]])


def test_videos_of_another_length_or_shape_are_refused(tmp_path):
  folder = annotated.write(tmp_path / "raw")
  write_videos(folder, [NAME], frames=annotated.T + 101)
  with pytest.raises(
    ValueError, match="got 106 frames of video and 5 of poses, expect"
  ):
    made(folder)
  write_videos(folder, [NAME], size=(108, 192))
  with pytest.raises(
    ValueError, match="got pictures of 108 x 192 pixels, expected 1920"
  ):
    made(folder)


def test_steps_and_sizes_are_configs():
  config = builder.Builder.config_named("frames_step12")
  assert (config.step, config.max_side) == (12, 960)
  with pytest.raises(ValueError, match="has no config 'frame'; known: keypoints, mesh"):
    builder.Builder.config_named("frame")
  with pytest.raises(
    ValueError, match="got step=6, clip_frames=32 and max_side=3, exp"
  ):
    builder.Builder.config_named("frames_side3")
